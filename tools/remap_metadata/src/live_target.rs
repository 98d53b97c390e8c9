// SPDX-License-Identifier: GPL-2.0

//! Remap targets in the tables of mapped devices.

use std::fmt;

use remap_core::{
    interface::arguments::Arguments,
    table::geometry::BlockSize, //
};

use crate::failure::Failure;

/// Remap target of a mapped device. Positions and sizes are in sectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LiveTarget {
    /// Start on the mapped device.
    pub start: u64,
    /// Length.
    pub sectors: u64,
    /// Start on main.
    pub main_start: u64,
    /// Block size.
    pub block: BlockSize,
}

impl LiveTarget {
    /// Parses a table line and a status line of a target, both without start, length and type. Returns
    /// `None` if these tools do not know them.
    pub fn parse(start: u64, sectors: u64, table: &str, status: &str) -> Option<Self> {
        let words: Vec<_> = table.split_whitespace().map(str::as_bytes).collect();
        let arguments = Arguments::parse(&words).ok()?;
        // The block size is in the status: the table has it only if the user gave it.
        let block = status.split_whitespace().nth(3)?.parse().ok()?;
        Some(Self {
            start,
            sectors,
            main_start: arguments.main_start,
            block: BlockSize::from_sectors(block)?,
        })
    }
}

impl fmt::Display for LiveTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (of {} sectors)", self.start, self.sectors)
    }
}

/// Chooses the target of `device` that starts at `start`, or the only one if there is no `start`.
pub fn choose(
    device: &str,
    targets: &[LiveTarget],
    start: Option<u64>,
) -> Result<LiveTarget, Failure> {
    let list = || {
        let list: Vec<_> = targets.iter().map(LiveTarget::to_string).collect();
        list.join(", ")
    };
    let why = match (targets, start) {
        ([], _) => format!("{device} has no remap target"),
        ([only], None) => return Ok(*only),
        (_, None) => format!(
            "{device} has several remap targets: --target-start is to be one of {}",
            list()
        ),
        (_, Some(start)) => match targets.iter().find(|target| target.start == start) {
            Some(target) => return Ok(*target),
            None => format!(
                "--target-start: no remap target of {device} starts at sector {start}, but at {}",
                list()
            ),
        },
    };
    Err(Failure::Undone(why))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(start: u64, sectors: u64) -> LiveTarget {
        LiveTarget {
            start,
            sectors,
            main_start: 0,
            block: BlockSize::from_sectors(8).unwrap(),
        }
    }

    #[test]
    fn a_target_is_known_by_its_table_and_its_status() {
        let status = "3/25368 0 0 16 ok ok reads=0";
        let parse = |table| LiveTarget::parse(800, 4096, table, status);
        let wanted = LiveTarget {
            block: BlockSize::from_sectors(16).unwrap(),
            ..target(800, 4096)
        };
        assert_eq!(parse("7:0 7:1 0 1600"), Some(wanted));
        let moved = LiveTarget {
            main_start: 64,
            ..wanted
        };
        let line = "7:0 7:1 0 1600 5 block_size 16 main_start 64 volatile";
        assert_eq!(parse(line), Some(moved));
        for (table, status) in [
            ("7:0 7:1 0 1600 1 newer", status),
            ("7:0 7:1 0", status),
            ("7:0 7:1 0 1600", "3/25368 0 0 7 ok ok"),
            ("7:0 7:1 0 1600", ""),
        ] {
            assert_eq!(LiveTarget::parse(800, 4096, table, status), None);
        }
    }

    #[test]
    fn of_several_targets_one_has_to_be_named() {
        let targets = [target(0, 64), target(800, 4096)];
        let chosen = |targets: &[LiveTarget], start| {
            choose("bad", targets, start).map_err(|failure| failure.to_string())
        };
        assert_eq!(chosen(&targets, Some(800)), Ok(targets[1]));
        assert_eq!(chosen(&targets[1..], None), Ok(targets[1]));
        assert_eq!(chosen(&targets[1..], Some(800)), Ok(targets[1]));
        let list = "0 (of 64 sectors), 800 (of 4096 sectors)";
        assert_eq!(
            chosen(&targets, None),
            Err(format!(
                "bad has several remap targets: --target-start is to be one of {list}"
            ))
        );
        assert_eq!(
            chosen(&targets, Some(8)),
            Err(format!(
                "--target-start: no remap target of bad starts at sector 8, but at {list}"
            ))
        );
        assert_eq!(chosen(&[], None), Err("bad has no remap target".to_owned()));
    }
}
