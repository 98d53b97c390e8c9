// SPDX-License-Identifier: GPL-2.0

//! Page 0: identity of the area and of its main device, and the layout of the area.

use core::fmt;

use zerocopy::{
    little_endian::{
        U32,
        U64, //
    },
    FromBytes as _,
    IntoBytes as _, //
};
use zerocopy_derive::{
    FromBytes,
    Immutable,
    IntoBytes,
    KnownLayout,
    Unaligned, //
};

use crate::table::geometry::BlockSize;

use super::{
    layout::Layout,
    page::PAYLOAD_BYTES,
    Checksum,
    VERSION, //
};

/// Properties of a main device by which it is recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Main {
    /// Identity from [`Main::identity`]; zeros if the device has none.
    pub identity: [u8; 16],
    /// Size in sectors.
    pub sectors: u64,
    /// First sector of the target on the device.
    pub start: u64,
}

impl Main {
    /// Returns 16 bytes for a device's own identifier: a UUID as its 16 bytes; another identifier of up to 16
    /// bytes as it is, with zeros behind it; of a longer one the last twelve bytes and the checksum of all.
    pub fn identity(name: &[u8], checksum: Checksum) -> [u8; 16] {
        let mut identity = [0; 16];
        if let Some(uuid) = uuid(name) {
            return uuid;
        }
        match name.split_last_chunk::<12>() {
            Some((rest, last)) if rest.len() > 4 => {
                let (start, end) = identity.split_at_mut(12);
                start.copy_from_slice(last);
                end.copy_from_slice(&checksum(name).to_le_bytes());
            }
            _ => {
                for (to, from) in identity.iter_mut().zip(name) {
                    *to = *from;
                }
            }
        }
        identity
    }
}

/// Returns the bytes of a UUID in its usual text form.
fn uuid(text: &[u8]) -> Option<[u8; 16]> {
    let mut bytes = [0; 16];
    let mut digits = text.iter().enumerate().filter_map(|(at, &byte)| {
        let dash = matches!(at, 8 | 13 | 18 | 23);
        (!dash || byte != b'-').then(|| char::from(byte).to_digit(16))
    });
    if text.len() != 36 {
        return None;
    }
    for byte in &mut bytes {
        let (high, low) = (digits.next()??, digits.next()??);
        *byte = (high << 4 | low) as u8;
    }
    digits.next().is_none().then_some(bytes)
}

/// Superblock of an area.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Superblock {
    /// UUID of the area, drawn when it was formatted.
    pub uuid: [u8; 16],
    /// Main device.
    pub main: Main,
    /// Size of the target in sectors when the area was formatted or last taken over.
    pub length: u64,
    /// Block size.
    pub block: BlockSize,
    /// Unit in which lost sectors are recorded, in sectors.
    pub lost_unit: u32,
    /// Size of the area in sectors.
    pub sectors: u64,
}

/// Superblock as it is on the disk, at the start of the payload. The rest of the payload is zero.
#[derive(Clone, Copy, FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned)]
#[repr(C)]
struct Body {
    version: U32,
    block_sectors: U32,
    lost_unit: U32,
    slots: U32,
    uuid: [u8; 16],
    sectors: U64,
    main_identity: [u8; 16],
    main_sectors: U64,
    main_start: U64,
    length: U64,
}

/// Reason why a valid page is not a usable superblock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// The version is unknown.
    Version(u32),
    /// The figures contradict each other.
    Figures,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Version(version) if *version > VERSION => {
                write!(f, "metadata of version {version}, newer than {VERSION}")
            }
            Error::Version(version) => write!(f, "metadata of unknown version {version}"),
            Error::Figures => f.write_str("metadata whose figures do not agree"),
        }
    }
}

