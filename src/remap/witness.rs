// SPDX-License-Identifier: GPL-2.0

//! Evidence that a device is alive, and outages.
//!
//! Drivers report a bad sector and a device that is gone with the same errors. So an error that does not name the
//! medium makes a sector a *suspect*. A suspect is bad if it fails again, and *witnesses*, sectors that worked
//! lately, can be read before and after that. If no witness answers, there is an *outage*: nothing is moved or marked
//! until the device answers again.

use kernel::{
    prelude::*,
    time::{
        Delta,
        Instant,
        Monotonic, //
    }, //
};

use remap_core::table::{
    geometry::SectorRange,
    settings::Setting, //
};

use super::{
    state::{
        devices::{
            Pieces,
            Place, //
        },
        liveness::Liveness, //
    },
    table::Table, //
};
use crate::linux::{
    block_device::BlockDevice,
    compat::{
        EILSEQ,
        ENODATA,
        ENOLINK,
        EREMOTEIO, //
    },
    log::device_log, //
};

/// Number of witnesses besides those that were read lately, spread over the device.
const SPREAD: u64 = 8;

/// Time after which no other witness is asked. A device that does not answer may take its time to say so.
const ASKING: Delta = Delta::from_secs(2);

/// Longest time that a good witness takes. Writes that have failed wait for it, and a sector near bad ones may take
/// seconds.
const QUICK: Delta = Delta::from_millis(100);

/// Meaning of the error of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// The medium has failed, at the sectors of the request.
    Medium,
    /// The medium may have failed, or the device or the path to it.
    Suspicion,
    /// The path to the device has failed, or its resources.
    Path,
}

impl Meaning {
    /// Returns the meaning of an error of [`BlockDevice`], which has an errno for each `blk_status_t` (`blk_errors` in
    /// block/blk-core.c).
    pub(super) fn of(error: Error) -> Self {
        if [ENODATA, EILSEQ].contains(&error) {
            Meaning::Medium
        } else if [EIO, EREMOTEIO].contains(&error) {
            Meaning::Suspicion
        } else {
            Meaning::Path
        }
    }
}

impl Table {
    /// Returns the liveness of a device.
    pub(super) fn liveness(&self, place: Place) -> &Liveness {
        match place {
            Place::Main => &self.main_liveness,
            Place::Spare => &self.spare_liveness,
        }
    }

    /// Returns how often a read or a write has to fail before its sector is bad, if its errors do not name the medium.
    pub(super) fn tries(&self) -> u32 {
        self.policy.setting(Setting::Tries)
    }

    /// Returns whether errors of main move and mark nothing: it does not answer, or fails as a whole. Any context.
    pub(super) fn main_fails(&self) -> bool {
        self.policy.main_fails() || self.main_liveness.is_out()
    }

    /// Returns whether blocks whose writes fail move to the spare. Any context.
    pub(super) fn relocates(&self) -> bool {
        self.policy.relocates() && !self.is_out()
    }

    /// Returns whether main or the spare does not answer. Any context.
    pub(super) fn is_out(&self) -> bool {
        self.main_liveness.is_out() || self.spare_liveness.is_out()
    }

    /// Lets the keeper ask whether a device answers, of which I/O has failed. Any context.
    pub(super) fn suspect(&self, place: Place) {
        if !self.liveness(place).is_out() {
            self.liveness(place).suspect();
            self.keeper.wake();
        }
    }

