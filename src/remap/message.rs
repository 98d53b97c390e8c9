// SPDX-License-Identifier: GPL-2.0

//! Messages: `dmsetup message`.

use core::fmt::Write;

use kernel::{
    prelude::*,
    str::CStr,
    sync::Arc, //
};
use remap_core::{
    interface::{
        excerpt::Excerpt,
        message::Message, //
    },
    table::{
        geometry::SectorRange,
        health::MetadataState, //
    }, //
};

use super::{
    scrub,
    state::{
        moves::{
            Contents,
            Progress, //
        },
        reason::reason, //
    },
    table::Table,
    upkeep, //
};
use crate::linux::{
    compat::ENODATA,
    log::device_log,
    text::{
        bytes_of,
        Text, //
    }, //
};

/// Longest line of `list`, and the last one: three numbers of twenty digits at most.
const LIST_LINE: usize = 64;

/// Carries out a message. `true` where there is a reply. May sleep.
///
/// An error has left one line in the log that names the argument and the reason.
pub(super) fn carry_out(table: &Arc<Table>, words: &[&CStr], reply: &mut Text<'_>) -> Result<bool> {
    let bytes = bytes_of(words).inspect_err(|_| {
        device_log!(pr_err, table.number, "message refused: no memory");
    })?;
    let target = SectorRange::new(table.places.begin, table.places.sectors).ok_or(EINVAL)?;
    let message = Message::parse(&bytes, target).map_err(|refusal| {
        pr_err!(
            "{}: message refused: '{}': {}\n",
            format_args!("{}", table.number),
            format_args!("{}", Excerpt(refusal.argument)),
            refusal.error.reason()
        );
        EINVAL
    })?;
    let written = match message {
        Message::Ping => write!(reply, "pong"),
        Message::Remap(range) => return remap(table, range, Contents::Copied, reply),
        Message::Bad(range) => return remap(table, range, Contents::Left, reply),
        Message::Unremap(range) => return unremap(table, range, reply),
        Message::Verify(sector) => verify(table, sector, reply),
        Message::List { from, max } => list(table, from, max, reply),
        Message::Pending { from, max } => pending(table, from, max, reply),
        Message::Retry => return retry(table, reply),
        Message::Policy(policy) => {
            table.set_policy(policy);
            table.report_health();
            return Ok(false);
        }
        Message::Set { setting, value } => {
            table.policy.change_setting(setting, value);
            upkeep::take_setting(table, setting);
            // The pauses of probes may be others.
            table.keeper.wake();
            return Ok(false);
        }
        Message::StartScrub { megabytes } => return start_scrub(table, megabytes),
        Message::StopScrub => {
            table.stop_scrub();
            return Ok(false);
        }
        Message::ScrubStatus => table.scrub.print(table.places.sectors, reply),
        Message::Clear => return clear(table, reply),
        Message::Save => return save(table, reply),
        Message::Stats => stats(table, reply),
        Message::ResetStats => {
            table.statistics.reset(&table.gate);
            return Ok(false);
        }
    };
    replied(written)
}

fn replied(written: core::fmt::Result) -> Result<bool> {
    // A reply that does not fit fills the buffer, which tells device-mapper to offer a larger one.
    let _ = written;
    Ok(true)
}

/// Logs why a range came no further.
fn stopped(table: &Table, what: &str, progress: &Progress, error: Error) -> Error {
    let reason = match table.health.metadata() {
        MetadataState::Failed if error == EIO => "metadata cannot be written",
        _ => reason(error),
    };
    device_log!(
        pr_err,
        table.number,
        "{} stopped at sector {}: {}; {} blocks were moved",
        what,
        table.places.shown_sector(progress.next),
        reason,
        progress.moved
    );
    error
}

fn is_one_block(table: &Table, range: SectorRange) -> bool {
    let (first, end) = range.blocks(table.places.block);
    end.saturating_sub(first) == 1
}

fn write_place(table: &Table, block: u64, slot: u32, reply: &mut Text<'_>) -> core::fmt::Result {
    write!(
        reply,
        "sector {} -> spare {}",
        table.places.shown_sector(block),
        table.places.slot_sector(slot)
    )
}

fn remap(
    table: &Table,
    range: SectorRange,
    contents: Contents,
    reply: &mut Text<'_>,
) -> Result<bool> {
    let (progress, ended) = table.remap_range(range, contents);
    table.report_health();
    ended.map_err(|error| stopped(table, contents.command(), &progress, error))?;
    if !is_one_block(table, range) {
        return replied(write!(
            reply,
            "remapped {} already {}",
            progress.moved, progress.already
        ));
    }
    let block = table.places.block.block_of(range.start());
    if progress.moved == 0 {
        device_log!(
            pr_err,
            table.number,
            "{} of sector {}: its block is remapped already",
            contents.command(),
            table.places.on_mapped_device(range.start())
        );
        return Err(EEXIST);
    }
    let slot = table.remaps.slot_of(block);
    match slot {
        Some(slot) => replied(write_place(table, block, slot, reply)),
        // Another message has moved it back meanwhile.
        None => Ok(false),
    }
}

