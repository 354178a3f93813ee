//! The parts of the page: a sentence, a plot, a table.

use maud::{Markup, html};

use super::bars::{self, Written, bars};
use super::dots::{self, dots};
use super::lines::{Curve, Lines};
use super::text::{counted, figure, money as amount, percent, whole_percent};
use super::{Evaluation, Names};
use crate::evaluate::figures::{FIGURES, Figure};
use crate::evaluate::measure::{LEVELS, Pipeline};
use crate::evaluate::{Forecaster, Method, Segment};

const RECIPE: Forecaster = Forecaster::Recipe;
const BEST_SELLERS: Forecaster = Forecaster::BestSellers;

/// When and what was measured.
pub(super) fn span(evaluation: &Evaluation) -> Markup {
    let book = &evaluation.book;
    html! {
        p.quiet {
            @match &evaluation.span {
                Some(span) => {
                    (counted(book.clients as u64)) " clients and " (counted(book.products as u64)) " products. Learnt from the "
                    (span.history_days) " days from " time { (span.first_day) } " to the day before " time { (span.cut) }
                    "; compared with what happened in the " (span.horizon_days) " days from then on. Of "
                    (counted(book.pairs as u64)) " pairs of client and product not bought before, "
                    (counted(book.adoptions as u64)) " were taken up, for " (amount(book.new_money_minor)) " a month."
                    @if book.judged_clients < book.clients {
                        " Judged on " (counted(book.judged_clients as u64)) " of the clients, taken evenly."
                    }
                    @if !span.is_calibrated {
                        " The history holds too little to calibrate probabilities on: they are the recipe's prior."
                    }
                }
                None => {
                    (counted(book.clients as u64)) " clients, " (counted(book.products as u64)) " products and "
                    (counted(book.bought as u64)) " tickets without dates. Nothing can be measured by time; "
                    (counted(book.hidden_tickets as u64)) " tickets were hidden and foretold from the others."
                }
            }
        }
    }
}

/// What it comes to, in a sentence.
pub(super) fn verdict(evaluation: &Evaluation) -> Option<Markup> {
    let recipe = pipeline(evaluation, RECIPE)?;
    let rival = pipeline(evaluation, BEST_SELLERS)?;
    Some(html! {
        p.lead {
            "Whoever had worked the first " (counted(recipe.listed as u64)) " pairs of the recipe's list (1 % of all) would have met "
            strong { (percent(recipe.money)) } " of the new money; a list of best-sellers held " (percent(rival.money))
            ", and the best list there could be " (percent(recipe.money / recipe.money_over_ideal)) ". "
            (percent(recipe.precision)) " of these pairs were taken up, against " (percent(recipe.rate)) " of all pairs."
        }
    })
}

/// Money against the list's length.
fn money_curve(evaluation: &Evaluation) -> Option<Markup> {
    let (recipe, rival) = (
        pipeline(evaluation, RECIPE)?,
        pipeline(evaluation, BEST_SELLERS)?,
    );
    let curve = |class, points: &[crate::evaluate::measure::Point]| Curve {
        class,
        points: points
            .iter()
            .map(|point| (point.pairs, point.money))
            .collect(),
        marked: false,
    };
    let curves = [
        curve("ideal", &recipe.ideal_curve),
        curve("rival", &rival.curve),
        curve("recipe", &recipe.curve),
    ];
    let plot = Lines {
        title: "Share of the new money against the share of all pairs that are worked",
        across: "pairs worked, most expected money first (share of all pairs)",
        up: "share of the new money",
        marks: &[0.0, 0.01, 0.03, 0.06, 0.1, 0.2, 0.4, 0.7, 1.0],
        high: 1.0,
        root: false,
        diagonal: false,
        curves: &curves,
    };
    Some(plot.draw())
}