    /// Returns the sectors that are asked for: some that are spread over what the table has on the device, beginning with
    /// the one that was good the last time, and behind the first of them those that were read lately. The latter may
    /// be near bad sectors.
    fn witnesses(&self, place: Place, step: u32) -> impl Iterator<Item = u64> + '_ {
        let places = &self.places;
        let (start, len) = match place {
            Place::Main => (places.main_start, places.sectors),
            Place::Spare => (
                places.slots_start,
                places.block.sectors_of(places.slots), //
            ),
        };
        let step = u64::from(step.max(1));
        let pieces = len / step;
        let count = pieces.min(SPREAD);
        let liveness = self.liveness(place);
        let passed_over = u64::from(liveness.passed_over());
        let spread = move |number: u64| {
            let number = passed_over
                .wrapping_add(number)
                .checked_rem(count)
                .unwrap_or(0);
            let piece = pieces.saturating_sub(1).saturating_mul(number) / SPREAD;
            start.saturating_add(piece.saturating_mul(step))
        };
        // Initialisers have a method of that name, too.
        let first = Iterator::chain((0..count.min(1)).map(spread), liveness.recent());
        Iterator::chain(first, (1..count).map(spread))
    }

    /// Returns whether a device answers: a witness can be read, or the device says that its medium cannot.
    ///
    /// Sleeps. The error is that of `go_on`, which is called before each read.
    pub(super) fn answers(
        &self,
        place: Place,
        pieces: &mut Pieces,
        go_on: &impl Fn() -> Result,
    ) -> Result<bool> {
        let device = self.devices.at(place);
        let started = Instant::<Monotonic>::now();
        for sector in self.witnesses(place, pieces.sectors(place)) {
            if started.elapsed() > ASKING {
                break;
            }
            go_on()?;
            let asked = Instant::<Monotonic>::now();
            let read = device.read(sector, pieces.at(place));
            if device.is_gone() {
                break;
            }
            let answer = read.map_err(Meaning::of);
            if answer.is_err() || asked.elapsed() > QUICK {
                // A bad sector may time out, too.
                self.liveness(place).pass_over(sector);
            }
            if matches!(answer, Ok(()) | Err(Meaning::Medium)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Checks that a device answers. `ENOLINK` it does not: an outage begins.
    ///
    /// Sleeps. Other errors are those of `go_on`, which is called before each read.
    pub(super) fn check_answers(
        &self,
        place: Place,
        pieces: &mut Pieces,
        go_on: &impl Fn() -> Result,
    ) -> Result {
        if self.answers(place, pieces, go_on)? {
            return Ok(());
        }
        self.begin_outage(place);
        Err(ENOLINK)
    }

    /// Returns the error for the sender of a message that has met `error`: another one than `EIO` if it is that of a
    /// device which does not answer, or is gone.
    ///
    /// Sleeps. `ENOLINK` a device does not answer: an outage begins. `ENODEV` main is gone, `EINTR` a signal is pending,
    /// `EAGAIN` suspended or a suspend is waiting.
    pub(super) fn explain(&self, error: Error, places: &[Place]) -> Error {
        if error != EIO {
            return error;
        }
        let mut guard = self.lock_mover();
        if let Err(error) = guard.mover.state.admits() {
            return error;
        }
        let go_on = || self.check_interruption();
        let asked = places.iter().try_for_each(|place| {
            if *place == Place::Main && self.devices.main.is_gone() {
                return Err(ENODEV);
            }
            self.check_answers(*place, &mut guard.mover.pieces, &go_on)
        });
        asked.err().unwrap_or(error)
    }

    /// Reads `range` of a device, one logical block at a time. `take` gets the offset of each, and its contents unless the
    /// sector is bad ([`Table::try_piece`]), and returns whether to go on.
    ///
    /// Sleeps. Errors as for [`Table::try_piece`]; `go_on` is called before each read.
    pub(super) fn read_pieces(
        &self,
        (place, range): (Place, SectorRange),
        pieces: &mut Pieces,
        go_on: &impl Fn() -> Result,
        mut take: impl FnMut(u32, Option<&[u8]>) -> bool,
    ) -> Result {
        let step = pieces.sectors(place);
        let mut offset = 0;
        while u64::from(offset) < range.len() {
            go_on()?;
            let sector = range.start().saturating_add(u64::from(offset));
            let read = |device: &BlockDevice, piece: &mut KVec<u8>| device.read(sector, piece);
            let is_good = self.try_piece(place, pieces, go_on, read)?;
            if is_good {
                self.liveness(place).record_read(sector);
            }
            let contents = is_good.then_some(&**pieces.at(place));
            if !take(offset, contents) {
                break;
            }
            offset = offset.saturating_add(step);
        }
        Ok(())
    }

    /// Tries to read or to write a logical block of a device. `attempt` does so once, by way of the piece. Returns `false`
    /// if the sector is bad: its medium has failed, or it fails again and again while the device is alive.
    ///
    /// Sleeps. `ENODEV` gone, `ENOLINK` the device does not answer, `EIO` the path to it has failed, others of `go_on`,
    /// which is called between two attempts.
    pub(super) fn try_piece(
        &self,
        place: Place,
        pieces: &mut Pieces,
        go_on: &impl Fn() -> Result,
        attempt: impl Fn(&BlockDevice, &mut KVec<u8>) -> Result,
    ) -> Result<bool> {
        let device = self.devices.at(place);
        for _ in 0..self.tries() {
            let Err(error) = attempt(device, pieces.at(place)) else {
                return Ok(true);
            };
            if device.is_gone() {
                return Err(ENODEV);
            }
            match Meaning::of(error) {
                Meaning::Medium => return Ok(false),
                Meaning::Suspicion => {}
                Meaning::Path => {
                    // The keeper asks whether the device answers, next time. It may be the caller.
                    self.liveness(place).suspect();
                    return Err(EIO);
                }
            }
            // Also behind the last try: the device has to be alive on both sides of it.
            self.check_answers(place, pieces, go_on)?;
            go_on()?;
        }
        Ok(false)
    }

    /// Begins an outage of a device that does not answer. The keeper ends it.
    pub(super) fn begin_outage(&self, place: Place) {
        if self.liveness(place).set_out(true) {
            device_log!(
                pr_err,
                self.number,
                "{} does not answer: nothing is moved or marked for its errors until it does",
                place.name()
            );
            self.keeper.wake();
        }
        self.gate.set_watched(true);
    }

    /// Ends an outage, if there is one: the device answers.
    pub(super) fn end_outage(&self, place: Place) {
        if self.liveness(place).set_out(false) {
            device_log!(pr_info, self.number, at State, "{} answers again", place.name());
        }
    }

    /// Records that a watched bio has succeeded at `place`: `writes` says that it was a write. Any context.
    pub(super) fn record_success(&self, place: Place, writes: bool) {
        let writes_main = writes && place == Place::Main;
        if writes_main {
            self.policy.record_main_write();
        }
        let liveness = self.liveness(place);
        let answers = liveness.is_out() || writes_main && self.policy.main_fails();
        if answers {
            liveness.record_answer();
            self.keeper.wake();
        }
        // In an outage of the other device its first bio that succeeds is awaited, too.
        let other = match place {
            Place::Main => Place::Spare,
            Place::Spare => Place::Main,
        };
        if (answers || writes_main) && !self.liveness(other).is_out() {
            self.gate.set_watched(false);
        }
    }
}
