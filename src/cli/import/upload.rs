//! Batches on their way to the server, in the order of the file.

use std::path::Path;

use anyhow::anyhow;
use indicatif::ProgressBar;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use super::rejects::Rejects;
use super::sales::Read;
use super::{Context, Outcome};
use crate::cli::connect::{Connection, explain};
use crate::wire::v1;
use crate::wire::v1::ticket_service_client::TicketServiceClient;

/// Requests of tickets that are under way at once.
const TICKETS_UNDER_WAY: usize = 4;

/// Rows of one request, and the name that it has in every run.
pub(super) struct Batch {
    pub(super) request_id: String,
    pub(super) items: Items,
}

/// Rows of one request.
pub(super) enum Items {
    /// Dated sales.
    Sales(Vec<v1::Sale>),
    /// Tickets without a date.
    Tickets(Vec<v1::TicketToSet>),
}

impl Items {
    /// No rows yet, and room for so many.
    pub(super) fn new(dated: bool, room: usize) -> Self {
        match dated {
            true => Self::Sales(Vec::with_capacity(room)),
            false => Self::Tickets(Vec::with_capacity(room)),
        }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Sales(sales) => sales.len(),
            Self::Tickets(tickets) => tickets.len(),
        }
    }

    /// Adds a sale.
    pub(super) fn sale(&mut self, sale: v1::Sale) {
        if let Self::Sales(sales) = self {
            sales.push(sale);
        }
    }

    /// Adds a ticket.
    pub(super) fn ticket(&mut self, client: &str, product: &str, ticket_minor: i64) {
        if let Self::Tickets(tickets) = self {
            tickets.push(v1::TicketToSet {
                client_id: client.to_owned(),
                product_id: product.to_owned(),
                ticket_minor,
            });
        }
    }
}

/// Sends dated sales as one stream; the server answers each batch once it is durable.
pub(super) async fn send_sales(
    context: &Context<'_>,
    path: &Path,
    channel: Connection,
    mut batches: mpsc::Receiver<Read>,
    rejects: &mut Rejects,
    bar: &ProgressBar,
) -> anyhow::Result<Outcome> {
    let mut outcome = Outcome::default();
    let (requests, stream) = mpsc::channel::<v1::StreamSalesRequest>(4);
    let mut service = TicketServiceClient::new(channel);
    let mut answers = service
        .stream_sales(ReceiverStream::new(stream))
        .await
        .map_err(|status| explain(&status))?
        .into_inner();
    let mut waiting = std::collections::VecDeque::new();
    let mut requests = Some(requests);
    loop {
        tokio::select! {
            read = batches.recv(), if requests.is_some() && waiting.len() < 8 => match read {
                None => requests = None,
                Some(Read::Bad(row)) => {
                    outcome.rejected += 1;
                    rejects.add(path, &row)?;
                }
                Some(Read::Nothing) => outcome.nothing += 1,
                Some(Read::Batch(Batch { request_id, items: Items::Sales(sales) })) => {
                    let amount: i128 = sales.iter().map(|sale| i128::from(sale.amount_minor)).sum();
                    waiting.push_back((sales.len() as u64, amount));
                    let request = v1::StreamSalesRequest {
                        portfolio_id: context.portfolio.to_owned(),
                        sales,
                        currency: context.currency.to_string(),
                        request_id,
                    };
                    if let Some(requests) = &requests
                        && requests.send(request).await.is_err()
                    {
                        // The answers say why the stream ended.
                        waiting.push_back((0, 0));
                    }
                }
                Some(Read::Batch(_)) => {}
            },
            answer = answers.next() => match answer {
                None if requests.is_none() && waiting.is_empty() => return Ok(outcome),
                None => return Err(anyhow!("the server ended the stream early; run the same command again: what came in is not counted twice")),
                Some(Err(status)) => return Err(stopped(context, path, &status)),
                Some(Ok(answer)) => {
                    if let Some((rows, amount)) = waiting.pop_front() {
                        outcome.accepted += rows;
                        outcome.amount_minor += amount;
                        if answer.repeated {
                            outcome.repeated_rows += rows;
                            outcome.repeated_batches += 1;
                        }
                        bar.inc(rows);
                    }
                }
            },
        }
    }
}

/// Why an import stopped, and how it goes on.
fn stopped(context: &Context<'_>, path: &Path, status: &Status) -> anyhow::Error {
    let details = status.get_error_details();
    let renamed = details.bad_request().is_some_and(|request| {
        let mut violations = request.field_violations.iter();
        violations.any(|violation| violation.field == "request_id")
    });
    if renamed {
        return anyhow!(
            "{} came in within the last 24 hours, with other rows rejected or other flags than now. What came in then stays, and nothing was counted twice. To bring in what was rejected then, run this command with --retry and the reject file of that import, by default {}",
            path.display(),
            context.rejects.display()
        );
    }
    let next = match status.code() {
        Code::InvalidArgument | Code::NotFound | Code::FailedPrecondition => {
            "the import stopped; the batches before this one are in"
        }
        _ => "the import stopped; run the same command again to go on where it stopped",
    };
    explain(status).context(next)
}

/// Sets tickets, a few batches at a time: while some are made durable, others are read and checked.
///
/// The requests have no names: setting the same tickets again changes nothing, and a name would keep them from
/// being set back after others came between. No two batches of a file set the same ticket, so none has to wait
/// for another.
pub(super) async fn send_tickets(
    context: &Context<'_>,
    path: &Path,
    channel: Connection,
    mut batches: mpsc::Receiver<Read>,
    rejects: &mut Rejects,
    bar: &ProgressBar,
) -> anyhow::Result<Outcome> {
    let mut outcome = Outcome::default();
    let service = TicketServiceClient::new(channel);
    let mut under_way = JoinSet::new();
    let mut batches_left = true;
    while batches_left || !under_way.is_empty() {
        tokio::select! {
            read = batches.recv(), if batches_left && under_way.len() < TICKETS_UNDER_WAY => match read {
                None => batches_left = false,
                Some(Read::Bad(row)) => {
                    outcome.rejected += 1;
                    rejects.add(path, &row)?;
                }
                Some(Read::Nothing) => outcome.nothing += 1,
                Some(Read::Batch(Batch { items: Items::Tickets(tickets), .. })) => {
                    let rows = tickets.len() as u64;
                    let amounts = tickets.iter().map(|ticket| i128::from(ticket.ticket_minor));
                    let amount: i128 = amounts.sum();
                    let request = v1::SetTicketsRequest {
                        portfolio_id: context.portfolio.to_owned(),
                        tickets,
                        currency: context.currency.to_string(),
                        request_id: String::new(),
                    };
                    let mut service = service.clone();
                    under_way.spawn(async move {
                        let answer = service.set_tickets(request).await;
                        answer.map(|_| (rows, amount))
                    });
                }
                Some(Read::Batch(_)) => {}
            },
            Some(answer) = under_way.join_next() => {
                let (rows, amount) = answer?.map_err(|status| {
                    explain(&status).context(
                        "the import stopped; run the same command again: tickets that are in are set to the same once more",
                    )
                })?;
                outcome.accepted += rows;
                outcome.amount_minor += amount;
                bar.inc(rows);
            }
        }
    }
    Ok(outcome)
}
