// SPDX-License-Identifier: GPL-2.0

//! Texts of table lines and messages.

use std::ffi::CString;

/// Splits a message or a table line into words, as device-mapper does with a text without a backslash.
pub fn words(text: &[u8]) -> Vec<&[u8]> {
    let words = text.split(u8::is_ascii_whitespace);
    words.filter(|word| !word.is_empty()).collect()
}

/// Returns the words of `text` as C has them, and the vector of their addresses, which is valid as long
/// as the words exist.
pub(super) fn arguments(text: &[u8]) -> (Vec<CString>, Vec<*mut u8>) {
    let words: Vec<CString> = words(text)
        .into_iter()
        .map(|word| CString::new(word).expect("a word"))
        .collect();
    let addresses = words
        .iter()
        .map(|word| word.as_ptr().cast_mut().cast())
        .collect();
    (words, addresses)
}

/// Returns the number of the disk that a table line means by `8:<number>`.
pub fn number_of(device: &[u8]) -> Option<usize> {
    let digits = device.strip_prefix(b"8:")?;
    let digits = std::str::from_utf8(digits).ok()?;
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|_| plain)
}
