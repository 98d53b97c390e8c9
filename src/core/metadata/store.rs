// SPDX-License-Identifier: GPL-2.0

//! Loading and changing the metadata of an area, on whatever holds its pages.
//!
//! * [`Store`] is an area's metadata, [`Storage`] holds its pages, [`Reader`] takes what is found,
//! * `find` tells what area it is, `load` looks at all of it, `remaps` puts it in the order of blocks,
//! * `commit` changes entries, `replace` lets a block go from one slot to another, `pages` writes pages,
//! * `grow` makes the area longer, `format` makes fresh metadata, [`recovery`] is for metadata that cannot be believed.

mod area;
mod commit;
mod find;
mod format;
mod grow;
mod load;
mod load_error;
mod pages;
pub mod recovery;
mod remaps;
mod replace;

pub use area::{
    Change,
    CommitError,
    Findings,
    LoadOptions,
    Reader,
    Scratch,
    Storage,
    Store,
    Unwritable,
    Version,
    MAX_PLACES, //
};
pub use find::check_places;
pub use format::erase;
pub use load_error::LoadError;
pub use pages::numbers_of;
pub use replace::Failed;

#[cfg(test)]
mod tests;
