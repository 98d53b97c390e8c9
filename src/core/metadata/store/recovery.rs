// SPDX-License-Identifier: GPL-2.0

//! What is left where metadata cannot be believed: for offline tools, on somebody's explicit wish.

use core::ops::Range;

use zerocopy::FromZeros as _;

use super::{
    area::{
        judge,
        Storage,
        Unwritable, //
    },
    find::{
        find,
        Found, //
    },
    load_error::LoadError, //
};
use crate::metadata::{
    copies::{
        choose,
        All,
        Doubt,
        Seen, //
    },
    layout::{
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

/// What has been done about a page that could not be believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// The page.
    pub index: u32,
    /// The slots that it has entries for.
    pub slots: Range<u32>,
    /// Why it could not be believed: of [`Doubt::Superseded`] what was found is believed now, of
    /// [`Doubt::Nothing`] the slots are free now.
    pub doubt: Doubt,
}

/// Why an area cannot be recovered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// There is nothing to begin with, or a page without any valid copy, and that was not to be
    /// forgotten.
    Load(LoadError),
    /// A page cannot be written.
    Write(Unwritable),
}

impl From<LoadError> for Error {
    fn from(error: LoadError) -> Self {
        Error::Load(error)
    }
}

/// An area while it is looked through.
struct Recovery<'a, S> {
    storage: &'a mut S,
    checksum: Checksum,
    superblock: Superblock,
    layout: Layout,
}

/// Makes every page that cannot be believed one that can: of a page whose next generation may have
/// been lost, the newest valid copy is written as that generation. A page without any valid copy is
/// an error unless `forget` says that its slots are to be free; the superblock always is.
///
/// Pages that can be believed are left alone. The area is to be loaded afterwards, which may still
/// refuse it: an older page may have a block that a newer one has, too. `pages` is memory for two
/// pages; every page that was changed is told to `told`.
pub fn recover<S: Storage>(
    storage: &mut S,
    sectors: u64,
    checksum: Checksum,
    pages: &mut [Page; 2],
    forget: bool,
    mut told: impl FnMut(Recovered),
) -> Result<(), Error> {
    let Found {
        superblock, layout, ..
    } = find(storage, sectors, pages, checksum)?;
    if superblock.sectors != sectors {
        let is = superblock.sectors;
        return Err(LoadError::Length { is }.into());
    }
    let mut recovery = Recovery {
        storage,
        checksum,
        superblock,
        layout,
    };
    // Nothing is written before it is known that nothing is refused.
    for write in [false, true] {
        for index in 0..layout.pages() {
            let Some(doubt) = recovery.look_at(index, pages) else {
                continue;
            };
            if doubt == Doubt::Nothing && (!forget || index == 0) {
                return Err(LoadError::Page { index, doubt }.into());
            }
            if write {
                let [newest, _] = pages;
                recovery.settle(index, doubt, newest)?;
                told(Recovered {
                    index,
                    slots: layout.slots_of(index),
                    doubt,
                });
            }
        }
    }
    Ok(())
}

impl<S: Storage> Recovery<'_, S> {
    /// Why page `index` cannot be believed, if it cannot. Its newest valid copy is then the first
    /// of `pages`.
    fn look_at(&mut self, index: u32, pages: &mut [Page; 2]) -> Option<Doubt> {
        let area = self.superblock.area();
        let mut newest = None;
        let mut all: All = [Seen::Unreadable; 4];
        for (seen, place) in all.iter_mut().zip(Place::ALL) {
            let [kept, page] = pages;
            let sector = self.layout.sector_of(index, place)?;
            if self
                .storage
                .read(sector, core::slice::from_mut(page))
                .is_err()
            {
                continue;
            }
            *seen = judge(page, self.checksum, area, index, place);
            if seen.generation() > newest {
                newest = seen.generation();
                *kept = *page;
            }
        }
        choose(&all).err()
    }

    /// Writes page `index` so that it can be believed.
    fn settle(&mut self, index: u32, doubt: Doubt, page: &mut Page) -> Result<(), Error> {
        let unwritable = Error::Write(Unwritable { index });
        let generations = match doubt {
            Doubt::Superseded { found } => {
                let next = found.checked_add(1).ok_or(unwritable)?;
                next..=next
            }
            Doubt::Nothing => {
                page.zero();
                1..=2
            }
        };
        for generation in generations {
            let identity = Identity {
                area: self.superblock.area(),
                index,
                generation,
            };
            page.seal(&identity, self.checksum);
            for half in Half::BOTH {
                let place = Place::of(half, generation);
                let sector = self.layout.sector_of(index, place).ok_or(unwritable)?;
                let written = self.storage.write(sector, core::slice::from_ref(page));
                written.map_err(|_| unwritable)?;
            }
        }
        Ok(())
    }
}
