// SPDX-License-Identifier: GPL-2.0

//! The tools as users call them, on images.

mod area;

use std::{
    fs,
    os::{
        fd::OwnedFd,
        unix::net::UnixStream, //
    },
    path::PathBuf,
    process::{
        Command,
        Stdio, //
    },
};

use area::{
    call,
    image,
    image_with_failed_slots,
    File,
    SECTORS, //
};
use remap_core::{
    metadata::{
        layout::Place,
        PAGE_BYTES, //
    },
    table::geometry::BlockSize, //
};

fn run(program: &str, arguments: &[&str], file: &File) -> (i32, String, String) {
    let path = file.0.to_str().unwrap();
    call(program, &[arguments, &[path]].concat(), "")
}

fn check(file: &File) -> (i32, String, String) {
    run(env!("CARGO_BIN_EXE_remap_check"), &[], file)
}

#[test]
fn a_good_area_is_good() {
    let file = File::new("good", &image().0);
    let (status, out, _) = check(&file);
    assert_eq!(status, 0);
    assert!(out.contains(": 3 of "), "{out}");
    let wanted =
        " slots hold remapped blocks, 1 with unread sectors, 1 with lost ones, 0 bad copies\n";
    assert!(out.ends_with(wanted), "{out}");
    let file = File::new("whole", &area::formatted().0);
    let (_, out, _) = check(&file);
    assert!(out.contains(" 0 of "), "{out}");
    assert!(out.ends_with(" slots hold remapped blocks, 0 bad copies\n"));
    let quiet = run(env!("CARGO_BIN_EXE_remap_check"), &["--quiet"], &file);
    assert_eq!(quiet, (0, String::new(), String::new()));
}

#[test]
fn bad_copies_are_told_and_left_alone() {
    let (mut bytes, superblock) = image();
    let layout = superblock.layout().unwrap();
    let sector = layout.sector_of(1, Place::ALL[2]).unwrap() as usize;
    bytes[sector * 512 + 100] ^= 1;
    let file = File::new("degraded", &bytes);
    let (status, out, _) = check(&file);
    assert_eq!(status, 1);
    assert!(out.contains(" 1 bad copies"), "{out}");
    assert!(fs::read(&file.0).unwrap() == bytes);
}

#[test]
fn a_write_that_was_cut_short_is_told_and_no_fault() {
    let (mut bytes, superblock) = image();
    let layout = superblock.layout().unwrap();
    // The commit was generation 3. Its head is left, and its tail is generation 1 again.
    let [head, tail] = [Place::ALL[1], Place::ALL[3]]
        .map(|place| layout.sector_of(1, place).unwrap() as usize * 512);
    let (mut fresh, _) = area::formatted();
    bytes[tail..][..PAGE_BYTES].copy_from_slice(&fresh[tail..][..PAGE_BYTES]);
    assert_ne!(
        bytes[head..][..PAGE_BYTES],
        fresh.split_off(head)[..PAGE_BYTES]
    );
    let file = File::new("behind", &bytes);
    let (status, out, _) = check(&file);
    assert_eq!(status, 0);
    let wanted = " 0 bad copies, 1 pages whose last write was cut short\n";
    assert!(out.ends_with(wanted), "{out}");
}

#[test]
fn a_failed_slot_that_is_not_noted_is_told_and_no_fault() {
    let (bytes, superblock) = image_with_failed_slots();
    let last = superblock.layout().unwrap().slots() - 1;
    let file = File::new("failed_slots", &bytes);
    let (status, out, _) = check(&file);
    assert_eq!(status, 0);
    assert!(out.contains(": 3 of "), "{out}");
    let path = file.path();
    let wanted = format!(
        " 0 bad copies\n\
        {path}: slot 0 has failed; its block, at sector 40, is in slot {last}\n\
        {path}: slot 1 has failed; its block, at sector 800, is in slot 2\n"
    );
    assert!(out.ends_with(&wanted), "{out}");
    let quiet = run(env!("CARGO_BIN_EXE_remap_check"), &["--quiet"], &file);
    assert_eq!(quiet, (0, String::new(), String::new()));
    assert!(file.bytes() == bytes);
}

