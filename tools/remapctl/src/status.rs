// SPDX-License-Identifier: GPL-2.0

//! Status of remap targets.

use std::io::Write;

use serde::Serialize;

use crate::{
    arguments::StatusArguments,
    device::{
        self,
        Device, //
    },
    device_mapper::{
        DeviceMapper,
        Line,
        Slot, //
    },
    failure::Failure,
    figures::printable,
    output,
    places::Places,
    state::State,
    status_view::{
        details,
        overview, //
    },
    sysfs::Sysfs,
    Answer, //
};

/// Bytes of a sector.
pub(crate) const SECTOR: u64 = 512;

/// Word for the health of a target whose status is not known.
pub(crate) const UNKNOWN: &str = "unknown";

/// Status of a remap target, as far as it could be read.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Status {
    /// Name of the device, as its user knows it.
    pub(crate) device: String,
    /// Name of the device in the kernel.
    pub(crate) kernel_name: String,
    /// Number of the device, `<major>:<minor>`.
    pub(crate) number: String,
    /// True if the device is suspended.
    pub(crate) suspended: bool,
    /// Start of the target on the device, in sectors.
    pub(crate) start: u64,
    /// Length of the target, in sectors.
    pub(crate) length: u64,
    /// Arguments of the target, if they could be parsed.
    #[serde(flatten)]
    pub(crate) places: Option<Places>,
    /// Words of the target's status, if they could be parsed.
    #[serde(flatten)]
    pub(crate) state: Option<State>,
    /// Why something is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) problem: Option<String>,
}

impl Status {
    /// Makes the status of a target from its line of the table alone.
    fn of_line(sysfs: &Sysfs, device: &Device, line: &Line) -> Self {
        let mut status = Self {
            device: device.name.clone(),
            kernel_name: device.kernel_name.clone(),
            number: device.number.clone(),
            suspended: device.suspended,
            start: line.start,
            length: line.length,
            places: Places::parse(sysfs, &line.text),
            state: None,
            problem: None,
        };
        if status.places.is_none() {
            status.set_problem(&format!("cannot make sense of the table: '{}'", line.text));
        }
        status
    }

    /// Adds the target's line of the status, `None` if there is none.
    fn with_state(mut self, line: Option<&Line>) -> Self {
        match line {
            Some(line) => {
                self.state = State::parse(&line.text);
                if self.state.is_none() {
                    self.set_problem(&format!("cannot make sense of the status: '{}'", line.text));
                }
            }
            None => self.set_problem("the table was changed while it was read"),
        }
        self
    }

    /// Records why something is not known. The first reason stays.
    fn set_problem(&mut self, problem: &str) {
        self.problem.get_or_insert_with(|| problem.to_owned());
    }

    /// Returns whether the target needs no attention.
    pub(crate) fn is_well(&self) -> bool {
        let well = |state: &State| {
            state.health == "ok" && matches!(state.metadata.as_str(), "none" | "ok")
        };
        self.problem.is_none() && self.state.as_ref().is_some_and(well)
    }

    /// Returns the word for the health of the target.
    pub(crate) fn health(&self) -> &str {
        self.state.as_ref().map_or(UNKNOWN, |state| &state.health)
    }

    /// Returns a line with the name of the device and the reason why something is not known, if there is
    /// one.
    fn complaint(&self) -> Option<String> {
        let problem = self.problem.as_ref()?;
        Some(format!("{}: {problem}", printable(&self.device)))
    }
}

/// Status of remap targets, and reasons why some of it is missing.
pub(crate) struct Survey {
    /// Targets, in the order of the names of their devices.
    pub(crate) targets: Vec<Status>,
    /// Reasons why something is missing, each with the name of its device.
    pub(crate) complaints: Vec<String>,
}

impl Survey {
    /// Surveys all mapped devices. A device that fails to answer adds a complaint, and the others are still
    /// surveyed.
    pub(crate) fn take(sysfs: &Sysfs, mapper: &dyn DeviceMapper) -> Result<Self, Failure> {
        let (mut targets, mut complaints) = (Vec::new(), Vec::new());
        for device in sysfs.devices()? {
            match of_device(sysfs, mapper, &device) {
                // A device that is removed meanwhile is left out.
                Ok(found) => targets.extend(found.into_iter().flatten()),
                Err(failure) => complaints.push(failure.to_string()),
            }
        }
        complaints.extend(targets.iter().filter_map(Status::complaint));
        Ok(Self {
            targets,
            complaints,
        })
    }

    /// Returns whether no target needs attention, and nothing is missing.
    fn is_well(&self) -> bool {
        self.complaints.is_empty() && self.targets.iter().all(Status::is_well)
    }
}

/// Returns the lines of the remap targets in a device's table; `None` if the device is gone.
pub(crate) fn lines(
    mapper: &dyn DeviceMapper,
    device: &Device,
    slot: Slot,
) -> Result<Option<Vec<Line>>, Failure> {
    let remaps = |mut lines: Vec<Line>| {
        lines.retain(Line::is_remap);
        lines
    };
    Ok(mapper.table(&device.kernel_name, slot)?.map(remaps))
}

