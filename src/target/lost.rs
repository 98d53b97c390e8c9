// SPDX-License-Identifier: GPL-2.0

//! Which sectors of which remapped blocks are lost.

use kernel::{
    prelude::*,
    rbtree::{
        RBTree,
        RBTreeNodeReservation, //
    }, //
};
use remap_core::lost::LostSectors;

/// Blocks with lost sectors. There are few of them, so each may cost some memory.
pub(super) struct LostBlocks {
    blocks: RBTree<u64, KBox<LostSectors>>,
    sectors: u64,
}

/// The lost sectors of one block, with the memory to remember them.
pub(super) struct NewLost {
    pub(super) sectors: KBox<LostSectors>,
    node: RBTreeNodeReservation<u64, KBox<LostSectors>>,
}

impl NewLost {
    /// No sector so far. May sleep.
    pub(super) fn new() -> Result<Self> {
        Ok(Self {
            sectors: KBox::new(LostSectors::NONE, GFP_KERNEL)?,
            node: RBTreeNodeReservation::new(GFP_KERNEL)?,
        })
    }
}

impl LostBlocks {
    /// Nothing is lost.
    pub(super) fn new() -> Self {
        Self {
            blocks: RBTree::new(),
            sectors: 0,
        }
    }

    /// Number of lost sectors.
    pub(super) fn sectors(&self) -> u64 {
        self.sectors
    }

    /// Remembers the lost sectors of `block`, of which none was lost.
    pub(super) fn insert(&mut self, block: u64, new: NewLost) {
        self.sectors = self.sectors.saturating_add(u64::from(new.sectors.count()));
        self.blocks.insert(new.node.into_node(block, new.sectors));
    }

    /// Whether any of the `len` sectors of `block` from `first` on is lost.
    pub(super) fn any_in(&self, block: u64, first: u32, len: u32) -> bool {
        self.blocks
            .get(&block)
            .is_some_and(|lost| lost.any_in(first, len))
    }

    /// Whether `block` has lost sectors.
    pub(super) fn has(&self, block: u64) -> bool {
        self.blocks.get(&block).is_some_and(|lost| lost.count() > 0)
    }

    /// The `len` sectors of `block` from `first` on have contents again.
    ///
    /// The entry of a block without lost sectors stays for [`LostBlocks::forget_written`]: this
    /// is called where memory should not be freed.
    pub(super) fn written(&mut self, block: u64, first: u32, len: u32) {
        if let Some(lost) = self.blocks.get_mut(&block) {
            let before = lost.count();
            lost.written(first, len);
            let found = before.saturating_sub(lost.count());
            self.sectors = self.sectors.saturating_sub(u64::from(found));
        }
    }

    /// Takes the entry of `block` out where none of its sectors is lost any more; the caller
    /// drops it without the lock.
    pub(super) fn forget_written(&mut self, block: u64) -> Option<KBox<LostSectors>> {
        if self.has(block) {
            return None;
        }
        self.blocks.remove(&block)
    }
}
