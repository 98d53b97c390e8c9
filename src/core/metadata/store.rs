// SPDX-License-Identifier: GPL-2.0

//! Loading and changing the metadata of an area, on whatever holds its pages.

use crate::index::MAX_BLOCKS;

use super::{
    copies::{
        choose,
        All,
        Choice,
        Doubt,
        Seen, //
    },
    entry::{
        Entry,
        LostUnits,
        Shape, //
    },
    layout::{
        Half,
        Layout,
        Place, //
    },
    page::Page,
    superblock::{
        self,
        Superblock, //
    },
    Checksum,
    PAGE_SECTORS, //
};

mod find;
mod format;
mod load_error;
mod pages;
pub mod recovery;
mod remaps;
mod replace;

use find::{
    find,
    Found, //
};
pub use format::erase;
pub use load_error::LoadError;
use remaps::Remaps;
pub use replace::Failed;

/// What holds the pages of an area.
pub trait Storage {
    /// Why a page could not be read or written.
    type Error;

    /// Reads pages from `sector` of the area on.
    fn read(&mut self, sector: u64, pages: &mut [Page]) -> Result<(), Self::Error>;

    /// Writes pages from `sector` of the area on. They are durable when this returns, and so is
    /// whatever else was written to the device before.
    fn write(&mut self, sector: u64, pages: &[Page]) -> Result<(), Self::Error>;
}

/// Who wants to know what an area holds.
pub trait Reader {
    /// Why it does not go on, or why loading does not.
    type Error: From<LoadError>;
    /// Memory for numbers: generations of pages, and what has to be remembered of a few slots.
    type Numbers: AsRef<[u64]> + AsMut<[u64]> + Default;

    /// Looks at the superblock first. Returns the number of blocks of the target, and memory for
    /// the generations of so many pages as the layout has.
    fn begin(
        &mut self,
        superblock: &Superblock,
        layout: &Layout,
    ) -> Result<(u64, Self::Numbers), Self::Error>;

    /// Takes what is in a slot that is not free. Called in the order of the slots.
    fn take(&mut self, slot: u32, entry: &Entry) -> Result<(), Self::Error>;

    /// Of two slots that were taken with the same block `old` has failed, and `entry` in `slot` counts.
    /// Called when everything was taken.
    fn replace(&mut self, old: u32, slot: u32, entry: &Entry) -> Result<(), Self::Error>;

    /// Takes all blocks, each once and with its slot, in the order of the blocks. Called last.
    fn end(&mut self, remaps: impl Iterator<Item = (u64, u32)>) -> Result<(), Self::Error> {
        let _ = remaps;
        Ok(())
    }

    /// Memory for so many numbers.
    fn numbers(count: usize) -> Result<Self::Numbers, Self::Error>;

    /// Adds a number to some, with memory for it.
    fn push(numbers: &mut Self::Numbers, number: u64) -> Result<(), Self::Error>;
}

/// Memory for loading: the places of some pages, of both halves. As many in one as in the other, an
/// even number up to [`MOST_PLACES`]; the more, the fewer requests.
pub struct Scratch<'a> {
    /// Places in the head.
    pub head: &'a mut [Page],
    /// Places in the tail.
    pub tail: &'a mut [Page],
}

/// Most places of a half that are looked at together.
pub const MOST_PLACES: usize = 128;

/// How the metadata of an area is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// Places that were bad.
    pub bad: u32,
    /// Pages whose last write was cut short between its places.
    pub behind: u32,
    /// Pages of which some place could not be put right.
    pub unmended: u32,
    /// Slots that have failed and are not noted as bad yet: a crash came before.
    pub failed: u32,
}

/// An area's metadata, ready to be changed.
pub struct Store<S, G> {
    storage: S,
    checksum: Checksum,
    superblock: Superblock,
    layout: Layout,
    /// The generation of each page.
    generations: G,
    /// Whether the last write of some page has failed in one of its places.
    degraded: bool,
    /// The page of which a commit has left two versions.
    unsettled: Option<u32>,
    /// What was found to have failed, and is not noted as bad so far.
    failed: G,
    /// The slot that a block is leaving since it has failed, and that is not noted as bad so far.
    leaving: Option<u32>,
    /// The page that the memory of the last commit holds as it was written.
    held: Option<u32>,
    /// The generation in which the page was there that has been looked at last.
    seen: u64,
}

