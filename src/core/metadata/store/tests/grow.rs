// SPDX-License-Identifier: GPL-2.0

//! Areas that grow, and what becomes of them when the power is cut meanwhile.

use super::*;
use crate::metadata::layout::superblocks;

/// Loading by a table that may write.
const GROW: LoadOptions = LoadOptions {
    mend: true,
    grow: true,
};

/// Lengths to grow to: the same number of pages, and further ones.
const LENGTHS: [u64; 2] = [SECTORS + 2 * 2048, SECTORS + 40 * 2048];

/// Loads an area and lets it grow as far as the options say.
fn load_as(
    disk: &Disk,
    sectors: u64,
    options: LoadOptions,
) -> Result<(TestStore, Table), LoadError> {
    let mut reader = Everything::default();
    with_scratch(2, |scratch| {
        let loaded = Store::load(disk.clone(), sectors, crc32c, scratch, options, &mut reader);
        let (mut store, _) = loaded?;
        let grown = store.grow(scratch.head);
        grown.map_err(|_| LoadError::Unwritable)?;
        Ok(store)
    })
    .map(|store| (store, reader.0))
}

fn first_table() -> Table {
    Table::from([
        (1, block(1)),
        (2, missing(2, &[], &[0, 5], false)),
        (3, Entry::Bad),
        (20, turned(20, 3)),
    ])
}

/// An area with remaps, in which generations of pages differ.
fn area(format: Format) -> Disk {
    let disk = Disk::default();
    let mut store = super::format(&disk, &superblock_of(format)).unwrap();
    if format == Format::FIRST {
        return disk;
    }
    for (slot, entry) in first_table() {
        commit(&mut store, &[(slot, entry)]).unwrap();
    }
    disk
}

fn table_of(format: Format) -> Table {
    match format {
        Format::FIRST => Table::new(),
        _ => first_table(),
    }
}

/// Places of the superblock at the ends of areas of these lengths.
fn superblock_places(lengths: &[u64]) -> BTreeSet<u64> {
    lengths
        .iter()
        .flat_map(|length| superblocks(*length))
        .collect()
}

/// Changes an entry of an old slot, and the last slot of all.
fn change(store: &mut TestStore, table: &mut Table) {
    let last = store.layout().slots() - 1;
    let changes = [(5, block(55)), (last, block(99))];
    commit(store, &changes).unwrap();
    apply(table, &changes);
}

/// Spoils a copy of the disk in one place or none, each in turn.
fn with_one_bad(disk: &Disk, places: &BTreeSet<u64>, mut with: impl FnMut(Disk, bool)) {
    with(disk.after_power_cut(), false);
    for place in places {
        let disk = disk.after_power_cut();
        disk.spoil(*place, Spoil::Bytes(1));
        with(disk, true);
    }
}

/// Where an area grows to there may be metadata of an earlier area, also of one with the same name that was restored
/// from a dump: it is overwritten.
#[test]
fn metadata_at_the_new_end_does_not_count() {
    for (uuid, sectors) in LENGTHS
        .iter()
        .flat_map(|is| [([1; 16], *is), ([7; 16], *is)])
    {
        let disk = Disk::default();
        let mut superblock = superblock_of(Format::NEW);
        superblock.uuid = uuid;
        super::format(&disk, &superblock).unwrap();
        let (mut store, _) = load_as(&disk, sectors, GROW).unwrap();
        for _ in 0..4 {
            change(&mut store, &mut Table::new());
        }
        let mut store = super::format(&disk, &superblock_of(Format::NEW)).unwrap();
        let mut table = first_table();
        for (slot, entry) in &table {
            commit(&mut store, &[(*slot, *entry)]).unwrap();
        }
        assert_eq!(load_as(&disk, SECTORS, GROW).unwrap().1, table);
        let (mut store, loaded) = load_as(&disk, sectors, GROW).unwrap();
        assert_eq!(loaded, table);
        change(&mut store, &mut table);
        assert_eq!(load_as(&disk, sectors, GROW).unwrap().1, table);
    }
}

/// Returns the number of writes of a growth, and of the one of them that commits it.
fn writes_of_growth(disk: &Disk, sectors: u64) -> (u64, u64) {
    let disk = disk.after_power_cut();
    load_as(&disk, sectors, GROW).unwrap();
    let writes = disk.0.borrow().writes;
    // Behind the new superblock in the head are two pages of zeros, and three times the new superblock.
    (writes, writes.saturating_sub(5))
}

/// Number of writes before the commit that write the old superblock to the new tail.
const OLD_SUPERBLOCKS: u64 = 2;

