// SPDX-License-Identifier: GPL-2.0

//! Metadata of remaps in the spare area: its format, and its recovery after a crash.
//!
//! The area holds a table from slot to block, in pages of 4 KiB, and the slots themselves:
//!
//! ```text
//! start                                                                        end
//! | head: superblock, table pages | slots                  | tail: the same as head |
//! ```
//!
//! Every page of the table has four *places*: two in the head and two in the tail. Of each two, one is
//! for even generations and one for odd ones. So a page is never overwritten in place, and the last
//! generation exists twice, far apart ([`layout`]). An area may become longer, and its slots stay where they are
//! ([`store::Store::grow`]). The header of a page identifies it, and has a checksum ([`page`]).
//!
//! **Writing** a page makes its next generation: it is written to the head, and when it is durable there,
//! to the tail; the other way round where the place in the tail is bad. Only then may other code rely on
//! it. A write that is cut short leaves the generation before intact, in the places of the other parity.
//!
//! **Loading** reads all four places of a page ([`copies`]). The newest valid generation is taken if
//! there cannot have been a newer one. If both places of the next generation are bad, it may have been
//! there, and the area is refused. So a single bad place does no harm, and no number of bad places leads
//! to a wrong mapping.
//!
//! **A block in two slots** was moving from a slot that had failed to another, which takes two
//! writes. Entries count such moves ([`turn`]), so the newer slot is known; the other slot is bad. An area
//! with any other block in two slots is refused.
//!
//! All numbers are little-endian. Checksums are CRC32C; kernel and tools bring an implementation each
//! ([`Checksum`]). `docs/metadata-format.md` describes the format byte by byte.

pub mod copies;
pub mod entry;
pub mod layout;
pub mod page;
mod radix_sort;
pub mod store;
pub mod superblock;
pub mod turn;

/// Function that returns the CRC32C (Castagnoli) of RFC 3720: initialised with all ones, and inverted at the
/// end.
pub type Checksum = fn(&[u8]) -> u32;

/// Number of bytes of a page.
pub const PAGE_BYTES: usize = 4096;

/// Number of sectors of a page.
pub const PAGE_SECTORS: u64 = 8;

/// Unit in which a new area records unread and lost sectors, in sectors: exact for every device.
pub const LOST_UNIT: u32 = 1;

/// Version of the format that is written, and the newest one that can be read. An area of version 1 is upgraded
/// before it is changed ([`superblock::Format`]).
pub const VERSION: u32 = 2;