/// The pipeline.
pub(super) fn money(evaluation: &Evaluation) -> Option<Markup> {
    let (recipe, rival) = (
        pipeline(evaluation, RECIPE)?,
        pipeline(evaluation, BEST_SELLERS)?,
    );
    let rows = recipe
        .curve
        .iter()
        .zip(&rival.curve)
        .zip(&recipe.ideal_curve);
    Some(html! {
        h2 { "Where the money is" }
        p { "How much of the money that clients came to spend on products new to them stands in a list of so many pairs. The steeper the line rises, the fewer calls a sale takes; no list can rise faster than the ideal one, which knows what happened." }
        (key(&[("recipe", "recipe"), ("rival", "best-sellers"), ("ideal", "ideal list")]))
        figure { (money_curve(evaluation)?) }
        details {
            summary { "The same as a table" }
            div.wide { table {
                tr { th { "pairs worked" } th.number { "recipe" } th.number { "best-sellers" } th.number { "ideal list" } }
                @for ((recipe, rival), ideal) in rows {
                    tr { td { (percent(recipe.pairs)) } td.number { (percent(recipe.money)) } td.number { (percent(rival.money)) } td.number { (percent(ideal.money)) } }
                }
            } }
        }
    })
}

/// Calibration.
pub(super) fn probability(evaluation: &Evaluation) -> Option<Markup> {
    let recipe = evaluation.method(RECIPE)?.calibration.as_ref()?;
    let rival = evaluation.method(BEST_SELLERS)?.calibration.as_ref()?;
    let curve = |class, bins: &[crate::evaluate::measure::Bin]| Curve {
        class,
        points: bins.iter().map(|bin| (bin.probability, bin.rate)).collect(),
        marked: true,
    };
    let all = recipe.bins.iter().chain(&rival.bins);
    let high = all.fold(0.0_f64, |high, bin| high.max(bin.probability).max(bin.rate));
    let marks: Vec<f64> = [0.0, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0]
        .into_iter()
        .scan(false, |ended, mark| {
            let open = !*ended;
            *ended = mark >= high;
            open.then_some(mark)
        })
        .collect();
    let plot = Lines {
        title: "Share taken up against the probability that was foretold, in ten bins",
        across: "probability foretold (mean of the bin)",
        up: "share taken up",
        marks: &marks,
        high: 1.0,
        root: true,
        diagonal: true,
        curves: &[curve("rival", &rival.bins), curve("recipe", &recipe.bins)],
    };
    Some(html! {
        h2 { "Whether probabilities mean what they say" }
        p {
            "All pairs in ten bins of equal count, by the probability foretold. On the dashed line, of a hundred pairs given 7 % seven are taken up. "
            "The recipe's mean distance from it is " (figure(Some(recipe.ece))) ", that of popularity taken for a probability " (figure(Some(rival.ece)))
            ". The sum of the recipe's probabilities is " (format!("{:.2}", recipe.mean_over_rate)) " times what happened."
        }
        (key(&[("recipe", "recipe"), ("rival", "best-sellers"), ("ideal", "as it should be")]))
        figure { (plot.draw()) }
        details {
            summary { "The recipe's bins as a table" }
            div.wide { table {
                tr { th.number { "pairs" } th.number { "probability" } th.number { "taken up" } }
                @for bin in &recipe.bins {
                    tr { td.number { (counted(bin.pairs as u64)) } td.number { (percent(bin.probability)) } td.number { (percent(bin.rate)) } }
                }
            } }
        }
    })
}

/// Ticket error by client size.
pub(super) fn ticket(evaluation: &Evaluation) -> Option<Markup> {
    let of = |methods: &[Method], forecaster| {
        let method = methods.iter().find(|of| of.forecaster == forecaster);
        method
            .and_then(|of| of.ticket)
            .map(|ticket| ticket.log_error)
    };
    let row = |name: &str, methods: &[Method]| bars::Row {
        name: name.to_owned(),
        recipe: of(methods, RECIPE),
        rival: of(methods, BEST_SELLERS),
    };
    let all = evaluation.method(RECIPE)?.ticket?;
    let mut rows = vec![row("all clients", &evaluation.methods)];
    rows.extend(sizes(evaluation).map(|third| row(&size_name(third), &third.methods)));
    let times = |error: f64| format!("×{:.2}", error.exp());
    let factor = |error: f64| format!("{error:.2} ({})", times(error));
    Some(html! {
        h2 { "How far tickets are off" }
        p {
            "For pairs that were taken up, the mean distance between the ticket foretold and the one that came, on a log scale, by what the client spends: 0.69 is twice or half. "
            "The recipe is within twice and half for " (percent(all.within_twice)) " of them. The shorter the bar, the better."
        }
        (key(&[("recipe", "recipe"), ("rival", "the product's middle ticket")]))
        figure { (bars("Mean log error of the ticket by client size", &rows, &Written { value: two_digits, mark: two_digits })) }
        details {
            summary { "The same as a table" }
            div.wide { table {
                tr { th { "clients" } th.number { "recipe" } th.number { "the product's middle ticket" } }
                @for row in &rows {
                    tr { td { (row.name) } td.number { (row.recipe.map_or("–".to_owned(), factor)) } td.number { (row.rival.map_or("–".to_owned(), factor)) } }
                }
            } }
        }
    })
}

