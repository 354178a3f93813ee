//! Clients' attributes, encoded so that two clients can be compared.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::{Attribute, ClientNo, Text};

/// A squared difference of one attribute counts at most this much, so that one slip of a keyboard
/// does not part two clients that agree in all else.
const MOST_DIFFERENT: f32 = 4.0;
/// Numbers that span more than this factor are compared by their logarithms.
const LOG_FROM_FACTOR: f64 = 20.0;

/// How one attribute is encoded.
#[derive(Debug, Clone, PartialEq)]
enum Encoding {
    /// Equal or different: a code a category.
    Category(BTreeMap<Text, u32>),
    /// Near or far: `(value - centre) / scale`, of the logarithm where `log` says so.
    Number { log: bool, centre: f64, scale: f64 },
}

/// The attributes of all clients as a table of numbers, 4 bytes an attribute a client.
///
/// Categories are equal or different. Numbers are standardised, on a log scale where they are
/// positive and span a wide range. What a client does not have is compared with nothing. An
/// attribute that tells nothing (one value only, or a different category for every client, as a
/// name is) is left out.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Profiles {
    names: Vec<Text>,
    encodings: Vec<Encoding>,
    clients: usize,
    /// Clients × attributes; NaN where there is none. Never leaves this file.
    values: Vec<f32>,
}

/// One client's attributes, encoded by the [`Profiles`] that it came from.
#[derive(Debug, Clone, Copy, Default)]
pub struct Profile<'a> {
    profiles: Option<&'a Profiles>,
    values: &'a [f32],
}

impl Profiles {
    /// Encodes the attributes of all clients, in client order.
    ///
    /// Cost: the attributes, three times.
    pub fn of(clients: &[&BTreeMap<Text, Attribute>]) -> Self {
        let names: BTreeSet<&Text> = clients.iter().flat_map(|client| client.keys()).collect();
        let mut profiles = Self::default();
        for name in names {
            if let Some(encoding) = Encoding::of(clients.iter().filter_map(|c| c.get(name))) {
                profiles.names.push(name.clone());
                profiles.encodings.push(encoding);
            }
        }
        profiles.clients = clients.len();
        for client in clients {
            let row = profiles.encode(client);
            profiles.values.extend(row);
        }
        profiles
    }

    /// The same encoding with some clients' attributes replaced or added.
    ///
    /// Categories that were not known when the encoding was made count as missing until the next
    /// [`Profiles::of`]. Cost: a copy of the table and the attributes of these clients.
    #[must_use]
    pub fn refresh<'a>(
        &self,
        clients: usize,
        changed: impl IntoIterator<Item = (ClientNo, &'a BTreeMap<Text, Attribute>)>,
    ) -> Self {
        let mut next = self.clone();
        let width = next.names.len();
        next.clients = clients.max(self.clients);
        next.values.resize(next.clients * width, f32::NAN);
        for (client, attributes) in changed {
            let row = next.encode(attributes);
            let start = client.index() * width;
            if let Some(place) = next.values.get_mut(start..start + width) {
                place.copy_from_slice(&row);
            }
        }
        next
    }

    /// Encodes the attributes of a client that is not in the table; see [`Profiles::profile`].
    pub fn encode(&self, attributes: &BTreeMap<Text, Attribute>) -> Vec<f32> {
        let encode = |(name, encoding): (&Text, &Encoding)| {
            attributes
                .get(name)
                .and_then(|attribute| encoding.encode(attribute))
                .unwrap_or(f32::NAN)
        };
        self.names.iter().zip(&self.encodings).map(encode).collect()
    }

    /// The profile of a row made by [`Profiles::encode`].
    pub fn profile<'a>(&'a self, encoded: &'a [f32]) -> Profile<'a> {
        debug_assert_eq!(encoded.len(), self.names.len());
        Profile {
            profiles: Some(self),
            values: encoded,
        }
    }

    /// One client's profile; an empty one for a client outside the table.
    pub fn of_client(&self, client: ClientNo) -> Profile<'_> {
        let width = self.names.len();
        let start = client.index() * width;
        Profile {
            profiles: Some(self),
            values: self.values.get(start..start + width).unwrap_or_default(),
        }
    }

    /// Attributes that are compared.
    pub fn attributes(&self) -> usize {
        self.names.len()
    }

    /// Clients in the table.
    pub fn clients(&self) -> usize {
        self.clients
    }
}