/// A page that could not be written to both halves in any generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unwritable {
    /// The page.
    pub index: u32,
}

/// Why entries were not made durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommitError {
    /// The page could not be written, and says what it said before.
    Unchanged(Unwritable),
    /// The page could not be written, and whether it says what it said before will be seen when it
    /// is loaded again: neither may be relied on before [`Store::settle`] has decided it.
    Uncertain(Unwritable),
}

/// What becomes of an entry.
// Made and looked at one at a time.
#[allow(clippy::large_enum_variant)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is another one.
    To(Entry),
    /// It has the block that it has, of which this is lost.
    Lost(LostUnits),
}

impl From<Entry> for Change {
    fn from(entry: Entry) -> Self {
        Change::To(entry)
    }
}

impl Change {
    /// What entry number `number` of a page becomes; `None` where it has no block and should.
    fn of(self, shape: &Shape, page: &Page, number: usize) -> Option<Entry> {
        let lost = match self {
            Change::To(entry) => return Some(entry),
            Change::Lost(lost) => lost,
        };
        match Entry::read(shape, page.payload(), number, MAX_BLOCKS) {
            Ok(Entry::Block { block, turn, .. }) => Some(Entry::Block { block, turn, lost }),
            _ => None,
        }
    }
}

/// Which of two versions of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// The one before the change.
    Old,
    /// The one with the change.
    New,
}

fn judge(page: &mut Page, checksum: Checksum, area: u64, index: u32, place: Place) -> Seen {
    Seen::judge(page.check(checksum), area, index, place)
}

impl<S: Storage, G: AsRef<[u64]> + AsMut<[u64]> + Default> Store<S, G> {
    /// Loads an area of `sectors` sectors for `reader`. Puts copies right that it can unless told not
    /// to write; slots that have failed are noted by [`Store::retire`].
    pub fn load<R: Reader<Numbers = G>>(
        mut storage: S,
        sectors: u64,
        checksum: Checksum,
        scratch: &mut Scratch<'_>,
        mend: bool,
        reader: &mut R,
    ) -> Result<(Self, Findings), R::Error> {
        let Found {
            superblock, layout, ..
        } = find(&mut storage, sectors, scratch.head, checksum)?;
        if superblock.sectors != sectors {
            let is = superblock.sectors;
            return Err(LoadError::Length { is }.into());
        }
        let (blocks, generations) = reader.begin(&superblock, &layout)?;
        if generations.as_ref().len() != layout.pages() as usize {
            return Err(LoadError::Scratch.into());
        }
        let mut store = Self {
            storage,
            checksum,
            superblock,
            layout,
            generations,
            degraded: false,
            unsettled: None,
            failed: G::default(),
            leaving: None,
            held: None,
            seen: 0,
        };
        let mut remaps = Remaps::default();
        let mut findings = store.sweep(scratch, mend, |store, index, page| {
            if index == 0 {
                // A place that could not be read at first may be the newest.
                store.superblock =
                    Superblock::read(page.payload()).map_err(LoadError::Superblock)?;
                if store.superblock.layout() != Some(store.layout) {
                    return Err(LoadError::Superblock(superblock::Error::Figures).into());
                }
            }
            store.take_entries(index, page, blocks, &mut remaps, reader)
        })?;
        let page = scratch.head.first_mut().ok_or(LoadError::Scratch)?;
        store.failed = remaps.end(&mut store, page, reader)?;
        findings.failed = store.failed.as_ref().len() as u32;
        Ok((store, findings))
    }

    /// Looks at every place of every page again, and puts right what it can. An error where a page
    /// cannot be believed any more.
    pub fn check(&mut self, scratch: &mut Scratch<'_>) -> Result<Findings, LoadError> {
        if let Some(index) = self.unsettled {
            let doubt = Doubt::Nothing;
            return Err(LoadError::Page { index, doubt });
        }
        self.degraded = false;
        let checked = self.sweep(scratch, true, |_, _, _| Ok(()));
        self.degraded |= checked.is_err();
        checked
    }

