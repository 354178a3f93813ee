//! What callers send, thrown open for tests: see `crate::doors`.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use tokio_stream::StreamExt;
use tonic::{Code, Request, Status};

use super::access::{Caller, Gate, OperatorKey, presented};
use super::call::Call;
use super::compute::Compute;
use super::limits::Limits;
use super::quota::Quotas;
use super::tickets::SalesBatch;
use super::{Api, token};
use crate::domain::KeyId;
use crate::engine::{Engine, Patience, StartError};
use crate::store::OpenOptions;
use crate::wire::codec::read;
use crate::wire::v1;
use crate::wire::v1::catalog_service_server::CatalogService;
use crate::wire::v1::insight_service_server::InsightService;
use crate::wire::v1::model_service_server::ModelService;
use crate::wire::v1::outcome_service_server::OutcomeService;
use crate::wire::v1::portfolio_service_server::PortfolioService;
use crate::wire::v1::recommendation_service_server::RecommendationService;
use crate::wire::v1::ticket_service_server::TicketService;

/// The most messages of a streamed answer that are taken.
const MESSAGES: usize = 16;

/// A text shown as a key.
pub fn key(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let _ = presented(&text);
    let _ = OperatorKey::parse(&text);
    let _ = KeyId::parse(&text);
}

/// A text sent as a page token.
pub fn page_token(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let _ = token::decode::<token::Place>("list", &text);
    let _ = token::decode::<u32>("list", &text);
}

/// Every call of the contract without a transport: decoded, validated and answered.
#[derive(Debug)]
pub struct Requests {
    api: Api,
    limits: Limits,
}

impl Requests {
    /// On a data folder.
    pub fn open(dir: &Path) -> Result<Self, StartError> {
        let options = OpenOptions {
            free_floor_bytes: 0,
            ..OpenOptions::default()
        };
        let engine = Arc::new(Engine::open(dir, &options)?);
        let limits = Limits {
            portfolio_rate: 0,
            ..Limits::default()
        };
        let started = |name, rules| Compute::start(name, 1, rules).map_err(StartError::Thread);
        Ok(Self {
            api: Api {
                gate: Gate::new(engine, Quotas::new(&limits)),
                compute: started("compute", limits.queue())?,
                evaluations: started("evaluate", limits.patient_queue())?,
            },
            limits,
        })
    }