impl Profile<'_> {
    /// Whether it holds anything that can be compared.
    pub fn is_empty(&self) -> bool {
        self.values.iter().all(|value| value.is_nan())
    }

    /// How many attributes it holds that can be compared.
    pub fn known(&self) -> usize {
        self.values.iter().filter(|value| !value.is_nan()).count()
    }

    /// The squared difference between two clients, summed over the attributes that both have, and
    /// how many these are. A pair of different categories counts 1, a pair of numbers one standard
    /// deviation apart 0.5 (so that two clients at random differ by about 1), at most 4.
    pub fn difference(&self, other: &Profile<'_>) -> (f32, u32) {
        let Some(profiles) = self.profiles else {
            return (0.0, 0);
        };
        let (mut sum, mut shared) = (0.0, 0);
        for ((a, b), encoding) in self
            .values
            .iter()
            .zip(other.values)
            .zip(&profiles.encodings)
        {
            if a.is_nan() || b.is_nan() {
                continue;
            }
            shared += 1;
            sum += match encoding {
                Encoding::Category(_) => f32::from(u8::from(a.to_bits() != b.to_bits())),
                Encoding::Number { .. } => ((a - b) * (a - b) / 2.0).min(MOST_DIFFERENT),
            };
        }
        (sum, shared)
    }
}

impl Encoding {
    /// Chooses how to encode an attribute; `None` when it tells nothing.
    ///
    /// An attribute that is a number for some clients and a text for others is a category of the
    /// texts, the numbers telling nothing of which there are.
    fn of<'a>(values: impl Iterator<Item = &'a Attribute> + Clone) -> Option<Self> {
        let numbers: Option<Vec<f64>> = values
            .clone()
            .map(|value| match value {
                Attribute::Number(number) => Some(*number),
                Attribute::Text(_) => None,
            })
            .collect();
        if let Some(numbers) = numbers {
            return Self::of_numbers(numbers);
        }
        let mut holders: BTreeMap<&Text, usize> = BTreeMap::new();
        for value in values {
            if let Attribute::Text(text) = value
                && !text.is_empty()
            {
                *holders.entry(text).or_default() += 1;
            }
        }
        let shared = holders.values().any(|&clients| clients > 1);
        if holders.len() < 2 || !shared {
            return None;
        }
        let codes = holders.keys().enumerate();
        Some(Self::Category(
            codes
                .map(|(code, &text)| (text.clone(), code as u32))
                .collect(),
        ))
    }

    fn of_numbers(mut numbers: Vec<f64>) -> Option<Self> {
        numbers.retain(|number| number.is_finite());
        let least = numbers.iter().copied().fold(f64::INFINITY, f64::min);
        let most = numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        if numbers.len() < 2 || least >= most {
            return None;
        }
        let log = least > 0.0 && most > least * LOG_FROM_FACTOR;
        let scaled: Vec<f64> = numbers
            .iter()
            .map(|&number| if log { number.ln() } else { number })
            .collect();
        let count = scaled.len() as f64;
        let centre = scaled.iter().map(|value| value / count).sum::<f64>();
        let variance = scaled
            .iter()
            .map(|value| (value - centre) * ((value - centre) / count))
            .sum::<f64>();
        let scale = variance.sqrt();
        (centre.is_finite() && scale.is_finite() && scale > 0.0).then_some(Self::Number {
            log,
            centre,
            scale,
        })
    }

    fn encode(&self, attribute: &Attribute) -> Option<f32> {
        let value = match self {
            Self::Category(codes) => *codes.get(attribute.category()?.as_ref())? as f32,
            Self::Number { log, centre, scale } => {
                let number = attribute.quantity()?;
                if *log && number <= 0.0 {
                    return None;
                }
                let value = if *log { number.ln() } else { number };
                ((value - centre) / scale).clamp(-1e6, 1e6) as f32
            }
        };
        value.is_finite().then_some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(sector: &str, staff: Option<f64>, name: &str) -> BTreeMap<Text, Attribute> {
        let text = |raw: &str| Text::parse(raw).unwrap();
        let mut attributes = BTreeMap::from([
            (text("sector"), Attribute::Text(text(sector))),
            (text("name"), Attribute::Text(text(name))),
        ]);
        if let Some(staff) = staff {
            attributes.insert(text("staff"), Attribute::Number(staff));
        }
        attributes
    }

    #[test]
    fn shared_attributes_are_compared_and_names_and_gaps_are_not() {
        let clients = [
            client("bakery", Some(5.0), "A"),
            client("bakery", Some(500.0), "B"),
            client("hotel", None, "C"),
        ];
        let profiles = Profiles::of(&clients.each_ref());
        assert_eq!(profiles.attributes(), 2);
        let of = |at| profiles.of_client(ClientNo(at));
        let (difference, shared) = of(0).difference(&of(1));
        assert_eq!(shared, 2);
        assert!(
            (difference - 2.0).abs() < 1e-5,
            "two deviations apart: {difference}"
        );
        assert_eq!(of(0).difference(&of(2)), (1.0, 1));
        assert_eq!(of(0).difference(&of(7)), (0.0, 0));
        let encoded = profiles.encode(&client("hotel", Some(f64::NAN), "new"));
        let prospect = profiles.profile(&encoded);
        assert_eq!(prospect.difference(&of(2)), (0.0, 1));
    }
}