#[test]
fn a_dump_has_turns_where_there_are_any() {
    let (bytes, superblock) = image_with_failed_slots();
    let layout = superblock.layout().unwrap();
    let file = File::new("dump_turns", &bytes);
    let dump: serde_json::Value = serde_json::from_str(&area::dump(&file)).unwrap();
    assert_eq!(dump["bad_slots"], serde_json::json!([0, 1, 10]));
    let slots: Vec<_> = (0..3)
        .map(|at| dump["remaps"][at]["slot"].as_u64())
        .collect();
    let last = u64::from(layout.slots()) - 1;
    assert_eq!(slots, [Some(2), Some(9), Some(last)]);
    let turns: Vec<_> = (0..3).map(|at| dump["remaps"][at].get("turn")).collect();
    let turn = |turn: u8| serde_json::json!(turn);
    assert_eq!(turns, [Some(&turn(3)), None, Some(&turn(1))]);
    let (status, out, _) = run(env!("CARGO_BIN_EXE_remap_dump"), &[], &file);
    assert_eq!(status, 0);
    let wanted = format!("800 -> {} turn 3\n0 ->", layout.first_slot() + 16);
    assert!(out.contains(&wanted), "{out}");
    assert!(out.contains(", 3 bad\n"), "{out}");
}

#[test]
fn what_cannot_be_used_says_why() {
    let (mut bytes, superblock) = image();
    let layout = superblock.layout().unwrap();
    for place in [Place::ALL[0], Place::ALL[2]] {
        let sector = layout.sector_of(1, place).unwrap() as usize;
        bytes[sector * 512..][..PAGE_BYTES].fill(0xff);
    }
    let (status, _, err) = check(&File::new("doubtful", &bytes));
    assert_eq!(status, 2);
    assert!(
        err.contains("both copies of what may have come after it are bad"),
        "{err}"
    );
    let (mut twice, superblock) = image();
    let last = superblock.layout().unwrap().slots() - 1;
    let entry = area::block(5, 2, remap_core::metadata::entry::UnitStates::WHOLE);
    area::commit(&mut twice, &[(last, entry)]);
    let (status, _, err) = check(&File::new("twice", &twice));
    assert_eq!(status, 2);
    let wanted = format!("a block twice, the second time in slot {last}\n");
    assert!(err.ends_with(&wanted), "{err}");
    let (status, _, err) = check(&File::new("blank", &[0; 65536]));
    assert_eq!(status, 2);
    assert!(err.contains("the spare area is blank"), "{err}");
    let (status, _, err) = check(&File(PathBuf::from("/nonexistent/image")));
    assert_eq!(status, 3);
    assert!(err.contains("cannot look at"), "{err}");
}

#[test]
fn an_area_may_be_a_part_of_an_image() {
    let mut bytes = vec![7; 8 * 512];
    bytes.extend(image().0);
    bytes.extend([9; 4096]);
    let file = File::new("part", &bytes);
    let length = SECTORS.to_string();
    let arguments = ["--start", "8", "--length", &length];
    let program = env!("CARGO_BIN_EXE_remap_check");
    assert_eq!(run(program, &arguments, &file).0, 0);
    assert_eq!(
        run(program, &["--start", "4k", "--length", "2M"], &file).0,
        0
    );
    let (status, _, err) = run(program, &["--start", "8", "--length", "999999"], &file);
    assert_eq!(status, 3);
    assert!(err.contains("not 999999"), "{err}");
}

