// SPDX-License-Identifier: GPL-2.0

//! Layout of the spare area.

use core::ops::Range;

use crate::table::{
    geometry::BlockSize,
    index::MAX_SLOTS, //
};

use super::{
    entry::{
        Bitmaps,
        Shape, //
    },
    LOST_UNIT,
    PAGE_SECTORS, //
};

/// Half of the metadata.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Half {
    /// Half at the start of the area.
    Head,
    /// Half at the end of the area.
    Tail,
}

impl Half {
    /// Both halves, in the order in which they are written.
    pub const BOTH: [Half; 2] = [Half::Head, Half::Tail];
}

/// Place of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Half that the place is in.
    pub half: Half,
    /// The place is for odd generations.
    pub odd: bool,
}

impl Place {
    /// All places of a page.
    pub const ALL: [Place; 4] = [
        Place {
            half: Half::Head,
            odd: false,
        },
        Place {
            half: Half::Head,
            odd: true,
        },
        Place {
            half: Half::Tail,
            odd: false,
        },
        Place {
            half: Half::Tail,
            odd: true,
        },
    ];

    /// Returns the place of a generation in a half.
    pub const fn of(half: Half, generation: u64) -> Self {
        Self {
            half,
            odd: generation % 2 == 1,
        }
    }
}

/// Number of sectors that a page takes in a half: two places.
const PAIR_SECTORS: u64 = 2 * PAGE_SECTORS;

/// Sectors between the two halves of further pages ([`Layout`]), so that damage in one spot does not reach both.
const GAP_SECTORS: u64 = 2048;

/// Returns the number of sectors of an area, rounded down to whole pages.
const fn whole_pages(sectors: u64) -> u64 {
    sectors - sectors % PAGE_SECTORS
}

/// Returns the first sector of the places of page `index` in the tail.
fn tail_pair(sectors: u64, index: u32) -> Option<u64> {
    whole_pages(sectors).checked_sub((u64::from(index) + 1) * PAIR_SECTORS)
}

/// Returns the first sectors of the places of the superblock in an area of `sectors` sectors, the head first. They are
/// at the ends of the area, whatever its layout.
pub fn superblocks(sectors: u64) -> impl Iterator<Item = u64> {
    [Some(0), tail_pair(sectors, 0)]
        .into_iter()
        .flatten()
        .flat_map(|start| [start, start + PAGE_SECTORS])
        .filter(move |start| *start < whole_pages(sectors))
}

/// Layout of a spare area. All positions are sectors from the start of the area.
///
/// The head of an area that has grown has the pages that it had before, since slots begin behind them. The other pages
/// of the table, *further* pages, have their first half before the tail, with a gap between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    sectors: u64,
    block: BlockSize,
    shape: Shape,
    slots: u32,
    /// Number of pages, the superblock included.
    pages: u32,
    /// Number of pages at the start of the area.
    head_pages: u32,
}

impl Layout {
    /// Returns the layout of a new area of `sectors` sectors for blocks of size `block`. `None` if there is no room
    /// for a single slot.
    pub fn new(sectors: u64, block: BlockSize) -> Option<Self> {
        let shape = Shape::new(block, LOST_UNIT, Bitmaps::Two)?;
        Self::with_shape(sectors, block, shape, None)
    }

    /// Returns the layout of an area of `sectors` sectors for blocks of size `block`, with entries of that shape.
    /// `head_pages` is the number of pages in the head of an area that has grown. `None` if there is no room for a
    /// single slot, or the area has fewer pages than that.
    ///
    /// Slots start at a multiple of the block size from the start of the area, so that they are aligned if the
    /// area is.
    pub fn with_shape(
        sectors: u64,
        block: BlockSize,
        shape: Shape,
        head_pages: Option<u32>,
    ) -> Option<Self> {
        let block_sectors = u64::from(block.sectors());
        // More slots never need fewer pages, so bisection finds the largest number that fits.
        let fits = |slots: u32| {
            let pages = pages_for(slots, shape);
            let head_pages = head_pages.unwrap_or(pages);
            first_slot(head_pages, block)
                .checked_add(u64::from(slots).checked_mul(block_sectors)?)?
                .checked_add(further_sectors(pages, head_pages))?
                .checked_add(half_sectors(pages))
                .filter(|end| *end <= whole_pages(sectors))
        };
        let most = block.block_of(sectors).min(u64::from(MAX_SLOTS)) as u32;
        let (mut good, mut bad) = (0, most.checked_add(1)?);
        while good + 1 < bad {
            let middle = good + (bad - good) / 2;
            if fits(middle).is_some() {
                good = middle;
            } else {
                bad = middle;
            }
        }
        let pages = pages_for(good, shape);
        let head_pages = head_pages.unwrap_or(pages);
        let valid = good > 0 && (1..=pages).contains(&head_pages);
        valid.then_some(Self {
            sectors,
            block,
            shape,
            slots: good,
            pages,
            head_pages,
        })
    }