#[test]
fn an_area_grows_and_keeps_its_slots() {
    for format in [Format::FIRST, Format::UPGRADED, Format::NEW] {
        for sectors in LENGTHS {
            let disk = area(format);
            let old = superblock_of(format).layout().unwrap();
            let (mut store, loaded) = load_as(&disk, sectors, GROW).unwrap();
            let mut table = table_of(format);
            assert_eq!(loaded, table);
            let layout = *store.layout();
            assert_eq!(layout.first_slot(), old.first_slot());
            assert!(layout.slots() > old.slots());
            assert_eq!(layout.pages() > old.pages(), sectors == LENGTHS[1]);
            assert_eq!(store.superblock().sectors, sectors);
            assert_eq!(store.superblock().format, format.current());
            change(&mut store, &mut table);
            let (store, loaded) = load_as(&disk, sectors, GROW).unwrap();
            assert_eq!((&loaded, store.layout()), (&table, &layout));
            // Every place is right.
            let before = disk.0.borrow().writes;
            let (store, loaded) = load_as(&disk, sectors, MEND).unwrap();
            assert_eq!((&loaded, store.layout()), (&table, &layout));
            assert_eq!(disk.0.borrow().writes, before);
            // It grows again.
            let more = sectors + 60 * 2048;
            let (mut store, loaded) = load_as(&disk, more, GROW).unwrap();
            assert_eq!(loaded, table);
            assert!(store.layout().slots() > layout.slots());
            let last = store.layout().slots() - 1;
            commit(&mut store, &[(last, block(77))]).unwrap();
            table.insert(last, block(77));
            assert_eq!(load_as(&disk, more, GROW).unwrap().1, table);
        }
    }
}

#[test]
fn fresh_metadata_may_have_the_layout_of_what_has_grown() {
    for sectors in LENGTHS {
        let disk = Disk::default();
        let grown = superblock(2048, 1).grown(sectors).unwrap();
        let mut store = format(&disk, &grown).unwrap();
        let mut table = Table::new();
        change(&mut store, &mut table);
        let (store, loaded) = load_as(&disk, sectors, MEND).unwrap();
        assert_eq!((store.superblock(), loaded), (&grown, table));
    }
}

#[test]
fn other_lengths_are_refused_with_the_reason() {
    let disk = area(Format::NEW);
    let before = disk.0.borrow().writes;
    let refused = |sectors: u64, options| load_as(&disk, sectors, options).err().unwrap();
    for sectors in [SECTORS - 8, SECTORS / 2] {
        assert_eq!(refused(sectors, GROW), LoadError::Longer { is: SECTORS });
    }
    // Without leave to grow.
    let sectors = SECTORS + 8;
    assert_eq!(refused(sectors, MEND), LoadError::Length { is: SECTORS });
    let LoadError::LittleGrowth { is, least } = refused(sectors, GROW) else {
        panic!("an area grows by a page");
    };
    assert_eq!(is, SECTORS);
    for less in [sectors + 8, least - 8] {
        assert_eq!(refused(less, GROW), LoadError::LittleGrowth { is, least });
    }
    // A table that must not write has the old layout.
    let look = LoadOptions {
        mend: false,
        grow: true,
    };
    for sectors in [sectors, least] {
        let (store, table) = load_as(&disk, sectors, look).unwrap();
        assert_eq!(table, first_table());
        assert_eq!(store.superblock().sectors, SECTORS);
    }
    assert_eq!(disk.0.borrow().writes, before);
    load_as(&disk, least, GROW).unwrap();
    assert_eq!(refused(SECTORS, GROW), LoadError::Longer { is: least });
}

/// Fails if the old area can be loaded, or data in new slots is written over, whatever place is bad.
fn expect_grown(disk: &Disk, sectors: u64, table: &Table) {
    let both = superblock_places(&[SECTORS, sectors]);
    let tail: Vec<_> = superblocks(SECTORS).skip(2).collect();
    let data: Page = zerocopy::transmute!([3_u8; PAGE_BYTES]);
    for sector in &tail {
        disk.write_page(*sector, &data).unwrap();
    }
    with_one_bad(disk, &both, |disk, _| {
        let refused = load_as(&disk, SECTORS, GROW).err();
        assert!(refused.is_some());
        assert_eq!(load_as(&disk, sectors, GROW).unwrap().1, *table);
        for sector in &tail {
            let page = disk.0.borrow().pages[sector];
            assert!(Page::bytes(&[page])[0] != 0);
        }
    });
}

/// The power is cut at every write of a growth, which may be torn, and then a place of the superblock is bad.
#[test]
fn a_growth_may_be_cut_short() {
    for (format, sectors) in [
        (Format::FIRST, LENGTHS[0]),
        (Format::UPGRADED, LENGTHS[0]),
        (Format::NEW, LENGTHS[0]),
        (Format::NEW, LENGTHS[1]),
    ] {
        let (writes, commit) = writes_of_growth(&area(format), sectors);
        assert!(commit > OLD_SUPERBLOCKS + 4);
        for (cut, torn) in (0..=writes).flat_map(|cut| [(cut, false), (cut, true)]) {
            let disk = area(format);
            disk.cut_after(cut, torn);
            let grown = load_as(&disk, sectors, GROW);
            assert_eq!(grown.is_ok(), cut == writes);
            // Before that no superblock is written.
            let touched = cut + OLD_SUPERBLOCKS + 1 >= commit;
            // All of a superblock is in its first sector, which a torn write has written.
            let has_grown = cut + u64::from(torn) >= commit;
            expect_usable(&disk, sectors, &table_of(format), has_grown, touched);
        }
    }
}

