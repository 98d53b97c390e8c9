// SPDX-License-Identifier: GPL-2.0

//! Turns, which decide between two slots with the same block.

/// Number of times, modulo four, that a block has moved from a slot that failed to another.
///
/// The entries of both slots may be in different pages, so a crash can leave the block in both. The second
/// slot has the next turn, which proves the order. With two values only, each turn would follow the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn(u8);

/// Number of turns.
const TURNS: u8 = 4;

impl Turn {
    /// Turn of a block that came from main.
    pub const FIRST: Self = Self(0);

    /// Returns the turn with that number; `None` if the number is more than 3.
    pub const fn new(number: u8) -> Option<Self> {
        if number < TURNS {
            Some(Self(number))
        } else {
            None
        }
    }

    /// Returns the number of the turn, 0 to 3.
    pub const fn number(self) -> u8 {
        self.0
    }

    /// Returns the turn of the slot that takes the block over.
    pub const fn next(self) -> Self {
        Self(self.0.wrapping_add(1) % TURNS)
    }

    /// Returns whether a slot of this turn has taken the block over from a slot of turn `other`.
    pub fn follows(self, other: Self) -> bool {
        self == other.next()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_turns_at_most_one_follows() {
        let all = || (0..TURNS).map(|number| Turn::new(number).unwrap());
        for one in all() {
            assert_eq!(Turn::new(one.number()), Some(one));
            assert!(one.next().follows(one) && !one.follows(one.next()));
            assert_eq!(all().filter(|other| one.follows(*other)).count(), 1);
            assert_eq!(one.next().next().next().next(), one);
        }
        assert_eq!(Turn::new(TURNS), None);
    }
}
