// SPDX-License-Identifier: GPL-2.0

//! Lost sectors of remapped blocks.

use kernel::{
    alloc::Flags,
    prelude::*,
    rbtree::{
        RBTree,
        RBTreeNodeReservation, //
    }, //
};
use remap_core::table::lost::{
    LostBlock,
    LostSectors, //
};

/// Part of a block with lost sectors.
#[derive(Clone, Copy)]
pub(in crate::remap) struct LostPart {
    pub(in crate::remap) block: u64,
    pub(in crate::remap) first: u32,
    pub(in crate::remap) len: u32,
}

/// Blocks whose bios have to be looked at: those with lost sectors, and those that are unsaved.
///
/// A block is *unsaved* when its metadata may say that it is on main or that it is on the spare.
/// Both have the same contents, so it can be read; it cannot be written before it is decided.
pub(in crate::remap) struct LostBlocks {
    /// There are few of them, so each may cost some memory.
    blocks: RBTree<u64, KBox<LostBlock>>,
    sectors: u64,
    unsaved: KVec<u64>,
}

/// The lost sectors of one block, with the memory to remember them.
pub(in crate::remap) struct NewLost {
    pub(in crate::remap) sectors: KBox<LostBlock>,
    node: RBTreeNodeReservation<u64, KBox<LostBlock>>,
}

impl NewLost {
    /// Makes one with no lost sector so far.
    pub(in crate::remap) fn new(flags: Flags) -> Result<Self> {
        Ok(Self {
            sectors: KBox::new(LostBlock::new(LostSectors::NONE), flags)?,
            node: RBTreeNodeReservation::new(flags)?,
        })
    }
}

impl LostBlocks {
    /// Makes one in which nothing is lost. `unsaved` is the most blocks that may be unsaved together. May
    /// sleep.
    pub(in crate::remap) fn new(unsaved: usize) -> Result<Self> {
        Ok(Self {
            blocks: RBTree::new(),
            sectors: 0,
            unsaved: KVec::with_capacity(unsaved, GFP_KERNEL)?,
        })
    }

    /// Records that `block` is unsaved. Allocates nothing: returns `false` where there is no room.
    pub(in crate::remap) fn set_unsaved(&mut self, block: u64) -> bool {
        self.unsaved.push_within_capacity(block).is_ok()
    }

    /// Returns whether `block` is unsaved.
    pub(in crate::remap) fn is_unsaved(&self, block: u64) -> bool {
        self.unsaved.contains(&block)
    }

    /// Returns the flags of `block` as `list` shows them.
    pub(in crate::remap) fn flags(&self, block: u64) -> &'static str {
        match (self.has(block), self.is_unsaved(block)) {
            (false, false) => "-",
            (true, false) => "lost",
            (false, true) => "unsaved",
            (true, true) => "lost,unsaved",
        }
    }

    /// Forgets that blocks are unsaved: what was uncertain is decided.
    pub(in crate::remap) fn set_saved(&mut self) {
        self.unsaved.clear();
    }

    /// Returns the number of lost sectors.
    pub(in crate::remap) fn sectors(&self) -> u64 {
        self.sectors
    }

    /// Marks in `new`, which has what could not be read of them, which of the `len` sectors of
    /// `block` from `first` on were lost or filled before.
    pub(in crate::remap) fn inherit(
        &self,
        block: u64,
        (first, len): (u32, u32),
        new: &mut NewLost,
    ) {
        if let Some(old) = self.blocks.get(&block) {
            new.sectors.inherit(old, first, len);
        }
    }

    /// Replaces what is lost of `block` by `new`, at once for all that take the lock. Returns the old
    /// entry, for the caller to drop without the lock.
    pub(in crate::remap) fn replace(
        &mut self,
        block: u64,
        new: Option<NewLost>,
    ) -> Option<KBox<LostBlock>> {
        let old = self.blocks.remove(&block);
        if let Some(old) = &old {
            self.sectors = self.sectors.saturating_sub(u64::from(old.lost().count()));
        }
        if let Some(new) = new {
            let count = u64::from(new.sectors.lost().count());
            self.sectors = self.sectors.saturating_add(count);
            self.blocks.insert(new.node.into_node(block, new.sectors));
        }
        old
    }

    /// Returns whether any of the `len` sectors of `block` from `first` on is lost.
    pub(in crate::remap) fn any_in(&self, block: u64, first: u32, len: u32) -> bool {
        self.blocks
            .get(&block)
            .is_some_and(|block| block.lost().any_in(first, len))
    }

    /// Returns whether `block` has lost sectors.
    pub(in crate::remap) fn has(&self, block: u64) -> bool {
        self.blocks
            .get(&block)
            .is_some_and(|block| block.lost().count() > 0)
    }

    /// Marks those of the `len` sectors of `block` from `first` on as filled that are lost. Any
    /// context.
    pub(in crate::remap) fn fill(&mut self, block: u64, first: u32, len: u32) {
        if let Some(block) = self.blocks.get_mut(&block) {
            block.fill(first, len);
        }
    }

    /// Returns whether all of the `len` sectors of `block` from `first` on have contents in its slot.
    pub(in crate::remap) fn has_contents(&self, block: u64, first: u32, len: u32) -> bool {
        self.blocks
            .get(&block)
            .is_none_or(|block| block.has_contents(first, len))
    }

    /// Makes the `len` sectors of `block` from `first` on ordinary ones, which have contents.
    ///
    /// The entry of a block without lost sectors stays for [`LostBlocks::forget_written`]: this
    /// is called where memory should not be freed.
    pub(in crate::remap) fn written(&mut self, block: u64, first: u32, len: u32) {
        if let Some(block) = self.blocks.get_mut(&block) {
            let before = block.lost().count();
            block.written(first, len);
            let found = before.saturating_sub(block.lost().count());
            self.sectors = self.sectors.saturating_sub(u64::from(found));
        }
    }

    /// Returns the lost sectors of `block`.
    pub(in crate::remap) fn of(&self, block: u64) -> LostSectors {
        match self.blocks.get(&block) {
            Some(block) => block.lost().clone(),
            None => LostSectors::NONE,
        }
    }

    /// Takes the entry of `block` out where none of its sectors is lost any more; the caller
    /// drops it without the lock.
    pub(in crate::remap) fn forget_written(&mut self, block: u64) -> Option<KBox<LostBlock>> {
        if self.has(block) {
            return None;
        }
        self.blocks.remove(&block)
    }
}
