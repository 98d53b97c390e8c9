// SPDX-License-Identifier: GPL-2.0

//! Arguments of users in lines of the log.

use core::fmt::{
    self,
    Write, //
};

/// An argument as a line of the log shows it: bytes that could break the line are written as `\xNN`, and
/// only the first [`Excerpt::MOST`] of them are shown.
///
/// The kernel keeps no more than a kilobyte of a line, and the reason stands behind the argument.
#[derive(Clone, Copy, Debug)]
pub struct Excerpt<'a>(pub &'a [u8]);

impl Excerpt<'_> {
    /// Most bytes that are shown; dots stand for the others.
    pub const MOST: usize = 128;
}

impl fmt::Display for Excerpt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for &byte in self.0.iter().take(Self::MOST) {
            if byte == b' ' || byte.is_ascii_graphic() {
                f.write_char(char::from(byte))?;
            } else {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        if self.0.len() > Self::MOST {
            f.write_str("...")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        string::ToString,
        vec, //
    };

    #[test]
    fn an_argument_stays_on_its_line() {
        assert_eq!(Excerpt(b"/dev/a b").to_string(), "/dev/a b");
        assert_eq!(Excerpt(b"").to_string(), "");
        assert_eq!(Excerpt(b"1\n\0\xff").to_string(), r"1\x0a\x00\xff");
    }

    #[test]
    fn a_long_argument_is_cut() {
        let most = vec![b'9'; Excerpt::MOST];
        assert_eq!(Excerpt(&most).to_string(), "9".repeat(Excerpt::MOST));
        let more = vec![0; Excerpt::MOST + 1];
        let shown = Excerpt(&more).to_string();
        assert_eq!(shown, "\\x00".repeat(Excerpt::MOST) + "...");
        // Twice as much as there is before and behind it still fits a line.
        assert!(shown.len() < 600);
    }
}
