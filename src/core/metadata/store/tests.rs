// SPDX-License-Identifier: GPL-2.0

use super::*;
use crate::metadata::{
    copies::Doubt,
    entry::{
        Entry,
        UnitStates,
        Units, //
    },
    layout::{
        Half,
        Layout,
        Place, //
    },
    page::{
        tests::crc32c,
        Identity,
        Page, //
    },
    superblock::{
        Format,
        Main,
        Superblock, //
    },
    turn::Turn,
    PAGE_BYTES,
    PAGE_SECTORS, //
};
use crate::table::geometry::BlockSize;
use proptest::prelude::*;
use std::{
    cell::RefCell,
    collections::{
        BTreeMap,
        BTreeSet, //
    },
    rc::Rc,
    string::ToString,
    vec,
    vec::Vec,
};
use zerocopy::FromZeros;

/// A small area: 24 slots, and so many entries in a page that there are two pages of them, with one bitmap of units of
/// a sector or two bitmaps of units of two sectors.
const SECTORS: u64 = 24 * 2048 + 2 * 3 * 16 + 2048;

/// A disk that does what disks do to those who do not expect it.
#[derive(Default)]
struct Inner {
    pages: BTreeMap<u64, Page>,
    unreadable: BTreeSet<u64>,
    /// Sectors of pages that cannot be read the next time.
    unreadable_once: BTreeSet<u64>,
    unwritable: BTreeSet<u64>,
    /// Sectors of pages whose writes fail, though they are done.
    late: BTreeSet<u64>,
    /// Sectors of pages whose writes fail, and leave a page that is none.
    worn: BTreeSet<u64>,
    writes: u64,
    /// Writes that fail, and write nothing.
    failing: BTreeSet<u64>,
    /// Writes that fail, and leave a page that is none.
    tearing: BTreeSet<u64>,
    /// The power goes at this write, which is torn or not begun.
    cut: Option<(u64, bool)>,
}

#[derive(Clone, Default)]
struct Disk(Rc<RefCell<Inner>>);

impl Storage for Disk {
    type Error = ();

    fn read(&mut self, sector: u64, pages: &mut [Page]) -> Result<(), ()> {
        assert_eq!(sector % PAGE_SECTORS, 0);
        let mut inner = self.0.borrow_mut();
        for (number, page) in pages.iter_mut().enumerate() {
            let sector = sector + number as u64 * PAGE_SECTORS;
            if inner.unreadable.contains(&sector) || inner.unreadable_once.remove(&sector) {
                return Err(());
            }
            match inner.pages.get(&sector) {
                Some(known) => *page = *known,
                None => page.zero(),
            }
        }
        Ok(())
    }

    fn write(&mut self, sector: u64, pages: &[Page]) -> Result<(), ()> {
        for (number, page) in pages.iter().enumerate() {
            self.write_page(sector + number as u64 * PAGE_SECTORS, page)?;
        }
        Ok(())
    }
}

impl Disk {
    fn write_page(&self, sector: u64, page: &Page) -> Result<(), ()> {
        let mut inner = self.0.borrow_mut();
        inner.writes += 1;
        if let Some((at, torn)) = inner.cut {
            if inner.writes == at && torn {
                // The first sector is new, the others are old.
                let old = inner.pages.get(&sector).copied();
                let mut bytes: [u8; PAGE_BYTES] =
                    zerocopy::transmute!(old.unwrap_or(Page::new_zeroed()));
                let new: [u8; PAGE_BYTES] = zerocopy::transmute!(*page);
                bytes[..512].copy_from_slice(&new[..512]);
                inner.pages.insert(sector, zerocopy::transmute!(bytes));
            }
            if inner.writes >= at {
                return Err(());
            }
        }
        let number = inner.writes;
        if inner.tearing.contains(&number) || inner.worn.contains(&sector) {
            let mut torn = *page;
            torn.payload_mut()[0] ^= 1;
            inner.pages.insert(sector, torn);
            return Err(());
        }
        if inner.unwritable.contains(&sector) || inner.failing.contains(&number) {
            return Err(());
        }
        inner.pages.insert(sector, *page);
        inner.unreadable.remove(&sector);
        if inner.late.contains(&sector) {
            return Err(());
        }
        Ok(())
    }
}

impl Disk {
    /// The same contents on a disk that works.
    fn after_power_cut(&self) -> Self {
        let pages = self.0.borrow().pages.clone();
        Disk(Rc::new(RefCell::new(Inner {
            pages,
            ..Inner::default()
        })))
    }

    fn cut_after(&self, writes: u64, torn: bool) {
        let mut inner = self.0.borrow_mut();
        inner.cut = Some((inner.writes + writes + 1, torn));
    }

    /// Lets the next writes fail, torn or not begun, or `None` of it.
    fn fail_writes(&self, torn: impl IntoIterator<Item = Option<bool>>) {
        let mut inner = self.0.borrow_mut();
        let next = inner.writes + 1;
        for (number, torn) in (next..).zip(torn) {
            match torn {
                Some(true) => inner.tearing.insert(number),
                Some(false) => inner.failing.insert(number),
                None => continue,
            };
        }
    }

    fn spoil(&self, sector: u64, how: Spoil) {
        let mut inner = self.0.borrow_mut();
        match how {
            Spoil::Unreadable => {
                inner.unreadable.insert(sector);
            }
            Spoil::Zeros => {
                inner.pages.remove(&sector);
            }
            Spoil::Bytes(byte) => {
                let page: Page = zerocopy::transmute!([byte; PAGE_BYTES]);
                inner.pages.insert(sector, page);
            }
            Spoil::Bit(at) => {
                let page = inner.pages.get(&sector).copied();
                let mut bytes: [u8; PAGE_BYTES] =
                    zerocopy::transmute!(page.unwrap_or(Page::new_zeroed()));
                bytes[at / 8] ^= 1 << (at % 8);
                inner.pages.insert(sector, zerocopy::transmute!(bytes));
            }
        }
    }
}

