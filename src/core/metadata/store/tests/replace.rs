// SPDX-License-Identifier: GPL-2.0

use super::*;
use crate::metadata::store::Failed;

/// An area as somebody has left it.
fn area(entries: &[(u32, Entry)]) -> Disk {
    let disk = Disk::default();
    let mut store = format(&disk, &superblock(2048, 1)).unwrap();
    commit(&mut store, entries).unwrap();
    disk
}

fn pages() -> [Page; 2] {
    [Page::new_zeroed(); 2]
}

fn replace(store: &mut TestStore, old: u32, new: u32) -> Result<(), CommitError> {
    store.replace(3, old, new, &UnitStates::WHOLE, &mut pages())
}

#[test]
fn of_two_slots_with_a_block_the_next_turn_counts() {
    for turn in 0..4 {
        let next = (turn + 1) % 4;
        for (old, new) in [(3, 20), (20, 3), (3, 4), (4, 3)] {
            let entries = [(old, turned(3, turn)), (new, turned(3, next))];
            let disk = area(&entries);
            let wanted = Table::from([(old, Entry::Bad), (new, turned(3, next))]);
            let (mut store, findings, table) = load(&disk).unwrap();
            assert_eq!((findings.failed, &table), (1, &wanted));
            let failed = Failed {
                block: 3,
                slot: old,
            };
            assert_eq!(store.failed().collect::<Vec<_>>(), [failed]);
            // Loading alone does not change it, and nothing else is written before it.
            assert_eq!(load(&disk).unwrap().1.failed, 1);
            assert!(!store.is_settled());
            let writes = disk.0.borrow().writes;
            assert!(commit(&mut store, &[(new, Entry::Free)]).is_err());
            assert_eq!(disk.0.borrow().writes, writes);
            store.retire(&mut pages()).unwrap();
            assert!(store.is_settled());
            assert_eq!(store.failed().next(), None);
            let (_, findings, table) = load(&disk).unwrap();
            assert_eq!((findings, &table), (Findings::default(), &wanted));
            commit(&mut store, &[(new, Entry::Free)]).unwrap();
        }
    }
}

#[test]
fn a_pair_is_told_apart_where_nothing_can_be_written() {
    for missing in Place::ALL
        .into_iter()
        .filter(|place| place.half == Half::Tail)
    {
        for spoilt in [1, 2] {
            for torn_writes in [0, 1, 3] {
                let disk = area(&[(3, turned(3, 0)), (20, turned(3, 1))]);
                let (store, ..) = load(&disk).unwrap();
                let sector = store.layout().sector_of(spoilt, missing).unwrap();
                disk.spoil(sector, Spoil::Zeros);
                disk.cut_after(torn_writes, false);
                let (_, findings, table) = load(&disk).unwrap();
                let wanted = Table::from([(3, Entry::Bad), (20, turned(3, 1))]);
                assert_eq!((findings.failed, table), (1, wanted));
            }
        }
    }
}

#[test]
fn other_pairs_are_refused_and_so_are_three() {
    for (one, other) in (0..4).flat_map(|one| (0..4).map(move |other| (one, other))) {
        let follows = (one + 1) % 4 == other || (other + 1) % 4 == one;
        let loaded = load(&area(&[(3, turned(3, one)), (20, turned(3, other))]));
        let refused = (!follows).then_some(LoadError::Twice { slot: 20 });
        assert_eq!(loaded.err(), refused, "{one} {other}");
        for third in 0..4 {
            let entries = [
                (3, turned(3, one)),
                (9, turned(3, other)),
                (20, turned(3, third)),
            ];
            let refused = load(&area(&entries)).err();
            let twice = matches!(refused, Some(LoadError::Twice { .. }));
            assert!(twice, "{one} {other} {third}: {refused:?}");
        }
    }
    // With another block on its way in between.
    let entries = [
        (3, turned(3, 0)),
        (9, turned(3, 1)),
        (10, turned(7, 0)),
        (11, turned(7, 1)),
        (20, turned(3, 2)),
    ];
    let refused = load(&area(&entries)).err();
    assert!(matches!(refused, Some(LoadError::Twice { .. })));
}

