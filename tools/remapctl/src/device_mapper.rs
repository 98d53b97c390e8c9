// SPDX-License-Identifier: GPL-2.0

//! Requests to device-mapper: tables and status of devices, and messages to their targets.

use std::{
    fs, io,
    path::{
        Path,
        PathBuf, //
    },
};

use devicemapper::{
    errors,
    DevId,
    DmError,
    DmFlags,
    DmName,
    DmOptions,
    DM, //
};

use crate::{
    failure::{
        words,
        Failure, //
    },
    figures::printable, //
};

/// Line of a device's table or status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// First sector of the target on the device.
    pub(crate) start: u64,
    /// Number of sectors.
    pub(crate) length: u64,
    /// Name of the target's type.
    pub(crate) kind: String,
    /// Arguments of the target, or its status.
    pub(crate) text: String,
}

impl Line {
    /// Returns whether the target is one of dm-remap's.
    pub(crate) fn is_remap(&self) -> bool {
        self.kind == "remap"
    }
}

/// Selects one of the two tables that a device may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slot {
    /// Table that is in use.
    Live,
    /// Table that was loaded, and becomes live with the next resume.
    Inactive,
}

/// Access to mapped devices, by their names in the kernel.
pub(crate) trait DeviceMapper {
    /// Returns the lines of a table; `None` if the device does not exist, or no longer. No target writes or
    /// waits for this.
    fn table(&self, device: &str, slot: Slot) -> Result<Option<Vec<Line>>, Failure>;

    /// Returns the status of all targets of a device; `None` if the device does not exist, or no longer.
    /// For devices with a remap target only: targets of other types may do I/O for their status.
    fn status(&self, device: &str) -> Result<Option<Vec<Line>>, Failure>;

    /// Sends a message to the target that maps this sector. Returns the reply.
    fn message(&self, device: &str, sector: u64, text: &str) -> Result<String, Failure>;
}

/// Device-mapper of the running kernel.
pub(crate) struct Kernel {
    control: DM,
}

impl Kernel {
    pub(crate) fn open() -> Result<Self, Failure> {
        let control = DM::new().map_err(|error| {
            Failure::Undone(format!(
                "cannot talk to device-mapper (only root may): {error}"
            ))
        })?;
        Ok(Self { control })
    }
}

/// Returns the errno of a refused ioctl.
fn errno(error: &DmError) -> Option<io::Error> {
    match error {
        DmError::Core(errors::Error::Ioctl(_, _, _, errno)) => {
            Some(io::Error::from_raw_os_error(**errno as i32))
        }
        _ => None,
    }
}

fn refused(what: &str, device: &str, error: &DmError) -> Failure {
    let device = printable(device);
    Failure::Undone(match errno(error) {
        Some(error) => format!(
            "device-mapper refused {what} of {device}: {}",
            words(&error)
        ),
        None => format!("cannot ask device-mapper for {what} of {device}: {error}"),
    })
}

impl Kernel {
    fn ask(&self, device: &str, what: &str, flags: DmFlags) -> Result<Option<Vec<Line>>, Failure> {
        // The crate takes ASCII names only.
        let name = DmName::new(device).map_err(|error| refused(what, device, &error))?;
        let options = DmOptions::default().set_flags(flags);
        let line = |(start, length, kind, text)| Line {
            start,
            length,
            kind,
            text,
        };
        match self.control.table_status(&DevId::Name(name), options) {
            Ok((_, lines)) => Ok(Some(lines.into_iter().map(line).collect())),
            Err(error) => match errno(&error).and_then(|error| error.raw_os_error()) {
                Some(libc::ENXIO) => Ok(None),
                _ => Err(refused(what, device, &error)),
            },
        }
    }
}

impl DeviceMapper for Kernel {
    fn table(&self, device: &str, slot: Slot) -> Result<Option<Vec<Line>>, Failure> {
        let flags = DmFlags::DM_STATUS_TABLE | DmFlags::DM_NOFLUSH;
        match slot {
            Slot::Live => self.ask(device, "the table", flags),
            Slot::Inactive => {
                let flags = flags | DmFlags::DM_QUERY_INACTIVE_TABLE;
                self.ask(device, "the inactive table", flags)
            }
        }
    }

    fn status(&self, device: &str) -> Result<Option<Vec<Line>>, Failure> {
        // With NOFLUSH, other targets of the device do not commit their metadata either.
        self.ask(device, "the status", DmFlags::DM_NOFLUSH)
    }

    fn message(&self, device: &str, sector: u64, text: &str) -> Result<String, Failure> {
        let what = format!("the message '{text}'");
        let name = DmName::new(device).map_err(|error| refused(&what, device, &error))?;
        let id = DevId::Name(name);
        let reply = self.control.target_msg(&id, Some(sector), text);
        let (_, reply) = reply.map_err(|error| refused(&what, device, &error))?;
        Ok(reply.unwrap_or_default())
    }
}

/// Recorded answers of device-mapper, in a directory: `<device>/table`, `<device>/inactive` and
/// `<device>/status` as dmsetup prints them, and a file for each message that has a reply. For tests, and
/// for answers from another machine.
pub(crate) struct Recording {
    directory: PathBuf,
}

impl Recording {
    pub(crate) fn new(directory: &Path) -> Self {
        Self {
            directory: directory.to_path_buf(),
        }
    }

    fn lines(&self, device: &str, file: &str) -> Result<Option<Vec<Line>>, Failure> {
        let path = self.directory.join(device).join(file);
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Some(text.lines().filter_map(recorded).collect())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Failure::file("read", &path, &error)),
        }
    }
}

impl DeviceMapper for Recording {
    fn table(&self, device: &str, slot: Slot) -> Result<Option<Vec<Line>>, Failure> {
        match slot {
            Slot::Live => self.lines(device, "table"),
            Slot::Inactive => Ok(self.lines(device, "inactive")?.or(Some(Vec::new()))),
        }
    }

    fn status(&self, device: &str) -> Result<Option<Vec<Line>>, Failure> {
        self.lines(device, "status")
    }

    fn message(&self, device: &str, _: u64, text: &str) -> Result<String, Failure> {
        let path = self.directory.join(device).join(text);
        fs::read_to_string(&path).map_err(|error| Failure::file("read", &path, &error))
    }
}

/// Parses a line of `dmsetup table` or `dmsetup status`.
fn recorded(line: &str) -> Option<Line> {
    let mut words = line.splitn(4, ' ');
    Some(Line {
        start: words.next()?.parse().ok()?,
        length: words.next()?.parse().ok()?,
        kind: words.next()?.to_owned(),
        text: words.next().unwrap_or_default().to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recorded_lines_are_those_of_dmsetup() {
        let line = recorded("8 16 remap 0/1 0 0 8 ok none reads=0").unwrap();
        assert_eq!((line.start, line.length), (8, 16));
        assert_eq!(line.text, "0/1 0 0 8 ok none reads=0");
        assert!(line.is_remap());
        assert!(!recorded("0 16 linear ").unwrap().is_remap());
        assert_eq!(recorded(""), None);
    }
}