#[derive(Clone, Copy, Debug)]
enum Spoil {
    Unreadable,
    Zeros,
    Bytes(u8),
    Bit(usize),
}

fn spoil() -> impl Strategy<Value = Spoil> {
    prop_oneof![
        Just(Spoil::Unreadable),
        Just(Spoil::Zeros),
        any::<u8>().prop_map(Spoil::Bytes),
        (0..PAGE_BYTES * 8).prop_map(Spoil::Bit),
    ]
}

/// Loading that repairs copies of an area of the right length.
const MEND: LoadOptions = LoadOptions {
    mend: true,
    grow: false,
};

type Table = BTreeMap<u32, Entry>;
type TestStore = Store<Disk, Vec<u64>>;

fn superblock(block: u64, uuid: u8) -> Superblock {
    Superblock {
        format: Format::NEW,
        uuid: [uuid; 16],
        main: Main {
            identity: [0; 16],
            sectors: 1 << 20,
            start: 0,
        },
        length: 1 << 20,
        block: BlockSize::from_sectors(block).unwrap(),
        lost_unit: 2,
        sectors: SECTORS,
        head_pages: None,
    }
}

/// The superblock of an area of that format, which has as many pages.
fn superblock_of(format: Format) -> Superblock {
    Superblock {
        format,
        lost_unit: if format == Format::NEW { 2 } else { 1 },
        ..superblock(2048, 1)
    }
}

fn formats() -> impl Strategy<Value = Format> {
    prop::sample::select(vec![Format::FIRST, Format::UPGRADED, Format::NEW])
}

fn format(disk: &Disk, superblock: &Superblock) -> Result<TestStore, Unwritable> {
    let mut scratch = vec![Page::new_zeroed(); 4];
    let numbers = vec![0; numbers_of(&superblock.layout().unwrap())];
    Store::format(disk.clone(), superblock, numbers, crc32c, &mut scratch)
}

/// Takes everything.
#[derive(Default)]
struct Everything(Table);

impl Reader for Everything {
    type Error = LoadError;
    type Numbers = Vec<u64>;

    fn begin(&mut self, it: &Superblock, layout: &Layout) -> Result<(u64, Vec<u64>), LoadError> {
        let blocks = it.length >> it.block.shift();
        Ok((blocks, vec![0; numbers_of(layout)]))
    }

    fn take(&mut self, slot: u32, entry: &Entry) -> Result<(), LoadError> {
        assert_eq!(self.0.insert(slot, *entry), None);
        Ok(())
    }

    fn replace(&mut self, old: u32, slot: u32, entry: &Entry) -> Result<(), LoadError> {
        let before = self.0.insert(old, Entry::Bad);
        assert_eq!(before.as_ref().and_then(block_of), block_of(entry));
        assert_eq!(self.0.get(&slot), Some(entry));
        Ok(())
    }

    fn end(&mut self, remaps: impl Iterator<Item = (u64, u32)>) -> Result<(), LoadError> {
        let taken = self.0.iter();
        let mut taken: Vec<_> = taken
            .filter_map(|(slot, entry)| Some((block_of(entry)?, *slot)))
            .collect();
        taken.sort_unstable();
        assert_eq!(remaps.collect::<Vec<_>>(), taken);
        Ok(())
    }

    fn numbers(count: usize) -> Result<Vec<u64>, LoadError> {
        Ok(vec![0; count])
    }

    fn push(numbers: &mut Vec<u64>, number: u64) -> Result<(), LoadError> {
        numbers.push(number);
        Ok(())
    }
}

fn block_of(entry: &Entry) -> Option<u64> {
    match entry {
        Entry::Block { block, .. } => Some(*block),
        Entry::Free | Entry::Bad => None,
    }
}

/// The slot of a block in a table.
fn slot_of(table: &Table, block: u64) -> Option<u32> {
    let mut slots = table.iter();
    let found = slots.find(|(_, entry)| block_of(entry) == Some(block));
    found.map(|(slot, _)| *slot)
}

