// SPDX-License-Identifier: GPL-2.0

//! Device-mapper: what it says of a device, and messages to its targets.

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

/// The name of the target.
const REMAP: &str = "remap";

/// A target of a device, a remap one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// Where it starts, in sectors.
    pub(crate) start: u64,
    /// How long it is, in sectors.
    pub(crate) length: u64,
    /// Its status.
    pub(crate) status: String,
}

/// Whoever answers for devices.
pub(crate) trait DeviceMapper {
    /// The remap targets of a device; `None` where there is no such device (any more).
    fn targets(&self, device: &str) -> Result<Option<Vec<Target>>, Failure>;

    /// The reply to a message to the target that has this sector.
    fn message(&self, device: &str, sector: u64, text: &str) -> Result<String, Failure>;
}

/// The kernel.
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

/// The errno of a refused ioctl.
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

impl DeviceMapper for Kernel {
    fn targets(&self, device: &str) -> Result<Option<Vec<Target>>, Failure> {
        // The crate takes ASCII names only.
        let what = "the status";
        let name = DmName::new(device).map_err(|error| refused(what, device, &error))?;
        let options = DmOptions::default();
        match self.control.table_status(&DevId::Name(name), options) {
            Ok((_, targets)) => Ok(Some(
                targets
                    .into_iter()
                    .filter(|(_, _, kind, _)| kind == REMAP)
                    .map(|(start, length, _, status)| Target {
                        start,
                        length,
                        status,
                    })
                    .collect(),
            )),
            Err(error) => match errno(&error).and_then(|error| error.raw_os_error()) {
                Some(libc::ENXIO) => Ok(None),
                _ => Err(refused(what, device, &error)),
            },
        }
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

/// Answers from a directory: `<device>/status` as dmsetup prints it, and a file for each message
/// that has a reply. For tests, and to look at what somebody else's machine has said.
pub(crate) struct Recording {
    directory: PathBuf,
}

impl Recording {
    pub(crate) fn new(directory: &Path) -> Self {
        Self {
            directory: directory.to_path_buf(),
        }
    }
}

impl DeviceMapper for Recording {
    fn targets(&self, device: &str) -> Result<Option<Vec<Target>>, Failure> {
        let path = self.directory.join(device).join("status");
        match fs::read_to_string(&path) {
            Ok(text) => Ok(Some(text.lines().filter_map(recorded).collect())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Failure::file("read", &path, &error)),
        }
    }

    fn message(&self, device: &str, _: u64, text: &str) -> Result<String, Failure> {
        let path = self.directory.join(device).join(text);
        fs::read_to_string(&path).map_err(|error| Failure::file("read", &path, &error))
    }
}

/// The target of a line of `dmsetup status`; `None` where it is another kind of target.
fn recorded(line: &str) -> Option<Target> {
    let mut words = line.splitn(4, ' ');
    let (start, length) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    (words.next()? == REMAP).then_some(Target {
        start,
        length,
        status: words.next()?.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recorded_lines_are_those_of_dmsetup() {
        let target = recorded("8 16 remap 0/1 0 0 8 ok none reads=0").unwrap();
        assert_eq!((target.start, target.length), (8, 16));
        assert_eq!(target.status, "0/1 0 0 8 ok none reads=0");
        assert_eq!(recorded("0 16 linear "), None);
        assert_eq!(recorded(""), None);
    }
}