#[test]
fn many_blocks_may_have_been_on_their_way() {
    // In another order by block than by slot.
    let entries = [
        (0, turned(9, 2)),
        (2, turned(5, 0)),
        (7, turned(2, 3)),
        (11, turned(9, 1)),
        (16, turned(2, 0)),
        (23, turned(5, 1)),
    ];
    let disk = area(&entries);
    let wanted = Table::from([
        (0, turned(9, 2)),
        (2, Entry::Bad),
        (7, Entry::Bad),
        (11, Entry::Bad),
        (16, turned(2, 0)),
        (23, turned(5, 1)),
    ]);
    let (mut store, findings, table) = load(&disk).unwrap();
    assert_eq!((findings.failed, &table), (3, &wanted));
    let slots: Vec<_> = store.failed().map(|it| it.slot).collect();
    assert_eq!(slots, [2, 7, 11]);
    // One page has all of them.
    let before = disk.0.borrow().writes;
    store.retire(&mut pages()).unwrap();
    assert_eq!(disk.0.borrow().writes - before, 2);
    assert_eq!(load(&disk).unwrap().1, Findings::default());
}

#[test]
fn what_a_slot_holds_is_read() {
    let disk = area(&[(3, turned(3, 2)), (20, Entry::Bad)]);
    let (mut store, ..) = load(&disk).unwrap();
    let mut read = |slot| store.entry(slot, &mut pages());
    assert_eq!(read(3), Ok(turned(3, 2)));
    assert_eq!(read(4), Ok(Entry::Free));
    assert_eq!(read(20), Ok(Entry::Bad));
    assert_eq!(read(24), Err(Unwritable { index: 2 }));
    let layout = superblock(2048, 1).layout().unwrap();
    for (nth, wanted) in [(0, Ok(Entry::Bad)), (2, Err(Unwritable { index: 2 }))] {
        let sector = layout.sector_of(2, Place::ALL[nth + 1]).unwrap();
        disk.spoil(sector, Spoil::Bytes(1));
        assert_eq!(store.entry(20, &mut pages()), wanted);
    }
}

#[test]
fn a_block_goes_on_with_the_states_of_its_units() {
    for new in [4, 20] {
        let disk = area(&[(3, turned(3, 3))]);
        let (mut store, ..) = load(&disk).unwrap();
        let entry = missing(3, &[5], &[2], true);
        let Entry::Block { states, .. } = entry else {
            unreachable!()
        };
        let before = disk.0.borrow().writes;
        store.replace(3, 3, new, &states, &mut pages()).unwrap();
        // One page is written once, and each of two.
        let writes = if new == 4 { 2 } else { 4 };
        assert_eq!(disk.0.borrow().writes - before, writes);
        assert!(store.is_settled());
        let wanted = Table::from([(3, Entry::Bad), (new, entry)]);
        assert_eq!(load(&disk).unwrap().2, wanted);
        // The slot does not have it any more, and has not had another.
        for block in [3, 9] {
            let again = store.replace(block, 3, 7, &UnitStates::WHOLE, &mut pages());
            let unchanged = CommitError::Unchanged(Unwritable { index: 1 });
            assert_eq!(again, Err(unchanged));
        }
        assert_eq!(load(&disk).unwrap().2, wanted);
    }
}

/// Writes that fail, of the two of each of five attempts to write a page.
fn failing_writes() -> impl Strategy<Value = Vec<u64>> {
    const WHICH: [&[u64]; 5] = [&[], &[0], &[1], &[1], &[0, 1]];
    let which = prop::sample::select(&WHICH);
    prop::collection::vec(which, 5).prop_map(|attempts| {
        let attempts = (0..).step_by(2).zip(attempts);
        attempts
            .flat_map(|(first, which)| which.iter().map(move |nth| first + nth))
            .collect()
    })
}