/// Memory for so many pages of each half.
fn with_scratch<R>(pages: usize, with: impl FnOnce(&mut Scratch<'_>) -> R) -> R {
    let mut head = vec![Page::new_zeroed(); 2 * pages];
    let mut tail = head.clone();
    with(&mut Scratch {
        head: &mut head,
        tail: &mut tail,
    })
}

fn load(disk: &Disk) -> Result<(TestStore, Findings, Table), LoadError> {
    let mut reader = Everything::default();
    let (store, findings) = with_scratch(2, |scratch| {
        Store::load(disk.clone(), SECTORS, crc32c, scratch, MEND, &mut reader)
    })?;
    Ok((store, findings, reader.0))
}

fn block(block: u64) -> Entry {
    turned(block, 0)
}

/// A block and the number of its turn.
fn turned(block: u64, turn: u8) -> Entry {
    Entry::Block {
        block,
        turn: Turn::new(turn).unwrap(),
        states: UnitStates::WHOLE,
    }
}

/// A block with these units unread and lost.
fn missing(block: u64, unread: &[u32], lost: &[u32], untried: bool) -> Entry {
    let [unread, lost] = [unread, lost].map(|units| {
        let mut set = Units::NONE;
        units.iter().for_each(|unit| set.insert(*unit));
        set
    });
    Entry::Block {
        block,
        turn: Turn::FIRST,
        states: UnitStates::new(unread, lost, untried),
    }
}

fn commit(store: &mut TestStore, changes: &[(u32, Entry)]) -> Result<(), CommitError> {
    let mut pages = [Page::new_zeroed(); 2];
    store.commit(changes.iter().copied(), &mut pages)
}

fn apply(table: &mut Table, changes: &[(u32, Entry)]) {
    for (slot, entry) in changes {
        match entry {
            Entry::Free => table.remove(slot),
            entry => table.insert(*slot, *entry),
        };
    }
}

#[test]
fn the_area_of_these_tests_has_pages_enough() {
    for format in [Format::FIRST, Format::UPGRADED, Format::NEW] {
        let layout = superblock_of(format).layout().unwrap();
        assert_eq!((layout.slots(), layout.pages()), (24, 3));
    }
}

#[test]
fn what_is_committed_is_loaded() {
    let disk = Disk::default();
    let mut store = format(&disk, &superblock(2048, 1)).unwrap();
    let (_, findings, table) = load(&disk).unwrap();
    assert_eq!((findings, table), (Findings::default(), Table::new()));
    let changes = [(0, block(7)), (1, Entry::Bad), (23, block(0))];
    commit(&mut store, &changes).unwrap();
    commit(&mut store, &[(0, Entry::Free), (2, block(9))]).unwrap();
    let (store, findings, table) = load(&disk).unwrap();
    let wanted = Table::from([(1, Entry::Bad), (2, block(9)), (23, block(0))]);
    assert_eq!((findings, table), (Findings::default(), wanted));
    assert_eq!(store.superblock(), &superblock(2048, 1));
    assert!(!store.is_degraded());
}

#[test]
fn entries_of_a_page_cost_two_writes_together() {
    let disk = Disk::default();
    let mut store = format(&disk, &superblock(2048, 1)).unwrap();
    let before = disk.0.borrow().writes;
    let changes: Vec<_> = (0..15).map(|slot| (slot, block(u64::from(slot)))).collect();
    commit(&mut store, &changes).unwrap();
    assert_eq!(disk.0.borrow().writes - before, 2);
}

#[test]
fn a_page_that_is_changed_again_is_not_read_again() {
    let disk = Disk::default();
    let mut store = format(&disk, &superblock(2048, 1)).unwrap();
    let mut pages = [Page::new_zeroed(); 2];
    let mut change = |store: &mut TestStore, slot: u32, at: u64| {
        store.commit([(slot, block(at))], &mut pages).unwrap();
    };
    change(&mut store, 0, 7);
    let layout = *store.layout();
    let unread = || {
        let places = Place::ALL.into_iter();
        places.for_each(|place| disk.spoil(layout.sector_of(1, place).unwrap(), Spoil::Unreadable));
    };
    unread();
    change(&mut store, 1, 8);
    disk.0.borrow_mut().unreadable.clear();
    // Once the memory holds another page, or is another, it is.
    change(&mut store, 20, 9);
    unread();
    let refused = store.commit([(2, block(1))], &mut pages);
    assert_eq!(
        refused,
        Err(CommitError::Unchanged(Unwritable { index: 1 }))
    );
    disk.0.borrow_mut().unreadable.clear();
    store.commit([(2, block(1))], &mut pages).unwrap();
    commit(&mut store, &[(3, block(2))]).unwrap();
    store.commit([(4, block(3))], &mut pages).unwrap();
    let wanted = [(0, 7), (1, 8), (2, 1), (3, 2), (4, 3), (20, 9)];
    let wanted = wanted.map(|(slot, at)| (slot, block(at)));
    assert_eq!(load(&disk).unwrap().2, Table::from(wanted));
}

#[test]
fn a_page_that_was_prepared_is_not_read_for_the_commit() {
    let disk = Disk::default();
    let mut store = format(&disk, &superblock(2048, 1)).unwrap();
    let mut pages = [Page::new_zeroed(); 2];
    store.prepare(20, &mut pages);
    // No slot of the area.
    store.prepare(1 << 20, &mut pages);
    let layout = *store.layout();
    let places = Place::ALL.map(|place| layout.sector_of(2, place).unwrap());
    disk.0.borrow_mut().unreadable.extend(places);
    store.commit([(20, block(7))], &mut pages).unwrap();
    let wanted = Table::from([(20, block(7))]);
    assert_eq!(load(&disk.after_power_cut()).unwrap().2, wanted);
}

#[test]
fn what_a_refused_change_leaves_in_memory_is_not_written() {
    let disk = Disk::default();
    let mut store = format(&disk, &superblock(2048, 1)).unwrap();
    let mut pages = [Page::new_zeroed(); 2];
    store.commit([(0, block(7))], &mut pages).unwrap();
    // The second of them does not go, in a page that is open already.
    let whole = Change::States(UnitStates::WHOLE);
    let refused = store.commit([(1, Change::To(block(8))), (2, whole)], &mut pages);
    assert!(matches!(refused, Err(CommitError::Unchanged(_))));
    store.commit([(3, block(9))], &mut pages).unwrap();
    let wanted = Table::from([(0, block(7)), (3, block(9))]);
    assert_eq!(load(&disk).unwrap().2, wanted);
    // The same where it could not be written.
    let next = disk.0.borrow().writes;
    disk.0.borrow_mut().failing.extend([next + 2, next + 4]);
    let refused = store.commit([(4, block(5))], &mut pages);
    assert!(matches!(refused, Err(CommitError::Unchanged(_))));
    store.commit([(5, block(6))], &mut pages).unwrap();
    let wanted = Table::from([(0, block(7)), (3, block(9)), (5, block(6))]);
    assert_eq!(load(&disk).unwrap().2, wanted);
}

#[test]
fn what_was_read_and_not_believed_is_not_written() {
    let disk = Disk::default();
    let mut store = format(&disk, &superblock(2048, 1)).unwrap();
    let mut pages = [Page::new_zeroed(); 2];
    store.commit([(0, block(7))], &mut pages).unwrap();
    let layout = *store.layout();
    let flip = || {
        let places = Place::ALL.into_iter();
        let last = PAGE_BYTES * 8 - 1;
        places.for_each(|place| disk.spoil(layout.sector_of(1, place).unwrap(), Spoil::Bit(last)));
    };
    // All copies have the page's own header, and the memory has one of them then.
    flip();
    let unread = Unwritable { index: 1 };
    assert_eq!(store.entry(0, &mut pages), Err(unread));
    let refused = store.commit([(1, block(8))], &mut pages);
    assert_eq!(refused, Err(CommitError::Unchanged(unread)));
    flip();
    store.commit([(1, block(8))], &mut pages).unwrap();
    let wanted = Table::from([(0, block(7)), (1, block(8))]);
    assert_eq!(load(&disk).unwrap().2, wanted);
}

#[test]
fn what_is_no_area_says_so() {
    let disk = Disk::default();
    assert_eq!(load(&disk).err(), Some(LoadError::Blank));
    disk.spoil(0, Spoil::Bytes(5));
    assert_eq!(load(&disk).err(), Some(LoadError::Foreign));
}

#[test]
fn a_superblock_is_one_in_its_own_places_only() {
    let disk = Disk::default();
    let mut store = format(&disk, &superblock(2048, 1)).unwrap();
    commit(&mut store, &[(3, block(3))]).unwrap();
    let layout = *store.layout();
    let written = |index| {
        let inner = disk.0.borrow();
        let places = Place::ALL.map(|place| layout.sector_of(index, place).unwrap());
        let pages = places.map(|sector| inner.pages.get(&sector).copied());
        pages.into_iter().flatten().next().unwrap()
    };
    for page in [written(0), written(1)] {
        for odd in [false, true] {
            let moved = Disk::default();
            for half in [Half::Head, Half::Tail] {
                let sector = layout.sector_of(0, Place { half, odd }).unwrap();
                moved.write_page(sector, &page).unwrap();
            }
            let header = { page }.check(crc32c).unwrap();
            let is_in_place = header.index == 0 && (header.generation % 2 == 1) == odd;
            let found = load(&moved).err() != Some(LoadError::Foreign);
            let blank = odd && load(&moved).err() == Some(LoadError::NotBlank { sector: 8 });
            assert_eq!(
                found && !blank,
                is_in_place,
                "page {} odd {odd}",
                header.index
            );
        }
    }
}

#[test]
fn a_superblock_at_the_end_of_another_area_is_none_of_this_one() {
    let disk = Disk::default();
    let mut store = format(&disk, &superblock(2048, 1)).unwrap();
    commit(&mut store, &[(3, block(3))]).unwrap();
    // An area that ended here, and was longer or shorter.
    let other = Superblock {
        sectors: SECTORS + 2048,
        ..superblock(2048, 2)
    };
    let place = Place::of(Half::Tail, 2);
    let identity = Identity {
        area: other.area(),
        index: 0,
        generation: 2,
    };
    let mut page = Page::new_zeroed();
    other.write(page.payload_mut()).unwrap();
    page.seal(&identity, crc32c);
    let sector = store.layout().sector_of(0, place).unwrap();
    disk.write_page(sector, &page).unwrap();
    let (_, findings, table) = load(&disk).unwrap();
    assert_eq!((findings.bad, table), (1, Table::from([(3, block(3))])));
}

#[test]
fn what_cannot_be_read_is_not_taken_for_blank() {
    let disk = Disk::default();
    let layout = superblock(2048, 1).layout().unwrap();
    for place in Place::ALL {
        let sector = layout.sector_of(0, place).unwrap();
        disk.spoil(sector, Spoil::Unreadable);
        assert_eq!(load(&disk).err(), Some(LoadError::Unreadable));
        disk.0.borrow_mut().unreadable.clear();
    }
    // What belongs to no page of the metadata, either.
    for (sector, wanted) in [
        (1024, LoadError::Unreadable),
        (SECTORS - 1024, LoadError::Unreadable),
        (SECTORS / 2, LoadError::Blank),
    ] {
        disk.spoil(sector, Spoil::Unreadable);
        assert_eq!(load(&disk).err(), Some(wanted));
        disk.0.borrow_mut().unreadable.clear();
    }
}

#[test]
fn an_area_of_another_length_is_refused_by_name() {
    let disk = Disk::default();
    format(&disk, &superblock(2048, 1)).unwrap();
    let mut reader = Everything::default();
    let load = |scratch: &mut Scratch<'_>| {
        let sectors = SECTORS + 2048;
        Store::load(disk.clone(), sectors, crc32c, scratch, MEND, &mut reader).err()
    };
    let refused = with_scratch(1, load).unwrap();
    assert_eq!(refused, LoadError::Length { is: SECTORS });
    assert!(
        refused.to_string().contains("spare area of 51296 sectors"),
        "{refused}"
    );
}