    /// Returns the layout of the area when it has grown to `sectors` sectors: slots stay where they are. `None` if it is
    /// not as long as that.
    pub fn grown(&self, sectors: u64) -> Option<Self> {
        let longer = sectors >= self.sectors;
        let grown = Self::with_shape(sectors, self.block, self.shape, Some(self.head_pages));
        grown.filter(|_| longer)
    }

    /// Returns the least number of sectors, `sectors` or more, to which the area can grow: nothing is written in the
    /// area as it is before its new superblock. `None` if no number is large enough.
    pub fn room_to_grow(&self, mut sectors: u64) -> Option<u64> {
        let end = whole_pages(self.sectors);
        loop {
            let grown = self.grown(sectors)?;
            let further = grown.further_start(grown.head_pages)?;
            match end.saturating_sub(further) {
                0 => return Some(sectors),
                // The places move by as much at most.
                missing => sectors = whole_pages(sectors).checked_add(missing)?,
            }
        }
    }

    /// Returns the number of sectors that a new area with `slots` slots needs.
    pub fn sectors_for(slots: u32, block: BlockSize) -> Option<u64> {
        let shape = Shape::new(block, LOST_UNIT, Bitmaps::Two)?;
        let pages = pages_for(slots, shape);
        first_slot(pages, block)
            .checked_add(u64::from(slots).checked_mul(u64::from(block.sectors()))?)?
            .checked_add(half_sectors(pages))?
            .checked_next_multiple_of(PAGE_SECTORS)
    }

    /// Returns whether slots, pages and entries are in the same places as in `other`.
    pub fn has_places_of(&self, other: &Self) -> bool {
        let places = |layout: &Self| {
            let entry = (layout.shape.units(), layout.shape.bytes());
            let head = (layout.sectors, layout.block, layout.head_pages);
            (head, layout.slots, entry)
        };
        places(self) == places(other)
    }

    /// Returns the number of slots.
    pub const fn slots(&self) -> u32 {
        self.slots
    }

    /// Returns the number of pages. Page 0 is the superblock.
    pub const fn pages(&self) -> u32 {
        self.pages
    }

    /// Returns the number of sectors of the area.
    pub const fn sectors(&self) -> u64 {
        self.sectors
    }

    /// Returns the number of pages at the start of the area: all pages, unless it has grown.
    pub const fn head_pages(&self) -> u32 {
        self.head_pages
    }

    /// Returns the sectors of all places: at the start of the area, of the first half of further pages, and in the tail.
    pub fn places(&self) -> [Range<u64>; 3] {
        let sectors = half_sectors(self.pages);
        // A layout has room for all of them.
        let end = whole_pages(self.sectors);
        let tail = end.saturating_sub(sectors);
        let further = tail.saturating_sub(further_sectors(self.pages, self.head_pages));
        let further_end = further.saturating_add(half_sectors(self.pages - self.head_pages));
        [
            0..half_sectors(self.head_pages),
            further..further_end,
            tail..end,
        ]
    }

    /// Returns the first sector of the places of page `index`, a further page, in its first half.
    fn further_start(&self, index: u32) -> Option<u64> {
        let tail = whole_pages(self.sectors).checked_sub(half_sectors(self.pages))?;
        let further = tail.checked_sub(further_sectors(self.pages, self.head_pages))?;
        further.checked_add(half_sectors(index.checked_sub(self.head_pages)?))
    }

    /// Returns the first sector of the places of page `index` in a half.
    fn pair_start(&self, index: u32, half: Half) -> Option<u64> {
        match half {
            Half::Head if index < self.head_pages => Some(half_sectors(index)),
            Half::Head => self.further_start(index),
            Half::Tail => tail_pair(self.sectors, index),
        }
    }

    /// Returns the number of pages from `first` on, `most` at most, whose places are contiguous in either half.
    pub fn contiguous(&self, first: u32, most: u32) -> u32 {
        let end = if first < self.head_pages {
            self.head_pages
        } else {
            self.pages
        };
        most.min(end.saturating_sub(first))
    }

    /// Returns the shape of the table's entries.
    pub const fn shape(&self) -> &Shape {
        &self.shape
    }

    /// Returns the first sector of the first slot.
    pub const fn first_slot(&self) -> u64 {
        first_slot(self.head_pages, self.block)
    }

    /// Returns the first sector of a place of page `index`; `None` if there is no such page.
    pub fn sector_of(&self, index: u32, place: Place) -> Option<u64> {
        if index >= self.pages {
            return None;
        }
        self.pair_start(index, place.half)
            .map(|start| start + if place.odd { PAGE_SECTORS } else { 0 })
    }

