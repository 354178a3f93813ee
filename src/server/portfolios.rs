//! `PortfolioService`.

use std::collections::BTreeMap;
use std::ops::Bound;

use tonic::{Request, Response, Status};

use super::access::Caller;
use super::form::Form;
use super::{Api, token};
use crate::domain::{Currency, Language, Period, Portfolio, PortfolioId, Text, WindowMonths};
use crate::engine::{Book, PortfolioPatch, Refusal, Write};
use crate::wire::v1;
use crate::wire::v1::portfolio_service_server::PortfolioService;

/// The most parameters of a recipe that a portfolio may set.
const MAX_OVERRIDES: usize = 100;
/// The recipe of a portfolio that names none.
const DEFAULT_RECIPE: &str = "standard";

#[tonic::async_trait]
impl PortfolioService for Api {
    async fn create_portfolio(
        &self,
        request: Request<v1::CreatePortfolioRequest>,
    ) -> Result<Response<v1::CreatePortfolioResponse>, Status> {
        let (caller, request) = Caller::of(request)?;
        let mut form = Form::default();
        let portfolio = portfolio(&mut form, request.portfolio.unwrap_or_default());
        let request_id = form.request_id(&request.request_id);
        let (portfolio, request_id) = form.finish(portfolio.zip(request_id))?;
        let answer = self
            .gate
            .write(
                &caller,
                portfolio.id.clone(),
                request_id,
                Write::CreatePortfolio(portfolio.clone()),
            )
            .await?;
        Ok(Response::new(v1::CreatePortfolioResponse {
            portfolio: Some(to_wire(&portfolio)),
            sequence: answer.sequence,
        }))
    }

    async fn get_portfolio(
        &self,
        request: Request<v1::GetPortfolioRequest>,
    ) -> Result<Response<v1::GetPortfolioResponse>, Status> {
        let (caller, request) = Caller::of(request)?;
        let mut form = Form::default();
        let id = form.portfolio(&request.portfolio_id);
        let book = self.gate.tenant(&caller, &form.finish(id)?)?.book();
        Ok(Response::new(v1::GetPortfolioResponse {
            portfolio: Some(to_wire(book.portfolio())),
            figures: Some(figures(&book)),
            sequence: book.sequence(),
        }))
    }

    async fn list_portfolios(
        &self,
        request: Request<v1::ListPortfoliosRequest>,
    ) -> Result<Response<v1::ListPortfoliosResponse>, Status> {
        let (caller, request) = Caller::of(request)?;
        let mut form = Form::default();
        let size = form.size("page_size", request.page_size, 100, 1_000);
        form.finish(Some(()))?;
        let after: Option<PortfolioId> = token::decode("portfolios", &request.page_token)?;
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let tenants = self.gate.tenants(&caller)?;
        let mut portfolios: Vec<v1::Portfolio> = tenants
            .range((from, Bound::Unbounded))
            .take(size + 1)
            .map(|(_, tenant)| to_wire(tenant.book().portfolio()))
            .collect();
        let more = portfolios.len() > size;
        portfolios.truncate(size);
        let next_page_token = match portfolios.last() {
            Some(last) if more => token::encode("portfolios", &last.portfolio_id),
            _ => String::new(),
        };
        Ok(Response::new(v1::ListPortfoliosResponse {
            portfolios,
            next_page_token,
        }))
    }

    async fn update_portfolio(
        &self,
        request: Request<v1::UpdatePortfolioRequest>,
    ) -> Result<Response<v1::UpdatePortfolioResponse>, Status> {
        let (caller, request) = Caller::of(request)?;
        let wire = request.portfolio.unwrap_or_default();
        let mut form = Form::default();
        let id = form.take(
            "portfolio.portfolio_id",
            PortfolioId::parse(&wire.portfolio_id),
        );
        let request_id = form.request_id(&request.request_id);
        let patch = patch(&mut form, &wire, &request.update_fields);
        let (id, (request_id, patch)) = form.finish(id.zip(request_id.zip(patch)))?;
        let write = Write::UpdatePortfolio(patch);
        let answer = self
            .gate
            .write(&caller, id.clone(), request_id, write)
            .await?;
        let book = self.gate.tenant(&caller, &id)?.book();
        Ok(Response::new(v1::UpdatePortfolioResponse {
            portfolio: Some(to_wire(book.portfolio())),
            sequence: answer.sequence,
        }))
    }