    /// Looks at all pages in their order, and shows each to `show`.
    fn sweep<E: From<LoadError>>(
        &mut self,
        scratch: &mut Scratch<'_>,
        mend: bool,
        mut show: impl FnMut(&mut Self, u32, &Page) -> Result<(), E>,
    ) -> Result<Findings, E> {
        let mut findings = Findings::default();
        let at_once = (scratch.head.len().min(scratch.tail.len()).min(MOST_PLACES) / 2) as u32;
        let mut first = 0;
        while first < self.layout.pages() {
            let count = at_once.min(self.layout.pages() - first);
            if count == 0 {
                return Err(LoadError::Scratch.into());
            }
            let unreadable = [
                self.read_places(Half::Head, first, count, scratch.head),
                self.read_places(Half::Tail, first, count, scratch.tail),
            ];
            for number in 0..count {
                let index = first + number;
                let page = self.look_at(
                    index,
                    (number, count),
                    unreadable,
                    scratch,
                    mend,
                    &mut findings,
                )?;
                show(self, index, page)?;
            }
            first += count;
        }
        Ok(findings)
    }

    /// Reads the places of `count` pages in a half: all at once, or where that fails one by one. A
    /// bit for each that cannot be read.
    fn read_places(&mut self, half: Half, first: u32, count: u32, pages: &mut [Page]) -> u128 {
        let Some(start) = self.layout.start_of(half, first, count) else {
            return u128::MAX;
        };
        let Some(pages) = pages.get_mut(..2 * count as usize) else {
            return u128::MAX;
        };
        if self.storage.read(start, pages).is_ok() {
            return 0;
        }
        let mut unreadable = 0;
        for (number, page) in pages.chunks_mut(1).enumerate() {
            let sector = start + number as u64 * PAGE_SECTORS;
            if self.storage.read(sector, page).is_err() {
                unreadable |= 1 << number;
            }
        }
        unreadable
    }

