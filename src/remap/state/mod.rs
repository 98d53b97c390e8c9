// SPDX-License-Identifier: GPL-2.0

//! What a table consists of: values that know no table.
//!
//! * [`devices`] are main and spare, [`liveness`] tells whether they answer, [`reader`] reads them,
//! * [`remaps`] is where blocks are as the writer sees it, [`lost`] the sectors without contents,
//! * [`metadata`] is what survives the table, [`loaded_area`] how a table begins with it,
//! * [`mover`] is what moving blocks needs, [`moves`] are the blocks of a pass,
//! * [`deferred`] are the bios that wait, [`writes`] those that the work queue looks after,
//! * [`spare_cache`] says whether a flush has to go to the spare,
//! * [`suspects`] are blocks that may be bad, [`keeper`] wakes the thread that reads them,
//! * [`policy`] is what a failing write does, [`health`] what users have been told,
//! * [`note`] goes along with a bio, [`statistics`] counts and times,
//! * [`table_line`] is what a user asks for, [`areas`] keeps spare areas apart,
//! * [`upkeep`] is the clock of what a table does of its own accord,
//! * [`scrub`] is the thread that reads everything, [`reason`] has errors in words.

pub(super) mod areas;
pub(super) mod deferred;
pub(super) mod devices;
pub(super) mod health;
pub(super) mod keeper;
pub(super) mod liveness;
pub(super) mod loaded_area;
pub(super) mod lost;
pub(super) mod metadata;
pub(super) mod mover;
pub(super) mod moves;
pub(super) mod note;
pub(super) mod policy;
pub(super) mod reader;
pub(super) mod reason;
pub(super) mod remaps;
pub(super) mod scrub;
pub(super) mod spare_cache;
pub(super) mod statistics;
pub(super) mod suspects;
pub(super) mod table_line;
pub(super) mod upkeep;
pub(super) mod writes;
