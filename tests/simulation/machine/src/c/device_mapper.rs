// SPDX-License-Identifier: GPL-2.0

//! What targets call of device-mapper.

use std::{
    ffi::{c_void, CStr},
    ptr::null_mut,
};

use crate::{mapper, scheduler};

use super::*;

static mut TARGET_TYPE: *mut target_type = null_mut();

/// The target that is registered.
pub fn registered() -> *mut target_type {
    // SAFETY: The simulator has one thread.
    unsafe { TARGET_TYPE }
}

pub unsafe fn dm_register_target(target: *mut target_type) -> c_int {
    // SAFETY: The simulator has one thread.
    unsafe { TARGET_TYPE = target };
    0
}

pub unsafe fn dm_unregister_target(_: *mut target_type) {
    // SAFETY: The simulator has one thread.
    unsafe { TARGET_TYPE = null_mut() };
}

pub unsafe fn dm_target_set_accounts_remapped_io(_: *mut dm_target) {}

pub unsafe fn dm_table_get_mode(table: *mut dm_table) -> u32 {
    // SAFETY: The table is valid.
    BLK_OPEN_READ
        | if unsafe { (*table).read_only } {
            0
        } else {
            BLK_OPEN_WRITE
        }
}

pub unsafe fn dm_table_get_md(table: *mut dm_table) -> *mut mapped_device {
    // SAFETY: The table is valid.
    unsafe { (*table).device() }
}

pub unsafe fn dm_table_event(table: *mut dm_table) {
    scheduler::may_sleep("dm_table_event");
    // SAFETY: The table is valid.
    let events = unsafe { &(*(*table).device()).events };
    events.set(events.get() + 1);
    scheduler::point();
}

pub unsafe fn dm_disk(device: *mut mapped_device) -> *mut gendisk {
    // SAFETY: The device is valid.
    unsafe { (*device).gendisk() }
}

pub unsafe fn dm_get_md(number: u32) -> *mut mapped_device {
    scheduler::point();
    match mapper::find(number) {
        // SAFETY: A device that can be found is there, and stays until it is put.
        Some(device) if unsafe { (*device).take_reference() } => device.cast_mut(),
        _ => null_mut(),
    }
}

pub unsafe fn dm_put(device: *mut mapped_device) {
    // SAFETY: The caller has a reference.
    unsafe { (*device).put_reference() };
}

pub unsafe fn dm_copy_name_and_uuid(
    device: *mut mapped_device,
    name: *mut c_char,
    uuid: *mut c_char,
) -> c_int {
    scheduler::may_sleep("dm_copy_name_and_uuid");
    scheduler::point();
    // SAFETY: The caller has a reference, and room for both.
    unsafe {
        let Some(known) = (*device).name() else {
            return -6;
        };
        name.copy_from_nonoverlapping(known.as_ptr(), known.len());
        *name.add(known.len()) = 0;
        *uuid = 0;
    }
    0
}

pub unsafe fn dm_get_device(
    target: *mut dm_target,
    path: *const c_char,
    _: u32,
    result: *mut *mut dm_dev,
) -> c_int {
    scheduler::may_sleep("dm_get_device");
    // SAFETY: The arguments are valid.
    unsafe {
        let path = CStr::from_ptr(path.cast()).to_str().unwrap_or("");
        match (*(*target).table).open(path) {
            Ok(device) => {
                *result = device;
                0
            }
            Err(error) => error,
        }
    }
}

pub unsafe fn dm_put_device(target: *mut dm_target, device: *mut dm_dev) {
    // SAFETY: The arguments are valid.
    unsafe { (*(*target).table).close(device) };
}

pub unsafe fn dm_per_bio_data(bio: *mut bio, size: usize) -> *mut c_void {
    assert!(size <= mapper::PER_BIO_DATA);
    // SAFETY: The bio is a clone.
    unsafe { mapper::per_bio_data_of(bio).cast() }
}

pub unsafe fn dm_bio_get_target_bio_nr(bio: *mut bio) -> u32 {
    // SAFETY: The bio is a clone.
    unsafe { (*mapper::clone_of(bio)).flush_number }
}

pub unsafe fn dm_accept_partial_bio(bio: *mut bio, sectors: u32) {
    // SAFETY: The bio is a clone.
    unsafe { mapper::accept_partially(bio, sectors) };
}

pub unsafe fn dm_submit_bio_remap(bio: *mut bio, _: *mut bio) {
    scheduler::may_sleep("dm_submit_bio_remap");
    scheduler::point();
    // SAFETY: The bio is a clone.
    unsafe { mapper::submit_kept(bio) };
}

pub unsafe fn bio_endio(bio: *mut bio) {
    scheduler::point();
    // SAFETY: The bio is a clone.
    unsafe { mapper::end_kept(bio) };
}
