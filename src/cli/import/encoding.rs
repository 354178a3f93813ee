//! Text of a file: UTF-8, or the Windows-1252 that older programs still write.

use std::borrow::Cow;

/// What Windows-1252 has at 0x80 to 0x9F; where it has nothing, the control character stays.
const WINDOWS_1252: [char; 32] = [
    '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}',
    '\u{90}', '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
];

/// Reads bytes as UTF-8 where they are, else as Windows-1252.
pub fn decode(bytes: &[u8]) -> Cow<'_, str> {
    let of = |byte: &u8| match *byte {
        high @ 0x80..=0x9f => WINDOWS_1252[usize::from(high - 0x80)],
        other => char::from(other),
    };
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(bytes.iter().map(of).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_encodings_read_as_the_same_text() {
        assert_eq!(decode("São João – €".as_bytes()), "São João – €");
        assert_eq!(decode(b"S\xe3o Jo\xe3o \x96 \x80"), "São João – €");
    }
}
