// SPDX-License-Identifier: GPL-2.0

//! `remap_restore`, as users call it.

mod area;

use area::{
    call,
    dump,
    formatted,
    image,
    image_with_failed_slots,
    load,
    spoil,
    File,
    Written,
    SECTORS, //
};
use remap_core::{
    metadata::{
        layout::{
            Layout,
            Place, //
        },
        store::LoadError, //
    },
    table::geometry::BlockSize, //
};
use remap_metadata::{
    dump::Dump,
    restore::write, //
};
use serde_json::{
    json,
    Value, //
};

fn restore(arguments: &[&str], json: &str) -> (i32, String, String) {
    call(env!("CARGO_BIN_EXE_remap_restore"), arguments, json)
}

fn blank() -> Vec<u8> {
    vec![0; SECTORS as usize * 512]
}

#[test]
fn what_was_dumped_comes_back() {
    let json = dump(&File::new("restore_from", &image().0));
    let file = File::new("restore_to", &blank());
    let (status, out, errors) = restore(&[file.path(), "-"], &json);
    assert_eq!((status, errors.as_str()), (0, ""));
    assert!(out.ends_with(": metadata of 3 remapped blocks written\n"));
    assert_eq!(dump(&file), json);
    let check = call(env!("CARGO_BIN_EXE_remap_check"), &[file.path()], "");
    assert_eq!(check.0, 0);
}

#[test]
fn turns_come_back_and_failed_slots_are_bad() {
    let json = dump(&File::new(
        "restore_turns_from",
        &image_with_failed_slots().0,
    ));
    let file = File::new("restore_turns", &blank());
    assert_eq!(restore(&[file.path(), "-"], &json).0, 0);
    assert_eq!(dump(&file), json);
    let check = call(env!("CARGO_BIN_EXE_remap_check"), &[file.path()], "");
    assert_eq!(check.0, 0);
    assert!(!check.1.contains("has failed"), "{}", check.1);
}

#[test]
fn only_the_area_and_only_its_metadata_is_written() {
    let json = dump(&File::new("restore_part_from", &image().0));
    let layout = image().1.layout().unwrap();
    let slots = layout.first_slot() as usize * 512;
    let mut before = vec![7; 8 * 512];
    before.extend(blank());
    before.extend([9; 4096]);
    before[8 * 512 + slots..][..8 * 512 * 12].fill(5);
    let file = File::new("restore_part", &before);
    let length = SECTORS.to_string();
    let arguments = [file.path(), "-", "--start", "8", "--length", &length];
    // The contents of the slots may be data.
    let (status, _, errors) = restore(&arguments, &json);
    assert_eq!(status, 3);
    let wanted = format!("not blank: sector {} of it", layout.first_slot());
    assert!(errors.contains(&wanted), "{errors}");
    assert!(file.bytes() == before);
    let arguments = [&arguments[..], &["--yes"]].concat();
    assert_eq!(restore(&arguments, &json).0, 0);
    let after = file.bytes();
    assert!(after[..8 * 512] == before[..8 * 512]);
    assert!(after[8 * 512 + slots..][..8 * 512 * 12] == before[8 * 512 + slots..][..8 * 512 * 12]);
    let end = 8 * 512 + SECTORS as usize * 512;
    assert!(after[end..] == before[end..]);
}

#[test]
fn remaps_are_given_up_only_when_asked() {
    let json = dump(&File::new("restore_empty", &formatted().0));
    let (mut doubtful, superblock) = image();
    for place in [Place::ALL[0], Place::ALL[2]] {
        spoil(&mut doubtful, &superblock.layout().unwrap(), 1, place);
    }
    let mut foreign = blank();
    foreign[..4].copy_from_slice(b"data");
    for (before, why) in [
        (image().0, "metadata of 3 remapped blocks; --yes"),
        (doubtful, "both copies of what may have come after it"),
        (foreign, "something that is no metadata; --yes"),
    ] {
        let file = File::new("restore_refused", &before);
        let (status, _, errors) = restore(&[file.path(), "-"], &json);
        assert_eq!(status, 3);
        assert!(errors.contains(why), "{errors}");
        assert!(file.bytes() == before);
        assert_eq!(restore(&[file.path(), "-", "--yes"], &json).0, 0);
        assert_eq!(dump(&file), json);
    }
    // An area without remaps may be overwritten.
    let file = File::new("restore_again", &formatted().0);
    assert_eq!(restore(&[file.path(), "-"], &json).0, 0);
}

