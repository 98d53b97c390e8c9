// SPDX-License-Identifier: GPL-2.0

//! Mapped devices and what users call them.

use crate::{
    failure::Failure,
    figures::printable, //
};

/// A mapped device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Device {
    /// The name that it was given.
    pub(crate) name: String,
    /// `<major>:<minor>`.
    pub(crate) number: String,
    /// The kernel's name, `dm-<minor>`.
    pub(crate) node: String,
}

impl Device {
    /// Whether a user may mean it by `text`, which may be a path.
    fn is_called(&self, text: &str) -> bool {
        self.node == text || self.number == text
    }
}

/// The device that a user calls `text`. A name goes before a number that looks like it.
pub(crate) fn find<'a>(devices: &'a [Device], text: &str) -> Result<&'a Device, Failure> {
    let bare = text
        .strip_prefix("/dev/mapper/")
        .or_else(|| text.strip_prefix("/dev/"))
        .unwrap_or(text);
    devices
        .iter()
        .find(|device| device.name == bare)
        .or_else(|| devices.iter().find(|device| device.is_called(bare)))
        .ok_or_else(|| Failure::Undone(format!("there is no mapped device {}", printable(text))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_has_several_names() {
        let device = |name: &str, minor| Device {
            name: String::from(name),
            number: format!("253:{minor}"),
            node: format!("dm-{minor}"),
        };
        let devices = [device("disk", 0), device("dm-0", 1)];
        let found = |text| find(&devices, text).map(|device| device.number.as_str());
        for text in ["disk", "/dev/mapper/disk", "253:0"] {
            assert_eq!(found(text), Ok("253:0"), "{text}");
        }
        for text in ["dm-0", "dm-1", "/dev/dm-1", "253:1"] {
            assert_eq!(found(text), Ok("253:1"), "{text}");
        }
        assert!(found("dis").is_err());
        assert!(found("").is_err());
    }
}
