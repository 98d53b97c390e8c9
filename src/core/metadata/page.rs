// SPDX-License-Identifier: GPL-2.0

//! Pages: their header and their checksum.

use zerocopy::little_endian::{
    U32,
    U64, //
};
use zerocopy_derive::{
    FromBytes,
    Immutable,
    IntoBytes,
    KnownLayout,
    Unaligned, //
};

use super::{
    Checksum,
    PAGE_BYTES, //
};

/// Number of bytes of a page behind its header.
pub const PAYLOAD_BYTES: usize = PAGE_BYTES - size_of::<Header>();

/// First bytes of every page.
const MAGIC: [u8; 8] = *b"dm-remap";

/// Header of a page.
#[derive(Clone, Copy, FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned)]
#[repr(C)]
struct Header {
    magic: [u8; 8],
    /// Checksum of the whole page, computed with zeros in this field.
    checksum: U32,
    /// Number of the page; 0 is the superblock.
    index: U32,
    /// Number of the area. It is drawn at random when the area is formatted, so that older pages do not belong
    /// to it.
    area: U64,
    /// Number of times that the page was written.
    generation: U64,
}

/// Page as it is on the disk.
#[derive(Clone, Copy, FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Page {
    header: Header,
    payload: [u8; PAYLOAD_BYTES],
}

const _: () = assert!(size_of::<Page>() == PAGE_BYTES);

/// Identity of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Number of the area.
    pub area: u64,
    /// Number of the page; 0 is the superblock.
    pub index: u32,
    /// Number of times that the page was written.
    pub generation: u64,
}

/// Reason why some bytes are not a valid page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Defect {
    /// All bytes are zero.
    Blank,
    /// The magic bytes are missing.
    Foreign,
    /// The checksum is wrong.
    Checksum,
    /// The page is of another area.
    Area,
    /// The page belongs to another place.
    Misplaced,
}

impl Defect {
    /// Returns the defect in words.
    pub const fn reason(self) -> &'static str {
        match self {
            Defect::Blank => "blank",
            Defect::Foreign => "not of dm-remap",
            Defect::Checksum => "wrong checksum",
            Defect::Area => "of another area",
            Defect::Misplaced => "of another place",
        }
    }
}

impl Page {
    /// Returns the bytes of `pages`.
    pub fn bytes(pages: &[Page]) -> &[u8] {
        zerocopy::IntoBytes::as_bytes(pages)
    }

    /// Returns the bytes of `pages`, for reading into them.
    pub fn bytes_mut(pages: &mut [Page]) -> &mut [u8] {
        zerocopy::IntoBytes::as_mut_bytes(pages)
    }

    /// Returns the bytes behind the header.
    pub const fn payload(&self) -> &[u8; PAYLOAD_BYTES] {
        &self.payload
    }

    /// Returns the bytes behind the header, for filling them in before [`Page::seal`].
    pub fn payload_mut(&mut self) -> &mut [u8; PAYLOAD_BYTES] {
        &mut self.payload
    }

    /// Fills in the header of a page with that identity, checksum included.
    pub fn seal(&mut self, identity: &Identity, checksum: Checksum) {
        self.header = Header {
            magic: MAGIC,
            checksum: U32::ZERO,
            index: U32::new(identity.index),
            area: U64::new(identity.area),
            generation: U64::new(identity.generation),
        };
        let sum = checksum(zerocopy::IntoBytes::as_bytes(self));
        self.header.checksum = U32::new(sum);
    }

    /// Returns the identity in the header, without a check.
    pub fn claims(&self) -> Identity {
        Identity {
            area: self.header.area.get(),
            index: self.header.index.get(),
            generation: self.header.generation.get(),
        }
    }

    /// Returns the identity of a valid page.
    ///
    /// Clears and restores the checksum in the header, hence `&mut`: there may be no memory for a second page.
    pub fn check(&mut self, checksum: Checksum) -> Result<Identity, Defect> {
        if self.header.magic != MAGIC {
            let bytes: &[u8] = zerocopy::IntoBytes::as_bytes(self);
            return Err(if bytes.iter().all(|&byte| byte == 0) {
                Defect::Blank
            } else {
                Defect::Foreign
            });
        }
        let stored = core::mem::replace(&mut self.header.checksum, U32::ZERO);
        let sum = checksum(zerocopy::IntoBytes::as_bytes(self));
        self.header.checksum = stored;
        if sum != stored.get() {
            return Err(Defect::Checksum);
        }
        Ok(self.claims())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;
    use zerocopy::FromZeros;

    /// CRC32C bit by bit, as the standard defines it.
    /// Checksums of single bytes.
    static BYTES: [u32; 256] = {
        let mut bytes = [0; 256];
        let mut byte = 0;
        while byte < 256 {
            let mut crc = byte as u32;
            let mut bit = 0;
            while bit < 8 {
                crc = crc >> 1 ^ (0x82f6_3b78 & 0_u32.wrapping_sub(crc & 1));
                bit += 1;
            }
            bytes[byte] = crc;
            byte += 1;
        }
        bytes
    };

    pub(crate) fn crc32c(bytes: &[u8]) -> u32 {
        let mut crc = u32::MAX;
        for &byte in bytes {
            crc = crc >> 8 ^ BYTES[(crc as u8 ^ byte) as usize];
        }
        !crc
    }

    const IDENTITY: Identity = Identity {
        area: 0x1122_3344_5566_7788,
        index: 7,
        generation: 9,
    };

    #[test]
    fn the_checksum_is_the_known_one() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    }

    #[test]
    fn a_sealed_page_is_what_it_was_made() {
        let mut page = Page::new_zeroed();
        page.payload_mut()[100] = 5;
        page.seal(&IDENTITY, crc32c);
        assert_eq!(page.check(crc32c), Ok(IDENTITY));
        let bytes: [u8; PAGE_BYTES] = zerocopy::transmute!(page);
        assert_eq!(&bytes[..8], b"dm-remap");
        assert_eq!(bytes[12..16], 7_u32.to_le_bytes());
        assert_eq!(bytes[16..24], IDENTITY.area.to_le_bytes());
        assert_eq!(bytes[24..32], 9_u64.to_le_bytes());
        assert_eq!(bytes[132], 5);
    }

    #[test]
    fn what_is_no_page_says_so() {
        let mut page = Page::new_zeroed();
        assert_eq!(page.check(crc32c), Err(Defect::Blank));
        page.payload_mut()[4000] = 1;
        assert_eq!(page.check(crc32c), Err(Defect::Foreign));
    }

    proptest! {
        #[test]
        fn any_changed_byte_shows(at in 0..PAGE_BYTES, by in 1..=255_u8) {
            let mut page = Page::new_zeroed();
            page.seal(&IDENTITY, crc32c);
            let mut bytes: [u8; PAGE_BYTES] = zerocopy::transmute!(page);
            bytes[at] ^= by;
            let mut page: Page = zerocopy::transmute!(bytes);
            prop_assert!(page.check(crc32c).is_err());
            // The bytes are unchanged.
            let after: [u8; PAGE_BYTES] = zerocopy::transmute!(page);
            prop_assert!(after == bytes);
        }
    }
}
