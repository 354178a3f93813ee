//! `TicketService`.

use std::collections::HashSet;
use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt};
use tonic::{Request, Response, Status, Streaming};

use super::Api;
use super::access::Caller;
use super::form::{Form, ItemField};
use super::portfolios::same_currency;
use crate::domain::{
    ClientId, ClientNo, Currency, MAX_AMOUNT_MINOR, MAX_QUANTITY_MILLI, PortfolioId, RequestId,
};
use crate::engine::{Answer, Book, SaleDraft, TicketDraft, TicketLine, Write};
use crate::wire::v1;
use crate::wire::v1::ticket_service_server::TicketService;

/// Answers of a sales stream that wait for the caller to take them; further batches wait as well.
const ANSWERS_WAITING: usize = 8;
/// Tickets in one message of an export.
const EXPORT_CHUNK: usize = 2_000;

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl TicketService for Api {
    async fn record_sales(
        &self,
        request: Request<v1::RecordSalesRequest>,
    ) -> Result<Response<v1::RecordSalesResponse>, Status> {
        let (caller, request) = Caller::of(request)?;
        let batch = SalesBatch::read(
            &request.portfolio_id,
            &request.currency,
            &request.request_id,
            &request.sales,
        )?;
        let answer = self.record(&caller, batch).await?;
        Ok(Response::new(v1::RecordSalesResponse {
            recorded: answer.created,
            replaced: answer.replaced,
            sequence: answer.sequence,
            repeated: answer.repeated,
        }))
    }

    type StreamSalesStream = Answers<v1::StreamSalesResponse>;

    async fn stream_sales(
        &self,
        request: Request<Streaming<v1::StreamSalesRequest>>,
    ) -> Result<Response<Self::StreamSalesStream>, Status> {
        let (caller, mut batches) = Caller::of(request)?;
        let (answers, stream) = mpsc::channel(ANSWERS_WAITING);
        // While one batch is made durable, the next is read and checked, and no more.
        let (read, mut to_record) = mpsc::channel(1);
        tokio::spawn(async move {
            let mut portfolio = None;
            while let Some(message) = batches.next().await {
                let batch =
                    message.and_then(|message| SalesBatch::of_stream(&mut portfolio, &message));
                let stop = batch.is_err();
                if read.send(batch).await.is_err() || stop {
                    return;
                }
            }
        });
        let api = self.clone();
        tokio::spawn(async move {
            while let Some(batch) = to_record.recv().await {
                let answer = match batch {
                    Ok(batch) => api.record(&caller, batch).await,
                    Err(status) => Err(status),
                };
                let stop = answer.is_err();
                let answer = answer.map(|answer| v1::StreamSalesResponse {
                    recorded: answer.created,
                    replaced: answer.replaced,
                    sequence: answer.sequence,
                    repeated: answer.repeated,
                });
                if answers.send(answer).await.is_err() || stop {
                    return;
                }
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(stream))))
    }

    async fn set_tickets(
        &self,
        request: Request<v1::SetTicketsRequest>,
    ) -> Result<Response<v1::SetTicketsResponse>, Status> {
        let (caller, request) = Caller::of(request)?;
        let mut form = Form::default();
        let portfolio = form.portfolio(&request.portfolio_id);
        let currency = form.optional_currency(&request.currency);
        let request_id = form.request_id(&request.request_id);
        form.batch("tickets", &request.tickets);
        let drafts = ticket_drafts(&mut form, &request.tickets);
        let (portfolio, (currency, request_id)) =
            form.finish(portfolio.zip(currency.zip(request_id)))?;
        same_currency(&self.gate.tenant(&caller, &portfolio)?.book(), currency)?;
        let write = Write::SetTickets(drafts);
        let answer = self
            .gate
            .write(&caller, portfolio, request_id, write)
            .await?;
        Ok(Response::new(v1::SetTicketsResponse {
            sequence: answer.sequence,
        }))
    }

    async fn get_client_tickets(
        &self,
        request: Request<v1::GetClientTicketsRequest>,
    ) -> Result<Response<v1::GetClientTicketsResponse>, Status> {
        let (caller, request) = Caller::of(request)?;
        let (book, id) = self.client(&caller, &request.portfolio_id, &request.client_id)?;
        let (client, _) = book.client(&id)?;
        let lines = book.tickets(client);
        let total = lines
            .iter()
            .map(|line| i128::from(line.ticket_minor))
            .sum::<i128>();
        Ok(Response::new(v1::GetClientTicketsResponse {
            tickets: lines.iter().map(|line| to_wire(&book, &id, line)).collect(),
            currency: book.portfolio().currency.to_string(),
            total_ticket_minor: i64::try_from(total).unwrap_or(i64::MAX),
            sequence: book.sequence(),
        }))
    }

    type ExportTicketsStream = Answers<v1::ExportTicketsResponse>;

    async fn export_tickets(
        &self,
        request: Request<v1::ExportTicketsRequest>,
    ) -> Result<Response<Self::ExportTicketsStream>, Status> {
        let (caller, request) = Caller::of(request)?;
        let mut form = Form::default();
        let portfolio = form.portfolio(&request.portfolio_id);
        let book = self.gate.tenant(&caller, &form.finish(portfolio)?)?.book();
        let (answers, stream) = mpsc::channel(2);
        tokio::spawn(export(book, answers));
        Ok(Response::new(Box::pin(ReceiverStream::new(stream))))
    }
}

