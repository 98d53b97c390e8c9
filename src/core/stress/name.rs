// SPDX-License-Identifier: GPL-2.0

//! Names of devices.

use core::fmt::{
    self,
    Write, //
};

use crate::stress::request::MAX_NAME;

/// Name of a device, by value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Name {
    bytes: [u8; MAX_NAME],
    len: usize,
}

impl Name {
    /// Makes a copy of `name`, truncated to [`MAX_NAME`] bytes.
    pub fn new(name: &[u8]) -> Self {
        let mut bytes = [0; MAX_NAME];
        let len = name.len().min(MAX_NAME);
        for (slot, byte) in bytes.iter_mut().zip(name) {
            *slot = *byte;
        }
        Self { bytes, len }
    }

    /// Returns the bytes of the name.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or(&self.bytes)
    }
}

/// Printable form of a name. Bytes that could break a line or a field are written as `\xNN`, as udev does.
pub struct Printable<'a>(pub &'a Name);

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for &byte in self.0.as_bytes() {
            if byte.is_ascii_graphic() && byte != b'\\' {
                f.write_char(char::from(byte))?;
            } else {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        Ok(())
    }
}
