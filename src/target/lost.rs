// SPDX-License-Identifier: GPL-2.0

//! Which sectors of which remapped blocks are lost.

use kernel::{
    alloc::Flags,
    prelude::*,
    rbtree::{
        RBTree,
        RBTreeNodeReservation, //
    }, //
};
use remap_core::lost::LostSectors;

/// Blocks whose bios have to be looked at: those with lost sectors, and those that are unsaved.
///
/// A block is *unsaved* when its metadata may say that it is on main or that it is on the spare.
/// Both have the same contents, so it can be read; it cannot be written before it is decided.
pub(super) struct LostBlocks {
    /// There are few of them, so each may cost some memory.
    blocks: RBTree<u64, KBox<LostSectors>>,
    sectors: u64,
    unsaved: KVec<u64>,
}

/// The lost sectors of one block, with the memory to remember them.
pub(super) struct NewLost {
    pub(super) sectors: KBox<LostSectors>,
    node: RBTreeNodeReservation<u64, KBox<LostSectors>>,
}

impl NewLost {
    /// No sector so far.
    pub(super) fn new(flags: Flags) -> Result<Self> {
        Ok(Self {
            sectors: KBox::new(LostSectors::NONE, flags)?,
            node: RBTreeNodeReservation::new(flags)?,
        })
    }
}

impl LostBlocks {
    /// Nothing is lost. `unsaved` is the most blocks that may become so together. May sleep.
    pub(super) fn new(unsaved: usize) -> Result<Self> {
        Ok(Self {
            blocks: RBTree::new(),
            sectors: 0,
            unsaved: KVec::with_capacity(unsaved, GFP_KERNEL)?,
        })
    }

    /// Remembers that `block` is unsaved. Allocates nothing: where there is no room for it, `false`.
    pub(super) fn set_unsaved(&mut self, block: u64) -> bool {
        self.unsaved.push_within_capacity(block).is_ok()
    }

    /// Whether `block` is unsaved.
    pub(super) fn is_unsaved(&self, block: u64) -> bool {
        self.unsaved.contains(&block)
    }

    /// The flags of `block` as `list` shows them.
    pub(super) fn flags(&self, block: u64) -> &'static str {
        match (self.has(block), self.is_unsaved(block)) {
            (false, false) => "-",
            (true, false) => "lost",
            (false, true) => "unsaved",
            (true, true) => "lost,unsaved",
        }
    }

    /// What was uncertain is decided.
    pub(super) fn set_saved(&mut self) {
        self.unsaved.clear();
    }

    /// Number of lost sectors.
    pub(super) fn sectors(&self) -> u64 {
        self.sectors
    }

    /// Marks in `new` which of the `len` sectors of `block` from `first` on are lost.
    pub(super) fn mark_in(&self, block: u64, (first, len): (u32, u32), new: &mut NewLost) {
        if let Some(lost) = self.blocks.get(&block) {
            for sector in first..first.saturating_add(len) {
                if lost.any_in(sector, 1) {
                    new.sectors.mark(sector, 1);
                }
            }
        }
    }

    /// Takes out what is lost of `block`; the caller drops it without the lock.
    pub(super) fn take(&mut self, block: u64) -> Option<KBox<LostSectors>> {
        let taken = self.blocks.remove(&block)?;
        self.sectors = self.sectors.saturating_sub(u64::from(taken.count()));
        Some(taken)
    }

    /// Remembers the lost sectors of `block`, of which none was lost.
    pub(super) fn insert(&mut self, block: u64, new: NewLost) {
        self.sectors = self.sectors.saturating_add(u64::from(new.sectors.count()));
        self.blocks.insert(new.node.into_node(block, new.sectors));
    }

    /// Forgets what is lost of `block`, which has another slot than it was thought to have. Frees
    /// memory.
    pub(super) fn forget(&mut self, block: u64) {
        if let Some(lost) = self.blocks.remove(&block) {
            let count = u64::from(lost.count());
            self.sectors = self.sectors.saturating_sub(count);
        }
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

    /// The lost sectors of `block`.
    pub(super) fn of(&self, block: u64) -> LostSectors {
        match self.blocks.get(&block) {
            Some(lost) => (**lost).clone(),
            None => LostSectors::NONE,
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