/// Coverage of the quantiles of hidden tickets.
pub(super) fn potential(evaluation: &Evaluation) -> Option<Markup> {
    let of = |methods: &[Method], forecaster| -> Vec<f64> {
        let method = methods.iter().find(|of| of.forecaster == forecaster);
        let levels = method.and_then(|of| of.potential).map(|of| of.levels);
        levels
            .iter()
            .flatten()
            .map(|level| level.coverage)
            .collect()
    };
    let row = |name: &str, methods: &[Method]| dots::Row {
        name: name.to_owned(),
        recipe: of(methods, RECIPE),
        rival: of(methods, Forecaster::ProductQuantile),
    };
    evaluation.method(RECIPE)?.potential?;
    let mut rows = vec![row("all clients", &evaluation.methods)];
    rows.extend(sizes(evaluation).map(|third| row(&size_name(third), &third.methods)));
    let cells = |shares: &[f64]| html! { @for share in shares { td.number { (percent(*share)) } } };
    Some(html! {
        h2 { "Whether the potential can be trusted" }
        p {
            (counted(evaluation.book.hidden_tickets as u64)) " of " (counted(evaluation.book.bought as u64)) " bought tickets were hidden and foretold from the rest. "
            "The share that turned out at or under each quantile should stand on its dashed line, for small clients as for large ones; clients are parted by what they visibly spend, the hidden tickets left out."
        }
        (key(&[("recipe", "recipe"), ("rival", "the product's own quantile")]))
        figure { (dots("Share of hidden tickets at or under each quantile, by client size", &LEVELS, &rows)) }
        details {
            summary { "The same as a table" }
            div.wide { table {
                tr { th { "clients" } @for who in ["recipe", "product"] { @for level in LEVELS { th.number { (who) " P" (format!("{:.0}", level * 100.0)) } } } }
                @for row in &rows { tr { td { (row.name) } (cells(&row.recipe)) (cells(&row.rival)) } }
            } }
        }
    })
}

/// Results by segment.
pub(super) fn segments(evaluation: &Evaluation) -> Option<Markup> {
    let money = |segment: &Segment, forecaster| {
        let list = segment.method(forecaster).and_then(|of| of.top_list);
        list.map(|list| list.money)
    };
    let named = |segment: &Segment| match segment.value.as_str() {
        "" => format!("{}: none", segment.attribute),
        value => format!("{}: {value}", segment.attribute),
    };
    let found: Vec<&Segment> = evaluation
        .segments
        .iter()
        .filter(|segment| money(segment, RECIPE).is_some())
        .collect();
    if found.is_empty() {
        return None;
    }
    let rows: Vec<bars::Row> = found
        .iter()
        .map(|segment| bars::Row {
            name: named(segment),
            recipe: money(segment, RECIPE),
            rival: money(segment, BEST_SELLERS),
        })
        .collect();
    let calibration =
        |segment: &Segment| segment.method(RECIPE).and_then(|of| of.calibration.clone());
    let ratio = |segment: &Segment| segment.method(RECIPE).and_then(|of| of.expected_over_real);
    Some(html! {
        h2 { "By segment" }
        p { "How much of each segment's new money stands in the first ten products, by expected money, of each of its clients. A segment where the recipe is not ahead is one to look into before it is worked; few clients make uncertain figures." }
        (key(&[("recipe", "recipe"), ("rival", "best-sellers")]))
        figure { (bars("Share of new money in each client's first ten products, by segment", &rows, &Written { value: percent, mark: whole_percent })) }
        details {
            summary { "With calibration, as a table" }
            div.wide { table {
                tr {
                    th { "segment" } th.number { "clients" } th.number { "money, recipe" } th.number { "money, best-sellers" }
                    th.number { "taken up" } th.number { "probability / rate" } th.number { "ECE" } th.number { "expected / real money" }
                }
                @for (segment, row) in found.iter().zip(&rows) {
                    @let calibration = calibration(segment);
                    tr {
                        td { (row.name) } td.number { (counted(segment.clients as u64)) }
                        td.number { (row.recipe.map_or("–".to_owned(), percent)) } td.number { (row.rival.map_or("–".to_owned(), percent)) }
                        td.number { (calibration.as_ref().map_or("–".to_owned(), |of| percent(of.rate))) }
                        td.number { (figure(calibration.as_ref().map(|of| of.mean_over_rate))) }
                        td.number { (figure(calibration.as_ref().map(|of| of.ece))) }
                        td.number { (figure(ratio(segment))) }
                    }
                }
            } }
        }
    })
}

