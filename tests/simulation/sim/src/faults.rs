// SPDX-License-Identifier: GPL-2.0

//! What fails in a history, and when.

use machine::{
    scheduler::world,
    trace, //
};

use crate::{
    settings::Fault,
    unit::Unit, //
};

/// Most changes of what fails in a life.
const MAX_FAULTS: u64 = 24;

/// What a disk takes to find out that a command has timed out, in nanoseconds.
const TIME_OUT: u64 = 30_000_000_000;

impl Unit {
    /// What the saboteur does.
    pub(crate) fn fail_now_and_then(&'static self) {
        for _ in 0..MAX_FAULTS {
            self.rest(self.settings.pause.max(100_000) * 8);
            if self.common.at_work.get() == 0 {
                break;
            }
            let fault = world().random.of(&self.settings.faults);
            if self.common.calm.get() == 0 {
                self.fail_so(fault);
            }
        }
        self.heal();
    }

    fn fail_so(&'static self, fault: Fault) {
        use Fault::*;
        trace!("fault: {fault:?}");
        self.disturb();
        self.common.faulty.set(true);
        let (first, end) = self.settings.slots();
        let random = &mut world().random;
        let status = random.of(&self.settings.statuses);
        let bad = random.of(&self.settings.bad_statuses);
        let (disk, sector) = if fault.is_of_main() {
            let sector = self.settings.main_start + random.below(self.settings.hot);
            (self.main(), sector)
        } else {
            (self.spare(), random.between(first, end - 1))
        };
        let faults = &mut disk.faults;
        match fault {
            MainUnreadable | SpareUnreadable => {
                if random.one_in(3) {
                    faults.unreadable.clear();
                } else {
                    faults.unreadable.insert(sector, bad);
                }
            }
            MainUnwritable | SpareUnwritable => {
                if random.one_in(3) {
                    faults.unwritable.clear();
                } else {
                    faults.unwritable.insert(sector, bad);
                }
            }
            MainTransient | SpareTransient => faults.transient = random.of(&[0, 0, 20, 200, 600]),
            MainOutage | SpareOutage => faults.outage = random.one_in(2).then_some(status),
            MainStall | SpareStall => {
                let takes = random.of(&[1_000_000, 100_000_000, TIME_OUT]);
                faults.stalled_until = world().now + takes;
            }
            MainTimeOut | SpareTimeOut => {
                faults.stalled_until = world().now + TIME_OUT;
                faults.outage = Some(machine::c::BLK_STS_TIMEOUT);
            }
            MainGone | SpareGone => {
                faults.gone = random.one_in(2);
                disk.has_failed = true;
            }
            BothOutage => {
                let outage = random.one_in(2).then_some(status);
                faults.outage = outage;
                self.main().faults.outage = outage;
            }
        }
    }

    /// Dooms what the settings say: an allocation, a request, or the power.
    pub(crate) fn doom(&self) {
        let Some(nth) = &self.settings.nth else {
            return;
        };
        let world = world();
        self.common.faulty.set(true);
        let (allocations, requests) = (world.allocations, world.requests);
        let shifted = |by: u64| by + nth.first..(by + nth.first).saturating_add(nth.count);
        use crate::settings::Dooms::*;
        match nth.dooms {
            Allocations => world.doomed_allocations = shifted(allocations),
            Requests => world.doomed_requests = shifted(requests),
            Metadata => {
                let (head, tail) = self.settings.metadata();
                self.spare().faults.doomed = Some(vec![head, tail]);
                self.main().faults.doomed = Some(Vec::new());
                world.doomed_requests = shifted(requests);
            }
            Power => world.last_request = requests + nth.first,
        }
    }
}