    /// Sends the bytes of a request to a call, `Service/Method`; the code of the answer, or nothing where there is
    /// no such call.
    pub async fn send(&self, call: &str, bytes: &[u8]) -> Option<Code> {
        let api = &self.api;
        macro_rules! calls {
            ($($service:ident { $($name:literal $method:ident $request:ident;)* })*) => {
                match call {
                    $($(concat!(stringify!($service), "/", $name) => {
                        let answer = match read::<v1::$request>(bytes) {
                            Ok(message) => $service::$method(api, self.trusted(message)).await.map(drop_answer),
                            Err(status) => Err(status),
                        };
                        Some(answer.map_or_else(|status| status.code(), |()| Code::Ok))
                    })*)*
                    "TicketService/StreamSales" => Some(sales_batch(bytes)),
                    "RecommendationService/StreamOpportunities" => Some(match read(bytes) {
                        Ok(message) => match api.stream_opportunities(self.trusted(message)).await {
                            Ok(answer) => drain(answer.into_inner()).await,
                            Err(status) => status.code(),
                        },
                        Err(status) => status.code(),
                    }),
                    "TicketService/ExportTickets" => Some(match read(bytes) {
                        Ok(message) => match api.export_tickets(self.trusted(message)).await {
                            Ok(answer) => drain(answer.into_inner()).await,
                            Err(status) => status.code(),
                        },
                        Err(status) => status.code(),
                    }),
                    "ModelService/EvaluateRecipe" => Some(match read(bytes) {
                        Ok(message) => match api.evaluate_recipe(self.trusted(message)).await {
                            Ok(answer) => drain(answer.into_inner()).await,
                            Err(status) => status.code(),
                        },
                        Err(status) => status.code(),
                    }),
                    _ => None,
                }
            };
        }
        calls! {
            PortfolioService {
                "CreatePortfolio" create_portfolio CreatePortfolioRequest;
                "GetPortfolio" get_portfolio GetPortfolioRequest;
                "ListPortfolios" list_portfolios ListPortfoliosRequest;
                "UpdatePortfolio" update_portfolio UpdatePortfolioRequest;
                "DeletePortfolio" delete_portfolio DeletePortfolioRequest;
                "CreateApiKey" create_api_key CreateApiKeyRequest;
                "ListApiKeys" list_api_keys ListApiKeysRequest;
                "RevokeApiKey" revoke_api_key RevokeApiKeyRequest;
            }
            CatalogService {
                "BatchUpsertClients" batch_upsert_clients BatchUpsertClientsRequest;
                "GetClient" get_client GetClientRequest;
                "ListClients" list_clients ListClientsRequest;
                "DeleteClient" delete_client DeleteClientRequest;
                "ExportClient" export_client ExportClientRequest;
                "BatchUpsertProducts" batch_upsert_products BatchUpsertProductsRequest;
                "GetProduct" get_product GetProductRequest;
                "ListProducts" list_products ListProductsRequest;
                "DeleteProduct" delete_product DeleteProductRequest;
                "RecordClientEvents" record_client_events RecordClientEventsRequest;
            }
            TicketService {
                "RecordSales" record_sales RecordSalesRequest;
                "SetTickets" set_tickets SetTicketsRequest;
                "GetClientTickets" get_client_tickets GetClientTicketsRequest;
            }
            RecommendationService {
                "RecommendForClient" recommend_for_client RecommendForClientRequest;
                "ListOpportunities" list_opportunities ListOpportunitiesRequest;
                "ExplainOpportunity" explain_opportunity ExplainOpportunityRequest;
                "FindSimilarClients" find_similar_clients FindSimilarClientsRequest;
                "RecommendWhatIf" recommend_what_if RecommendWhatIfRequest;
                "PlanPipeline" plan_pipeline PlanPipelineRequest;
            }
            OutcomeService {
                "RecordOutcomes" record_outcomes RecordOutcomesRequest;
                "ListOutcomes" list_outcomes ListOutcomesRequest;
                "GetEffectReport" get_effect_report GetEffectReportRequest;
            }
            InsightService {
                "GetPortfolioSummary" get_portfolio_summary GetPortfolioSummaryRequest;
                "ListClientInsights" list_client_insights ListClientInsightsRequest;
                "ListSegments" list_segments ListSegmentsRequest;
                "SetObjective" set_objective SetObjectiveRequest;
                "RecordActions" record_actions RecordActionsRequest;
                "ListObjectives" list_objectives ListObjectivesRequest;
                "DeleteObjective" delete_objective DeleteObjectiveRequest;
                "GetIdealClientProfile" get_ideal_client_profile GetIdealClientProfileRequest;
                "RankProspects" rank_prospects RankProspectsRequest;
            }
            ModelService {
                "ListRecipes" list_recipes ListRecipesRequest;
                "GetRecipe" get_recipe GetRecipeRequest;
                "SetRecipe" set_recipe SetRecipeRequest;
                "GetEvaluation" get_evaluation GetEvaluationRequest;
            }
        }
    }

    /// A message as it comes from whoever calls a server without keys.
    fn trusted<T>(&self, message: T) -> Request<T> {
        let call = Call::new(Patience::until(Instant::now() + self.limits.call));
        let mut request = Request::new(message);
        request.extensions_mut().insert(Caller::trusted(call));
        request
    }
}

fn drop_answer<T>(_: tonic::Response<T>) {}

/// One batch of a stream, as far as it is read.
fn sales_batch(bytes: &[u8]) -> Code {
    let batch = read::<v1::StreamSalesRequest>(bytes).and_then(|message| {
        SalesBatch::read(
            &message.portfolio_id,
            &message.currency,
            &message.request_id,
            &message.sales,
        )
    });
    batch.map_or_else(|status| status.code(), |_| Code::Ok)
}

async fn drain<T>(
    mut answers: impl tokio_stream::Stream<Item = Result<T, Status>> + Unpin,
) -> Code {
    for _ in 0..MESSAGES {
        match answers.next().await {
            None => break,
            Some(Ok(_)) => {}
            Some(Err(status)) => return status.code(),
        }
    }
    Code::Ok
}
