//! `RecommendationService`.

use std::collections::BTreeSet;
use std::pin::Pin;
use std::sync::Arc;

use prost::Message;
use tokio::sync::mpsc;
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::access::Caller;
use super::form::{Form, ItemField, MAX_BATCH};
use super::opportunities::{Writer, order, total_gain};
use super::portfolios::language;
use super::selected::select;
use super::showings::showings;
use super::token::{Place, expired};
use super::{Api, token};
use crate::domain::{
    ClientId, Kind, Language, MAX_AMOUNT_MINOR, Opportunity, PortfolioId, ProductId, Shortfall,
    Violation,
};
use crate::engine::{Advice, Book, Refusal, Scored, Supposed, Tenant};
use crate::pipeline::Order;
use crate::wire::v1;
use crate::wire::v1::recommendation_service_server::RecommendationService;

/// Rows of each kind where the request does not say.
const DEFAULT_ROWS: usize = 10;
/// The most rows of one answer.
const MAX_ROWS: usize = 1_000;
/// Rows of a page where the request does not say.
const DEFAULT_PAGE: usize = 100;
/// Opportunities in one message of a stream.
const STREAM_CHUNK: usize = 500;

#[tonic::async_trait]
impl RecommendationService for Api {
    async fn recommend_for_client(
        &self,
        request: Request<v1::RecommendForClientRequest>,
    ) -> Result<Response<v1::RecommendForClientResponse>, Status> {
        let (caller, request) = Caller::of(request)?;
        let mut form = Form::default();
        let portfolio = form.portfolio(&request.portfolio_id);
        let client = form.client("client_id", &request.client_id);
        let rows = form.size("max_per_kind", request.max_per_kind, DEFAULT_ROWS, MAX_ROWS);
        let language = language(&mut form, "language", request.language);
        let (tenant, (client, language)) =
            self.open(&caller, form, portfolio, client.zip(language))?;
        if !request.log_shown {
            // An answer that stands ready needs no turn: writing it takes less than waiting for one.
            let moment = tenant.moment();
            let (number, _) = moment.book.client(&client)?;
            if let Some(advice) = tenant.advice_kept(&moment, number) {
                let answer = for_client(&moment.book, &client, language, advice, rows);
                return Ok(Response::new(answer));
            }
        }
        let portfolio = tenant.book().portfolio().id.clone();
        let work = move || {
            let moment = tenant.moment();
            let (number, _) = moment.book.client(&client)?;
            let advice = tenant.advise(&moment, number)?;
            let showings = match request.log_shown {
                true => {
                    let model = tenant.model(&moment)?;
                    let held_out = advice.shortfalls.contains(&Shortfall::HeldOut);
                    let rows = chosen(&advice, rows);
                    let rows = rows.into_iter().flatten().map(|row| (row, held_out));
                    showings(&moment.book, model.correction(), rows)
                }
                false => Vec::new(),
            };
            let answer = for_client(&moment.book, &client, language, advice, rows);
            Ok((answer, showings))
        };
        let (response, showings) = self.compute.run(&caller, work).await?;
        self.log(&caller, portfolio, showings).await?;
        Ok(Response::new(response))
    }

    async fn list_opportunities(
        &self,
        request: Request<v1::ListOpportunitiesRequest>,
    ) -> Result<Response<v1::ListOpportunitiesResponse>, Status> {
        let (caller, request) = Caller::of(request)?;
        let mut form = Form::default();
        let portfolio = form.portfolio(&request.portfolio_id);
        let size = form.size("page_size", request.page_size, DEFAULT_PAGE, MAX_ROWS);
        let order = order(&mut form, request.order);
        let language = language(&mut form, "language", request.language);
        let (tenant, (order, language)) =
            self.open(&caller, form, portfolio, order.zip(language))?;
        let portfolio = tenant.book().portfolio().id.clone();
        let work = move || {
            let wanted = request.filter.unwrap_or_default();
            let list = list_name(&request.portfolio_id, &wanted, order);
            let place: Option<Place> = token::decode(&list, &request.page_token)?;
            let scored: Arc<Scored> = match place {
                None => tenant.scored()?,
                Some(place) => tenant.pinned(place.list).ok_or_else(expired)?,
            };
            let book = &scored.moment.book;
            let selected = select(&tenant, scored.clone(), &list, &wanted, order)?;
            let given = place
                .map_or(0, |place| place.given as usize)
                .min(selected.len());
            let end = (given + size).min(selected.len());
            let last = end == selected.len();
            let showings = match request.log_shown {
                true => selected.showings(given, size),
                false => Vec::new(),
            };
            let next_page_token = match !last {
                true => {
                    let place = Place {
                        list: tenant.pin(&scored),
                        given: end as u64,
                    };
                    token::encode(&list, &place)
                }
                false => String::new(),
            };
            let writer = Writer {
                book,
                language: language.unwrap_or(book.portfolio().language),
            };
            let response = v1::ListOpportunitiesResponse {
                opportunities: selected
                    .rows(given, size)
                    .map(|row| writer.opportunity(&row, false))
                    .collect(),
                next_page_token,
                total_size: selected.len() as u64,
                total_gain_minor: selected.total_gain_minor(),
                currency: book.portfolio().currency.to_string(),
                sequence: tenant.included(&scored),
                notices: writer.notices(&scored.shortfalls),
            };
            Ok((response, showings))
        };
        let (response, showings) = self.compute.run(&caller, work).await?;
        self.log(&caller, portfolio, showings).await?;
        Ok(Response::new(response))
    }

