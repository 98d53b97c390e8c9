// SPDX-License-Identifier: GPL-2.0

//! From a table line to a target.

use core::num::NonZeroU64;

use kernel::{
    prelude::*,
    str::{
        BStr,
        CStr, //
    },
    sync::{
        aref::ARef,
        Arc, //
    }, //
};
use remap_core::{
    interface::{
        arguments::Arguments,
        excerpt::Excerpt, //
    },
    metadata::{
        layout::Layout,
        superblock::Main,
        PAGE_SECTORS, //
    },
    table::{
        geometry::{
            BlockSize,
            SectorRange,
            MAX_BLOCK_SECTORS, //
        },
        index::MAX_SLOTS, //
    }, //
};

use super::{
    keeper::KeeperThread,
    state::{
        areas,
        loaded_area::{
            self,
            AreaRefusal,
            LoadedArea,
            Wanted, //
        },
        lost::LostBlocks,
        remaps::new_remaps,
        table_line::TableLine, //
    },
    table::{
        Table,
        TableParts, //
    },
    target::RemapTarget, //
};
use crate::linux::{
    block_device::BlockDevice,
    checksum::crc32c,
    device_mapper::{
        Device,
        Setup, //
    },
    log::device_log,
    noio::NoIo,
    once_arc::OnceArc,
    text::bytes_of,
    work_queue::WorkQueue, //
};

/// Block size where none is asked for and the devices want no larger one.
const DEFAULT_BLOCK_SECTORS: u32 = 8;

/// Refuses a table: `text` for `dmsetup`, and a line in the log that names the argument, too.
fn refuse(setup: &mut Setup<'_>, argument: &[u8], text: &'static CStr, error: Error) -> Error {
    pr_err!(
        "table refused: '{}': {}\n",
        format_args!("{}", Excerpt(argument)),
        BStr::from_bytes(text.to_bytes())
    );
    setup.set_error(text);
    error
}

/// Makes a target of the arguments of a table line. May sleep.
pub(super) fn construct(setup: &mut Setup<'_>, words: &[&CStr]) -> Result<RemapTarget> {
    let bytes = bytes_of(words).map_err(|error| {
        let first = words.first().map_or(&b""[..], |word| word.to_bytes());
        refuse(setup, first, c"Not enough memory", error)
    })?;
    let arguments = match Arguments::parse(&bytes) {
        Ok(arguments) => arguments,
        Err(refusal) => {
            return Err(refuse(
                setup,
                refusal.argument,
                refusal.error.text(),
                EINVAL,
            ))
        }
    };
    let &[main, spare, ..] = words else {
        return Err(EINVAL);
    };
    let main = open(setup, main, c"main_dev cannot be opened")?;
    let spare = open(setup, spare, c"spare_dev cannot be opened")?;
    let main_range = main_range(setup, &arguments, &main)?;
    let line = table_line(setup, &arguments, &main, &spare)?;
    check_spare(setup, &arguments, &line, &main, main_range, &spare)?;
    let area = areas::claim(
        setup.mapped_device(),
        setup.table(),
        (&main, main_range),
        (&spare, arguments.spare),
    )
    .map_err(|error| {
        let text = if error == EBUSY {
            c"The spare area, or the target itself, overlaps with a spare area in use"
        } else {
            c"The areas in use cannot be remembered"
        };
        refuse(setup, arguments.spare_dev, text, error)
    })?;
    setup.set_flush_bios(2);
    setup.take_discard_and_write_zeroes();
    let queue = WorkQueue::new(c"dm_remap")
        .map_err(|error| refuse(setup, b"", c"Not enough memory", error))?;
    let keeper =
        KeeperThread::start().map_err(|error| refuse(setup, b"", c"Not enough memory", error))?;
    Ok(RemapTarget {
        table: OnceArc::new(),
        queue,
        keeper,
        events: setup.events(),
        gate_counters: setup.gate_counters(),
        _area: area,
        main,
        spare,
        line,
    })
}