#[test]
fn what_the_metadata_would_overwrite_has_to_be_zeros() {
    // With blocks of a sector the metadata reaches further in than labels do.
    let json = dump(&File::new("restore_large_from", &formatted().0));
    let mut large: Value = serde_json::from_str(&json).unwrap();
    let block = BlockSize::from_sectors(1).unwrap();
    large["block_size"] = json!(1);
    large["lost_unit"] = json!(1);
    large["spare_sectors"] = json!(80_000);
    large["slots"] = json!(Layout::new(80_000, block).unwrap().slots());
    let mut before = vec![0; 80_000 * 512];
    before[2500 * 512] = 1;
    let file = File::new("restore_large", &before);
    let (status, _, errors) = restore(&[file.path(), "-"], &large.to_string());
    assert_eq!(status, 3);
    assert!(errors.contains("not blank: sector 2500 of it"), "{errors}");
    assert!(file.bytes() == before);
    before[2500 * 512] = 0;
    let file = File::new("restore_large", &before);
    let (status, _, errors) = restore(&[file.path(), "-"], &large.to_string());
    assert_eq!((status, errors.as_str()), (0, ""));
}

#[test]
fn another_main_device_may_take_it_over() {
    let json = dump(&File::new("restore_main", &image().0));
    let mut known: Value = serde_json::from_str(&json).unwrap();
    known["main_identity"] = json!("0fc63daf-8483-4772-8e79-3d69d8477de4");
    known["main_sectors"] = json!(2_000_000);
    known["main_start"] = json!(64);
    let file = File::new("restore_any_main", &blank());
    let text = known.to_string();
    assert_eq!(restore(&[file.path(), "-"], &text).0, 0);
    let restored: Value = serde_json::from_str(&dump(&file)).unwrap();
    assert_eq!(restored, known);
    let arguments = [file.path(), "-", "--yes", "--any-main"];
    assert_eq!(restore(&arguments, &text).0, 0);
    known["main_identity"] = Value::Null;
    known["main_sectors"] = json!((1 << 20) + 64);
    // What was unread is on the device before only.
    let remap = &mut known["remaps"][1];
    assert_eq!(remap["unread"], json!([3, 7]));
    for field in ["unread", "untried"] {
        remap.as_object_mut().unwrap().remove(field);
    }
    remap["lost"] = json!([2, 3, 7]);
    let restored: Value = serde_json::from_str(&dump(&file)).unwrap();
    assert_eq!(restored, known);
}

#[test]
fn what_does_not_agree_with_itself_is_refused_by_name() {
    let json = dump(&File::new("restore_disagrees", &image().0));
    let dump: Value = serde_json::from_str(&json).unwrap();
    let first = dump["remaps"][0]["spare_sector"].as_u64().unwrap();
    let slots = dump["slots"].as_u64().unwrap();
    for (at, value, why) in [
        ("/block_size", json!(7), "block_size: 7 is no power of two"),
        ("/lost_unit", json!(3), "lost_unit: 3 does not divide"),
        ("/lost_unit", json!(0), "lost_unit: 0 does not divide"),
        ("/spare_sectors", json!(8), "spare_sectors: 8 have no room"),
        ("/slots", json!(slots - 1), "slots: an area of 4096 sectors"),
        ("/remaps/1/slot", json!(0), "spare_sector"),
        ("/remaps/1/sector", json!(40), "sector 40: twice"),
        ("/remaps/1/sector", json!(41), "sector 41: no multiple of"),
        ("/remaps/1/sector", json!(1 << 20), "beyond the target"),
        ("/remaps/1/spare_sector", json!(first), "not that of slot 1"),
        ("/remaps/1/slot", json!(slots), "there are only"),
        ("/remaps/1/lost", json!([8]), "starts at lost 8"),
        ("/remaps/1/turn", json!(4), "turn 4 is more than 3"),
        ("/remaps/1/lost", json!([2, 2]), "lost 2 twice"),
        ("/remaps/1/unread", json!([8]), "starts at unread 8"),
        ("/remaps/1/unread", json!([1, 1]), "unread 1 twice"),
        ("/remaps/1/unread", json!([1, 2]), "2 is both unread and"),
        ("/remaps/1/unread", json!([]), "untried, but nothing is"),
        ("/bitmaps", json!(0), "bitmaps: 0 is not 1 or 2"),
        ("/bitmaps", json!(3), "bitmaps: 3 is not 1 or 2"),
        ("/bad_slots", json!([1]), "slot 1: twice"),
        ("/bad_slots", json!([10, 10]), "slot 10: twice"),
        ("/bad_slots", json!([slots]), "there are only"),
        ("/uuid", json!("x"), "- is no dump"),
        (
            "/version",
            json!(1),
            "- is no dump: unknown field `version`",
        ),
    ] {
        let mut changed = dump.clone();
        match changed.pointer_mut(at) {
            Some(known) => *known = value,
            None => {
                let (parent, field) = at.rsplit_once('/').unwrap();
                changed.pointer_mut(parent).unwrap()[field] = value;
            }
        }
        let before = vec![0; 4096 * 512];
        let file = File::new("restore_disagreement", &before);
        let (status, _, errors) = restore(&[file.path(), "-", "--yes"], &changed.to_string());
        assert_eq!(status, 3, "{at}");
        assert!(errors.contains(why), "{at}: {errors}");
        assert!(file.bytes() == before);
    }
}

