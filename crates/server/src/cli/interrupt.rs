//! Ctrl-C and its kin, as something a waiting command can look at.
//!
//! Only commands that do more than end on a signal use this; for the others the signal itself ends the process with the
//! same code 130. Never here: what an interruption means.

use super::error::CliError;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

/// What came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// Ctrl-C.
    Interrupt,
    /// SIGTERM or a closed terminal.
    Terminate,
}

/// Signals in the order of their arrival.
pub struct Interrupts {
    signals: Receiver<Signal>,
}

impl Interrupts {
    /// Takes SIGINT, SIGTERM and SIGHUP over for the rest of the process. Errors: no thread or no handler to be had.
    pub fn install() -> Result<Self, CliError> {
        let (sender, signals) = channel();
        let (ready, installed) = channel();
        thread::Builder::new().name("signals".into()).spawn(move || {
            let runtime = match tokio::runtime::Builder::new_current_thread().enable_io().build() {
                Ok(runtime) => runtime,
                Err(e) => return drop(ready.send(Err(e))),
            };
            runtime.block_on(async {
                let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
                let (mut int, mut term, mut hup) = match kinds.map(signal) {
                    [Ok(a), Ok(b), Ok(c)] => (a, b, c),
                    [a, b, c] => {
                        let failed = [a, b, c].into_iter().find_map(Result::err);
                        return drop(failed.map(|e| ready.send(Err(e))));
                    }
                };
                let _ = ready.send(Ok(()));
                loop {
                    let came = tokio::select! {
                        _ = int.recv() => Signal::Interrupt,
                        _ = term.recv() => Signal::Terminate,
                        _ = hup.recv() => Signal::Terminate,
                    };
                    if sender.send(came).is_err() {
                        return;
                    }
                }
            });
        })?;
        installed.recv().map_err(|_| CliError::Failed("cannot listen for signals".into()))??;
        Ok(Self { signals })
    }

    /// Signals that a test sends itself.
    #[cfg(test)]
    pub fn from_channel(signals: Receiver<Signal>) -> Self {
        Self { signals }
    }

    /// Sleeps for `time` or until a signal comes, and gives that.
    pub fn sleep(&self, time: Duration) -> Option<Signal> {
        match self.signals.recv_timeout(time) {
            Ok(signal) => Some(signal),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => {
                thread::sleep(time);
                None
            }
        }
    }
}
