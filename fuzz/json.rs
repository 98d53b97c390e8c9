// SPDX-License-Identifier: GPL-2.0

//! Fuzzes dumps in JSON. A dump is refused, or an area can be written from it that has an equal dump.

#![no_main]

use libfuzzer_sys::fuzz_target;
use remap_fuzz::write;
use remap_metadata::{
    area::Area,
    dump::Dump, //
};

/// Largest area that is written. A larger one would only take longer.
const MAX_PAGES: u32 = 8;

fuzz_target!(|data: &[u8]| {
    let Ok(mut dump) = Dump::parse(data) else {
        return;
    };
    let Ok(described) = dump.describe() else {
        return;
    };
    let mut text = Vec::new();
    assert!(dump.to_json(&mut text).is_ok());
    assert!(Dump::parse(&text).is_ok_and(|parsed| parsed == dump));
    if described.layout.pages() > MAX_PAGES {
        return;
    }
    let memory = write(&described);
    let Ok((area, _)) = Area::load_from(&memory, dump.spare_sectors, false) else {
        panic!("what was written cannot be loaded");
    };
    dump.remaps.sort_by_key(|remap| remap.slot);
    for remap in &mut dump.remaps {
        remap.unread.sort();
        remap.lost.sort();
    }
    dump.bad_slots.sort();
    // An identity of zeros means no identity.
    dump.main_identity = dump.main_identity.filter(|identity| !identity.is_nil());
    assert_eq!(Dump::new(&area), dump);
});
