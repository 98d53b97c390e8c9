// SPDX-License-Identifier: GPL-2.0

//! Library of the fuzzers: an area in memory, and a valid one to begin with.

use std::{
    cell::RefCell,
    collections::BTreeMap, //
};

use remap_core::{
    metadata::{
        entry::{
            Entry,
            UnitStates,
            Units, //
        },
        page::Page,
        store::{
            numbers_of,
            Storage,
            Store, //
        },
        superblock::{
            Format,
            Main,
            Superblock, //
        },
        turn::Turn,
        PAGE_SECTORS, //
    },
    table::geometry::BlockSize, //
};
use remap_metadata::{
    area::crc32c,
    dump::Described, //
};
use zerocopy::FromZeros;

/// Sectors of the area: room for 24 slots of 2048 sectors, whose entries need two pages.
pub const SECTORS: u64 = 24 * 2048 + 2 * 3 * 16 + 2048;

/// Area in memory: the pages by their sector. All other pages are zero.
#[derive(Clone, Default)]
pub struct Memory(pub RefCell<BTreeMap<u64, Page>>);

impl Storage for &Memory {
    type Error = ();

    fn read(&mut self, sector: u64, pages: &mut [Page]) -> Result<(), ()> {
        let known = self.0.borrow();
        for (number, page) in (0..).zip(pages) {
            match known.get(&(sector + number * PAGE_SECTORS)) {
                Some(known) => *page = *known,
                None => page.zero(),
            }
        }
        Ok(())
    }

    fn write(&mut self, sector: u64, pages: &[Page]) -> Result<(), ()> {
        let mut known = self.0.borrow_mut();
        for (number, page) in (0..).zip(pages) {
            known.insert(sector + number * PAGE_SECTORS, *page);
        }
        Ok(())
    }
}

/// Writes the area that a dump describes.
pub fn write(described: &Described) -> Memory {
    let memory = Memory::default();
    let numbers = vec![0; numbers_of(&described.layout)];
    let mut pages = [Page::new_zeroed(); 2];
    let superblock = &described.superblock;
    let Ok(mut store) = Store::format(&memory, superblock, numbers, crc32c, &mut pages) else {
        panic!("memory cannot be formatted");
    };
    let committed = store.commit(described.entries.iter().copied(), &mut pages);
    assert!(committed.is_ok(), "memory cannot be written");
    drop(store);
    memory
}

/// Returns the superblock of the valid area. It has as many pages in every format.
pub fn superblock(format: Format) -> Superblock {
    Superblock {
        format,
        uuid: *b"0123456789abcdef",
        main: Main {
            identity: *b"the main device\0",
            sectors: 1 << 20,
            start: 64,
        },
        length: 1 << 19,
        block: BlockSize::from_sectors(2048).expect("a power of two"),
        lost_unit: if format == Format::NEW { 2 } else { 1 },
        sectors: SECTORS,
        head_pages: None,
    }
}

/// Formats of the valid areas.
pub const FORMATS: [Format; 3] = [Format::NEW, Format::UPGRADED, Format::FIRST];

/// Returns a valid area with blocks, unread and lost sectors and a bad slot. `which` chooses its format. An area of
/// version 1 is empty.
pub fn valid(which: u8) -> Memory {
    thread_local! {
        static VALID: [Memory; FORMATS.len()] = FORMATS.map(make_valid);
    }
    VALID.with(|valid| valid[usize::from(which) % FORMATS.len()].clone())
}

fn make_valid(format: Format) -> Memory {
    let superblock = superblock(format);
    let units = |numbers: &[u32]| {
        let mut units = Units::NONE;
        numbers.iter().for_each(|number| units.insert(*number));
        units
    };
    let block = |block, states| Entry::Block {
        block,
        turn: Turn::FIRST,
        states,
    };
    let unread = UnitStates::new(units(&[0, 1000]), Units::NONE, true);
    let lost = UnitStates::new(Units::NONE, units(&[1023]), false);
    let both = UnitStates::new(units(&[3]), units(&[1023]), false);
    let entries = vec![
        (0, block(3, lost)),
        (2, Entry::Bad),
        (14, block(0, unread)),
        (
            20,
            block(255, if format == Format::NEW { both } else { lost }),
        ),
    ];
    write(&Described {
        superblock,
        layout: superblock.layout().expect("room for slots"),
        entries: if format.is_old() { Vec::new() } else { entries },
    })
}
