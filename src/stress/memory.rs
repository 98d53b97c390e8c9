// SPDX-License-Identifier: GPL-2.0

//! Accounts for the memory of the stress manager.

use kernel::{
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc, //
    },
};

/// Bytes that are allocated, and the most that were.
///
/// What is charged is what was asked of the allocator, not how it rounds.
pub(super) struct Account {
    now: Atomic<u64>,
    peak: Atomic<u64>,
}

/// Bytes of an account, given back when this is dropped. To be kept beside the memory itself.
pub(super) struct Charge {
    account: Arc<Account>,
    bytes: u64,
}

impl Account {
    pub(super) fn new() -> Result<Arc<Self>> {
        Ok(Arc::new(
            Self {
                now: Atomic::new(0),
                peak: Atomic::new(0),
            },
            GFP_KERNEL,
        )?)
    }

    /// Bytes allocated at present.
    pub(super) fn now(&self) -> u64 {
        self.now.load(Relaxed)
    }

    /// Most bytes since [`Account::start_peak`].
    pub(super) fn peak(&self) -> u64 {
        self.peak.load(Relaxed).max(self.now())
    }

    /// Forgets earlier peaks.
    pub(super) fn start_peak(&self) {
        self.peak.store(self.now(), Relaxed);
    }

    /// Charges `bytes` bytes.
    pub(super) fn charge(this: &Arc<Self>, bytes: usize) -> Charge {
        let bytes = bytes as u64;
        let now = this.now.fetch_add(bytes, Relaxed).wrapping_add(bytes);
        let mut peak = this.peak.load(Relaxed);
        while now > peak {
            match this.peak.cmpxchg(peak, now, Relaxed) {
                Ok(_) => break,
                Err(other) => peak = other,
            }
        }
        Charge {
            account: this.clone(),
            bytes,
        }
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.account.now.fetch_sub(self.bytes, Relaxed);
    }
}
