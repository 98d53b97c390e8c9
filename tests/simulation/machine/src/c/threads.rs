// SPDX-License-Identifier: GPL-2.0

//! Threads, wait queues and work queues.

use std::{
    cell::Cell,
    collections::VecDeque,
    ffi::{c_void, CStr},
    ptr::null_mut,
    rc::Rc,
};

use crate::{
    fail, lock,
    scheduler::{self, world},
};

use super::*;

#[repr(C)]
pub struct wait_queue_head(u64);

#[repr(C)]
pub struct wait_queue_entry {
    head: *mut wait_queue_head,
    woken: bool,
}

pub unsafe fn __init_waitqueue_head(_: *mut wait_queue_head, _: *const c_char, _: *mut c_void) {}

pub unsafe fn init_wait(entry: *mut wait_queue_entry) {
    // SAFETY: The entry is valid.
    unsafe {
        entry.write(wait_queue_entry {
            head: null_mut(),
            woken: false,
        })
    };
}

static mut ENTRIES: Vec<(*mut wait_queue_entry, usize)> = Vec::new();

fn entries() -> &'static mut Vec<(*mut wait_queue_entry, usize)> {
    // SAFETY: The simulator has one thread.
    unsafe { &mut *(&raw mut ENTRIES) }
}

/// Forgets who waits.
pub(crate) fn forget_waiters() {
    entries().clear();
}

pub unsafe fn prepare_to_wait(head: *mut wait_queue_head, entry: *mut wait_queue_entry, _: c_int) {
    scheduler::point();
    // SAFETY: The arguments are valid.
    unsafe { entry.write(wait_queue_entry { head, woken: false }) };
    entries().retain(|(other, _)| *other != entry);
    crate::arena::outside(|| entries().push((entry, scheduler::current())));
    scheduler::point();
}

pub unsafe fn schedule_timeout(jiffies: c_long) -> c_long {
    scheduler::may_sleep("schedule_timeout");
    let me = scheduler::current();
    let Some((entry, _)) = entries().iter().find(|(_, task)| *task == me).copied() else {
        fail!("schedule_timeout without prepare_to_wait");
        return 0;
    };
    // SAFETY: The entry is on the queue, so valid.
    let (head, woken) = unsafe { ((*entry).head, (*entry).woken) };
    if woken {
        return jiffies;
    }
    let deadline = (jiffies < c_long::MAX).then(|| world().now + jiffies as u64 * JIFFY);
    scheduler::block(head as usize, "a wait queue", deadline);
    match deadline {
        Some(deadline) => deadline.saturating_sub(world().now).div_ceil(JIFFY) as c_long,
        None => jiffies,
    }
}

/// Nanoseconds.
pub const JIFFY: u64 = 4_000_000;

pub unsafe fn finish_wait(_: *mut wait_queue_head, entry: *mut wait_queue_entry) {
    entries().retain(|(other, _)| *other != entry);
}

pub unsafe fn wake_up_sleepers(head: *mut wait_queue_head) {
    scheduler::point();
    for (entry, _) in entries().iter() {
        // SAFETY: Entries on a queue are valid.
        unsafe {
            if (**entry).head == head {
                (**entry).woken = true;
            }
        }
    }
    scheduler::wake(head as usize);
    scheduler::point();
}

pub struct task_struct {
    body: Option<(unsafe extern "C" fn(*mut c_void) -> c_int, *mut c_void)>,
    name: String,
    task: usize,
    result: Rc<Cell<c_int>>,
    stops: Rc<Cell<bool>>,
}

pub unsafe fn kthread_create_on_node(
    body: Option<unsafe extern "C" fn(*mut c_void) -> c_int>,
    data: *mut c_void,
    _: c_int,
    _: *const c_char,
    name: *const c_char,
) -> *mut task_struct {
    scheduler::may_sleep("kthread_create");
    if !allocation_succeeds() {
        return -12_isize as *mut task_struct;
    }
    world().allocated += 1;
    Box::into_raw(Box::new(task_struct {
        body: body.map(|body| (body, data)),
        // SAFETY: The name is terminated.
        name: unsafe { CStr::from_ptr(name.cast()) }
            .to_string_lossy()
            .into_owned(),
        task: scheduler::NONE,
        // As of a thread that is stopped before it begins.
        result: Rc::new(Cell::new(-4)),
        stops: Rc::new(Cell::new(false)),
    }))
}