#[test]
fn a_dump_has_every_remap() {
    let (bytes, superblock) = image();
    let file = File::new("dump", &bytes);
    let (status, out, _) = run(env!("CARGO_BIN_EXE_remap_dump"), &["--json"], &file);
    assert_eq!(status, 0);
    let dump: serde_json::Value = serde_json::from_str(&out).unwrap();
    let first = superblock.layout().unwrap().first_slot();
    let remap = |slot: u64, sector: u64, lost: &[u32]| {
        serde_json::json!({
            "slot": slot, "sector": sector, "spare_sector": first + 8 * slot, "lost": lost,
        })
    };
    let mut wanted = [remap(0, 40, &[]), remap(1, 800, &[2]), remap(9, 0, &[])];
    wanted[1]["unread"] = serde_json::json!([3, 7]);
    wanted[1]["untried"] = serde_json::json!(true);
    assert_eq!(dump["remaps"], serde_json::json!(wanted));
    assert_eq!(dump["bad_slots"], serde_json::json!([10]));
    assert_eq!(dump["block_size"], 8);
    assert_eq!(dump["bitmaps"], 2);
    assert_eq!(dump["main_identity"], serde_json::Value::Null);
    let (status, out, _) = run(env!("CARGO_BIN_EXE_remap_dump"), &[], &file);
    assert_eq!(status, 0);
    assert!(
        out.contains(&format!(
            "800 -> {} unread+3 unread+7 untried lost+2\n",
            first + 8
        )),
        "{out}"
    );
}

#[test]
fn the_size_is_enough_and_no_more() {
    let size = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_remap_metadata_size"))
            .args(arguments)
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        (
            output.status.code().unwrap(),
            text.trim().parse::<u64>().ok(),
        )
    };
    let (status, sectors) = size(&["1000"]);
    let sectors = sectors.unwrap();
    assert_eq!(status, 0);
    let block = BlockSize::from_sectors(8).unwrap();
    let slots = |sectors| {
        use remap_core::metadata::layout::Layout;
        Layout::new(sectors, block).map(|layout| layout.slots())
    };
    assert_eq!(
        (slots(sectors), slots(sectors - 1)),
        (Some(1000), Some(999))
    );
    assert_eq!(size(&["1000", "--block-size", "4k"]).1, Some(sectors));
    assert_eq!(size(&["10k"]), size(&["10240"]));
    assert_eq!(size(&["1000", "--block-size", "7"]), (3, None));
    for remaps in ["0", "16777215", "16M", "1kb", "-1"] {
        assert_eq!(size(&[remaps]), (2, None), "{remaps}");
    }
}

#[test]
fn an_area_is_found_in_a_longer_image() {
    let program = env!("CARGO_BIN_EXE_remap_check");
    let (good, superblock) = image();
    let layout = superblock.layout().unwrap();
    let mut longer = good.clone();
    longer.extend([9; 8192]);
    for place in [None, Some(0), Some(1)] {
        let mut bytes = longer.clone();
        if let Some(place) = place {
            area::spoil(&mut bytes[..good.len()], &layout, 0, Place::ALL[place]);
        }
        let file = File::new("longer", &bytes);
        let bad = i32::from(place.is_some());
        assert_eq!(check(&file).0, bad, "{place:?}");
        let (status, out, _) = run(env!("CARGO_BIN_EXE_remap_dump"), &["--json"], &file);
        assert_eq!(status, 0);
        let dump: serde_json::Value = serde_json::from_str(&out).unwrap();
        assert_eq!(dump["spare_sectors"], SECTORS);
        let (status, _, err) = run(program, &["--length", "4104"], &file);
        assert_eq!(status, 2);
        assert!(
            err.contains("  --length 4096 looks at all of it\n"),
            "{err}"
        );
    }
    // Without the superblocks at the start, the length is unknown.
    for place in [0, 1] {
        area::spoil(&mut longer[..good.len()], &layout, 0, Place::ALL[place]);
    }
    let file = File::new("longer_lost", &longer);
    let (status, _, err) = check(&file);
    assert_eq!(status, 2);
    assert!(
        err.contains("  4112 sectors were looked at: where"),
        "{err}"
    );
    assert_eq!(run(program, &["--length", "4096"], &file).0, 1);
    // An image that is cut off.
    let file = File::new("shorter", &good[..good.len() - 4096]);
    let (status, _, err) = check(&file);
    assert_eq!(status, 2);
    assert!(err.contains("has only 4088 of its 4096 sectors\n"), "{err}");
}

