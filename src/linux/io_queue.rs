// SPDX-License-Identifier: GPL-2.0

//! Asynchronous I/O to a block device: transfers with buffers of their own, any number in flight.
//!
//! # Ownership
//!
//! A [`Transfer`] is a bio, its pages, and a value of the user's. While it is in flight it
//! belongs to the block layer: [`IoQueue::submit`] takes it away, and [`IoQueue::completed`] gives
//! it back. So no other code can touch the pages or the bio meanwhile. None can be forgotten: a
//! queue that is dropped waits for the transfers in flight and frees them.
//!
//! A queue has one user thread, which submits and takes back. Completions come from any context, on any
//! CPU, many at once. Nothing is allocated between making a transfer and dropping it.
//!
//! C headers: [`include/linux/bio.h`](srctree/include/linux/bio.h),
//! [`include/linux/blk_types.h`](srctree/include/linux/blk_types.h).

use core::{
    mem::offset_of,
    ptr::{
        self,
        NonNull, //
    },
};

use kernel::{
    error::to_result,
    page::{
        Page,
        PAGE_SIZE, //
    },
    prelude::*,
    sync::{
        atomic::{
            Acquire,
            Atomic,
            Full,
            Relaxed, //
        },
        rcu,
        Arc, //
    },
    time::{
        Instant,
        Monotonic, //
    },
    types::Opaque, //
};
use remap_core::stress::generator::Action;

use super::{
    bindings,
    open_device::OpenDevice,
    wait::{
        new_wait_queue,
        WaitQueue, //
    },
};

/// Number of bios in flight, over any number of queues.
pub(crate) struct Gauge {
    now: Atomic<u64>,
    peak: Atomic<u64>,
}

impl Gauge {
    /// Makes a gauge for queues with nothing in flight.
    pub(crate) const fn new() -> Self {
        Self {
            now: Atomic::new(0),
            peak: Atomic::new(0),
        }
    }

    /// Returns the number of bios in flight. Any context.
    pub(crate) fn now(&self) -> u64 {
        self.now.load(Relaxed)
    }

    /// Returns the largest number of bios that were in flight at once. Any context.
    pub(crate) fn peak(&self) -> u64 {
        self.peak.load(Relaxed)
    }

    fn enter(&self) {
        let now = self.now.fetch_add(1, Relaxed).wrapping_add(1);
        let mut peak = self.peak.load(Relaxed);
        while now > peak {
            match self.peak.cmpxchg(peak, now, Relaxed) {
                Ok(_) => return,
                Err(other) => peak = other,
            }
        }
    }

    fn leave(&self) {
        self.now.fetch_sub(1, Relaxed);
    }
}

/// Bio with pages of its own and a value of the user's, not in flight.
///
/// # Invariants
///
/// `inner` is a box that this object owns, and its bio is not in flight.
pub(crate) struct Transfer<T: Send> {
    inner: NonNull<Inner<T>>,
}

// SAFETY: A transfer owns all that it refers to.
unsafe impl<T: Send> Send for Transfer<T> {}

#[repr(C)]
struct Inner<T> {
    bio: Opaque<bindings::bio>,
    /// Next transfer on the list of completed ones.
    next: *mut Inner<T>,
    /// Place that takes the completed transfer; valid while in flight.
    returns: *const Returns<T>,
    /// Memory for the bio's vector, one element for each page.
    vectors: KVec<bindings::bio_vec>,
    pages: KVec<Page>,
    submitted: Instant<Monotonic>,
    completed: Instant<Monotonic>,
    synchronous: bool,
    value: T,
}

/// Outcome of a transfer.
#[derive(Clone, Copy)]
pub(crate) struct Completion {
    /// Success, or the error that the bio completed with.
    pub result: Result,
    /// Time from submission to completion, in nanoseconds.
    pub latency: u64,
    /// The transfer completed before its submission returned.
    pub synchronous: bool,
}

