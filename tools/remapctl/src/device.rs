// SPDX-License-Identifier: GPL-2.0

//! Mapped devices and their names.

use std::{
    fs,
    os::unix::fs::{
        FileTypeExt,
        MetadataExt, //
    },
};

use crate::{
    failure::Failure,
    figures::printable,
    name::known_as, //
};

/// Mapped device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Device {
    /// Name for users, see [`name_all`]. Unique.
    pub(crate) name: String,
    /// Name in the kernel.
    pub(crate) kernel_name: String,
    /// `<major>:<minor>`.
    pub(crate) number: String,
    /// The kernel's name for the disk, `dm-<minor>`.
    pub(crate) node: String,
    /// True if device-mapper has suspended the device.
    pub(crate) suspended: bool,
}

impl Device {
    fn is_named(&self, text: &str) -> bool {
        self.name == text || self.kernel_name == text || printable(&self.name) == text
    }

    /// Returns the failure of a command that needs a remap target, for a device without one.
    pub(crate) fn no_remap_target(&self) -> Failure {
        Failure::Undone(format!("{} is no remap device", printable(&self.name)))
    }

    fn is_numbered(&self, text: &str) -> bool {
        self.node == text || self.number == text
    }
}

#[cfg(test)]
impl Device {
    /// Returns a device for tests.
    pub(crate) fn example() -> Self {
        Self {
            name: String::from("r0"),
            kernel_name: String::from("r0"),
            number: String::from("253:0"),
            node: String::from("dm-0"),
            suspended: false,
        }
    }
}

/// Names each device as its user knows it; if that name is not unique, as the kernel has it.
pub(crate) fn name_all(devices: &mut [Device]) {
    let names: Vec<(String, String)> = devices
        .iter()
        .map(|device| (known_as(&device.kernel_name), device.kernel_name.clone()))
        .collect();
    for (index, device) in devices.iter_mut().enumerate() {
        let (name, kernel_name) = &names[index];
        let is_taken = |(other, (known, kernel)): (usize, &(String, String))| {
            other != index && (known == name || kernel == name)
        };
        let taken = names.iter().enumerate().any(is_taken);
        device.name = if taken { kernel_name } else { name }.clone();
    }
}

/// Returns the device that a user calls `text`: by name, or else by number or path.
pub(crate) fn find<'a>(devices: &'a [Device], text: &str) -> Result<&'a Device, Failure> {
    let bare = text
        .strip_prefix("/dev/mapper/")
        .or_else(|| text.strip_prefix("/dev/"))
        .unwrap_or(text);
    let mut named = devices.iter().filter(|device| device.is_named(bare));
    match (named.next(), named.next()) {
        (Some(device), None) => return Ok(device),
        (Some(one), Some(other)) => {
            let (one, other) = (&one.node, &other.node);
            let text = printable(text);
            return Err(Failure::Undone(format!(
                "{text} may be {one} or {other}: say which"
            )));
        }
        (None, _) => {}
    }
    let number = number_of(text);
    devices
        .iter()
        .find(|device| device.is_numbered(bare) || number.as_ref() == Some(&device.number))
        .ok_or_else(|| Failure::Undone(format!("there is no mapped device {}", printable(text))))
}

/// Returns the number of the block device at a path, through links.
fn number_of(path: &str) -> Option<String> {
    if !path.starts_with('/') {
        return None;
    }
    let metadata = fs::metadata(path).ok()?;
    let number = metadata.rdev();
    metadata
        .file_type()
        .is_block_device()
        .then(|| format!("{}:{}", libc::major(number), libc::minor(number)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn devices(names: &[&str]) -> Vec<Device> {
        let device = |(minor, name): (usize, &&str)| Device {
            name: String::new(),
            kernel_name: String::from(*name),
            number: format!("253:{minor}"),
            node: format!("dm-{minor}"),
            suspended: false,
        };
        let mut devices: Vec<Device> = names.iter().enumerate().map(device).collect();
        name_all(&mut devices);
        devices
    }

    #[test]
    fn a_device_has_several_names() {
        let devices = devices(&["disk", "dm-0", r"odd\x20name", r"a\x5cb"]);
        let found = |text| find(&devices, text).map(|device| device.number.as_str());
        for (text, number) in [
            ("disk", "253:0"),
            ("/dev/mapper/disk", "253:0"),
            ("253:0", "253:0"),
            ("dm-0", "253:1"),
            ("dm-1", "253:1"),
            ("/dev/dm-1", "253:1"),
            ("253:1", "253:1"),
            ("odd name", "253:2"),
            (r"odd\x20name", "253:2"),
            (r"/dev/mapper/odd\x20name", "253:2"),
            (r"a\b", "253:3"),
            (r"a\x5cb", "253:3"),
        ] {
            assert_eq!(found(text), Ok(number), "{text}");
        }
        for text in ["dis", "", "/dev/mapper", "/dev/null", r"odd\x5cx20name"] {
            assert!(found(text).is_err(), "{text}");
        }
    }

    #[test]
    fn no_name_means_two_devices() {
        // The first device was made without libdevmapper's mangling.
        let devices = devices(&["a b", r"a\x20b"]);
        let names: Vec<&str> = devices.iter().map(|device| device.name.as_str()).collect();
        assert_eq!(names, ["a b", r"a\x20b"]);
        let found = |text| find(&devices, text).map(|device| device.number.as_str());
        assert_eq!(found("a b"), Ok("253:0"));
        // The kernel's name of the second device, and the printed name of the first one.
        let refused = found(r"a\x20b").unwrap_err().to_string();
        assert!(refused.contains("dm-0 or dm-1"), "{refused}");
        assert_eq!(found("dm-1"), Ok("253:1"));
    }
}