    /// Decides what page `index` is, number `number` of the `count` in `scratch`, and puts it right.
    fn look_at<'a>(
        &mut self,
        index: u32,
        (number, count): (u32, u32),
        [head, tail]: [u128; 2],
        scratch: &'a mut Scratch<'_>,
        mend: bool,
        findings: &mut Findings,
    ) -> Result<&'a Page, LoadError> {
        let (area, checksum) = (self.superblock.area(), self.checksum);
        let at = |place: Place| {
            2 * Layout::nth_of(place.half, number, count) as usize + usize::from(place.odd)
        };
        let mut seen: All = [Seen::Unreadable; 4];
        for (slot, place) in seen.iter_mut().zip(Place::ALL) {
            let at = at(place);
            let (pages, unreadable) = match place.half {
                Half::Head => (&mut *scratch.head, head),
                Half::Tail => (&mut *scratch.tail, tail),
            };
            let page = pages.get_mut(at).ok_or(LoadError::Scratch)?;
            if unreadable >> at & 1 == 0 {
                *slot = judge(page, checksum, area, index, place);
            }
        }
        let choice = choose(&seen).map_err(|doubt| LoadError::Page { index, doubt })?;
        let page = match choice.from.half {
            Half::Head => scratch.head.get_mut(at(choice.from)),
            Half::Tail => scratch.tail.get_mut(at(choice.from)),
        };
        let page = page.ok_or(LoadError::Scratch)?;
        self.set_generation(index, choice.generation);
        self.seen = choice.generation;
        if !choice.is_whole() {
            match seen
                .iter()
                .filter(|seen| seen.generation().is_none())
                .count()
            {
                0 => findings.behind = findings.behind.saturating_add(1),
                bad => findings.bad = findings.bad.saturating_add(bad as u32),
            }
            if !mend || self.put_right(index, &choice, page).is_err() {
                findings.unmended = findings.unmended.saturating_add(1);
                self.degraded = true;
            }
        }
        Ok(page)
    }

    /// Completes what a crash has cut short, and replaces what is bad.
    fn put_right(
        &mut self,
        index: u32,
        choice: &Choice,
        page: &mut Page,
    ) -> Result<(), Unwritable> {
        if let Some(half) = choice.missing {
            if self
                .write_places(index, choice.generation, &[half], page)
                .is_err()
            {
                // The other generation has two good places still to come.
                return self.write_next(index, page);
            }
        }
        if choice.thin {
            return self.write_next(index, page);
        }
        Ok(())
    }

    fn take_entries<R: Reader<Numbers = G>>(
        &self,
        index: u32,
        page: &Page,
        blocks: u64,
        remaps: &mut Remaps<G>,
        reader: &mut R,
    ) -> Result<(), R::Error> {
        let ahead = self.generation(index).saturating_sub(self.seen);
        remaps.note_ahead::<R>(index, ahead)?;
        for (number, slot) in self.layout.slots_of(index).enumerate() {
            match Entry::read(self.layout.shape(), page.payload(), number, blocks) {
                Ok(Entry::Free) => {}
                Ok(entry) => remaps.take(slot, &entry, reader)?,
                Err(error) => return Err(LoadError::Entry { index, slot, error }.into()),
            }
        }
        Ok(())
    }

    /// Makes entries durable: those of neighbouring slots that come in order with one write of their
    /// page. What was written before an error stays. Nothing is written while a slot that has failed is
    /// not noted as bad ([`Store::retire`]). `pages` is memory for two pages, which belong to
    /// the store from an uncertain end to [`Store::settle`]; nothing else is written meanwhile. Where it
    /// is the same as for the commit before, and the page as well, that is not read again.
    pub fn commit(
        &mut self,
        changes: impl IntoIterator<Item = (u32, impl Into<Change>)>,
        pages: &mut [Page; 2],
    ) -> Result<(), CommitError> {
        let unretired = self.unretired().map(|slot| self.layout.entry_of(slot).0);
        if let Some(index) = self.unsettled.or(unretired) {
            return Err(CommitError::Unchanged(Unwritable { index }));
        }
        let mut open = None;
        for (slot, change) in changes {
            let (index, number) = self.layout.entry_of(slot);
            let unchanged = CommitError::Unchanged(Unwritable { index });
            if slot >= self.layout.slots() {
                return Err(unchanged);
            }
            if open != Some(index) {
                self.close(open, pages)?;
                let [new, old] = pages;
                let known = self.recall(index, new);
                known.map_err(CommitError::Unchanged)?;
                old.payload_mut().copy_from_slice(new.payload());
                open = Some(index);
            }
            let shape = *self.layout.shape();
            let [new, _] = pages;
            let entry = change.into().of(&shape, new, number).ok_or(unchanged)?;
            let written = entry.write(&shape, new.payload_mut(), number);
            written.ok_or(unchanged)?;
        }
        self.close(open, pages)
    }

    /// Writes the page that was changed; where that fails, what it was before once more, so that what
    /// was written of the change does not count.
    fn close(&mut self, open: Option<u32>, [new, old]: &mut [Page; 2]) -> Result<(), CommitError> {
        let Some(index) = open else {
            return Ok(());
        };
        match self.write_next(index, new) {
            Ok(()) => {
                self.held = Some(index);
                Ok(())
            }
            Err(why) => match self.write_next(index, old) {
                Ok(()) => Err(CommitError::Unchanged(why)),
                Err(why) => {
                    self.unsettled = Some(index);
                    Err(CommitError::Uncertain(why))
                }
            },
        }
    }

    /// Tries again to write the page that a commit has left uncertain, in the version that counts
    /// from now on. Nothing happens where there is none.
    pub fn settle(
        &mut self,
        version: Version,
        [new, old]: &mut [Page; 2],
    ) -> Result<(), Unwritable> {
        let Some(index) = self.unsettled else {
            return Ok(());
        };
        let page = match version {
            Version::Old => old,
            Version::New => new,
        };
        self.write_next(index, page)?;
        self.unsettled = None;
        self.decided(index, version);
        Ok(())
    }

    /// Notes that the target has so many sectors. `page` is memory for one page.
    pub fn set_length(&mut self, length: u64, page: &mut Page) -> Result<(), Unwritable> {
        let superblock = Superblock {
            length,
            ..self.superblock
        };
        superblock
            .write(page.payload_mut())
            .ok_or(Unwritable { index: 0 })?;
        self.write_next(0, page)?;
        self.superblock = superblock;
        Ok(())
    }

    /// What the area is.
    pub const fn superblock(&self) -> &Superblock {
        &self.superblock
    }

    /// How the area is divided.
    pub const fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Whether some place of a page was bad and could not be put right.
    pub const fn is_degraded(&self) -> bool {
        self.degraded
    }
}

#[cfg(test)]
mod tests;
