// SPDX-License-Identifier: GPL-2.0

//! Thread that holds memory and keeps touching it, to put the machine under memory pressure.

use kernel::{
    prelude::*,
    sync::Arc, //
};

use crate::linux::{
    kthread::Kthread,
    system_memory::{
        self,
        HeldMemory, //
    },
};

use super::{
    memory::{
        Account,
        Charge, //
    },
    refusal::refuse,
    run::{
        Run, //
        ThreadToken,
    },
};

/// Number of pages that are touched between two offers to reschedule.
const AT_ONCE: usize = 256;

/// Pause after all pages have been touched, in nanoseconds.
const REST_NS: u64 = 100_000_000;

/// Memory that is held as long as a test runs.
pub(super) struct Pressure {
    memory: HeldMemory,
    _charge: Charge,
}

impl Pressure {
    /// Allocates `bytes` bytes for a write to `file`; `ENOMEM` if the machine cannot spare them. May
    /// sleep. Takes long for large amounts.
    pub(super) fn new(file: &str, bytes: u64, account: &Arc<Account>) -> Result<Self> {
        let memory = HeldMemory::new(bytes).map_err(|error| {
            let most = system_memory::available() >> 20;
            refuse(
                file,
                format_args!("pressure_mb: the machine can spare {most} MiB only"),
                error,
            )
        })?;
        let held = usize::try_from(HeldMemory::footprint(bytes)).unwrap_or(usize::MAX);
        Ok(Self {
            memory,
            _charge: Account::charge(account, held),
        })
    }

    /// Touches the memory in a thread of its own until `run` ends, and frees it. May sleep.
    pub(super) fn start(mut self, run: &Arc<Run>) -> Result<Kthread> {
        let token = ThreadToken::new(run);
        let run = run.clone();
        Kthread::spawn(c"dm_remap_stress/memory", move |current| {
            run.wait_for_begin();
            while !run.is_over() {
                if self.memory.touch(AT_ONCE) {
                    run.sleep_until_end(REST_NS);
                }
                current.yield_now();
            }
            drop(self);
            drop(run);
            drop(token);
        })
    }
}
