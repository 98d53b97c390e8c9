// SPDX-License-Identifier: GPL-2.0

//! Enums as numbers, to be kept in atomics.

/// Enum whose values are numbered from zero on.
pub trait Numbered: Copy + 'static {
    /// All values, each at the index that is its number.
    const ALL: &'static [Self];

    /// Value for a number that no value has.
    const FALLBACK: Self;

    /// Returns the number of the value.
    fn number(self) -> u32;

    /// Returns the value with that number, or [`Self::FALLBACK`].
    fn from_number(number: u32) -> Self {
        let found = Self::ALL.get(number as usize).copied();
        found.unwrap_or(Self::FALLBACK)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        interface::arguments::ErrorPolicy,
        table::health::{
            Health,
            MetadataState, //
        }, //
    };
    use core::fmt::Debug;

    fn check<T: Numbered + PartialEq + Debug>() {
        for (number, value) in T::ALL.iter().enumerate() {
            assert_eq!(value.number() as usize, number);
            assert_eq!(T::from_number(value.number()), *value);
        }
        let none = T::ALL.len() as u32;
        assert_eq!(T::from_number(none), T::FALLBACK);
    }

    #[test]
    fn values_are_the_same_as_numbers() {
        check::<ErrorPolicy>();
        check::<Health>();
        check::<MetadataState>();
    }
}