impl<T: Send> Transfer<T> {
    /// Makes a transfer for up to `bytes` bytes at a time. May sleep.
    pub(crate) fn new(bytes: usize, value: T) -> Result<Self> {
        let count = bytes.div_ceil(PAGE_SIZE);
        u16::try_from(count)?;
        let mut pages = KVec::with_capacity(count, GFP_KERNEL)?;
        for _ in 0..count {
            pages.push(Page::alloc_page(GFP_KERNEL)?, GFP_KERNEL)?;
        }
        let now = Instant::now();
        let inner = KBox::new(
            Inner {
                bio: Opaque::uninit(),
                next: ptr::null_mut(),
                returns: ptr::null(),
                vectors: KVec::with_capacity(count, GFP_KERNEL)?,
                pages,
                submitted: now,
                completed: now,
                synchronous: false,
                value,
            },
            GFP_KERNEL,
        )?;
        // SAFETY: A box is never null.
        let inner = unsafe { NonNull::new_unchecked(KBox::into_raw(inner)) };
        // INVARIANT: The box is ours, and its bio has never been submitted.
        Ok(Self { inner })
    }

    /// Returns how many bytes of memory a transfer for `bytes` bytes takes.
    pub(crate) const fn footprint(bytes: usize) -> usize {
        let pages = bytes.div_ceil(PAGE_SIZE);
        let each = PAGE_SIZE + size_of::<Page>() + size_of::<bindings::bio_vec>();
        size_of::<Inner<T>>().saturating_add(pages.saturating_mul(each))
    }

    fn inner(&self) -> &Inner<T> {
        // SAFETY: By the type invariants, the box is ours.
        unsafe { self.inner.as_ref() }
    }

    fn inner_mut(&mut self) -> &mut Inner<T> {
        // SAFETY: By the type invariants, the box is ours.
        unsafe { self.inner.as_mut() }
    }

    /// Returns the user's value.
    pub(crate) fn value(&self) -> &T {
        &self.inner().value
    }

    /// Returns the user's value, for changes.
    pub(crate) fn value_mut(&mut self) -> &mut T {
        &mut self.inner_mut().value
    }

    /// Returns the CRC32C of `bytes` bytes of the buffer from `offset` on, or of fewer if the buffer ends
    /// before. Zero is the initial value, and nothing is inverted.
    pub(crate) fn checksum(&self, offset: usize, bytes: usize) -> u32 {
        let mut sum = 0;
        self.each_part(offset, bytes, |data, len| {
            // SAFETY: There are `len` bytes, and no other code writes them. Any contents will do,
            // initialised or not.
            sum = unsafe { bindings::crc32c(sum, data, len) };
            true
        });
        sum
    }

    /// Returns whether the first `bytes` bytes of the buffer, or all if it has fewer, are zero.
    pub(crate) fn is_zero(&self, bytes: usize) -> bool {
        self.each_part(0, bytes, |data, len| {
            // SAFETY: As above.
            unsafe { bindings::memchr_inv(data, 0, len) }.is_null()
        })
    }

    /// Calls `look` for each page's part of `bytes` bytes of the buffer from `offset` on, with address and
    /// length, until `look` returns `false`. Returns whether it never did.
    fn each_part(
        &self,
        offset: usize,
        bytes: usize,
        mut look: impl FnMut(*const c_void, usize) -> bool,
    ) -> bool {
        let mut left = bytes;
        let mut start = offset % PAGE_SIZE;
        for page in self.inner().pages.iter().skip(offset / PAGE_SIZE) {
            let part = left.min(PAGE_SIZE - start);
            if part == 0 {
                break;
            }
            // SAFETY: The page is ours, and unmapped again below, in reverse order. No device writes
            // it: the bio is not in flight.
            let mapped = unsafe { bindings::kmap_local_page(page.as_ptr()) };
            // SAFETY: `start` lies within the page.
            let go_on = look(unsafe { mapped.byte_add(start) }, part);
            // SAFETY: Mapped above.
            unsafe { bindings::kunmap_local(mapped) };
            if !go_on {
                return false;
            }
            left -= part;
            start = 0;
        }
        true
    }
}

