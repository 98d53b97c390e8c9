// SPDX-License-Identifier: GPL-2.0

//! Numbers of block devices, `major:minor`.

use core::fmt;

use crate::interface::decimal;

/// Number of a block device.
///
/// # Examples
///
/// ```
/// use remap_core::interface::device_number::DeviceNumber;
///
/// let number = DeviceNumber::parse(b"253:0");
/// assert_eq!(number, Some(DeviceNumber { major: 253, minor: 0 }));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeviceNumber {
    /// Number of the driver.
    pub major: u32,
    /// Number of the device among those of the driver.
    pub minor: u32,
}

impl DeviceNumber {
    /// Largest number of a driver (`MINORBITS` in `include/linux/kdev_t.h` leaves twelve bits).
    pub const MAX_MAJOR: u32 = (1 << 12) - 1;

    /// Largest number of a device of a driver.
    pub const MAX_MINOR: u32 = (1 << 20) - 1;

    /// Parses `major:minor`; `None` for anything else.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let colon = text.iter().position(|&byte| byte == b':')?;
        let (major, minor) = (text.get(..colon)?, text.get(colon + 1..)?);
        let number = |digits: &[u8], max: u32| {
            let value = u32::try_from(decimal::parse(digits).ok()?).ok()?;
            (value <= max).then_some(value)
        };
        Some(Self {
            major: number(major, Self::MAX_MAJOR)?,
            minor: number(minor, Self::MAX_MINOR)?,
        })
    }
}

impl fmt::Display for DeviceNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.major, self.minor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::format;

    #[test]
    fn takes_what_it_prints() {
        for (major, minor) in [(0, 0), (253, 17), (4095, 1_048_575)] {
            let number = DeviceNumber { major, minor };
            assert_eq!(
                DeviceNumber::parse(format!("{number}").as_bytes()),
                Some(number)
            );
        }
    }

    #[test]
    fn refuses_anything_else() {
        for text in [
            "",
            ":",
            "253",
            "253:",
            ":0",
            "253:0:1",
            "253:-1",
            "253: 0",
            "4096:0",
            "1:1048576",
        ] {
            assert_eq!(DeviceNumber::parse(text.as_bytes()), None, "{text}");
        }
    }
}
