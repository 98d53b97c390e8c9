// SPDX-License-Identifier: GPL-2.0

//! An area's metadata: what it consists of, and who provides it.

use crate::{
    metadata::{
        copies::Seen,
        entry::{
            Entry,
            Shape,
            UnitStates, //
        },
        layout::{
            Layout,
            Place, //
        },
        page::Page,
        superblock::Superblock,
        Checksum, //
    },
    table::index::MAX_BLOCKS, //
};

use super::load_error::LoadError;

/// What holds the pages of an area.
pub trait Storage {
    /// Why a page could not be read or written.
    type Error;

    /// Reads pages from `sector` of the area on.
    fn read(&mut self, sector: u64, pages: &mut [Page]) -> Result<(), Self::Error>;

    /// Writes pages from `sector` of the area on. They are durable when this returns, and so is
    /// whatever else was written to the device before.
    fn write(&mut self, sector: u64, pages: &[Page]) -> Result<(), Self::Error>;
}

/// Who wants to know what an area holds.
pub trait Reader {
    /// Why it does not go on, or why loading does not.
    type Error: From<LoadError>;
    /// Memory for numbers: generations of pages, and what has to be remembered of a few slots.
    type Numbers: AsRef<[u64]> + AsMut<[u64]> + Default;

    /// Looks at the superblock first, and at the layout: that which the area will have if it is to grow. Returns the
    /// number of blocks of the target, and memory for the numbers of a store ([`numbers_of`](super::numbers_of)), all 0.
    fn begin(
        &mut self,
        superblock: &Superblock,
        layout: &Layout,
    ) -> Result<(u64, Self::Numbers), Self::Error>;

    /// Takes what is in a slot that is not free. Called in the order of the slots.
    fn take(&mut self, slot: u32, entry: &Entry) -> Result<(), Self::Error>;

    /// Of two slots that were taken with the same block `old` has failed, and `entry` in `slot` counts.
    /// Called when everything was taken.
    fn replace(&mut self, old: u32, slot: u32, entry: &Entry) -> Result<(), Self::Error>;

    /// Takes all blocks, each once and with its slot, in the order of the blocks. Called last.
    fn end(&mut self, remaps: impl Iterator<Item = (u64, u32)>) -> Result<(), Self::Error> {
        let _ = remaps;
        Ok(())
    }

    /// Memory for so many numbers.
    fn numbers(count: usize) -> Result<Self::Numbers, Self::Error>;

    /// Adds a number to some, with memory for it.
    fn push(numbers: &mut Self::Numbers, number: u64) -> Result<(), Self::Error>;
}

/// What loading may do to an area.
#[derive(Clone, Copy, Debug)]
pub struct LoadOptions {
    /// Copies that are bad are put right.
    pub mend: bool,
    /// A shorter area is loaded, too: to become longer by [`Store::grow`] if copies may be put right.
    pub grow: bool,
}

/// Memory for loading: the places of some pages, of both halves. As many in one as in the other, an
/// even number up to [`MAX_PLACES`]; the more, the fewer requests.
pub struct Scratch<'a> {
    /// Places in the head.
    pub head: &'a mut [Page],
    /// Places in the tail.
    pub tail: &'a mut [Page],
}

/// Most places of a half that are looked at together.
pub const MAX_PLACES: usize = 128;

/// How the metadata of an area is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// Places that were bad.
    pub bad: u32,
    /// Pages whose last write was cut short between its places.
    pub behind: u32,
    /// Pages of which some place could not be put right.
    pub unmended: u32,
    /// First page that may have a newer generation in a place that cannot be read, with the one that was found:
    /// nothing newer than both could be written.
    pub doubtful: Option<(u32, u64)>,
    /// Slots that have failed and are not recorded as bad yet: a crash came before.
    pub failed: u32,
}

