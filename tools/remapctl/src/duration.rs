// SPDX-License-Identifier: GPL-2.0

//! Parses durations as users write them: `500ms`, `90s`, `2m`, `1h30m`.

use std::time::Duration;

const UNITS: [(&str, u64); 5] = [
    ("ms", 1),
    ("s", 1000),
    ("m", 60_000),
    ("h", 3_600_000),
    ("d", 86_400_000),
];

/// Duration of the longest test, in milliseconds: a day.
const LONGEST_TEST_MS: u64 = 86_400_000;

/// Parses a duration: numbers, each with its unit.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let mut rest = text;
    let mut total = 0_u64;
    while !rest.is_empty() {
        let (number, behind) = split(rest, |char| char.is_ascii_digit());
        let (unit, behind) = split(behind, |char| char.is_ascii_alphabetic());
        let factor = UNITS.iter().find(|(name, _)| *name == unit);
        let (Ok(number), Some((_, factor))) = (number.parse::<u64>(), factor) else {
            return Err(String::from(
                "not a duration such as 500ms, 90s, 2m or 1h30m",
            ));
        };
        total = number
            .checked_mul(*factor)
            .and_then(|part| total.checked_add(part))
            .ok_or_else(|| String::from("too long"))?;
        rest = behind;
    }
    if total == 0 {
        return Err(String::from("no time at all"));
    }
    Ok(Duration::from_millis(total))
}

fn split(text: &str, belongs: impl Fn(char) -> bool) -> (&str, &str) {
    let end = text.find(|char| !belongs(char)).unwrap_or(text.len());
    text.split_at(end)
}

/// Parses the duration of a test.
pub(crate) fn of_test(text: &str) -> Result<Duration, String> {
    let duration = parse(text)?;
    if duration.as_millis() > u128::from(LONGEST_TEST_MS) {
        return Err(String::from("no test takes more than a day"));
    }
    Ok(duration)
}

/// Parses the duration of a test that takes whole seconds, at most an hour.
pub(crate) fn of_whole_seconds(text: &str) -> Result<Duration, String> {
    let duration = parse(text)?;
    if duration.subsec_millis() != 0 || duration.as_secs() > 3600 {
        return Err(String::from("not whole seconds, up to an hour"));
    }
    Ok(duration)
}

/// Parses the time between two looks: a duration, or a number of seconds.
pub(crate) fn of_interval(text: &str) -> Result<Duration, String> {
    let seconds = text
        .parse::<f64>()
        .ok()
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let interval = match seconds {
        Some(interval) => interval,
        None => parse(text)?,
    };
    if interval < Duration::from_millis(100) || interval > Duration::from_secs(3600) {
        return Err(String::from("not within 0.1 and 3600 seconds"));
    }
    Ok(interval)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_units() {
        for (text, ms) in [
            ("500ms", 500),
            ("90s", 90_000),
            ("2m", 120_000),
            ("1h30m", 5_400_000),
            ("1d", 86_400_000),
            ("1m500ms", 60_500),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        for text in [
            "",
            "5",
            "s",
            "1.5s",
            "-1s",
            "5x",
            "5 s",
            "0s",
            "5sm",
            "5s6",
            "99999999999999999999s",
            "18446744073709551615h",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn tests_have_limits() {
        assert!(of_test("24h").is_ok());
        assert!(of_test("24h1ms").is_err());
        assert!(of_whole_seconds("1h").is_ok());
        assert!(of_whole_seconds("1500ms").is_err());
        assert!(of_whole_seconds("3601s").is_err());
    }

    #[test]
    fn an_interval_may_be_bare_seconds() {
        assert_eq!(of_interval("0.5"), Ok(Duration::from_millis(500)));
        assert_eq!(of_interval("2"), Ok(Duration::from_secs(2)));
        assert_eq!(of_interval("250ms"), Ok(Duration::from_millis(250)));
        for text in ["0", "-1", "nan", "inf", "1e300", "2h", "x"] {
            assert!(of_interval(text).is_err(), "{text}");
        }
    }
}
