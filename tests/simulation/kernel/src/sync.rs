// SPDX-License-Identifier: GPL-2.0

//! Locks, references and atomics.

use std::{
    cell::{Cell, UnsafeCell},
    ffi::CStr,
    marker::{PhantomData, PhantomPinned},
    ops::{Deref, DerefMut},
    pin::Pin,
    ptr::NonNull,
};

use machine::lock::{Kind, Lock as RawLock};
use pin_init::{Init, PinInit};

use crate::{
    alloc::{check, count, AllocError, Flags},
    error::{Error, Result},
};

pub use crate::{global_lock, new_condvar, new_mutex, new_spinlock, new_spinlock_irq};

pub struct LockClassKey;

impl LockClassKey {
    pub fn as_ptr(&self) -> *mut std::ffi::c_void {
        std::ptr::null_mut()
    }
}

pub trait Backend {
    const KIND: Kind;
}

pub struct MutexBackend;
pub struct SpinLockBackend;
pub struct SpinLockIrqBackend;

impl Backend for MutexBackend {
    const KIND: Kind = Kind::Mutex;
}
impl Backend for SpinLockBackend {
    const KIND: Kind = Kind::Spin;
}
impl Backend for SpinLockIrqBackend {
    const KIND: Kind = Kind::SpinIrq;
}

pub struct Lock<T, B: Backend> {
    raw: UnsafeCell<RawLock>,
    data: UnsafeCell<T>,
    _backend: PhantomData<B>,
    _pin: PhantomPinned,
}

pub type Mutex<T> = Lock<T, MutexBackend>;
pub type MutexGuard<'a, T> = Guard<'a, T, MutexBackend>;
pub type SpinLock<T> = Lock<T, SpinLockBackend>;
pub type SpinLockGuard<'a, T> = Guard<'a, T, SpinLockBackend>;
pub type SpinLockIrq<T> = Lock<T, SpinLockIrqBackend>;

// SAFETY: As for the locks of the kernel.
unsafe impl<T: Send, B: Backend> Send for Lock<T, B> {}
// SAFETY: As above.
unsafe impl<T: Send, B: Backend> Sync for Lock<T, B> {}

impl<T, B: Backend> Lock<T, B> {
    #[allow(clippy::new_ret_no_self)]
    pub fn new<E>(
        init: impl Init<T, E>,
        name: &'static CStr,
        _: Pin<&'static LockClassKey>,
    ) -> impl PinInit<Self, E> {
        // SAFETY: Every field is written.
        unsafe {
            pin_init::pin_init_from_closure(move |slot: *mut Self| {
                let name = name.to_str().unwrap_or("?");
                (&raw mut (*slot).raw).write(UnsafeCell::new(RawLock::new(B::KIND, name)));
                init.__init((&raw mut (*slot).data).cast::<T>())
            })
        }
    }

    pub const fn from_value(value: T, name: &'static str) -> Self {
        Self {
            raw: UnsafeCell::new(RawLock::new(B::KIND, name)),
            data: UnsafeCell::new(value),
            _backend: PhantomData,
            _pin: PhantomPinned,
        }
    }

    pub fn lock(&self) -> Guard<'_, T, B> {
        // SAFETY: Nobody keeps a reference to it.
        unsafe { &*self.raw.get() }.lock();
        Guard {
            lock: self,
            _here: PhantomData,
        }
    }

    /// Makes it what it was before the run.
    pub unsafe fn reset(&self, value: T, name: &'static str) {
        // SAFETY: Nobody uses it; what it held lay in an arena that is gone.
        unsafe {
            self.raw.get().write(RawLock::new(B::KIND, name));
            self.data.get().write(value);
        }
    }
}

pub struct Guard<'a, T, B: Backend> {
    lock: &'a Lock<T, B>,
    _here: PhantomData<*mut ()>,
}

impl<T, B: Backend> Deref for Guard<'_, T, B> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: We have the lock.
        unsafe { &*self.lock.data.get() }
    }
}

impl<T, B: Backend> DerefMut for Guard<'_, T, B> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: We have the lock.
        unsafe { &mut *self.lock.data.get() }
    }
}

