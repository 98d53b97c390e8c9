// SPDX-License-Identifier: GPL-2.0

//! Scrubbing: reading all of a table's data now and then, to find what has gone bad before it is needed.
//!
//! A thread reads chunk by chunk, main or spare, wherever the data are, with a priority and a pace that
//! leave the devices to others. What main cannot read becomes pending. At the end all copies of the
//! metadata are looked at. While the device is suspended the scrub waits; with the table it ends.
//!
//! No block is held for it: a block that moves meanwhile is read in the one place or the other.

use kernel::{
    prelude::*,
    sync::{
        atomic::Relaxed,
        Arc, //
    },
    time::{
        Instant,
        Monotonic, //
    }, //
};
use remap_core::table::geometry::{
    SectorRange,
    MAX_BLOCK_SECTORS, //
};

use super::{
    state::{
        devices::Place,
        reader::Reader,
        reason::reason,
        scrub::ScrubState, //
    },
    table::Table, //
};
use crate::linux::{
    compat::ENOLINK,
    kthread::Kthread,
    log::device_log, //
};

/// Megabytes a second by default: a disk has half of its time for others then.
const USUAL_PACE: u64 = 50;

/// Sectors that are read together: a block is never larger.
const CHUNK: u32 = MAX_BLOCK_SECTORS;

/// Time to wait for a device that is suspended or does not answer before looking again, in nanoseconds.
const WAITING_PAUSE: u64 = 200_000_000;

/// Starts a scrub of a table, at so many megabytes a second. May sleep.
///
/// `EBUSY` there is one already, `EAGAIN` suspended, `ENODEV` gone, `ENOMEM`.
pub(super) fn start(table: &Arc<Table>, megabytes: Option<u64>) -> Result {
    let scrub = &table.scrub;
    let mut thread = scrub.thread.lock();
    if scrub.is(ScrubState::Running) {
        return Err(EBUSY);
    }
    table.mover.lock().state.admits()?;
    let devices = &table.devices;
    let reader = Reader::new(&devices.main, &devices.spare, CHUNK)?;
    *scrub.reader.lock() = Some(reader);
    // Of the one before, which has ended.
    drop(thread.take());
    scrub.stop.store(0, Relaxed);
    scrub.read.store(0, Relaxed);
    scrub.unreadable.store(0, Relaxed);
    scrub.enter(ScrubState::Running);
    let table = table.clone();
    let pace = megabytes.unwrap_or(USUAL_PACE);
    let spawned = Kthread::spawn(c"dm_remap_scrub", move |_| table.scrub_all(pace));
    *thread = Some(spawned.inspect_err(|_| scrub.enter(ScrubState::Idle))?);
    Ok(())
}

impl Table {
    /// Scrubs the whole table: the work of the thread.
    fn scrub_all(&self, megabytes: u64) {
        let ended = self.scrub_chunks(megabytes);
        let ended = ended.and_then(|whole| match self.check_metadata() {
            Ok(()) => Ok(whole),
            Err(error) => Err(error),
        });
        let whole = ended == Ok(true);
        self.scrub.enter(if whole {
            ScrubState::Done
        } else {
            ScrubState::Stopped
        });
        self.report_scrub(ended.map(drop));
    }

    /// Ends the scrub, if one runs. Sleeps.
    pub(super) fn stop_scrub(&self) {
        if self.scrub.stop() {
            self.report_scrub(self.check_metadata());
        }
    }

    /// Reports that a scrub has ended, and how.
    fn report_scrub(&self, ended: Result) {
        // A scrub that was stopped need not report that the table is suspended or goes.
        let stopped = self.scrub.stop.load(Relaxed) != 0;
        let expected = |error: &Error| stopped && (*error == EAGAIN || *error == ENODEV);
        if let Some(error) = ended.err().filter(|error| !expected(error)) {
            device_log!(
                pr_err,
                self.number,
                "scrub stopped at sector {}: {}",
                self.places.on_mapped_device(self.scrub.read.load(Relaxed)),
                reason(error)
            );
        } else {
            device_log!(
                pr_info,
                self.number,
                at State,
                "scrub has read {} of {} sectors, {} blocks are unreadable",
                self.scrub.read.load(Relaxed),
                self.places.sectors,
                self.scrub.unreadable.load(Relaxed)
            );
        }
        self.report_health();
        self.health.raise_event();
    }

