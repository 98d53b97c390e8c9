// SPDX-License-Identifier: GPL-2.0

//! The status of remap targets.

use std::io::Write;

use serde::{
    Serialize,
    Serializer, //
};

use crate::{
    arguments::StatusArguments,
    device::{
        self,
        Device, //
    },
    device_mapper::{
        DeviceMapper,
        Target, //
    },
    failure::Failure,
    figures::{
        printable,
        storage, //
    },
    output,
    sysfs::Sysfs,
    table,
    Answer, //
};

/// Bytes of a sector.
pub(crate) const SECTOR: u64 = 512;

/// What one remap target says of itself.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Status {
    /// Name of the device.
    pub(crate) device: String,
    /// Its number.
    pub(crate) number: String,
    /// Where the target starts on the device, in sectors.
    pub(crate) start: u64,
    /// How long it is.
    pub(crate) length: u64,
    /// Remapped blocks.
    pub(crate) remapped: u64,
    /// Blocks of the spare area.
    pub(crate) spare_blocks: u64,
    /// Sectors whose contents are lost.
    pub(crate) lost_sectors: u64,
    /// Blocks that wait to be remapped.
    pub(crate) pending_blocks: u64,
    /// Sectors of a block.
    pub(crate) block_size: u64,
    /// How the target is, in a word.
    pub(crate) health: String,
    /// How its metadata is.
    pub(crate) metadata: String,
    /// What it counts, in its own order.
    #[serde(serialize_with = "as_map")]
    pub(crate) counters: Vec<(String, u64)>,
    /// How far its scrub is, while one runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) scrub: Option<Scrub>,
}

/// How far a scrub is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Scrub {
    /// Sectors that it has read.
    pub(crate) read: u64,
    /// Sectors that there are.
    pub(crate) sectors: u64,
}

impl Scrub {
    fn parse(text: &str) -> Option<Self> {
        let (read, sectors) = text.split_once('/')?;
        Some(Self {
            read: read.parse().ok()?,
            sectors: sectors.parse().ok()?,
        })
    }

    fn percent(self) -> u64 {
        self.read
            .saturating_mul(100)
            .checked_div(self.sectors)
            .unwrap_or(100)
    }
}