    type StreamOpportunitiesStream =
        Pin<Box<dyn Stream<Item = Result<v1::StreamOpportunitiesResponse, Status>> + Send>>;

    async fn stream_opportunities(
        &self,
        request: Request<v1::StreamOpportunitiesRequest>,
    ) -> Result<Response<Self::StreamOpportunitiesStream>, Status> {
        let (caller, request) = Caller::of(request)?;
        let mut form = Form::default();
        if request.log_shown && !(1..=MAX_BATCH as u64).contains(&request.limit) {
            form.refuse(
                "limit",
                format!("must be from 1 to {MAX_BATCH} where the rows are logged as shown"),
            );
        }
        let portfolio = form.portfolio(&request.portfolio_id);
        let order = order(&mut form, request.order);
        let language = language(&mut form, "language", request.language);
        let (tenant, (order, language)) =
            self.open(&caller, form, portfolio, order.zip(language))?;
        let portfolio = tenant.book().portfolio().id.clone();
        let work = move || {
            let scored = tenant.scored()?;
            let wanted = request.filter.unwrap_or_default();
            let list = list_name(&request.portfolio_id, &wanted, order);
            let selected = select(&tenant, scored.clone(), &list, &wanted, order)?;
            let limit = match request.limit {
                0 => usize::MAX,
                limit => usize::try_from(limit).unwrap_or(usize::MAX),
            };
            let showings = match request.log_shown {
                true => selected.showings(0, limit),
                false => Vec::new(),
            };
            let rows: Vec<Opportunity> = selected.rows(0, limit).collect();
            let sequence = tenant.included(&scored);
            Ok(((scored, rows, sequence), showings))
        };
        let (rows, showings) = self.compute.run(&caller, work).await?;
        self.log(&caller, portfolio, showings).await?;
        let (answers, stream) = mpsc::channel(2);
        tokio::spawn(stream_rows(rows, language, answers));
        Ok(Response::new(Box::pin(ReceiverStream::new(stream))))
    }

    async fn plan_pipeline(
        &self,
        request: Request<v1::PlanPipelineRequest>,
    ) -> Result<Response<v1::PlanPipelineResponse>, Status> {
        self.planned(request).await
    }

    async fn explain_opportunity(
        &self,
        request: Request<v1::ExplainOpportunityRequest>,
    ) -> Result<Response<v1::ExplainOpportunityResponse>, Status> {
        self.explained(request).await
    }

    async fn find_similar_clients(
        &self,
        request: Request<v1::FindSimilarClientsRequest>,
    ) -> Result<Response<v1::FindSimilarClientsResponse>, Status> {
        let (caller, request) = Caller::of(request)?;
        let mut form = Form::default();
        let portfolio = form.portfolio(&request.portfolio_id);
        let client = form.client("client_id", &request.client_id);
        let rows = form.size("max_clients", request.max_clients, DEFAULT_ROWS, MAX_ROWS);
        let (tenant, client) = self.open(&caller, form, portfolio, client)?;
        self.compute(&caller, move || {
            let moment = tenant.moment();
            let book = &moment.book;
            let (number, _) = book.client(&client)?;
            let (similar, shortfalls) = tenant.similar(&moment, number, rows)?;
            let clients = similar.iter().filter_map(|similar| {
                let client = book.clients().get(similar.client.0)?;
                Some(v1::SimilarClient {
                    client_id: client.id.to_string(),
                    name: client.name.to_string(),
                    similarity: similar.similarity,
                    common_products: similar.common_products,
                    size_ratio: similar.size_ratio,
                })
            });
            let writer = Writer {
                book,
                language: book.portfolio().language,
            };
            Ok(v1::FindSimilarClientsResponse {
                clients: clients.collect(),
                notices: writer.notices(&shortfalls),
                sequence: book.sequence(),
            })
        })
        .await
    }

