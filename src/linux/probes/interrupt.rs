// SPDX-License-Identifier: GPL-2.0

//! `kernel::interrupt`.

use kernel::interrupt::{
    local_interrupt_disable,
    LocalInterruptDisabled, //
};

pub fn probe() -> LocalInterruptDisabled {
    local_interrupt_disable()
}
