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
    entry::{
        Bitmaps,
        Shape, //
    },
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

/// Version of an area's format, and its features.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Format {
    version: u32,
    /// Features that a reader may ignore. It keeps them.
    compatible: u64,
    /// Features that a reader has to know.
    incompatible: u64,
}

/// Incompatible feature: entries have one bitmap, of unread or of lost units ([`Bitmaps::One`]).
const ONE_BITMAP: u64 = 1 << 0;

/// Incompatible feature: the area has grown, and its superblock has [`Superblock::head_pages`].
const GROWN: u64 = 1 << 1;

/// Incompatible features that are known.
const KNOWN: u64 = ONE_BITMAP | GROWN;

/// Where the payload has the number of pages in the head.
const HEAD_PAGES_AT: usize = 160;

impl Format {
    /// Format of version 1, which was written by earlier versions of dm-remap.
    pub const FIRST: Self = Self {
        version: 1,
        compatible: 0,
        incompatible: 0,
    };

    /// Format of a new area.
    pub const NEW: Self = Self {
        version: VERSION,
        compatible: 0,
        incompatible: 0,
    };

    /// Format of an area that was of version 1. It has the same layout.
    pub const UPGRADED: Self = Self {
        incompatible: ONE_BITMAP,
        ..Self::NEW
    };

    /// Returns the bitmaps of the area's entries.
    pub const fn bitmaps(self) -> Bitmaps {
        if self.version < VERSION {
            Bitmaps::Lost
        } else if self.incompatible & ONE_BITMAP != 0 {
            Bitmaps::One
        } else {
            Bitmaps::Two
        }
    }

    /// Returns whether the area is of an earlier version, and has to be upgraded before it is changed.
    pub const fn is_old(self) -> bool {
        self.version < VERSION
    }

    /// Returns the format of the area when it is changed: the same, or its upgrade.
    #[must_use]
    pub const fn current(self) -> Self {
        if self.is_old() {
            Self::UPGRADED
        } else {
            self
        }
    }

    fn read(body: &Body) -> Result<Self, Error> {
        let version = body.version.get();
        if version == 0 || version > VERSION {
            return Err(Error::Version(version));
        }
        if version == 1 {
            return Ok(Self::FIRST);
        }
        let format = Self {
            version,
            compatible: body.compatible.get(),
            // Told by the number of pages in the head.
            incompatible: body.incompatible.get() & !GROWN,
        };
        match format.incompatible & !KNOWN {
            0 => Ok(format),
            unknown => Err(Error::Feature(unknown.trailing_zeros())),
        }
    }
}

/// Superblock of an area.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Superblock {
    /// Version and features.
    pub format: Format,
    /// UUID of the area, drawn when it was formatted.
    pub uuid: [u8; 16],
    /// Main device.
    pub main: Main,
    /// Size of the target in sectors when the area was formatted or last taken over.
    pub length: u64,
    /// Block size.
    pub block: BlockSize,
    /// Unit in which unread and lost sectors are recorded, in sectors.
    pub lost_unit: u32,
    /// Size of the area in sectors.
    pub sectors: u64,
    /// Number of pages in the head, if the area has grown.
    pub head_pages: Option<u32>,
}

/// Superblock as it is on the disk, at the start of the payload. In version 1 the rest of the payload, the features
/// included, is zero. In version 2 it is not touched: there is room for a name and for later fields.
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
    compatible: U64,
    incompatible: U64,
}