fn table_line(
    setup: &mut Setup<'_>,
    arguments: &Arguments<'_>,
    main: &BlockDevice,
    spare: &BlockDevice,
) -> Result<TableLine> {
    let logical = main
        .logical_block_sectors()
        .max(spare.logical_block_sectors());
    let too_small = arguments
        .block_size
        .is_some_and(|size| size.sectors() < logical);
    let usual_block = usual_block(main, spare, logical).filter(|_| !too_small);
    let usual_block = usual_block.ok_or_else(|| {
        let text = c"block_size is smaller than a logical block of one of the devices";
        refuse(setup, b"block_size", text, EINVAL)
    })?;
    Ok(TableLine {
        begin: setup.begin(),
        sectors: setup.sectors(),
        read_only: setup.read_only(),
        number: setup.mapped_device_number(),
        main_start: arguments.main_start,
        main_identity: main.with_identity(|name| Main::identity(name, crc32c)),
        spare_area: arguments.spare,
        block_size: arguments.block_size,
        usual_block,
        logical,
        volatile: arguments.volatile,
        format: arguments.format,
        error_policy: arguments.error_policy,
        settings: arguments.settings,
    })
}

/// Returns the block size that suits both devices; `None` where a logical block is larger than any.
fn usual_block(main: &BlockDevice, spare: &BlockDevice, logical: u32) -> Option<BlockSize> {
    let physical = main
        .physical_block_sectors()
        .max(spare.physical_block_sectors());
    let sectors = DEFAULT_BLOCK_SECTORS
        .max(physical)
        .clamp(logical, MAX_BLOCK_SECTORS.max(logical));
    BlockSize::from_sectors(u64::from(sectors))
}

/// Makes the remap table of a target that is about to be used for the first time: of what its
/// spare area holds, or an empty one. The device is suspended, and no other table writes to the area.
///
/// Sleeps. An error has left a line in the log that says why.
#[inline(never)]
pub(super) fn begin(target: &RemapTarget) -> Result<Arc<Table>> {
    // Memory must not wait for the device.
    let _noio = NoIo::enter();
    let line = &target.line;
    let loaded = if line.volatile {
        begin_volatile(target)
    } else {
        let wanted = Wanted {
            main: Main {
                identity: line.main_identity,
                sectors: target.main.sectors(),
                start: line.main_start,
            },
            length: line.sectors,
            block: line.block_size,
            usual_block: line.usual_block,
            logical: line.logical,
            read_only: line.read_only,
            format: line.format,
        };
        loaded_area::begin(&target.spare, line.spare_area, &wanted)
    };
    loaded
        .and_then(|area| make_table(target, area))
        .map_err(|refusal| {
            pr_err!(
                "{}: table refused: '{}': {}\n",
                format_args!("{}", line.number),
                BStr::from_bytes(target.spare.name().to_bytes()),
                format_args!("{refusal}")
            );
            refusal.error()
        })
}

#[inline(never)]
fn begin_volatile(target: &RemapTarget) -> Result<LoadedArea, AreaRefusal> {
    let line = &target.line;
    if !line.read_only {
        loaded_area::clear_way(&target.spare, line.spare_area, line.format)?;
    }
    let block = line.block_size.unwrap_or(line.usual_block);
    let slots = volatile_slots(line.spare_area, block);
    Ok(LoadedArea {
        remaps: new_remaps(slots)?,
        lost: LostBlocks::new(0)?,
        block,
        slots,
        first_slot: 0,
        grown_from: None,
        metadata: None,
    })
}

