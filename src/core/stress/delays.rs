// SPDX-License-Identifier: GPL-2.0

//! Times that bios wait for the target itself, and not for a device.

use crate::stress::histogram::{
    Histogram,
    Summary, //
};

/// Kind of a delay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delay {
    /// From the failure of a write, or its arrival at a pending block, to its acknowledgement.
    Relocation,
    /// From the arrival of a bio at a block that moves to the time when it goes on.
    Stall,
}

/// Histograms of delays. Their size is 36 KiB, so they are never a local variable in the kernel. All bytes zero is
/// no delay.
#[derive(Clone, Debug, Default)]
#[repr(C)]
pub struct Delays {
    relocation: Histogram,
    stall: Histogram,
}

impl Delays {
    /// Counts a delay of `ns` nanoseconds.
    pub fn record(&mut self, delay: Delay, ns: u64) {
        match delay {
            Delay::Relocation => self.relocation.record(ns),
            Delay::Stall => self.stall.record(ns),
        }
    }

    /// Forgets all delays.
    pub fn clear(&mut self) {
        self.relocation.clear();
        self.stall.clear();
    }

    /// Returns the figures of all delays.
    pub fn figures(&self) -> DelayFigures {
        DelayFigures {
            relocation: self.relocation.summary(),
            stall: self.stall.summary(),
        }
    }
}

/// Figures of delays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DelayFigures {
    /// Figures of [`Delay::Relocation`].
    pub relocation: Summary,
    /// Figures of [`Delay::Stall`].
    pub stall: Summary,
}

impl DelayFigures {
    /// Returns names and values of the message `stats`. Times are in microseconds, rounded up: no delay that was
    /// counted is 0.
    pub fn named(&self) -> [(&'static str, u64); 8] {
        let [relocation, stall] = [&self.relocation, &self.stall];
        [
            ("relocations", relocation.count),
            ("relocation_p50_us", microseconds(relocation.p50)),
            ("relocation_p99_us", microseconds(relocation.p99)),
            ("relocation_max_us", microseconds(relocation.max)),
            ("stalls", stall.count),
            ("stall_p50_us", microseconds(stall.p50)),
            ("stall_p99_us", microseconds(stall.p99)),
            ("stall_max_us", microseconds(stall.max)),
        ]
    }
}

/// Returns a time of `ns` nanoseconds in microseconds, rounded up.
pub const fn microseconds(ns: u64) -> u64 {
    ns.div_ceil(1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_counted_apart() {
        let mut delays = Delays::default();
        for ms in 1..=100 {
            delays.record(Delay::Relocation, ms * 1_000_000);
        }
        delays.record(Delay::Stall, 1);
        let named = delays.figures().named();
        let value = |name| named.iter().find(|(is, _)| *is == name).unwrap().1;
        assert_eq!(value("relocations"), 100);
        assert!((50_000..=50_800).contains(&value("relocation_p50_us")));
        assert!((99_000..=100_000).contains(&value("relocation_p99_us")));
        assert_eq!(value("relocation_max_us"), 100_000);
        assert_eq!(value("stalls"), 1);
        assert_eq!(value("stall_p50_us"), 1);
        assert_eq!(value("stall_max_us"), 1);
        delays.clear();
        assert_eq!(delays.figures(), DelayFigures::default());
        assert!(DelayFigures::default()
            .named()
            .iter()
            .all(|(_, value)| *value == 0));
    }
}
