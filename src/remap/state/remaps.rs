// SPDX-License-Identifier: GPL-2.0

//! The remap table of a target, on the kernel's memory and red-black tree.

use core::sync::atomic::AtomicU64;

use kernel::{
    alloc::{
        flags::__GFP_NOWARN,
        Flags, //
    },
    new_mutex,
    prelude::*,
    rbtree::{
        RBTree,
        RBTreeNodeReservation, //
    },
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Mutex,
        MutexGuard, //
    }, //
};
use remap_core::table::{
    index::{
        Index,
        Size,
        MAX_BLOCKS,
        MAX_SLOTS, //
    },
    remap_table::{
        RemapTable,
        Tree, //
    },
    spare::{
        words_for,
        SpareMap, //
    }, //
};

/// Storage of the readers' index.
pub(in crate::remap) struct Words(pub(in crate::remap) KVVec<AtomicU64>);

impl AsRef<[AtomicU64]> for Words {
    #[inline(always)]
    fn as_ref(&self) -> &[AtomicU64] {
        &self.0
    }
}

/// The readers' index of a table.
pub(in crate::remap) type ReaderIndex = Index<Words>;

/// A block and its slot in one word, in the order of the blocks: with a value of its own an entry
/// of the tree would need twice the memory, as the next larger object of the allocator.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::remap) struct Remap(u64);

/// Bits of a slot in a [`Remap`].
const SLOT_BITS: u32 = MAX_SLOTS.ilog2() + 1;
const _: () = assert!(MAX_BLOCKS.ilog2() + SLOT_BITS <= u64::BITS);

impl Remap {
    fn new(block: u64, slot: u32) -> Self {
        Self(block << SLOT_BITS | u64::from(slot))
    }

    /// Returns the least one of `block` and those behind it. `None` where no block has such a number.
    fn least(block: u64) -> Option<Self> {
        (block < MAX_BLOCKS).then(|| Self::new(block, 0))
    }

    fn open(self) -> (u64, u32) {
        let slot = self.0 & ((1 << SLOT_BITS) - 1);
        (self.0 >> SLOT_BITS, slot as u32)
    }
}

/// Room for one entry of the tree.
pub(in crate::remap) type Node = RBTreeNodeReservation<Remap, ()>;

/// The ordered truth: block to slot.
pub(in crate::remap) struct RemapTree(RBTree<Remap, ()>);

impl RemapTree {
    /// Makes a tree without entries.
    pub(in crate::remap) fn new() -> Self {
        Self(RBTree::new())
    }
}

impl Tree for RemapTree {
    type Node = Node;

    fn get(&self, block: u64) -> Option<u32> {
        let (found, slot) = self.at_or_after(block)?;
        (found == block).then_some(slot)
    }

    fn insert(&mut self, block: u64, slot: u32, node: Node) {
        self.0.insert(node.into_node(Remap::new(block, slot), ()));
    }

    fn remove(&mut self, block: u64) -> Option<u32> {
        let slot = self.get(block)?;
        self.0.remove(&Remap::new(block, slot))?;
        Some(slot)
    }

    fn replace(&mut self, block: u64, slot: u32) -> Option<u32> {
        let old = self.get(block)?;
        // The slot is part of the key, so the node leaves the tree and comes back.
        let node = self.0.remove_node(&Remap::new(block, old))?;
        self.insert(block, slot, node.into_reservation());
        Some(old)
    }

    fn at_or_after(&self, block: u64) -> Option<(u64, u32)> {
        let cursor = self.0.cursor_lower_bound(&Remap::least(block)?)?;
        Some(cursor.current().0.open())
    }

    fn each(&mut self, block: u64, mut visit: impl FnMut(u64, u32) -> bool) {
        let least = Remap::least(block);
        let mut next = least.and_then(|least| self.0.cursor_lower_bound_mut(&least));
        while let Some(cursor) = next {
            let (found, slot) = cursor.current().0.open();
            if !visit(found, slot) {
                return;
            }
            next = cursor.move_next();
        }
    }
}

/// Numbers of which there may be many.
#[derive(Default)]
pub(in crate::remap) struct Numbers(KVVec<u64>);

