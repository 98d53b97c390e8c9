// SPDX-License-Identifier: GPL-2.0

//! Device-mapper's core: a mapped device, its table of one target, and the clones of bios.
//!
//! Each file imports only files of lines below it:
//!
//! * `path` takes a bio of a user through the target to a disk and back;
//! * `device` is the mapped device: load, suspend, swap, resume, message, removal;
//! * `clone` is the bio that the target gets;
//! * `table`, `user_bio`, `arguments` are what these consist of.

mod arguments;
mod clone;
mod device;
mod path;
mod table;
mod user_bio;

pub use self::{
    arguments::{number_of, words},
    device::MappedDevice,
    table::Table,
    user_bio::UserBio, //
};
pub(crate) use self::{
    clone::{accept_partially, clone_of, memory_of, per_bio_data_of, request_of, PER_BIO_DATA},
    device::{find, forget_devices},
    path::{end_kept, submit_kept}, //
};
