// SPDX-License-Identifier: GPL-2.0

//! The gate: knows the bios in flight without a shared counter, and waits for them without a stop.
//!
//! Every bio enters the gate when it is mapped and leaves it when it ends. A thread that has changed
//! what new bios see calls [`Gate::drain`] and then knows that every bio that may have seen the
//! old state is gone. So the gate also keeps the memory that bios look at: what a gate guards is
//! freed only when those who were inside at its replacement have left.
//!
//! # How
//!
//! There are two epochs. Entering counts the bio under the current one, in a counter of its CPU,
//! and the bio remembers which; leaving counts it out under the same one, on whatever CPU it ends.
//! Neither counter is ever decremented, so the entries are statistics as well.
//!
//! # Proof
//!
//! `drain` (1) flips the epoch from `e`, (2) waits for an RCU grace period, (3) waits until the
//! entries under `e` equal the exits under `e`.
//!
//! * Reading the epoch and counting the entry happen in one section without preemption, which is
//!   an RCU reader. After (2) every such section that read `e` has ended, so no entry under `e`
//!   is added any more, and the sum of entries, taken after (2), is exact.
//! * Exits only grow. A sum of exits taken CPU by CPU is at most the number of exits when it is
//!   finished, so when it equals the entries, all that entered under `e` have left. A full barrier between
//!   the two sums pairs with the release in leaving: what they did inside comes before what the caller does.
//! * Where another gate has the same counters, entries under `e` may go on. They are summed after the exits,
//!   behind that barrier, and so are at least those of the exits that were seen: a bio that comes and goes
//!   there never stands in for one that is inside.
//! * A bio that entered under the new epoch read it with acquire, and (1) is a release store after
//!   the caller's change: that bio sees the change.
//! * A drain begins only when the one before it has ended ([`Gate::drain`] wants the token
//!   [`Drain`], of which there is one), so no bio of an older time is counted under the epoch that
//!   becomes current. If a drain gave up, the next one first finishes it.

use core::{
    ptr::NonNull,
    sync::atomic::{
        AtomicPtr,
        Ordering, //
    }, //
};

use kernel::{
    alloc::flags::GFP_NOWAIT,
    prelude::*,
    sync::{
        atomic::{
            Acquire,
            Atomic,
            Full,
            Relaxed, //
        },
        Arc, //
    },
    time::{
        delay::fsleep,
        Delta,
        Instant,
        Monotonic, //
    }, //
};

use super::{
    bindings,
    compat::smp_mb,
    percpu::{
        increment,
        PerCpuCounters, //
    }, //
};

/// Counters of a gate. They may outlive the gate, so that a bio can be counted out without a look at it.
#[derive(Clone)]
pub(crate) struct GateCounters(Arc<PerCpuCounters<COUNTERS>>);

impl GateCounters {
    /// Makes the counters of a gate that nothing has entered. May sleep.
    pub(crate) fn new() -> Result<Self> {
        Ok(Self(Arc::new(PerCpuCounters::new()?, GFP_KERNEL)?))
    }

    /// Returns the exits that belong to these counters.
    pub(super) fn exits(&self) -> Exits {
        Exits(self.0.address(0))
    }
}

/// Exits of the gates of some [`GateCounters`], as long as those are there: their address.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Exits(NonNull<u64>);

// SAFETY: Leaving is a per-CPU operation that any thread may do.
unsafe impl Send for Exits {}
// SAFETY: As above.
unsafe impl Sync for Exits {}

impl Exits {
    /// Sentinel that matches no gate; no bio is counted against it.
    pub(super) const NONE: Self = Self(NonNull::dangling());

    /// All bits that [`GateGuard::stay_with`] may return.
    pub(super) const EPOCH_BITS: usize = EPOCH as usize;