impl<T, B: Backend> Drop for Guard<'_, T, B> {
    fn drop(&mut self) {
        // SAFETY: Nobody keeps a reference to it.
        unsafe { &*self.lock.raw.get() }.unlock();
    }
}

#[macro_export]
macro_rules! new_mutex {
    ($inner:expr, $name:literal) => {
        $crate::sync::Mutex::new(
            $inner,
            $crate::optional_name!($name),
            $crate::static_lock_class!(),
        )
    };
}
#[macro_export]
macro_rules! new_spinlock {
    ($inner:expr, $name:literal) => {
        $crate::sync::SpinLock::new(
            $inner,
            $crate::optional_name!($name),
            $crate::static_lock_class!(),
        )
    };
}
#[macro_export]
macro_rules! new_spinlock_irq {
    ($inner:expr, $name:literal) => {
        $crate::sync::SpinLockIrq::new(
            $inner,
            $crate::optional_name!($name),
            $crate::static_lock_class!(),
        )
    };
}

/// A condition that is waited for without a lock that is held meanwhile.
pub struct CondVar {
    notified: Cell<u64>,
    name: &'static CStr,
}

// SAFETY: There is one thread.
unsafe impl Send for CondVar {}
// SAFETY: As above.
unsafe impl Sync for CondVar {}

impl CondVar {
    #[allow(clippy::new_ret_no_self)]
    pub fn new(name: &'static CStr, _: Pin<&'static LockClassKey>) -> impl PinInit<Self> {
        // SAFETY: The slot is written.
        unsafe {
            pin_init::pin_init_from_closure::<_, std::convert::Infallible>(
                move |slot: *mut Self| {
                    slot.write(Self {
                        notified: Cell::new(0),
                        name,
                    });
                    Ok(())
                },
            )
        }
    }

    fn channel(&self) -> usize {
        std::ptr::from_ref(self) as usize
    }

    /// Returns whether it was notified before `deadline`.
    fn wait_until<T, B: Backend>(
        &self,
        guard: &mut Guard<'_, T, B>,
        deadline: Option<u64>,
    ) -> bool {
        let seen = self.notified.get();
        // SAFETY: The lock is there as long as its guard.
        let raw = unsafe { &*guard.lock.raw.get() };
        raw.unlock();
        machine::scheduler::may_sleep("a condition");
        let mut notified = true;
        if self.notified.get() == seen {
            let reason = self.name.to_str().unwrap_or("a condition");
            notified = machine::scheduler::block(self.channel(), reason, deadline);
        }
        raw.lock();
        notified
    }

    pub fn wait<T, B: Backend>(&self, guard: &mut Guard<'_, T, B>) {
        self.wait_until(guard, None);
    }

    /// A signal comes now and then, where the run wants it so.
    pub fn wait_interruptible<T, B: Backend>(&self, guard: &mut Guard<'_, T, B>) -> bool {
        let comes = crate::current!().signal_pending();
        let world = machine::scheduler::world();
        let deadline = comes.then(|| world.now + world.random.below(10_000_000));
        !self.wait_until(guard, deadline)
    }

    pub fn notify_all(&self) {
        machine::point();
        self.notified.set(self.notified.get() + 1);
        machine::scheduler::wake(self.channel());
        machine::point();
    }
}

#[macro_export]
macro_rules! new_condvar {
    ($name:literal) => {
        $crate::sync::CondVar::new($crate::optional_name!($name), $crate::static_lock_class!())
    };
}

/// Sections of readers, which grace periods wait for.
pub mod rcu {
    pub struct Guard(());

    pub fn read_lock() -> Guard {
        machine::scheduler::preempt_disable();
        machine::point();
        Guard(())
    }

    impl Drop for Guard {
        fn drop(&mut self) {
            machine::scheduler::preempt_enable();
            machine::point();
        }
    }
}

static mut GLOBALS: std::vec::Vec<fn()> = std::vec::Vec::new();

/// Makes every lock that outlives runs what it was before the first one.
pub fn reset_globals() {
    // SAFETY: There is one thread.
    for reset in unsafe { &*(&raw const GLOBALS) } {
        reset();
    }
}

