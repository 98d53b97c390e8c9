// SPDX-License-Identifier: GPL-2.0

//! The remap table of a target, on the kernel's memory and red-black tree.

use core::sync::atomic::AtomicU64;

use kernel::{
    alloc::flags::__GFP_NOWARN,
    prelude::*,
    rbtree::{
        RBTree,
        RBTreeNodeReservation, //
    }, //
};
use remap_core::{
    index::{
        Index,
        Size, //
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

use super::live::{
    ReaderIndex,
    Words, //
};

/// Room for one entry of the tree.
pub(super) type Node = RBTreeNodeReservation<u64, u32>;

/// The ordered truth: block to slot.
pub(super) struct RemapTree(RBTree<u64, u32>);

impl Tree for RemapTree {
    type Node = Node;

    fn get(&self, block: u64) -> Option<u32> {
        self.0.get(&block).copied()
    }

    fn insert(&mut self, block: u64, slot: u32, node: Node) {
        self.0.insert(node.into_node(block, slot));
    }

    fn remove(&mut self, block: u64) -> Option<u32> {
        self.0.remove(&block)
    }

    fn at_or_after(&self, block: u64) -> Option<(u64, u32)> {
        let cursor = self.0.cursor_lower_bound(&block)?;
        let (block, slot) = cursor.current();
        Some((*block, *slot))
    }
}

/// Storage of the map of free slots.
pub(super) struct SlotWords(KVVec<u64>);

impl AsRef<[u64]> for SlotWords {
    fn as_ref(&self) -> &[u64] {
        &self.0
    }
}

impl AsMut<[u64]> for SlotWords {
    fn as_mut(&mut self) -> &mut [u64] {
        &mut self.0
    }
}

/// The writer's side of a target's remap table.
pub(super) struct Remaps {
    pub(super) table: RemapTable<RemapTree, SlotWords>,
}

impl Remaps {
    /// No remaps, with `slots` spare blocks. May sleep.
    pub(super) fn new(slots: u32) -> Result<Self> {
        let words = SlotWords(KVVec::zeroed(words_for(slots), GFP_KERNEL | __GFP_NOWARN)?);
        let spares = SpareMap::new(words, slots).ok_or(EINVAL)?;
        Ok(Self {
            table: RemapTable::new(RemapTree(RBTree::new()), spares),
        })
    }

    /// An empty readers' index with room for `entries` entries and some more, of a target with
    /// `blocks` blocks. May sleep.
    pub(super) fn index(entries: usize, blocks: u64) -> Result<KBox<ReaderIndex>> {
        let size = Size::for_entries(entries, blocks).ok_or(ENOMEM)?;
        let index = Index::new(zeroed(size.filter)?, zeroed(size.cells)?).ok_or(EINVAL)?;
        Ok(KBox::new(index, GFP_KERNEL)?)
    }
}

fn zeroed(len: usize) -> Result<Words> {
    // The message or the log says where there is no memory: vmalloc need not.
    let mut words = KVVec::with_capacity(len, GFP_KERNEL | __GFP_NOWARN)?;
    for _ in 0..len {
        words.push(AtomicU64::new(0), GFP_KERNEL)?;
    }
    Ok(Words(words))
}
