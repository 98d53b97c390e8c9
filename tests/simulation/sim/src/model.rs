// SPDX-License-Identifier: GPL-2.0

//! What every sector may hold.
//!
//! A *version* is what one write gives a sector. While a write is under way a read may return the old
//! version or the new one; when it has ended well, nothing that had ended before it began; when it has
//! failed, either. What is durable survives a power cut; of the rest any version may be found that
//! was not replaced by a durable one.

use std::fmt;

use machine::{disk::Disk, disk::Sector, fail, trace};

/// What the disk has before anything was written.
pub(crate) const INITIAL: u64 = 1;
/// Zeros.
pub(crate) const ZEROS: u64 = 0;

static mut CLOCK: u64 = 0;

/// The model's time: how many things have begun or ended.
pub(crate) fn now() -> u64 {
    // SAFETY: The simulator has one thread.
    unsafe { CLOCK }
}

fn tick() -> u64 {
    // SAFETY: As above.
    unsafe {
        CLOCK += 1;
        CLOCK
    }
}

/// Begins the model's time anew.
pub(crate) fn reset_clock() {
    // SAFETY: As above. What happens before anything began is not what never happened.
    unsafe { CLOCK = 1 };
}

/// The sector that version `content` is.
pub(crate) fn fill(content: u64, sector: u64) -> Sector {
    let mut bytes = [0; 512];
    if content != ZEROS {
        for (n, word) in [content, sector, !content].into_iter().enumerate() {
            bytes[8 * n..8 * n + 8].copy_from_slice(&word.to_le_bytes());
        }
        bytes[504..].copy_from_slice(&content.to_le_bytes());
    }
    bytes
}

/// The version that a sector holds, if it is one of that sector.
fn recognise(bytes: &[u8], sector: u64) -> Option<u64> {
    let content = u64::from_le_bytes(bytes[..8].try_into().ok()?);
    (fill(content, sector) == bytes).then_some(content)
}

const NOT_YET: u64 = u64::MAX;

#[derive(Clone, Debug)]
struct Version {
    content: u64,
    start: u64,
    end: u64,
    ok: bool,
    /// Another one has replaced it, but perhaps not durably.
    replaced: bool,
    /// It has only been replaced in so far as what a failed write has left was read, or was not.
    unseen: bool,
}

#[derive(Debug)]
struct Place {
    versions: Vec<Version>,
    /// When its contents were given up last, by the message `bad`.
    given_up: u64,
    giving_up: u32,
    /// When the newest write began that has ended well, and the newest of which that is durable.
    acknowledged: u64,
    durable: u64,
}

impl Place {
    /// It holds `content`.
    fn read(&mut self, content: u64) {
        let lasts = self
            .versions
            .iter()
            .any(|version| version.content == content && version.ok);
        for version in &mut self.versions {
            if version.content != content && !version.replaced {
                version.replaced = true;
                version.unseen = !lasts || !version.ok;
            }
        }
    }

    fn make_durable(&mut self, start: u64) {
        self.durable = self.durable.max(start);
        self.versions
            .retain(|version| version.start == start || version.end > start);
    }
}

/// A read that is under way.
struct Reading {
    id: u64,
    first: u64,
    allowed: Vec<Vec<u64>>,
    quiet: Vec<bool>,
    acknowledged: Vec<u64>,
}

/// What a read has returned, for the trace.
struct Versions<'a>(&'a Reading, &'a [u8]);

impl fmt::Debug for Versions<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let versions = self.1.chunks(512).zip(self.0.first..);
        f.debug_list()
            .entries(versions.map(|(bytes, sector)| recognise(bytes, sector)))
            .finish()
    }
}

/// The model of a mapped device.
pub(crate) struct Model {
    places: Vec<Place>,
    readings: Vec<Reading>,
    /// Where the target begins on main.
    main_start: u64,
    survives: bool,
}

impl Model {
    /// A device whose contents `survive` power cuts or not.
    pub(crate) fn new(sectors: u64, main_start: u64, initial: u64, survives: bool) -> Self {
        let place = || Place {
            versions: vec![Version {
                content: initial,
                start: 0,
                end: 0,
                ok: true,
                replaced: false,
                unseen: false,
            }],
            given_up: 0,
            giving_up: 0,
            acknowledged: 0,
            durable: 0,
        };
        Self {
            places: (0..sectors).map(|_| place()).collect(),
            readings: Vec::new(),
            main_start,
            survives,
        }
    }

    /// A write begins; returns its name.
    pub(crate) fn begin_write(&mut self, first: u64, sectors: u64, content: u64) -> u64 {
        let start = tick();
        for sector in first..first + sectors {
            let version = Version {
                content,
                start,
                end: NOT_YET,
                ok: false,
                replaced: false,
                unseen: false,
            };
            self.places[sector as usize].versions.push(version);
            for reading in &mut self.readings {
                let n = sector.wrapping_sub(reading.first) as usize;
                if let Some(allowed) = reading.allowed.get_mut(n) {
                    allowed.push(content);
                    reading.quiet[n] = false;
                }
            }
        }
        start
    }

    /// It ends. A discard's old contents stay possible.
    pub(crate) fn end_write(
        &mut self,
        start: u64,
        first: u64,
        sectors: u64,
        ok: bool,
        durable: bool,
        keeps_old: bool,
    ) {
        let end = tick();
        let survives = self.survives;
        for place in &mut self.places[first as usize..(first + sectors) as usize] {
            for version in &mut place.versions {
                if version.start == start {
                    version.end = end;
                    version.ok = ok && !keeps_old;
                } else if ok && !keeps_old && version.end <= start {
                    version.replaced = true;
                    version.unseen = false;
                }
            }
            if ok && !keeps_old {
                place.acknowledged = place.acknowledged.max(start);
                if durable {
                    place.make_durable(start);
                }
            }
            if !survives {
                place
                    .versions
                    .retain(|version| !version.replaced || version.unseen);
            }
        }
    }