/// Mismatch of a superblock and the table that is to use its area.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mismatch {
    /// Main is another device.
    Main,
    /// Main is smaller than in the superblock.
    MainSize {
        /// Size in the superblock, in sectors.
        was: u64,
    },
    /// The target starts at another sector of main.
    MainStart {
        /// First sector in the superblock.
        was: u64,
    },
    /// The table asks for another block size.
    BlockSize {
        /// Block size in the superblock, in sectors.
        is: u32,
    },
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Mismatch::Main => f.write_str("metadata of another main device"),
            Mismatch::MainSize { was } => {
                write!(f, "metadata of a larger main device, of {was} sectors")
            }
            Mismatch::MainStart { was } => write!(f, "metadata of a target with main_start {was}"),
            Mismatch::BlockSize { is } => write!(f, "metadata with block_size {is}"),
        }
    }
}

impl Superblock {
    /// Returns the layout of the area; `None` for an area without a single slot.
    pub fn layout(&self) -> Option<Layout> {
        Layout::new(self.sectors, self.block, self.lost_unit)
    }

    /// Returns the number of the area, which all its pages have.
    pub fn area(&self) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = self.uuid;
        u64::from_le_bytes([a, b, c, d, e, f, g, h])
    }

    /// Writes the superblock as the payload of page 0. `None` for an area without a single slot.
    pub fn write(&self, payload: &mut [u8; PAYLOAD_BYTES]) -> Option<()> {
        let body = Body {
            version: U32::new(VERSION),
            block_sectors: U32::new(self.block.sectors()),
            lost_unit: U32::new(self.lost_unit),
            slots: U32::new(self.layout()?.slots()),
            uuid: self.uuid,
            sectors: U64::new(self.sectors),
            main_identity: self.main.identity,
            main_sectors: U64::new(self.main.sectors),
            main_start: U64::new(self.main.start),
            length: U64::new(self.length),
        };
        payload.fill(0);
        payload
            .get_mut(..size_of::<Body>())?
            .copy_from_slice(body.as_bytes());
        Some(())
    }

    /// Reads a superblock from the payload of page 0.
    pub fn read(payload: &[u8; PAYLOAD_BYTES]) -> Result<Self, Error> {
        let (body, _) = Body::read_from_prefix(payload).map_err(|_| Error::Figures)?;
        let version = body.version.get();
        if version == 0 || version > VERSION {
            return Err(Error::Version(version));
        }
        let block = BlockSize::from_sectors(u64::from(body.block_sectors.get()));
        let superblock = Self {
            uuid: body.uuid,
            main: Main {
                identity: body.main_identity,
                sectors: body.main_sectors.get(),
                start: body.main_start.get(),
            },
            length: body.length.get(),
            block: block.ok_or(Error::Figures)?,
            lost_unit: body.lost_unit.get(),
            sectors: body.sectors.get(),
        };
        match superblock.layout() {
            Some(layout) if layout.slots() == body.slots.get() => Ok(superblock),
            _ => Err(Error::Figures),
        }
    }

    /// Checks that the superblock is that of the main device `main`, and has the block size `block`, if that is
    /// given. Main may have grown.
    pub fn check(&self, main: &Main, block: Option<BlockSize>) -> Result<(), Mismatch> {
        let known = |identity: &[u8; 16]| identity.iter().any(|byte| *byte != 0);
        if known(&self.main.identity)
            && known(&main.identity)
            && self.main.identity != main.identity
        {
            Err(Mismatch::Main)
        } else if main.sectors < self.main.sectors {
            Err(Mismatch::MainSize {
                was: self.main.sectors,
            })
        } else if main.start != self.main.start {
            Err(Mismatch::MainStart {
                was: self.main.start,
            })
        } else if block.is_some_and(|block| block != self.block) {
            Err(Mismatch::BlockSize {
                is: self.block.sectors(),
            })
        } else {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::page::tests::crc32c;
    use proptest::prelude::*;
    use std::string::ToString;

    fn example() -> Superblock {
        Superblock {
            uuid: *b"0123456789abcdef",
            main: Main {
                identity: *b"partition-uuid-1",
                sectors: 1 << 30,
                start: 2048,
            },
            length: 1 << 20,
            block: BlockSize::from_sectors(8).unwrap(),
            lost_unit: 1,
            sectors: 1 << 20,
        }
    }

    #[test]
    fn a_superblock_is_read_as_it_was_written() {
        let mut payload = [0xff; PAYLOAD_BYTES];
        example().write(&mut payload).unwrap();
        assert_eq!(Superblock::read(&payload), Ok(example()));
        assert_eq!(payload[..4], 1_u32.to_le_bytes());
        assert!(payload[size_of::<Body>()..].iter().all(|byte| *byte == 0));
    }

    #[test]
    fn names_of_devices_are_told_apart() {
        let identity = |name: &str| Main::identity(name.as_bytes(), crc32c);
        let uuid = identity("0fc63daf-8483-4772-8e79-3d69d8477de4");
        assert_eq!(uuid[..4], [0x0f, 0xc6, 0x3d, 0xaf]);
        assert_eq!(uuid[14..], [0x7d, 0xe4]);
        assert_eq!(identity("0FC63DAF-8483-4772-8E79-3D69D8477DE4"), uuid);
        assert_eq!(&identity("2d1a3b4c-01"), b"2d1a3b4c-01\0\0\0\0\0");
        assert_eq!(identity(""), [0; 16]);
        let lvm = identity("LVM-AAAAAAAAAAAAAAAABBBBBBBBBBBBBBBB");
        assert_eq!(&lvm[..12], b"BBBBBBBBBBBB");
        assert_ne!(identity("LVM-AAAAAAAAAAAAAAACBBBBBBBBBBBBBBBB"), lvm);
        // Texts that are nearly UUIDs.
        assert_ne!(
            identity("0fc63daf-8483-4772-8e79-3d69d8477dg4")[..4],
            uuid[..4]
        );
        assert_ne!(
            identity("0fc63daf084830477208e7903d69d8477de4")[..4],
            uuid[..4]
        );
    }

    #[test]
    fn what_is_newer_or_nonsense_is_refused() {
        let mut payload = [0; PAYLOAD_BYTES];
        assert_eq!(Superblock::read(&payload), Err(Error::Version(0)));
        example().write(&mut payload).unwrap();
        payload[0] = 2;
        let refused = Superblock::read(&payload).unwrap_err();
        assert_eq!(refused.to_string(), "metadata of version 2, newer than 1");
        assert_eq!(
            Error::Version(0).to_string(),
            "metadata of unknown version 0"
        );
        payload[0] = 1;
        payload[4] = 7;
        assert_eq!(Superblock::read(&payload), Err(Error::Figures));
        example().write(&mut payload).unwrap();
        payload[12] ^= 1;
        assert_eq!(Superblock::read(&payload), Err(Error::Figures));
    }

    #[test]
    fn what_belongs_elsewhere_is_refused_by_name() {
        let it = example();
        let size = Some(it.block);
        assert_eq!(it.check(&it.main, size), Ok(()));
        assert_eq!(it.check(&it.main, None), Ok(()));
        let grown = Main {
            sectors: it.main.sectors + 8,
            identity: [0; 16],
            ..it.main
        };
        assert_eq!(it.check(&grown, None), Ok(()));
        let words = |main: Main, block| it.check(&main, block).unwrap_err().to_string();
        let other = Main {
            identity: *b"partition-uuid-2",
            ..it.main
        };
        assert_eq!(words(other, None), "metadata of another main device");
        let smaller = Main {
            sectors: 1 << 29,
            ..it.main
        };
        assert_eq!(
            words(smaller, None),
            "metadata of a larger main device, of 1073741824 sectors"
        );
        let moved = Main {
            start: 0,
            ..it.main
        };
        assert_eq!(
            words(moved, None),
            "metadata of a target with main_start 2048"
        );
        assert_eq!(
            words(it.main, BlockSize::from_sectors(16)),
            "metadata with block_size 8"
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_superblock_or_none(bytes in prop::collection::vec(any::<u8>(), 96)) {
            let mut payload = [0; PAYLOAD_BYTES];
            payload[..96].copy_from_slice(&bytes);
            let _ = Superblock::read(&payload);
            payload[..4].copy_from_slice(&1_u32.to_le_bytes());
            payload[4..8].copy_from_slice(&8_u32.to_le_bytes());
            if let Ok(superblock) = Superblock::read(&payload) {
                prop_assert!(superblock.layout().is_some());
            }
        }
    }
}