/// An area's metadata, ready to be changed.
pub struct Store<S, G> {
    pub(super) storage: S,
    pub(super) checksum: Checksum,
    pub(super) superblock: Superblock,
    pub(super) layout: Layout,
    /// The generation of each page with its torn places, and behind them the last one that was tried of each
    /// ([`Store::generation`], [`Store::tried`]).
    pub(super) numbers: G,
    /// Whether the last write of some page has failed in one of its places.
    pub(super) degraded: bool,
    /// The page of which a commit has left two versions.
    pub(super) unsettled: Option<u32>,
    /// What was found to have failed, and is not recorded as bad so far.
    pub(super) failed: G,
    /// The slot that a block is leaving since it has failed, and that is not recorded as bad so far.
    pub(super) leaving: Option<u32>,
    /// The page that the memory of the last commit holds as it was written.
    pub(super) held: Option<u32>,
    /// Number of sectors to which the area is to grow.
    pub(super) grows_to: Option<u64>,
}

impl<S, G: Default> Store<S, G> {
    /// Makes a store of which nothing has been read or written so far.
    pub(super) fn new(
        storage: S,
        checksum: Checksum,
        superblock: Superblock,
        layout: Layout,
        numbers: G,
    ) -> Self {
        Self {
            storage,
            checksum,
            superblock,
            layout,
            numbers,
            degraded: false,
            unsettled: None,
            failed: G::default(),
            leaving: None,
            held: None,
            grows_to: None,
        }
    }
}

/// A page that could not be written to both halves in any generation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unwritable {
    /// The page.
    pub index: u32,
}

/// Why entries were not made durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommitError {
    /// The page could not be written, and says what it said before. Or the change is none that the page can record
    /// ([`Store::can_record`]), and nothing was written.
    Unchanged(Unwritable),
    /// The page could not be written, and whether it says what it said before will be seen when it
    /// is loaded again: neither may be relied on before [`Store::settle`] has decided it.
    Uncertain(Unwritable),
}

/// Change of an entry.
// Made and looked at one at a time.
#[allow(clippy::large_enum_variant)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Becomes another entry.
    To(Entry),
    /// Keeps the block and replaces the states of its units.
    States(UnitStates),
}

impl From<Entry> for Change {
    fn from(entry: Entry) -> Self {
        Change::To(entry)
    }
}

impl Change {
    /// Changes the entry at the index `number` of a page. `None` where it has no block and should, or the page
    /// cannot record it.
    pub(super) fn write(&self, shape: &Shape, page: &mut Page, number: usize) -> Option<()> {
        let payload = page.payload_mut();
        match self {
            Change::To(entry) => entry.write(shape, payload, number),
            Change::States(states) => match Entry::read(shape, payload, number, MAX_BLOCKS) {
                Ok(Entry::Block { block, turn, .. }) => {
                    states.write(shape, payload, number, (block, turn))
                }
                _ => None,
            },
        }
    }
}

/// Which of two versions of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// The one before the change.
    Old,
    /// The one with the change.
    New,
}

/// Returns what is seen in a place of page `index`.
pub(super) fn judge(
    page: &mut Page,
    checksum: Checksum,
    area: u64,
    index: u32,
    place: Place,
) -> Seen {
    Seen::judge(page.check(checksum), area, index, place)
}

impl<S, G> Store<S, G> {
    /// What the area is.
    pub const fn superblock(&self) -> &Superblock {
        &self.superblock
    }

    /// Whether an entry can record these states. A change of an area of version 1 upgrades it before.
    pub fn can_record(&self, states: &UnitStates) -> bool {
        let upgraded = Superblock {
            format: self.superblock.format.current(),
            ..self.superblock
        };
        let layout = upgraded.layout();
        layout.is_some_and(|layout| layout.shape().can_record(states))
    }

    /// How the area is divided.
    pub const fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Whether some place of a page was bad and could not be put right.
    pub const fn is_degraded(&self) -> bool {
        self.degraded
    }
}
