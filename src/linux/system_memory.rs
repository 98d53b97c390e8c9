// SPDX-License-Identifier: GPL-2.0

//! Memory of the machine: its available amount, and memory that is held.
//!
//! C header: [`include/linux/mm.h`](srctree/include/linux/mm.h).

use kernel::{
    alloc::flags::__GFP_NOWARN,
    page::{
        Page,
        PAGE_SIZE, //
    },
    prelude::*, //
};

use super::bindings;

/// Returns how many bytes can be allocated without pushing the machine to its limits: the kernel's estimate
/// (`si_mem_available`), less a sixteenth of all memory. Any context.
pub(crate) fn available() -> u64 {
    // SAFETY: Only reads counters.
    let (available, all) = unsafe { (bindings::si_mem_available(), bindings::total_ram_pages()) };
    let available = u64::try_from(available).unwrap_or(0);
    available
        .saturating_sub(all / 16)
        .saturating_mul(PAGE_SIZE as u64)
}

/// Memory that is held to put the machine under memory pressure. The kernel can neither reclaim it nor swap
/// it out.
pub(crate) struct HeldMemory {
    pages: KVVec<Page>,
    /// Index of the page to touch next.
    next: usize,
}

impl HeldMemory {
    /// Returns how many bytes the kernel allocates to hold `bytes` bytes.
    pub(crate) const fn footprint(bytes: u64) -> u64 {
        let pages = bytes.div_ceil(PAGE_SIZE as u64);
        pages.saturating_mul((PAGE_SIZE + size_of::<Page>()) as u64)
    }

    /// Allocates `bytes` bytes. `ENOMEM` if the machine cannot spare them, at the start or at some point
    /// later, so that the OOM killer does not run for them. May sleep. Takes long for large amounts.
    pub(crate) fn new(bytes: u64) -> Result<Self> {
        let count = usize::try_from(bytes.div_ceil(PAGE_SIZE as u64)).map_err(|_| ENOMEM)?;
        if Self::footprint(bytes) > available() {
            return Err(ENOMEM);
        }
        let flags = GFP_KERNEL | __GFP_NOWARN;
        let mut pages = KVVec::with_capacity(count, flags)?;
        for index in 0..count {
            if index % 1024 == 0 && available() == 0 {
                return Err(ENOMEM);
            }
            pages.push(Page::alloc_page(flags)?, flags)?;
            // SAFETY: The caller may sleep.
            unsafe { bindings::cond_resched() };
        }
        Ok(Self { pages, next: 0 })
    }

    /// Writes to the next `count` pages, or to fewer at the end. Returns whether the last page was among
    /// them; the next call starts at the first page again then.
    pub(crate) fn touch(&mut self, count: usize) -> bool {
        let end = self.next.saturating_add(count).min(self.pages.len());
        for page in self.pages.get(self.next..end).unwrap_or(&[]) {
            // SAFETY: The page is ours, and no other code reads or writes it.
            // The range lies within a page, so this does not fail.
            let _ = unsafe { page.fill_zero_raw(0, size_of::<u64>()) };
        }
        self.next = if end == self.pages.len() { 0 } else { end };
        self.next == 0
    }
}
