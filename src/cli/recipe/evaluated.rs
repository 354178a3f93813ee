//! A recipe tried on the history that a server has.

use anyhow::{Context, anyhow};
use indicatif::{ProgressBar, ProgressStyle};

use super::{EvaluateArgs, shown};
use crate::cli::connect::{block_on, explain};
use crate::cli::setting;
use crate::wire::v1;
use crate::wire::v1::evaluate_recipe_response::Result as Step;
use crate::wire::v1::model_service_client::ModelServiceClient;

/// Steps that the bar has.
const STEPS: f64 = 1_000.0;

/// Asks for an evaluation, shows how far it is, prints it.
pub(super) fn evaluate(args: &EvaluateArgs) -> anyhow::Result<()> {
    let request = v1::EvaluateRecipeRequest {
        portfolio_id: args.portfolio.portfolio.clone(),
        cut_month: args.cut_month.clone().unwrap_or_default(),
        horizon_months: args.horizon_months,
        overrides: setting::overrides(&args.settings),
        with_report: args.report.is_some(),
    };
    let bar = ProgressBar::new(STEPS as u64);
    if let Ok(style) = ProgressStyle::with_template("evaluating {wide_bar} {percent} % {elapsed}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(std::time::Duration::from_millis(200));
    let finished = block_on(async {
        let (channel, _) = args.portfolio.open().await?;
        // A page with plots is larger than a library's usual 4 MiB where a book has many segments.
        let mut service = ModelServiceClient::new(channel).max_decoding_message_size(64 << 20);
        let answer = service.evaluate_recipe(request).await;
        let mut steps = answer.map_err(|status| explain(&status))?.into_inner();
        while let Some(step) = steps.message().await.map_err(|status| explain(&status))? {
            match step.result {
                Some(Step::Progress(share)) => bar.set_position((share * STEPS) as u64),
                Some(Step::Finished(finished)) => return Ok(finished),
                None => {}
            }
        }
        Err(anyhow!(
            "the server ended the evaluation without a result; its log has the details"
        ))
    })?;
    bar.finish_and_clear();
    if let Some(path) = &args.report {
        std::fs::write(path, &finished.report_html)
            .with_context(|| format!("cannot write {}; name another file", path.display()))?;
        eprintln!("the report is in {}", path.display());
    }
    shown::print(args.output, &finished.evaluation.unwrap_or_default())
}
