// SPDX-License-Identifier: GPL-2.0

//! Catches Ctrl-c and the other signals that ask a process to end.

use std::{
    sync::mpsc::{
        self,
        Receiver,
        RecvTimeoutError, //
    },
    time::Duration,
};

use crate::failure::Failure;

/// Receiver of the signals that ask the process to end.
pub(crate) struct Interrupt {
    signals: Receiver<()>,
}

impl Interrupt {
    /// Installs the handler. From then on such a signal does not end the process; [`Interrupt::wait`]
    /// reports it.
    pub(crate) fn catch() -> Result<Self, Failure> {
        let (sender, signals) = mpsc::channel();
        let handler = move || {
            // Fails if the receiver is gone: then no caller waits for signals.
            let _ = sender.send(());
        };
        ctrlc::set_handler(handler)
            .map_err(|error| Failure::Undone(format!("cannot catch signals: {error}")))?;
        Ok(Self { signals })
    }

    /// Waits until a signal has come, at most for `duration`. Returns whether one has come.
    pub(crate) fn wait(&self, duration: Duration) -> bool {
        !matches!(
            self.signals.recv_timeout(duration),
            Err(RecvTimeoutError::Timeout)
        )
    }
}