    async fn delete_portfolio(
        &self,
        request: Request<v1::DeletePortfolioRequest>,
    ) -> Result<Response<v1::DeletePortfolioResponse>, Status> {
        let (caller, request) = Caller::of(request)?;
        let mut form = Form::default();
        let id = form.portfolio(&request.portfolio_id);
        let portfolio = form.finish(id)?;
        let write = Write::DeletePortfolio;
        self.gate.write(&caller, portfolio, None, write).await?;
        Ok(Response::new(v1::DeletePortfolioResponse {}))
    }

    async fn create_api_key(
        &self,
        request: Request<v1::CreateApiKeyRequest>,
    ) -> Result<Response<v1::CreateApiKeyResponse>, Status> {
        self.make_key(request).await
    }

    async fn list_api_keys(
        &self,
        request: Request<v1::ListApiKeysRequest>,
    ) -> Result<Response<v1::ListApiKeysResponse>, Status> {
        self.keys(request)
    }

    async fn revoke_api_key(
        &self,
        request: Request<v1::RevokeApiKeyRequest>,
    ) -> Result<Response<v1::RevokeApiKeyResponse>, Status> {
        self.take_key_back(request).await
    }
}

fn portfolio(form: &mut Form, wire: v1::Portfolio) -> Option<Portfolio> {
    let id = form.take(
        "portfolio.portfolio_id",
        PortfolioId::parse(&wire.portfolio_id),
    );
    let name = form.text("portfolio.name", &wire.name);
    let currency = form.take("portfolio.currency", Currency::parse(&wire.currency));
    let period = period(form, wire.period);
    let window = match wire.window_months {
        0 => Some(WindowMonths::default()),
        months => form.take("portfolio.window_months", WindowMonths::parse(months)),
    };
    let language = language(form, "portfolio.language", wire.language);
    let recipe = match wire.recipe.as_str() {
        "" => form.text("portfolio.recipe", DEFAULT_RECIPE),
        name => form.text("portfolio.recipe", name),
    };
    let recipe_overrides = overrides(form, "portfolio.recipe_overrides", &wire.recipe_overrides);
    Some(Portfolio {
        id: id?,
        name: name?,
        currency: currency?,
        period: period?,
        window: window?,
        language: language?.unwrap_or_default(),
        recipe: recipe?,
        recipe_overrides: recipe_overrides?,
    })
}

/// Parameters of a recipe by name.
pub(super) fn overrides(
    form: &mut Form,
    field: &str,
    raw: &BTreeMap<String, f64>,
) -> Option<BTreeMap<Text, f64>> {
    if raw.len() > MAX_OVERRIDES {
        form.refuse(field, format!("has more than {MAX_OVERRIDES} entries"));
    }
    let entry = |(name, value): (&String, &f64)| {
        let field = format!("{field}[{name:?}]");
        if !value.is_finite() {
            form.refuse(&field, "must be a finite number");
        }
        Some((form.text(&field, name)?, *value))
    };
    raw.iter().take(MAX_OVERRIDES).map(entry).collect()
}

