// SPDX-License-Identifier: GPL-2.0

//! Why metadata is not believed, in words.

use core::fmt;

use crate::metadata::{
    copies::Doubt,
    entry,
    superblock, //
};

/// Why an area cannot be loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoadError {
    /// Nothing was ever written to it, as far as the search for labels tells.
    Blank,
    /// Formatting it was cut short.
    Formatting,
    /// It begins with something else.
    Foreign,
    /// It has no metadata and is not blank.
    NotBlank {
        /// The first of the sectors looked at that is not zero.
        sector: u64,
    },
    /// The superblock cannot be used.
    Superblock(superblock::Error),
    /// There are superblocks of several areas.
    Several,
    /// It is of another length.
    Length {
        /// Which, in sectors.
        is: u64,
    },
    /// It is longer than it is to be.
    Longer {
        /// Its length, in sectors.
        is: u64,
    },
    /// It has no room for its new places.
    LittleGrowth {
        /// Its length, in sectors.
        is: u64,
        /// The least length that it can grow to.
        least: u64,
    },
    /// The end of a growth that was cut short cannot be written.
    Unwritable,
    /// Nothing was found, but not everything could be read.
    Unreadable,
    /// A page cannot be believed.
    Page {
        /// Which.
        index: u32,
        /// Why.
        doubt: Doubt,
    },
    /// A page has an entry that is none.
    Entry {
        /// Which page.
        index: u32,
        /// For which slot.
        slot: u32,
        /// What is wrong.
        error: entry::Error,
    },
    /// A block is in two slots, and neither has taken over from the other; or it is in more.
    Twice {
        /// The second one.
        slot: u32,
    },
    /// The memory given does not fit the area.
    Scratch,
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LoadError::Blank => f.write_str("the spare area is blank"),
            LoadError::Formatting => {
                f.write_str("the spare area is blank: formatting it was cut short")
            }
            LoadError::Foreign => f.write_str("the spare area holds something that is no metadata"),
            LoadError::NotBlank { sector } => write!(
                f,
                "the spare area is not blank: sector {sector} of it is not zero"
            ),
            LoadError::Superblock(error) => error.fmt(f),
            LoadError::Several => f.write_str("the spare area has metadata of several areas"),
            LoadError::Length { is } => write!(f, "metadata of a spare area of {is} sectors"),
            LoadError::Longer { is } => write!(
                f,
                "metadata of a spare area of {is} sectors, which cannot become shorter"
            ),
            LoadError::LittleGrowth { is, least } => write!(
                f,
                "metadata of a spare area of {is} sectors, which grows to {least} or more"
            ),
            LoadError::Unwritable => f.write_str("the metadata cannot be written"),
            LoadError::Unreadable => f.write_str("the spare area cannot be read"),
            LoadError::Page { index, doubt } => match doubt {
                Doubt::Nothing => write!(f, "no copy of metadata page {index} is valid"),
                Doubt::Superseded { found } => write!(
                    f,
                    "metadata page {index} was found in generation {found}, and both copies of what \
                     may have come after it are bad"
                ),
            },
            LoadError::Entry {
                slot,
                error: entry::Error::Block,
                ..
            } => write!(f, "slot {slot} has a block beyond the end of the target"),
            LoadError::Entry { index, slot, .. } => {
                write!(f, "metadata page {index} has a wrong entry for slot {slot}")
            }
            LoadError::Twice { slot } => {
                write!(f, "the metadata has a block twice, the second time in slot {slot}")
            }
            LoadError::Scratch => f.write_str("not enough memory for the metadata"),
        }
    }
}