/// One batch of sales, read.
pub(super) struct SalesBatch {
    portfolio: PortfolioId,
    currency: Option<Currency>,
    request_id: Option<RequestId>,
    sales: Vec<SaleDraft>,
}

impl SalesBatch {
    pub(super) fn read(
        portfolio: &str,
        currency: &str,
        request_id: &str,
        sales: &[v1::Sale],
    ) -> Result<Self, Status> {
        let mut form = Form::default();
        let portfolio = form.portfolio(portfolio);
        let currency = form.optional_currency(currency);
        let request_id = form.request_id(request_id);
        form.batch("sales", sales);
        let mut drafts = Vec::with_capacity(sales.len());
        for (at, wire) in sales.iter().enumerate() {
            if form.is_full() {
                break;
            }
            drafts.extend(sale_draft(&mut form, at, wire));
        }
        let (portfolio, (currency, request_id)) =
            form.finish(portfolio.zip(currency.zip(request_id)))?;
        Ok(Self {
            portfolio,
            currency,
            request_id,
            sales: drafts,
        })
    }

    /// Reads the next batch of a stream, which is for the portfolio of its first one.
    fn of_stream(
        portfolio: &mut Option<PortfolioId>,
        message: &v1::StreamSalesRequest,
    ) -> Result<Self, Status> {
        let batch = Self::read(
            &message.portfolio_id,
            &message.currency,
            &message.request_id,
            &message.sales,
        )?;
        match portfolio {
            None => *portfolio = Some(batch.portfolio.clone()),
            Some(first) if *first != batch.portfolio => {
                let mut form = Form::default();
                form.refuse(
                    "portfolio_id",
                    format!("was '{first}' before; one stream is for one portfolio"),
                );
                form.finish(None::<()>)?;
            }
            Some(_) => {}
        }
        Ok(batch)
    }
}

impl Api {
    async fn record(&self, caller: &Caller, batch: SalesBatch) -> Result<Answer, Status> {
        let SalesBatch {
            portfolio,
            currency,
            request_id,
            sales,
        } = batch;
        same_currency(&self.gate.tenant(caller, &portfolio)?.book(), currency)?;
        let write = Write::RecordSales(sales);
        self.gate.write(caller, portfolio, request_id, write).await
    }
}