#[test]
fn an_erased_area_is_none_any_more() {
    let disk = Disk::default();
    let mut store = format(&disk, &superblock(2048, 1)).unwrap();
    commit(&mut store, &[(3, block(3))]).unwrap();
    let mut page = [Page::new_zeroed()];
    erase(&mut disk.clone(), SECTORS, crc32c, &mut page).unwrap();
    // The table of slots is still there.
    let sector = store.layout().sector_of(1, Place::ALL[0]).unwrap();
    assert_eq!(load(&disk).err(), Some(LoadError::NotBlank { sector }));
    let inner = disk.0.borrow();
    let first = inner.pages.get(&0).copied().unwrap();
    assert_eq!(Page::bytes(&[first]), [0; PAGE_BYTES]);
}

#[test]
fn erasing_may_be_cut_short() {
    for torn in [false, true] {
        for cut in 0.. {
            let disk = Disk::default();
            format(&disk, &superblock(2048, 1)).unwrap();
            disk.cut_after(cut, torn);
            let erased = erase(
                &mut disk.clone(),
                SECTORS,
                crc32c,
                &mut [Page::new_zeroed()],
            );
            match load(&disk.after_power_cut()) {
                Ok(_) => assert_eq!(cut, 0),
                // Not blank, where nothing but the first page is left to be zeros.
                Err(refused) if erased.is_ok() || (torn && refused != LoadError::Formatting) => {
                    assert!(matches!(refused, LoadError::NotBlank { .. }), "{refused}");
                }
                Err(refused) => assert_eq!(refused, LoadError::Formatting, "write {cut}"),
            }
            if erased.is_ok() {
                break;
            }
        }
    }
}