/// The block goes through slots of both pages, again and again, and the power goes at any write.
#[test]
fn a_replacement_may_be_cut_short() {
    // Six moves: the turns begin again.
    let slots = [3, 20, 4, 21, 22, 5, 23];
    for (torn, cut) in [false, true]
        .into_iter()
        .flat_map(|torn| (0..24).map(move |cut| (torn, cut)))
    {
        let mut disk = area(&[(3, block(3)), (19, block(19))]);
        let (mut store, ..) = load(&disk).unwrap();
        disk.cut_after(cut, torn);
        for (old, new) in slots.into_iter().zip(slots.into_iter().skip(1)) {
            let ended = replace(&mut store, old, new);
            if ended.is_ok() && store.is_settled() {
                continue;
            }
            disk = disk.after_power_cut();
            let (reloaded, _, table) = load(&disk).unwrap();
            store = reloaded;
            store.retire(&mut pages()).unwrap();
            let now = slot_of(&table, 3).unwrap();
            assert!(now == new || (now == old && ended.is_err()), "{now}");
            assert_eq!(slot_of(&table, 19), Some(19));
            if now == old {
                replace(&mut store, old, new).unwrap();
            }
        }
        let mut wanted = Table::from([(23, turned(3, 2)), (19, block(19))]);
        wanted.extend(slots[..6].iter().map(|slot| (*slot, Entry::Bad)));
        let (_, findings, table) = load(&disk).unwrap();
        assert_eq!((findings, table), (Findings::default(), wanted));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Whichever writes fail: the block is where the store says, and so it is when it is loaded.
    #[test]
    fn writes_of_a_replacement_may_fail(
        new in prop::sample::select(&[4_u32, 20, 20]),
        failing in failing_writes(),
        version in prop::sample::select(&[Version::Old, Version::New]),
    ) {
        let disk = area(&[(3, block(3))]);
        let (mut store, ..) = load(&disk).unwrap();
        let next = disk.0.borrow().writes + 1;
        let numbers = failing.iter().map(|number| next + number);
        disk.0.borrow_mut().failing.extend(numbers);
        let mut pages = pages();
        let ended = store.replace(3, 3, new, &UnitStates::WHOLE, &mut pages);
        let uncertain = matches!(ended, Err(CommitError::Uncertain(_)));
        // The pages are nobody else's before it is decided.
        prop_assert!(!uncertain || store.entry(9, &mut pages).is_err());
        // A crash comes here.
        let (_, _, crashed) = load(&disk.after_power_cut()).unwrap();
        let now = slot_of(&crashed, 3).unwrap();
        let moved = ended.is_ok() || (uncertain && version == Version::New);
        let slot = if moved { new } else { 3 };
        prop_assert!(now == slot || uncertain && (now == 3 || now == new), "{}", now);
        // Or it goes on, as soon as it can be written.
        disk.0.borrow_mut().failing.clear();
        store.settle(version, &mut pages).unwrap();
        store.retire(&mut pages).unwrap();
        prop_assert!(store.is_settled());
        let mut wanted = Table::from([(3, block(3))]);
        if moved {
            apply(&mut wanted, &[(3, Entry::Bad), (new, turned(3, 1))]);
        }
        let (_, findings, table) = load(&disk).unwrap();
        prop_assert_eq!((findings.failed, table), (0, wanted));
        // And the store knows what there is.
        commit(&mut store, &[(slot, Entry::Free)]).unwrap();
        prop_assert_eq!(slot_of(&load(&disk).unwrap().2, 3), None);
    }

    /// Blocks go on to other slots, and the power goes at any write, also while what a crash has
    /// left is put right: every block is in its old slot or in its new one.
    #[test]
    fn no_power_cut_loses_a_block_on_its_way(
        steps in prop::collection::vec((0..4_u64, 0..24_u32, 0..12_u64, any::<bool>()), 1..20),
    ) {
        let mut disk = area(&[(0, block(0)), (8, block(1)), (16, block(2)), (23, block(3))]);
        let (mut store, _, mut table) = load(&disk).unwrap();
        for (moving, new, cut, torn) in steps {
            if table.contains_key(&new) {
                continue;
            }
            let old = slot_of(&table, moving).unwrap();
            disk.cut_after(cut, torn);
            let mut pages = pages();
            let retired = store.retire(&mut pages);
            let ended = retired.and_then(|()| {
                store.replace(moving, old, new, &UnitStates::WHOLE, &mut pages)
            });
            disk = disk.after_power_cut();
            let (reloaded, _, loaded) = load(&disk).unwrap();
            store = reloaded;
            for other in 0..4 {
                let (before, now) = (slot_of(&table, other), slot_of(&loaded, other));
                let good = match other == moving {
                    true if ended.is_ok() => now == Some(new),
                    true => now == Some(old) || now == Some(new),
                    false => now == before,
                };
                prop_assert!(good, "block {other} was in {before:?} and is in {now:?}");
            }
            // What has failed stays so.
            for (slot, entry) in &table {
                let bad = *entry == Entry::Bad || loaded.get(slot) != Some(entry);
                prop_assert!(!bad || loaded.get(slot) == Some(&Entry::Bad));
            }
            table = loaded;
        }
    }
}
