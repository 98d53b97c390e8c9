// SPDX-License-Identifier: GPL-2.0

//! Images with an area, and files for them.

// Each test program uses a part of this module.
#![allow(dead_code, unreachable_pub)]

use std::{
    cell::RefCell,
    fs,
    io::{
        self,
        Write as _, //
    },
    path::PathBuf,
    process::{
        Command,
        Output,
        Stdio, //
    },
};

use remap_core::{
    metadata::{
        entry::{
            Entry,
            UnitStates,
            Units, //
        },
        layout::{
            superblocks,
            Layout,
            Place, //
        },
        page::Page,
        store::{
            numbers_of,
            LoadError,
            Storage,
            Store, //
        },
        superblock::{
            Format,
            Main,
            Superblock, //
        },
        turn::Turn,
        PAGE_BYTES, //
    },
    table::geometry::BlockSize, //
};
use remap_metadata::{
    area::Area,
    image::Medium, //
};
use zerocopy::{
    FromZeros,
    IntoBytes, //
};

pub const SECTORS: u64 = 4096;

pub struct Memory<'a>(pub &'a mut Vec<u8>);

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

pub fn crc32c(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes)
}

/// Returns an image of an area without remaps.
pub fn formatted() -> (Vec<u8>, Superblock) {
    let superblock = Superblock {
        format: Format::NEW,
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
        head_pages: None,
    };
    let mut bytes = vec![0; SECTORS as usize * 512];
    let numbers = numbers_of(&superblock.layout().unwrap());
    let mut scratch = [Page::new_zeroed(); 2];
    let storage = Memory(&mut bytes);
    Store::format(storage, &superblock, vec![0; numbers], crc32c, &mut scratch).unwrap();
    (bytes, superblock)
}

/// Commits entries to an area.
pub fn commit(bytes: &mut Vec<u8>, entries: &[(u32, Entry)]) {
    let sectors = bytes.len() as u64 / 512;
    let (_, mut store) = Area::load_from(Memory(bytes), sectors, false).unwrap();
    let mut pages = [Page::new_zeroed(); 2];
    store.commit(entries.iter().copied(), &mut pages).unwrap();
}

/// Returns an image of an area with three blocks and a failed slot. One of the blocks has a lost sector and two
/// unread ones.
pub fn image() -> (Vec<u8>, Superblock) {
    let (mut bytes, superblock) = formatted();
    let states = UnitStates::new(units(&[3, 7]), units(&[2]), true);
    let changes = [
        (0, block(5, 0, UnitStates::WHOLE)),
        (1, block(100, 0, states)),
        (9, block(0, 0, UnitStates::WHOLE)),
        (10, Entry::Bad),
    ];
    commit(&mut bytes, &changes);
    (bytes, superblock)
}

/// Returns a set of units.
pub fn units(units: &[u32]) -> Units {
    let mut set = Units::NONE;
    units.iter().for_each(|unit| set.insert(*unit));
    set
}

/// Returns the entry of a block with this turn.
pub fn block(block: u64, turn: u8, states: UnitStates) -> Entry {
    let turn = Turn::new(turn).unwrap();
    Entry::Block {
        block,
        turn,
        states,
    }
}

/// Returns the image of [`image`] after a crash. Block 5 was going from slot 0, which had failed, to the
/// last slot. Block 100 was going from slot 1 to slot 2, for the third time.
pub fn image_with_failed_slots() -> (Vec<u8>, Superblock) {
    let (mut bytes, superblock) = image();
    let last = superblock.layout().unwrap().slots() - 1;
    let changes = [
        (1, block(100, 2, UnitStates::WHOLE)),
        (2, block(100, 3, UnitStates::WHOLE)),
        (last, block(5, 1, UnitStates::WHOLE)),
    ];
    commit(&mut bytes, &changes);
    (bytes, superblock)
}

/// Medium that records the writes to it, in their order.
pub struct Written {
    before: Vec<u8>,
    writes: RefCell<Vec<Write>>,
    /// Number of operations after which all fail.
    most: usize,
}

/// Operation on a medium.
pub enum Write {
    Bytes { sector: u64, bytes: Vec<u8> },
    Sync,
}

impl Written {
    pub fn new(before: &[u8], most: usize) -> Self {
        Self {
            before: before.to_vec(),
            writes: RefCell::default(),
            most,
        }
    }