#[test]
fn the_length_of_the_target_is_kept() {
    let disk = Disk::default();
    let mut store = format(&disk, &superblock(2048, 1)).unwrap();
    commit(&mut store, &[(3, block(3))]).unwrap();
    let places = Place::ALL.map(|place| store.layout().sector_of(0, place).unwrap());
    for more in 1..6_u64 {
        store
            .set_length((1 << 20) + more, &mut Page::new_zeroed())
            .unwrap();
        for bad in [None].into_iter().chain(places.map(Some)) {
            if let Some(bad) = bad {
                disk.spoil(bad, Spoil::Zeros);
            }
            let (loaded, _, table) = load(&disk).unwrap();
            assert_eq!(loaded.superblock().length, (1 << 20) + more);
            assert_eq!(table, Table::from([(3, block(3))]));
            store = loaded;
        }
    }
}

#[test]
fn a_reader_begins_with_the_length_that_was_noted_last() {
    for times in 1..4_u64 {
        let disk = Disk::default();
        let mut store = format(&disk, &superblock(2048, 1)).unwrap();
        for more in 1..=times {
            let length = (1 << 20) + more * 2048;
            store.set_length(length, &mut Page::new_zeroed()).unwrap();
        }
        let last = block((1 << 20) / 2048 + times - 1);
        commit(&mut store, &[(3, last)]).unwrap();
        assert_eq!(load(&disk).unwrap().2, Table::from([(3, last)]));
    }
}

#[test]
fn an_area_that_begins_with_zeros_is_no_blank_one() {
    let disk = Disk::default();
    let mut store = format(&disk, &superblock(2048, 1)).unwrap();
    commit(&mut store, &[(3, block(3))]).unwrap();
    disk.spoil(0, Spoil::Zeros);
    disk.spoil(8, Spoil::Zeros);
    let (_, findings, table) = load(&disk).unwrap();
    assert_eq!(table, Table::from([(3, block(3))]));
    assert!(findings.bad > 0);
    // And has been put right.
    assert_eq!(load(&disk).unwrap().1, Findings::default());
}

#[test]
fn an_earlier_life_of_the_area_does_not_come_back() {
    let disk = Disk::default();
    let mut store = format(&disk, &superblock(64, 1)).unwrap();
    commit(&mut store, &[(3, block(3))]).unwrap();
    let store = format(&disk, &superblock(2048, 2)).unwrap();
    for place in Place::ALL {
        disk.spoil(store.layout().sector_of(0, place).unwrap(), Spoil::Bytes(1));
    }
    assert_eq!(load(&disk).err(), Some(LoadError::Foreign));
}

#[test]
fn a_block_in_two_slots_is_refused() {
    let disk = Disk::default();
    let mut store = format(&disk, &superblock(2048, 1)).unwrap();
    commit(&mut store, &[(3, block(3)), (20, block(3))]).unwrap();
    let refused = load(&disk).err().unwrap();
    assert_eq!(refused, LoadError::Twice { slot: 20 });
    assert!(refused.to_string().contains("slot 20"));
}

#[test]
fn a_place_that_cannot_be_written_is_done_without() {
    let disk = Disk::default();
    let mut store = format(&disk, &superblock(2048, 1)).unwrap();
    let bad = store.layout().sector_of(1, Place::ALL[1]).unwrap();
    disk.0.borrow_mut().unwritable.insert(bad);
    for slot in 0..4 {
        commit(&mut store, &[(slot, block(u64::from(slot)))]).unwrap();
    }
    assert!(store.is_degraded());
    let wanted: Table = (0..4).map(|slot| (slot, block(u64::from(slot)))).collect();
    assert_eq!(load(&disk).unwrap().2, wanted);
}

#[test]
fn what_cannot_be_written_at_all_is_refused_and_does_not_count() {
    let disk = Disk::default();
    let mut store = format(&disk, &superblock(2048, 1)).unwrap();
    commit(&mut store, &[(1, block(1))]).unwrap();
    let places = Place::ALL.map(|place| store.layout().sector_of(1, place).unwrap());
    disk.0.borrow_mut().unwritable.extend(places);
    let refused = commit(&mut store, &[(2, block(2))]);
    assert!(matches!(refused, Err(CommitError::Uncertain(_))));
    disk.0.borrow_mut().unwritable.clear();
    assert_eq!(load(&disk).unwrap().2, Table::from([(1, block(1))]));
}

#[test]
fn what_was_uncertain_is_settled_either_way() {
    for (version, wanted) in [
        (Version::Old, Table::from([(1, block(1))])),
        (Version::New, Table::from([(1, block(1)), (2, block(2))])),
    ] {
        let disk = Disk::default();
        let mut store = format(&disk, &superblock(2048, 1)).unwrap();
        commit(&mut store, &[(1, block(1))]).unwrap();
        // The tails of both versions fail, so that the head has one and the tail another.
        let next = disk.0.borrow().writes;
        disk.0
            .borrow_mut()
            .failing
            .extend([next + 2, next + 4, next + 6, next + 8]);
        let mut pages = [Page::new_zeroed(); 2];
        let refused = store.commit([(2, block(2))], &mut pages);
        assert!(matches!(refused, Err(CommitError::Uncertain(_))));
        // Nothing is written before it is decided, to other pages either.
        let refused = store.commit([(20, block(20))], &mut [Page::new_zeroed(); 2]);
        assert_eq!(
            refused,
            Err(CommitError::Unchanged(Unwritable { index: 1 }))
        );
        assert!(with_scratch(1, |scratch| store.check(scratch)).is_err());
        store.settle(version, &mut pages).unwrap();
        assert_eq!(load(&disk).unwrap().2, wanted);
        commit(&mut store, &[(20, block(20))]).unwrap();
    }
}

