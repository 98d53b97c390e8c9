// SPDX-License-Identifier: GPL-2.0

//! Names of mapped devices: in the kernel, and for users.
//!
//! libdevmapper mangles names, and so do dmsetup, LVM and cryptsetup: every byte that udev does not take
//! becomes `\xNN`. A device that was created as `odd name` is `odd\x20name` in the kernel and in
//! /dev/mapper, and `odd name` in the output of dmsetup. A name that is already mangled is not changed, so
//! both forms mean one device.

/// Returns the name that the users of a device know, from its name in the kernel.
///
/// A name that libdevmapper cannot have made is returned unchanged: it has a byte that udev does not take,
/// stands for no text, or was mangled twice.
pub(crate) fn known_as(kernel: &str) -> String {
    unescaped(kernel)
        .filter(|name| is_mangled(kernel) && !name.contains('\0') && !has_escape(name))
        .unwrap_or_else(|| kernel.to_owned())
}

/// Replaces each `\xNN` by its byte. Returns `None` if the result is not UTF-8.
pub(crate) fn unescaped(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, behind)) = rest.split_first() {
        let (byte, behind) = escape(rest).unwrap_or((first, behind));
        bytes.push(byte);
        rest = behind;
    }
    String::from_utf8(bytes).ok()
}

/// Returns the byte that a `\xNN` at the beginning of `text` stands for, and the rest of the text.
fn escape(text: &[u8]) -> Option<(u8, &[u8])> {
    let [b'\\', b'x', high, low, behind @ ..] = text else {
        return None;
    };
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    let byte = u8::try_from(digit(high)? << 4 | digit(low)?).ok()?;
    Some((byte, behind))
}

fn has_escape(text: &str) -> bool {
    (0..text.len()).any(|at| escape(&text.as_bytes()[at..]).is_some())
}

/// Returns whether all bytes outside of escapes are among those that libdevmapper does not mangle.
fn is_mangled(kernel: &str) -> bool {
    let mut rest = kernel.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        rest = match escape(rest) {
            Some((_, behind)) => behind,
            None if first.is_ascii_alphanumeric() || b"#+-.:=@_".contains(first) => behind,
            None => return false,
        };
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_libdevmapper_has_written_is_read() {
        for (kernel, known) in [
            ("plain-1.2:#+=@_", "plain-1.2:#+=@_"),
            (r"odd\x20name", "odd name"),
            (r"back\x5cslash", r"back\slash"),
            (r"\x2Fdev\x2fx", "/dev/x"),
            (r"gr\xc3\xb6\xc3\x9fe", "größe"),
        ] {
            assert_eq!(known_as(kernel), known);
        }
    }

    #[test]
    fn all_other_names_are_what_they_are() {
        for name in [
            "raw name",
            r"raw name\x20",
            r"lone\slash",
            r"\xff",
            r"a\x00",
            r"a\x2",
            r"a\x5cx20b",
            "größe",
        ] {
            assert_eq!(known_as(name), name);
        }
    }

    #[test]
    fn escapes_are_undone_once() {
        assert_eq!(unescaped(r"a\x5cx20b").as_deref(), Some(r"a\x20b"));
        assert_eq!(unescaped(r"a\xzzb\").as_deref(), Some(r"a\xzzb\"));
        assert_eq!(unescaped(r"\xff"), None);
    }
}
