// SPDX-License-Identifier: GPL-2.0

//! The keeper of a table: a thread that does what no bio waits for.
//!
//! It reads blocks that may be bad, and marks those that are. It salvages what main has of blocks that have moved.
//! During an outage it probes the device with pauses that grow, and whenever a bio succeeds. When the device answers
//! again, the table is what it was before. If main refuses everything that is written, the keeper asks now and then
//! whether it takes a write. It also starts scrubs and retries at the intervals that are set.
//!
//! While the device is suspended the keeper sleeps. A suspend waits for one of its requests at most.

use kernel::{
    new_mutex,
    prelude::*,
    sync::{
        atomic::{
            Acquire,
            Atomic,
            Release, //
        },
        Arc,
        Mutex, //
    },
    time::{
        Instant,
        Monotonic, //
    }, //
};
use remap_core::table::{
    health::MetadataState,
    probe::{
        Pauses,
        Probe, //
    },
    settings::Setting, //
};

use super::{
    state::{
        devices::Place,
        moves::MAX_BATCH,
        reader::Reader, //
    },
    table::Table,
    upkeep, //
};
use crate::linux::{
    kthread::Kthread,
    log::device_log,
    wait::{
        new_wait_queue,
        WaitQueue, //
    }, //
};

const NS_PER_MS: u64 = 1_000_000;

/// Longest time until the keeper looks at the devices, in milliseconds.
const TICK_MS: u64 = 30_000;

/// Place where the thread of a keeper finds its table.
#[pin_data]
struct Mailbox {
    #[pin]
    table: Mutex<Option<Arc<Table>>>,
    is_ready: Atomic<u32>,
    #[pin]
    arrival: WaitQueue,
}

/// Thread of a keeper. It is made with the target: later there may be no memory that does not wait for the device.
///
/// Dropping stops the thread and waits for its end. The keeper of the table has to be told to stop before.
pub(super) struct KeeperThread {
    // First: the thread uses the mailbox.
    _thread: Kthread,
    mailbox: Arc<Mailbox>,
}

impl KeeperThread {
    /// Starts the thread, which waits for its table. May sleep. `ENOMEM`.
    pub(super) fn start() -> Result<Self> {
        let mailbox = pin_init!(Mailbox {
            table <- new_mutex!(None, "dm_remap::mailbox"),
            is_ready: Atomic::new(0),
            arrival <- new_wait_queue!("dm_remap::mailbox_arrival"),
        });
        let mailbox = Arc::pin_init(mailbox, GFP_KERNEL)?;
        let arrived = mailbox.clone();
        let thread = Kthread::spawn(c"dm_remap_keeper", move |_| {
            let ready = || arrived.is_ready.load(Acquire) != 0;
            arrived.arrival.wait_idle(None, ready);
            let table = arrived.table.lock().take();
            if let Some(table) = table {
                Table::keep(&table);
            }
        })?;
        Ok(Self {
            _thread: thread,
            mailbox,
        })
    }

    /// Gives the thread its table. Sleeps.
    pub(super) fn give(&self, table: Arc<Table>) {
        *self.mailbox.table.lock() = Some(table);
        self.mailbox.set_ready();
    }
}

impl Mailbox {
    fn set_ready(&self) {
        self.is_ready.store(1, Release);
        self.arrival.notify_all();
    }
}

impl Drop for KeeperThread {
    fn drop(&mut self) {
        self.mailbox.set_ready();
    }
}

impl Table {
    /// Keeps the table until the keeper is stopped: the work of the thread.
    fn keep(this: &Arc<Self>) {
        let started = Instant::<Monotonic>::now();
        let now = || started.elapsed().as_nanos().unsigned_abs() / NS_PER_MS;
        let mut probes = [Probe::new(); 2];
        loop {
            let waits = probes.iter().filter_map(|probe| probe.wait(now()));
            let waits = Iterator::chain(waits, upkeep::wait(this));
            // Now and then in any case: a device may go without a word.
            let wait = waits.min().unwrap_or(TICK_MS).min(TICK_MS);
            if this.keeper.rest(wait.saturating_mul(NS_PER_MS)) {
                return;
            }
            this.end_parted();
            // Where there is no memory, the next look may find some.
            let _ = this.grow_index(MAX_BATCH);
            let mut reader = this.keeper.reader.lock();
            for (place, probe) in [Place::Main, Place::Spare].into_iter().zip(&mut probes) {
                // Where it is interrupted, the table is suspended, or goes.
                let _ = this.look_at(place, probe, &mut reader, now());
            }
            let _ = this.verify_suspects(&mut reader);
            if !this.is_out() {
                let _ = this.salvage_all(&mut reader, &|| this.check_keeping());
            }
            drop(reader);
            this.report_health();
            upkeep::do_due(this);
        }
    }

    /// Asks a device whether it answers, if I/O on it has failed. Probes it, if it does not or something of it waits.
    #[inline(never)]
    fn look_at(&self, place: Place, probe: &mut Probe, reader: &mut Reader, now: u64) -> Result {
        let go_on = || self.check_keeping();
        go_on()?;
        let liveness = self.liveness(place);
        if place == Place::Main {
            self.lock_mover().check_main_gone();
        }
        let suspected = liveness.take_suspicion() || self.devices.at(place).is_gone();
        if suspected && !liveness.is_out() && !self.answers(place, &mut reader.pieces, &go_on)? {
            self.begin_outage(place);
        }
        if !self.is_waited_for(place) {
            probe.end();
            return Ok(());
        }
        let pauses = self.pauses();
        probe.begin(now, pauses);
        probe.hurry(now, pauses);
        if !liveness.take_answer() && !probe.is_due(now) {
            return Ok(());
        }
        if self.answers(place, &mut reader.pieces, &go_on)? {
            self.end_outage(place);
            self.take_up(place);
        }
        if self.is_waited_for(place) {
            probe.fail(now, pauses);
            self.gate.set_watched(true);
        } else {
            probe.end();
        }
        Ok(())
    }

    /// Returns the pauses between two probes.
    fn pauses(&self) -> Pauses {
        let ms = |setting| u64::from(self.policy.setting(setting));
        Pauses {
            min_ms: ms(Setting::ProbeMin),
            max_ms: ms(Setting::ProbeMax),
        }
    }

    /// Returns whether something waits for a device to work again.
    fn is_waited_for(&self, place: Place) -> bool {
        let waits = match place {
            Place::Main => self.policy.main_fails() && !self.policy.read_only,
            Place::Spare => self.health.metadata() == MetadataState::Failed,
        };
        waits || self.liveness(place).is_out()
    }

    /// Does what has waited for a device that answers.
    fn take_up(&self, place: Place) {
        let mut guard = self.lock_mover();
        if guard.mover.state.admits().is_err() {
            return;
        }
        match place {
            Place::Main if self.policy.main_fails() && !self.policy.read_only => {
                if self.policy.take_main_write() || guard.takes_writes() {
                    guard.mover.breaker.arm();
                    self.policy.record_recovery();
                    device_log!(
                        pr_info,
                        self.number,
                        at State,
                        "main_dev takes writes again: blocks are relocated again"
                    );
                }
            }
            Place::Main => {}
            Place::Spare => {
                // Where it still cannot be written, it is tried again.
                let _ = guard.revive_metadata();
                guard.publish_metadata_state();
            }
        }
    }
}