fn as_map<S: Serializer>(pairs: &[(String, u64)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(pairs.iter().map(|(key, value)| (key, value)))
}

impl Status {
    /// Parses what a target says. Counters may be added by later modules.
    pub(crate) fn parse(device: &Device, target: &Target) -> Result<Self, Failure> {
        words(device, target).ok_or_else(|| {
            Failure::Undone(format!(
                "cannot make sense of the status of {}: '{}'",
                printable(&device.name),
                target.status
            ))
        })
    }

    /// Whether nobody has to look after it.
    pub(crate) fn is_well(&self) -> bool {
        self.health == "ok" && matches!(self.metadata.as_str(), "none" | "ok")
    }

    /// A counter; 0 where the target has none of that name.
    pub(crate) fn counter(&self, name: &str) -> u64 {
        let found = self.counters.iter().find(|(key, _)| key == name);
        found.map_or(0, |(_, value)| *value)
    }

    /// I/O that failed, on main or on the spare.
    pub(crate) fn errors(&self) -> u64 {
        ["read_errors", "write_errors", "spare_errors"]
            .iter()
            .map(|name| self.counter(name))
            .fold(0, u64::saturating_add)
    }
}

fn words(device: &Device, target: &Target) -> Option<Status> {
    let mut words = target.status.split_whitespace();
    let (remapped, spare_blocks) = words.next()?.split_once('/')?;
    let mut number = || words.next()?.parse().ok();
    let (lost_sectors, pending_blocks, block_size) = (number()?, number()?, number()?);
    let (health, metadata) = (words.next()?.to_owned(), words.next()?.to_owned());
    let (mut counters, mut scrub) = (Vec::new(), None);
    for word in words {
        match word.split_once('=')? {
            ("scrub", value) => scrub = Some(Scrub::parse(value)?),
            (key, value) => counters.push((key.to_owned(), value.parse().ok()?)),
        }
    }
    Some(Status {
        device: device.name.clone(),
        number: device.number.clone(),
        start: target.start,
        length: target.length,
        remapped: remapped.parse().ok()?,
        spare_blocks: spare_blocks.parse().ok()?,
        lost_sectors,
        pending_blocks,
        block_size,
        health,
        metadata,
        counters,
        scrub,
    })
}

/// The status of every remap target of a device; `None` where the device is gone.
fn of_device(mapper: &dyn DeviceMapper, device: &Device) -> Result<Option<Vec<Status>>, Failure> {
    let Some(targets) = mapper.targets(&device.name)? else {
        return Ok(None);
    };
    let all = targets.iter().map(|target| Status::parse(device, target));
    all.collect::<Result<_, _>>().map(Some)
}

/// The status of every remap target.
pub(crate) fn all(sysfs: &Sysfs, mapper: &dyn DeviceMapper) -> Result<Vec<Status>, Failure> {
    let mut all = Vec::new();
    for device in sysfs.devices()? {
        // What goes while we look is not there.
        all.extend(of_device(mapper, &device)?.into_iter().flatten());
    }
    Ok(all)
}

/// The status of the remap targets of one device, at least one.
fn of(sysfs: &Sysfs, mapper: &dyn DeviceMapper, name: &str) -> Result<Vec<Status>, Failure> {
    let devices = sysfs.devices()?;
    let device = device::find(&devices, name)?;
    let found = of_device(mapper, device)?.unwrap_or_default();
    if found.is_empty() {
        let name = printable(&device.name);
        return Err(Failure::Undone(format!("{name} is no remap device")));
    }
    Ok(found)
}

/// `remapctl status`.
pub(crate) fn run(
    sysfs: &Sysfs,
    mapper: &dyn DeviceMapper,
    asked: &StatusArguments,
    out: &mut dyn Write,
) -> Result<Answer, Failure> {
    let found = match &asked.device {
        Some(name) => of(sysfs, mapper, name)?,
        None => all(sysfs, mapper)?,
    };
    if asked.json {
        output::json(&found, out)?;
    } else if asked.device.is_some() {
        found.iter().try_for_each(|status| details(status, out))?;
    } else if found.is_empty() {
        writeln!(out, "There is no remap device.")?;
    } else {
        overview(&found, out)?;
    }
    Ok(if found.iter().all(Status::is_well) {
        Answer::Good
    } else {
        Answer::Bad
    })
}

fn overview(found: &[Status], out: &mut dyn Write) -> Result<(), Failure> {
    let headings = [
        "DEVICE", "SIZE", "BLOCK", "REMAPPED", "SPARE", "LOST", "PENDING", "READS", "WRITES",
        "ERRORS", "HEALTH", "METADATA",
    ];
    let mut rows = vec![headings.map(String::from).to_vec()];
    rows.extend(found.iter().map(|status| {
        vec![
            printable(&status.device),
            storage(status.length.saturating_mul(SECTOR)),
            storage(status.block_size.saturating_mul(SECTOR)),
            status.remapped.to_string(),
            status.spare_blocks.to_string(),
            status.lost_sectors.to_string(),
            status.pending_blocks.to_string(),
            status.counter("reads").to_string(),
            status.counter("writes").to_string(),
            status.errors().to_string(),
            status.health.clone(),
            status.metadata.clone(),
        ]
    }));
    Ok(table::write(&rows, out)?)
}

fn details(status: &Status, out: &mut dyn Write) -> Result<(), Failure> {
    let name = printable(&status.device);
    writeln!(out, "{name} ({}): {}", status.number, status.health)?;
    let sectors = |count: u64| {
        format!(
            "{} ({count} sectors)",
            storage(count.saturating_mul(SECTOR))
        )
    };
    let mut rows = vec![
        ("Start", format!("sector {}", status.start)),
        ("Length", sectors(status.length)),
        ("Block size", sectors(status.block_size)),
        (
            "Remapped",
            format!(
                "{} of {} spare blocks",
                status.remapped, status.spare_blocks
            ),
        ),
        ("Lost", format!("{} sectors", status.lost_sectors)),
        ("Pending", format!("{} blocks", status.pending_blocks)),
        ("Metadata", status.metadata.clone()),
    ];
    if let Some(scrub) = status.scrub {
        rows.push(("Scrub", format!("{} % read", scrub.percent())));
    }
    let counters = status.counters.iter();
    rows.extend(counters.map(|(key, value)| (key.as_str(), value.to_string())));
    let width = rows.iter().map(|(key, _)| key.len()).max().unwrap_or(0);
    for (key, value) in rows {
        writeln!(out, "  {key:<width$}  {value}")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device() -> Device {
        Device {
            name: String::from("bad"),
            number: String::from("253:0"),
            node: String::from("dm-0"),
        }
    }

    fn parsed(status: &str) -> Result<Status, Failure> {
        let target = Target {
            start: 0,
            length: 100_000,
            status: String::from(status),
        };
        Status::parse(&device(), &target)
    }

    #[test]
    fn every_word_has_its_place() {
        let status = parsed(
            "3/125 2 1 16 degraded none reads=10 writes=20 remapped_reads=1 remapped_writes=2 \
             read_errors=3 write_errors=4 auto_remaps=0 manual_remaps=3 unremaps=0 spare_errors=5 \
             invented_later=6",
        )
        .unwrap();
        assert_eq!((status.remapped, status.spare_blocks), (3, 125));
        assert_eq!((status.lost_sectors, status.pending_blocks), (2, 1));
        assert_eq!(status.block_size, 16);
        assert_eq!((&*status.health, &*status.metadata), ("degraded", "none"));
        assert_eq!(status.counter("writes"), 20);
        assert_eq!(status.counter("invented_later"), 6);
        assert_eq!(status.counter("no_such"), 0);
        assert_eq!(status.errors(), 12);
        assert!(!status.is_well());
        assert_eq!(status.scrub, None);
    }

    #[test]
    fn a_scrub_that_runs_is_shown() {
        let status = parsed("0/1 0 0 8 ok ok reads=1 scrub=41/400").unwrap();
        assert_eq!(status.counter("reads"), 1);
        let scrub = Scrub {
            read: 41,
            sectors: 400,
        };
        assert_eq!(status.scrub, Some(scrub));
        assert_eq!(scrub.percent(), 10);
        let mut out = Vec::new();
        details(&status, &mut out).unwrap();
        let out = String::from_utf8(out).unwrap();
        assert!(
            out.lines()
                .any(|line| line.trim().starts_with("Scrub") && line.ends_with("10 % read")),
            "{out}"
        );
        assert!(parsed("0/1 0 0 8 ok ok scrub=41").is_err());
    }

    #[test]
    fn health_and_metadata_decide() {
        let well = |health, metadata| {
            parsed(&format!("0/1 0 0 8 {health} {metadata}"))
                .unwrap()
                .is_well()
        };
        assert!(well("ok", "none"));
        assert!(well("ok", "ok"));
        assert!(!well("spare_low", "none"));
        assert!(!well("read_only", "none"));
        assert!(!well("ok", "failed"));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for text in [
            "",
            "3/125",
            "3 2 1 16 ok none",
            "3/125 2 1 16 ok",
            "3/125 x 1 16 ok none",
            "3/125 2 1 16 ok none reads",
            "3/125 2 1 16 ok none reads=many",
        ] {
            assert!(parsed(text).is_err(), "{text}");
        }
    }
}
