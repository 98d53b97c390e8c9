// SPDX-License-Identifier: GPL-2.0

//! Memory that is forgotten as a whole when a run ends.
//!
//! A power cut leaves tasks and their objects where they are. So what a run allocates comes from an
//! arena, which the next run begins anew. What is freed is overwritten, so that whoever uses it
//! afterwards notices.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    ptr::null_mut,
};

/// The allocator of the process: the arena within a run, the system's otherwise.
pub struct Arena;

const SMALL_BYTES: usize = 512 << 20;
const LARGE_BYTES: usize = 4 << 30;
/// From so many bytes on memory comes from the part that is always zero.
const LARGE: usize = 32 << 10;
const CLASSES: usize = 16;
const POISON: u8 = 0xdb;

struct State {
    active: bool,
    small: usize,
    small_end: usize,
    small_start: usize,
    large: usize,
    large_start: usize,
    large_end: usize,
    free: [usize; CLASSES],
}

static mut STATE: State = State {
    active: false,
    small: 0,
    small_end: 0,
    small_start: 0,
    large: 0,
    large_start: 0,
    large_end: 0,
    free: [0; CLASSES],
};

fn state() -> &'static mut State {
    // SAFETY: The simulator has one thread.
    unsafe { &mut *(&raw mut STATE) }
}

fn map(bytes: usize) -> usize {
    // SAFETY: Asks for fresh memory.
    let start = unsafe {
        libc::mmap(
            null_mut(),
            bytes,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
            -1,
            0,
        )
    };
    assert!(start != libc::MAP_FAILED, "no address space for the arena");
    start as usize
}

/// Begins the arena anew, and uses it from now on. Nothing of the run before may be touched any more.
pub fn enter() {
    let state = state();
    if state.small_start == 0 {
        state.small_start = map(SMALL_BYTES);
        state.small_end = state.small_start + SMALL_BYTES;
        state.large_start = map(LARGE_BYTES);
        state.large_end = state.large_start + LARGE_BYTES;
        state.large = state.large_start;
    }
    let used = state.large - state.large_start;
    if used > 0 {
        // SAFETY: The part is ours; it reads as zeros afterwards.
        unsafe { libc::madvise(state.large_start as *mut _, used, libc::MADV_DONTNEED) };
    }
    state.small = state.small_start;
    state.large = state.large_start;
    state.free = [0; CLASSES];
    state.active = true;
}

/// Uses the system's memory again, for what outlives the run.
pub fn leave() {
    state().active = false;
}

/// Runs `with` outside the arena.
pub fn outside<R>(with: impl FnOnce() -> R) -> R {
    let before = std::mem::replace(&mut state().active, false);
    let result = with();
    state().active = before;
    result
}

fn class_of(layout: Layout) -> usize {
    let bytes = layout.size().max(layout.align()).max(16);
    bytes.next_power_of_two().trailing_zeros() as usize
}

// SAFETY: Memory is handed out once until it is freed, aligned to its class.
unsafe impl GlobalAlloc for Arena {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let state = state();
        if !state.active {
            // SAFETY: The caller's layout.
            return unsafe { System.alloc(layout) };
        }
        if layout.size() >= LARGE {
            let start = state.large.next_multiple_of(4096);
            state.large = start + layout.size();
            return if state.large <= state.large_end {
                start as *mut u8
            } else {
                null_mut()
            };
        }
        let class = class_of(layout);
        let first = state.free[class];
        if first != 0 {
            // SAFETY: A free piece begins with the address of the next.
            state.free[class] = unsafe { *(first as *const usize) };
            return first as *mut u8;
        }
        let bytes = 1 << class;
        let start = state.small.next_multiple_of(bytes.min(4096));
        state.small = start + bytes;
        if state.small <= state.small_end {
            start as *mut u8
        } else {
            null_mut()
        }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: As above.
        let memory = unsafe { self.alloc(layout) };
        let fresh = state().active && layout.size() >= LARGE;
        if !memory.is_null() && !fresh {
            // SAFETY: Just allocated.
            unsafe { memory.write_bytes(0, layout.size()) };
        }
        memory
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        let state = state();
        let address = memory as usize;
        if (state.large_start..state.large_end).contains(&address) {
            return;
        }
        if !(state.small_start..state.small_end).contains(&address) {
            // SAFETY: It came from there.
            unsafe { System.dealloc(memory, layout) };
            return;
        }
        let class = class_of(layout);
        // SAFETY: The piece is free now.
        unsafe {
            memory.write_bytes(POISON, layout.size().min(512));
            *(memory.cast::<usize>()) = state.free[class];
        }
        state.free[class] = address;
    }
}