fn unremap(table: &Table, range: SectorRange, reply: &mut Text<'_>) -> Result<bool> {
    let (progress, ended) = table.unremap_range(range);
    table.report_health();
    ended.map_err(|error| stopped(table, "unremap", &progress, error))?;
    if progress.moved == 0 && is_one_block(table, range) {
        device_log!(
            pr_err,
            table.number,
            "unremap of sector {}: its block is not remapped",
            table.places.on_mapped_device(range.start())
        );
        return Err(ENODATA);
    }
    replied(write!(reply, "unremapped {}", progress.moved))
}

fn clear(table: &Table, reply: &mut Text<'_>) -> Result<bool> {
    let all = SectorRange::new(0, table.places.sectors).ok_or(EINVAL)?;
    let (progress, ended) = table.unremap_range(all);
    table.report_health();
    ended.map_err(|error| stopped(table, "clear", &progress, error))?;
    replied(write!(reply, "cleared {}", progress.moved))
}

fn save(table: &Table, reply: &mut Text<'_>) -> Result<bool> {
    table.save().inspect_err(|error| {
        let reason = match *error {
            error if error == EINVAL => "the table is volatile and keeps no metadata",
            error => reason(error),
        };
        device_log!(pr_err, table.number, "save failed: {}", reason);
    })?;
    replied(write!(reply, "metadata saved"))
}

fn verify(table: &Table, sector: u64, reply: &mut Text<'_>) -> core::fmt::Result {
    let block = table.places.block.block_of(sector);
    let slot = table.remaps.slot_of(block);
    match slot {
        Some(slot) => write_place(table, block, slot, reply),
        None => write!(
            reply,
            "sector {} not remapped",
            table.places.on_mapped_device(sector)
        ),
    }
}

fn list(table: &Table, from: u64, max: u64, reply: &mut Text<'_>) -> core::fmt::Result {
    let mut page = Page::new(table, max, reply);
    let mut remaps = table.remaps.lock();
    remaps.each(table.places.block.block_of(from), |block, slot| {
        page.line(block, |reply| {
            let flags = table.lost.lock().flags(block);
            write!(reply, " {} {}", table.places.slot_sector(slot), flags)
        })
    });
    page.end()
}

fn pending(table: &Table, from: u64, max: u64, reply: &mut Text<'_>) -> core::fmt::Result {
    let mut page = Page::new(table, max, reply);
    let mut remaps = table.remaps.lock();
    let first = table.places.block.block_of(from);
    remaps.each_pending(first, |block| page.line(block, |_| Ok(())));
    page.end()
}

/// Part of a list of blocks, as long as a reply has room and lines are wanted.
struct Page<'a, 'b> {
    table: &'a Table,
    reply: &'a mut Text<'b>,
    /// Number of lines that may follow.
    left: u64,
    /// First sector of the first block that had no room.
    next: Option<u64>,
    written: core::fmt::Result,
}

impl<'a, 'b> Page<'a, 'b> {
    fn new(table: &'a Table, max: u64, reply: &'a mut Text<'b>) -> Self {
        Self {
            table,
            reply,
            left: max,
            next: None,
            written: Ok(()),
        }
    }

    /// Prints a line with the first sector of `block` and what `print` adds. `false` where no more
    /// lines are to follow.
    fn line(&mut self, block: u64, print: impl FnOnce(&mut Text<'_>) -> core::fmt::Result) -> bool {
        let sector = self.table.places.shown_sector(block);
        // The line that tells where to go on has to fit behind this one.
        if self.left == 0 || self.reply.remaining() < 2 * LIST_LINE {
            self.next = Some(sector);
            return false;
        }
        self.left = self.left.saturating_sub(1);
        self.written = write!(self.reply, "{sector}")
            .and_then(|()| print(self.reply))
            .and_then(|()| writeln!(self.reply));
        self.written.is_ok()
    }

    /// Prints the last line, which tells where to go on.
    fn end(self) -> core::fmt::Result {
        self.written?;
        match self.next {
            Some(sector) => write!(self.reply, "more {sector}"),
            None => write!(self.reply, "end"),
        }
    }
}

fn retry(table: &Table, reply: &mut Text<'_>) -> Result<bool> {
    let (cleared, ended) = table.retry();
    table.report_health();
    ended.inspect_err(|error| {
        device_log!(
            pr_err,
            table.number,
            "retry stopped: {}; {} blocks are pending no more",
            reason(*error),
            cleared
        );
    })?;
    replied(write!(
        reply,
        "cleared {cleared} pending {} unread {}",
        table.remaps.pending(),
        table.lost.lock().unread_sectors()
    ))
}

fn start_scrub(table: &Arc<Table>, megabytes: Option<u64>) -> Result<bool> {
    scrub::start(table, megabytes).inspect_err(|error| {
        let reason = match *error {
            error if error == EBUSY => "one runs already",
            error => reason(error),
        };
        device_log!(pr_err, table.number, "scrub refused: {}", reason);
    })?;
    Ok(false)
}

fn stats(table: &Table, reply: &mut Text<'_>) -> core::fmt::Result {
    let counters = table.statistics.counters_since_reset(&table.gate);
    let delays = table.statistics.delays();
    let (counted, timed) = (counters.named(), delays.named());
    let all = [&counted[..], &timed[..]];
    for (n, (name, value)) in all.into_iter().flatten().enumerate() {
        let separator = if n == 0 { "" } else { " " };
        write!(reply, "{separator}{name}={value}")?;
    }
    Ok(())
}
