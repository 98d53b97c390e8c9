// SPDX-License-Identifier: GPL-2.0

//! Fresh metadata, and none any more.

use zerocopy::FromZeros as _;

use super::{
    area::{
        Storage,
        Store,
        Unwritable, //
    },
    pages::numbers_of, //
};
use crate::metadata::{
    layout::{
        superblocks,
        Half,
        Layout,
        Place, //
    },
    page::{
        Identity,
        Page, //
    },
    superblock::Superblock,
    Checksum, //
};

/// Number of the page that stands in the first place while an area is being formatted.
pub(super) const FORMATTING: u32 = u32::MAX;

/// Marks an area as being formatted, and takes away whatever was a superblock in it before.
/// `page` is memory for one page.
fn clear<S: Storage>(
    storage: &mut S,
    sectors: u64,
    area: u64,
    checksum: Checksum,
    page: &mut [Page],
) -> Result<(), Unwritable> {
    let nowhere = Unwritable { index: 0 };
    let page = page.get_mut(..1).ok_or(nowhere)?;
    let mark = Identity {
        area,
        index: FORMATTING,
        generation: 0,
    };
    page.zero();
    if let Some(page) = page.first_mut() {
        page.seal(&mark, checksum);
    }
    storage.write(0, page).map_err(|_| nowhere)?;
    page.zero();
    for sector in superblocks(sectors).skip(1) {
        storage.write(sector, page).map_err(|_| nowhere)?;
    }
    Ok(())
}

/// Takes the superblocks of an area away, so that nothing is found in it. What it held besides stays, and
/// keeps it from being blank. `page` is memory for one page.
pub fn erase<S: Storage>(
    storage: &mut S,
    sectors: u64,
    checksum: Checksum,
    page: &mut [Page],
) -> Result<(), Unwritable> {
    let nowhere = Unwritable { index: 0 };
    clear(storage, sectors, 0, checksum, page)?;
    let page = page.get_mut(..1).ok_or(nowhere)?;
    page.zero();
    storage.write(0, page).map_err(|_| nowhere)
}

impl<S: Storage, G: AsRef<[u64]> + AsMut<[u64]> + Default> Store<S, G> {
    /// Writes fresh metadata: every slot is free. `numbers` is memory for [`numbers_of`] the layout, `pages` for an
    /// even number of pages; the more, the fewer requests.
    pub fn format(
        storage: S,
        superblock: &Superblock,
        numbers: G,
        checksum: Checksum,
        pages: &mut [Page],
    ) -> Result<Self, Unwritable> {
        let nowhere = Unwritable { index: 0 };
        let layout = superblock.layout().ok_or(nowhere)?;
        let mut store = Self::new(storage, checksum, *superblock, layout, numbers);
        if store.numbers.as_ref().len() != numbers_of(&layout) || pages.len() < 2 {
            return Err(nowhere);
        }
        // From here on, and until the last write below, the area says that it is being formatted.
        let (sectors, area) = (superblock.sectors, superblock.area());
        clear(&mut store.storage, sectors, area, checksum, pages)?;
        store.numbers.as_mut().fill(2);
        for half in Half::BOTH {
            store.write_half(half, 1, 0, &layout, pages)?;
        }
        let page = pages.first_mut().ok_or(nowhere)?;
        page.zero();
        superblock.write(page.payload_mut()).ok_or(nowhere)?;
        for (generation, half) in [
            (1, Half::Tail),
            (2, Half::Tail),
            (1, Half::Head),
            (2, Half::Head),
        ] {
            store.write_places(0, generation, &[half], page)?;
        }
        Ok(store)
    }

    /// Writes all pages from `first` on to their places in a half of `layout`: each in its generation and the one
    /// before. Contents of the first `known` pages are those of the area as it is, and those of others are zeros.
    /// `pages` is memory for an even number of pages.
    pub(super) fn write_half(
        &mut self,
        half: Half,
        mut first: u32,
        known: u32,
        layout: &Layout,
        pages: &mut [Page],
    ) -> Result<(), Unwritable> {
        let at_once = (pages.len() / 2) as u32;
        while first < layout.pages() {
            let nowhere = Unwritable { index: first };
            let count = layout.contiguous(first, at_once);
            if count == 0 {
                return Err(nowhere);
            }
            for number in 0..count {
                let at = 2 * Layout::nth_of(half, number, count) as usize;
                let pair = pages.get_mut(at..).and_then(<[Page]>::first_chunk_mut);
                self.make_pair(first + number, known, pair.ok_or(nowhere)?)?;
            }
            let places = pages.get(..2 * count as usize).ok_or(nowhere)?;
            let start = layout.start_of(half, first, count).ok_or(nowhere)?;
            let written = self.storage.write(start, places);
            written.map_err(|_| nowhere)?;
            for (index, odd) in (first..first + count).flat_map(|at| [(at, false), (at, true)]) {
                self.set_torn(index, Place { half, odd }, false);
            }
            first += count;
        }
        Ok(())
    }

    /// Makes what the two places of page `index` in a half have: its generation, and the one before with the same
    /// payload.
    fn make_pair(
        &mut self,
        index: u32,
        known: u32,
        pair: &mut [Page; 2],
    ) -> Result<(), Unwritable> {
        let [even, odd] = pair;
        if index < known {
            self.read_current(index, even)?;
        } else {
            even.zero();
        }
        odd.payload_mut().copy_from_slice(even.payload());
        let last = self.generation(index);
        let before = last.saturating_sub(1);
        for (page, is_odd) in [(even, false), (odd, true)] {
            let is_last = (last % 2 == 1) == is_odd;
            let generation = if is_last { last } else { before };
            page.seal(&self.identity(index, generation), self.checksum);
        }
        Ok(())
    }
}
