// SPDX-License-Identifier: GPL-2.0

//! For how long bytes that were read from a device may be written back to it.
//!
//! Who reads a range and writes the same bytes back must be sure that the device has held them ever
//! since: that nobody has put another table into its place, and nobody else has written. Each time
//! that could happen an [`Epoch`] ends, and another begins when it no longer can. In between the
//! device is closed to such writes.

/// Reason why nothing may be written back at present.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Closed {
    /// The device is about to be suspended, or is: the next bio may meet another table.
    Suspended = 1,
    /// Another user of the device has it open.
    Shared = 2,
}

/// Bits for the reasons; what is above them counts changes.
const REASONS: u64 = 3;
const CHANGE: u64 = REASONS + 1;

/// Span of time in which a device is open to writes of what was read in the same span, or closed.
///
/// An epoch never comes back, so two that are equal are one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Epoch(u64);

impl Epoch {
    /// First epoch of a device that is suspended.
    pub const FIRST: Self = Self(Closed::Suspended as u64);

    /// Epoch of that number.
    pub const fn from_number(number: u64) -> Self {
        Self(number)
    }

    /// Number of the epoch, to be kept in an atomic.
    pub const fn number(self) -> u64 {
        self.0
    }

    /// Whether what is read in this epoch may be written back.
    pub const fn is_open(self) -> bool {
        self.0 & REASONS == 0
    }

    /// Whether it is closed for that reason.
    pub const fn is_closed(self, why: Closed) -> bool {
        self.0 & why as u64 != 0
    }

    /// Epoch that follows where there is this reason to close the device, perhaps one more.
    #[must_use]
    pub const fn close(self, why: Closed) -> Self {
        Self((self.0 | why as u64).wrapping_add(CHANGE))
    }

    /// Epoch that follows where this reason is gone.
    #[must_use]
    pub const fn open(self, why: Closed) -> Self {
        Self((self.0 & !(why as u64)).wrapping_add(CHANGE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::{
        collections::HashSet,
        vec::Vec, //
    };

    #[test]
    fn a_device_is_closed_until_no_reason_is_left() {
        let epoch = Epoch::FIRST;
        assert!(!epoch.is_open() && epoch.is_closed(Closed::Suspended));
        let epoch = epoch.close(Closed::Shared).open(Closed::Suspended);
        assert!(!epoch.is_open() && !epoch.is_closed(Closed::Suspended));
        let epoch = epoch.open(Closed::Shared);
        assert!(epoch.is_open() && !epoch.is_closed(Closed::Shared));
    }

    #[test]
    fn what_was_read_before_a_suspension_is_void_after_it() {
        let read = Epoch::FIRST.open(Closed::Suspended);
        let now = read.close(Closed::Suspended).open(Closed::Suspended);
        assert!(read.is_open() && now.is_open());
        assert_ne!(read, now);
    }

    #[test]
    fn what_is_read_while_the_device_is_closed_is_void() {
        let read = Epoch::FIRST.close(Closed::Suspended);
        assert_ne!(read, read.open(Closed::Suspended));
        assert!(!read.is_open());
    }

    proptest! {
        #[test]
        fn no_epoch_comes_back(changes: Vec<(bool, bool)>) {
            let mut epoch = Epoch::FIRST;
            let mut seen = HashSet::from([epoch.number()]);
            for (close, shared) in changes {
                let why = if shared { Closed::Shared } else { Closed::Suspended };
                epoch = if close { epoch.close(why) } else { epoch.open(why) };
                prop_assert_eq!(epoch.is_closed(why), close);
                prop_assert!(seen.insert(epoch.number()));
                prop_assert_eq!(Epoch::from_number(epoch.number()), epoch);
            }
        }
    }
}
