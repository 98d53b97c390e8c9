// SPDX-License-Identifier: GPL-2.0

//! Areas of version 1, which are upgraded before they are changed, and features of later versions.

use super::*;
use crate::metadata::{
    copies::{
        choose,
        Seen, //
    },
    superblock, //
};

/// Remaps of an area of version 1.
fn first_table() -> Table {
    Table::from([
        (1, block(1)),
        (2, missing(2, &[], &[0, 2047], false)),
        (3, Entry::Bad),
        (20, turned(20, 3)),
    ])
}

/// An area of version 1.
fn first_area() -> Disk {
    let disk = Disk::default();
    let mut store = format(&disk, &superblock_of(Format::FIRST)).unwrap();
    // No code writes entries of version 1, so the pages are written past the upgrade.
    for index in 1..store.layout().pages() {
        let mut page = Page::new_zeroed();
        store.read_current(index, &mut page).unwrap();
        let layout = *store.layout();
        for slot in layout.slots_of(index) {
            let entry = first_table().get(&slot).copied().unwrap_or(Entry::Free);
            let (_, number) = layout.entry_of(slot);
            let written = entry.write(layout.shape(), page.payload_mut(), number);
            written.unwrap();
        }
        store.write_next(index, &mut page).unwrap();
    }
    disk
}

fn upgraded() -> Superblock {
    superblock_of(Format::UPGRADED)
}

/// Changes that only an upgraded area can record, of slots in both pages.
fn unread_changes() -> [(u32, Entry); 3] {
    [
        (0, missing(7, &[3, 2047], &[], true)),
        (2, missing(2, &[0], &[], false)),
        (20, missing(20, &[9], &[], true)),
    ]
}

/// Returns the page in a place, if it is valid there.
fn valid_page(disk: &Disk, layout: &Layout, index: u32, place: Place) -> Option<Page> {
    let sector = layout.sector_of(index, place)?;
    let mut page = *disk.0.borrow().pages.get(&sector)?;
    let area = superblock_of(Format::FIRST).area();
    let seen = Seen::judge(page.check(crc32c), area, index, place);
    seen.generation().map(|_| page)
}

/// Returns whether a reader of version 1 that finds the metadata takes an entry of it for another one.
fn misleads_version_1(disk: &Disk) -> bool {
    let layout = superblock_of(Format::FIRST).layout().unwrap();
    // The superblock that counts, as every version chooses it.
    let places = Place::ALL.map(|place| valid_page(disk, &layout, 0, place));
    let seen = places.map(|page| match page {
        Some(page) => Seen::Valid(page.claims().generation),
        None => Seen::Unreadable,
    });
    let Ok(choice) = choose(&seen) else {
        return false;
    };
    let newest = places.into_iter().flatten();
    let newest = newest.filter(|page| page.claims().generation == choice.generation);
    let versions: BTreeSet<_> = newest.map(|page| page.payload()[..4].to_vec()).collect();
    if versions != BTreeSet::from([1_u32.to_le_bytes().to_vec()]) {
        return false;
    }
    let has_unread = |page: &Page, slot: u32| {
        let (_, number) = layout.entry_of(slot);
        let shape = *upgraded().layout().unwrap().shape();
        let entry = Entry::read(&shape, page.payload(), number, u64::MAX);
        matches!(entry, Ok(Entry::Block { states, .. }) if !states.unread().is_empty())
    };
    (1..layout.pages()).any(|index| {
        let pages = Place::ALL.map(|place| valid_page(disk, &layout, index, place));
        let mut pages = pages.into_iter().flatten();
        pages.any(|page| layout.slots_of(index).any(|slot| has_unread(&page, slot)))
    })
}

#[test]
fn version_1_is_read_and_not_changed_before_something_else_is() {
    let disk = first_area();
    let before = disk.0.borrow().writes;
    let (mut store, findings, table) = load(&disk).unwrap();
    assert_eq!((findings, &table), (Findings::default(), &first_table()));
    assert_eq!(store.superblock(), &superblock_of(Format::FIRST));
    store.retire(&mut [Page::new_zeroed(); 2]).unwrap();
    commit(&mut store, &[]).unwrap();
    let whole = with_scratch(1, |scratch| store.check(scratch));
    assert_eq!(whole, Ok(Findings::default()));
    assert_eq!(disk.0.borrow().writes, before);
    // Bad copies are put right, in version 1.
    for index in 0..3 {
        let sector = store.layout().sector_of(index, Place::ALL[3]).unwrap();
        disk.spoil(sector, Spoil::Zeros);
    }
    let (store, findings, table) = load(&disk).unwrap();
    assert_eq!((findings.bad, table), (3, first_table()));
    assert_eq!(store.superblock().format, Format::FIRST);
}

