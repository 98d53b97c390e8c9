// SPDX-License-Identifier: GPL-2.0

//! Interfaces that differ between the supported kernels.
//!
//! The only place, with `helpers/compat.c`, that knows of differences. Kbuild compiles each crate in `probes/` against
//! the kernel. Where one does not compile, the kernel lacks the feature of its name, and Kbuild sets
//! `kernel_lacks = "<name>"`. What the kernel has is used as it is; what it lacks is here, with the same meaning.

use super::bindings;

#[cfg(not(kernel_lacks = "interrupt"))]
pub(crate) use kernel::interrupt::{
    local_interrupt_disable,
    LocalInterruptDisabled, //
};

#[cfg(kernel_lacks = "interrupt")]
pub(crate) use interrupt::{
    local_interrupt_disable,
    LocalInterruptDisabled, //
};

#[cfg(kernel_lacks = "interrupt")]
mod interrupt {
    use kernel::types::NotThreadSafe;

    use super::bindings;

    /// Token of a thread that has disabled the interrupts of its CPU, until the last of its tokens is dropped.
    pub(crate) struct LocalInterruptDisabled(NotThreadSafe);

    /// Disables the interrupts of this CPU until the token is dropped. Tokens may be dropped in any order. Any context
    /// but NMI.
    #[inline]
    pub(crate) fn local_interrupt_disable() -> LocalInterruptDisabled {
        // SAFETY: Any context but NMI may do so. The token undoes it, on the same CPU: its thread cannot be
        // preempted, and cannot give it to another thread.
        unsafe { bindings::local_interrupt_disable() };
        LocalInterruptDisabled(NotThreadSafe)
    }

    impl Drop for LocalInterruptDisabled {
        #[inline]
        fn drop(&mut self) {
            // SAFETY: The token was made by `local_interrupt_disable`, which this undoes once.
            unsafe { bindings::local_interrupt_enable() };
        }
    }
}

#[cfg(not(kernel_lacks = "spin_lock_irq"))]
pub(crate) use kernel::{
    new_spinlock_irq,
    sync::SpinLockIrq, //
};

#[cfg(kernel_lacks = "spin_lock_irq")]
pub(crate) use spin_lock_irq::{
    new_spinlock_irq,
    SpinLockIrq, //
};

#[cfg(kernel_lacks = "spin_lock_irq")]
mod spin_lock_irq {
    use kernel::{
        ffi::c_char,
        sync::lock::{
            Backend,
            Lock, //
        }, //
    };

    use super::bindings;

    /// Spin lock under which the interrupts of the CPU are disabled.
    pub(crate) type SpinLockIrq<T> = Lock<T, SpinLockIrqBackend>;

    /// `spinlock_t`, with interrupts disabled while it is held.
    pub(crate) struct SpinLockIrqBackend;

    // SAFETY: The kernel's `spinlock_t` gives mutual exclusion. `relock` is the default one, which locks in the
    // same way.
    unsafe impl Backend for SpinLockIrqBackend {
        type State = bindings::spinlock_t;
        type GuardState = ();

        #[inline]
        unsafe fn init(
            ptr: *mut Self::State,
            name: *const c_char,
            key: *mut bindings::lock_class_key,
        ) {
            // SAFETY: By the safety requirements `ptr` is valid for writes, and `name` and `key` for reads at any time.
            unsafe { bindings::__spin_lock_init(ptr, name, key) }
        }

        #[inline]
        unsafe fn lock(ptr: *mut Self::State) -> Self::GuardState {
            // SAFETY: By the safety requirements the lock is initialised.
            unsafe { bindings::spin_lock_irq_disable(ptr) }
        }

        #[inline]
        unsafe fn unlock(ptr: *mut Self::State, _guard_state: &Self::GuardState) {
            // SAFETY: By the safety requirements the caller holds the lock.
            unsafe { bindings::spin_unlock_irq_enable(ptr) }
        }

        #[inline]
        unsafe fn try_lock(ptr: *mut Self::State) -> Option<Self::GuardState> {
            // SAFETY: By the safety requirements the lock is initialised.
            unsafe { bindings::spin_trylock_irq_disable(ptr) }.then_some(())
        }

