// SPDX-License-Identifier: GPL-2.0

//! What the spare area keeps of remaps: format, and what may be believed of it after a crash.
//!
//! The area holds a table from slot to block, in pages of 4 KiB, and the slots themselves:
//!
//! ```text
//! start                                                                        end
//! | head: superblock, table pages | slots                  | tail: the same as head |
//! ```
//!
//! Every page of the table has four *places*: two in the head and two in the tail, of which one is
//! for even generations and one for odd ones. So a page is never overwritten in place, and what was
//! written last is there twice, far apart ([`layout`]). A page says by itself what it is, and has a
//! checksum ([`page`]).
//!
//! **Writing** a page means its next generation: first to the head, and when that is durable to the
//! tail, or the other way round where the place in the tail is bad. Only then may anybody rely on it.
//! A write that is cut short leaves the page before, whole, in the places of the other generation.
//!
//! **Loading** looks at all four places of a page ([`copies`]). The newest valid generation is the
//! page's, provided that there cannot have been a newer one: if both places where the next
//! generation would be are bad, it may have been there, and the area is refused rather than
//! believed. So no single bad place costs anything, and no number of them leads to a wrong mapping.
//!
//! **A block in two slots** is one that was going from a slot that had failed to another, in two
//! writes. Entries count such moves ([`turn`]), so the newer one is known; the other slot is bad. Any
//! other two are refused.
//!
//! Everything is little-endian. Checksums are CRC32C, which kernel and tools bring along, each their
//! own ([`Checksum`]). `docs/metadata-format.md` has it byte by byte.

pub mod copies;
pub mod entry;
pub mod layout;
pub mod page;
pub mod store;
pub mod superblock;
pub mod turn;

/// CRC32C (Castagnoli) of some bytes, as RFC 3720 has it: starting from all ones, and inverted.
pub type Checksum = fn(&[u8]) -> u32;

/// Bytes of a page.
pub const PAGE_BYTES: usize = 4096;

/// Sectors of a page.
pub const PAGE_SECTORS: u64 = 8;

/// Sectors of the unit in which a new area records lost sectors: exact for every device.
pub const LOST_UNIT: u32 = 1;

/// The version of the format that this writes, and the newest one that it reads.
pub const VERSION: u32 = 1;
