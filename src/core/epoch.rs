// SPDX-License-Identifier: GPL-2.0

//! Spans of time in which data that was read from a device may be written back to it.
//!
//! A test that reads a range and writes the same bytes back must be sure that the device has held them ever
//! since: that no other table has taken its place, and that no other user has written. An [`Epoch`] ends
//! whenever one of these could happen, and another begins when neither can any more. In between the device
//! is closed to such writes.

/// Reason why no data may be written back at present.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Closed {
    /// The device is about to be suspended, or is suspended: the next bio may meet another table.
    Suspended = 1,
    /// Another user of the device has it open.
    Shared = 2,
}

/// Bits for the reasons. The bits above them count changes.
const REASONS: u64 = 3;
const CHANGE: u64 = REASONS + 1;

/// Span of time in which data may be written back that was read in the same span, or in which none may.
///
/// No epoch is used twice: equal values are the same epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Epoch(u64);

impl Epoch {
    /// First epoch of a device that is suspended.
    pub const FIRST: Self = Self(Closed::Suspended as u64);

    /// Returns the epoch with that number.
    pub const fn from_number(number: u64) -> Self {
        Self(number)
    }

    /// Returns the number of the epoch, to be kept in an atomic.
    pub const fn number(self) -> u64 {
        self.0
    }

    /// Returns whether data that is read in this epoch may be written back.
    pub const fn is_open(self) -> bool {
        self.0 & REASONS == 0
    }

    /// Returns whether the epoch is closed for the reason `why`.
    pub const fn is_closed(self, why: Closed) -> bool {
        self.0 & why as u64 != 0
    }

    /// Returns the next epoch, which is closed for the reason `why` as well.
    #[must_use]
    pub const fn close(self, why: Closed) -> Self {
        Self((self.0 | why as u64).wrapping_add(CHANGE))
    }

    /// Returns the next epoch, which is not closed for the reason `why`.
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