    /// Returns the first sector of the places of `count` [contiguous](Layout::contiguous) pages from `first` on in a half.
    /// They are in ascending order in the head, in descending order in the tail.
    pub fn start_of(&self, half: Half, first: u32, count: u32) -> Option<u64> {
        let index = match half {
            Half::Head => first,
            Half::Tail => first.checked_add(count.checked_sub(1)?)?,
        };
        self.pair_start(index, half)
    }

    /// Returns the position, among the places of `count` contiguous pages in a half, of the page with the index
    /// `number` among them.
    pub const fn nth_of(half: Half, number: u32, count: u32) -> u32 {
        match half {
            Half::Head => number,
            Half::Tail => count.saturating_sub(1).saturating_sub(number),
        }
    }

    /// Returns the page of the entry for `slot`, and its index in the page.
    pub fn entry_of(&self, slot: u32) -> (u32, usize) {
        let each = self.shape.per_page();
        (1 + slot / each, (slot % each) as usize)
    }

    /// Returns the slots that page `index` has entries for.
    pub fn slots_of(&self, index: u32) -> Range<u32> {
        let each = self.shape.per_page().get();
        let start = index.saturating_sub(1).saturating_mul(each);
        let end = if index == 0 {
            start
        } else {
            start.saturating_add(each)
        };
        start.min(self.slots)..end.min(self.slots)
    }
}

/// Returns the number of pages for `slots` slots, the superblock included.
const fn pages_for(slots: u32, shape: Shape) -> u32 {
    1 + slots.div_ceil(shape.per_page().get())
}

/// Returns the number of sectors of a half.
const fn half_sectors(pages: u32) -> u64 {
    pages as u64 * PAIR_SECTORS
}

/// Returns the number of sectors from the first place of a further page to the tail.
const fn further_sectors(pages: u32, head_pages: u32) -> u64 {
    match pages.saturating_sub(head_pages) {
        0 => 0,
        further => half_sectors(further) + GAP_SECTORS,
    }
}

/// Returns the first sector of the first slot of an area with so many pages in its head.
const fn first_slot(head_pages: u32, block: BlockSize) -> u64 {
    half_sectors(head_pages).next_multiple_of(block.sectors() as u64)
}

