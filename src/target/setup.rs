// SPDX-License-Identifier: GPL-2.0

//! From a table line to a target.

use kernel::{
    pr_info_once,
    prelude::*,
    str::CStr,
    sync::aref::ARef, //
};
use remap_core::{
    arguments::Arguments,
    geometry::{
        BlockSize,
        SectorRange,
        MAX_BLOCK_SECTORS, //
    },
    index::{
        MAX_BLOCKS,
        MAX_SLOTS, //
    }, //
};

use super::{
    areas,
    live::{
        blocks,
        LiveTable,
        Parts, //
    },
    Options,
    RemapTarget, //
};
use crate::linux::{
    block_device::BlockDevice,
    device_mapper::{
        Device,
        Setup, //
    },
    log, //
};

/// Block size where none is asked for and the devices want no larger one.
const DEFAULT_BLOCK_SECTORS: u32 = 8;

/// Refuses a table: `text` for `dmsetup`, and a line in the log that names the argument, too.
fn refuse(setup: &mut Setup<'_>, argument: &[u8], text: &'static CStr, error: Error) -> Error {
    pr_err!(
        "table refused: '{}': {}\n",
        kernel::str::BStr::from_bytes(argument),
        kernel::str::BStr::from_bytes(text.to_bytes())
    );
    setup.set_error(text);
    error
}

/// Makes a target of the arguments of a table line. May sleep.
pub(super) fn construct(setup: &mut Setup<'_>, words: &[&CStr]) -> Result<KBox<RemapTarget>> {
    let mut bytes: KVec<&[u8]> = KVec::with_capacity(words.len(), GFP_KERNEL)?;
    for word in words {
        bytes.push(word.to_bytes(), GFP_KERNEL)?;
    }
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
    let block = block_size(setup, &arguments, &main, &spare)?;
    let main_range = main_range(setup, &arguments, &main)?;
    check_spare(setup, &arguments, block, &main, main_range, &spare)?;
    if blocks(setup.sectors(), block) > MAX_BLOCKS {
        return Err(refuse(
            setup,
            b"length",
            c"More blocks than the target can name; a larger block_size helps",
            EINVAL,
        ));
    }
    let slots = slots(&arguments, block);
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
    let table = LiveTable::new(Parts {
        begin: setup.begin(),
        sectors: setup.sectors(),
        block,
        main: ARef::from(&*main),
        main_start: arguments.main_start,
        spare: ARef::from(&*spare),
        spare_start: arguments.spare.start(),
        slots,
        read_only: setup.read_only(),
        number: setup.mapped_device_number(),
    })
    .map_err(|error| refuse(setup, b"", c"Not enough memory", error))?;
    setup.set_flush_bios(2);
    setup.take_discard_and_write_zeroes();
    let target = RemapTarget {
        table,
        _area: area,
        main,
        spare,
        spare_area: arguments.spare,
        options: Options {
            main_start: arguments.main_start,
            block_size: arguments.block_size.is_some(),
            volatile: arguments.volatile,
            format: arguments.format,
            error_policy: arguments.error_policy,
        },
    };
    announce(&target);
    Ok(KBox::new(target, GFP_KERNEL)?)
}

fn announce(target: &RemapTarget) {
    if !log::admits(log::Level::State) {
        return;
    }
    pr_info!(
        "{}: {} sectors in blocks of {}, {} spare blocks\n",
        format_args!("{}", target.table.number),
        target.table.sectors,
        target.table.block.sectors(),
        target.table.slots
    );
    if !target.options.volatile {
        pr_info_once!("metadata is not kept yet: remaps live as long as their table\n");
    }
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

/// The block size that is asked for, or the one that suits both devices.
fn block_size(
    setup: &mut Setup<'_>,
    arguments: &Arguments<'_>,
    main: &BlockDevice,
    spare: &BlockDevice,
) -> Result<BlockSize> {
    let least = main
        .logical_block_sectors()
        .max(spare.logical_block_sectors());
    let size = match arguments.block_size {
        Some(size) => Some(size),
        None => {
            let physical = main
                .physical_block_sectors()
                .max(spare.physical_block_sectors());
            let sectors = DEFAULT_BLOCK_SECTORS
                .max(physical)
                .clamp(least, MAX_BLOCK_SECTORS.max(least));
            BlockSize::from_sectors(u64::from(sectors))
        }
    };
    match size {
        Some(size) if size.sectors() >= least => Ok(size),
        _ => Err(refuse(
            setup,
            b"block_size",
            c"block_size is smaller than a logical block of one of the devices",
            EINVAL,
        )),
    }
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
    block: BlockSize,
    main: &BlockDevice,
    main_range: SectorRange,
    spare: &BlockDevice,
) -> Result {
    let area = arguments.spare;
    let logical = u64::from(spare.logical_block_sectors().max(1));
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
    } else if slots(arguments, block) == 0 {
        c"The spare area is too small for one block"
    } else {
        return Ok(());
    };
    Err(refuse(setup, arguments.spare_dev, text, EINVAL))
}

/// Number of spare blocks. What a larger area has beyond the most that can be named is not used.
fn slots(arguments: &Arguments<'_>, block: BlockSize) -> u32 {
    let blocks = arguments.spare.len() >> block.shift();
    u32::try_from(blocks).unwrap_or(u32::MAX).min(MAX_SLOTS)
}
