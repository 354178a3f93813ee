//! Parameters on a command line.

use std::collections::BTreeMap;
use std::str::FromStr;

/// `name=value`.
#[derive(Debug, Clone, PartialEq)]
pub struct Setting {
    name: String,
    value: f64,
}

impl FromStr for Setting {
    type Err = String;

    fn from_str(raw: &str) -> Result<Self, Self::Err> {
        let Some((name, value)) = raw.split_once('=') else {
            return Err("write NAME=VALUE, such as upsell.neighbours=50".into());
        };
        match value.trim().parse::<f64>() {
            Ok(value) if value.is_finite() => Ok(Self {
                name: name.trim().to_owned(),
                value,
            }),
            _ => Err(format!("'{value}' is not a number; write it as 0.25 or 50")),
        }
    }
}

/// Settings by name; of two for one name the last counts.
pub fn overrides(settings: &[Setting]) -> BTreeMap<String, f64> {
    let entries = settings.iter();
    entries
        .map(|setting| (setting.name.clone(), setting.value))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_is_a_name_and_a_number() {
        let read = |raw: &str| raw.parse::<Setting>();
        let setting = read("upsell.neighbours = 50").unwrap();
        assert_eq!(
            (setting.name.as_str(), setting.value),
            ("upsell.neighbours", 50.0)
        );
        for wrong in ["upsell.neighbours", "a=", "a=b", "a=NaN", "a=1,5"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