    /// A flush begins.
    pub(crate) fn begin_flush(&mut self) -> u64 {
        tick()
    }

    /// A flush that began at `start` has ended well.
    pub(crate) fn end_flush(&mut self, start: u64) {
        tick();
        for place in &mut self.places {
            let newest = place
                .versions
                .iter()
                .filter(|version| version.ok && version.end <= start);
            let newest: Vec<u64> = newest.map(|version| version.start).collect();
            for start in newest {
                if place.versions.iter().any(|version| version.start == start) {
                    place.make_durable(start);
                }
            }
        }
    }

    /// A read begins; returns its name.
    pub(crate) fn begin_read(&mut self, first: u64, sectors: u64) -> u64 {
        let id = tick();
        let places = &self.places[first as usize..(first + sectors) as usize];
        let current = |place: &Place| {
            place
                .versions
                .iter()
                .filter(|version| !version.replaced)
                .map(|version| version.content)
                .collect()
        };
        let quiet = |place: &Place| place.versions.iter().all(|version| version.end != NOT_YET);
        self.readings.push(Reading {
            id,
            first,
            allowed: places.iter().map(current).collect(),
            quiet: places.iter().map(quiet).collect(),
            acknowledged: places.iter().map(|place| place.acknowledged).collect(),
        });
        id
    }

    /// It ends, with data or not at all, for which there may be an excuse.
    pub(crate) fn end_read(
        &mut self,
        id: u64,
        data: Option<&[u8]>,
        excused: bool,
        main: &Disk,
        spare: &Disk,
    ) {
        tick();
        let place = self
            .readings
            .iter()
            .position(|reading| reading.id == id)
            .expect("a read under way");
        let reading = self.readings.swap_remove(place);
        let Some(data) = data else {
            let excused = excused
                || reading.acknowledged.iter().enumerate().any(|(n, since)| {
                    let sector = reading.first + n as u64;
                    let place = &self.places[sector as usize];
                    place.giving_up > 0
                        || place.given_up > 0 && place.given_up >= *since
                        || main.failed_at[(self.main_start + sector) as usize] > 0
                            && main.failed_at[(self.main_start + sector) as usize] >= *since
                        || spare.read_failed_at > 0 && spare.read_failed_at >= *since
                });
            if !excused {
                fail!(
                    "sectors {}+{} cannot be read, and nothing has failed since they were written",
                    reading.first,
                    reading.allowed.len()
                );
            }
            return;
        };
        trace!("it reads as {:?}", Versions(&reading, data));
        for (n, (bytes, allowed)) in data.chunks(512).zip(&reading.allowed).enumerate() {
            let sector = reading.first + n as u64;
            let place = &mut self.places[sector as usize];
            match recognise(bytes, sector) {
                Some(content) if allowed.contains(&content) => {
                    if reading.quiet[n] {
                        // Nothing has changed it meanwhile, and nothing will but another write.
                        place.read(content);
                    }
                }
                Some(content) => fail!("sector {sector} reads as version {content}, and may be {allowed:?}"),
                None => fail!("sector {sector} reads as something that it never held ({:x?}), and may be {allowed:?}", &bytes[..24]),
            }
        }
    }

    /// Whether contents of these sectors have been given up since `start`: what was written has gone then.
    pub(crate) fn was_given_up(&self, start: u64, first: u64, sectors: u64) -> bool {
        let places = &self.places[first as usize..(first + sectors) as usize];
        places
            .iter()
            .any(|place| place.giving_up > 0 || place.given_up >= start)
    }

    /// Contents begin to be given up.
    pub(crate) fn begin_bad(&mut self, first: u64, end: u64) {
        for place in &mut self.places[first as usize..end as usize] {
            place.giving_up += 1;
        }
    }

    /// They have been given up, or not.
    pub(crate) fn end_bad(&mut self, first: u64, end: u64) {
        let now = tick();
        for place in &mut self.places[first as usize..end as usize] {
            place.giving_up -= 1;
            place.given_up = now;
        }
    }

    /// What failed writes have left may be there no more, though it was read, or again, though it was not.
    pub(crate) fn forget_reads(&mut self) {
        for (sector, place) in (0..).zip(&mut self.places) {
            let unseen = place.versions.iter_mut().filter(|version| version.unseen);
            for version in unseen {
                version.unseen = false;
                version.replaced = false;
                // Reads that wait for the next table may find it as well.
                for reading in &mut self.readings {
                    let place = u64::checked_sub(sector, reading.first);
                    let allowed = place.and_then(|n| reading.allowed.get_mut(n as usize));
                    allowed
                        .into_iter()
                        .for_each(|all| all.push(version.content));
                }
            }
        }
    }

    /// The power was cut.
    pub(crate) fn cut_power(&mut self) {
        let now = tick();
        self.readings.clear();
        for place in &mut self.places {
            for version in &mut place.versions {
                version.replaced = false;
                version.unseen = false;
                version.end = version.end.min(now);
                // Which of them is there is open: a flush makes none of them last.
                version.ok = false;
            }
            if place.giving_up > 0 {
                place.giving_up = 0;
                place.given_up = now;
            }
            place.acknowledged = place.durable;
        }
    }

    /// Everything was read after a power cut, before anything was written: that is on the medium.
    pub(crate) fn settle(&mut self) {
        for place in &mut self.places {
            place.versions.retain(|version| !version.replaced);
        }
    }
}