/// Remembers how to reset a lock.
pub fn register_global(reset: fn()) {
    // SAFETY: There is one thread.
    machine::arena::outside(|| unsafe { (*(&raw mut GLOBALS)).push(reset) });
}

/// A lock that outlives runs.
pub struct Global<T>(pub Mutex<T>);

impl<T: Send> Global<T> {
    pub fn lock(&self) -> Guard<'_, T, MutexBackend> {
        self.0.lock()
    }
}

#[macro_export]
macro_rules! global_lock {
    ($(#[$meta:meta])* $vis:vis unsafe(uninit) static $name:ident: Mutex<$value:ty> = $init:expr;) => {
        $vis static $name: Registered = Registered($crate::sync::Global($crate::sync::Mutex::from_value($init, module_path!())));

        $vis struct Registered($crate::sync::Global<$value>);

        impl Registered {
            unsafe fn init(&'static self) {
                $crate::sync::register_global(|| {
                    // SAFETY: No run is under way.
                    unsafe { $name.0.0.reset($init, module_path!()) }
                });
            }
        }

        impl ::std::ops::Deref for Registered {
            type Target = $crate::sync::Global<$value>;

            fn deref(&self) -> &Self::Target {
                &self.0
            }
        }
    };
}

pub struct Arc<T: ?Sized>(std::sync::Arc<Counted<T>>);

struct Counted<T: ?Sized> {
    _memory: Memory,
    value: T,
}

struct Memory;

impl Drop for Memory {
    fn drop(&mut self) {
        count(-1);
    }
}

impl<T> Arc<T> {
    pub fn new(value: T, flags: Flags) -> Result<Self, AllocError> {
        check(flags)?;
        count(1);
        Ok(Self(std::sync::Arc::new(Counted {
            _memory: Memory,
            value,
        })))
    }

    pub fn pin_init<E>(init: impl PinInit<T, E>, flags: Flags) -> Result<Self>
    where
        Error: From<E>,
    {
        check(flags)?;
        let mut memory = std::sync::Arc::<Counted<T>>::new_uninit();
        let slot = std::sync::Arc::get_mut(&mut memory)
            .expect("a new one")
            .as_mut_ptr();
        // SAFETY: Both fields are written; what is in an `Arc` does not move.
        unsafe {
            pin_init::raw_try_init(&raw mut (*slot).value, init)?;
            (&raw mut (*slot)._memory).write(Memory);
            count(1);
            Ok(Self(memory.assume_init()))
        }
    }

    pub fn as_arc_borrow(&self) -> ArcBorrow<'_, T> {
        ArcBorrow(self)
    }

    pub fn ptr_eq(this: &Self, other: &Self) -> bool {
        std::sync::Arc::ptr_eq(&this.0, &other.0)
    }

    pub fn as_ptr(this: &Self) -> *const T {
        &raw const this.0.value
    }

    pub fn into_raw(this: Self) -> *const T {
        let counted = std::sync::Arc::into_raw(this.0);
        // SAFETY: The object is there.
        unsafe { &raw const (*counted).value }
    }

    pub unsafe fn from_raw(pointer: *const T) -> Self {
        let offset = std::mem::offset_of!(Counted<T>, value);
        // SAFETY: It came from `into_raw`.
        Self(unsafe { std::sync::Arc::from_raw(pointer.byte_sub(offset).cast()) })
    }
}

impl<T: ?Sized> Clone for Arc<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: ?Sized> Deref for Arc<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0.value
    }
}

pub struct ArcBorrow<'a, T>(&'a Arc<T>);

impl<T> Clone for ArcBorrow<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for ArcBorrow<'_, T> {}

impl<T> Deref for ArcBorrow<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0
    }
}

impl<T> From<ArcBorrow<'_, T>> for Arc<T> {
    fn from(borrow: ArcBorrow<'_, T>) -> Self {
        borrow.0.clone()
    }
}

pub struct SetOnce<T>(Cell<bool>, UnsafeCell<Option<T>>);

// SAFETY: There is one thread.
unsafe impl<T: Send> Send for SetOnce<T> {}
// SAFETY: As above.
unsafe impl<T: Send + Sync> Sync for SetOnce<T> {}

