// SPDX-License-Identifier: GPL-2.0

//! Amounts as users write them: `512`, `4k`, `1M`, `2G`, `1T`, with binary units.

#![forbid(unsafe_code)]

/// Bytes of a sector.
const SECTOR: u64 = 512;

/// Parses a number with or without a suffix. Returns it multiplied by the suffix, and whether there was one.
fn split(text: &str) -> Result<(u64, bool), String> {
    let wrong = || String::from("not a size such as 512, 4k, 1M, 2G or 1T");
    let (digits, shift) = match text.as_bytes().split_last() {
        Some((b'k' | b'K', digits)) => (digits, 10),
        Some((b'm' | b'M', digits)) => (digits, 20),
        Some((b'g' | b'G', digits)) => (digits, 30),
        Some((b't' | b'T', digits)) => (digits, 40),
        _ => (text.as_bytes(), 0),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(wrong());
    }
    let too_large = || String::from("too large");
    let digits = text.get(..digits.len()).ok_or_else(wrong)?;
    let number: u64 = digits.parse().map_err(|_| too_large())?;
    let number = number.checked_mul(1 << shift).ok_or_else(too_large)?;
    Ok((number, shift != 0))
}

/// Parses a number of bytes, blocks or anything else: `4k` is 4096 of them.
pub fn parse(text: &str) -> Result<u64, String> {
    split(text).map(|(number, _)| number)
}

/// Parses a number of sectors. A number without suffix counts sectors, one with a suffix counts bytes: `8`
/// and `4k` are equal.
pub fn sectors(text: &str) -> Result<u64, String> {
    match split(text)? {
        (bytes, true) => Ok(bytes / SECTOR),
        (sectors, false) => Ok(sectors),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_binary_units() {
        for (text, number) in [
            ("0", 0),
            ("512", 512),
            ("4k", 4096),
            ("4K", 4096),
            ("1M", 1 << 20),
            ("2g", 1 << 31),
            ("1T", 1 << 40),
            ("18446744073709551615", u64::MAX),
        ] {
            assert_eq!(parse(text), Ok(number), "{text}");
        }
    }

    #[test]
    fn a_suffix_makes_sectors_bytes() {
        for (text, number) in [("8", 8), ("4k", 8), ("1M", 2048), ("2G", 1 << 22)] {
            assert_eq!(sectors(text), Ok(number), "{text}");
        }
    }

    #[test]
    fn what_is_no_size_is_refused() {
        let none = [
            "", "k", "4kb", "-4k", "+4k", "4.5k", "é", "4é", "0x10", " 4",
        ];
        let large = [
            "18446744073709551616",
            "17179869184G",
            "99999999999999999999k",
        ];
        for text in none {
            assert!(parse(text).unwrap_err().starts_with("not a size"), "{text}");
            assert!(sectors(text).is_err(), "{text}");
        }
        for text in large {
            assert_eq!(parse(text), Err(String::from("too large")), "{text}");
            assert!(sectors(text).is_err(), "{text}");
        }
    }
}
