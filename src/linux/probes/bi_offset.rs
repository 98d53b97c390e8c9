// SPDX-License-Identifier: GPL-2.0

//! The name of the offset in `struct bvec_iter`.

pub fn probe(iter: &kernel::bindings::bvec_iter) -> u32 {
    iter.bi_offset
}