    /// Reads everything. Returns whether it came to the end.
    fn scrub_chunks(&self, megabytes: u64) -> Result<bool> {
        let started = Instant::<Monotonic>::now();
        let mut rested = 0_u64;
        let mut sector = 0;
        while sector < self.places.sectors {
            let due = sector
                .saturating_mul(512_000)
                .checked_div(megabytes.saturating_mul(1_000_000))
                .unwrap_or(0);
            let spent = started
                .elapsed()
                .as_nanos()
                .unsigned_abs()
                .saturating_sub(rested);
            let early = due.saturating_mul(1_000_000).saturating_sub(spent);
            let stopped = if early > 0 {
                self.scrub.rest(early)
            } else {
                self.scrub.stop.load(Relaxed) != 0
            };
            if stopped {
                return Ok(false);
            }
            match self.scrub_chunk(sector) {
                Ok(next) => sector = next,
                // A device that does not answer comes back, as one that is suspended does.
                Err(error) if error == EAGAIN || self.is_out() => {
                    rested = rested.saturating_add(WAITING_PAUSE);
                    if self.scrub.rest(WAITING_PAUSE) {
                        return Ok(false);
                    }
                }
                Err(error) => return Err(error),
            }
            self.scrub
                .read
                .store(sector.min(self.places.sectors), Relaxed);
        }
        Ok(true)
    }

    /// Reads what begins at `sector` and lies in one place. Returns where that ends. `EAGAIN` where the
    /// device is suspended, `ENOLINK` where main or the spare does not answer.
    fn scrub_chunk(&self, sector: u64) -> Result<u64> {
        let mut guard = self.scrub.reader.lock();
        let Some(reader) = &mut *guard else {
            return Err(ENODEV);
        };
        self.mover.lock().state.admits()?;
        if self.is_out() {
            return Err(ENOLINK);
        }
        let block = self.places.block.block_of(sector);
        let next = self.remaps.lock().at_or_after(block);
        if let Some((_, slot)) = next.filter(|(remapped, _)| *remapped == block) {
            let main = self.places.main_range(block, 1).ok_or(EINVAL)?;
            let len = main.len();
            let range = self.places.slot_range(slot, 0, len).ok_or(EINVAL)?;
            let read = reader
                .io
                .read_idly(&self.devices.spare, range, &mut reader.buffer);
            if read.is_err() && self.remaps.slot_of(block) == Some(slot) {
                self.check_answers(Place::Spare, &mut reader.pieces, &|| Ok(()))?;
                self.scrub.unreadable.add(1, Relaxed);
                self.log_unreadable(block);
            }
            return Ok(sector.saturating_add(len));
        }
        let end = next.map_or(u64::MAX, |(remapped, _)| {
            self.places.block.first_sector(remapped)
        });
        let end = end
            .min(sector.saturating_add(u64::from(CHUNK)))
            .min(self.places.sectors);
        let start = self.places.on_main(sector);
        let range = SectorRange::new(start, end.saturating_sub(sector)).ok_or(EINVAL)?;
        let read = reader
            .io
            .read_idly(&self.devices.main, range, &mut reader.buffer);
        if read.is_err() {
            return self.scrub_blocks(reader, block, end);
        }
        Ok(end)
    }

    /// Reads the blocks of main from `first` to sector `end` one by one, of which some have failed, until the
    /// scrub is stopped or a suspend is waiting. Returns where that ends.
    fn scrub_blocks(&self, reader: &mut Reader, first: u64, end: u64) -> Result<u64> {
        let go_on = || {
            let stopped = self.scrub.stop.load(Relaxed) != 0;
            if stopped || self.suspend_waiters.load(Relaxed) != 0 {
                Err(EINTR)
            } else {
                Ok(())
            }
        };
        let last = self.places.block.block_of(end.saturating_sub(1));
        for block in first..=last {
            match self.reads_well(block, reader, &go_on) {
                Ok(true) => {}
                Ok(false) => {
                    self.scrub.unreadable.add(1, Relaxed);
                    // Where main fails wholesale, that says nothing about the block.
                    if !self.main_fails() {
                        self.lock_mover().mark_pending(block);
                    }
                }
                Err(error) if error == EINTR => {
                    return Ok(self.places.block.first_sector(block));
                }
                Err(error) => return Err(error),
            }
        }
        Ok(end)
    }

    fn log_unreadable(&self, block: u64) {
        device_log!(
            pr_err,
            self.number,
            at Error,
            "sector {} cannot be read from the spare",
            self.places.shown_sector(block)
        );
    }

    /// Looks at all copies of the metadata, where there is any that may be put right.
    fn check_metadata(&self) -> Result {
        let keeps = self.mover.lock().metadata.is_some();
        if keeps && !self.policy.read_only {
            self.save()
        } else {
            Ok(())
        }
    }
}
