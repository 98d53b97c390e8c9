// SPDX-License-Identifier: GPL-2.0

//! Formats figures and names for people.

use std::fmt::Write;

/// Returns a name that can be printed in a line: blanks, backslashes and all bytes that are not printable
/// ASCII become `\xNN`, as in the reports of the stress manager.
pub(crate) fn printable(name: &str) -> String {
    name.bytes().fold(String::new(), |mut text, byte| {
        if byte.is_ascii_graphic() && byte != b'\\' {
            text.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(text, "\\x{byte:02x}");
        }
        text
    })
}

/// Replaces the characters that XML does not allow.
pub(crate) fn legible(text: &str) -> String {
    text.replace(
        |char: char| char.is_control() || matches!(char, '\u{fffe}' | '\u{ffff}'),
        "\u{fffd}",
    )
}

/// Returns a value with about three digits, and its unit: the largest one that the value reaches.
fn scaled(value: f64, base: f64, units: &[&'static str]) -> (String, &'static str) {
    let mut value = value;
    let mut unit = "";
    for (index, name) in units.iter().enumerate() {
        unit = name;
        // A value that would be rounded up to the next unit is given in that unit.
        if value < base - 0.5 || index + 1 == units.len() {
            break;
        }
        value /= base;
    }
    let digits = usize::from(value < 9.995 && value.fract() != 0.0) + usize::from(value < 99.95);
    let number = if value.fract() == 0.0 {
        format!("{value:.0}")
    } else {
        format!("{value:.digits$}")
    };
    (number, unit)
}

/// Formats a time: `96 ns`, `12.3 µs`.
pub(crate) fn nanoseconds(ns: u64) -> String {
    let (number, unit) = scaled(ns as f64, 1000.0, &["ns", "µs", "ms", "s"]);
    format!("{number} {unit}")
}

/// Formats an amount of storage: `4 KiB`, `1.5 GiB`.
pub(crate) fn storage(bytes: u64) -> String {
    let units = ["bytes", "KiB", "MiB", "GiB", "TiB", "PiB"];
    let (number, unit) = scaled(bytes as f64, 1024.0, &units);
    format!("{number} {unit}")
}

/// Formats a number briefly: `950`, `41.2k`.
pub(crate) fn short(value: f64) -> String {
    let (number, unit) = scaled(value, 1000.0, &["", "k", "M", "G", "T"]);
    format!("{number}{unit}")
}

/// Formats a number with commas between thousands: `3,000,000`.
pub(crate) fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Formats a time in seconds and tenths: `12.3 s`.
pub(crate) fn seconds(ms: u64) -> String {
    format!("{}.{} s", ms / 1000, ms % 1000 / 100)
}

/// Formats hundredths of a percent as percent, with a sign.
pub(crate) fn percent(basis_points: i64) -> String {
    let sign = if basis_points < 0 { '-' } else { '+' };
    let size = basis_points.unsigned_abs();
    format!("{sign}{}.{:02} %", size / 100, size % 100)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_harmless() {
        assert_eq!(printable("test_device"), "test_device");
        assert_eq!(printable("a b\\\n\u{1b}[1m"), "a\\x20b\\x5c\\x0a\\x1b[1m");
        assert_eq!(printable("é"), "\\xc3\\xa9");
        assert_eq!(legible("a b\0é\u{ffff}<"), "a b\u{fffd}é\u{fffd}<");
    }

    #[test]
    fn units_fit_the_size() {
        for (ns, text) in [
            (0, "0 ns"),
            (96, "96 ns"),
            (999, "999 ns"),
            (1000, "1 µs"),
            (1500, "1.50 µs"),
            (12_345, "12.3 µs"),
            (123_456, "123 µs"),
            (999_900, "1.00 ms"),
            (4_000_000_000, "4 s"),
            (5_000_000_000_000, "5000 s"),
        ] {
            assert_eq!(nanoseconds(ns), text);
        }
        assert_eq!(storage(512), "512 bytes");
        assert_eq!(storage(4096), "4 KiB");
        assert_eq!(storage(3 << 29), "1.50 GiB");
        assert_eq!(short(41_234.0), "41.2k");
        assert_eq!(short(0.0), "0");
    }

    #[test]
    fn numbers_are_grouped_and_signed() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1000), "1,000");
        assert_eq!(grouped(3_000_000), "3,000,000");
        assert_eq!(seconds(12_345), "12.3 s");
        assert_eq!(percent(-125), "-1.25 %");
        assert_eq!(percent(5), "+0.05 %");
    }
}
