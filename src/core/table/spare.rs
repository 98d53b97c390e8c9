// SPDX-License-Identifier: GPL-2.0

//! Free and taken spare blocks (*slots*).

/// Returns the number of 64-bit words that a [`SpareMap`] of `slots` slots needs.
pub const fn words_for(slots: u32) -> usize {
    (slots as usize).div_ceil(64)
}

/// Bitmap of the slots of a spare area, free or taken.
///
/// Slots are allocated in ascending order behind the last one, so that blocks that move together lie
/// together.
pub struct SpareMap<S> {
    taken: S,
    slots: u32,
    free: u32,
    next: u32,
}

impl<S: AsRef<[u64]> + AsMut<[u64]>> SpareMap<S> {
    /// Makes a map of `slots` free slots over zeroed storage of [`words_for`] them; `None` if the storage has
    /// another size.
    pub fn new(taken: S, slots: u32) -> Option<Self> {
        (taken.as_ref().len() == words_for(slots)).then_some(Self {
            taken,
            slots,
            free: slots,
            next: 0,
        })
    }

    /// Returns the number of slots, free or not.
    pub fn slots(&self) -> u32 {
        self.slots
    }

    /// Returns the number of free slots.
    pub fn free(&self) -> u32 {
        self.free
    }

    /// Returns the slot that is taken next; `None` if there is none.
    pub fn next_free(&self) -> Option<u32> {
        self.first_free(self.next, self.slots)
            .or_else(|| self.first_free(0, self.next))
    }

    /// Takes a free slot; `None` if there is none.
    pub fn allocate(&mut self) -> Option<u32> {
        let slot = self.next_free()?;
        *self.taken.as_mut().get_mut(slot as usize / 64)? |= 1 << (slot % 64);
        self.free = self.free.saturating_sub(1);
        self.next = slot.saturating_add(1);
        Some(slot)
    }

    /// Takes `slot`. Returns `false`, with nothing changed, if it is taken already or does not exist.
    pub fn take(&mut self, slot: u32) -> bool {
        if slot >= self.slots {
            return false;
        }
        let Some(word) = self.taken.as_mut().get_mut(slot as usize / 64) else {
            return false;
        };
        if *word >> (slot % 64) & 1 == 1 {
            return false;
        }
        *word |= 1 << (slot % 64);
        self.free = self.free.saturating_sub(1);
        true
    }

    /// Frees `slot`. Returns `false`, with nothing changed, if it is not taken.
    pub fn release(&mut self, slot: u32) -> bool {
        if slot >= self.slots {
            return false;
        }
        let Some(word) = self.taken.as_mut().get_mut(slot as usize / 64) else {
            return false;
        };
        if *word >> (slot % 64) & 1 == 0 {
            return false;
        }
        *word &= !(1 << (slot % 64));
        self.free = self.free.saturating_add(1);
        true
    }

    /// Returns the first free slot in `from..to`.
    fn first_free(&self, from: u32, to: u32) -> Option<u32> {
        let words = self.taken.as_ref();
        let mut slot = from;
        while slot < to {
            let free = !words.get(slot as usize / 64)? & (u64::MAX << (slot % 64));
            let base = slot & !63;
            if free != 0 {
                let found = base.saturating_add(free.trailing_zeros());
                return (found < to).then_some(found);
            }
            slot = base.saturating_add(64);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;
    use std::vec;

    #[test]
    fn gives_out_every_slot_once_and_in_order() {
        let mut map = SpareMap::new(vec![0; words_for(130)], 130).unwrap();
        for slot in 0..130 {
            assert_eq!(map.allocate(), Some(slot));
        }
        assert_eq!(map.allocate(), None);
        assert_eq!(map.free(), 0);
        assert!(map.release(64));
        assert!(!map.release(64));
        assert!(!map.release(130));
        assert_eq!(map.allocate(), Some(64));
    }

    #[test]
    fn storage_must_fit() {
        assert!(SpareMap::new(vec![0; 2], 64).is_none());
        assert!(SpareMap::new(vec![0; 0], 1).is_none());
    }

    proptest! {
        #[test]
        fn agrees_with_a_set(
            slots in 1..300_u32,
            steps in prop::collection::vec(
                (prop::option::of(0..300_u32), prop::bool::weighted(0.2)),
                0..600,
            ),
        ) {
            let mut map = SpareMap::new(vec![0; words_for(slots)], slots).unwrap();
            let mut taken = BTreeSet::new();
            for step in steps {
                match step {
                    (Some(slot), true) => {
                        let free = slot < slots && taken.insert(slot);
                        prop_assert_eq!(map.take(slot), free);
                    }
                    (Some(slot), false) => {
                        prop_assert_eq!(map.release(slot), taken.remove(&slot));
                    }
                    (None, _) => match (map.next_free(), map.allocate()) {
                        (next, Some(slot)) => {
                            prop_assert_eq!(next, Some(slot));
                            prop_assert!(slot < slots);
                            prop_assert!(taken.insert(slot));
                        }
                        (next, None) => {
                            prop_assert_eq!((next, taken.len()), (None, slots as usize));
                        }
                    },
                }
                prop_assert_eq!(map.free() as usize, slots as usize - taken.len());
            }
        }
    }
}