impl<T: Send> Drop for Transfer<T> {
    fn drop(&mut self) {
        // SAFETY: By the type invariants the box is ours, and nothing else refers to it.
        drop(unsafe { KBox::from_raw(self.inner.as_ptr()) });
    }
}

/// Place that takes the completed transfers of a queue.
#[pin_data]
struct Returns<T> {
    /// List of completed transfers, the latest first.
    completed: Atomic<*mut Inner<T>>,
    /// Transfer whose submission has not returned yet.
    submitting: Atomic<*mut Inner<T>>,
    gauge: Arc<Gauge>,
    #[pin]
    wait: WaitQueue,
}

/// Queue of transfers to one device.
///
/// # Invariants
///
/// Exactly `in_flight` transfers refer to `returns`. None of them is owned by a [`Transfer`]: the block
/// layer, the list of completed transfers or `ready` has it.
pub(crate) struct IoQueue<T: Send> {
    returns: Pin<KBox<Returns<T>>>,
    device: Arc<OpenDevice>,
    in_flight: usize,
    /// Transfers that are off the list of completed ones and not given back yet.
    ready: *mut Inner<T>,
}

// SAFETY: All that a queue refers to is its own or shared by types that are `Sync`.
unsafe impl<T: Send> Send for IoQueue<T> {}

impl<T: Send> IoQueue<T> {
    /// Makes a queue for transfers to `device`. The device stays open as long as the queue lives. May
    /// sleep.
    pub(crate) fn new(device: Arc<OpenDevice>, gauge: Arc<Gauge>) -> Result<Self> {
        let returns = KBox::pin_init(
            pin_init!(Returns {
                completed: Atomic::new(ptr::null_mut()),
                submitting: Atomic::new(ptr::null_mut()),
                gauge,
                wait <- new_wait_queue!("IoQueue::wait"),
            }),
            GFP_KERNEL,
        )?;
        // INVARIANT: Nothing is in flight.
        Ok(Self {
            returns,
            device,
            in_flight: 0,
            ready: ptr::null_mut(),
        })
    }

    /// Returns the number of transfers that were submitted and not taken back yet.
    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Submits `action` on `sectors` sectors from `sector` of the device on. Reads and writes use the start
    /// of the transfer's buffer, and move no more than it holds. A flush has no sectors.
    ///
    /// May sleep: the driver may wait for memory or for room in its queue.
    pub(crate) fn submit(
        &mut self,
        mut transfer: Transfer<T>,
        action: Action,
        sector: u64,
        sectors: u32,
    ) {
        let returns = &raw const *self.returns;
        let inner = transfer.inner_mut();
        let write = bindings::req_op_REQ_OP_WRITE | bindings::REQ_SYNC;
        let (operation, has_data) = match action {
            Action::Read => (bindings::req_op_REQ_OP_READ, true),
            Action::Write => (write, true),
            Action::DurableWrite => (write | bindings::REQ_FUA, true),
            Action::Zero => (bindings::REQ_OP_WRITE_ZEROES | bindings::REQ_SYNC, false),
            Action::Flush => (write | bindings::REQ_PREFLUSH, false),
        };
        let bio = inner.bio.get();
        // SAFETY: The bio is not in flight, and the vector has room for every page. The device is
        // open, and pages and vector stay where they are.
        unsafe {
            bindings::bio_init(
                bio,
                self.device.device().as_ptr(),
                inner.vectors.as_mut_ptr(),
                // No loss: Transfer::new() has checked it.
                inner.pages.len() as u16,
                operation,
            );
            let bytes = sectors as usize * 512;
            let mut left = if has_data { bytes } else { 0 };
            for page in &inner.pages {
                let part = left.min(PAGE_SIZE);
                if part == 0 {
                    break;
                }
                bindings::__bio_add_page(bio, page.as_ptr(), part as u32, 0);
                left -= part;
            }
            if !has_data {
                (*bio).bi_iter.bi_size = bytes as u32;
            }
            (*bio).bi_iter.bi_sector = sector;
            (*bio).bi_end_io = Some(Inner::<T>::end_io);
        }
        inner.returns = returns;
        inner.synchronous = false;
        inner.submitted = Instant::now();

        // From here on the block layer owns the transfer, until end_io() puts it on the list.
        let inner = transfer.inner.as_ptr();
        core::mem::forget(transfer);
        // INVARIANT: One more in flight.
        self.in_flight += 1;
        self.returns.gauge.enter();
        self.returns.submitting.store(inner, Relaxed);
        // SAFETY: The bio is complete and ours to submit.
        unsafe { bindings::submit_bio(bio) };
        self.returns.submitting.store(ptr::null_mut(), Relaxed);
    }