    /// Returns the ticket of a bio that stayed.
    ///
    /// # Safety
    ///
    /// `epoch` is what [`GateGuard::stay_with`] returned for these counters, which are still there; it is
    /// used for this only once.
    #[inline(always)]
    pub(super) unsafe fn ticket(self, epoch: usize) -> Ticket {
        // SAFETY: There is an exit counter so far behind the first one.
        // INVARIANT: By the safety requirement.
        Ticket(unsafe { self.0.add(epoch) })
    }

    /// Lets a bio leave that stayed. Any context but NMI.
    ///
    /// # Safety
    ///
    /// As for [`Exits::ticket`], in its place.
    #[inline(always)]
    pub(super) unsafe fn leave(self, epoch: usize) {
        // It pairs with the barrier in Gate::in_flight().
        // SAFETY: By the safety requirement.
        unsafe { increment::<LEFT>(self.0, epoch) };
    }
}

/// Direction of a bio that enters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Direction {
    /// Read.
    Read = 0,
    /// Change of the medium: write, discard, write-zeroes.
    Write = 1,
}

/// Bit of the state word: bios are timed.
const TIMED: u32 = 1;
/// Bit of the state word: the ends of bios are watched.
const WATCHED: u32 = 4;
/// Bit of the state word: the current epoch. As a number, 0 or 2, it is where the counters of the
/// epoch begin.
const EPOCH: u32 = 2;

/// Entries of two epochs with two directions each; C and [`Gate::enter`] know that they come first.
const ENTERED: usize = 0;
/// Exits of two epochs; every other counter is not used.
const LEFT: usize = 4;
const COUNTERS: usize = 7;

/// Entry that has not been counted out: the address of the counters from its epoch on.
///
/// # Invariants
///
/// The counters are those of the gate that was entered, the epoch is the one that it was entered
/// under, and the entry has not been counted out.
#[must_use = "a gate with a lost ticket can never be drained"]
pub(crate) struct Ticket(NonNull<u64>);

// SAFETY: Leaving is a per-CPU operation that any thread may do.
unsafe impl Send for Ticket {}

impl Ticket {
    /// Leaves the gate, which is still there: it has to outlive its tickets. Any context but NMI.
    #[inline(always)]
    pub(crate) fn leave(self) {
        // It pairs with the barrier in Gate::in_flight().
        // SAFETY: By the type invariant.
        unsafe { increment::<LEFT>(self.0, 0) };
    }
}

/// The right to drain a gate and to replace what it guards; there is one for each gate.
pub(crate) struct Drain<T> {
    /// The epoch that a drain flipped away from without seeing its end.
    unfinished: Option<u32>,
    /// Values that were replaced and may still be seen.
    retired: KVec<KBox<T>>,
}

/// A gate that guards a `T`; see the module's documentation.
///
/// # Invariants
///
/// `guarded` is a `KBox<T>` that is owned by the gate. It is an atomic of `core`, whose Acquire
/// loads and Release stores are the plain moves that smp_load_acquire() and smp_store_release()
/// are on x86: the `kernel` crate's would be calls on the path of every bio. `address` is that of
/// `counters`.
pub(crate) struct Gate<T> {
    state: Atomic<u32>,
    guarded: AtomicPtr<T>,
    address: NonNull<u64>,
    counters: GateCounters,
}

// SAFETY: A gate hands out shared references to its `T` and owns it.
unsafe impl<T: Send + Sync> Send for Gate<T> {}
// SAFETY: As above.
unsafe impl<T: Send + Sync> Sync for Gate<T> {}

/// Entry of a gate that counts itself out when it is dropped.
///
/// What the gate guards stays while it is there, and is at least as new as at the entry.
pub(crate) struct GateGuard<'a, T> {
    gate: &'a Gate<T>,
    now: u32,
}