        #[inline]
        unsafe fn assert_is_held(ptr: *mut Self::State) {
            // SAFETY: By the safety requirements the lock is initialised.
            unsafe { bindings::spin_assert_is_held(ptr) }
        }
    }

    macro_rules! new_spinlock_irq {
        ($inner:expr, $name:literal) => {
            $crate::linux::compat::SpinLockIrq::new(
                $inner,
                kernel::optional_name!($name),
                kernel::static_lock_class!(),
            )
        };
    }
    pub(crate) use new_spinlock_irq;
}

#[cfg(not(kernel_lacks = "errno_codes"))]
pub(crate) use kernel::error::code::{
    EILSEQ,
    ENODATA,
    ENOLINK,
    EREMOTEIO, //
};

#[cfg(kernel_lacks = "errno_codes")]
pub(crate) use errno_codes::{
    EILSEQ,
    ENODATA,
    ENOLINK,
    EREMOTEIO, //
};

#[cfg(kernel_lacks = "errno_codes")]
mod errno_codes {
    use core::{
        mem::transmute,
        num::NonZeroI32, //
    };

    use kernel::error::{
        code,
        Error, //
    };

    use super::bindings;

    /// Returns the error of a number. `Error::from_errno` cannot be called for a constant.
    const fn error(number: u32) -> Error {
        let number = -(number as i32);
        assert!(-(bindings::MAX_ERRNO as i32) <= number && number < 0);
        let Some(number) = NonZeroI32::new(number) else {
            unreachable!()
        };
        // SAFETY: An `Error` is a struct of one `NonZeroI32`, and transmute() checks that it is as large, so it is
        // nothing but that number. It is in the range that the type's invariant asks for.
        unsafe { transmute::<NonZeroI32, Error>(number) }
    }

    // SAFETY: As above.
    const _: () = assert!(unsafe { transmute::<Error, i32>(code::EIO) } == -(bindings::EIO as i32));

    pub(crate) const EILSEQ: Error = error(bindings::EILSEQ);
    pub(crate) const ENODATA: Error = error(bindings::ENODATA);
    pub(crate) const ENOLINK: Error = error(bindings::ENOLINK);
    pub(crate) const EREMOTEIO: Error = error(bindings::EREMOTEIO);
}

#[cfg(not(kernel_lacks = "typed_barriers"))]
pub(crate) use kernel::sync::barrier::{
    smp_mb,
    Read, //
};

#[cfg(kernel_lacks = "typed_barriers")]
pub(crate) use typed_barriers::{
    smp_mb,
    Read, //
};

#[cfg(kernel_lacks = "typed_barriers")]
mod typed_barriers {
    use kernel::sync::{
        atomic::Full,
        barrier, //
    };

    /// Kind of a barrier that keeps reads apart.
    pub(crate) struct Read;

    /// Kind of a barrier.
    pub(crate) trait Kind {
        /// Runs the barrier.
        fn run();
    }

    impl Kind for Full {
        #[inline(always)]
        fn run() {
            barrier::smp_mb();
        }
    }

    impl Kind for Read {
        #[inline(always)]
        fn run() {
            barrier::smp_rmb();
        }
    }

    /// Orders accesses of memory of that kind, among CPUs.
    #[inline(always)]
    pub(crate) fn smp_mb<T: Kind>(_: T) {
        T::run();
    }
}

/// Returns how many bytes of the current entry are behind the iterator.
#[inline(always)]
pub(super) fn bvec_offset(iter: &bindings::bvec_iter) -> u32 {
    #[cfg(not(kernel_lacks = "bi_offset"))]
    return iter.bi_offset;
    #[cfg(kernel_lacks = "bi_offset")]
    return iter.bi_bvec_done;
}

/// Returns an iterator at the beginning of its memory.
pub(super) fn bvec_iter(sector: u64, bytes: u32) -> bindings::bvec_iter {
    bindings::bvec_iter {
        bi_sector: sector,
        bi_size: bytes,
        bi_idx: 0,
        #[cfg(not(kernel_lacks = "bi_offset"))]
        bi_offset: 0,
        #[cfg(kernel_lacks = "bi_offset")]
        bi_bvec_done: 0,
    }
}
