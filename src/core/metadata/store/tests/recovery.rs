// SPDX-License-Identifier: GPL-2.0

use super::*;
use crate::metadata::store::recovery::{
    recover,
    Error,
    Recovered, //
};

fn recovered(disk: &Disk, forget: bool) -> Result<Vec<Recovered>, Error> {
    let mut told = Vec::new();
    let mut pages = [Page::new_zeroed(); 2];
    let mut disk = disk.clone();
    recover(&mut disk, SECTORS, crc32c, &mut pages, forget, |it| {
        told.push(it);
    })?;
    Ok(told)
}

/// An area with a remap in each page of its table, that of page 1 written last as generation 4.
fn area() -> (Disk, Layout) {
    let disk = Disk::default();
    let mut store = format(&disk, &superblock(2048, 1)).unwrap();
    commit(&mut store, &[(1, block(1)), (20, block(20))]).unwrap();
    commit(&mut store, &[(2, block(2))]).unwrap();
    let layout = *store.layout();
    (disk, layout)
}

fn spoil_places(disk: &Disk, layout: &Layout, index: u32, odd: bool) {
    for half in Half::BOTH {
        let sector = layout.sector_of(index, Place { half, odd }).unwrap();
        disk.spoil(sector, Spoil::Bytes(7));
    }
}

#[test]
fn what_can_be_believed_is_left_alone() {
    let (disk, layout) = area();
    let bad = layout.sector_of(1, Place::ALL[0]).unwrap();
    disk.spoil(bad, Spoil::Zeros);
    let before = disk.0.borrow().writes;
    assert_eq!(recovered(&disk, true), Ok(vec![]));
    assert_eq!(disk.0.borrow().writes, before);
}

#[test]
fn the_newest_valid_copy_is_believed_when_asked() {
    let (disk, layout) = area();
    spoil_places(&disk, &layout, 1, false);
    let doubt = Doubt::Superseded { found: 3 };
    let refused = Some(LoadError::Page { index: 1, doubt });
    assert_eq!(load(&disk).err(), refused);
    let wanted = Recovered {
        index: 1,
        slots: 0..15,
        doubt,
    };
    assert_eq!(recovered(&disk, false), Ok(vec![wanted]));
    // Without what generation 4 brought.
    let wanted = Table::from([(1, block(1)), (20, block(20))]);
    assert_eq!(load(&disk).unwrap().2, wanted);
    assert_eq!(load(&disk).unwrap().1, Findings::default());
}

#[test]
fn a_page_without_a_copy_is_forgotten_only_when_asked() {
    let (disk, layout) = area();
    spoil_places(&disk, &layout, 2, false);
    spoil_places(&disk, &layout, 2, true);
    spoil_places(&disk, &layout, 1, false);
    let doubt = Doubt::Nothing;
    let refused = LoadError::Page { index: 2, doubt };
    let writes = disk.0.borrow().writes;
    assert_eq!(recovered(&disk, false), Err(Error::Load(refused)));
    assert_eq!(disk.0.borrow().writes, writes);
    let told = recovered(&disk, true).unwrap();
    let found: Vec<_> = told.iter().map(|it| (it.index, it.slots.clone())).collect();
    assert_eq!(found, [(1, 0..15), (2, 15..24)]);
    assert_eq!(load(&disk).unwrap().2, Table::from([(1, block(1))]));
}

#[test]
fn a_superblock_is_believed_but_never_forgotten() {
    let (disk, layout) = area();
    spoil_places(&disk, &layout, 0, true);
    assert_eq!(recovered(&disk, false).unwrap().len(), 1);
    assert!(load(&disk).is_ok());
    for odd in [false, true] {
        spoil_places(&disk, &layout, 0, odd);
    }
    let refused = Err(Error::Load(LoadError::Foreign));
    assert_eq!(recovered(&disk, true), refused);
}

#[test]
fn what_cannot_be_written_is_named() {
    let (disk, layout) = area();
    spoil_places(&disk, &layout, 1, false);
    let bad = layout.sector_of(1, Place::ALL[2]).unwrap();
    disk.0.borrow_mut().unwritable.insert(bad);
    let refused = Err(Error::Write(Unwritable { index: 1 }));
    assert_eq!(recovered(&disk, false), refused);
}

proptest! {
    /// Cut short at any write and done again, it ends as if it had not been.
    #[test]
    fn recovery_may_be_cut_short(
        bad in prop::collection::btree_set((1..3_u32, 0..4_usize), 1..8),
        cut in 0..8_u64,
        torn: bool,
    ) {
        let (disk, layout) = area();
        for (index, place) in bad {
            let sector = layout.sector_of(index, Place::ALL[place]).unwrap();
            disk.spoil(sector, Spoil::Bytes(7));
        }
        let whole = disk.after_power_cut();
        recovered(&whole, true).unwrap();
        disk.cut_after(cut, torn);
        let _ = recovered(&disk, true);
        let again = disk.after_power_cut();
        recovered(&again, true).unwrap();
        prop_assert_eq!(load(&again).unwrap().2, load(&whole).unwrap().2);
    }
}
