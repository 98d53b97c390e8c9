// SPDX-License-Identifier: GPL-2.0

//! Accounting of the stress manager's memory.

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

/// Number of allocated bytes, and its peak.
///
/// Sizes are those that were requested, without the rounding of the allocator.
pub(super) struct Account {
    now: Atomic<u64>,
    peak: Atomic<u64>,
}

/// Charge to an account, which ends when this is dropped. To be kept beside the memory itself.
pub(super) struct Charge {
    account: Arc<Account>,
    bytes: u64,
}

impl Account {
    /// Makes an account without charges. May sleep. `ENOMEM`.
    pub(super) fn new() -> Result<Arc<Self>> {
        Ok(Arc::new(
            Self {
                now: Atomic::new(0),
                peak: Atomic::new(0),
            },
            GFP_KERNEL,
        )?)
    }

    /// Returns the number of bytes charged at present.
    pub(super) fn now(&self) -> u64 {
        self.now.load(Relaxed)
    }

    /// Returns the largest number of bytes charged since [`Account::start_peak`].
    pub(super) fn peak(&self) -> u64 {
        self.peak.load(Relaxed).max(self.now())
    }

    /// Resets the peak to the present number of bytes.
    pub(super) fn start_peak(&self) {
        self.peak.store(self.now(), Relaxed);
    }

    /// Charges `bytes` bytes to the account.
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
