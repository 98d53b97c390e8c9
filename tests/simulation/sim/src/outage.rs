// SPDX-License-Identifier: GPL-2.0

//! Outages: a disk answers nothing for a while, and then as before.

use machine::{
    c,
    disk::{Disk, BLAMES},
    fail,
    scheduler::{self, world},
    trace, //
};

use crate::{
    errno::{EAGAIN, EBUSY, EEXIST, EINTR, EINVAL, ENODATA, ENOLINK, ENOSPC, EROFS},
    judgement::{Health, Status},
    kind::Kind,
    settings::MEDIUM,
    unit::Unit, //
};

/// The longest that the target takes to find out that a device answers again, in nanoseconds: one pause between two
/// probes, and some requests.
pub(crate) const RETURN: u64 = 31_000_000_000;

/// Errors of messages that say nothing about a device, or that it does not answer.
const NO_ERRORS_OF_DEVICES: [i32; 9] = [
    EINTR, EAGAIN, EBUSY, EEXIST, EINVAL, ENOSPC, EROFS, ENODATA, ENOLINK,
];

/// Outages of main and of the spare, and when the last one has ended.
type Outages = (Option<u8>, Option<u8>, u64);

/// Most outages in a life.
const MAX_OUTAGES: u64 = 4;

impl Unit {
    /// Disks answer nothing, now and then, for 0.1 s to 60 s. Main may have sectors that cannot be written as well.
    pub(crate) fn fail_for_a_while(&'static self) {
        if world().random.one_in(2) {
            for _ in 0..world().random.between(1, 4) {
                let random = &mut world().random;
                let sector = self.settings.main_start + random.below(self.settings.hot);
                let status = random.of(&BLAMES);
                self.main().faults.unwritable.insert(sector, status);
            }
        }
        for _ in 0..MAX_OUTAGES {
            self.rest(self.settings.pause.max(1_000_000) * 100);
            if self.common.at_work.get() == 0 {
                break;
            }
            self.disturb();
            self.common.faulty.set(true);
            let random = &mut world().random;
            let status = random.of(&self.settings.statuses);
            let lasts = random.of(&[100_000_000, 1_000_000_000, 10_000_000_000, 60_000_000_000]);
            let which = random.below(3);
            let of_main = which != 1;
            let of_spare = which != 0;
            trace!(
                "outage: main {of_main}, spare {of_spare}, {} for {} ms",
                c::status_name(status),
                lasts / 1_000_000
            );
            self.main().faults.outage = of_main.then_some(status);
            self.spare().faults.outage = of_spare.then_some(status);
            scheduler::sleep(lasts);
            self.heal();
        }
    }

    /// Returns the outages by now.
    pub(crate) fn outages(&self) -> Outages {
        let outage_of = |disk: &Disk| disk.faults.outage;
        let healed = self.common.healed.get();
        (outage_of(self.main()), outage_of(self.spare()), healed)
    }

    /// Fails where a message ends with the error of a device that has no bad sector: it answers, or it does not. It was
    /// sent in those outages; what began or ended since excuses it.
    pub(crate) fn check_error_in_outages(&self, text: &str, error: i32, outages: Outages) {
        let is_bad = !self.main().faults.unwritable.is_empty();
        if self.settings.kind != Kind::Outage || is_bad || self.outages() != outages {
            return;
        }
        if !NO_ERRORS_OF_DEVICES.contains(&error) {
            fail!("'{text}' ends with {error}, and no sector is bad: {outages:?}");
        }
    }

    /// Waits until a table in use has found out that its devices answer, and returns its status. Fails where it takes
    /// too long.
    pub(crate) fn wait_for_return(&'static self) -> Status {
        let out = |status: &Status| {
            matches!(
                status.health,
                Health::Outage | Health::SpareFailing | Health::Failing
            )
        };
        let status = self.status();
        if !out(&status) {
            return status;
        }
        for text in ["set probe_min 1000", "set probe_max 30000"] {
            if let Err(error) = self.send(text) {
                fail!("'{text}' fails with {error}");
            }
        }
        // A request of the keeper may hang for half a minute, on the other device.
        let hangs = self.settings.may_hang();
        scheduler::sleep(RETURN * if hangs { 2 } else { 1 });
        let status = self.status();
        if out(&status) && !self.may_stay_out() {
            fail!("everything works for 31 s, and the status is {status:?}");
        }
        status
    }

    /// Returns whether no witness may have worked since: sectors cannot be read, and their status does not say that it
    /// is the medium's fault, or they cannot be written.
    fn may_stay_out(&self) -> bool {
        [self.main(), self.spare()].iter().any(|disk| {
            let mut unreadable = disk.faults.unreadable.values();
            let says_medium = unreadable.all(|status| MEDIUM.contains(status));
            !says_medium || !disk.faults.unwritable.is_empty()
        })
    }

    /// Fails where an outage has left anything.
    pub(crate) fn check_after_outages(&'static self, status: &Status) {
        if self.settings.kind != Kind::Outage {
            return;
        }
        let moved = status.counter("auto_remaps");
        let is_bad = !self.main().faults.unwritable.is_empty();
        if !is_bad && (status.pending > 0 || moved > 0) {
            fail!("nothing but outages has befallen the disks, and the status is {status:?}");
        }
        if status.lost > 0 {
            fail!("sectors are lost, and every slot can be read: {status:?}");
        }
    }

    /// Fails where sectors stay unread that main returns. Nobody uses the device.
    pub(crate) fn check_salvage(&'static self, status: &Status) {
        // Elsewhere main may have refused them while they were bad.
        let left = self.settings.messages.contains(&"bad");
        if self.settings.kind != Kind::Outage || left || status.metadata() == "failed" {
            return;
        }
        let began = world().now;
        while self.status().unread() > 0 {
            if world().now - began > self.patience() {
                let status = self.status();
                return fail!("main can be read, and sectors stay unread: {status:?}");
            }
            scheduler::sleep(RETURN);
        }
    }
}
