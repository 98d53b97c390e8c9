// SPDX-License-Identifier: GPL-2.0

//! Parses the status of a remap target.

use serde::{
    Serialize,
    Serializer, //
};

/// Status of a remap target.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct State {
    /// Remapped blocks.
    pub(crate) remapped: u64,
    /// Blocks of the spare area.
    pub(crate) spare_blocks: u64,
    /// Sectors whose contents are lost.
    pub(crate) lost_sectors: u64,
    /// Sectors of remapped blocks whose contents main has, and could not give when they moved.
    pub(crate) unread_sectors: u64,
    /// Pending blocks: a read or a write of them has failed, and the next write moves them.
    pub(crate) pending_blocks: u64,
    /// Sectors of a block.
    pub(crate) block_size: u64,
    /// Word for the health of the target.
    pub(crate) health: String,
    /// Word for the state of its metadata.
    pub(crate) metadata: String,
    /// Counters, in the order of the status.
    #[serde(serialize_with = "as_map")]
    pub(crate) counters: Vec<(String, u64)>,
    /// Progress of the scrub that runs, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) scrub: Option<Scrub>,
}

/// Progress of a scrub.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Scrub {
    /// Sectors that the scrub has read.
    pub(crate) read: u64,
    /// Sectors of the device.
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

    /// Returns how much of the device has been read, in percent.
    pub(crate) fn percent(self) -> u64 {
        self.read
            .saturating_mul(100)
            .checked_div(self.sectors)
            .unwrap_or(100)
    }
}

fn as_map<S: Serializer>(pairs: &[(String, u64)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(pairs.iter().map(|(key, value)| (key, value)))
}

impl State {
    /// Parses the status of a target. Takes unknown counters: later modules may have more.
    pub(crate) fn parse(status: &str) -> Option<Self> {
        let mut words = status.split_whitespace();
        let (remapped, spare_blocks) = words.next()?.split_once('/')?;
        let mut number = || words.next()?.parse().ok();
        let (lost_sectors, pending_blocks, block_size) = (number()?, number()?, number()?);
        let (health, metadata) = (words.next()?.to_owned(), words.next()?.to_owned());
        // Earlier modules have no unread sectors.
        let (mut counters, mut scrub, mut unread_sectors) = (Vec::new(), None, 0);
        for word in words {
            match word.split_once('=')? {
                ("unread", value) => unread_sectors = value.parse().ok()?,
                ("scrub", value) => scrub = Some(Scrub::parse(value)?),
                (key, value) => counters.push((key.to_owned(), value.parse().ok()?)),
            }
        }
        Some(Self {
            remapped: remapped.parse().ok()?,
            spare_blocks: spare_blocks.parse().ok()?,
            lost_sectors,
            unread_sectors,
            pending_blocks,
            block_size,
            health,
            metadata,
            counters,
            scrub,
        })
    }

    /// Returns a counter; 0 if the target has none of that name.
    pub(crate) fn counter(&self, name: &str) -> u64 {
        let found = self.counters.iter().find(|(key, _)| key == name);
        found.map_or(0, |(_, value)| *value)
    }

    /// Returns the number of failures, on main or on the spare.
    pub(crate) fn errors(&self) -> u64 {
        ["read_errors", "write_errors", "spare_errors"]
            .iter()
            .map(|name| self.counter(name))
            .fold(0, u64::saturating_add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_has_its_place() {
        let state = State::parse(
            "3/125 2 1 16 degraded none reads=10 writes=20 remapped_reads=1 remapped_writes=2 \
             read_errors=3 write_errors=4 auto_remaps=0 manual_remaps=3 unremaps=0 spare_errors=5 \
             unread=7 invented_later=6",
        )
        .unwrap();
        assert_eq!((state.remapped, state.spare_blocks), (3, 125));
        assert_eq!((state.lost_sectors, state.pending_blocks), (2, 1));
        assert_eq!((state.unread_sectors, state.block_size), (7, 16));
        assert_eq!((&*state.health, &*state.metadata), ("degraded", "none"));
        assert_eq!(state.counter("writes"), 20);
        assert_eq!(state.counter("invented_later"), 6);
        assert_eq!(state.counter("no_such"), 0);
        assert_eq!(state.errors(), 12);
        assert_eq!(state.scrub, None);
    }

    #[test]
    fn a_scrub_that_runs_follows_the_counters() {
        let state = State::parse("0/1 0 0 8 ok ok reads=1 scrub=41/400").unwrap();
        assert_eq!((state.counter("reads"), state.unread_sectors), (1, 0));
        let scrub = Scrub {
            read: 41,
            sectors: 400,
        };
        assert_eq!(state.scrub, Some(scrub));
        assert_eq!(scrub.percent(), 10);
        assert!(State::parse("0/1 0 0 8 ok ok scrub=41").is_none());
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
            "3/125 2 1 16 ok none unread=-1",
        ] {
            assert_eq!(State::parse(text), None, "{text}");
        }
    }
}
