//! A recipe tried on a portfolio's own history, on request and by itself.

use std::collections::BTreeMap;
use std::time::SystemTime;

use super::moments::Moment;
use super::recipes::{recipe_of, recipe_with};
use super::tenant::Tenant;
use super::{EngineError, Refusal};
use crate::domain::{DAYS_PER_MONTH, Month, Text, Violation};
use crate::evaluate::{EvaluateError, Evaluation, GoOn, Horizon, Input, Plan, evaluate};
use crate::matrix::PurchaseLog;
use crate::recommend::Recipe;

/// The most months that are foretold.
pub const MAX_HORIZON_MONTHS: u32 = 24;
/// Of a short history at most this share is kept back to look at.
const LEAST_LEARNT_SHARE: f64 = 0.5;

/// What to try.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Wanted {
    /// The first month that is not shown; as far before the end as is foretold where it is not said.
    pub cut: Option<Month>,
    /// Months to foretell; the recipe's horizon where it is not said, less where history is short.
    pub months: Option<u32>,
    /// Parameters in place of the portfolio's own.
    pub overrides: Option<BTreeMap<Text, f64>>,
}

/// What came of trying a recipe.
#[derive(Debug, Clone)]
pub struct Evaluated {
    /// The figures.
    pub evaluation: Evaluation,
    /// Parameters that were set otherwise than in the recipe.
    pub overrides: BTreeMap<Text, f64>,
    /// The write counter of the book that it looked at.
    pub sequence: u64,
    /// When.
    pub at: SystemTime,
}

impl Tenant {
    /// Tries a recipe on the portfolio's history. Nothing is written, and what is offered stays as it
    /// is. `go_on` is told the share that is done and may break. Cost: see [`evaluate`].
    pub fn evaluate(
        &self,
        moment: &Moment,
        wanted: &Wanted,
        go_on: GoOn<'_>,
    ) -> Result<Evaluated, EngineError> {
        let book = &moment.book;
        let overrides = match &wanted.overrides {
            Some(overrides) => overrides.clone(),
            None => book.portfolio().recipe_overrides.clone(),
        };
        let recipe = match &wanted.overrides {
            Some(overrides) => recipe_with(overrides, "overrides")?,
            None => recipe_of(book.portfolio())?,
        };
        let log = book.whole_purchase_log();
        let none = BTreeMap::new();
        let attributes = (0..book.clients().numbers() as u32)
            .map(|number| {
                let client = book.clients().get(number);
                client.map_or(&none, |client| &client.attributes)
            })
            .collect();
        let input = Input {
            log: &log,
            tickets: log.is_empty().then(|| book.matrix()),
            attributes,
            products: &moment.view().products,
        };
        let plan = Plan {
            horizon: horizon(&log, wanted, &recipe)?,
            least_buyers: 1,
        };
        let evaluation = evaluate(&input, &plan, &recipe, go_on).map_err(|error| match error {
            // Nobody asked for this cut: there is no better one.
            EvaluateError::CutOutside { .. } if wanted.cut.is_none() => Refusal::Precondition(
                "the sales are all of one month; a recipe is tried on a history of two or more"
                    .into(),
            )
            .into(),
            error => refusal(error),
        })?;
        Ok(Evaluated {
            evaluation,
            overrides,
            sequence: book.sequence(),
            at: SystemTime::now(),
        })
    }
}

/// Where to cut. Sales are kept by month, so a cut is the first of one.
fn horizon(
    log: &PurchaseLog,
    wanted: &Wanted,
    recipe: &Recipe,
) -> Result<Option<Horizon>, EngineError> {
    let Some((first, last)) = log.days() else {
        return match wanted.cut {
            Some(_) => Err(refusal(EvaluateError::NoDates)),
            None => Ok(None),
        };
    };
    let there_are = last.month().number() - first.month().number() + 1;
    let months = wanted.months.map_or_else(
        || {
            let asked = f64::from(recipe.offer.horizon_days) / DAYS_PER_MONTH;
            let most = f64::from(there_are) * (1.0 - LEAST_LEARNT_SHARE);
            asked.round().min(most.floor()).max(1.0) as i32
        },
        |months| months as i32,
    );
    let cut = wanted.cut.unwrap_or_else(|| last.month().plus(1 - months));
    let as_of = cut.day(1);
    // The last month is rarely whole: what there is of it is looked at.
    let end = cut.plus(months).day(1).min(last.plus(1));
    let days = end.epoch_days() - as_of.epoch_days();
    Ok(Some(Horizon {
        as_of,
        days: days.max(0) as u32,
    }))
}

fn refusal(error: EvaluateError) -> EngineError {
    let invalid = |field: &str| {
        let violation = Violation::new(field, error.to_string());
        Refusal::Invalid(vec![violation]).into()
    };
    match error {
        EvaluateError::CutOutside { first, last, .. } => {
            let reason = format!(
                "must be after the month of the first sale, {}, and not after that of the last, {}",
                first.month(),
                last.month()
            );
            Refusal::Invalid(vec![Violation::new("cut_month", reason)]).into()
        }
        EvaluateError::NoDates => invalid("cut_month"),
        EvaluateError::NoDays | EvaluateError::HorizonTooLong { .. } => invalid("horizon_months"),
        EvaluateError::Cancelled => EngineError::Cancelled,
        EvaluateError::NoSales
        | EvaluateError::NoHorizon { .. }
        | EvaluateError::TooLittleHistory { .. } => Refusal::Precondition(error.to_string()).into(),
    }
}