impl<T> GateGuard<'_, T> {
    /// Returns whether the bio is to be observed: timed, or watched.
    #[inline(always)]
    pub(crate) fn observes(&self) -> bool {
        self.now & (TIMED | WATCHED) != 0
    }

    /// Returns whether the bio is to be timed.
    pub(crate) fn timed(&self) -> bool {
        self.now & TIMED != 0
    }

    /// Returns whether the end of the bio is watched.
    pub(crate) fn watched(&self) -> bool {
        self.now & WATCHED != 0
    }

    /// Stays inside until [`Ticket::leave`].
    #[inline(always)]
    pub(crate) fn stay(self) -> Ticket {
        let ticket = self.gate.ticket(self.now);
        core::mem::forget(self);
        ticket
    }

    /// Stays inside until [`Exits::leave`], where `exits` are those of the gate: a few bits are enough then.
    #[inline(always)]
    pub(super) fn stay_with(self, exits: Exits) -> core::result::Result<usize, Self> {
        if self.gate.address != exits.0 {
            return Err(self);
        }
        let epoch = (self.now & EPOCH) as usize;
        core::mem::forget(self);
        Ok(epoch)
    }
}

impl<T> core::ops::Deref for GateGuard<'_, T> {
    type Target = T;

    #[inline(always)]
    fn deref(&self) -> &T {
        // SAFETY: By the type invariant of `Gate` the pointer is valid, and what it pointed to at
        // any time since we entered is only freed by a drain that waits for us.
        unsafe { &*self.gate.guarded.load(Ordering::Acquire) }
    }
}

impl<T> Drop for GateGuard<'_, T> {
    #[inline(always)]
    fn drop(&mut self) {
        self.gate.ticket(self.now).leave();
    }
}

impl<T> Gate<T> {
    /// Makes a gate around `guarded` that nothing has entered, and the right to drain it. Where another gate
    /// has the same counters, a drain of one waits for the bios in the other as well.
    pub(crate) fn new(guarded: KBox<T>, counters: GateCounters) -> (Self, Drain<T>) {
        // INVARIANT: The box is ours.
        let gate = Self {
            state: Atomic::new(0),
            guarded: AtomicPtr::new(KBox::into_raw(guarded)),
            address: counters.0.address(0),
            counters,
        };
        let drain = Drain {
            unfinished: None,
            retired: KVec::new(),
        };
        (gate, drain)
    }