/// Returns the tools, each with arguments with which it prints something.
fn printing(file: &File, json: &File) -> Vec<(&'static str, Vec<String>)> {
    let [area, dump] = [file, json].map(|file| file.path().to_owned());
    let text = |words: &[&str]| {
        words
            .iter()
            .map(|word| (*word).to_owned())
            .collect::<Vec<_>>()
    };
    vec![
        (env!("CARGO_BIN_EXE_remap_check"), text(&[&area])),
        (env!("CARGO_BIN_EXE_remap_dump"), text(&[&area])),
        (env!("CARGO_BIN_EXE_remap_dump"), text(&["--json", &area])),
        (env!("CARGO_BIN_EXE_remap_export"), text(&[&area])),
        (env!("CARGO_BIN_EXE_remap_repair"), text(&[&area])),
        (env!("CARGO_BIN_EXE_remap_metadata_size"), text(&["10"])),
        (
            env!("CARGO_BIN_EXE_remap_import"),
            text(&["--json", &dump, "/dev/null"]),
        ),
        (
            env!("CARGO_BIN_EXE_remap_restore"),
            text(&["--yes", &area, &dump]),
        ),
    ]
}

#[test]
fn a_closed_output_is_no_failure_and_a_full_one_is() {
    let file = File::new("closed", &image().0);
    let json = File::new("closed_json", area::dump(&file).as_bytes());
    for (program, arguments) in printing(&file, &json) {
        let output = |out: Stdio| {
            let ended = Command::new(program).args(&arguments).stdout(out).output();
            let ended = ended.unwrap();
            let errors = String::from_utf8(ended.stderr).unwrap();
            (ended.status.code(), errors)
        };
        let (writer, reader) = UnixStream::pair().unwrap();
        drop(reader);
        let closed = output(OwnedFd::from(writer).into());
        assert_eq!(closed, (Some(0), String::new()), "{program}");
        let full = fs::OpenOptions::new().write(true).open("/dev/full");
        let (status, errors) = output(full.unwrap().into());
        assert_eq!(status, Some(3), "{program}: {errors}");
        let wanted = "cannot write the output: No space left on device";
        assert!(errors.contains(wanted), "{program}: {errors}");
    }
}

#[test]
fn what_cannot_be_told_is_no_panic() {
    let file = File::new("untold", &[0; 65536]);
    for program in [
        env!("CARGO_BIN_EXE_remap_check"),
        env!("CARGO_BIN_EXE_remap_dump"),
        env!("CARGO_BIN_EXE_remap_repair"),
    ] {
        let full = fs::OpenOptions::new().write(true).open("/dev/full");
        let ended = Command::new(program)
            .arg(file.path())
            .stderr(full.unwrap())
            .status();
        assert_eq!(ended.unwrap().code(), Some(2), "{program}");
    }
}

#[test]
fn the_manual_has_a_page_for_each_tool() {
    let directory = area::Directory::new("manual");
    let program = env!("CARGO_BIN_EXE_remap_metadata_manual");
    let (status, _, errors) = call(program, &[directory.0.to_str().unwrap()], "");
    assert_eq!((status, errors.as_str()), (0, ""));
    let mut pages: Vec<_> = fs::read_dir(&directory.0)
        .unwrap()
        .map(|page| page.unwrap().file_name().into_string().unwrap())
        .collect();
    pages.sort();
    let tools = [
        "check",
        "dump",
        "export",
        "import",
        "metadata_size",
        "repair",
        "restore",
    ];
    assert_eq!(pages, tools.map(|tool| format!("remap_{tool}.1")));
    let page = fs::read_to_string(directory.0.join("remap_repair.1")).unwrap();
    assert!(page.contains("Exit status"), "{page}");
}