impl<T> SetOnce<T> {
    pub const fn new() -> Self {
        Self(Cell::new(false), UnsafeCell::new(None))
    }

    pub fn as_ref(&self) -> Option<&T> {
        machine::point();
        // SAFETY: It changes once, from nothing.
        if self.0.get() {
            unsafe { (*self.1.get()).as_ref() }
        } else {
            None
        }
    }

    pub fn populate(&self, value: T) -> bool {
        machine::point();
        if self.0.get() {
            return false;
        }
        // SAFETY: Nobody has a reference to it so far.
        unsafe { *self.1.get() = Some(value) };
        self.0.set(true);
        true
    }
}

pub mod aref {
    use super::NonNull;

    pub unsafe trait AlwaysRefCounted {
        fn inc_ref(&self);

        unsafe fn dec_ref(this: NonNull<Self>);
    }

    pub struct ARef<T: AlwaysRefCounted>(NonNull<T>);

    // SAFETY: As in the kernel.
    unsafe impl<T: AlwaysRefCounted + Send + Sync> Send for ARef<T> {}
    // SAFETY: As above.
    unsafe impl<T: AlwaysRefCounted + Send + Sync> Sync for ARef<T> {}

    impl<T: AlwaysRefCounted> From<&T> for ARef<T> {
        fn from(object: &T) -> Self {
            object.inc_ref();
            Self(NonNull::from(object))
        }
    }

    impl<T: AlwaysRefCounted> std::ops::Deref for ARef<T> {
        type Target = T;

        fn deref(&self) -> &T {
            // SAFETY: We have a reference.
            unsafe { self.0.as_ref() }
        }
    }

    impl<T: AlwaysRefCounted> Drop for ARef<T> {
        fn drop(&mut self) {
            // SAFETY: We have a reference.
            unsafe { T::dec_ref(self.0) };
        }
    }
}

pub mod barrier {
    pub struct Read;

    pub fn smp_mb<T>(_: T) {
        machine::point();
    }
}

pub mod atomic {
    use std::cell::UnsafeCell;

    #[derive(Clone, Copy)]
    pub struct Relaxed;
    #[derive(Clone, Copy)]
    pub struct Acquire;
    #[derive(Clone, Copy)]
    pub struct Release;
    #[derive(Clone, Copy)]
    pub struct Full;

    /// Each use is a point where another task may run.
    #[repr(transparent)]
    pub struct Atomic<T>(UnsafeCell<T>);

    // SAFETY: There is one thread.
    unsafe impl<T: Send> Send for Atomic<T> {}
    // SAFETY: As above.
    unsafe impl<T: Send> Sync for Atomic<T> {}

    impl<T: Copy + PartialEq> Atomic<T> {
        pub const fn new(value: T) -> Self {
            Self(UnsafeCell::new(value))
        }

        fn with<R>(&self, with: impl FnOnce(&mut T) -> R) -> R {
            machine::point();
            // SAFETY: There is one thread, and nobody keeps a reference.
            with(unsafe { &mut *self.0.get() })
        }

        pub fn load<O>(&self, _: O) -> T {
            self.with(|value| *value)
        }

        pub fn store<O>(&self, new: T, _: O) {
            self.with(|value| *value = new);
        }

        pub fn xchg<O>(&self, new: T, _: O) -> T {
            self.with(|value| std::mem::replace(value, new))
        }

        pub fn cmpxchg<O>(&self, old: T, new: T, _: O) -> Result<T, T> {
            self.with(|value| {
                if *value == old {
                    *value = new;
                    Ok(old)
                } else {
                    Err(*value)
                }
            })
        }
    }

    macro_rules! counting {
        ($($type:ty),*) => {$(
            impl Atomic<$type> {
                pub fn add<O>(&self, more: $type, _: O) {
                    self.with(|value| *value = value.wrapping_add(more));
                }

                pub fn fetch_add<O>(&self, more: $type, _: O) -> $type {
                    self.with(|value| std::mem::replace(value, value.wrapping_add(more)))
                }

                pub fn fetch_sub<O>(&self, less: $type, _: O) -> $type {
                    self.with(|value| std::mem::replace(value, value.wrapping_sub(less)))
                }
            }
        )*};
    }
    counting!(u32, u64);
}