#[inline(never)]
fn make_table(target: &RemapTarget, area: LoadedArea) -> Result<Arc<Table>, AreaRefusal> {
    let line = &target.line;
    if area.block.named_blocks_in(line.sectors).is_none() {
        return Err(AreaRefusal::ManyBlocks);
    }
    let grown_from = area.grown_from;
    let table = Table::new(TableParts {
        begin: line.begin,
        sectors: line.sectors,
        main: ARef::from(&*target.main),
        main_start: line.main_start,
        spare: ARef::from(&*target.spare),
        spare_start: line.spare_area.start(),
        read_only: line.read_only,
        number: line.number,
        policy: line.error_policy,
        settings: line.settings,
        events: target.events.clone(),
        gate_counters: target.gate_counters.clone(),
        area,
    })?;
    if let Some(before) = grown_from {
        device_log!(
            pr_info,
            table.number,
            at State,
            "the spare area has grown from {} sectors to {}",
            before,
            line.spare_area.len()
        );
    }
    table.take_length()?;
    device_log!(
        pr_info,
        table.number,
        at State,
        "{} sectors in blocks of {}, {} of {} spare blocks in use, metadata {}",
        table.places.sectors,
        table.places.block.sectors(),
        table.remapped(),
        table.places.slots,
        table.health.metadata().word()
    );
    Ok(table)
}

fn open(setup: &mut Setup<'_>, path: &CStr, text: &'static CStr) -> Result<Device> {
    let device = setup
        .device(path)
        .map_err(|error| refuse(setup, path.to_bytes(), text, error))?;
    if device.is_zoned() {
        let text = c"Zoned devices are not supported";
        return Err(refuse(setup, path.to_bytes(), text, EINVAL));
    }
    Ok(device)
}

fn main_range(
    setup: &mut Setup<'_>,
    arguments: &Arguments<'_>,
    main: &BlockDevice,
) -> Result<SectorRange> {
    match SectorRange::new(arguments.main_start, setup.sectors()) {
        Some(range) if range.fits(main.sectors()) => Ok(range),
        _ => Err(refuse(
            setup,
            arguments.main_dev,
            c"The target reaches beyond the end of main_dev",
            EINVAL,
        )),
    }
}

fn check_spare(
    setup: &mut Setup<'_>,
    arguments: &Arguments<'_>,
    line: &TableLine,
    main: &BlockDevice,
    main_range: SectorRange,
    spare: &BlockDevice,
) -> Result {
    let area = arguments.spare;
    let logical =
        NonZeroU64::new(u64::from(spare.logical_block_sectors())).unwrap_or(NonZeroU64::MIN);
    let overlaps = main.same_disk(spare)
        && match (main.on_disk(main_range), spare.on_disk(area)) {
            (Some(main), Some(spare)) => main.overlaps(&spare),
            _ => true,
        };
    let text = if !area.fits(spare.sectors()) {
        c"The spare area reaches beyond the end of spare_dev"
    } else if area.start() % logical != 0 || area.len() % logical != 0 {
        c"The spare area is not aligned to the logical blocks of spare_dev"
    } else if overlaps {
        c"The spare area overlaps with the target"
    } else if !has_room(line) {
        if line.volatile {
            c"The spare area is too small for one block"
        } else {
            c"The spare area is too small for metadata and one block"
        }
    } else if !line.volatile && logical.get() > PAGE_SECTORS {
        c"Metadata needs logical blocks of 4096 bytes or less on spare_dev"
    } else {
        return Ok(());
    };
    Err(refuse(setup, arguments.spare_dev, text, EINVAL))
}

/// Returns whether the spare area has room for one block, of whatever size metadata may say.
fn has_room(line: &TableLine) -> bool {
    let least = || BlockSize::from_sectors(u64::from(line.logical.max(1)));
    let area = line.spare_area;
    if line.volatile {
        volatile_slots(area, line.block_size.unwrap_or(line.usual_block)) > 0
    } else {
        line.block_size
            .or_else(least)
            .is_some_and(|block| Layout::new(area.len(), block).is_some())
    }
}

/// Returns the number of spare blocks without metadata. What a larger area has beyond the most that can
/// be named is not used.
fn volatile_slots(area: SectorRange, block: BlockSize) -> u32 {
    let blocks = area.len() >> block.shift();
    u32::try_from(blocks).unwrap_or(u32::MAX).min(MAX_SLOTS)
}