#[test]
fn an_area_of_another_length_is_refused() {
    let json = dump(&File::new("restore_length_from", &image().0));
    let file = File::new("restore_length", &[0; 4104 * 512]);
    let (status, _, errors) = restore(&[file.path(), "-"], &json);
    assert_eq!(status, 3);
    let more = "; --length 4096 takes so much of it, --length 4104 all of it\n";
    let wanted = format!("-: spare_sectors: 4096, but the area has 4104{more}");
    assert!(errors.ends_with(&wanted), "{errors}");
    assert!(file.bytes() == [0; 4104 * 512]);
    let arguments = [file.path(), "-", "--length", "4096"];
    assert_eq!(restore(&arguments, &json).0, 0);
    // A shorter one has no room for what the longer one has.
    let file = File::new("restore_shorter", &[0; 4088 * 512]);
    let (status, _, errors) = restore(&[file.path(), "-", "--length", "4088"], &json);
    assert_eq!(status, 3);
    assert!(
        errors.ends_with("spare_sectors: 4096, but the area has 4088\n"),
        "{errors}"
    );
}

/// Slots stay where they are, and what was the end of the area is none any more.
#[test]
fn a_larger_area_has_the_same_slots() {
    let before = image().0;
    let json = dump(&File::new("restore_larger_from", &before));
    let wanted = Dump::parse(json.as_bytes()).unwrap();
    for sectors in [4104_usize, 20_000] {
        let mut bytes = before.clone();
        bytes.resize(sectors * 512, 0);
        let file = File::new("restore_larger", &bytes);
        let length = sectors.to_string();
        let arguments = [file.path(), "-", "--length", &length];
        let (status, _, errors) = restore(&arguments, &json);
        assert_eq!(status, 3);
        assert!(
            errors.contains("metadata of a spare area of 4096 sectors; --yes"),
            "{errors}"
        );
        let arguments = [file.path(), "-", "--length", &length, "--yes"];
        assert_eq!(restore(&arguments, &json).0, 0);
        let again = dump(&file);
        let restored = Dump::parse(again.as_bytes()).unwrap();
        assert!(restored.slots > wanted.slots);
        assert_eq!(restored.spare_sectors, sectors as u64);
        assert!(restored.head_pages.is_some());
        assert_eq!(restored.remaps, wanted.remaps);
        assert_eq!(restored.bad_slots, wanted.bad_slots);
        // The dump of what has grown can be restored, too.
        assert_eq!(restore(&arguments, &again).0, 0);
        assert_eq!(dump(&file), again);
        // The old end is believed no more where the head cannot be read.
        let mut bytes = file.bytes();
        bytes[..8192].fill(0xff);
        let refused = load(&bytes[..4096 * 512]).unwrap_err();
        assert_eq!(refused, LoadError::Foreign);
    }
}

#[test]
fn what_is_no_image_is_refused() {
    let json = dump(&File::new("restore_no_image", &image().0));
    for (path, why) in [
        ("/dev/null", "/dev/null is no file and no block device"),
        ("/nonexistent/image", "cannot look at"),
    ] {
        let (status, _, errors) = restore(&[path, "-", "--yes"], &json);
        assert_eq!(status, 3);
        assert!(errors.contains(why), "{errors}");
    }
}

#[test]
fn what_is_restored_in_part_is_no_area() {
    // Over an area with other remaps.
    let before = image_with_failed_slots().0;
    let after = File::new("restore_states", &image().0);
    let wanted = Dump::parse(dump(&after).as_bytes()).unwrap();
    let image = Written::new(&before, usize::MAX);
    write(&image, &wanted.describe().unwrap(), None).unwrap();
    let (mut old, mut new) = (0, 0);
    for (number, state) in image.states().iter().enumerate() {
        match load(state).map(|area| Dump::new(&area)) {
            Ok(dump) if dump == wanted => new += 1,
            Ok(dump) => {
                old += 1;
                let known = Dump::new(&load(&before).unwrap());
                assert!(dump == known, "state {number} is another area");
            }
            Err(why) => {
                let blank = matches!(why, LoadError::Blank | LoadError::Formatting);
                assert!(!blank, "state {number}")
            }
        }
    }
    assert!(old > 0 && new > 0);
}
