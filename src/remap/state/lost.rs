// SPDX-License-Identifier: GPL-2.0

//! Sectors of remapped blocks that have no contents in their slot: unread and lost ones.

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
    Missing,
    Source, //
};

/// Part of a block with unread or lost sectors.
#[derive(Clone, Copy)]
pub(in crate::remap) struct LostPart {
    pub(in crate::remap) block: u64,
    pub(in crate::remap) first: u32,
    pub(in crate::remap) len: u32,
}

/// Blocks whose bios have to be looked at: those with unread or lost sectors, and those that are unsaved.
///
/// A block is *unsaved* when its metadata may say that it is on main or that it is on the spare.
/// Both have the same contents, so it can be read; it cannot be written before it is decided.
pub(in crate::remap) struct LostBlocks {
    /// There are few of them, so each may cost some memory.
    blocks: RBTree<u64, KBox<LostBlock>>,
    unread_sectors: u64,
    refused_sectors: u64,
    lost_sectors: u64,
    /// Number of blocks that are untried.
    untried: u64,
    /// Number of the next stay of a block.
    next_stay: u64,
    /// Number of writes that have filled sectors, and of which the metadata says nothing so far.
    unrecorded: u64,
    /// The metadata could not be told of one of them, so sectors may be filled for nothing.
    has_stale_fills: bool,
    unsaved: KVec<u64>,
}

/// The unread and lost sectors of one block, with the memory to remember them.
pub(in crate::remap) struct NewLost {
    pub(in crate::remap) sectors: KBox<LostBlock>,
    node: RBTreeNodeReservation<u64, KBox<LostBlock>>,
}

impl NewLost {
    /// Makes one with no unread or lost sector so far.
    pub(in crate::remap) fn new(flags: Flags) -> Result<Self> {
        Ok(Self {
            sectors: KBox::new(LostBlock::WHOLE, flags)?,
            node: RBTreeNodeReservation::new(flags)?,
        })
    }
}

/// Unread, refused and lost sectors of a block, and 1 if it is untried.
struct Figures {
    unread: u64,
    refused: u64,
    lost: u64,
    untried: u64,
}

impl Figures {
    fn of(block: &LostBlock) -> Self {
        let unread = u64::from(block.unread().count());
        Self {
            unread,
            refused: if block.is_refused() { unread } else { 0 },
            lost: u64::from(block.lost().count()),
            untried: u64::from(block.is_untried()),
        }
    }
}