impl Numbers {
    /// Makes so many zeros. May sleep. `ENOMEM`.
    pub(in crate::remap) fn new(len: usize) -> Result<Self> {
        Ok(Self(KVVec::from_elem(0, len, GFP_KERNEL | __GFP_NOWARN)?))
    }

    /// Adds a number. May sleep. `ENOMEM`.
    pub(in crate::remap) fn push(&mut self, number: u64) -> Result {
        Ok(self.0.push(number, GFP_KERNEL | __GFP_NOWARN)?)
    }
}

impl AsRef<[u64]> for Numbers {
    fn as_ref(&self) -> &[u64] {
        &self.0
    }
}

impl AsMut<[u64]> for Numbers {
    fn as_mut(&mut self) -> &mut [u64] {
        &mut self.0
    }
}

/// The writer's side of a target's remap table: which block is in which slot, and which are pending.
pub(in crate::remap) type Remaps = RemapTable<RemapTree, Numbers>;

/// Makes an empty remap table with `slots` spare blocks. May sleep.
pub(in crate::remap) fn new_remaps(slots: u32) -> Result<Remaps> {
    let words = Numbers::new(words_for(slots))?;
    let spares = SpareMap::new(words, slots).ok_or(EINVAL)?;
    Ok(RemapTable::new(RemapTree::new(), RemapTree::new(), spares))
}

/// Makes an empty readers' index with room for `entries` entries and some more, of a target with
/// `blocks` blocks. May sleep if `flags` may. `ENOMEM`.
pub(in crate::remap) fn new_index(
    entries: usize,
    blocks: u64,
    flags: Flags,
) -> Result<KBox<ReaderIndex>> {
    let size = Size::for_entries(entries, blocks).ok_or(ENOMEM)?;
    let index = Index::new(size, |len| zeroed(len, flags))?.ok_or(EINVAL)?;
    Ok(KBox::new(index, flags | __GFP_NOWARN)?)
}

/// A remap table under its lock, with numbers of it for those who must not wait.
#[pin_data]
pub(in crate::remap) struct SharedRemaps {
    #[pin]
    remaps: Mutex<Remaps>,
    entries: Atomic<u32>,
    free_slots: Atomic<u32>,
    pending: Atomic<u32>,
}

impl SharedRemaps {
    /// Shares `remaps`.
    pub(in crate::remap) fn new(remaps: Remaps) -> impl PinInit<Self> {
        let (entries, free_slots) = (remaps.entries(), remaps.free_slots());
        pin_init!(Self {
            remaps <- new_mutex!(remaps, "dm_remap::remaps"),
            entries: Atomic::new(entries),
            free_slots: Atomic::new(free_slots),
            pending: Atomic::new(0),
        })
    }

    /// Locks the table. Sleeps, but not for I/O.
    pub(in crate::remap) fn lock(&self) -> MutexGuard<'_, Remaps> {
        self.remaps.lock()
    }

    /// Returns the slot of `block`, if it is on the spare. Sleeps, but not for I/O.
    pub(in crate::remap) fn slot_of(&self, block: u64) -> Option<u32> {
        self.lock().get(block)
    }

    /// Shows the numbers of `remaps`, which the caller has locked, to those who have not.
    pub(in crate::remap) fn publish(&self, remaps: &Remaps) {
        self.entries.store(remaps.entries(), Relaxed);
        self.free_slots.store(remaps.free_slots(), Relaxed);
        self.pending.store(remaps.pending_blocks(), Relaxed);
    }

    /// Returns the number of remapped blocks. Any context.
    pub(in crate::remap) fn entries(&self) -> u64 {
        u64::from(self.entries.load(Relaxed))
    }

    /// Returns the number of free slots. Any context.
    pub(in crate::remap) fn free_slots(&self) -> u64 {
        u64::from(self.free_slots.load(Relaxed))
    }

    /// Returns the number of pending blocks. Any context.
    pub(in crate::remap) fn pending(&self) -> u64 {
        u64::from(self.pending.load(Relaxed))
    }
}

fn zeroed(len: usize, flags: Flags) -> Result<Words> {
    // The message or the log says where there is no memory: vmalloc need not.
    let mut words = KVVec::with_capacity(len, flags | __GFP_NOWARN)?;
    for _ in 0..len {
        words
            .push_within_capacity(AtomicU64::new(0))
            .map_err(|_| ENOMEM)?;
    }
    Ok(Words(words))
}
