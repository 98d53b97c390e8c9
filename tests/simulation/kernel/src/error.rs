// SPDX-License-Identifier: GPL-2.0

//! Errors.

use std::ffi::c_int;

use crate::alloc::AllocError;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Error(c_int);

pub type Result<T = (), E = Error> = std::result::Result<T, E>;

pub mod code {
    use super::Error;

    macro_rules! codes {
        ($($name:ident = $number:literal),* $(,)?) => {
            $(pub const $name: Error = Error(-$number);)*
        };
    }
    codes! {
        EPERM = 1, ESRCH = 3, EINTR = 4, EIO = 5, ENXIO = 6, EAGAIN = 11, ENOMEM = 12, EBUSY = 16, EEXIST = 17, ENODEV = 19,
        EINVAL = 22, ENOSPC = 28, EROFS = 30, ENODATA = 61, ENOLINK = 67, EILSEQ = 84, EOVERFLOW = 75, ETIMEDOUT = 110,
        EREMOTEIO = 121, ERESTARTSYS = 512,
    }
}

impl Error {
    pub fn to_errno(self) -> c_int {
        self.0
    }
}

impl From<AllocError> for Error {
    fn from(_: AllocError) -> Self {
        code::ENOMEM
    }
}

impl From<std::num::TryFromIntError> for Error {
    fn from(_: std::num::TryFromIntError) -> Self {
        code::EINVAL
    }
}

impl From<std::str::Utf8Error> for Error {
    fn from(_: std::str::Utf8Error) -> Self {
        code::EINVAL
    }
}

impl From<std::convert::Infallible> for Error {
    fn from(never: std::convert::Infallible) -> Self {
        match never {}
    }
}

impl From<std::fmt::Error> for Error {
    fn from(_: std::fmt::Error) -> Self {
        code::EINVAL
    }
}

pub fn to_result(error: c_int) -> Result {
    if error < 0 {
        Err(Error(error))
    } else {
        Ok(())
    }
}

pub fn from_result<T: From<i16>>(of: impl FnOnce() -> Result<T>) -> T {
    match of() {
        Ok(value) => value,
        Err(error) => T::from(error.0 as i16),
    }
}

pub fn from_err_ptr<T>(pointer: *mut T) -> Result<*mut T> {
    let number = pointer as isize;
    if (-4095..0).contains(&number) {
        Err(Error(number as c_int))
    } else {
        Ok(pointer)
    }
}