/// Returns the status of every remap target of a device; `None` if the device is gone.
///
/// A device without remap targets is not asked for its status: some types of targets write metadata for it.
fn of_device(
    sysfs: &Sysfs,
    mapper: &dyn DeviceMapper,
    device: &Device,
) -> Result<Option<Vec<Status>>, Failure> {
    let Some(live) = mapper.table(&device.kernel_name, Slot::Live)? else {
        return Ok(None);
    };
    let of_line = |line: &Line| Status::of_line(sysfs, device, line);
    if live.is_empty() {
        let waiting = lines(mapper, device, Slot::Inactive)?;
        return Ok(waiting.map(|waiting| waiting.iter().map(of_line).map(not_active).collect()));
    }
    let mut targets: Vec<Status> = live
        .iter()
        .filter(|line| line.is_remap())
        .map(of_line)
        .collect();
    if targets.is_empty() {
        return Ok(Some(targets));
    }
    match mapper.status(&device.kernel_name) {
        Ok(None) => return Ok(None),
        Ok(Some(told)) => {
            let told_of = |status: &Status| {
                told.iter()
                    .find(|line| line.is_remap() && line.start == status.start)
            };
            let with_state = |status: Status| {
                let line = told_of(&status);
                status.with_state(line)
            };
            targets = targets.into_iter().map(with_state).collect();
        }
        Err(failure) => targets
            .iter_mut()
            .for_each(|status| status.set_problem(&failure.to_string())),
    }
    Ok(Some(targets))
}

fn not_active(mut status: Status) -> Status {
    status.set_problem("the table is loaded, but not active: dmsetup resume");
    status
}

/// Surveys one device. Fails if it has no remap target.
fn of(sysfs: &Sysfs, mapper: &dyn DeviceMapper, name: &str) -> Result<Survey, Failure> {
    let devices = sysfs.devices()?;
    let device = device::find(&devices, name)?;
    let targets = of_device(sysfs, mapper, device)?.unwrap_or_default();
    if targets.is_empty() {
        return Err(device.no_remap_target());
    }
    let complaints = targets.iter().filter_map(Status::complaint).collect();
    Ok(Survey {
        targets,
        complaints,
    })
}

/// Runs `remapctl status`.
pub(crate) fn run(
    sysfs: &Sysfs,
    mapper: &dyn DeviceMapper,
    asked: &StatusArguments,
    out: &mut dyn Write,
) -> Result<Answer, Failure> {
    let found = match &asked.device {
        Some(name) => of(sysfs, mapper, name)?,
        None => Survey::take(sysfs, mapper)?,
    };
    let targets = &found.targets;
    if asked.json {
        output::json(targets, out)?;
    } else if asked.device.is_some() {
        targets.iter().try_for_each(|status| details(status, out))?;
    } else if targets.is_empty() {
        writeln!(out, "There is no remap device.")?;
    } else {
        overview(targets, out)?;
    }
    found.complaints.iter().for_each(|text| output::say(text));
    Ok(if found.is_well() {
        Answer::Good
    } else {
        Answer::Bad
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        cell::Cell,
        path::Path, //
    };

    fn target(state: Option<State>) -> Status {
        Status {
            device: String::from("bad"),
            kernel_name: String::from("bad"),
            number: String::from("253:0"),
            suspended: false,
            start: 0,
            length: 100_000,
            places: None,
            state,
            problem: None,
        }
    }

    #[test]
    fn a_scrub_that_runs_is_shown() {
        let state = State::parse("0/1 0 0 8 ok ok reads=1 scrub=41/400");
        let mut out = Vec::new();
        details(&target(state), &mut out).unwrap();
        let out = String::from_utf8(out).unwrap();
        assert!(
            out.lines()
                .any(|line| line.trim().starts_with("Scrub") && line.ends_with("10 % read")),
            "{out}"
        );
    }

    #[test]
    fn health_and_metadata_decide() {
        let well = |health, metadata| {
            let state = State::parse(&format!("0/1 0 0 8 {health} {metadata}"));
            target(state).is_well()
        };
        assert!(well("ok", "none"));
        assert!(well("ok", "ok"));
        assert!(!well("spare_low", "none"));
        assert!(!well("read_only", "none"));
        assert!(!well("ok", "failed"));
        assert!(!target(None).is_well());
    }

    /// Device-mapper of one target, which records the requests for its status.
    struct Witness {
        kind: &'static str,
        asked: Cell<u32>,
    }

    impl DeviceMapper for Witness {
        fn table(&self, _: &str, _: Slot) -> Result<Option<Vec<Line>>, Failure> {
            let line = Line {
                start: 0,
                length: 8,
                kind: String::from(self.kind),
                text: String::from("7:0 7:1 0 16"),
            };
            Ok(Some(vec![line]))
        }

        fn status(&self, _: &str) -> Result<Option<Vec<Line>>, Failure> {
            self.asked.set(self.asked.get() + 1);
            Ok(Some(Vec::new()))
        }

        fn message(&self, _: &str, _: u64, _: &str) -> Result<String, Failure> {
            Err(Failure::Closed)
        }
    }

    #[test]
    fn other_types_are_not_asked_for_their_status() {
        let device = Device::example();
        for (kind, targets, asked) in [("thin-pool", 0, 0), ("remap", 1, 1)] {
            let witness = Witness {
                kind,
                asked: Cell::new(0),
            };
            let sysfs = Sysfs::new(Path::new("/nonexistent"));
            let found = of_device(&sysfs, &witness, &device).unwrap().unwrap();
            assert_eq!(
                (found.len(), witness.asked.get()),
                (targets, asked),
                "{kind}"
            );
        }
    }
}
