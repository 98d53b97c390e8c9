// SPDX-License-Identifier: GPL-2.0

//! Which of two slots with the same block counts.

/// How often, modulo four, a block has gone from a slot that failed to another.
///
/// The slot that failed and the one that takes over may be in different pages, so a crash can leave
/// the block in both. The turn of the second is the next one, which proves the order; with two values
/// each would follow the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn(u8);

/// How many there are.
const TURNS: u8 = 4;

impl Turn {
    /// Of a block that came from main.
    pub const FIRST: Self = Self(0);

    /// The turn with a number; `None` where it is more than 3.
    pub const fn new(number: u8) -> Option<Self> {
        if number < TURNS {
            Some(Self(number))
        } else {
            None
        }
    }

    /// Its number, up to 3.
    pub const fn number(self) -> u8 {
        self.0
    }

    /// Of the slot that takes over.
    pub const fn next(self) -> Self {
        Self(self.0.wrapping_add(1) % TURNS)
    }

    /// Whether a slot of this turn has taken over from one of turn `other`.
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
