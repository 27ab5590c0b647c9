//! The tiny init: first process of a container that asked for one. It forwards signals, reaps, and ends as the job ends.
//!
//! Never here: starting the job, which its other half does.

use crate::run::fail::{During, Fail};
use crate::run::keeper;
use crate::run::sys::{self, Side};
use rustix::process::{DumpableBehavior, set_dumpable_behavior};

/// Copies the process. The copy returns and becomes the job; the original becomes the init and never returns.
pub fn split() -> Result<(), Fail> {
    // Before the copy, so that no signal is missed.
    let signals = sys::signal_fd(&keeper::all_signals()).during("listen for signals")?;
    // Nothing of this program is for the job to look at.
    set_dumpable_behavior(DumpableBehavior::NotDumpable).during("close the init's memory")?;
    match sys::clone(0, None).during("start the job beside its init")? {
        Side::Child => {
            rustix::process::setsid().during("start a session")?;
            Ok(())
        }
        Side::Parent(job) => sys::exit(keeper::serve(job, &signals, None)),
    }
}
