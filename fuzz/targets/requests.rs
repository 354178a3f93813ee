//! The first byte chooses a call, the rest is its request.
#![no_main]

use std::cell::OnceCell;

use carteira::doors::Requests;
use libfuzzer_sys::fuzz_target;
use tokio::runtime::{Builder, Runtime};

const CALLS: [&str; 12] = [
    "CatalogService/BatchUpsertClients",
    "CatalogService/BatchUpsertProducts",
    "CatalogService/RecordClientEvents",
    "TicketService/RecordSales",
    "TicketService/SetTickets",
    "RecommendationService/ListOpportunities",
    "RecommendationService/RecommendWhatIf",
    "OutcomeService/RecordOutcomes",
    "InsightService/ListClientInsights",
    "PortfolioService/CreatePortfolio",
    "PortfolioService/UpdatePortfolio",
    "ModelService/SetRecipe",
];

thread_local! {
    static OPEN: OnceCell<(Runtime, Requests)> = const { OnceCell::new() };
}

fuzz_target!(|bytes: &[u8]| {
    let Some((call, request)) = bytes.split_first() else {
        return;
    };
    OPEN.with(|open| {
        let (runtime, requests) = open.get_or_init(|| {
            let folder = tempfile::tempdir().unwrap().keep();
            let runtime = Builder::new_current_thread().enable_all().build().unwrap();
            (runtime, Requests::open(&folder).unwrap())
        });
        let call = CALLS[usize::from(*call) % CALLS.len()];
        runtime.block_on(requests.send(call, request));
    });
});
