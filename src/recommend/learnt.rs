//! What a portfolio's history chose, as rows that people can read.

use super::adoption::AdoptionFit;
use super::upsell::UpsellModel;
use super::{Advisor, SuccessModel};

/// Something that was learnt and is not set by hand.
#[derive(Debug, Clone, PartialEq)]
pub struct Learnt {
    /// What, as `section.name`.
    pub name: &'static str,
    /// What it came to.
    pub value: String,
    /// What it means.
    pub about: &'static str,
}

impl Advisor {
    /// What was chosen on held-out tickets and on the back-test.
    pub fn learnt(&self) -> Vec<Learnt> {
        let Self {
            upsell,
            success,
            adoption,
        } = self;
        let mut rows = of_upsell(upsell);
        rows.extend(of_success(success));
        rows.extend(of_adoption(&adoption.fitted()));
        rows
    }
}

fn of_upsell(upsell: &UpsellModel) -> Vec<Learnt> {
    let choice = upsell.choice();
    vec![
        row(
            "upsell.held_out",
            upsell.held_out(),
            "tickets held out to choose between variants and to correct coverage; 0 where there are too few",
        ),
        row(
            "upsell.held_out_loss",
            format!("{:.4}", upsell.held_out_loss()),
            "mean pinball loss of their logarithms, P50, P80 and P90 together; lower is better",
        ),
        row(
            "upsell.rank",
            choice.factors.rank,
            "factors of the ticket's level; the first is size",
        ),
        row(
            "upsell.ridge",
            choice.factors.ridge,
            "how firmly factors are held back",
        ),
        row(
            "upsell.neighbours",
            choice.neighbours,
            "nearest buyers that the spread is taken from",
        ),
        row(
            "upsell.product_weight",
            choice.product_weight,
            "what all buyers of the product count beside them, in average neighbours",
        ),
        row(
            "upsell.book_weight",
            choice.book_weight,
            "what the whole book counts, in average neighbours",
        ),
        row(
            "upsell.attribute_weight",
            choice.attribute_weight,
            "what all attributes count in the distance, in shared products; 0 where they do not help",
        ),
    ]
}

fn of_success(success: &SuccessModel) -> [Learnt; 1] {
    [row(
        "upsell.success_calibrated",
        success.is_calibrated(),
        "whether the chance of an upsell rests on the portfolio's own history, or on the recipe's prior",
    )]
}

fn of_adoption(fit: &AdoptionFit) -> [Learnt; 4] {
    [
        row(
            "adoption.form",
            format!("{:?}", fit.form).to_lowercase(),
            "how much evidence the back-test found worth weighing, from `popular` to `full`; `prior` where it was too short",
        ),
        row(
            "adoption.cuts",
            fit.cuts,
            "earlier days from which the history was looked ahead",
        ),
        row(
            "adoption.pairs",
            fit.pairs,
            "pairs of client and product in the back-test",
        ),
        row(
            "adoption.adoptions",
            fit.adoptions,
            "how many of them were taken up",
        ),
    ]
}

fn row(name: &'static str, value: impl ToString, about: &'static str) -> Learnt {
    Learnt {
        name,
        value: value.to_string(),
        about,
    }
}
