//! What came of an evaluation, as plain data.

use serde::Serialize;

use super::Forecaster;
use super::churn::ChurnMeasured;
use super::measure::{Calibration, GrowthFound, Pipeline, Potential, TicketError, TopList};
use crate::domain::{ClientNo, Day, ProductNo};
use crate::recommend::adoption::Form;

/// A recipe against what happened, beside what anybody could have said.
///
/// Amounts are minor units a month. The same book, plan and recipe give the same figures.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Evaluation {
    /// When; `None` where sales have no dates and the potential alone could be measured.
    pub span: Option<SpanMeasured>,
    /// What was looked at.
    pub book: BookMeasured,
    /// Everybody's figures over all judged clients, the recipe's first.
    pub methods: Vec<Method>,
    /// The same by segment.
    pub segments: Vec<Segment>,
    /// Who bought nothing after the cut, and whether that was foretold; empty where sales have no
    /// dates.
    pub churn: Vec<ChurnMeasured>,
    /// The first rows of the recipe's pipeline, and what became of them.
    pub first: Vec<Listed>,
}

/// The days that were measured.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct SpanMeasured {
    /// The first day with a sale.
    #[serde(serialize_with = "as_text")]
    pub first_day: Day,
    /// The first day that was not shown.
    #[serde(serialize_with = "as_text")]
    pub cut: Day,
    /// Days from the first to the cut.
    pub history_days: u32,
    /// Days from the cut that were to be foreseen.
    pub horizon_days: u32,
    /// Adoptions in the history from which probabilities were learnt.
    pub learnt_adoptions: usize,
    /// Whether these sufficed to calibrate; if not, probabilities are the recipe's prior.
    pub is_calibrated: bool,
}

/// The part of a book that was measured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct BookMeasured {
    /// Clients that had bought before the cut.
    pub clients: usize,
    /// How many of these were judged: all, or in a large book a repeatable part.
    pub judged_clients: usize,
    /// Products that had enough buyers before the cut.
    pub products: usize,
    /// Pairs of these that were bought before the cut.
    pub bought: usize,
    /// Judged pairs that were not.
    pub pairs: usize,
    /// How many of these were bought after it.
    pub adoptions: usize,
    /// What these brought a month.
    pub new_money_minor: f64,
    /// Bought tickets that were hidden and foretold.
    pub hidden_tickets: usize,
}

/// One forecaster's figures; `None` where it cannot answer, or nothing happened to measure it by.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Method {
    /// Who foretold.
    pub forecaster: Forecaster,
    /// Lists of ten for each client.
    pub top_list: Option<TopList>,
    /// The list of all pairs.
    pub pipeline: Option<Pipeline>,
    /// Tickets of the pairs taken up.
    pub ticket: Option<TicketError>,
    /// Probabilities.
    pub calibration: Option<Calibration>,
    /// Sum of expected money over the money that came; 1 where sums come out right.
    pub expected_over_real: Option<f64>,
    /// Hidden tickets.
    pub potential: Option<Potential>,
    /// Growth of bought tickets.
    pub growth: Option<GrowthFound>,
}

/// Some clients that have something in common.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Segment {
    /// The attribute, or `client size`.
    pub attribute: String,
    /// Its value, or the third: `small`, `middle`, `large`.
    pub value: String,
    /// Judged clients in it.
    pub clients: usize,
    /// Everybody's figures over these clients alone.
    pub methods: Vec<Method>,
}

/// A row of the pipeline.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Listed {
    /// Who, by number in the book that was evaluated.
    #[serde(serialize_with = "number_of_client")]
    pub client: ClientNo,
    /// What.
    #[serde(serialize_with = "number_of_product")]
    pub product: ProductNo,
    /// Probability of a first purchase within the horizon.
    pub probability: f64,
    /// The middle ticket if it comes to that.
    pub ticket_minor: f64,
    /// Probability times the mean ticket.
    pub expected_minor: f64,
    /// What came of it; 0 for nothing.
    pub real_minor: f64,
}

impl Evaluation {
    /// A forecaster's figures over all judged clients.
    pub fn method(&self, forecaster: Forecaster) -> Option<&Method> {
        method(&self.methods, forecaster)
    }
}

impl Segment {
    /// A forecaster's figures over the segment.
    pub fn method(&self, forecaster: Forecaster) -> Option<&Method> {
        method(&self.methods, forecaster)
    }
}

impl SpanMeasured {
    /// Whether probabilities rest on the portfolio's own adoptions.
    pub(super) fn is_calibrated(form: Form) -> bool {
        form != Form::Prior
    }
}

fn method(methods: &[Method], forecaster: Forecaster) -> Option<&Method> {
    methods
        .iter()
        .find(|method| method.forecaster == forecaster)
}

// serde calls these with references to the fields.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn as_text<S: serde::Serializer>(day: &Day, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(day)
}

#[allow(clippy::trivially_copy_pass_by_ref)]
fn number_of_client<S: serde::Serializer>(no: &ClientNo, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u32(no.0)
}

#[allow(clippy::trivially_copy_pass_by_ref)]
fn number_of_product<S: serde::Serializer>(
    no: &ProductNo,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_u32(no.0)
}
