// SPDX-License-Identifier: GPL-2.0

//! What moving blocks needs, and the right to do it.

use kernel::{
    alloc::{
        flags::{
            GFP_NOWAIT,
            __GFP_NOWARN, //
        },
        Flags, //
    },
    prelude::*,
    time::{
        Instant,
        Monotonic, //
    }, //
};
use remap_core::{
    breaker::Breaker,
    geometry::BlockSize, //
};

use super::{
    moves::Move,
    rescue::{
        FailedWrite,
        Part,
        MOST_WRITES, //
    },
    BUFFER_SECTORS,
    MAX_BATCH, //
};
use crate::{
    linux::{
        bio_pool::BioPool,
        block_device::BlockDevice,
        dm_io::{
            IoBuffer,
            IoClient, //
        },
        gate::Drain, //
    },
    remap::{
        fill::{
            Fill,
            MOST_FILLS, //
        },
        live::{
            LiveTable,
            ReaderIndex, //
        },
        lost::NewLost,
        metadata::Metadata,
        pending::Suspects,
        remaps::{
            Node,
            RemapTree, //
        }, //
    }, //
};

/// What a table is fit for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::remap) enum State {
    /// Never resumed so far.
    Loaded,
    /// In use.
    Active,
    /// Nobody may touch the devices but those who end bios.
    Suspended,
    /// The devices are closed.
    Gone,
}

impl State {
    /// Whether the devices may be used. `EAGAIN` suspended, `ENODEV` gone.
    pub(in crate::remap) fn admits(self) -> Result {
        match self {
            State::Active => Ok(()),
            State::Loaded | State::Suspended => Err(EAGAIN),
            State::Gone => Err(ENODEV),
        }
    }

    /// Whether the devices are there. `ENODEV`.
    pub(super) fn has_devices(self) -> Result {
        match self {
            State::Gone => Err(ENODEV),
            _ => Ok(()),
        }
    }
}

/// Most damaged blocks for which memory is kept.
const MOST_LOST: usize = 16;

/// Memory that is there when there is none: enough for a pass, of which some blocks are damaged.
///
/// Nobody waits for memory here. Whoever writes it out may be the one whose bios wait.
pub(in crate::remap) struct Reserve {
    nodes: KVec<Node>,
    lost: KVec<NewLost>,
}

impl Reserve {
    fn new() -> Result<Self> {
        Ok(Self {
            nodes: KVec::with_capacity(MAX_BATCH, GFP_KERNEL)?,
            lost: KVec::with_capacity(MOST_LOST, GFP_KERNEL)?,
        })
    }

    /// Room for an entry of the table. `ENOMEM`.
    pub(in crate::remap) fn node(&mut self) -> Result<Node> {
        Node::new(GFP_NOWAIT | __GFP_NOWARN).or_else(|_| self.nodes.pop().ok_or(ENOMEM))
    }

    /// Room for the lost sectors of a block. `ENOMEM`.
    pub(super) fn lost(&mut self) -> Result<NewLost> {
        NewLost::new(GFP_NOWAIT | __GFP_NOWARN).or_else(|_| self.lost.pop().ok_or(ENOMEM))
    }

    /// Replaces what was used, as far as there is memory.
    fn refill(&mut self, flags: Flags) {
        while self.nodes.len() < MAX_BATCH {
            let Ok(node) = Node::new(flags | __GFP_NOWARN) else {
                return;
            };
            // There is room.
            let _ = self.nodes.push_within_capacity(node);
        }
        while self.lost.len() < MOST_LOST {
            let Ok(lost) = NewLost::new(flags | __GFP_NOWARN) else {
                return;
            };
            // There is room.
            let _ = self.lost.push_within_capacity(lost);
        }
    }
}

/// Most failed slots that are remembered until they can be recorded.
const MOST_BAD: usize = 64;