/// Calls `with` once for each page that any of `items` is in, in the order of the pages. `with` gets all items,
/// and a function that returns whether an item is in the page.
///
/// `page_of` returns `None` for an item in no page. It is called again for all items after each call of `with`.
pub fn page_by_page<T>(
    items: &mut [T],
    page_of: impl Fn(&T) -> Option<u32>,
    mut with: impl FnMut(&mut [T], &dyn Fn(&T) -> bool),
) {
    let mut next = items.iter().filter_map(&page_of).min();
    while let Some(page) = next {
        with(items, &|item| page_of(item) == Some(page));
        let later = items.iter().filter_map(&page_of);
        next = later.filter(|other| *other > page).min();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn block(sectors: u64) -> BlockSize {
        BlockSize::from_sectors(sectors).unwrap()
    }

    #[test]
    fn a_million_remaps_cost_less_than_64_bytes_each() {
        let sectors = Layout::sectors_for(1_000_000, block(8)).unwrap();
        let metadata = (sectors - 8_000_000) * 512;
        assert!(metadata <= 64_000_000, "{metadata}");
        let layout = Layout::new(sectors, block(8)).unwrap();
        assert_eq!(layout.slots(), 1_000_000);
    }

    #[test]
    fn every_page_comes_once_and_in_order() {
        let mut items = [(7, 'a'), (2, 'b'), (7, 'c'), (4, 'd'), (2, 'e')];
        let mut seen = std::vec::Vec::new();
        let page_of = |&(page, name): &(u32, char)| (name != 'd').then_some(page);
        page_by_page(&mut items, page_of, |items, here| {
            let names: std::string::String = items
                .iter()
                .filter(|item| here(item))
                .map(|item| item.1)
                .collect();
            seen.push(names);
        });
        assert_eq!(seen, ["be", "ac"]);
    }

    #[test]
    fn the_least_area_has_one_slot() {
        let least = Layout::sectors_for(1, block(8)).unwrap();
        assert_eq!(least, 2 * 2 * PAIR_SECTORS + 8);
        assert_eq!(Layout::new(least, block(8)).unwrap().slots(), 1);
        assert_eq!(Layout::new(least - 1, block(8)), None);
        assert_eq!(Layout::new(0, block(8)), None);
    }

    #[test]
    fn entries_are_found_by_slot() {
        let layout = Layout::new(1 << 20, block(8)).unwrap();
        let each = layout.shape().per_page().get();
        assert_eq!(layout.entry_of(0), (1, 0));
        assert_eq!(layout.entry_of(each), (2, 0));
        assert_eq!(layout.slots_of(0), 0..0);
        let mut next = 0;
        for index in 1..layout.pages() {
            let slots = layout.slots_of(index);
            assert_eq!(slots.start, next);
            assert!(!slots.is_empty());
            assert_eq!(layout.entry_of(slots.start), (index, 0));
            next = slots.end;
        }
        assert_eq!(next, layout.slots());
    }

    proptest! {
        #[test]
        fn nothing_overlaps(
            sectors in 0..200_000_u64,
            shift in 0..=11_u32,
            unit in 0..=3_u32,
            bitmaps in prop::sample::select(&[Bitmaps::Lost, Bitmaps::One, Bitmaps::Two][..]),
            growth in prop::option::of(0..200_000_u64),
        ) {
            let size = block(1 << shift);
            let shape = Shape::new(size, 1 << unit.min(shift), bitmaps).unwrap();
            let Some(layout) = Layout::with_shape(sectors, size, shape, None) else {
                return Ok(());
            };
            let grown = growth.and_then(|sectors| layout.grown(layout.sectors() + sectors));
            let layout = grown.unwrap_or(layout);
            let sectors = layout.sectors();
            let mut taken = BTreeSet::new();
            for index in 0..layout.pages() {
                for place in Place::ALL {
                    let start = layout.sector_of(index, place).unwrap();
                    for sector in start..start + PAGE_SECTORS {
                        prop_assert!(sector < sectors && taken.insert(sector));
                    }
                }
            }
            let places = layout.places().into_iter().flatten();
            prop_assert!(places.eq(taken.iter().copied()));
            let end = layout.first_slot() + u64::from(layout.slots()) * u64::from(size.sectors());
            prop_assert_eq!(layout.first_slot() % u64::from(size.sectors()), 0);
            prop_assert!(!taken.iter().any(|sector| (layout.first_slot()..end).contains(sector)));
            prop_assert_eq!(layout.sector_of(layout.pages(), Place::ALL[0]), None);
            let known = superblocks(sectors).collect::<std::vec::Vec<_>>();
            prop_assert_eq!(known, Place::ALL.map(|place| layout.sector_of(0, place).unwrap()));
            // Contiguous pages.
            let first = layout.pages() / 3;
            let count = layout.contiguous(first, u32::MAX);
            prop_assert!(count > 0 && layout.contiguous(first, 1) == 1);
            for half in Half::BOTH {
                let start = layout.start_of(half, first, count).unwrap();
                for number in 0..count {
                    let at = u64::from(Layout::nth_of(half, number, count)) * PAIR_SECTORS;
                    let place = Place { half, odd: false };
                    prop_assert_eq!(layout.sector_of(first + number, place), Some(start + at));
                }
            }
            // One more slot would not fit.
            if let Some(new) = Layout::new(sectors, size) {
                prop_assert!(Layout::sectors_for(new.slots() + 1, size).unwrap() > sectors);
                prop_assert!(Layout::sectors_for(new.slots(), size).unwrap() <= sectors);
            }
        }

        /// What has grown has the slots that it had, and its new places are beyond the end that it had.
        #[test]
        fn what_grows_keeps_its_slots(
            sectors in 100..100_000_u64,
            shift in 0..=6_u32,
            steps in prop::collection::vec(0..100_000_u64, 1..4),
        ) {
            let Some(mut layout) = Layout::new(sectors, block(1 << shift)) else {
                return Ok(());
            };
            for step in steps {
                let wanted = layout.sectors() + step;
                let least = layout.room_to_grow(wanted).unwrap();
                let grown = layout.grown(least).unwrap();
                prop_assert_eq!(layout.grown(layout.sectors() - 1), None);
                prop_assert_eq!(grown.first_slot(), layout.first_slot());
                prop_assert!(grown.slots() >= layout.slots() && grown.pages() >= layout.pages());
                prop_assert_eq!(grown.head_pages(), layout.head_pages());
                let end = whole_pages(layout.sectors());
                let [head, further, tail] = grown.places();
                prop_assert!(further.start >= end && tail.start >= end);
                prop_assert_eq!(head, layout.places()[0].clone());
                prop_assert!(further.is_empty() || tail.start - further.end == GAP_SECTORS);
                // Less is not enough.
                for less in wanted..least {
                    let places = layout.grown(less).unwrap().places();
                    prop_assert!(places[1].start < end || places[2].start < end);
                }
                layout = grown;
            }
        }

        #[test]
        fn huge_areas_do_not_overflow(sectors in (1_u64 << 50)..=u64::MAX, shift in 0..=11_u32) {
            let layout = Layout::new(sectors, block(1 << shift)).unwrap();
            prop_assert!(layout.slots() <= MAX_SLOTS);
        }
    }
}
