//! The language that reasons are printed in.

use crate::wire::v1;

/// Languages of reasons.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
pub enum Language {
    /// English
    En,
    /// Portuguese
    Pt,
}

/// The flag that names a language.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
pub struct LanguageArg {
    /// Language of the reasons [default: the portfolio's]
    #[arg(long, value_enum)]
    pub language: Option<Language>,
}

impl LanguageArg {
    /// As the contract numbers it.
    pub fn to_wire(self) -> i32 {
        match self.language {
            None => v1::Language::Unspecified.into(),
            Some(Language::En) => v1::Language::English.into(),
            Some(Language::Pt) => v1::Language::Portuguese.into(),
        }
    }
}
