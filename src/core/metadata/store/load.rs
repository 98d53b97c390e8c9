// SPDX-License-Identifier: GPL-2.0

//! Loading the metadata of an area, and looking at all of it again.

use crate::metadata::{
    copies::{
        choose,
        All,
        Choice,
        Doubt,
        Seen, //
    },
    entry::Entry,
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

use super::{
    area::{
        judge,
        Findings,
        LoadOptions,
        Reader,
        Scratch,
        Storage,
        Store,
        Unwritable,
        MAX_PLACES, //
    },
    find::{
        find,
        Found, //
    },
    load_error::LoadError,
    pages::{
        numbers_of,
        MAX_GENERATION, //
    },
    remaps::Remaps, //
};

/// Returns the newest superblock of an area of `sectors` sectors, or of a shorter one that may grow.
fn find_length<S: Storage>(
    storage: &mut S,
    sectors: u64,
    pages: &mut [Page],
    checksum: Checksum,
    options: LoadOptions,
) -> Result<Found, LoadError> {
    let mut found = find(storage, sectors, pages, checksum)?;
    let is = found.superblock.sectors;
    if is < sectors && options.grow {
        // The places in its own tail.
        found = find(storage, is, pages, checksum)?;
        if found.superblock.sectors == is {
            return Ok(found);
        }
    }
    match found.superblock.sectors {
        is if is == sectors => Ok(found),
        is if is > sectors && options.grow => Err(LoadError::Longer { is }),
        is => Err(LoadError::Length { is }),
    }
}

/// Returns the layout of an area when it has grown to `sectors` sectors.
fn grown(layout: &Layout, sectors: u64) -> Result<Layout, LoadError> {
    let (is, least) = (layout.sectors(), layout.room_to_grow(sectors));
    match (least, layout.grown(sectors)) {
        (Some(least), Some(grown)) if least == sectors => Ok(grown),
        (Some(least), _) => Err(LoadError::LittleGrowth { is, least }),
        (None, _) => Err(LoadError::Length { is }),
    }
}

/// More generations of a page than one table writes in vain. Even, so that places keep their parity.
const MAX_IN_VAIN: u64 = 1 << 32;

impl<S: Storage, G: AsRef<[u64]> + AsMut<[u64]> + Default> Store<S, G> {
    /// Loads an area of `sectors` sectors for `reader`. Slots that have failed are recorded by [`Store::retire`], and a
    /// shorter area becomes that long by [`Store::grow`].
    pub fn load<R: Reader<Numbers = G>>(
        mut storage: S,
        sectors: u64,
        checksum: Checksum,
        scratch: &mut Scratch<'_>,
        options: LoadOptions,
        reader: &mut R,
    ) -> Result<(Self, Findings), R::Error> {
        let mend = options.mend;
        let Found {
            superblock,
            layout,
            shorter,
            ..
        } = find_length(&mut storage, sectors, scratch.head, checksum, options)?;
        let grows_to = (mend && superblock.sectors != sectors).then_some(sectors);
        let next = match grows_to {
            Some(sectors) => grown(&layout, sectors)?,
            None => layout,
        };
        let (blocks, numbers) = reader.begin(&superblock, &next)?;
        if numbers.as_ref().len() != numbers_of(&next) {
            return Err(LoadError::Scratch.into());
        }
        let mut store = Self::new(storage, checksum, superblock, layout, numbers);
        store.grows_to = grows_to;
        let shorter = shorter.filter(|_| mend);
        if let Some(shorter) = shorter {
            // Before its superblock is in both halves.
            let forgotten = store.forget_tail(shorter, scratch.head);
            forgotten.map_err(|_| LoadError::Unwritable)?;
        }
        let mut remaps = Remaps::default();
        let mut findings = store.sweep(scratch, mend, |store, index, page| {
            if index == 0 {
                // A place that could not be read at first may be the newest.
                store.superblock =
                    Superblock::read(page.payload()).map_err(LoadError::Superblock)?;
                // An area that was upgraded meanwhile has its pages and slots in the same places.
                let layout = store.superblock.layout();
                let layout = layout.filter(|layout| layout.has_places_of(&store.layout));
                store.layout = layout.ok_or(LoadError::Superblock(superblock::Error::Figures))?;
            }
            store.take_entries(index, page, blocks, &mut remaps, reader)
        })?;
        if let (true, Some((index, found))) = (mend, findings.doubtful) {
            let doubt = Doubt::Superseded { found };
            return Err(LoadError::Page { index, doubt }.into());
        }
        if grows_to.is_some() && findings.unmended > 0 {
            // Pages that are not in both halves are not copied.
            return Err(LoadError::Unwritable.into());
        }
        if shorter.is_some() {
            let ended = store.end_growth(scratch.head);
            ended.map_err(|_| LoadError::Unwritable)?;
        }
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
        let at_once = (scratch.head.len().min(scratch.tail.len()).min(MAX_PLACES) / 2) as u32;
        let mut first = 0;
        while first < self.layout.pages() {
            let count = self.layout.contiguous(first, at_once);
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
        if choice.generation > MAX_GENERATION {
            // No area was ever written so often.
            let doubt = Doubt::Nothing;
            return Err(LoadError::Page { index, doubt });
        }
        let page = match choice.from.half {
            Half::Head => scratch.head.get_mut(at(choice.from)),
            Half::Tail => scratch.tail.get_mut(at(choice.from)),
        };
        let page = page.ok_or(LoadError::Scratch)?;
        let tried = self.tried(index);
        self.set_generation(index, choice.generation);
        self.set_tried(index, tried.max(choice.generation));
        if !choice.is_whole() {
            match seen
                .iter()
                .filter(|seen| seen.generation().is_none())
                .count()
            {
                0 => findings.behind = findings.behind.saturating_add(1),
                bad => findings.bad = findings.bad.saturating_add(bad as u32),
            }
            for (place, seen) in Place::ALL.into_iter().zip(&seen) {
                self.set_torn(index, place, seen.generation().is_none());
            }
            // What this table itself has tried is known: what is hidden is not newer than that.
            let newer = tried == 0 && choice.hides_newer;
            if !mend || self.put_right(index, &choice, newer, page).is_err() {
                findings.unmended = findings.unmended.saturating_add(1);
                self.degraded = true;
                if choice.hides_newer && findings.doubtful.is_none() {
                    findings.doubtful = Some((index, choice.generation));
                }
            }
        }
        Ok(page)
    }

    /// Completes what a crash has cut short, and replaces what is bad: in a generation that is `newer` than what a place
    /// that cannot be read may have, or in the next one.
    fn put_right(
        &mut self,
        index: u32,
        choice: &Choice,
        newer: bool,
        page: &mut Page,
    ) -> Result<(), Unwritable> {
        let completed = match choice.missing {
            Some(half) => self.write_places(index, choice.generation, &[half], page),
            None => Ok(()),
        };
        // Where that fails the other generation has two good places still to come.
        if completed.is_ok() && !choice.thin {
            return Ok(());
        }
        if newer {
            let newer = choice.generation.saturating_add(MAX_IN_VAIN);
            self.set_tried(index, newer.min(MAX_GENERATION));
        }
        self.write_next(index, page)
    }

    fn take_entries<R: Reader<Numbers = G>>(
        &self,
        index: u32,
        page: &Page,
        blocks: u64,
        remaps: &mut Remaps<G>,
        reader: &mut R,
    ) -> Result<(), R::Error> {
        let (shape, payload) = (self.layout.shape(), page.payload());
        let mut entry = Entry::Free;
        for (number, slot) in self.layout.slots_of(index).enumerate() {
            let read = entry.read_again(shape, payload, number, blocks);
            read.map_err(|error| LoadError::Entry { index, slot, error })?;
            if !matches!(entry, Entry::Free) {
                remaps.take(slot, &entry, reader)?;
            }
        }
        Ok(())
    }
}