    fn record(&self, write: Write) -> io::Result<()> {
        let mut writes = self.writes.borrow_mut();
        if writes.len() >= self.most {
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        writes.push(write);
        Ok(())
    }

    fn with<'a>(&self, writes: impl IntoIterator<Item = &'a Write>) -> Vec<u8> {
        let mut all = self.before.clone();
        for write in writes {
            if let Write::Bytes { sector, bytes } = write {
                all[*sector as usize * 512..][..bytes.len()].copy_from_slice(bytes);
            }
        }
        all
    }

    /// Returns the contents after all writes.
    pub fn bytes(&self) -> Vec<u8> {
        self.with(&*self.writes.borrow())
    }

    /// Returns the contents that a crash at each write may leave.
    ///
    /// If the writer is killed, all earlier writes are there, and none or half of this one. If the power is
    /// cut, of the writes that are not durable there is none, only the last one, or half of it.
    pub fn states(&self) -> Vec<Vec<u8>> {
        let writes = self.writes.borrow();
        let mut states = Vec::new();
        let mut durable = 0;
        for number in 0..writes.len() {
            let Write::Bytes { sector, bytes } = &writes[number] else {
                durable = number;
                continue;
            };
            let half = Write::Bytes {
                sector: *sector,
                bytes: bytes[..bytes.len() / 1024 * 512].to_vec(),
            };
            states.push(self.with(&writes[..number]));
            states.push(self.with(writes[..number].iter().chain([&half])));
            states.push(self.with(&writes[..durable]));
            states.push(self.with(writes[..durable].iter().chain([&writes[number]])));
            states.push(self.with(writes[..durable].iter().chain([&half])));
        }
        states
    }
}

impl Medium for Written {
    fn sectors(&self) -> u64 {
        self.before.len() as u64 / 512
    }

    fn read_bytes(&self, sector: u64, bytes: &mut [u8]) -> io::Result<()> {
        bytes.copy_from_slice(&self.bytes()[sector as usize * 512..][..bytes.len()]);
        Ok(())
    }

    fn write_bytes(&self, sector: u64, bytes: &[u8]) -> io::Result<()> {
        let bytes = bytes.to_vec();
        self.record(Write::Bytes { sector, bytes })
    }

    fn sync(&self) -> io::Result<()> {
        self.record(Write::Sync)
    }
}

/// Returns an image with zeros in the places of its superblock.
pub fn without_superblocks(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for sector in superblocks(bytes.len() as u64 / 512) {
        bytes[sector as usize * 512..][..PAGE_BYTES].fill(0);
    }
    bytes
}

/// Loads the area of an image.
pub fn load(bytes: &[u8]) -> Result<Area, LoadError> {
    let mut bytes = bytes.to_vec();
    let sectors = bytes.len() as u64 / 512;
    Area::load_from(Memory(&mut bytes), sectors, false).map(|(area, _)| area)
}

/// Temporary file of a test.
pub struct File(pub PathBuf);

impl File {
    pub fn new(name: &str, bytes: &[u8]) -> Self {
        let file = Self::absent(name);
        fs::write(&file.0, bytes).unwrap();
        file
    }

    /// Returns the name of a file that does not exist yet: a tool will make it.
    pub fn absent(name: &str) -> Self {
        let name = format!("dm-remap.{name}.{}", std::process::id());
        File(std::env::temp_dir().join(name))
    }

    pub fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }

    pub fn bytes(&self) -> Vec<u8> {
        fs::read(&self.0).unwrap()
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Temporary directory of a test, which a tool makes.
pub struct Directory(pub PathBuf);

impl Directory {
    pub fn new(name: &str) -> Self {
        let name = format!("dm-remap.{name}.{}", std::process::id());
        Directory(std::env::temp_dir().join(name))
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Fills a place of a page with bytes that are no page.
pub fn spoil(bytes: &mut [u8], layout: &Layout, index: u32, place: Place) {
    let sector = layout.sector_of(index, place).unwrap() as usize;
    bytes[sector * 512..][..PAGE_BYTES].fill(0xff);
}

/// Runs a tool with `input` on standard input. Returns its exit status and both outputs.
pub fn call(program: &str, arguments: &[&str], input: &str) -> (i32, String, String) {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Fails if the tool ends before it has read the input.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let Output {
        status,
        stdout,
        stderr,
    } = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

/// Returns the output of `remap_dump --json` for a file.
pub fn dump(file: &File) -> String {
    let program = env!("CARGO_BIN_EXE_remap_dump");
    let (status, out, errors) = call(program, &["--json", file.path()], "");
    assert_eq!((status, errors.as_str()), (0, ""));
    out
}
