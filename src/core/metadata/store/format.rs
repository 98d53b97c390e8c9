// SPDX-License-Identifier: GPL-2.0

//! Fresh metadata, and none any more.

use zerocopy::FromZeros as _;

use super::area::{
    Storage,
    Store,
    Unwritable, //
};
use crate::metadata::{
    layout::{
        superblocks,
        Half,
        Layout, //
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
    /// Writes fresh metadata: every slot is free. `generations` is memory for as many as there are
    /// pages, `pages` for an even number of them; the more, the fewer requests.
    pub fn format(
        storage: S,
        superblock: &Superblock,
        generations: G,
        checksum: Checksum,
        pages: &mut [Page],
    ) -> Result<Self, Unwritable> {
        let nowhere = Unwritable { index: 0 };
        let layout = superblock.layout().ok_or(nowhere)?;
        let mut store = Self::new(storage, checksum, *superblock, layout, generations);
        if store.generations.as_ref().len() != layout.pages() as usize || pages.len() < 2 {
            return Err(nowhere);
        }
        // From here on, and until the last write below, the area says that it is being formatted.
        let (sectors, area) = (superblock.sectors, superblock.area());
        clear(&mut store.storage, sectors, area, checksum, pages)?;
        for half in Half::BOTH {
            store.format_half(half, pages)?;
        }
        store.generations.as_mut().fill(2);
        let page = pages.first_mut().ok_or(nowhere)?;
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

    /// Writes both generations of all pages of the table to a half.
    fn format_half(&mut self, half: Half, pages: &mut [Page]) -> Result<(), Unwritable> {
        let at_once = (pages.len() / 2) as u32;
        pages.zero();
        let mut first = 1;
        while first < self.layout.pages() {
            let nowhere = Unwritable { index: first };
            let count = at_once.min(self.layout.pages() - first);
            let places = pages.get_mut(..2 * count as usize).ok_or(nowhere)?;
            for (number, page) in (0..).zip(places.iter_mut()) {
                let identity = Identity {
                    area: self.superblock.area(),
                    index: first + Layout::nth_of(half, number / 2, count),
                    generation: if number % 2 == 0 { 2 } else { 1 },
                };
                page.seal(&identity, self.checksum);
            }
            let start = self.layout.start_of(half, first, count);
            let written = self.storage.write(start.ok_or(nowhere)?, places);
            written.map_err(|_| nowhere)?;
            first += count;
        }
        Ok(())
    }
}
