// SPDX-License-Identifier: GPL-2.0

//! Fuzzes loading and repairing of areas. The input becomes changes of a valid area, or the pages of an area.
//! Loading must not panic. An area that was loaded and repaired is loaded again with equal contents.
//!
//! The first byte chooses between pages and changes, and the format of the area. A change is: a byte for the operation, a byte for the
//! page and its place, two bytes for the offset in the page, a byte for the length, and the bytes themselves.

#![no_main]

use libfuzzer_sys::fuzz_target;
use remap_core::metadata::{
    layout::Place,
    page::{
        Identity,
        Page, //
    },
    store::{
        recovery::recover,
        Findings, //
    },
    superblock::Format, //
};
use remap_fuzz::{
    superblock,
    valid,
    Memory,
    SECTORS, //
};
use remap_metadata::{
    area::{
        crc32c,
        with_scratch,
        Area, //
    },
    dump::Dump, //
};
use zerocopy::FromZeros;

/// Returns the sector of a place: `number` is four times the page, plus the place.
fn sector_of(number: u8) -> u64 {
    let layout = superblock(Format::NEW).layout().expect("room for slots");
    let index = u32::from(number / 4) % layout.pages();
    let place = Place::ALL[usize::from(number % 4)];
    layout.sector_of(index, place).expect("a page of the area")
}

/// Makes one change. Returns the rest of the input, `None` if it has no further change.
fn change<'a>(memory: &Memory, bytes: &'a [u8]) -> Option<&'a [u8]> {
    let (&[what, place, low, high, length], rest) = bytes.split_first_chunk()?;
    let (patch, rest) = rest.split_at_checked(usize::from(length))?;
    let mut pages = memory.0.borrow_mut();
    let sector = sector_of(place);
    let page = pages.entry(sector).or_insert_with(Page::new_zeroed);
    let mut identity = page.check(crc32c).unwrap_or(Identity {
        area: superblock(Format::NEW).area(),
        index: u32::from(place / 4) % 3,
        generation: u64::from(place % 2),
    });
    let at = usize::from(u16::from_le_bytes([low, high]));
    match what % 5 {
        // Other contents, with a valid checksum.
        0 => {
            for (to, from) in page.payload_mut().iter_mut().skip(at).zip(patch) {
                *to = *from;
            }
            page.seal(&identity, crc32c);
        }
        // Another generation or index, with a valid checksum.
        1 => {
            let mut number = [0; 8];
            for (to, from) in number.iter_mut().zip(patch) {
                *to = *from;
            }
            match at % 3 {
                0 => identity.generation = u64::from_le_bytes(number),
                1 => {
                    identity.generation = identity
                        .generation
                        .wrapping_add_signed(i64::from(low as i8))
                }
                _ => identity.index = u32::from(low),
            }
            page.seal(&identity, crc32c);
        }
        // Damage, without a new checksum.
        2 => {
            let bytes = Page::bytes_mut(std::slice::from_mut(page));
            for (to, from) in bytes.iter_mut().skip(at).zip(patch) {
                *to = *from;
            }
        }
        3 => page.zero(),
        // A copy of the page in another place.
        _ => {
            let page = *page;
            pages.insert(sector_of(low), page);
        }
    }
    Some(rest)
}

fn area(data: &[u8]) -> Memory {
    let Some((&first, mut rest)) = data.split_first() else {
        return Memory::default();
    };
    if first % 8 == 0 {
        let memory = Memory::default();
        for (number, bytes) in (0..12).zip(rest.chunks(4096)) {
            let mut page = Page::new_zeroed();
            let to = Page::bytes_mut(std::slice::from_mut(&mut page));
            to[..bytes.len()].copy_from_slice(bytes);
            memory.0.borrow_mut().insert(sector_of(number), page);
        }
        return memory;
    }
    let memory = valid(first / 8);
    while let Some(left) = change(&memory, rest) {
        rest = left;
    }
    memory
}

/// Loads an area, and checks that a repair does not change its contents. Returns false if it cannot be
/// loaded.
fn check_area(memory: &Memory) -> bool {
    let Ok((found, _)) = Area::load_from(memory, SECTORS, false) else {
        // Loading with repair has to fail, too.
        let copy = memory.clone();
        assert!(Area::load_from(&copy, SECTORS, true).is_err());
        return false;
    };
    let dump = Dump::new(&found);
    match dump.describe() {
        Ok(described) => assert!(described.entries == found.entries),
        Err(why) => panic!("{why}"),
    }
    let copy = memory.clone();
    let Ok((mended, mut store)) = Area::load_from(&copy, SECTORS, true) else {
        panic!("what can be read cannot be put right");
    };
    assert!(mended.entries == found.entries);
    // A page of the last generation cannot be written again.
    if mended.findings.unmended == 0 {
        assert!(store.is_settled());
        let checked = with_scratch(|scratch| store.check(scratch));
        assert!(checked == Ok(Findings::default()));
    }
    drop(store);
    let Ok((again, _)) = Area::load_from(&copy, SECTORS, false) else {
        panic!("what was put right cannot be loaded");
    };
    assert!(Dump::new(&again) == dump);
    assert!(again.failed.is_empty() || mended.findings.unmended > 0);
    true
}

fuzz_target!(|data: &[u8]| {
    let memory = area(data);
    if check_area(&memory) {
        return;
    }
    // A recovered area may still be refused. If it is not, the same has to hold for it.
    let mut pages = [Page::new_zeroed(); 2];
    if recover(&mut &memory, SECTORS, crc32c, &mut pages, true, |_| {}).is_ok() {
        check_area(&memory);
    }
});
