// SPDX-License-Identifier: GPL-2.0

//! What a table does of its own accord, at the intervals that are set.

use machine::{fail, scheduler};

use crate::{
    judgement::Health,
    outage::RETURN,
    unit::Unit, //
};

const SECOND: u64 = 1_000_000_000;

/// The longest that what has begun may take, in seconds.
const PATIENCE: u64 = 300;

impl Unit {
    fn set(&'static self, name: &str, value: u64) {
        if let Err(error) = self.send(&format!("set {name} {value}")) {
            fail!("a setting cannot be changed: {error}");
        }
    }

    /// Requests of main, and of the spare where no other device has it.
    fn own_requests(&self) -> u64 {
        let spare = self.spare().requests * u64::from(self.settings.units == 1);
        self.main().requests + spare
    }

    /// Ends what the table of a device that nobody uses does at intervals, and waits for what has begun.
    pub(crate) fn end_upkeep(&'static self) {
        self.set("scrub_interval", 0);
        self.set("retry_interval", 0);
        for _ in 0..PATIENCE {
            let before = self.own_requests();
            scheduler::sleep(SECOND);
            if self.own_requests() == before {
                return;
            }
        }
        fail!("what was begun at an interval does not end");
    }

    /// Fails where a device that nobody uses is not scrubbed at its interval: while it is suspended it is not, and
    /// what was due then is done at once when it is resumed.
    pub(crate) fn check_upkeep(&'static self) {
        if self.settings.units > 1 {
            // The other device uses the spare disk meanwhile.
            return;
        }
        if self.settings.may_hang() {
            // A request of the keeper may hang for half a minute, and fail.
            scheduler::sleep(RETURN);
        }
        let status = self.wait_for_return();
        if status.health < Health::SpareFull || status.unread() > 0 {
            // A scrub waits for a device that answers, and the keeper tries again to salvage.
            return;
        }
        // The keeper looks at the devices now, and then for half a minute no more.
        self.set("probe_min", 1_000);
        scheduler::sleep(SECOND);
        self.set("scrub_interval", 2);
        let before = self.own_requests();
        scheduler::sleep(SECOND);
        if self.own_requests() != before {
            fail!("a scrub has begun before its interval has passed");
        }
        scheduler::sleep(2 * SECOND);
        if self.own_requests() == before {
            fail!("no scrub has begun, and its interval has passed");
        }
        self.end_upkeep();
        self.set("scrub_interval", 2);
        self.device().suspend();
        let before = self.own_requests();
        scheduler::sleep(5 * SECOND);
        if self.own_requests() != before {
            fail!("a device that is suspended is used");
        }
        if let Err(error) = self.device().resume() {
            fail!("the device cannot be resumed: {error}");
        }
        scheduler::sleep(SECOND);
        if self.own_requests() == before {
            fail!("no scrub has begun after the resume, and one was due");
        }
        self.end_upkeep();
    }
}
