// SPDX-License-Identifier: GPL-2.0

//! Files of the kernel in sysfs and debugfs: the stress manager and its records, the counters over all
//! tables, and the mapped devices.

use std::{
    fs::{
        self,
        OpenOptions, //
    },
    io::{
        self,
        Write, //
    },
    path::{
        Path,
        PathBuf, //
    },
};

use crate::{
    device::{
        self,
        Device, //
    },
    failure::Failure, //
};

/// Tree of sysfs.
pub(crate) struct Sysfs {
    root: PathBuf,
}

impl Sysfs {
    pub(crate) fn new(root: &Path) -> Self {
        Self {
            root: root.to_path_buf(),
        }
    }

    fn stress(&self, file: &str) -> PathBuf {
        self.root.join("kernel/dm_remap_stress_test").join(file)
    }

    /// Returns whether the module is loaded.
    pub(crate) fn has_module(&self) -> bool {
        self.stress("").is_dir()
    }

    /// Fails if the module is not loaded.
    pub(crate) fn require_module(&self) -> Result<(), Failure> {
        if self.has_module() {
            return Ok(());
        }
        Err(Failure::Undone(format!(
            "the module dm_remap is not loaded (there is no {}): insmod dm_remap.ko",
            self.stress("").display()
        )))
    }

    /// Writes one line into a file of the stress manager.
    pub(crate) fn control(&self, file: &str, text: &str) -> Result<(), Failure> {
        let opened = OpenOptions::new()
            .write(true)
            .truncate(true)
            .open(self.stress(file));
        opened
            .and_then(|mut opened| opened.write_all(format!("{text}\n").as_bytes()))
            .map_err(|error| match error.kind() {
                io::ErrorKind::NotFound => Failure::Undone(format!(
                    "the stress manager has no {file}: the module is gone, or older than remapctl"
                )),
                _ => Failure::refused(file, text, &error),
            })
    }

    /// Reads a file of the stress manager.
    pub(crate) fn report(&self, file: &str) -> Result<String, Failure> {
        read(&self.stress(file))
    }

    /// Reads a record of the stress manager in debugfs.
    pub(crate) fn record(&self, file: &str) -> Result<String, Failure> {
        let directory = self.root.join("kernel/debug");
        read(&directory.join("dm_remap/stress").join(file)).map_err(|failure| {
            Failure::Undone(format!(
                "{failure}\n  the records need debugfs, and root to read them: \
                 mount -t debugfs debugfs {}",
                directory.display()
            ))
        })
    }

    /// Reads a counter over all tables; `None` if there is none of that name.
    pub(crate) fn optimization(&self, file: &str) -> Result<Option<u64>, Failure> {
        let path = self.root.join("module/dm_remap/optimization").join(file);
        if !path.exists() {
            return Ok(None);
        }
        let text = read(&path)?;
        let value = text.trim().parse();
        value
            .map(Some)
            .map_err(|_| Failure::Undone(format!("no number in {}: {text:?}", path.display())))
    }

    /// Returns all mapped devices, in the order of their names.
    pub(crate) fn devices(&self) -> Result<Vec<Device>, Failure> {
        let directory = self.root.join("block");
        let entries =
            fs::read_dir(&directory).map_err(|error| Failure::file("read", &directory, &error))?;
        let mut devices = Vec::new();
        for entry in entries.flatten() {
            let node = entry.file_name().to_string_lossy().into_owned();
            let name = read_if_there(&entry.path().join("dm/name"));
            let number = read_if_there(&entry.path().join("dev"));
            // No mapped device, or one that is removed at this moment.
            let (Some(name), Some(number)) = (name, number) else {
                continue;
            };
            let suspended = read_if_there(&entry.path().join("dm/suspended"));
            devices.push(Device {
                name: name.clone(),
                kernel_name: name,
                number,
                node,
                suspended: suspended.as_deref() == Some("1"),
            });
        }
        device::name_all(&mut devices);
        devices.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(devices)
    }

    /// Returns the path in /dev of the block device with this number, if it is known.
    pub(crate) fn path_of(&self, number: &str) -> Option<String> {
        let directory = self.root.join("dev/block").join(number);
        if let Some(name) = read_if_there(&directory.join("dm/name")) {
            return Some(format!("/dev/mapper/{name}"));
        }
        let event = read_if_there(&directory.join("uevent"))?;
        let name = event
            .lines()
            .find_map(|line| line.strip_prefix("DEVNAME="))?;
        Some(format!("/dev/{name}"))
    }
}

/// Returns the contents of a file, without the newline at the end; `None` if it cannot be read.
fn read_if_there(path: &Path) -> Option<String> {
    let text = read(path).ok()?;
    Some(text.strip_suffix('\n').unwrap_or(&text).to_owned())
}

fn read(path: &Path) -> Result<String, Failure> {
    let bytes = fs::read(path).map_err(|error| Failure::file("read", path, &error))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