/// What a relocation needs; there is one for each table, so one pass at a time.
pub(in crate::remap) struct Mover {
    pub(in crate::remap) state: State,
    pub(in crate::remap) drain: Drain<ReaderIndex>,
    pub(super) io: IoClient,
    pub(super) buffer: IoBuffer,
    /// A logical block of each device, for when it matters what is wrong with it.
    pub(super) main_piece: KVec<u8>,
    pub(super) spare_piece: KVec<u8>,
    /// Most blocks that the buffer has room for.
    pub(super) batch: usize,
    /// What a table that is not volatile keeps.
    pub(in crate::remap) metadata: Option<Metadata>,
    pub(in crate::remap) reserve: Reserve,
    pub(in crate::remap) breaker: KBox<Breaker>,
    /// When its time began.
    pub(super) since: Instant<Monotonic>,
    /// Blocks on the spare that a test has moved there, and will move back.
    pub(super) lent: RemapTree,
    pub(in crate::remap) suspects: KBox<Suspects>,
    /// Memory for rescuing writes.
    pub(super) pool: Pin<KBox<BioPool>>,
    pub(super) writes: KVec<FailedWrite>,
    /// Memory for ending writes that wait for metadata.
    pub(in crate::remap) fills: KVec<Fill>,
    pub(super) parts: KVec<Part>,
    pub(super) moves: KVVec<Move>,
    /// Slots that have failed, and that the metadata does not know of so far.
    pub(super) bad: KVec<u32>,
}

impl Mover {
    /// The mover of a new table. May sleep.
    #[inline(never)]
    pub(in crate::remap) fn new(
        main: &BlockDevice,
        spare: &BlockDevice,
        block: BlockSize,
        drain: Drain<ReaderIndex>,
        metadata: Option<Metadata>,
    ) -> Result<KBox<Self>> {
        let piece = |device: &BlockDevice| {
            let sectors = device.logical_block_sectors().max(1) as usize;
            KVec::zeroed(sectors << 9, GFP_KERNEL)
        };
        let batch = (BUFFER_SECTORS >> block.shift()) as usize;
        let mut reserve = Reserve::new()?;
        reserve.refill(GFP_KERNEL);
        let mover = Self {
            state: State::Loaded,
            drain,
            io: IoClient::new()?,
            buffer: IoBuffer::new(BUFFER_SECTORS as usize)?,
            main_piece: piece(main)?,
            spare_piece: piece(spare)?,
            batch: batch.clamp(1, MAX_BATCH),
            metadata,
            reserve,
            breaker: KBox::new(Breaker::new(), GFP_KERNEL)?,
            since: Instant::now(),
            lent: RemapTree::new(),
            suspects: KBox::new(Suspects::default(), GFP_KERNEL)?,
            pool: BioPool::new()?,
            writes: KVec::with_capacity(MOST_WRITES, GFP_KERNEL)?,
            fills: KVec::with_capacity(MOST_FILLS, GFP_KERNEL)?,
            parts: KVec::with_capacity(MAX_BATCH, GFP_KERNEL)?,
            moves: KVVec::with_capacity(MAX_BATCH, GFP_KERNEL)?,
            bad: KVec::with_capacity(MOST_BAD, GFP_KERNEL)?,
        };
        Ok(KBox::new(mover, GFP_KERNEL)?)
    }

    /// Remembers a slot that has failed. Where there is no room, the metadata never hears of it: it
    /// fails again when a later table tries it.
    pub(super) fn note_bad(&mut self, slot: u32) {
        let _ = self.bad.push_within_capacity(slot);
    }
}

impl LiveTable {
    /// Gets ready for the next block that moves, as far as there is memory.
    pub(super) fn refill(&self, mover: &mut Mover) {
        mover.reserve.refill(GFP_NOWAIT);
        let mut remaps = self.remaps.lock();
        let _ = self.make_room(&mut remaps, mover, MAX_BATCH);
    }
}
