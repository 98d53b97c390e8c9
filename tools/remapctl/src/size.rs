// SPDX-License-Identifier: GPL-2.0

//! Amounts of bytes as users write them: `512`, `4k`, `1M`, `2G`, `1T`.

const MIB: u64 = 1 << 20;

/// Parses a number of bytes, or of KiB, MiB, GiB or TiB with `k`, `M`, `G` or `T`, large or small.
pub(crate) fn parse(text: &str) -> Result<u64, String> {
    let wrong = || String::from("not a size such as 512, 4k, 1M, 2G or 1T");
    let (number, shift) = match text.chars().last() {
        Some('k' | 'K') => (text.get(..text.len() - 1), 10),
        Some('m' | 'M') => (text.get(..text.len() - 1), 20),
        Some('g' | 'G') => (text.get(..text.len() - 1), 30),
        Some('t' | 'T') => (text.get(..text.len() - 1), 40),
        _ => (Some(text), 0),
    };
    let number = number.ok_or_else(wrong)?;
    if !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(wrong());
    }
    let number: u64 = number.parse().map_err(|_| wrong())?;
    number
        .checked_mul(1 << shift)
        .ok_or_else(|| String::from("too large"))
}

/// Parses the size of an operation.
pub(crate) fn of_operation(text: &str) -> Result<u64, String> {
    match parse(text)? {
        bytes @ 512..=MIB => Ok(bytes),
        _ => Err(String::from("not within 512 and 1M")),
    }
}

/// Parses an amount of memory into whole MiB.
pub(crate) fn of_memory(text: &str) -> Result<u64, String> {
    let bytes = parse(text)?;
    if bytes == 0 || bytes % MIB != 0 {
        return Err(String::from(
            "not a number of whole MiB, such as 512M or 2G",
        ));
    }
    Ok(bytes / MIB)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_binary_units() {
        for (text, bytes) in [
            ("512", 512),
            ("4k", 4096),
            ("4K", 4096),
            ("1M", MIB),
            ("2g", 2 << 30),
            ("3T", 3 << 40),
        ] {
            assert_eq!(parse(text), Ok(bytes), "{text}");
        }
        assert_eq!(of_memory("2G"), Ok(2048));
        for text in [
            "",
            "k",
            "4kb",
            "-4k",
            "+4k",
            "4.5k",
            "é",
            "99999999999999999999",
            "9999999999999G",
            "16777216T",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_have_limits() {
        assert!(of_operation("511").is_err());
        assert!(of_operation("1048577").is_err());
        assert!(of_memory("0").is_err());
        assert!(of_memory("1536k").is_err());
    }
}
