//! A recipe on a user's own files: read, tried, printed, and written as a page.

use std::ops::ControlFlow;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};

use super::{Args, shown};
use crate::cli::import::Remembered;
use crate::cli::usage::usage;
use crate::domain::{ClientNo, ProductNo};
use crate::evaluate::report::{Names, called, report};
use crate::evaluate::{EvaluateError, Evaluation, Horizon, Plan, Trial};

/// Steps that the bar has.
const STEPS: u64 = 1_000;
/// The page.
const REPORT: &str = "report.html";

/// Runs it.
pub(super) fn run(args: &Args, data: &Path) -> anyhow::Result<()> {
    let recipe = super::recipe(&args.settings)?;
    let plan = Plan {
        horizon: match (args.cut, args.horizon) {
            (Some(as_of), Some(days)) => Some(Horizon { as_of, days }),
            _ => None,
        },
        least_buyers: args.min_buyers,
    };
    let bar = bar();
    bar.set_message("reading");
    let book = Remembered::read(data, &args.dialect)?;
    tell_rejected(&bar, &book);
    bar.set_message("learning");
    let go_on = |share: f64| {
        bar.set_position((share * STEPS as f64) as u64);
        ControlFlow::Continue(())
    };
    let tried = Trial::run(&book.input(), &plan, &recipe, &go_on);
    let trial = tried.map_err(|error| with_flags(error, data))?;
    let evaluation = trial.evaluation();
    bar.finish_and_clear();
    tell_limits(&evaluation);
    shown::print(args.output, &evaluation)?;
    let out = args.out.as_deref().unwrap_or(Path::new("."));
    std::fs::create_dir_all(out)
        .with_context(|| format!("cannot make the folder {}", out.display()))?;
    write_report(out, data, &book, &evaluation)?;
    if args.out.is_some() {
        let client = |no: ClientNo| book.client(no).id.as_str();
        let product = |no: ProductNo| book.product(no).id.as_str();
        let rows = trial.write_predictions(out, &client, &product)?;
        eprintln!("{rows} predictions written to {}", out.display());
    }
    Ok(())
}

/// Writes the page; it takes its name when it is whole.
fn write_report(
    out: &Path,
    data: &Path,
    book: &Remembered,
    evaluation: &Evaluation,
) -> anyhow::Result<()> {
    let names = Names {
        book: &data.file_name().unwrap_or_default().to_string_lossy(),
        client: &|no| called(&book.client(no).id, &book.client(no).name),
        product: &|no| called(&book.product(no).id, &book.product(no).name),
    };
    let path = out.join(REPORT);
    let part = out.join(format!("{REPORT}.part"));
    std::fs::write(&part, report(evaluation, &names))
        .and_then(|()| std::fs::rename(&part, &path))
        .with_context(|| {
            format!(
                "cannot write {}; name another folder with --out",
                path.display()
            )
        })?;
    eprintln!("the report is in {}", path.display());
    Ok(())
}

fn tell_rejected(bar: &ProgressBar, book: &Remembered) {
    let Some(first) = &book.first_rejected else {
        return;
    };
    bar.suspend(|| {
        eprintln!(
            "note: {} rows could not be used and are left out; the first: {first}",
            book.rejected
        );
    });
}

/// Says what the figures do not rest on.
fn tell_limits(evaluation: &Evaluation) {
    let Some(span) = &evaluation.span else {
        eprintln!("note: the sales have no dates, so the potential alone is measured");
        return;
    };
    if !span.is_calibrated {
        eprintln!(
            "note: {} days before the cut hold too little to calibrate on ({} adoptions), so probabilities are the recipe's prior; cut later, or choose another horizon",
            span.history_days, span.learnt_adoptions
        );
    }
    if evaluation.book.adoptions == 0 {
        eprintln!(
            "note: no client took up a product that it had not bought before in the {} days from {}; cross-sell cannot be measured: look further ahead, or cut elsewhere",
            span.horizon_days, span.cut
        );
    }
}

/// What to write instead.
fn with_flags(error: EvaluateError, data: &Path) -> anyhow::Error {
    let example = |at: &Horizon| format!("--cut {} --horizon {}", at.as_of, at.days);
    match &error {
        EvaluateError::NoHorizon { suggested, .. }
        | EvaluateError::CutOutside { suggested, .. } => {
            usage(format!("{error}: {}", example(suggested)))
        }
        EvaluateError::HorizonTooLong { there_are, .. } => {
            usage(format!("{error}: --horizon {there_are}"))
        }
        EvaluateError::NoDates => usage(format!(
            "{error}: leave --cut and --horizon out, or add a column `date` to the sales in {}",
            data.display()
        )),
        EvaluateError::NoDays => usage(format!("{error}: --horizon 90")),
        EvaluateError::NoSales
        | EvaluateError::TooLittleHistory { .. }
        | EvaluateError::Cancelled => anyhow::Error::new(error),
    }
}

/// How far it is, on standard error; hidden where that is no terminal.
fn bar() -> ProgressBar {
    let bar = ProgressBar::new(STEPS);
    if let Ok(style) = ProgressStyle::with_template("{msg} {wide_bar} {percent} % {elapsed}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}
