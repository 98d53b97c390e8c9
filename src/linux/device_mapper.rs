// SPDX-License-Identifier: GPL-2.0

//! Device-mapper targets.
//!
//! A target implements [`Target`] and is registered by a [`Registration`]. What the kernel wants
//! of it:
//!
//! * [`Target::construct`] turns a table line into an object, which device-mapper owns until the
//!   table is destroyed. The old table of the device may still be in use meanwhile.
//! * [`Target::map`] decides for every bio where it goes. It gets the clone that device-mapper
//!   made as a [`MapBio`] and has to turn it into a [`Mapping`]: redirected, refused, or taken
//!   over as a [`HeldBio`].
//! * A clone that was redirected belongs to the block layer until it ends, and passes
//!   [`Target::end_io`] on the way back, which may keep it as a [`HeldBio`] once more. A
//!   [`HeldBio`] belongs to the target, which must submit it or end it; it is ended with an error
//!   when dropped.
//!
//! Suspending: `presuspend` (bios still flow), then device-mapper waits for every clone. Resuming:
//! `preresume`, which may fail, then `resume`. At the swap of tables the order is: new `preresume` and
//! `resume`, old destroyed.
//!
//! * [`bio`] is the clone, [`word`] what goes along with it, [`target`] a target and its bios on their way,
//! * [`setup`] what a table line is made of, [`registration`] the callbacks of C.
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