#[test]
fn the_first_change_upgrades_version_1() {
    let disk = first_area();
    let (mut store, ..) = load(&disk).unwrap();
    let before = disk.0.borrow().writes;
    commit(&mut store, &unread_changes()[..1]).unwrap();
    // The superblock and the page.
    assert_eq!(disk.0.borrow().writes - before, 4);
    commit(&mut store, &unread_changes()[1..]).unwrap();
    assert_eq!(disk.0.borrow().writes - before, 8);
    let mut wanted = first_table();
    apply(&mut wanted, &unread_changes());
    let (store, findings, table) = load(&disk).unwrap();
    assert_eq!((findings, table), (Findings::default(), wanted));
    assert_eq!(store.superblock(), &upgraded());
}

#[test]
fn another_length_upgrades_version_1() {
    let disk = first_area();
    let (mut store, ..) = load(&disk).unwrap();
    let length = (1 << 20) + 5;
    store.set_length(length, &mut Page::new_zeroed()).unwrap();
    let (store, _, table) = load(&disk).unwrap();
    let superblock = Superblock {
        length,
        ..upgraded()
    };
    assert_eq!((store.superblock(), table), (&superblock, first_table()));
}

/// The power is cut at every write of an upgrade, which may be torn, and then a place of the superblock is bad.
#[test]
fn an_upgrade_may_be_cut_short() {
    for torn in [false, true] {
        for cut in 0.. {
            let disk = first_area();
            let (mut store, ..) = load(&disk).unwrap();
            disk.cut_after(cut, torn);
            let committed = commit(&mut store, &unread_changes());
            let layout = *store.layout();
            let mut after = first_table();
            apply(&mut after, &unread_changes());
            let before = if committed.is_ok() {
                after.clone()
            } else {
                first_table()
            };
            let bad = Place::ALL.map(|place| layout.sector_of(0, place));
            for bad in [None].into_iter().chain(bad) {
                let disk = disk.after_power_cut();
                if let Some(bad) = bad {
                    disk.spoil(bad, Spoil::Bytes(1));
                }
                assert!(!misleads_version_1(&disk), "write {cut}, bad: {bad:?}");
                // A torn place and another one may be too many for a generation.
                let Ok((store, _, table)) = load(&disk) else {
                    assert!(bad.is_some() && committed.is_err(), "write {cut}");
                    continue;
                };
                each_page_is_one_of(&store, &table, &before, &after).unwrap();
                let format = store.superblock().format;
                assert!(table == first_table() || format == Format::UPGRADED);
                // The area goes on from there.
                let mut store = store;
                commit(&mut store, &unread_changes()).unwrap();
                assert_eq!(load(&disk).unwrap().2, after);
            }
            if committed.is_ok() {
                assert!(cut >= 6, "{cut}");
                break;
            }
        }
    }
}

#[test]
fn an_upgrade_that_cannot_be_written_changes_nothing() {
    let disk = first_area();
    let (mut store, ..) = load(&disk).unwrap();
    let places = Place::ALL.map(|place| store.layout().sector_of(0, place).unwrap());
    disk.0.borrow_mut().unwritable.extend(places);
    let unwritable = Unwritable { index: 0 };
    let refused = commit(&mut store, &unread_changes());
    assert_eq!(refused, Err(CommitError::Unchanged(unwritable)));
    let refused = store.set_length(1 << 19, &mut Page::new_zeroed());
    assert_eq!(refused, Err(unwritable));
    assert_eq!(store.superblock(), &superblock_of(Format::FIRST));
    assert_eq!(load(&disk.after_power_cut()).unwrap().2, first_table());
    disk.0.borrow_mut().unwritable.clear();
    commit(&mut store, &unread_changes()).unwrap();
    let mut wanted = first_table();
    apply(&mut wanted, &unread_changes());
    assert_eq!(load(&disk).unwrap().2, wanted);
}

/// The newest superblock cannot be read when the area is looked for, and can when its pages are.
#[test]
fn an_upgrade_is_seen_that_was_unreadable_at_first() {
    let disk = first_area();
    let (mut store, ..) = load(&disk).unwrap();
    commit(&mut store, &unread_changes()).unwrap();
    let mut wanted = first_table();
    apply(&mut wanted, &unread_changes());
    // Generation 3.
    let newest = Place::ALL.into_iter().filter(|place| place.odd);
    let newest = newest.map(|place| store.layout().sector_of(0, place).unwrap());
    disk.0.borrow_mut().unreadable_once.extend(newest);
    let (store, _, table) = load(&disk).unwrap();
    assert_eq!(store.superblock().format, Format::UPGRADED);
    assert_eq!(table, wanted);
}

