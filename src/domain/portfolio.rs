//! A portfolio: one supplier's book, and how it is read.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Currency, PortfolioId, Text};

/// The length of time that a ticket is stated for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Period {
    /// Money a month.
    #[default]
    Month,
    /// Money a quarter.
    Quarter,
    /// Money a year.
    Year,
}

impl Period {
    /// Months in the period.
    pub fn months(self) -> i64 {
        match self {
            Self::Month => 1,
            Self::Quarter => 3,
            Self::Year => 12,
        }
    }
}

/// The language that reasons are written in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Language {
    /// English.
    #[default]
    English,
    /// Portuguese.
    Portuguese,
}

/// A number of calendar months that tickets are averaged over, 1 to 60.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct WindowMonths(u8);

/// Why a number is not a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be from 1 to 60 months")]
pub struct WindowError;

impl WindowMonths {
    /// Reads a window length.
    pub fn parse(raw: u32) -> Result<Self, WindowError> {
        match u8::try_from(raw) {
            Ok(months @ 1..=60) => Ok(Self(months)),
            _ => Err(WindowError),
        }
    }

    /// The number of months.
    pub fn get(self) -> u32 {
        u32::from(self.0)
    }
}

impl Default for WindowMonths {
    /// A year: every season once.
    fn default() -> Self {
        Self(12)
    }
}

impl fmt::Display for WindowMonths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One supplier's book and how it is read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Portfolio {
    /// The caller's id.
    pub id: PortfolioId,
    /// What people call it; may be empty.
    pub name: Text,
    /// The one currency of every amount in it. Never changes.
    pub currency: Currency,
    /// What a ticket is stated for.
    pub period: Period,
    /// How many months of sales a ticket is averaged over.
    pub window: WindowMonths,
    /// The language of reasons.
    pub language: Language,
    /// The recipe it is scored with.
    pub recipe: Text,
    /// Parameters of the recipe that this portfolio sets otherwise, by name.
    pub recipe_overrides: BTreeMap<Text, f64>,
}