    async fn recommend_what_if(
        &self,
        request: Request<v1::RecommendWhatIfRequest>,
    ) -> Result<Response<v1::RecommendWhatIfResponse>, Status> {
        let (caller, request) = Caller::of(request)?;
        let mut form = Form::default();
        let portfolio = form.portfolio(&request.portfolio_id);
        // Its list may be long, and not worth a look now. What else is wrong is said once all is read.
        if let Some(portfolio) = &portfolio
            && self.gate.tenant(&caller, portfolio).is_ok()
        {
            self.compute.knock(&caller)?;
        }
        let rows = form.size("max_per_kind", request.max_per_kind, DEFAULT_ROWS, MAX_ROWS);
        let language = language(&mut form, "language", request.language);
        let attributes = form.attributes("attributes", &request.attributes);
        let client = match request.client_id.as_str() {
            "" => Some(None),
            raw => form.client("client_id", raw).map(Some),
        };
        let tickets = supposed_tickets(&mut form, &request.tickets);
        let wanted = language.zip(attributes).zip(client);
        let (tenant, ((language, attributes), client)) =
            self.open(&caller, form, portfolio, wanted)?;
        self.compute(&caller, move || {
            let moment = tenant.moment();
            let book = &moment.book;
            let client = client
                .map(|id| book.client(&id).map(|(number, _)| number))
                .transpose()?;
            let mut numbered = Vec::with_capacity(tickets.len());
            for (at, (product, ticket_minor)) in tickets.iter().enumerate() {
                let (number, _) = book
                    .product(product)
                    .map_err(|_| unknown_product(at, product))?;
                numbered.push((number, *ticket_minor));
            }
            let supposed = Supposed {
                client,
                tickets: numbered,
                attributes,
            };
            let advice = tenant.suppose(&moment, &supposed)?;
            let answer = Shown::of(book, language, advice, rows, client.is_none());
            Ok(v1::RecommendWhatIfResponse {
                currency: answer.currency,
                upsell: answer.upsell,
                upsell_total_minor: answer.upsell_total_minor,
                cross_sell: answer.cross_sell,
                cross_sell_total_minor: answer.cross_sell_total_minor,
                notices: answer.notices,
                sequence: book.sequence(),
            })
        })
        .await
    }
}

impl Api {
    /// The portfolio that a request is for, once all its fields are read.
    pub(super) fn open<T>(
        &self,
        caller: &Caller,
        form: Form,
        portfolio: Option<PortfolioId>,
        rest: Option<T>,
    ) -> Result<(Arc<Tenant>, T), Status> {
        let (portfolio, rest) = form.finish(portfolio.zip(rest))?;
        Ok((self.gate.tenant(caller, &portfolio)?, rest))
    }

    pub(super) async fn compute<T: Send + 'static>(
        &self,
        caller: &Caller,
        work: impl FnOnce() -> Result<T, Status> + Send + 'static,
    ) -> Result<Response<T>, Status> {
        self.compute.run(caller, work).await.map(Response::new)
    }
}

/// The answer of RecommendForClient. Nothing is shown of a client that is held out.
fn for_client(
    book: &Book,
    client: &ClientId,
    language: Option<Language>,
    mut advice: Advice,
    rows: usize,
) -> v1::RecommendForClientResponse {
    if advice.shortfalls.contains(&Shortfall::HeldOut) {
        advice.opportunities.clear();
        advice.keep.clear();
        advice.shortfalls = BTreeSet::from([Shortfall::HeldOut]);
    }
    let answer = Shown::of(book, language, advice, rows, false);
    v1::RecommendForClientResponse {
        client_id: client.to_string(),
        currency: answer.currency,
        upsell: answer.upsell,
        upsell_total_minor: answer.upsell_total_minor,
        cross_sell: answer.cross_sell,
        cross_sell_total_minor: answer.cross_sell_total_minor,
        keep: answer.keep,
        keep_total_minor: answer.keep_total_minor,
        notices: answer.notices,
        sequence: book.sequence(),
    }
}

/// The answer of a recommendation, written.
struct Shown {
    currency: String,
    upsell: Vec<v1::Opportunity>,
    upsell_total_minor: i64,
    cross_sell: Vec<v1::Opportunity>,
    cross_sell_total_minor: i64,
    keep: Vec<v1::Opportunity>,
    keep_total_minor: i64,
    notices: Vec<v1::Notice>,
}