    /// Enters. Any context but NMI.
    #[inline(always)]
    pub(crate) fn enter(&self, direction: Direction) -> GateGuard<'_, T> {
        // SAFETY: `state` is a u32, and the counters begin with those of the entries, for two epochs
        // of two directions.
        let now = unsafe {
            bindings::gate_enter(
                (&raw const self.state).cast::<u32>(),
                self.address.as_ptr(),
                direction as u64,
            )
        };
        GateGuard { gate: self, now }
    }

    #[inline(always)]
    fn ticket(&self, now: u32) -> Ticket {
        // INVARIANT: Of the caller's entry, which saw `now`.
        Ticket(self.counters.0.address((now & EPOCH) as usize))
    }

    /// Returns what is guarded to the owner of the token, who alone replaces it.
    pub(crate) fn current<'a>(&'a self, _drain: &'a Drain<T>) -> &'a T {
        // SAFETY: By the type invariant, and only `replace` retires it, which needs the token
        // mutably.
        unsafe { &*self.guarded.load(Ordering::Acquire) }
    }

    /// Allocates room for what the next [`Gate::replace`] replaces, without waiting for memory. `ENOMEM`.
    pub(crate) fn make_room(&self, drain: &mut Drain<T>) -> Result {
        Ok(drain.retired.reserve(1, GFP_NOWAIT)?)
    }

    /// Replaces what is guarded. The old one is freed by the next drain that succeeds, or never
    /// where [`Gate::make_room`] was not called before.
    pub(crate) fn replace(&self, drain: &mut Drain<T>, new: KBox<T>) {
        // INVARIANT: The gate owns the new box instead of the old one.
        let old = self.guarded.load(Ordering::Acquire);
        self.guarded.store(KBox::into_raw(new), Ordering::Release);
        // SAFETY: By the type invariant the old pointer was an owned box.
        let old = unsafe { KBox::from_raw(old) };
        if let Err(kept) = drain.retired.push_within_capacity(old) {
            core::mem::forget(kept);
        }
    }

    /// Returns how many bios have entered so far.
    pub(crate) fn entered(&self, direction: Direction) -> u64 {
        let which = ENTERED + direction as usize;
        let counters = &self.counters.0;
        counters.sum(which).wrapping_add(counters.sum(which + 2))
    }

    /// Sets the bits of `mask` to those of `bits`. What the caller did before is seen by whoever sees
    /// the change.
    fn set_state(&self, mask: u32, bits: u32) {
        let mut state = self.state.load(Relaxed);
        loop {
            match self.state.cmpxchg(state, state & !mask | bits & mask, Full) {
                Ok(_) => return,
                Err(other) => state = other,
            }
        }
    }

    /// Sets whether bios that enter from now on are to be timed.
    pub(crate) fn set_timed(&self, timed: bool) {
        self.set_state(TIMED, if timed { TIMED } else { 0 });
    }

    /// Sets whether bios that enter from now on are watched. Any context.
    pub(crate) fn set_watched(&self, watched: bool) {
        self.set_state(WATCHED, if watched { WATCHED } else { 0 });
    }

    /// Returns how many bios have entered under an epoch and have not left, or more. After 0, what they did
    /// inside comes before what the caller does.
    fn in_flight(&self, epoch: u32) -> u64 {
        let counters = &self.counters.0;
        // Exits first: an exit that is missed only makes the result too large.
        let left = counters.sum(LEFT + epoch as usize);
        // Pairs with the increment in Ticket::leave() and Exits::leave(). What bios did inside that are seen to
        // have left comes before what the caller does. And another gate with these counters may be entered
        // meanwhile: a bio that is seen to have left it has to be seen to have entered.
        smp_mb(Full);
        let entered = ENTERED + epoch as usize;
        let entered = counters
            .sum(entered)
            .wrapping_add(counters.sum(entered + 1));
        entered.wrapping_sub(left)
    }

    /// Ends a drain that gave up before: waits until those have left whom it waited for.
    ///
    /// Sleeps; not interruptible. `ETIMEDOUT` after `patience`.
    pub(crate) fn settle(&self, drain: &mut Drain<T>, patience: Delta) -> Result {
        if let Some(epoch) = drain.unfinished {
            self.wait(epoch, Instant::now(), patience)?;
            drain.unfinished = None;
        }
        Ok(())
    }

    /// Waits until everybody who entered before the call has left, and frees what was replaced
    /// before it.
    ///
    /// Sleeps; not interruptible. `ETIMEDOUT` after `patience`: some may still be inside then.
    pub(crate) fn drain(&self, drain: &mut Drain<T>, patience: Delta) -> Result {
        let started = Instant::<Monotonic>::now();
        self.settle(drain, patience)?;
        let epoch = self.state.load(Acquire) & EPOCH;
        self.set_state(EPOCH, epoch ^ EPOCH);
        drain.unfinished = Some(epoch);
        // SAFETY: We are in process context and may sleep.
        unsafe { bindings::wait_for_readers() };
        self.wait(epoch, started, patience)?;
        drain.unfinished = None;
        drain.retired.clear();
        Ok(())
    }

    fn wait(&self, epoch: u32, started: Instant<Monotonic>, patience: Delta) -> Result {
        let mut pause = Delta::from_micros(20);
        while self.in_flight(epoch) != 0 {
            if started.elapsed() > patience {
                return Err(ETIMEDOUT);
            }
            fsleep(pause);
            if pause < Delta::from_millis(1) {
                pause *= 2;
            }
        }
        Ok(())
    }
}

impl<T> Drop for Gate<T> {
    fn drop(&mut self) {
        // SAFETY: By the type invariant; nobody is inside, as that borrows the gate.
        drop(unsafe { KBox::from_raw(self.guarded.load(Ordering::Relaxed)) });
    }
}