fn sale_draft(form: &mut Form, at: usize, wire: &v1::Sale) -> Option<SaleDraft> {
    let field = ItemField::of("sales", at);
    let client = form.client(field("client_id"), &wire.client_id);
    let product = form.product(field("product_id"), &wire.product_id);
    let day = form.day(field("date"), &wire.date);
    if wire.amount_minor == 0 {
        form.refuse(
            field("amount_minor"),
            "must not be 0; send whole minor units, 700000 for 7,000.00",
        );
    } else if !(-MAX_AMOUNT_MINOR..=MAX_AMOUNT_MINOR).contains(&wire.amount_minor) {
        form.refuse(
            field("amount_minor"),
            format!("is out of range; at most {MAX_AMOUNT_MINOR} minor units either way"),
        );
    }
    let quantity_milli = match wire.quantity {
        None => 0,
        Some(quantity)
            if quantity.is_finite() && quantity.abs() <= MAX_QUANTITY_MILLI as f64 / 1_000.0 =>
        {
            (quantity * 1_000.0).round() as i64
        }
        Some(_) => {
            form.refuse(field("quantity"), "must be a finite number of units");
            0
        }
    };
    let sale_id = form.sale_id(field("sale_id"), &wire.sale_id);
    Some(SaleDraft {
        client: client?,
        product: product?,
        day: day?,
        amount_minor: wire.amount_minor,
        quantity_milli,
        sale_id: sale_id?,
    })
}

fn ticket_drafts(form: &mut Form, tickets: &[v1::TicketToSet]) -> Vec<TicketDraft> {
    let mut seen = HashSet::with_capacity(tickets.len());
    let mut drafts = Vec::with_capacity(tickets.len());
    for (at, wire) in tickets.iter().enumerate() {
        if form.is_full() {
            break;
        }
        let field = ItemField::of("tickets", at);
        let client = form.client(field("client_id"), &wire.client_id);
        let product = form.product(field("product_id"), &wire.product_id);
        if !(0..=MAX_AMOUNT_MINOR).contains(&wire.ticket_minor) {
            form.refuse(
                field("ticket_minor"),
                format!("must be from 0 to {MAX_AMOUNT_MINOR} minor units"),
            );
        }
        if !seen.insert((&wire.client_id, &wire.product_id)) {
            form.refuse(
                field("product_id"),
                "names the same client and product a second time",
            );
        }
        if let (Some(client), Some(product)) = (client, product) {
            drafts.push(TicketDraft {
                client,
                product,
                ticket_minor: wire.ticket_minor,
            });
        }
    }
    drafts
}

fn to_wire(book: &Book, client: &ClientId, line: &TicketLine) -> v1::Ticket {
    let product = book.products().get(line.product.0);
    v1::Ticket {
        client_id: client.to_string(),
        product_id: product.map_or(String::new(), |product| product.id.to_string()),
        ticket_minor: line.ticket_minor,
        sales_amount_minor: line.sales_amount_minor,
        last_sale_date: line.last_day.map_or(String::new(), |day| day.to_string()),
        set: line.set,
    }
}

/// Sends tickets as the caller takes them; a slow caller holds no thread.
async fn export(book: Arc<Book>, answers: mpsc::Sender<Result<v1::ExportTicketsResponse, Status>>) {
    let sequence = book.sequence();
    let mut tickets = Vec::with_capacity(EXPORT_CHUNK);
    for number in 0..book.clients().numbers() as u32 {
        let Some(client) = book.clients().get(number) else {
            continue;
        };
        for line in book.tickets(ClientNo(number)) {
            tickets.push(to_wire(&book, &client.id, &line));
        }
        if tickets.len() >= EXPORT_CHUNK {
            let tickets = std::mem::take(&mut tickets);
            if answers
                .send(Ok(v1::ExportTicketsResponse { tickets, sequence }))
                .await
                .is_err()
            {
                return;
            }
        }
    }
    // An empty export still says which moment it is of. Nobody left to hear it is no error.
    let _ = answers
        .send(Ok(v1::ExportTicketsResponse { tickets, sequence }))
        .await;
}
