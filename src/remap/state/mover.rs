// SPDX-License-Identifier: GPL-2.0

//! The mover: what moving blocks needs.

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
use remap_core::table::{
    breaker::Breaker,
    geometry::{
        BlockSize,
        MAX_BLOCK_SECTORS, //
    }, //
};

use super::{
    devices::Pieces,
    lost::NewLost,
    metadata::Metadata,
    moves::{
        Move,
        WritePart,
        MAX_BATCH, //
    },
    remaps::{
        Node,
        ReaderIndex,
        RemapTree, //
    },
    writes::{
        FailedWrite,
        Fill,
        MAX_FILLS,
        MAX_WRITES, //
    }, //
};
use crate::linux::{
    bio_pool::BioPool,
    block_device::BlockDevice,
    dm_io::{
        IoBuffer,
        IoClient, //
    },
    gate::Drain, //
};

/// Sectors of the buffer: the largest block, or a batch of smaller ones.
const BUFFER_SECTORS: u32 = MAX_BLOCK_SECTORS;

/// Returns the most blocks that the buffer has room for, of those of a pass.
pub(in crate::remap) fn batch_of(block: BlockSize) -> usize {
    let batch = (BUFFER_SECTORS >> block.shift()) as usize;
    batch.clamp(1, MAX_BATCH)
}

/// State of a table: who may use the devices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::remap) enum TableState {
    /// Never resumed so far.
    Loaded,
    /// In use.
    Active,
    /// Suspended: only what ends bios uses the devices.
    Suspended,
    /// The devices are closed.
    Gone,
}

impl TableState {
    /// Checks that the devices may be used. `EAGAIN` suspended, `ENODEV` gone.
    pub(in crate::remap) fn admits(self) -> Result {
        match self {
            TableState::Active => Ok(()),
            TableState::Loaded | TableState::Suspended => Err(EAGAIN),
            TableState::Gone => Err(ENODEV),
        }
    }

    /// Checks that the devices are there. `ENODEV`.
    pub(in crate::remap) fn has_devices(self) -> Result {
        match self {
            TableState::Gone => Err(ENODEV),
            _ => Ok(()),
        }
    }
}

/// Most blocks with unread or lost sectors for which memory is kept: one for each write that is rescued.
const MAX_LOST: usize = MAX_WRITES;

/// Memory that is there when there is none: enough for a pass, of which some blocks are damaged.
///
/// No relocation waits for memory: the thread that writes memory out may be the one whose bios wait.
pub(in crate::remap) struct Reserve {
    nodes: KVec<Node>,
    lost: KVec<NewLost>,
}

impl Reserve {
    fn new() -> Result<Self> {
        Ok(Self {
            nodes: KVec::with_capacity(MAX_BATCH, GFP_KERNEL)?,
            lost: KVec::with_capacity(MAX_LOST, GFP_KERNEL)?,
        })
    }

    /// Returns room for an entry of the remap table. `ENOMEM`.
    pub(in crate::remap) fn node(&mut self) -> Result<Node> {
        Node::new(GFP_NOWAIT | __GFP_NOWARN).or_else(|_| self.nodes.pop().ok_or(ENOMEM))
    }

    /// Returns room for the lost sectors of a block. `ENOMEM`.
    pub(in crate::remap) fn lost(&mut self) -> Result<NewLost> {
        NewLost::new(GFP_NOWAIT | __GFP_NOWARN).or_else(|_| self.lost.pop().ok_or(ENOMEM))
    }

    /// Replaces what was used, as far as there is memory.
    pub(in crate::remap) fn refill(&mut self, flags: Flags) {
        while self.nodes.len() < MAX_BATCH {
            let Ok(node) = Node::new(flags | __GFP_NOWARN) else {
                return;
            };
            // There is room.
            let _ = self.nodes.push_within_capacity(node);
        }
        while self.lost.len() < MAX_LOST {
            let Ok(lost) = NewLost::new(flags | __GFP_NOWARN) else {
                return;
            };
            // There is room.
            let _ = self.lost.push_within_capacity(lost);
        }
    }
}

/// Most failed slots that are remembered until they can be recorded.
const MAX_BAD: usize = 64;

/// Everything that a relocation needs. There is one for each table, so one pass at a time.
pub(in crate::remap) struct Mover {
    pub(in crate::remap) state: TableState,
    pub(in crate::remap) drain: Drain<ReaderIndex>,
    pub(in crate::remap) io: IoClient,
    pub(in crate::remap) buffer: IoBuffer,
    pub(in crate::remap) pieces: Pieces,
    /// Metadata of a table that is not volatile.
    pub(in crate::remap) metadata: Option<Metadata>,
    pub(in crate::remap) reserve: Reserve,
    pub(in crate::remap) breaker: KBox<Breaker>,
    /// Start of the breaker's time.
    pub(in crate::remap) since: Instant<Monotonic>,
    /// Blocks on the spare that a test has moved there, and will move back.
    pub(in crate::remap) lent: RemapTree,
    /// Memory for rescuing writes.
    pub(in crate::remap) pool: Pin<KBox<BioPool>>,
    pub(in crate::remap) writes: KVec<FailedWrite>,
    /// Memory for ending writes that wait for metadata.
    pub(in crate::remap) fills: KVec<Fill>,
    pub(in crate::remap) parts: KVec<WritePart>,
    pub(in crate::remap) moves: KVVec<Move>,
    /// Slots that have failed, and that the metadata does not know of so far.
    pub(in crate::remap) bad: KVec<u32>,
}

impl Mover {
    /// Makes the mover of a new table. May sleep. `ENOMEM`.
    #[inline(never)]
    pub(in crate::remap) fn new(
        main: &BlockDevice,
        spare: &BlockDevice,
        drain: Drain<ReaderIndex>,
        metadata: Option<Metadata>,
    ) -> Result<KBox<Self>> {
        let mut reserve = Reserve::new()?;
        reserve.refill(GFP_KERNEL);
        let mover = Self {
            state: TableState::Loaded,
            drain,
            io: IoClient::new()?,
            buffer: IoBuffer::new(BUFFER_SECTORS as usize)?,
            pieces: Pieces::new(main, spare)?,
            metadata,
            reserve,
            breaker: KBox::new(Breaker::new(), GFP_KERNEL)?,
            since: Instant::now(),
            lent: RemapTree::new(),
            pool: BioPool::new()?,
            writes: KVec::with_capacity(MAX_WRITES, GFP_KERNEL)?,
            fills: KVec::with_capacity(MAX_FILLS, GFP_KERNEL)?,
            parts: KVec::with_capacity(MAX_BATCH, GFP_KERNEL)?,
            moves: KVVec::with_capacity(MAX_BATCH, GFP_KERNEL)?,
            bad: KVec::with_capacity(MAX_BAD, GFP_KERNEL)?,
        };
        Ok(KBox::new(mover, GFP_KERNEL)?)
    }

    /// Records a slot that has failed. Where there is no room, the metadata never hears of it: it
    /// fails again when a later table tries it.
    pub(in crate::remap) fn record_bad_slot(&mut self, slot: u32) {
        let _ = self.bad.push_within_capacity(slot);
    }
}
