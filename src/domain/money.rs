//! Money: whole minor units (cents) and the currency they are of.

use std::fmt;

use serde::{Deserialize, Serialize};

/// An ISO 4217 currency code with the digits of its minor unit.
///
/// A portfolio has one currency; amounts inside it are plain `i64` minor units, so that nothing
/// mixes two.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Currency([u8; 3]);

/// Why a text is not a currency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not an ISO 4217 currency code such as BRL, USD or EUR")]
pub struct CurrencyError;

/// Active ISO 4217 codes whose minor unit has two digits.
const TWO_DIGITS: &str = "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CNY COP CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD UYU UZS VED VES WST XCD XCG YER ZAR ZMW ZWG";
/// Codes without a minor unit.
const NO_DIGITS: &str = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF";
/// Codes whose minor unit has three digits.
const THREE_DIGITS: &str = "BHD IQD JOD KWD LYD OMR TND";

impl Currency {
    /// Reads an ISO 4217 code in capital letters.
    pub fn parse(raw: &str) -> Result<Self, CurrencyError> {
        let known = [TWO_DIGITS, NO_DIGITS, THREE_DIGITS]
            .iter()
            .any(|codes| codes.split(' ').any(|code| code == raw));
        match <[u8; 3]>::try_from(raw.as_bytes()) {
            Ok(code) if known => Ok(Self(code)),
            _ => Err(CurrencyError),
        }
    }

    /// The three letters.
    pub fn code(&self) -> &str {
        // Three ASCII letters by construction, so the text is always whole.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// Digits after the decimal point: 2 for BRL, 0 for JPY, 3 for KWD.
    pub fn digits(&self) -> u32 {
        // Three letters and a space each. Every amount that is written asks, so this searches no text.
        let among = |codes: &str| codes.as_bytes().chunks(4).any(|code| code[..3] == self.0);
        if among(NO_DIGITS) {
            0
        } else if among(THREE_DIGITS) {
            3
        } else {
            2
        }
    }

    /// Writes an amount with its decimal point: 700000 minor units of BRL as `7000.00`.
    pub fn decimal(&self, amount_minor: i64) -> String {
        let digits = self.digits();
        let unit = 10_u64.pow(digits);
        let magnitude = amount_minor.unsigned_abs();
        let sign = if amount_minor < 0 { "-" } else { "" };
        match digits {
            0 => format!("{sign}{magnitude}"),
            _ => format!(
                "{sign}{}.{:0width$}",
                magnitude / unit,
                magnitude % unit,
                width = digits as usize
            ),
        }
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

impl TryFrom<String> for Currency {
    type Error = CurrencyError;
    fn try_from(raw: String) -> Result<Self, CurrencyError> {
        Self::parse(&raw)
    }
}

impl From<Currency> for String {
    fn from(currency: Currency) -> String {
        currency.code().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_written_with_the_digits_of_their_currency() {
        let of = |code: &str| Currency::parse(code).unwrap();
        assert_eq!(of("BRL").decimal(700_000), "7000.00");
        assert_eq!(of("BRL").decimal(-5), "-0.05");
        assert_eq!(of("JPY").decimal(700_000), "700000");
        assert_eq!(of("KWD").decimal(1), "0.001");
        assert_eq!(of("BRL").decimal(i64::MIN), "-92233720368547758.08");
    }

    #[test]
    fn only_currency_codes_are_currencies() {
        for raw in ["", "R$", "brl", "XXXX", "ABC", "EUR USD"] {
            assert_eq!(Currency::parse(raw), Err(CurrencyError), "{raw}");
        }
    }
}