#[test]
fn places_that_have_gone_bad_are_put_right() {
    let disk = Disk::default();
    let mut store = format(&disk, &superblock(2048, 1)).unwrap();
    commit(&mut store, &[(1, block(1))]).unwrap();
    let whole = with_scratch(1, |scratch| store.check(scratch));
    assert_eq!(whole, Ok(Findings::default()));
    for index in 0..3 {
        let sector = store.layout().sector_of(index, Place::ALL[2]).unwrap();
        disk.spoil(sector, Spoil::Unreadable);
    }
    let found = with_scratch(1, |scratch| store.check(scratch)).unwrap();
    assert_eq!((found.bad, found.unmended), (3, 0));
    let whole = with_scratch(1, |scratch| store.check(scratch));
    assert_eq!(whole, Ok(Findings::default()));
    commit(&mut store, &[(2, block(2))]).unwrap();
    let wanted = Table::from([(1, block(1)), (2, block(2))]);
    assert_eq!(load(&disk).unwrap().2, wanted);
}

#[test]
fn no_page_is_written_in_more_generations_than_there_are() {
    use super::pages::MAX_GENERATION;

    let disk = Disk::default();
    let mut store = format(&disk, &superblock(2048, 1)).unwrap();
    let mut page = Page::new_zeroed();
    for generation in [MAX_GENERATION - 2, MAX_GENERATION - 1] {
        store
            .write_places(1, generation, &Half::BOTH, &mut page)
            .unwrap();
        store.set_generation(1, generation);
    }
    commit(&mut store, &[(1, block(1))]).unwrap();
    let refused = commit(&mut store, &[(2, block(2))]);
    assert!(refused.is_err());
    assert_eq!(load(&disk).unwrap().2, Table::from([(1, block(1))]));
}

#[test]
fn superblocks_of_two_areas_are_refused() {
    let (disk, other) = (Disk::default(), Disk::default());
    let store = format(&disk, &superblock(2048, 1)).unwrap();
    format(&other, &superblock(2048, 2)).unwrap();
    for place in Place::ALL {
        let sector = store.layout().sector_of(0, place).unwrap();
        let foreign = other.0.borrow().pages[&sector];
        let own = disk.0.borrow_mut().pages.insert(sector, foreign).unwrap();
        assert_eq!(load(&disk).err(), Some(LoadError::Several));
        disk.0.borrow_mut().pages.insert(sector, own);
    }
    assert!(load(&disk).is_ok());
}

#[test]
fn a_place_that_cannot_be_put_right_degrades_until_it_can() {
    let disk = Disk::default();
    let mut store = format(&disk, &superblock(2048, 1)).unwrap();
    let places = Place::ALL.map(|place| store.layout().sector_of(1, place).unwrap());
    disk.spoil(places[2], Spoil::Unreadable);
    disk.0.borrow_mut().unwritable.extend(places);
    let found = with_scratch(1, |scratch| store.check(scratch)).unwrap();
    assert_eq!((found.bad, found.unmended), (1, 1));
    assert!(store.is_degraded());
    disk.0.borrow_mut().unwritable.clear();
    let found = with_scratch(1, |scratch| store.check(scratch)).unwrap();
    assert_eq!((found.bad, found.unmended), (1, 0));
    assert!(!store.is_degraded());
}

#[test]
fn a_newer_generation_that_cannot_be_read_now_is_not_passed_over() {
    let disk = Disk::default();
    let mut store = format(&disk, &superblock(2048, 1)).unwrap();
    commit(&mut store, &[(3, block(3))]).unwrap();
    let layout = *store.layout();
    let places = Place::ALL.map(|place| layout.sector_of(1, place).unwrap());
    let generation = |sector: u64| {
        let page = disk.0.borrow().pages.get(&sector).copied();
        page.and_then(|mut page| page.check(crc32c).ok())
            .map_or(0, |page| page.generation)
    };
    let newest = places.map(generation).into_iter().max();
    // It comes to one of its places, and nothing else is written.
    let next = disk.0.borrow().writes;
    disk.0.borrow_mut().failing.extend(next + 2..next + 20);
    assert!(commit(&mut store, &[(4, block(4))]).is_err());
    disk.0.borrow_mut().failing.clear();
    let newer = places
        .into_iter()
        .find(|place| Some(generation(*place)) > newest);
    disk.spoil(newer.unwrap(), Spoil::Unreadable);
    disk.0.borrow_mut().unwritable.extend(places);
    let refused = load(&disk).err();
    assert!(matches!(refused, Some(LoadError::Page { index: 1, .. })));
    // Where something newer than both can be written, it never comes back.
    let good = places.into_iter().filter(|place| Some(*place) != newer);
    for place in good {
        disk.0.borrow_mut().unwritable.remove(&place);
    }
    let (_, _, table) = load(&disk).unwrap();
    disk.0.borrow_mut().unreadable.clear();
    assert_eq!(load(&disk).unwrap().2, table);
}

/// Writes of a page fail many times in one half, and are done there all the same. The next table cannot read that half,
/// and can write to one of its places only.
#[test]
fn what_was_written_in_vain_many_times_does_not_come_back() {
    for odd in [false, true] {
        let disk = Disk::default();
        let mut store = format(&disk, &superblock(2048, 1)).unwrap();
        commit(&mut store, &[(1, block(1))]).unwrap();
        let tail = [false, true].map(|odd| Place {
            half: Half::Tail,
            odd,
        });
        let tail = tail.map(|place| store.layout().sector_of(1, place).unwrap());
        disk.0.borrow_mut().late.extend(tail);
        let mut pages = [Page::new_zeroed(); 2];
        assert!(store.commit([(2, block(2))], &mut pages).is_err());
        for _ in 0..5 {
            assert!(store.settle(Version::New, &mut pages).is_err());
        }
        let disk = disk.after_power_cut();
        disk.0.borrow_mut().unreadable.extend(tail);
        disk.0
            .borrow_mut()
            .unwritable
            .insert(tail[usize::from(odd)]);
        let (mut store, _, before) = load(&disk).unwrap();
        commit(&mut store, &[(3, block(3))]).unwrap();
        let mut wanted = before;
        wanted.insert(3, block(3));
        let (_, _, after) = load(&disk.after_power_cut()).unwrap();
        assert_eq!(after, wanted, "odd {odd}");
    }
}

