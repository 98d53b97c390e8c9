// SPDX-License-Identifier: GPL-2.0

//! `remap_export` and `remap_import`, as users call them.

mod area;

use area::{
    call,
    dump,
    formatted,
    image,
    File, //
};
use serde_json::{
    json,
    Value, //
};

fn export(arguments: &[&str], file: &File) -> String {
    let arguments = [arguments, &[file.path()]].concat();
    let (status, out, errors) = call(env!("CARGO_BIN_EXE_remap_export"), &arguments, "");
    assert_eq!((status, errors.as_str()), (0, ""));
    out
}

fn import(arguments: &[&str], list: &str) -> (i32, String, String) {
    let arguments = [arguments, &["-"]].concat();
    call(env!("CARGO_BIN_EXE_remap_import"), &arguments, list)
}

/// Returns the output of `remap_import` for a target of 1000 sectors from sector 100 of main on.
fn imported(arguments: &[&str], list: &str) -> String {
    let target = ["--main-start", "100", "--target-sectors", "1000"];
    let (status, out, errors) = import(&[&target, arguments].concat(), list);
    assert_eq!((status, errors.as_str()), (0, ""));
    out
}

/// Makes the image of the tests, but with its target at sector 64 of main.
fn moved(name: &str) -> File {
    let mut dump: Value = serde_json::from_str(&dump(&File::new(name, &image().0))).unwrap();
    dump["main_start"] = json!(64);
    let file = File::new(&format!("{name}_moved"), &vec![0; image().0.len()]);
    let program = env!("CARGO_BIN_EXE_remap_restore");
    let restored = call(program, &[file.path(), "-"], &dump.to_string());
    assert_eq!(restored.0, 0);
    file
}

#[test]
fn remapped_blocks_are_exported_as_they_lie_on_main() {
    // Blocks 0, 5 and 100 of 8 sectors.
    let file = moved("export");
    let wanted = "32\n33\n34\n35\n52\n53\n54\n55\n432\n433\n434\n435\n";
    assert_eq!(export(&[], &file), wanted);
    assert_eq!(export(&["-b", "4096"], &file), "8\n13\n108\n");
    let wanted = "0x00000000     +               1\n\
        #      pos        size  status\n\
        0x00000000  0x00008000  +\n\
        0x00008000  0x00001000  -\n\
        0x00009000  0x00004000  +\n\
        0x0000D000  0x00001000  -\n\
        0x0000E000  0x0005E000  +\n\
        0x0006C000  0x00001000  -\n\
        0x0006D000  0x1FF9B000  +\n";
    let map = export(&["--format", "ddrescue"], &file);
    assert!(map.ends_with(wanted), "{map}");
}

#[test]
fn remapped_blocks_are_exported_as_messages_and_json() {
    let file = File::new("export_messages", &image().0);
    let wanted = "remap 0 8\nremap 40 8\nremap 800 8\n";
    assert_eq!(export(&["--format", "messages"], &file), wanted);
    assert_eq!(export(&["--format", "json"], &file), dump(&file));
}

#[test]
fn what_is_exported_is_imported() {
    let file = moved("export_import");
    let target = ["--main-start", "64", "--target-sectors", "1048576"];
    let wanted = "remap 0 8\nremap 40 8\nremap 800 8\n";
    for format in ["badblocks", "ddrescue"] {
        let list = export(&["--format", format], &file);
        let more = ["--format", format, "--keep-contents"];
        let (status, out, _) = import(&[&target[..], &more].concat(), &list);
        assert_eq!((status, out.as_str()), (0, wanted));
    }
}

#[test]
fn what_is_bad_is_widened_to_blocks_and_merged() {
    // Sectors 100 and 101, 114 and 115, 116 and 117, 1098 and 1099.
    let list = "50\n57\n58\n549\n57\n";
    let wanted = "bad 0 8\nbad 8 16\nbad 992 8\n";
    assert_eq!(
        imported(&[], list),
        wanted.replace("bad 0 8\nbad 8 16\n", "bad 0 24\n")
    );
    assert_eq!(imported(&["-b", "512"], "108\n"), "bad 8 8\n");
    assert_eq!(imported(&["--block-size", "16"], "549\n"), "bad 992 8\n");
    let map = "0 +\n0 51200 +\n51200 512 -\n51712 8192 *\n59904 8192 ?\n";
    assert_eq!(imported(&["--format", "ddrescue"], map), "bad 0 8\n");
    let more = ["--format", "ddrescue", "--status", "-*"];
    assert_eq!(imported(&more, map), "bad 0 24\n");
}

