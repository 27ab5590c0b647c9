//! What the job may do: its capabilities and its user.
//!
//! Never here: seccomp, who the user is.

use super::Plan;
use super::user::Identity;
use crate::run::fail::{During, Fail};
use batchyard_supervisor::{Container, Rootless};
use rustix::thread::{
    CapabilitySet, CapabilitySets, capability_is_in_bounding_set, clear_ambient_capability_set,
    remove_capability_from_bounding_set, set_capabilities, set_thread_groups, set_thread_res_gid,
    set_thread_res_uid,
};

/// Takes from the bounding set what the container is not to have. What the host lacks is no error.
pub fn drop_bounding(c: &Container, devices_fenced: bool) -> Result<(), Fail> {
    let keep = wanted(c, devices_fenced);
    for bit in (0..64).map(|n| 1_u64 << n) {
        let one = CapabilitySet::from_bits_retain(bit);
        match capability_is_in_bounding_set(one) {
            Ok(true) if keep & bit == 0 => {
                remove_capability_from_bounding_set(one).during("drop a capability")?;
            }
            Ok(_) => {}
            // The kernel knows no more.
            Err(_) => break,
        }
    }
    Ok(())
}

/// The capabilities that it is to have, as a bit mask.
pub fn wanted(c: &Container, devices_fenced: bool) -> u64 {
    if c.privileged {
        return u64::MAX;
    }
    // A device file that the container makes would be as good as the device.
    let unfenced = if devices_fenced { 0 } else { CapabilitySet::MKNOD.bits() };
    c.capabilities & !unfenced
}

/// Whether an ordinary user's server has these ids to give.
///
/// # Errors
/// It has not.
pub fn check(who: &Identity, rootless: Option<Rootless>) -> Result<(), Fail> {
    let Some(ids) = rootless.map(|r| r.ids) else { return Ok(()) };
    let groups = who.groups.iter().map(|g| g.as_raw()).chain([who.gid.as_raw()]);
    let Some(id) = groups.chain([who.uid.as_raw()]).find(|id| *id >= ids) else { return Ok(()) };
    Err(Fail::daemon(format_args!(
        "user or group {id} cannot be given: this server runs as an ordinary user with {ids} of them; give its user a \
         range in /etc/subuid and /etc/subgid, install newuidmap and newgidmap (Debian: uidmap), and start it again"
    )))
}

/// Becomes the user, with the capabilities that are left. As with Docker, nobody but root has any, none is inherited
/// (so that a program's file capabilities cannot add to them), none is ambient.
pub fn become_user(c: &Container, plan: &Plan<'_>, who: &Identity) -> Result<(), Fail> {
    let _ = clear_ambient_capability_set();
    // With a single id the kernel lets nobody change groups; the job keeps the user's.
    if plan.rootless.is_none_or(|r| r.ids > 1) {
        become_plain_user(who)?;
    }
    let have = rustix::thread::capabilities(None).during("read capabilities")?.permitted;
    let keep = if who.uid.is_root() {
        have & CapabilitySet::from_bits_retain(wanted(c, plan.devices_fenced))
    } else {
        CapabilitySet::empty()
    };
    let sets = CapabilitySets { effective: keep, permitted: keep, inheritable: CapabilitySet::empty() };
    set_capabilities(None, sets).during("set capabilities")
}

/// Becomes the user, without a look at capabilities.
pub fn become_plain_user(who: &Identity) -> Result<(), Fail> {
    set_thread_groups(&who.groups).during("set groups")?;
    set_thread_res_gid(who.gid, who.gid, who.gid).during("set group")?;
    set_thread_res_uid(who.uid, who.uid, who.uid).during("set user")
}
