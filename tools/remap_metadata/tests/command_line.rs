// SPDX-License-Identifier: GPL-2.0

//! The tools as users call them, on images.

use std::{
    fs,
    path::PathBuf,
    process::{
        Command,
        Output, //
    },
};

use remap_core::{
    geometry::BlockSize,
    metadata::{
        entry::{
            Entry,
            LostUnits, //
        },
        layout::Place,
        page::Page,
        store::{
            Storage,
            Store, //
        },
        superblock::{
            Main,
            Superblock, //
        },
        PAGE_BYTES, //
    },
};
use zerocopy::{
    FromZeros,
    IntoBytes, //
};

const SECTORS: u64 = 4096;

struct Memory<'a>(&'a mut Vec<u8>);

impl Storage for Memory<'_> {
    type Error = ();

    fn read(&mut self, sector: u64, pages: &mut [Page]) -> Result<(), ()> {
        let start = sector as usize * 512;
        let bytes = pages.as_mut_bytes();
        bytes.copy_from_slice(&self.0[start..start + bytes.len()]);
        Ok(())
    }

    fn write(&mut self, sector: u64, pages: &[Page]) -> Result<(), ()> {
        let start = sector as usize * 512;
        let bytes = pages.as_bytes();
        self.0[start..start + bytes.len()].copy_from_slice(bytes);
        Ok(())
    }
}

fn crc32c(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes)
}

/// An image of an area with three blocks, one of which has lost something, and a slot that failed.
fn image() -> (Vec<u8>, Superblock) {
    let superblock = Superblock {
        uuid: *b"0123456789abcdef",
        main: Main {
            identity: [0; 16],
            sectors: 1 << 20,
            start: 0,
        },
        length: 1 << 20,
        block: BlockSize::from_sectors(8).unwrap(),
        lost_unit: 1,
        sectors: SECTORS,
    };
    let mut bytes = vec![0; SECTORS as usize * 512];
    let pages = superblock.layout().unwrap().pages() as usize;
    let mut scratch = [Page::new_zeroed(); 2];
    let storage = Memory(&mut bytes);
    let mut store =
        Store::format(storage, &superblock, vec![0; pages], crc32c, &mut scratch).unwrap();
    let mut lost = LostUnits::NONE;
    lost.mark(2);
    let entries = [
        (0, 5, LostUnits::NONE),
        (1, 100, lost),
        (9, 0, LostUnits::NONE),
    ];
    let changes = entries
        .into_iter()
        .map(|(slot, block, lost)| (slot, Entry::Block { block, lost }))
        .chain([(10, Entry::Bad)]);
    store.commit(changes, &mut [Page::new_zeroed(); 2]).unwrap();
    drop(store);
    (bytes, superblock)
}

/// A file in a directory of the test's own.
struct File(PathBuf);

impl File {
    fn new(name: &str, bytes: &[u8]) -> Self {
        let path = std::env::temp_dir().join(format!("{name}.{}", std::process::id()));
        fs::write(&path, bytes).unwrap();
        File(path)
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn run(program: &str, arguments: &[&str], file: &File) -> (i32, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = Command::new(program)
        .args(arguments)
        .arg(&file.0)
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
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
    let wanted = [remap(0, 40, &[]), remap(1, 800, &[2]), remap(9, 0, &[])];
    assert_eq!(dump["remaps"], serde_json::json!(wanted));
    assert_eq!(dump["bad_slots"], serde_json::json!([10]));
    assert_eq!(dump["block_size"], 8);
    assert_eq!(dump["main_identity"], serde_json::Value::Null);
    let (status, out, _) = run(env!("CARGO_BIN_EXE_remap_dump"), &[], &file);
    assert_eq!(status, 0);
    assert!(
        out.contains(&format!("800 -> {} lost+2\n", first + 8)),
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
        Layout::new(sectors, block, 1).map(|layout| layout.slots())
    };
    assert_eq!(
        (slots(sectors), slots(sectors - 1)),
        (Some(1000), Some(999))
    );
    assert_eq!(size(&["1000", "--block-size", "7"]), (3, None));
    assert_eq!(size(&["0"]).0, 2);
}
