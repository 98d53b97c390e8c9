// SPDX-License-Identifier: GPL-2.0

//! Per-CPU counters.
//!
//! C header: [`include/linux/percpu.h`](srctree/include/linux/percpu.h).

use core::ptr::NonNull;

use kernel::prelude::*;

use super::bindings;

/// Set of `N` 64-bit counters for each possible CPU.
///
/// An increment is one instruction. It is safe against interrupts on the same CPU, and writes no
/// memory that another CPU reads often. A sum reads the memory of every CPU.
///
/// # Invariants
///
/// The pointer is that of a per-CPU allocation of `N` aligned `u64`, owned by this object.
pub(crate) struct PerCpuCounters<const N: usize>(NonNull<u64>);

// SAFETY: Per-CPU operations alone change the counters, and any thread may run these.
unsafe impl<const N: usize> Send for PerCpuCounters<N> {}
// SAFETY: As above.
unsafe impl<const N: usize> Sync for PerCpuCounters<N> {}

impl<const N: usize> PerCpuCounters<N> {
    /// Makes counters that are zero. May sleep. `ENOMEM`.
    pub(crate) fn new() -> Result<Self> {
        // SAFETY: The size is not zero and the alignment a power of two.
        let counters = unsafe {
            bindings::pcpu_alloc_noprof(
                N * core::mem::size_of::<u64>(),
                // Size of a cache line: no two tables count in one line.
                64,
                false,
                bindings::GFP_KERNEL,
            )
        };
        // INVARIANT: Just allocated.
        Ok(Self(NonNull::new(counters.cast()).ok_or(ENOMEM)?))
    }

    /// Returns the per-CPU address of counter `which`.
    #[inline(always)]
    pub(super) fn address(&self, which: usize) -> NonNull<u64> {
        debug_assert!(which < N);
        // SAFETY: By the type invariant there are `N` counters, and every caller names one.
        unsafe { self.0.add(which) }
    }

    /// Adds one to counter `which` of this CPU. Any context.
    #[inline(always)]
    pub(crate) fn inc(&self, which: usize) {
        if which < N {
            // SAFETY: By the type invariant this is a counter.
            unsafe { increment::<0>(self.0, which) };
        }
    }

    /// Returns the sum of counter `which` over all CPUs; 0 if there is no such counter. Any context.
    ///
    /// The CPUs are visited one after the other, so the sum may miss concurrent increments.
    pub(crate) fn sum(&self, which: usize) -> u64 {
        if which >= N {
            return 0;
        }
        // SAFETY: By the type invariant this is a counter.
        unsafe { bindings::per_cpu_sum(self.address(which).as_ptr()) }
    }
}

impl<const N: usize> Drop for PerCpuCounters<N> {
    fn drop(&mut self) {
        // SAFETY: By the type invariant the allocation is ours.
        unsafe { bindings::free_percpu(self.0.as_ptr().cast()) };
    }
}

/// Adds one to the counter of this CPU that is `BEFORE` + `index` counters behind `first`. Ordered after all
/// earlier reads of the caller. Any context.
///
/// # Safety
///
/// There is a counter at that place.
#[inline(always)]
pub(super) unsafe fn increment<const BEFORE: usize>(first: NonNull<u64>, index: usize) {
    // One instruction that is safe against interrupts on the same CPU, as this_cpu_inc() is. It is a
    // release: the compiler must assume that it accesses any memory, and x86 does not move a load behind a
    // store.
    #[cfg(not(CONFIG_UML))]
    // SAFETY: By the safety requirement: per-CPU addresses are relative to %gs.
    unsafe {
        core::arch::asm!(
            "inc qword ptr gs:[{first} + {index} * 8 + {before}]",
            first = in(reg) first.as_ptr(),
            index = in(reg) index,
            before = const BEFORE * size_of::<u64>(),
            options(nostack)
        );
    }
    // User-mode Linux does not address per-CPU memory by %gs.
    #[cfg(CONFIG_UML)]
    // SAFETY: By the safety requirement.
    unsafe {
        bindings::this_cpu_inc(first.as_ptr().add(BEFORE).add(index));
    }
}

/// Returns the number of the current CPU. The caller may be on another CPU a moment later.
#[inline]
pub(crate) fn current_cpu() -> usize {
    // SAFETY: Only reads.
    unsafe { bindings::raw_cpu_number() as usize }
}
