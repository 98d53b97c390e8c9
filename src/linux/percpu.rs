// SPDX-License-Identifier: GPL-2.0

//! Counters that every CPU has its own of.
//!
//! C header: [`include/linux/percpu.h`](srctree/include/linux/percpu.h).

use core::ptr::NonNull;

use kernel::prelude::*;

use super::bindings;

/// `N` 64-bit counters for each possible CPU.
///
/// Counting is one instruction that is safe against interrupts on the same CPU and writes no
/// memory that another CPU reads often; the sum costs a visit to every CPU's memory.
///
/// # Invariants
///
/// The pointer is a per-CPU allocation of `N` aligned `u64`, owned by this object.
pub(crate) struct PerCpuCounters<const N: usize>(NonNull<u64>);

// SAFETY: The counters are only changed by per-CPU operations, whatever thread runs them.
unsafe impl<const N: usize> Send for PerCpuCounters<N> {}
// SAFETY: As above.
unsafe impl<const N: usize> Sync for PerCpuCounters<N> {}

impl<const N: usize> PerCpuCounters<N> {
    /// Counters that are zero. May sleep.
    pub(crate) fn new() -> Result<Self> {
        // SAFETY: The size is not zero and the alignment a power of two.
        let counters = unsafe {
            bindings::pcpu_alloc_noprof(
                N * core::mem::size_of::<u64>(),
                // A cache line's alignment: no two tables count in one line.
                64,
                false,
                bindings::GFP_KERNEL,
            )
        };
        // INVARIANT: Just allocated.
        Ok(Self(NonNull::new(counters.cast()).ok_or(ENOMEM)?))
    }

    /// The per-CPU address of counter `which`.
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

    /// The sum of counter `which` over all CPUs; 0 where there is no such counter.
    ///
    /// The CPUs are visited one after the other, so what is counted meanwhile may be in it or not.
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

/// Adds one to this CPU's counter that is `BEFORE` and `index` counters behind `first`. What the caller
/// read before has been read before. Any context.
///
/// # Safety
///
/// That is a counter.
#[inline(always)]
pub(super) unsafe fn increment<const BEFORE: usize>(first: NonNull<u64>, index: usize) {
    // One instruction that is safe against interrupts on the same CPU, as this_cpu_inc() is. No memory is
    // said to be left alone, and x86 does not move a load behind a store: that makes it a release.
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
    // User-mode Linux has no per-CPU addresses of that kind.
    #[cfg(CONFIG_UML)]
    // SAFETY: By the safety requirement.
    unsafe {
        bindings::this_cpu_inc(first.as_ptr().add(BEFORE).add(index));
    }
}

/// Number of the CPU that runs this, which may be another one a moment later.
#[inline]
pub(crate) fn current_cpu() -> usize {
    // SAFETY: Only reads.
    unsafe { bindings::raw_cpu_number() as usize }
}