    /// Takes a completed transfer back, in no particular order. `None` if none has completed.
    pub(crate) fn completed(&mut self) -> Option<(Transfer<T>, Completion)> {
        if self.ready.is_null() {
            // Pairs with the release in end_io().
            self.ready = self.returns.completed.xchg(ptr::null_mut(), Full);
        }
        let inner = NonNull::new(self.ready)?;
        // INVARIANT: end_io() has put the transfer on the list and does not touch it any more. It leaves
        // the list here, so only the new object owns it, and one less is in flight.
        let mut transfer = Transfer { inner };
        self.in_flight -= 1;
        let inner = transfer.inner_mut();
        self.ready = core::mem::replace(&mut inner.next, ptr::null_mut());
        inner.returns = ptr::null();
        let bio = inner.bio.get();
        // SAFETY: The bio has ended.
        let error = unsafe { bindings::blk_status_to_errno((*bio).bi_status) };
        // SAFETY: The bio has ended, and is initialised anew before it is used again.
        unsafe { bindings::bio_uninit(bio) };
        let latency = (inner.completed - inner.submitted).as_nanos();
        let completion = Completion {
            result: to_result(error),
            latency: u64::try_from(latency).unwrap_or(0),
            synchronous: inner.synchronous,
        };
        Some((transfer, completion))
    }

    /// Sleeps until a transfer has completed or `timeout_ns` nanoseconds have passed. Returns at once if none
    /// is in flight. The sleep counts neither as load nor as a hung task.
    pub(crate) fn wait(&self, timeout_ns: Option<u64>) {
        if self.in_flight == 0 || !self.ready.is_null() {
            return;
        }
        let returns = &self.returns;
        returns
            .wait
            .wait_idle(timeout_ns, || !returns.completed.load(Acquire).is_null());
    }
}

impl<T: Send> Drop for IoQueue<T> {
    fn drop(&mut self) {
        while self.in_flight > 0 {
            self.wait(None);
            while self.completed().is_some() {}
        }
        // The last end_io() may still be inside notify_all(), as an RCU reader.
        // SAFETY: The owner of a queue may sleep.
        unsafe { bindings::synchronize_rcu() };
    }
}

impl<T: Send> Inner<T> {
    /// Completes a transfer. Any context.
    ///
    /// # Safety
    ///
    /// Called by the block layer, once, for the bio of a transfer in flight.
    unsafe extern "C" fn end_io(bio: *mut bindings::bio) {
        const { assert!(offset_of!(Self, bio) == 0) };
        let inner = bio.cast::<Self>();
        let now = Instant::now();
        // Keeps `returns` alive after its owner has taken the transfer back: the drop of `IoQueue` waits
        // for RCU readers.
        let _guard = rcu::read_lock();
        // SAFETY: The bio is the first field of the transfer, which belongs to the block layer
        // and hence to this function until it is on the list.
        let returns = unsafe {
            (*inner).completed = now;
            &*(*inner).returns
        };
        // SAFETY: As above.
        unsafe { (*inner).synchronous = returns.submitting.load(Relaxed) == inner };
        returns.gauge.leave();
        let mut first = returns.completed.load(Relaxed);
        loop {
            // SAFETY: As above.
            unsafe { (*inner).next = first };
            // A release: the thread that takes the transfer off the list sees these writes.
            match returns.completed.cmpxchg(first, inner, Full) {
                Ok(_) => break,
                Err(other) => first = other,
            }
        }
        returns.wait.notify_all();
    }
}