/// A page that is put right while the spare takes no writes is left as it is, and can be changed when it does.
#[test]
fn what_could_not_be_put_right_can_be_changed_later() {
    for half in Half::BOTH {
        let disk = Disk::default();
        let mut store = format(&disk, &superblock(2048, 1)).unwrap();
        commit(&mut store, &[(1, block(1))]).unwrap();
        let places = [false, true].map(|odd| Place { half, odd });
        let places = places.map(|place| store.layout().sector_of(1, place).unwrap());
        let all = Place::ALL.map(|place| store.layout().sector_of(1, place).unwrap());
        disk.0.borrow_mut().unreadable.extend(places);
        disk.0.borrow_mut().unwritable.extend(all);
        for _ in 0..3 {
            let (mut head, mut tail) = ([Page::new_zeroed(); 4], [Page::new_zeroed(); 4]);
            let mut scratch = Scratch {
                head: &mut head,
                tail: &mut tail,
            };
            assert_eq!(store.check(&mut scratch).unwrap().unmended, 1);
        }
        disk.0.borrow_mut().unreadable.clear();
        let mut pages = [Page::new_zeroed(); 2];
        assert!(store.commit([(2, block(2))], &mut pages).is_err());
        disk.0.borrow_mut().unwritable.clear();
        store.settle(Version::Old, &mut pages).unwrap();
        commit(&mut store, &[(3, block(3))]).unwrap();
        let wanted = Table::from([(1, block(1)), (3, block(3))]);
        let (_, _, table) = load(&disk.after_power_cut()).unwrap();
        assert_eq!(table, wanted, "{half:?}");
    }
}

#[test]
fn what_was_written_in_vain_does_not_count() {
    let disk = Disk::default();
    let mut store = format(&disk, &superblock(2048, 1)).unwrap();
    commit(&mut store, &[(1, block(1))]).unwrap();
    // Both tails of the change; then what was before goes through.
    let next = disk.0.borrow().writes;
    disk.0.borrow_mut().failing.extend([next + 2, next + 4]);
    let refused = commit(&mut store, &[(1, block(5)), (2, block(2))]);
    assert!(matches!(refused, Err(CommitError::Unchanged(_))));
    assert_eq!(load(&disk).unwrap().2, Table::from([(1, block(1))]));
    // And the store goes on from there.
    commit(&mut store, &[(2, block(2))]).unwrap();
    let wanted = Table::from([(1, block(1)), (2, block(2))]);
    assert_eq!(load(&disk).unwrap().2, wanted);
}

/// One place is bad when the area is loaded, and the power is cut while that is put right.
#[test]
fn putting_right_may_be_cut_short() {
    for place in Place::ALL {
        for cut in 0..6 {
            let disk = Disk::default();
            let mut store = format(&disk, &superblock(2048, 1)).unwrap();
            commit(&mut store, &[(1, block(1))]).unwrap();
            disk.spoil(store.layout().sector_of(1, place).unwrap(), Spoil::Bytes(7));
            disk.cut_after(cut, true);
            let _ = load(&disk);
            let (_, _, table) = load(&disk.after_power_cut()).unwrap();
            assert_eq!(
                table,
                Table::from([(1, block(1))]),
                "{place:?}, write {cut}"
            );
        }
    }
}

/// What an area holds before it is formatted.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Before {
    Nothing,
    /// Metadata of a remapped block.
    Remaps,
    /// Something else, at both ends and in the places of the metadata.
    Foreign,
}

/// Cut short at any write, formatting leaves what is formatted again, or formatted, or was before.
#[test]
fn formatting_may_be_cut_short() {
    let all = [Before::Nothing, Before::Remaps, Before::Foreign];
    let ends = |cut: &u64| {
        let ends = |before| [false, true].map(|torn| formatting_is_cut_short(*cut, torn, before));
        all.map(ends) == [[true; 2]; 3]
    };
    let writes = (0..).find(ends);
    assert!(writes.is_some_and(|writes| writes > 10), "{writes:?}");
}

/// Whether it came to its end.
fn formatting_is_cut_short(cut: u64, torn: bool, before: Before) -> bool {
    let disk = Disk::default();
    match before {
        Before::Nothing => {}
        Before::Remaps => {
            let mut store = format(&disk, &superblock(64, 9)).unwrap();
            commit(&mut store, &[(1, block(1))]).unwrap();
        }
        Before::Foreign => {
            for sector in (0..SECTORS).step_by(PAGE_SECTORS as usize) {
                disk.spoil(sector, Spoil::Bytes(5));
            }
        }
    }
    disk.cut_after(cut, torn);
    let formatted = format(&disk, &superblock(2048, 1)).is_ok();
    let disk = disk.after_power_cut();
    match load(&disk) {
        Ok((store, _, table)) if store.superblock().uuid == [1; 16] => {
            assert_eq!(table, Table::new());
        }
        Ok((_, _, table)) => {
            assert_eq!((cut, before), (0, Before::Remaps));
            assert_eq!(table, Table::from([(1, block(1))]));
        }
        Err(refused) => {
            assert!(!formatted);
            let wanted = match (cut, before) {
                // Not begun, or a mark that is not whole.
                (0, Before::Foreign) => LoadError::Foreign,
                (0, Before::Nothing) if !torn => LoadError::Blank,
                _ => LoadError::Formatting,
            };
            assert_eq!(refused, wanted, "write {cut}, torn: {torn}, {before:?}");
        }
    }
    // Who asks for it gets it, whatever is there.
    format(&disk, &superblock(2048, 2)).unwrap();
    assert_eq!(load(&disk).unwrap().0.superblock().uuid, [2; 16]);
    formatted
}

/// Changes of slots: to a block, and whether a unit of it is unread or lost.
type Changes = Vec<(u32, Option<(u64, u8)>)>;

fn changes() -> impl Strategy<Value = Changes> {
    let change = prop::option::of((0..1000_u64, 0..3_u8));
    prop::collection::btree_map(0..24_u32, change, 1..6)
        .prop_map(|changes| changes.into_iter().collect())
}