/// Fails unless the area is as it was, with the old length until it `has_grown`, and then with the new one. Any place of
/// the superblock may also be bad, if it is `touched`.
fn expect_usable(disk: &Disk, sectors: u64, table: &Table, has_grown: bool, touched: bool) {
    let both = superblock_places(&[SECTORS, sectors]);
    let none = BTreeSet::new();
    with_one_bad(disk, if touched { &both } else { &none }, |disk, is_bad| {
        let old = disk.after_power_cut();
        match load_as(&disk, sectors, GROW) {
            Ok((mut store, loaded)) => {
                let mut table = table.clone();
                assert_eq!(loaded, table);
                change(&mut store, &mut table);
                if !is_bad {
                    expect_grown(&disk, sectors, &table);
                }
            }
            Err(refused) => assert!(is_bad, "{refused}"),
        }
        let loaded = load_as(&old, SECTORS, GROW);
        if !is_bad {
            let refused = has_grown.then_some(LoadError::Longer { is: sectors });
            assert_eq!(loaded.as_ref().err().cloned(), refused);
        }
        let Ok((mut store, loaded)) = loaded else {
            return;
        };
        // Nothing has relied on the new length, and nothing of it comes back.
        let mut table = table.clone();
        assert_eq!(loaded, table);
        change(&mut store, &mut table);
        with_one_bad(&old, &both, |disk, _| {
            let loaded = load_as(&disk, sectors, GROW).map(|(_, table)| table);
            assert_eq!(loaded, Ok(table.clone()));
        });
    });
}

/// As above, and the growth that is done again may be cut short, too.
#[test]
fn a_growth_may_be_cut_short_twice() {
    let sectors = LENGTHS[0];
    let (writes, commit) = writes_of_growth(&area(Format::NEW), sectors);
    for first in commit - 1 - OLD_SUPERBLOCKS..writes {
        let disk = area(Format::NEW);
        disk.cut_after(first, true);
        assert!(load_as(&disk, sectors, GROW).is_err());
        let (writes, commit) = writes_of_growth(&disk, sectors);
        for second in commit.saturating_sub(1 + OLD_SUPERBLOCKS)..writes {
            let disk = disk.after_power_cut();
            disk.cut_after(second, second % 2 == 0);
            assert!(load_as(&disk, sectors, GROW).is_err());
            let disk = disk.after_power_cut();
            assert_eq!(load_as(&disk, sectors, GROW).unwrap().1, first_table());
            assert!(load_as(&disk, SECTORS, GROW).is_err());
        }
    }
}

/// A write that fails refuses the load, and the area is there with one of the lengths.
#[test]
fn a_growth_that_cannot_be_written_is_refused() {
    let (writes, commit) = writes_of_growth(&area(Format::NEW), LENGTHS[1]);
    for number in 1..=writes {
        for torn in [false, true] {
            let disk = area(Format::NEW);
            disk.fail_writes((1..number).map(|_| None).chain([Some(torn)]));
            let refused = load_as(&disk, LENGTHS[1], GROW).err();
            assert_eq!(refused, Some(LoadError::Unwritable));
            let has_grown = number > commit;
            let sectors = LENGTHS[1];
            expect_usable(&disk, sectors, &first_table(), has_grown, false);
        }
    }
}

/// Bad places of the table in the old tail are left behind. A page that is not in both halves is not copied, and the
/// superblock needs all of its places.
#[test]
fn an_area_with_bad_places_grows_if_every_page_is_in_both_halves() {
    let layout = superblock(2048, 1).layout().unwrap();
    for index in 0..3 {
        for bad in [&[0][..], &[1], &[2], &[3], &[2, 3]] {
            let disk = area(Format::NEW);
            for place in bad {
                let sector = layout.sector_of(index, Place::ALL[*place]).unwrap();
                disk.spoil(sector, Spoil::Bytes(9));
                disk.0.borrow_mut().unwritable.insert(sector);
            }
            let grown = load_as(&disk, LENGTHS[0], GROW);
            let in_head = bad[0] < 2;
            if bad.len() > 1 || index == 0 {
                assert_eq!(grown.err(), Some(LoadError::Unwritable));
                assert_eq!(load_as(&disk, SECTORS, GROW).unwrap().1, first_table());
                disk.0.borrow_mut().unwritable.clear();
                assert_eq!(load_as(&disk, LENGTHS[0], GROW).unwrap().1, first_table());
            } else {
                let (store, table) = grown.unwrap();
                assert_eq!((store.is_degraded(), table), (in_head, first_table()));
                assert_eq!(load_as(&disk, LENGTHS[0], GROW).unwrap().1, first_table());
            }
        }
    }
}