#[test]
fn one_bitmap_is_never_of_both() {
    let both = missing(4, &[1], &[2], true);
    for format in [Format::FIRST, Format::UPGRADED, Format::NEW] {
        let disk = Disk::default();
        let mut store = super::format(&disk, &superblock_of(format)).unwrap();
        let states_of = |entry: Entry| match entry {
            Entry::Block { states, .. } => states,
            _ => unreachable!(),
        };
        let one = missing(4, &[1, 2], &[], true);
        assert!(store.can_record(&states_of(one)));
        assert_eq!(store.can_record(&states_of(both)), format == Format::NEW);
        commit(&mut store, &[(1, block(1))]).unwrap();
        let before = disk.0.borrow().writes;
        // The page has another change, which is not written either.
        let changed = commit(&mut store, &[(2, block(2)), (4, both)]);
        let mut wanted = Table::from([(1, block(1))]);
        if format == Format::NEW {
            changed.unwrap();
            apply(&mut wanted, &[(2, block(2)), (4, both)]);
        } else {
            let unchanged = CommitError::Unchanged(Unwritable { index: 1 });
            assert_eq!(changed, Err(unchanged));
            assert_eq!(disk.0.borrow().writes, before);
        }
        assert_eq!(load(&disk).unwrap().2, wanted);
        // Changed states keep block and turn.
        let mut pages = [Page::new_zeroed(); 2];
        let change = Change::States(states_of(missing(0, &[6], &[], true)));
        store.commit([(1, change)], &mut pages).unwrap();
        wanted.insert(1, missing(1, &[6], &[], true));
        assert_eq!(load(&disk).unwrap().2, wanted);
    }
}

/// Changes the payload of the superblock that counts.
fn change_superblock(store: &mut TestStore, change: impl Fn(&mut [u8])) {
    let mut page = Page::new_zeroed();
    store.read_current(0, &mut page).unwrap();
    change(page.payload_mut());
    store.write_next(0, &mut page).unwrap();
}

#[test]
fn fields_and_features_of_later_versions_are_kept_or_refused() {
    for format in [Format::UPGRADED, Format::NEW] {
        let disk = Disk::default();
        let mut store = super::format(&disk, &superblock_of(format)).unwrap();
        change_superblock(&mut store, |payload| {
            payload[80..88].copy_from_slice(&(1_u64 << 40).to_le_bytes());
            payload[96..].fill(5);
        });
        let (mut store, ..) = load(&disk).unwrap();
        for length in [3 << 18, 1 << 20] {
            store.set_length(length, &mut Page::new_zeroed()).unwrap();
            commit(&mut store, &[(3, block(3))]).unwrap();
            let (loaded, _, table) = load(&disk).unwrap();
            assert_eq!(loaded.superblock().length, length);
            assert_eq!(table, Table::from([(3, block(3))]));
            store = loaded;
            let mut page = Page::new_zeroed();
            store.read_current(0, &mut page).unwrap();
            assert_eq!(page.payload()[80..88], (1_u64 << 40).to_le_bytes());
            assert!(page.payload()[96..].iter().all(|byte| *byte == 5));
        }
        change_superblock(&mut store, |payload| payload[89] |= 0x10);
        let refused = LoadError::Superblock(superblock::Error::Feature(12));
        assert_eq!(load(&disk).err(), Some(refused));
    }
}

proptest! {
    /// Both the upgrade and the changes may fail at any write, and a place may tear what is written to it.
    #[test]
    fn no_write_that_fails_loses_version_1(
        torn in prop::collection::vec(prop::option::of(any::<bool>()), 0..16),
        again in any::<bool>(),
    ) {
        let disk = first_area();
        let (mut store, ..) = load(&disk).unwrap();
        disk.fail_writes(torn);
        let mut after = first_table();
        apply(&mut after, &unread_changes());
        let mut committed = commit(&mut store, &unread_changes());
        if again && matches!(committed, Err(CommitError::Unchanged(_))) {
            committed = commit(&mut store, &unread_changes());
        }
        prop_assert!(!misleads_version_1(&disk.after_power_cut()));
        let (store, _, table) = load(&disk.after_power_cut()).unwrap();
        let before = if committed.is_ok() { &after } else { &first_table() };
        each_page_is_one_of(&store, &table, before, &after)?;
    }
}
