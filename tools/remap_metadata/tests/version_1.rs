// SPDX-License-Identifier: GPL-2.0

//! Areas of version 1, which later tools have to read.

mod area;

use std::{
    fs,
    io::Read,
    path::{
        Path,
        PathBuf, //
    },
};

use area::{
    block,
    call,
    commit,
    dump,
    load,
    units,
    File, //
};
use flate2::read::GzDecoder;
use remap_core::metadata::{
    entry::{
        Entry,
        UnitStates,
        Units, //
    },
    layout::Place,
    superblock::Format, //
};
use serde_json::{
    json,
    Value, //
};

fn kept(name: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    root.join("../../tests/images").join(name)
}

/// Names of the images: one was written by the tools, with units of two sectors, and one by the module, with slots
/// that have failed and a block that has moved on.
const IMAGES: [&str; 2] = ["version-1", "version-1-module"];

fn image(name: &str) -> Vec<u8> {
    let packed = fs::read(kept(&format!("{name}.img.gz"))).unwrap();
    let mut bytes = Vec::new();
    GzDecoder::new(&packed[..]).read_to_end(&mut bytes).unwrap();
    bytes
}

fn json_of(name: &str) -> String {
    fs::read_to_string(kept(&format!("{name}.json"))).unwrap()
}

fn check(file: &File) -> i32 {
    call(env!("CARGO_BIN_EXE_remap_check"), &[file.path()], "").0
}

#[test]
fn areas_of_version_1_are_read_as_they_were() {
    for name in IMAGES {
        let bytes = image(name);
        let file = File::new(name, &bytes);
        assert_eq!(check(&file), 0);
        assert_eq!(dump(&file), json_of(name));
        assert_eq!(load(&bytes).unwrap().superblock.format, Format::FIRST);
        assert!(file.bytes() == bytes);
    }
}

#[test]
fn copies_of_version_1_are_repaired_in_version_1() {
    for name in IMAGES {
        let mut bytes = image(name);
        let layout = load(&bytes).unwrap().layout;
        area::spoil(&mut bytes, &layout, 0, Place::ALL[1]);
        area::spoil(&mut bytes, &layout, 1, Place::ALL[2]);
        let file = File::new("version_1_repair", &bytes);
        assert_eq!(check(&file), 1);
        let repair = env!("CARGO_BIN_EXE_remap_repair");
        assert_eq!(call(repair, &["--yes", file.path()], "").0, 0);
        assert_eq!(check(&file), 0);
        assert_eq!(dump(&file), json_of(name));
        let format = load(&file.bytes()).unwrap().superblock.format;
        assert_eq!(format, Format::FIRST);
    }
}

#[test]
fn a_change_upgrades_version_1_and_keeps_the_rest() {
    for name in IMAGES {
        let mut bytes = image(name);
        let before = load(&bytes).unwrap();
        let last = before.layout.slots() - 2;
        let states = UnitStates::new(units(&[1]), Units::NONE, true);
        commit(&mut bytes, &[(last, block(77, 0, states))]);
        let after = load(&bytes).unwrap();
        assert_eq!(after.superblock.format, Format::UPGRADED);
        assert!(after.layout.has_places_of(&before.layout));
        let mut wanted = before.entries;
        wanted.push((last, block(77, 0, states)));
        wanted.sort_by_key(|(slot, _)| *slot);
        assert!(after.entries == wanted);
        let file = File::new("version_1_changed", &bytes);
        assert_eq!(check(&file), 0);
        let dump: Value = serde_json::from_str(&dump(&file)).unwrap();
        assert_eq!(dump.get("bitmaps"), None);
        let remaps = dump["remaps"].as_array().unwrap();
        let changed = remaps.iter().find(|remap| remap["slot"] == last).unwrap();
        let unread = before.superblock.lost_unit;
        assert_eq!(changed["unread"], json!([unread]));
        assert_eq!(changed["untried"], json!(true));
    }
}

/// The slots of an area have contents, so an area that is written from a dump has them in the same places.
#[test]
fn dumps_of_version_1_are_restored_with_its_layout() {
    for name in IMAGES {
        let bytes = image(name);
        let file = File::new("version_1_restored", &bytes);
        let restore = env!("CARGO_BIN_EXE_remap_restore");
        let json = json_of(name);
        let (status, _, errors) = call(restore, &["--yes", file.path(), "-"], &json);
        assert_eq!((status, errors.as_str()), (0, ""));
        assert_eq!(dump(&file), json);
        let (before, after) = (load(&bytes).unwrap(), load(&file.bytes()).unwrap());
        assert_eq!(after.superblock.format, Format::UPGRADED);
        assert!(after.layout.has_places_of(&before.layout));
        let slots = before.layout.first_slot() as usize * 512;
        let end =
            slots + (before.layout.slots() * before.superblock.block.sectors()) as usize * 512;
        assert!(file.bytes()[slots..end] == bytes[slots..end]);
    }
}

#[test]
fn a_dump_with_one_bitmap_has_no_block_with_both_states() {
    let mut dump: Value = serde_json::from_str(&json_of("version-1")).unwrap();
    dump["remaps"][0]["unread"] = json!([2]);
    let file = File::new("version_1_both", &image("version-1"));
    let restore = env!("CARGO_BIN_EXE_remap_restore");
    let arguments = ["--yes", file.path(), "-"];
    let (status, _, errors) = call(restore, &arguments, &dump.to_string());
    assert_eq!(status, 3);
    let wanted = "sector 0: unread and lost sectors in one block need bitmaps 2";
    assert!(errors.contains(wanted), "{errors}");
    dump["remaps"][0]["lost"] = json!([]);
    assert_eq!(call(restore, &arguments, &dump.to_string()).0, 0);
    let slot = |entry: &&(u32, Entry)| entry.0 == 2;
    let entries = load(&file.bytes()).unwrap().entries;
    let states = UnitStates::new(units(&[1]), Units::NONE, false);
    assert_eq!(entries.iter().find(slot), Some(&(2, block(0, 0, states))));
}
