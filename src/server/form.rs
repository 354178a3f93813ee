//! A request as it is read: every field parsed into a domain type, every violation named.

use std::collections::BTreeMap;
use std::fmt::{self, Display};

use crate::domain::{
    Attribute, ClientId, Currency, Day, IdError, PortfolioId, ProductId, RequestId, SaleId, Share,
    Text, Violation,
};
use crate::engine::Refusal;
use crate::wire::v1;

/// The most items of one batch.
pub(super) const MAX_BATCH: usize = 10_000;
/// At most this many violations are named in one refusal, so that it fits a gRPC trailer.
const NAMED: usize = 20;

/// The path of a field of one item of a list, as `sales[3].date`. Only a path that is named becomes a text:
/// every row of an import has some.
#[derive(Debug, Clone, Copy)]
pub(super) struct ItemField<'a> {
    pub(super) list: &'a str,
    pub(super) at: usize,
    pub(super) field: &'a str,
}

impl<'a> ItemField<'a> {
    /// The paths of the fields of one item.
    pub(super) fn of(list: &'a str, at: usize) -> impl Fn(&'a str) -> Self {
        move |field| Self { list, at, field }
    }
}

impl Display for ItemField<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}[{}].{}", self.list, self.at, self.field)
    }
}

/// Collects what is wrong with a request while its fields are read.
#[derive(Debug, Default)]
pub(super) struct Form {
    violations: Vec<Violation>,
}

impl Form {
    /// Names a violation.
    pub(super) fn refuse(&mut self, field: impl Display, reason: impl ToString) {
        if self.violations.len() < NAMED {
            self.violations
                .push(Violation::new(field.to_string(), reason.to_string()));
        }
    }

    /// Whether so much is wrong that reading on says nothing new.
    pub(super) fn is_full(&self) -> bool {
        self.violations.len() >= NAMED
    }

    /// A value that parsed, or a violation of the field.
    pub(super) fn take<T, E: ToString>(
        &mut self,
        field: impl Display,
        parsed: Result<T, E>,
    ) -> Option<T> {
        match parsed {
            Ok(value) => Some(value),
            Err(error) => {
                self.refuse(field, error.to_string());
                None
            }
        }
    }

    /// The whole, if all its parts are there and nothing was wrong.
    pub(super) fn finish<T>(self, whole: Option<T>) -> Result<T, Refusal> {
        match whole {
            Some(whole) if self.violations.is_empty() => Ok(whole),
            _ => Err(Refusal::Invalid(self.violations)),
        }
    }

    /// A portfolio's id.
    pub(super) fn portfolio(&mut self, raw: &str) -> Option<PortfolioId> {
        self.take("portfolio_id", PortfolioId::parse(raw))
    }

    /// A client's id.
    pub(super) fn client(&mut self, field: impl Display, raw: &str) -> Option<ClientId> {
        self.take(field, ClientId::parse(raw))
    }

    /// A product's id.
    pub(super) fn product(&mut self, field: impl Display, raw: &str) -> Option<ProductId> {
        self.take(field, ProductId::parse(raw))
    }

    /// A product's id that need not be there.
    pub(super) fn optional_product(
        &mut self,
        field: impl Display,
        raw: &str,
    ) -> Option<Option<ProductId>> {
        if raw.is_empty() {
            return Some(None);
        }
        self.take(field, ProductId::parse(raw)).map(Some)
    }

    /// A short text.
    pub(super) fn text(&mut self, field: impl Display, raw: &str) -> Option<Text> {
        self.take(field, Text::parse(raw))
    }

    /// A date.
    pub(super) fn day(&mut self, field: impl Display, raw: &str) -> Option<Day> {
        self.take(field, Day::parse(raw))
    }

    /// A date that need not be there.
    pub(super) fn optional_day(&mut self, field: impl Display, raw: &str) -> Option<Option<Day>> {
        if raw.is_empty() {
            return Some(None);
        }
        self.take(field, Day::parse(raw)).map(Some)
    }

    /// A share that need not be there.
    pub(super) fn optional_share(
        &mut self,
        field: impl Display,
        raw: Option<f64>,
    ) -> Option<Option<Share>> {
        match raw {
            None => Some(None),
            Some(raw) => self.take(field, Share::parse(raw)).map(Some),
        }
    }

    /// A currency that need not be there.
    pub(super) fn optional_currency(&mut self, raw: &str) -> Option<Option<Currency>> {
        if raw.is_empty() {
            return Some(None);
        }
        self.take("currency", Currency::parse(raw)).map(Some)
    }

    /// A request's name; empty is none.
    pub(super) fn request_id(&mut self, raw: &str) -> Option<Option<RequestId>> {
        self.optional_id("request_id", raw, RequestId::parse)
    }

    /// A sale's name; empty is none.
    pub(super) fn sale_id(&mut self, field: impl Display, raw: &str) -> Option<Option<SaleId>> {
        self.optional_id(field, raw, SaleId::parse)
    }

    fn optional_id<T>(
        &mut self,
        field: impl Display,
        raw: &str,
        parse: impl Fn(&str) -> Result<T, IdError>,
    ) -> Option<Option<T>> {
        if raw.is_empty() {
            return Some(None);
        }
        self.take(field, parse(raw)).map(Some)
    }

    /// A client's attributes.
    pub(super) fn attributes(
        &mut self,
        field: impl Display,
        raw: &BTreeMap<String, v1::AttributeValue>,
    ) -> Option<BTreeMap<Text, Attribute>> {
        if raw.len() > crate::domain::MAX_ATTRIBUTES {
            let most = crate::domain::MAX_ATTRIBUTES;
            self.refuse(
                field,
                format!("has {} entries; at most {most} are kept", raw.len()),
            );
            return None;
        }
        let mut attributes = BTreeMap::new();
        for (name, value) in raw {
            let field = format_args!("{field}[{name:?}]");
            if name.is_empty() {
                self.refuse(field, "must have a name");
            }
            let name = self.text(field, name);
            let value = match &value.value {
                Some(v1::attribute_value::Value::Text(text)) => {
                    self.text(field, text).map(Attribute::Text)
                }
                Some(v1::attribute_value::Value::Number(number)) if number.is_finite() => {
                    Some(Attribute::Number(*number))
                }
                Some(v1::attribute_value::Value::Number(_)) => {
                    self.refuse(field, "must be a finite number");
                    None
                }
                None => {
                    self.refuse(field, "must be a text or a number");
                    None
                }
            };
            if let (Some(name), Some(value)) = (name, value) {
                attributes.insert(name, value);
            }
        }
        Some(attributes)
    }

    /// The size of a batch: at least one item, at most [`MAX_BATCH`].
    pub(super) fn batch<T>(&mut self, field: &str, items: &[T]) {
        match items.len() {
            0 => self.refuse(field, "must not be empty"),
            1..=MAX_BATCH => {}
            more => self.refuse(
                field,
                format!("has {more} items; send at most {MAX_BATCH} in one request"),
            ),
        }
    }

    /// How many rows to answer: `default` for 0, at most `most`.
    pub(super) fn size(&mut self, field: &str, raw: u32, default: usize, most: usize) -> usize {
        match raw as usize {
            0 => default,
            size if size <= most => size,
            size => {
                self.refuse(
                    field,
                    format!("is {size}; at most {most} are answered at once"),
                );
                default
            }
        }
    }
}
