//! What every call needs. A call that is not in the table is let in for nobody.

use crate::domain::Role;

/// What a call needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    /// Nothing: it tells what is public anyway.
    Nothing,
    /// A key to the portfolio that it is about, with a role that covers this one.
    Role(Role),
    /// The operator's key.
    Operator,
}

const READER: Need = Need::Role(Role::Reader);
const WRITER: Need = Need::Role(Role::Writer);
const OUTCOME: Need = Need::Role(Role::OutcomeOnly);
const ADMIN: Need = Need::Role(Role::Admin);

/// Every call by its path.
const CALLS: [(&str, Need); 50] = [
    ("/grpc.health.v1.Health/Check", Need::Nothing),
    ("/grpc.health.v1.Health/Watch", Need::Nothing),
    (
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        Need::Nothing,
    ),
    (
        "/carteira.v1.PortfolioService/CreatePortfolio",
        Need::Operator,
    ),
    ("/carteira.v1.PortfolioService/GetPortfolio", READER),
    (
        "/carteira.v1.PortfolioService/ListPortfolios",
        Need::Operator,
    ),
    ("/carteira.v1.PortfolioService/UpdatePortfolio", ADMIN),
    (
        "/carteira.v1.PortfolioService/DeletePortfolio",
        Need::Operator,
    ),
    ("/carteira.v1.PortfolioService/CreateApiKey", ADMIN),
    ("/carteira.v1.PortfolioService/ListApiKeys", ADMIN),
    ("/carteira.v1.PortfolioService/RevokeApiKey", ADMIN),
    ("/carteira.v1.CatalogService/BatchUpsertClients", WRITER),
    ("/carteira.v1.CatalogService/GetClient", READER),
    ("/carteira.v1.CatalogService/ListClients", READER),
    ("/carteira.v1.CatalogService/DeleteClient", ADMIN),
    ("/carteira.v1.CatalogService/ExportClient", ADMIN),
    ("/carteira.v1.CatalogService/BatchUpsertProducts", WRITER),
    ("/carteira.v1.CatalogService/GetProduct", READER),
    ("/carteira.v1.CatalogService/ListProducts", READER),
    ("/carteira.v1.CatalogService/DeleteProduct", ADMIN),
    ("/carteira.v1.CatalogService/RecordClientEvents", WRITER),
    ("/carteira.v1.TicketService/RecordSales", WRITER),
    ("/carteira.v1.TicketService/StreamSales", WRITER),
    ("/carteira.v1.TicketService/SetTickets", WRITER),
    ("/carteira.v1.TicketService/GetClientTickets", READER),
    ("/carteira.v1.TicketService/ExportTickets", READER),
    (
        "/carteira.v1.RecommendationService/RecommendForClient",
        READER,
    ),
    (
        "/carteira.v1.RecommendationService/ListOpportunities",
        READER,
    ),
    (
        "/carteira.v1.RecommendationService/StreamOpportunities",
        READER,
    ),
    ("/carteira.v1.RecommendationService/PlanPipeline", READER),
    (
        "/carteira.v1.RecommendationService/ExplainOpportunity",
        READER,
    ),
    (
        "/carteira.v1.RecommendationService/FindSimilarClients",
        READER,
    ),
    ("/carteira.v1.RecommendationService/RecommendWhatIf", READER),
    ("/carteira.v1.OutcomeService/RecordOutcomes", OUTCOME),
    ("/carteira.v1.OutcomeService/ListOutcomes", READER),
    ("/carteira.v1.OutcomeService/GetEffectReport", READER),
    ("/carteira.v1.InsightService/GetPortfolioSummary", READER),
    ("/carteira.v1.InsightService/ListClientInsights", READER),
    ("/carteira.v1.InsightService/ListSegments", READER),
    ("/carteira.v1.InsightService/SetObjective", WRITER),
    ("/carteira.v1.InsightService/RecordActions", WRITER),
    ("/carteira.v1.InsightService/ListObjectives", READER),
    ("/carteira.v1.InsightService/DeleteObjective", WRITER),
    ("/carteira.v1.InsightService/GetIdealClientProfile", READER),
    ("/carteira.v1.InsightService/RankProspects", READER),
    ("/carteira.v1.ModelService/ListRecipes", Need::Nothing),
    ("/carteira.v1.ModelService/GetRecipe", READER),
    ("/carteira.v1.ModelService/SetRecipe", ADMIN),
    ("/carteira.v1.ModelService/EvaluateRecipe", READER),
    ("/carteira.v1.ModelService/GetEvaluation", READER),
];

/// What the call of a path needs; `None` for a path that is none of ours.
pub(super) fn need(path: &str) -> Option<Need> {
    let row = CALLS.iter().find(|(of, _)| *of == path);
    row.map(|(_, need)| *need)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use prost::Message;

    use super::*;

    #[test]
    fn every_call_of_the_contract_has_its_row_and_no_row_is_left_over() {
        let files = [
            crate::wire::DESCRIPTORS,
            tonic_health::pb::FILE_DESCRIPTOR_SET,
        ];
        let mut paths =
            BTreeSet::from(
                ["/grpc.reflection.v1.ServerReflection/ServerReflectionInfo".to_owned()],
            );
        for file in files
            .iter()
            .flat_map(|bytes| prost_types::FileDescriptorSet::decode(*bytes).unwrap().file)
        {
            for service in &file.service {
                for method in &service.method {
                    paths.insert(format!(
                        "/{}.{}/{}",
                        file.package(),
                        service.name(),
                        method.name()
                    ));
                }
            }
        }
        let rows: Vec<&str> = CALLS.iter().map(|(path, _)| *path).collect();
        let known: BTreeSet<String> = rows.iter().map(|path| (*path).to_owned()).collect();
        assert_eq!(known, paths);
        assert_eq!(known.len(), rows.len(), "a path has two rows");
        assert_eq!(need("/carteira.v1.ModelService/NoSuch"), None);
    }
}