/// Fails where a page of `now` is neither that of `before` nor that of `after`.
fn each_page_is_one_of(
    store: &TestStore,
    now: &Table,
    before: &Table,
    after: &Table,
) -> Result<(), TestCaseError> {
    for index in 1..store.layout().pages() {
        let [now, before, after] = [now, before, after].map(|table| -> Table {
            let entries = table.range(store.layout().slots_of(index));
            entries.map(|(slot, entry)| (*slot, *entry)).collect()
        });
        prop_assert!(
            now == before || now == after,
            "{now:?} is neither {before:?} nor {after:?}"
        );
    }
    Ok(())
}

/// Changes of that kind, with blocks that no other slot has.
fn named(changes: &[(u32, Option<(u64, u8)>)]) -> Vec<(u32, Entry)> {
    let entry = |slot: u32, (number, state)| {
        let unit = (number % 1024) as u32;
        let name = u64::from(slot) + 24 * (number % 20);
        match state {
            0 => block(name),
            1 => missing(name, &[unit], &[], unit % 2 == 0),
            _ => missing(name, &[], &[unit], false),
        }
    };
    changes
        .iter()
        .map(|&(slot, it)| (slot, it.map_or(Entry::Free, |it| entry(slot, it))))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// The power goes at any write of any commit, which may be torn: page by page, what is loaded
    /// is what was committed, or what was being committed.
    #[test]
    fn no_power_cut_loses_what_was_committed(
        format in formats(),
        steps in prop::collection::vec((changes(), 0..6_u64, any::<bool>()), 1..12),
    ) {
        let mut disk = Disk::default();
        let mut store = super::tests::format(&disk, &superblock_of(format)).unwrap();
        let mut table = Table::new();
        for (changes, cut, torn) in steps {
            let changes = named(&changes);
            disk.cut_after(cut, torn);
            let committed = commit(&mut store, &changes);
            disk = disk.after_power_cut();
            let (reloaded, _, loaded) = load(&disk).unwrap();
            store = reloaded;
            let mut after = table.clone();
            apply(&mut after, &changes);
            let before = if committed.is_ok() { &after } else { &table };
            each_page_is_one_of(&store, &loaded, before, &after)?;
            table = loaded;
        }
    }

    /// Each page may have a place that every write tears: a power cut in any commit loses nothing.
    #[test]
    fn worn_places_of_several_pages_lose_nothing(
        format in formats(),
        worn in prop::collection::vec(prop::option::of(0..4_usize), 3),
        steps in prop::collection::vec(changes(), 1..12),
        cut in 0..80_u64,
        torn in any::<bool>(),
    ) {
        let disk = Disk::default();
        let mut store = super::tests::format(&disk, &superblock_of(format)).unwrap();
        for (index, place) in (0..).zip(worn) {
            let Some(place) = place else { continue };
            let sector = store.layout().sector_of(index, Place::ALL[place]).unwrap();
            disk.0.borrow_mut().worn.insert(sector);
        }
        disk.cut_after(cut, torn);
        let (mut before, mut after) = (Table::new(), Table::new());
        for changes in steps {
            let changes = named(&changes);
            before = after.clone();
            apply(&mut after, &changes);
            if commit(&mut store, &changes).is_err() {
                break;
            }
            before = after.clone();
        }
        let (_, _, loaded) = load(&disk.after_power_cut()).unwrap();
        each_page_is_one_of(&store, &loaded, &before, &after)?;
    }

    /// Writes that fail, torn or not, leave what was before or what was to be, and never nothing.
    #[test]
    fn no_write_that_fails_makes_the_area_unloadable(
        torn in prop::collection::vec(prop::option::of(any::<bool>()), 0..24),
        settles in 0..3,
    ) {
        let disk = Disk::default();
        let mut store = format(&disk, &superblock(2048, 1)).unwrap();
        commit(&mut store, &[(1, block(1))]).unwrap();
        disk.fail_writes(torn);
        let mut pages = [Page::new_zeroed(); 2];
        let committed = store.commit([(2, block(2))], &mut pages);
        for _ in 0..settles {
            let _ = store.settle(Version::Old, &mut pages);
        }
        let (_, _, table) = load(&disk.after_power_cut()).unwrap();
        let (old, new) = (Table::from([(1, block(1))]), Table::from([(1, block(1)), (2, block(2))]));
        match committed {
            Ok(()) => prop_assert_eq!(table, new),
            Err(CommitError::Unchanged(_)) => prop_assert_eq!(table, old),
            Err(CommitError::Uncertain(_)) => prop_assert!(table == old || table == new),
        }
    }

    /// Any one place may be spoiled in any way, and nothing is lost; of several, it is all there or
    /// the area is refused.
    #[test]
    fn no_bad_place_brings_back_what_was(
        steps in prop::collection::vec(changes(), 0..6),
        bad in prop::collection::vec((0..3_u32, 0..4_usize, spoil()), 1..4),
    ) {
        let disk = Disk::default();
        let mut store = format(&disk, &superblock(2048, 1)).unwrap();
        let mut table = Table::new();
        for changes in steps {
            let changes = named(&changes);
            commit(&mut store, &changes).unwrap();
            apply(&mut table, &changes);
        }
        let mut spoiled = BTreeSet::new();
        for (index, place, how) in bad {
            let sector = store.layout().sector_of(index, Place::ALL[place]).unwrap();
            disk.spoil(sector, how);
            spoiled.insert(sector);
        }
        match load(&disk) {
            Ok((_, _, loaded)) => prop_assert_eq!(loaded, table.clone()),
            Err(refused) => prop_assert!(spoiled.len() > 1, "{}", refused),
        }
        if spoiled.len() == 1 {
            // It has been put right, so that the next one costs nothing, either.
            let (_, findings, loaded) = load(&disk).unwrap();
            prop_assert_eq!((findings, loaded), (Findings::default(), table));
        }
    }
}

mod blank;
mod grow;
mod recovery;
mod replace;
mod upgrade;