pub unsafe fn get_task_struct(task: *mut task_struct) -> *mut task_struct {
    task
}

pub unsafe fn wake_up_process(task: *mut task_struct) -> c_int {
    // SAFETY: The task is valid.
    unsafe {
        if let Some((body, data)) = (*task).body.take() {
            let (result, stops) = ((*task).result.clone(), (*task).stops.clone());
            let name = std::mem::take(&mut (*task).name);
            (*task).task = scheduler::spawn(name, false, move || {
                if !stops.get() {
                    result.set(body(data));
                }
            });
            scheduler::make_kernel_task((*task).task);
            // On another processor it runs at once.
            scheduler::point();
        }
    }
    1
}

pub unsafe fn kthread_stop_put(task: *mut task_struct) -> c_int {
    scheduler::may_sleep("kthread_stop");
    world().allocated -= 1;
    // SAFETY: The task is valid, and not used any more.
    unsafe {
        scheduler::point();
        (*task).stops.set(true);
        scheduler::join((*task).task);
        Box::from_raw(task).result.get()
    }
}

pub unsafe fn current_cpu_time() -> u64 {
    0
}

pub unsafe fn cond_resched() {
    scheduler::may_sleep("cond_resched");
    scheduler::point();
}

/// A work queue that does one work at a time.
pub struct workqueue_struct {
    works: VecDeque<Box<dyn FnOnce()>>,
    ends: bool,
    worker: usize,
}

/// Lock that the worker of a queue takes.
const WORKERS_LOCK: &str = "dm_remap::mover";

/// Fails the run where the worker of a queue, which the writes of bios wait for, waits for memory, or a task that holds a
/// lock that the worker takes. The writes may be those that free memory.
pub fn may_wait_for_memory() {
    if scheduler::task().is_some_and(|task| task.name == "worker") {
        fail!("a work queue waits for memory, which may wait for it");
    }
    if lock::is_held_here(WORKERS_LOCK) {
        fail!("memory is waited for under {WORKERS_LOCK}, which a work queue takes");
    }
}

pub unsafe fn work_queue_create(_: *const c_char) -> *mut workqueue_struct {
    scheduler::may_sleep("alloc_workqueue");
    if !allocation_succeeds() {
        return null_mut();
    }
    world().allocated += 1;
    let queue = Box::into_raw(Box::new(workqueue_struct {
        works: VecDeque::new(),
        ends: false,
        worker: 0,
    }));
    // SAFETY: The queue stays until its worker has ended.
    unsafe {
        (*queue).worker = scheduler::spawn("worker".to_owned(), false, move || loop {
            match (*queue).works.pop_front() {
                Some(work) => work(),
                None if (*queue).ends => return,
                None => drop(scheduler::block(queue as usize, "work", None)),
            }
        });
        scheduler::make_kernel_task((*queue).worker);
    }
    queue
}

/// Queues work.
///
/// # Safety
///
/// The queue is valid.
pub unsafe fn queue_work(queue: *mut workqueue_struct, work: Box<dyn FnOnce()>) {
    // SAFETY: As the caller says.
    unsafe { (*queue).works.push_back(work) };
    scheduler::wake(queue as usize);
    scheduler::point();
}

pub unsafe fn destroy_workqueue(queue: *mut workqueue_struct) {
    scheduler::may_sleep("destroy_workqueue");
    world().allocated -= 1;
    // SAFETY: The queue is valid, and not used any more.
    unsafe {
        (*queue).ends = true;
        scheduler::wake(queue as usize);
        scheduler::join((*queue).worker);
        drop(Box::from_raw(queue));
    }
}

/// A work.
pub struct work_struct;
