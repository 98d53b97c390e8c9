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
    call,
    commit,
    crc32c,
    dump,
    File,
    Memory, //
};
use flate2::read::GzDecoder;
use remap_core::{
    metadata::{
        entry::{
            Entry,
            LostUnits, //
        },
        page::Page,
        store::Store,
        superblock::{
            Main,
            Superblock, //
        }, //
    },
    table::geometry::BlockSize, //
};
use zerocopy::FromZeros;

const SECTORS: u64 = 200;

fn kept(name: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    root.join("../../tests/images").join(name)
}

fn image() -> Vec<u8> {
    let packed = fs::read(kept("version-1.img.gz")).unwrap();
    let mut bytes = Vec::new();
    GzDecoder::new(&packed[..]).read_to_end(&mut bytes).unwrap();
    assert_eq!(bytes.len() as u64, SECTORS * 512);
    bytes
}

#[test]
fn an_area_of_version_1_is_read_as_it_was() {
    let bytes = image();
    let file = File::new("version_1", &bytes);
    let check = call(env!("CARGO_BIN_EXE_remap_check"), &[file.path()], "");
    assert_eq!(check.0, 0);
    let wanted = fs::read_to_string(kept("version-1.json")).unwrap();
    assert_eq!(dump(&file), wanted);
}

/// Holds for as long as the sources write version 1.
#[test]
fn an_area_of_version_1_is_written_as_it_was() {
    let superblock = Superblock {
        uuid: *b"an area of 200 s",
        main: Main {
            identity: *b"the main device\0",
            sectors: 5000,
            start: 100,
        },
        length: 4001,
        block: BlockSize::from_sectors(8).unwrap(),
        lost_unit: 2,
        sectors: SECTORS,
    };
    let mut bytes = vec![0; SECTORS as usize * 512];
    let pages = superblock.layout().unwrap().pages() as usize;
    let mut scratch = [Page::new_zeroed(); 2];
    let storage = Memory(&mut bytes);
    Store::format(storage, &superblock, vec![0; pages], crc32c, &mut scratch).unwrap();
    let block = |block, units: &[u32]| {
        let mut lost = LostUnits::NONE;
        units.iter().for_each(|unit| lost.mark(*unit));
        area::block(block, 0, lost)
    };
    let last = superblock.layout().unwrap().slots() - 1;
    let first = [
        (0, block(500, &[])),
        (1, Entry::Bad),
        (2, block(0, &[0, 3])),
    ];
    commit(&mut bytes, &first);
    commit(&mut bytes, &[(0, Entry::Free), (last, block(499, &[1]))]);
    assert!(bytes == image());
}
