// SPDX-License-Identifier: GPL-2.0

//! Unsigned decimal numbers, as users type them.

/// Reason why a text is not a valid number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// The text is empty.
    Empty,
    /// A character is not a decimal digit. Signs, blanks and prefixes are not allowed.
    NotDecimal,
    /// The number does not fit into 64 bits.
    TooLarge,
}

impl Error {
    /// Returns the reason in words, for a log line.
    pub const fn reason(self) -> &'static str {
        match self {
            Error::Empty => "number missing",
            Error::NotDecimal => "not an unsigned decimal number",
            Error::TooLarge => "number too large",
        }
    }
}

/// Parses an unsigned decimal number.
///
/// Stricter than [`str::parse`]: no sign, no blanks.
pub fn parse(text: &[u8]) -> Result<u64, Error> {
    if text.is_empty() {
        return Err(Error::Empty);
    }
    let mut value: u64 = 0;
    for &byte in text {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return Err(Error::NotDecimal);
        }
        value = value
            .checked_mul(10)
            .and_then(|tens| tens.checked_add(u64::from(digit)))
            .ok_or(Error::TooLarge)?;
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_plain_digits_only() {
        assert_eq!(parse(b"0"), Ok(0));
        assert_eq!(parse(b"007"), Ok(7));
        assert_eq!(parse(b"18446744073709551615"), Ok(u64::MAX));
        assert_eq!(parse(b"18446744073709551616"), Err(Error::TooLarge));
        assert_eq!(parse(b"99999999999999999999999"), Err(Error::TooLarge));
        assert_eq!(parse(b""), Err(Error::Empty));
        for text in [
            &b"+1"[..],
            b"-1",
            b" 1",
            b"1 ",
            b"0x10",
            b"1\n",
            b"1.0",
            b"\xff",
        ] {
            assert_eq!(parse(text), Err(Error::NotDecimal));
        }
    }
}