/// Reason why a valid page is not a usable superblock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// The version is unknown.
    Version(u32),
    /// The incompatible feature with this number is unknown.
    Feature(u32),
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
            Error::Feature(number) => {
                write!(
                    f,
                    "metadata with incompatible feature {number}, which is unknown"
                )
            }
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
        let shape = Shape::new(self.block, self.lost_unit, self.format.bitmaps())?;
        Layout::with_shape(self.sectors, self.block, shape, self.head_pages)
    }

    /// Returns the superblock of the area when it has grown to `sectors` sectors. `None` if it is not as long as that.
    pub fn grown(&self, sectors: u64) -> Option<Self> {
        let layout = self.layout()?;
        layout.grown(sectors)?;
        Some(Self {
            format: self.format.current(),
            sectors,
            head_pages: Some(layout.head_pages()),
            ..*self
        })
    }

    /// Returns the number of the area, which all its pages have.
    pub fn area(&self) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = self.uuid;
        u64::from_le_bytes([a, b, c, d, e, f, g, h])
    }

    /// Writes the superblock to the payload of page 0. Keeps what it does not know: the payload is that of the
    /// superblock before, or zero. `None` for an area without a single slot.
    pub fn write(&self, payload: &mut [u8; PAYLOAD_BYTES]) -> Option<()> {
        let features = if self.head_pages.is_some() { GROWN } else { 0 };
        let body = Body {
            version: U32::new(self.format.version),
            block_sectors: U32::new(self.block.sectors()),
            lost_unit: U32::new(self.lost_unit),
            slots: U32::new(self.layout()?.slots()),
            uuid: self.uuid,
            sectors: U64::new(self.sectors),
            main_identity: self.main.identity,
            main_sectors: U64::new(self.main.sectors),
            main_start: U64::new(self.main.start),
            length: U64::new(self.length),
            compatible: U64::new(self.format.compatible),
            incompatible: U64::new(self.format.incompatible | features),
        };
        payload
            .get_mut(..size_of::<Body>())?
            .copy_from_slice(body.as_bytes());
        if let Some(head_pages) = self.head_pages {
            payload
                .get_mut(HEAD_PAGES_AT..HEAD_PAGES_AT + size_of::<U32>())?
                .copy_from_slice(U32::new(head_pages).as_bytes());
        }
        Some(())
    }

    /// Reads a superblock from the payload of page 0.
    pub fn read(payload: &[u8; PAYLOAD_BYTES]) -> Result<Self, Error> {
        let (body, _) = Body::read_from_prefix(payload).map_err(|_| Error::Figures)?;
        let rest = payload.get(HEAD_PAGES_AT..).ok_or(Error::Figures)?;
        let (head_pages, _) = U32::read_from_prefix(rest).map_err(|_| Error::Figures)?;
        let format = Format::read(&body)?;
        let block = BlockSize::from_sectors(u64::from(body.block_sectors.get()));
        let superblock = Self {
            format,
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
            head_pages: match body.incompatible.get() & GROWN {
                0 => None,
                _ if format.is_old() => None,
                _ => Some(head_pages.get()),
            },
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
            format: Format::NEW,
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
            head_pages: None,
        }
    }

    const FORMATS: [Format; 3] = [Format::FIRST, Format::UPGRADED, Format::NEW];

    #[test]
    fn a_superblock_is_read_as_it_was_written() {
        for (format, version, incompatible) in [
            (Format::FIRST, 1, 0),
            (Format::UPGRADED, 2, 1),
            (Format::NEW, 2, 0_u64),
        ] {
            let superblock = Superblock {
                format,
                ..example()
            };
            let mut payload = [0; PAYLOAD_BYTES];
            superblock.write(&mut payload).unwrap();
            assert_eq!(Superblock::read(&payload), Ok(superblock));
            assert_eq!(payload[..4], u32::to_le_bytes(version));
            assert_eq!(payload[80..88], [0; 8]);
            assert_eq!(payload[88..96], incompatible.to_le_bytes());
            assert!(payload[96..].iter().all(|byte| *byte == 0));
            // It has grown.
            let head_pages = superblock.layout().unwrap().pages();
            let grown = superblock.grown(1 << 21).unwrap();
            assert_eq!(grown.head_pages, Some(head_pages));
            assert_eq!((grown.sectors, grown.format), (1 << 21, format.current()));
            grown.write(&mut payload).unwrap();
            assert_eq!(Superblock::read(&payload), Ok(grown));
            let features = grown.format.incompatible | 2;
            assert_eq!(payload[88..96], features.to_le_bytes());
            assert_eq!(payload[160..164], head_pages.to_le_bytes());
            assert!(payload[164..].iter().all(|byte| *byte == 0));
            for wrong in [0, u32::MAX] {
                payload[160..164].copy_from_slice(&wrong.to_le_bytes());
                assert_eq!(Superblock::read(&payload), Err(Error::Figures));
            }
        }
        assert_eq!(example().grown((1 << 20) - 1), None);
    }

    #[test]
    fn an_upgraded_area_has_the_layout_of_version_1() {
        let [first, upgraded, new] = FORMATS.map(|format| {
            let superblock = Superblock {
                format,
                ..example()
            };
            superblock.layout().unwrap()
        });
        assert!(upgraded.has_places_of(&first));
        assert!(!new.has_places_of(&first));
        for format in FORMATS {
            assert_eq!(format.is_old(), format == Format::FIRST);
            assert_eq!(
                format.current(),
                if format.is_old() {
                    Format::UPGRADED
                } else {
                    format
                }
            );
        }
    }

    /// A later version may add fields and compatible features. They stay when the superblock is written again.
    #[test]
    fn what_a_later_version_has_added_is_kept() {
        let mut payload = [0; PAYLOAD_BYTES];
        example().write(&mut payload).unwrap();
        payload[80..88].copy_from_slice(&(1_u64 << 63 | 1).to_le_bytes());
        payload[96..].fill(7);
        let before = payload;
        let mut superblock = Superblock::read(&payload).unwrap();
        superblock.write(&mut payload).unwrap();
        assert!(payload == before);
        superblock.length += 1;
        superblock.write(&mut payload).unwrap();
        assert_eq!(Superblock::read(&payload), Ok(superblock));
        assert!(payload[80..] == before[80..]);
        for (number, wanted) in [
            (0, None),
            (2, Some(Error::Feature(2))),
            (63, Some(Error::Feature(63))),
        ] {
            example().write(&mut payload).unwrap();
            payload[88..96].copy_from_slice(&(1_u64 << number).to_le_bytes());
            // An upgraded area has another layout, and so another number of slots.
            let refused = Superblock::read(&payload).unwrap_err();
            assert_eq!(refused, wanted.unwrap_or(Error::Figures));
        }
        let refused = Error::Feature(5).to_string();
        assert_eq!(
            refused,
            "metadata with incompatible feature 5, which is unknown"
        );
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
        payload[0] = 3;
        let refused = Superblock::read(&payload).unwrap_err();
        assert_eq!(refused.to_string(), "metadata of version 3, newer than 2");
        assert_eq!(
            Error::Version(0).to_string(),
            "metadata of unknown version 0"
        );
        payload[0] = 2;
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
        fn any_bytes_are_a_superblock_or_none(
            bytes in prop::collection::vec(any::<u8>(), 164),
            version in 1..=VERSION,
        ) {
            let mut payload = [0; PAYLOAD_BYTES];
            payload[..164].copy_from_slice(&bytes);
            let _ = Superblock::read(&payload);
            payload[..4].copy_from_slice(&version.to_le_bytes());
            payload[4..8].copy_from_slice(&8_u32.to_le_bytes());
            if let Ok(superblock) = Superblock::read(&payload) {
                prop_assert!(superblock.layout().is_some());
            }
        }
    }
}