/// The head of the pipeline, and what became of it.
pub(super) fn first(evaluation: &Evaluation, names: &Names<'_>) -> Option<Markup> {
    let horizon_days = evaluation.span.as_ref()?.horizon_days;
    if evaluation.first.is_empty() {
        return None;
    }
    Some(html! {
        h2 { "The head of the list, and what became of it" }
        p { "The pairs that the recipe would have put first at the cut, and what each came to spend a month in the " (horizon_days) " days after it. Nobody was told of them." }
        div.wide { table {
            tr { th { "client" } th { "product" } th.number { "probability" } th.number { "ticket" } th.number { "expected" } th.number { "came" } }
            @for row in &evaluation.first {
                tr {
                    td { ((names.client)(row.client)) } td { ((names.product)(row.product)) }
                    td.number { (percent(row.probability)) } td.number { (amount(row.ticket_minor)) }
                    td.number { (amount(row.expected_minor)) }
                    td class=(if row.real_minor > 0.0 { "number best" } else { "number" }) {
                        @if row.real_minor > 0.0 { (amount(row.real_minor)) } @else { "–" }
                    }
                }
            }
        } }
    })
}

/// Everything, in one table.
pub(super) fn all_figures(evaluation: &Evaluation) -> Markup {
    let says = |of: &&Method| FIGURES.iter().any(|row| row.of(of).is_some());
    let methods: Vec<&Method> = evaluation.methods.iter().filter(says).collect();
    let values = |row: &Figure| methods.iter().map(|of| row.of(of)).collect();
    let rows: Vec<(&Figure, Vec<Option<f64>>)> = FIGURES
        .iter()
        .map(|row| (row, values(row)))
        .filter(|(_, values): &(_, Vec<Option<f64>>)| values.iter().any(Option::is_some))
        .collect();
    let begins = |at: usize| at == 0 || rows[at - 1].0.question != rows[at].0.question;
    html! {
        h2 { "All figures" }
        p { "The best of each row is marked. A dash: it cannot say. Best-sellers offer everybody what most clients buy; own history says that a ticket goes on as it lately was, and knows nothing of products never bought; a product's quantile says that a ticket is like those of its other buyers." }
        div.wide { table {
            tr { th { "" } @for of in &methods { th.number { (of.forecaster.name()) } } }
            @for (at, (row, values)) in rows.iter().enumerate() {
                @if begins(at) { tr.group { th colspan=(methods.len() + 1) { (row.question) } } }
                @let best = row.best(values);
                tr {
                    td { (row.name) }
                    @for (at, value) in values.iter().enumerate() {
                        td class=(if best == Some(at) { "number best" } else { "number" }) { (figure(*value)) }
                    }
                }
            }
        } }
    }
}

fn pipeline(evaluation: &Evaluation, forecaster: Forecaster) -> Option<&Pipeline> {
    evaluation.method(forecaster)?.pipeline.as_ref()
}

fn sizes(evaluation: &Evaluation) -> impl Iterator<Item = &Segment> {
    let segments = evaluation.segments.iter();
    segments.filter(|segment| segment.attribute == crate::evaluate::segments::CLIENT_SIZE)
}

fn two_digits(value: f64) -> String {
    format!("{value:.2}")
}

fn size_name(third: &Segment) -> String {
    format!("{} clients", third.value)
}

fn key(entries: &[(&str, &str)]) -> Markup {
    html! { div.key { @for (class, name) in entries { span { i class=(class) {} (name) } } } }
}
