//! Namespaces made ahead of need, by one thread: the kernel takes some twenty milliseconds for one.
//!
//! Never here: whose one is.

use super::Given;
use super::addresses::Addresses;
use super::bridge::{self, Bridge};
use super::namespace;
use ipnet::Ipv4Net;
use rtnetlink::Handle;
use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::sync::mpsc::channel;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How many are kept ready.
const READY: usize = 4;
/// How long a start waits for one; then it fails with what the thread met.
const PATIENCE: Duration = Duration::from_secs(10);

/// The thread's mailbox.
#[derive(Debug)]
pub struct Maker(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    ready: VecDeque<Given>,
    /// Starts that wait for one.
    wanted: usize,
    /// No address was free when the thread last looked.
    exhausted: bool,
    /// What the thread met last instead of making one.
    failure: Option<String>,
    stopped: bool,
}

impl Maker {
    /// Makes the bridge and starts the thread.
    ///
    /// # Errors
    /// The host does not let it.
    pub fn start(
        bridge: &str,
        net: Ipv4Net,
        supervisor: PathBuf,
        addresses: Arc<Mutex<Addresses>>,
    ) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let (made, first) = channel();
        let (name, work) = (bridge.to_string(), Arc::clone(&shared));
        std::thread::Builder::new().name("networks".into()).spawn(move || {
            let ended = namespace::with_netlink(async |handle| {
                match Bridge::make(&handle, &name, net).await {
                    Err(error) => drop(made.send(Err(error))),
                    Ok(bridge) => {
                        let _ = made.send(Ok(()));
                        let line = Line { handle, bridge, net, supervisor, addresses, shared: work };
                        line.run().await;
                    }
                }
                Ok(())
            });
            if let Err(error) = ended {
                tracing::error!(%error, "no networks for jobs can be made");
            }
        })?;
        match first.recv() {
            Ok(made) => made.map(|()| Self(shared)),
            Err(_) => Err(io::Error::other("the thread that makes networks ended early")),
        }
    }

    /// A namespace, waiting for it if need be. Nothing: no address is free.
    ///
    /// # Errors
    /// None can be made, in words for a job's reason.
    pub fn take(&self) -> Result<Option<Given>, String> {
        let mut state = self.0.lock();
        state.wanted += 1;
        (state.exhausted, state.failure) = (false, None);
        self.0.changed.notify_all();
        let waits = |state: &mut State| {
            state.ready.is_empty() && !state.exhausted && state.failure.is_none() && !state.stopped
        };
        let (mut state, _) =
            self.0.changed.wait_timeout_while(state, PATIENCE, waits).unwrap_or_else(PoisonError::into_inner);
        state.wanted -= 1;
        let found = state.ready.pop_front();
        self.0.changed.notify_all();
        match (found, &state.failure) {
            (None, Some(failure)) => Err(failure.clone()),
            (None, None) if !state.exhausted => Err("no network was made in time".to_string()),
            (found, _) => Ok(found),
        }
    }

    /// Lets go of those that are ready and makes no more.
    pub fn stop(&self) {
        let mut state = self.0.lock();
        state.stopped = true;
        state.ready.clear();
        self.0.changed.notify_all();
    }
}

impl Drop for Maker {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the thread works with.
struct Line {
    handle: Handle,
    bridge: Bridge,
    net: Ipv4Net,
    supervisor: PathBuf,
    addresses: Arc<Mutex<Addresses>>,
    shared: Arc<Shared>,
}

impl Line {
    async fn run(&self) {
        while self.wait() {
            let made = self.make().await;
            let mut state = self.shared.lock();
            match made {
                _ if state.stopped => return,
                Ok(Some(given)) => state.ready.push_back(given),
                Ok(None) => state.exhausted = true,
                Err(error) => {
                    tracing::warn!(%error, "no network for a job can be made");
                    state.failure = Some(error.to_string());
                }
            }
            self.shared.changed.notify_all();
        }
    }

    /// Waits until one is missing. False: no more are wanted.
    fn wait(&self) -> bool {
        let full = |state: &mut State| {
            // After trouble only somebody who waits is reason enough to try again.
            let trouble = state.exhausted || state.failure.is_some();
            !state.stopped && (trouble || state.ready.len() >= READY + state.wanted)
        };
        let state = self.shared.changed.wait_while(self.shared.lock(), full);
        !state.unwrap_or_else(PoisonError::into_inner).stopped
    }

    async fn make(&self) -> io::Result<Option<Given>> {
        let addresses = || self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        let mut address = addresses().next();
        // The kernel may take a while to be done with a namespace whose address is free again.
        while let Some(dying) = address.filter(|address| bridge::exists(&self.bridge.port(*address))) {
            address = addresses().next();
            addresses().put_back(dying);
        }
        let Some(address) = address else { return Ok(None) };
        let made = namespace::make(&self.handle, &self.bridge, self.net, address, &self.supervisor).await;
        match made {
            Ok(namespace) => Ok(Some(Given { namespace, address })),
            Err(error) => {
                addresses().put_back(address);
                Err(error)
            }
        }
    }
}
