// SPDX-License-Identifier: GPL-2.0

//! Moving live blocks between main and spare.
//!
//! A *pass* moves some neighbouring blocks together:
//!
//! 1. a slot is reserved for each, and the readers' index says that they are held: new bios that
//!    touch them wait in a list;
//! 2. the gate is drained: bios mapped before have completed;
//! 3. the contents are copied. Without metadata, and on the way back to main, the copies are flushed now;
//! 4. the metadata says where the blocks are, page by page. The write of a page flushes the spare before
//!    it (PREFLUSH), which makes the copies there durable;
//! 5. the index says it, too;
//! 6. the bios that waited go on.
//!
//! Moving back is the same in the other direction; the slots are free after step 5.
//!
//! Whatever fails, a block is in the end where it was or where it should be, and no bio stays
//! behind. Where metadata can no longer be written, and what it says of a block is uncertain, the
//! block is on the spare and is not written to: it is *unsaved* until that can be written, and nothing
//! else moves before ([`record`]). What a message copied has the same contents in both places then; a
//! write that was relocated has failed, and either contents are right.
//!
//! Passes are serialised by the mover, which a [`MoverGuard`] has locked. A [`pass::Pass`] is the right to move
//! blocks while the table is active. Between two passes of a long range a thread that wants to suspend
//! the device has its turn, and the range ends with `EAGAIN`; device-mapper would wait for the message
//! otherwise. A [`rescue::Rescue`] is the right to move the blocks of failed writes, which works while the table is
//! suspended as well.
//!
//! * [`guard`] is the lock that all changes are made under, [`pass`] moves blocks for messages and tests,
//! * [`rescue`] writes what could not be written, and moves its blocks,
//! * [`copy`] is step 3, [`carry`] the same for failed writes, [`record`] step 4,
//! * [`store`] puts what main had of unread sectors into slots, [`write_back`] tells whether main takes any write.

mod carry;
mod copy;
mod guard;
mod pass;
mod record;
mod rescue;
mod store;
mod write_back;

pub(super) use guard::MoverGuard;