impl LostBlocks {
    /// Makes one in which nothing is unread or lost. `unsaved` is the most blocks that may be unsaved together. May
    /// sleep.
    pub(in crate::remap) fn new(unsaved: usize) -> Result<Self> {
        Ok(Self {
            blocks: RBTree::new(),
            unread_sectors: 0,
            refused_sectors: 0,
            lost_sectors: 0,
            untried: 0,
            next_stay: 0,
            unrecorded: 0,
            has_stale_fills: false,
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
        let known = self.blocks.get(&block);
        let is_unread = known.is_some_and(|block| !block.unread().is_empty());
        let is_lost = known.is_some_and(|block| !block.lost().is_empty());
        match (is_unread, is_lost, self.is_unsaved(block)) {
            (false, false, false) => "-",
            (true, false, false) => "unread",
            (false, true, false) => "lost",
            (false, false, true) => "unsaved",
            (true, true, false) => "unread,lost",
            (true, false, true) => "unread,unsaved",
            (false, true, true) => "lost,unsaved",
            (true, true, true) => "unread,lost,unsaved",
        }
    }

    /// Forgets that blocks are unsaved: what was uncertain is decided.
    pub(in crate::remap) fn set_saved(&mut self) {
        self.unsaved.clear();
    }

    /// Returns the number of unread sectors.
    pub(in crate::remap) fn unread_sectors(&self) -> u64 {
        self.unread_sectors
    }

    /// Returns the number of unread sectors that main has refused when it was asked last.
    pub(in crate::remap) fn refused_sectors(&self) -> u64 {
        self.refused_sectors
    }

    /// Returns the number of lost sectors.
    pub(in crate::remap) fn lost_sectors(&self) -> u64 {
        self.lost_sectors
    }

    /// Counts a block that is added.
    fn count(&mut self, block: Figures) {
        self.unread_sectors = self.unread_sectors.saturating_add(block.unread);
        self.refused_sectors = self.refused_sectors.saturating_add(block.refused);
        self.lost_sectors = self.lost_sectors.saturating_add(block.lost);
        self.untried = self.untried.saturating_add(block.untried);
    }

    /// Counts a block that is removed.
    fn discount(&mut self, block: Figures) {
        self.unread_sectors = self.unread_sectors.saturating_sub(block.unread);
        self.refused_sectors = self.refused_sectors.saturating_sub(block.refused);
        self.lost_sectors = self.lost_sectors.saturating_sub(block.lost);
        self.untried = self.untried.saturating_sub(block.untried);
    }

    /// Changes the state of the sectors of `block`, if it has any that are unread or lost.
    fn change(&mut self, block: u64, with: impl FnOnce(&mut LostBlock)) {
        let Some(known) = self.blocks.get_mut(&block) else {
            return;
        };
        let before = Figures::of(known);
        with(known);
        let after = Figures::of(known);
        self.discount(before);
        self.count(after);
    }

    /// Marks in `new`, which has what could not be read of them, which of the `len` sectors of
    /// `block` from `first` on were unread, lost or filled before.
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

    /// Replaces the state of the sectors of `block` by `new`, at once for all that take the lock. Returns the old
    /// entry, for the caller to drop without the lock.
    pub(in crate::remap) fn replace(
        &mut self,
        block: u64,
        new: Option<NewLost>,
    ) -> Option<KBox<LostBlock>> {
        let old = self.blocks.remove(&block);
        if let Some(old) = &old {
            self.discount(Figures::of(old));
        }
        if let Some(mut new) = new {
            self.next_stay = self.next_stay.wrapping_add(1);
            new.sectors.stay = self.next_stay;
            self.count(Figures::of(&new.sectors));
            self.blocks.insert(new.node.into_node(block, new.sectors));
        }
        old
    }

    /// Returns how the `len` sectors of `block` from `first` on lack contents in its slot.
    pub(in crate::remap) fn missing_in(&self, block: u64, first: u32, len: u32) -> Missing {
        self.blocks
            .get(&block)
            .map_or(Missing::default(), |block| block.missing_in(first, len))
    }

    /// Returns whether `block` has unread or lost sectors.
    pub(in crate::remap) fn has(&self, block: u64) -> bool {
        self.blocks
            .get(&block)
            .is_some_and(|block| !block.is_whole())
    }

    /// Marks those of the `len` sectors of `block` from `first` on as filled that are unread or lost. When the write that
    /// has filled them ends, [`LostBlocks::end_fill`] follows. Any context.
    pub(in crate::remap) fn begin_fill(&mut self, block: u64, first: u32, len: u32) {
        self.unrecorded = self.unrecorded.saturating_add(1);
        if let Some(block) = self.blocks.get_mut(&block) {
            block.fill(first, len);
        }
    }

    /// Records that a write ends which has filled sectors: successfully, or `failed`.
    pub(in crate::remap) fn end_fill(&mut self, failed: bool) {
        self.unrecorded = self.unrecorded.saturating_sub(1);
        self.has_stale_fills |= failed;
        if self.unrecorded > 0 || !self.has_stale_fills {
            return;
        }
        self.has_stale_fills = false;
        let mut next = self.blocks.cursor_lower_bound_mut(&0);
        while let Some(mut cursor) = next {
            cursor.current_mut().1.forget_fills();
            next = cursor.move_next();
        }
    }

    /// Returns whether sectors of `block` are filled, and it cannot be told whether the write has failed.
    pub(in crate::remap) fn may_be_stale(&self, block: u64) -> bool {
        let known = self.blocks.get(&block);
        self.has_stale_fills && known.is_some_and(|block| block.has_fills())
    }

    /// Returns whether all of the `len` sectors of `block` from `first` on have contents in its slot.
    pub(in crate::remap) fn has_contents(&self, block: u64, first: u32, len: u32) -> bool {
        self.blocks
            .get(&block)
            .is_none_or(|block| block.has_contents(first, len))
    }

    /// Makes the `len` sectors of `block` from `first` on ordinary ones, which have contents.
    ///
    /// The entry of a block without unread or lost sectors stays while the block is on the spare: this is called where
    /// memory should not be freed.
    pub(in crate::remap) fn written(&mut self, block: u64, first: u32, len: u32) {
        self.change(block, |block| block.written(first, len));
    }

    /// Sets the state of the sectors of `block`, which has one.
    pub(in crate::remap) fn set(&mut self, block: u64, state: &LostBlock) {
        self.change(block, |block| block.clone_from(state));
    }

    /// Records that main was asked for the unread sectors of `block`.
    pub(in crate::remap) fn set_tried(&mut self, block: u64) {
        self.change(block, |block| block.set_untried(false));
    }

    /// Makes `block` untried: main is asked for its unread sectors again.
    pub(in crate::remap) fn ask_again(&mut self, block: u64) {
        self.change(block, LostBlock::ask_again);
    }

    /// Returns whether `block` has lost sectors.
    pub(in crate::remap) fn has_lost(&self, block: u64) -> bool {
        let known = self.blocks.get(&block);
        known.is_some_and(|block| !block.lost().is_empty())
    }

    /// Returns where the `len` sectors of `block` from `first` on are read, and for how many of them that holds.
    pub(in crate::remap) fn source_of(&self, block: u64, first: u32, len: u32) -> (Source, u32) {
        self.blocks
            .get(&block)
            .map_or((Source::Slot, len), |block| block.source_of(first, len))
    }

    /// Returns the number of blocks with unread sectors that main was not asked for.
    pub(in crate::remap) fn untried(&self) -> u64 {
        self.untried
    }

    /// Returns the first block at or behind `block` whose sectors have a state that is known.
    pub(in crate::remap) fn at_or_after(&self, block: u64) -> Option<(u64, &LostBlock)> {
        let cursor = self.blocks.cursor_lower_bound(&block)?;
        let known = self.blocks.get(cursor.current().0)?;
        Some((*cursor.current().0, known))
    }

    /// Copies the state of the sectors of `block`, which is too large for some stacks.
    pub(in crate::remap) fn copy_to(&self, block: u64, state: &mut LostBlock) {
        match self.blocks.get(&block) {
            Some(known) => state.clone_from(known),
            None => state.clone_from(&LostBlock::WHOLE),
        }
    }

    /// Returns the number of this stay of `block` in its slot, if it is known, and whether main was not asked for
    /// unread sectors that nobody has filled.
    pub(in crate::remap) fn stay_of(&self, block: u64) -> (Option<u64>, bool) {
        let known = self.blocks.get(&block);
        let untried = known.is_some_and(|known| known.is_untried() && !known.has_fills());
        (known.map(|known| known.stay), untried)
    }

    /// Returns the state of the sectors of `block`.
    pub(in crate::remap) fn of(&self, block: u64) -> LostBlock {
        match self.blocks.get(&block) {
            Some(block) => (**block).clone(),
            None => LostBlock::WHOLE,
        }
    }
}
