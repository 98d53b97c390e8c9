// SPDX-License-Identifier: GPL-2.0

//! Ctrl-c, and other signals that ask us to end.

use std::{
    sync::mpsc::{
        self,
        Receiver,
        RecvTimeoutError, //
    },
    time::Duration,
};

use crate::failure::Failure;

/// The signals that have come.
pub(crate) struct Interrupt {
    signals: Receiver<()>,
}

impl Interrupt {
    /// From here on such a signal does not end the process, but is told by [`Interrupt::wait`].
    pub(crate) fn catch() -> Result<Self, Failure> {
        let (sender, signals) = mpsc::channel();
        let handler = move || {
            // Where nobody listens any more, nobody has to know.
            let _ = sender.send(());
        };
        ctrlc::set_handler(handler)
            .map_err(|error| Failure::Undone(format!("cannot catch signals: {error}")))?;
        Ok(Self { signals })
    }

    /// Waits for so long, or until a signal comes, and tells whether one has come.
    pub(crate) fn wait(&self, duration: Duration) -> bool {
        !matches!(
            self.signals.recv_timeout(duration),
            Err(RecvTimeoutError::Timeout)
        )
    }
}
