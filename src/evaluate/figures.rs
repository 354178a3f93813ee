//! The figures that a table shows, by name: one list for the terminal, the report and tests.

use super::Method;
use super::measure::QuantileFit;

/// What a figure should be.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Aim {
    /// The higher the better.
    High,
    /// The lower the better.
    Low,
    /// As near to this as can be.
    Near(f64),
}

/// A figure of a method.
#[derive(Debug, Clone, Copy)]
pub struct Figure {
    /// Its name for programs.
    pub field: &'static str,
    /// What is asked, such as the first ten products of a client.
    pub question: &'static str,
    /// What is counted.
    pub name: &'static str,
    /// What it should be.
    pub aim: Aim,
    of: fn(&Method) -> Option<f64>,
}

impl Figure {
    /// The figure of a method; `None` where it has none.
    pub fn of(&self, method: &Method) -> Option<f64> {
        (self.of)(method)
    }

    /// Which of some values is best, where there are at least two to compare.
    pub fn best(&self, values: &[Option<f64>]) -> Option<usize> {
        let there = values.iter().flatten().count();
        let cost = |value: f64| match self.aim {
            Aim::High => -value,
            Aim::Low => value,
            Aim::Near(aim) => (value - aim).abs(),
        };
        let found = values.iter().enumerate();
        let costs = found.filter_map(|(at, value)| value.map(|value| (at, cost(value))));
        let best = costs.min_by(|a, b| a.1.total_cmp(&b.1));
        best.filter(|_| there > 1).map(|(at, _)| at)
    }
}

const TEN: &str = "ten products for each client";
const PIPELINE: &str = "the first 1 % of the pipeline";
const TICKET: &str = "the ticket, if taken up";
const PROBABILITY: &str = "the probability of taking up";
const MONEY: &str = "sums of expected money";
const POTENTIAL: &str = "the potential, on hidden tickets";
const GROWTH: &str = "the 5 % of tickets to grow most";

/// All figures, in the order in which a reader wants them.
pub const FIGURES: [Figure; 23] = [
    figure(
        "recall_10",
        TEN,
        "share of new products found",
        Aim::High,
        |of| of.top_list.map(|list| list.recall),
    ),
    figure(
        "ndcg_10",
        TEN,
        "the same, early places counting more (NDCG)",
        Aim::High,
        |of| of.top_list.map(|list| list.ndcg),
    ),
    figure(
        "money_10",
        TEN,
        "share of new money, by expected money",
        Aim::High,
        |of| of.top_list.map(|list| list.money),
    ),
    figure(
        "pipeline_over_ideal",
        PIPELINE,
        "money over the ideal list's",
        Aim::High,
        |of| of.pipeline.as_ref().map(|list| list.money_over_ideal),
    ),
    figure(
        "pipeline_money",
        PIPELINE,
        "share of all new money",
        Aim::High,
        |of| of.pipeline.as_ref().map(|list| list.money),
    ),
    figure(
        "pipeline_precision",
        PIPELINE,
        "share taken up",
        Aim::High,
        |of| of.pipeline.as_ref().map(|list| list.precision),
    ),
    figure(
        "ticket_log_error",
        TICKET,
        "mean log error",
        Aim::Low,
        |of| of.ticket.map(|ticket| ticket.log_error),
    ),
    figure(
        "ticket_within_twice",
        TICKET,
        "within twice and half",
        Aim::High,
        |of| of.ticket.map(|ticket| ticket.within_twice),
    ),
    figure(
        "ticket_bias",
        TICKET,
        "sum over the real sum, less 1",
        Aim::Near(0.0),
        |of| of.ticket.map(|ticket| ticket.bias),
    ),
    figure(
        "skill",
        PROBABILITY,
        "skill over the plain rate",
        Aim::High,
        |of| of.calibration.as_ref().map(|found| found.skill),
    ),
    figure(
        "ece",
        PROBABILITY,
        "calibration error (ECE)",
        Aim::Low,
        |of| of.calibration.as_ref().map(|found| found.ece),
    ),
    figure(
        "brier",
        PROBABILITY,
        "squared error (Brier)",
        Aim::Low,
        |of| of.calibration.as_ref().map(|found| found.brier),
    ),
    figure(
        "auc",
        PROBABILITY,
        "right order of two (AUC)",
        Aim::High,
        |of| of.calibration.as_ref().map(|found| found.auc),
    ),
    figure(
        "probability_over_rate",
        MONEY,
        "mean probability over the rate",
        Aim::Near(1.0),
        |of| of.calibration.as_ref().map(|found| found.mean_over_rate),
    ),
    figure(
        "expected_over_real",
        MONEY,
        "expected money over real",
        Aim::Near(1.0),
        |of| of.expected_over_real,
    ),
    figure(
        "potential_q50",
        POTENTIAL,
        "log pinball loss of P50",
        Aim::Low,
        |of| level(of, 0).map(|fit| fit.log_pinball),
    ),
    figure(
        "potential_q80",
        POTENTIAL,
        "log pinball loss of P80",
        Aim::Low,
        |of| level(of, 1).map(|fit| fit.log_pinball),
    ),
    figure(
        "potential_q90",
        POTENTIAL,
        "log pinball loss of P90",
        Aim::Low,
        |of| level(of, 2).map(|fit| fit.log_pinball),
    ),
    figure(
        "coverage_q50",
        POTENTIAL,
        "share at or under P50",
        Aim::Near(0.5),
        |of| level(of, 0).map(|fit| fit.coverage),
    ),
    figure(
        "coverage_q80",
        POTENTIAL,
        "share at or under P80",
        Aim::Near(0.8),
        |of| level(of, 1).map(|fit| fit.coverage),
    ),
    figure(
        "coverage_q90",
        POTENTIAL,
        "share at or under P90",
        Aim::Near(0.9),
        |of| level(of, 2).map(|fit| fit.coverage),
    ),
    figure("growth_up", GROWTH, "share of all rises", Aim::High, |of| {
        of.growth.map(|growth| growth.up)
    }),
    figure(
        "growth_net",
        GROWTH,
        "rises less falls, over the ideal",
        Aim::High,
        |of| of.growth.map(|growth| growth.net),
    ),
];

/// The figure of a name; `None` where there is no such.
pub fn named(field: &str) -> Option<&'static Figure> {
    FIGURES.iter().find(|figure| figure.field == field)
}

const fn figure(
    field: &'static str,
    question: &'static str,
    name: &'static str,
    aim: Aim,
    of: fn(&Method) -> Option<f64>,
) -> Figure {
    Figure {
        field,
        question,
        name,
        aim,
        of,
    }
}

fn level(of: &Method, at: usize) -> Option<QuantileFit> {
    of.potential.map(|potential| potential.levels[at])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_of_some_values_is_the_one_that_meets_the_aim() {
        let best = |field: &str, values: &[Option<f64>]| named(field).unwrap().best(values);
        assert_eq!(best("skill", &[Some(0.1), Some(0.3), None]), Some(1));
        assert_eq!(best("ece", &[Some(0.1), None, Some(0.3)]), Some(0));
        assert_eq!(best("coverage_q80", &[Some(0.7), Some(0.82)]), Some(1));
        assert_eq!(best("skill", &[Some(0.1), None]), None);
        assert!(named("no_such").is_none());
    }
}