#[test]
fn what_is_not_within_the_target_is_refused_or_left_out() {
    for (list, sectors) in [("49\n", "98 to 99"), ("550\n", "1100 to 1101")] {
        let target = ["--main-start", "100", "--target-sectors", "1000"];
        let (status, out, errors) = import(&target, list);
        assert_eq!((status, out.as_str()), (3, ""));
        let wanted = format!("sectors {sectors} of main are not all within the target");
        assert!(errors.contains(&wanted), "{errors}");
        let list = format!("{list}51\n");
        assert_eq!(imported(&["--clip"], &list), "bad 0 8\n");
    }
}

#[test]
fn what_is_no_list_is_refused() {
    for (arguments, list, why) in [
        (&["--format", "badblocks"][..], "x", "-: line 1: 'x' is no"),
        (
            &["--format", "ddrescue"],
            "1\n",
            "-: line 1: '1' is no area",
        ),
        (
            &["--format", "ddrescue", "--status", "+"],
            "0 +\n",
            "--status: '+' is none of - * / ?",
        ),
        (&["--block-size", "7"], "", "--block-size: 7 is no power"),
        (
            &["--main-start", "18446744073709551615"],
            "",
            "--main-start: no device has 1000 sectors",
        ),
    ] {
        let target = ["--target-sectors", "1000"];
        let (status, _, errors) = import(&[arguments, &target].concat(), list);
        assert_eq!(status, 3);
        assert!(errors.contains(why), "{errors}");
    }
    let usage = import(&[], "");
    assert_eq!(usage.0, 2);
}

#[test]
fn an_area_is_imported_offline() {
    let source = File::new("import_json_from", &image().0);
    let json = File::new("import_json", dump(&source).as_bytes());
    // Block 100 is remapped, 101 is not; slots 0, 1, 9 are taken and 10 is bad.
    let arguments = ["--json", json.path(), "-b", "4096"];
    let (status, out, errors) = import(&arguments, "100\n101\n102\n");
    assert_eq!((status, errors.as_str()), (0, ""));
    let mut wanted: Value = serde_json::from_str(&dump(&source)).unwrap();
    let first = image().1.layout().unwrap().first_slot();
    let lost: Vec<_> = (0..8).collect();
    for (slot, sector) in [(2, 808), (3, 816)] {
        let remap = json!({
            "slot": slot, "sector": sector, "spare_sector": first + 8 * slot, "lost": lost,
        });
        let remaps = wanted["remaps"].as_array_mut().unwrap();
        remaps.insert(slot as usize, remap);
    }
    assert_eq!(serde_json::from_str::<Value>(&out).unwrap(), wanted);
    // remap_restore takes this output.
    let file = File::new("import_json_to", &formatted().0);
    let program = env!("CARGO_BIN_EXE_remap_restore");
    assert_eq!(call(program, &[file.path(), "-"], &out).0, 0);
    assert_eq!(dump(&file), out);
}

#[test]
fn an_area_takes_no_more_blocks_than_it_has_slots() {
    let json = dump(&File::new("import_full_from", &formatted().0));
    let slots = serde_json::from_str::<Value>(&json).unwrap()["slots"].as_u64();
    let list = |blocks: u64| {
        let numbers: Vec<_> = (0..blocks).map(|block| block.to_string()).collect();
        numbers.join("\n")
    };
    let json = File::new("import_full", json.as_bytes());
    let arguments = ["--json", json.path(), "-b", "4096"];
    assert_eq!(import(&arguments, &list(slots.unwrap())).0, 0);
    let (status, out, errors) = import(&arguments, &list(slots.unwrap() + 1));
    assert_eq!((status, out.as_str()), (3, ""));
    let sector = slots.unwrap() * 8;
    let wanted = format!("no slot is free for the block at sector {sector}\n");
    assert!(errors.ends_with(&wanted), "{errors}");
}

#[test]
fn messages_count_from_the_start_of_the_mapped_device() {
    let file = File::new("export_start", &image().0);
    let arguments = ["--format", "messages", "--target-start", "800"];
    let wanted = "remap 800 8\nremap 840 8\nremap 1600 8\n";
    assert_eq!(export(&arguments, &file), wanted);
    let shift = ["--target-start", "4k", "-b", "512"];
    assert_eq!(imported(&shift, "108\n"), "bad 16 8\n");
    let last = u64::MAX.to_string();
    let far = ["--target-sectors", "1000", "--target-start", &last];
    let (status, out, errors) = import(&far, "1\n");
    assert_eq!((status, out.as_str()), (3, ""));
    assert!(
        errors.contains("--target-start: no mapped device"),
        "{errors}"
    );
}
