//! Receipts of opportunities, asked for one by one.

use tonic::{Request, Response, Status};

use super::access::Caller;
use super::form::Form;
use super::opportunities::{Writer, kind};
use super::portfolios::language;
use super::{Api, receipts};
use crate::domain::{ClientId, Kind, ProductId, Violation};
use crate::engine::Refusal;
use crate::wire::v1;

impl Api {
    pub(super) async fn explained(
        &self,
        request: Request<v1::ExplainOpportunityRequest>,
    ) -> Result<Response<v1::ExplainOpportunityResponse>, Status> {
        let (caller, request) = Caller::of(request)?;
        let mut form = Form::default();
        let portfolio = form.portfolio(&request.portfolio_id);
        let client: Option<ClientId> = form.client("client_id", &request.client_id);
        let product: Option<ProductId> = form.product("product_id", &request.product_id);
        let kind = kind(&mut form, "kind", request.kind);
        let language = language(&mut form, "language", request.language);
        let wanted = client.zip(product).zip(kind.zip(language));
        let (tenant, ((client, product), (kind, language))) =
            self.open(&caller, form, portfolio, wanted)?;
        self.compute(&caller, move || {
            let moment = tenant.moment();
            let book = &moment.book;
            let (client_no, _) = book.client(&client)?;
            let (product_no, _) = book.product(&product)?;
            let model = tenant.model(&moment)?;
            let writer = Writer {
                book,
                language: language.unwrap_or(book.portfolio().language),
            };
            let bought = book.matrix().cell(client_no, product_no).is_some();
            let kind = kind.unwrap_or(if bought { Kind::Upsell } else { Kind::CrossSell });
            if kind.sells() && bought != (kind == Kind::Upsell) {
                let reason = match bought {
                    true => "is CROSS_SELL, but the client buys the product: ask for UPSELL",
                    false => {
                        "is UPSELL, but the client does not buy the product: ask for CROSS_SELL"
                    }
                };
                return Err(Refusal::Invalid(vec![Violation::new("kind", reason)]).into());
            }
            let (opportunity, receipt) = if kind.sells() {
                let explained = tenant.explain(&moment, client_no, product_no)?;
                let (opportunity, receipt) = explained.ok_or_else(|| {
                    let text = format!(
                        "no figure is published for the client '{client}' and the product '{product}': too few similar clients buy it, or too little is known of the client"
                    );
                    Refusal::Precondition(text)
                })?;
                let digits = model.recipe().offer.significant_digits;
                let receipt = receipts::to_wire(&receipt, digits, model.correction());
                (opportunity, receipt)
            } else {
                let explained = tenant.explain_kept(&moment, client_no, product_no, kind)?;
                let kept = explained.ok_or_else(|| {
                    let text = format!(
                        "the client '{client}' has no {} of the product '{product}'",
                        kind.name()
                    );
                    Refusal::Precondition(text)
                })?;
                let receipt = receipts::kept_to_wire(&kept, book, model.recipe());
                (kept.opportunity, receipt)
            };
            Ok(v1::ExplainOpportunityResponse {
                opportunity: Some(writer.opportunity(&opportunity, false)),
                receipt: Some(receipt),
                sequence: book.sequence(),
            })
        })
        .await
    }
}