fn patch(form: &mut Form, wire: &v1::Portfolio, fields: &[String]) -> Option<PortfolioPatch> {
    if fields.is_empty() {
        form.refuse(
            "update_fields",
            "must name the fields to change, for example window_months",
        );
    }
    let mut patch = PortfolioPatch::default();
    for field in fields {
        match field.as_str() {
            "name" => patch.name = Some(form.text("portfolio.name", &wire.name)?),
            "period" => patch.period = Some(period(form, wire.period)?),
            "window_months" => {
                let parsed = WindowMonths::parse(wire.window_months);
                patch.window = Some(form.take("portfolio.window_months", parsed)?);
            }
            "language" => {
                let language = language(form, "portfolio.language", wire.language)?;
                patch.language = Some(language.unwrap_or_default());
            }
            "recipe" => patch.recipe = Some(form.text("portfolio.recipe", &wire.recipe)?),
            "recipe_overrides" => patch.recipe_overrides = Some(overrides(form, "portfolio.recipe_overrides", &wire.recipe_overrides)?),
            "currency" => form.refuse("update_fields", "names currency, which never changes; make another portfolio for another currency"),
            other => form.refuse(
                "update_fields",
                format!("names '{other}'; it may name name, period, window_months, language, recipe and recipe_overrides"),
            ),
        }
    }
    Some(patch)
}

fn period(form: &mut Form, raw: i32) -> Option<Period> {
    match v1::Period::try_from(raw) {
        Ok(v1::Period::Unspecified | v1::Period::Month) => Some(Period::Month),
        Ok(v1::Period::Quarter) => Some(Period::Quarter),
        Ok(v1::Period::Year) => Some(Period::Year),
        Err(_) => {
            form.refuse("portfolio.period", format!("has no value {raw}"));
            None
        }
    }
}

/// A language; `Some(None)` where none was named.
pub(super) fn language(form: &mut Form, field: &str, raw: i32) -> Option<Option<Language>> {
    match v1::Language::try_from(raw) {
        Ok(v1::Language::Unspecified) => Some(None),
        Ok(v1::Language::English) => Some(Some(Language::English)),
        Ok(v1::Language::Portuguese) => Some(Some(Language::Portuguese)),
        Err(_) => {
            form.refuse(field, format!("has no value {raw}"));
            None
        }
    }
}

fn to_wire(portfolio: &Portfolio) -> v1::Portfolio {
    let period = match portfolio.period {
        Period::Month => v1::Period::Month,
        Period::Quarter => v1::Period::Quarter,
        Period::Year => v1::Period::Year,
    };
    let language = match portfolio.language {
        Language::English => v1::Language::English,
        Language::Portuguese => v1::Language::Portuguese,
    };
    let overrides = portfolio.recipe_overrides.iter();
    v1::Portfolio {
        portfolio_id: portfolio.id.to_string(),
        name: portfolio.name.to_string(),
        currency: portfolio.currency.to_string(),
        period: period.into(),
        window_months: portfolio.window.get(),
        language: language.into(),
        recipe: portfolio.recipe.to_string(),
        recipe_overrides: overrides
            .map(|(name, value)| (name.to_string(), *value))
            .collect(),
    }
}

fn figures(book: &Book) -> v1::PortfolioFigures {
    let figures = book.figures();
    let saturated = |amount: i128| i64::try_from(amount).unwrap_or(i64::MAX);
    let months = book.months();
    v1::PortfolioFigures {
        clients: book.clients().len() as u32,
        products: book.products().len() as u32,
        tickets: book.matrix().tickets() as u64,
        sales: figures.sales,
        sales_amount_minor: saturated(figures.sales_amount_minor),
        set_tickets_minor: saturated(figures.set_tickets_minor),
        first_sale_month: months.map_or(String::new(), |(first, _)| first.to_string()),
        last_sale_month: months.map_or(String::new(), |(_, last)| last.to_string()),
    }
}

/// Refuses a request whose currency is not the portfolio's.
pub(super) fn same_currency(book: &Book, currency: Option<Currency>) -> Result<(), Refusal> {
    let own = book.portfolio().currency;
    match currency {
        Some(other) if other != own => {
            let reason = format!("is {other}; the amounts of this portfolio are {own}");
            Err(Refusal::Invalid(vec![crate::domain::Violation::new(
                "currency", reason,
            )]))
        }
        _ => Ok(()),
    }
}
