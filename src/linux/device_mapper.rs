// SPDX-License-Identifier: GPL-2.0

//! Device-mapper targets.
//!
//! A target implements [`Target`] and is registered by a [`Registration`]. The kernel demands of it:
//!
//! * [`Target::construct`] turns a table line into an object, which device-mapper owns until the
//!   table is destroyed. The old table of the device may still be in use meanwhile.
//! * [`Target::map`] decides the destination of every bio. It gets the clone that device-mapper
//!   made as a [`MapBio`] and has to turn it into a [`Mapping`]: redirected, refused, or taken
//!   over as a [`HeldBio`].
//! * A clone that was redirected belongs to the block layer until it completes. Then it passes
//!   [`Target::end_io`], which may take it over as a [`HeldBio`] once more.
//! * A [`HeldBio`] belongs to the target, which must submit it or end it. A [`HeldBio`] that is dropped
//!   ends with an error.
//!
//! A suspend calls `presuspend` while bios are still submitted; then device-mapper waits for every clone.
//! A resume calls `preresume`, which may fail, then `resume`. When tables are swapped, the new table is
//! resumed before the old one is destroyed.
//!
//! * [`bio`]: the clone; [`word`]: the word that goes along with it,
//! * [`target`]: a target, and its bios while they are mapped and when they come back,
//! * [`setup`]: the parts of a table line; [`registration`]: the callbacks from C.
//!
//! C header: [`include/linux/device-mapper.h`](srctree/include/linux/device-mapper.h).

mod bio;
mod registration;
mod setup;
mod target;
mod word;

pub(crate) use bio::{
    BioContext,
    Blame,
    BlockStatus,
    HeldBio,
    HeldBios,
    TargetBio, //
};
pub(crate) use registration::Registration;
pub(crate) use setup::{
    Device,
    Events,
    Setup,
    Table, //
};
pub(crate) use target::{
    EndedBio,
    Ending,
    MapBio,
    Mapping,
    OpenBio,
    Target, //
};