impl Shown {
    /// Upsell by gain, cross-sell and what keeps the client by priority, at most `rows` of each.
    fn of(
        book: &Book,
        language: Option<Language>,
        advice: Advice,
        rows: usize,
        supposed: bool,
    ) -> Self {
        let writer = Writer {
            book,
            language: language.unwrap_or(book.portfolio().language),
        };
        let [upsell, cross_sell, keep] = chosen(&advice, rows);
        let written = |rows: &[&Opportunity]| {
            rows.iter()
                .map(|row| writer.opportunity(row, supposed))
                .collect()
        };
        Self {
            currency: book.portfolio().currency.to_string(),
            upsell_total_minor: total_gain(upsell.iter().copied()),
            upsell: written(&upsell),
            cross_sell_total_minor: total_gain(cross_sell.iter().copied()),
            cross_sell: written(&cross_sell),
            keep_total_minor: total_gain(keep.iter().copied()),
            keep: written(&keep),
            notices: writer.notices(&advice.shortfalls),
        }
    }
}

/// Upsell by gain, cross-sell and what keeps the client by priority, at most `rows` of each.
fn chosen(advice: &Advice, rows: usize) -> [Vec<&Opportunity>; 3] {
    let of = |kind: Kind| {
        let offers = advice.opportunities.iter();
        offers.filter(|row| row.kind == kind).collect()
    };
    let mut lists = [
        (of(Kind::Upsell), Order::Gain),
        (of(Kind::CrossSell), Order::Priority),
        (advice.keep.iter().collect::<Vec<_>>(), Order::Priority),
    ];
    for (list, order) in &mut lists {
        list.sort_by(|a, b| order.compare(a, b));
        list.truncate(rows);
    }
    lists.map(|(list, _)| list)
}

/// Supposed tickets, by the caller's ids.
fn supposed_tickets(form: &mut Form, tickets: &[v1::TicketToSet]) -> Vec<(ProductId, i64)> {
    if tickets.len() > MAX_BATCH {
        form.refuse(
            "tickets",
            format!("has {} items; at most {}", tickets.len(), MAX_BATCH),
        );
        return Vec::new();
    }
    let mut seen = BTreeSet::new();
    let mut supposed = Vec::with_capacity(tickets.len());
    for (at, wire) in tickets.iter().enumerate() {
        let field = ItemField::of("tickets", at);
        if !(0..=MAX_AMOUNT_MINOR).contains(&wire.ticket_minor) {
            form.refuse(
                field("ticket_minor"),
                format!("must be from 0 to {MAX_AMOUNT_MINOR} minor units"),
            );
        }
        if !wire.client_id.is_empty() {
            form.refuse(
                field("client_id"),
                "must be left empty: the tickets are those of one supposed client",
            );
        }
        if let Some(product) = form.product(field("product_id"), &wire.product_id) {
            if !seen.insert(product.clone()) {
                form.refuse(field("product_id"), "names the same product a second time");
            }
            supposed.push((product, wire.ticket_minor));
        }
    }
    supposed
}

fn unknown_product(at: usize, product: &ProductId) -> Refusal {
    let reason = format!("names the product '{product}', which is not in the portfolio");
    Refusal::Invalid(vec![Violation::new(
        format!("tickets[{at}].product_id"),
        reason,
    )])
}

/// A list by everything that tells it from another.
fn list_name(portfolio: &str, filter: &v1::OpportunityFilter, order: Order) -> String {
    format!(
        "opportunities of {portfolio} by {order:?} where {:02x?}",
        filter.encode_to_vec()
    )
}

/// Sends rows as the caller takes them; a slow caller holds no thread.
async fn stream_rows(
    (scored, rows, sequence): (Arc<Scored>, Vec<Opportunity>, u64),
    language: Option<Language>,
    answers: mpsc::Sender<Result<v1::StreamOpportunitiesResponse, Status>>,
) {
    let book = &scored.moment.book;
    for rows in rows.chunks(STREAM_CHUNK) {
        let writer = Writer {
            book,
            language: language.unwrap_or(book.portfolio().language),
        };
        let message = v1::StreamOpportunitiesResponse {
            opportunities: rows
                .iter()
                .map(|row| writer.opportunity(row, false))
                .collect(),
            currency: book.portfolio().currency.to_string(),
            sequence,
        };
        if answers.send(Ok(message)).await.is_err() {
            return;
        }
    }
}
