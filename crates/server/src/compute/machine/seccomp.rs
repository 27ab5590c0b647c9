//! The seccomp filter of every container that is not privileged: what Docker's default profile lets through for a
//! process with Docker's default capabilities, everything else answered with EPERM.
//!
//! Two calls are special: `clone` may not make namespaces, and `clone3`, whose flags a filter cannot see, answers
//! ENOSYS so that C libraries fall back to `clone`; so does, as with runc, every call that is newer than the list. Calls
//! of another architecture end the process. Compiled once at start; the supervisor only loads the bytes. Never here:
//! loading.

use super::syscalls;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen as Len, SeccompCmpOp as Op, SeccompCondition as Condition,
    SeccompFilter, SeccompRule as Rule, TargetArch,
};
use std::collections::BTreeMap;
use std::io;

/// CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID and NEWNET.
const NEW_NAMESPACES: u64 = 0x7e02_0000;
/// Execution domains that change nothing of importance: Linux, 32-bit uname, and both; and the question which it is.
const PERSONALITIES: [u64; 5] = [0x0, 0x8, 0x2_0000, 0x2_0008, 0xffff_ffff];
/// Sockets that send frames past the control group's filter, so past `blocked_addresses`; to the kernel's ciphers; to a
/// hypervisor.
const NO_SOCKETS: [u64; 3] = [17, 38, 40];

/// The filter as the kernel's array of instructions, in this host's byte order.
///
/// # Errors
/// This architecture has no filter (x86-64 and ARM64 do).
pub fn profile() -> io::Result<Vec<u8>> {
    let program = compile().map_err(|error| io::Error::other(format!("seccomp filter: {error}")))?;
    let mut bytes = Vec::with_capacity((program.len() + 4) * 8);
    // Before the compiled filter: number of the call; too new, or clone3 → ENOSYS. The filter checks the architecture
    // itself.
    let enosys = 0x0005_0000 | u32::try_from(libc::ENOSYS).unwrap_or_default();
    let clone3 = u32::try_from(libc::SYS_clone3).unwrap_or_default();
    instruction(&mut bytes, 0x20, 0, 0, 0);
    let newest = u32::try_from(syscalls::NEWEST).unwrap_or_default();
    instruction(&mut bytes, 0x25, 1, 0, newest);
    instruction(&mut bytes, 0x15, 0, 1, clone3);
    instruction(&mut bytes, 0x06, 0, 0, enosys);
    for i in &program {
        instruction(&mut bytes, i.code, i.jt, i.jf, i.k);
    }
    Ok(bytes)
}

fn instruction(bytes: &mut Vec<u8>, code: u16, jump_true: u8, jump_false: u8, k: u32) {
    bytes.extend_from_slice(&code.to_ne_bytes());
    bytes.extend_from_slice(&[jump_true, jump_false]);
    bytes.extend_from_slice(&k.to_ne_bytes());
}

fn compile() -> Result<BpfProgram, seccompiler::BackendError> {
    let mut rules: BTreeMap<i64, Vec<Rule>> =
        syscalls::allowed().map(|number| (number, Vec::new())).collect();
    let quiet_clone = Condition::new(0, Len::Qword, Op::MaskedEq(NEW_NAMESPACES), 0)?;
    rules.insert(libc::SYS_clone, vec![Rule::new(vec![quiet_clone])?]);
    // The kernel reads 32 bits, so a comparison of all 64 could be got round.
    let mut others = Vec::new();
    for family in NO_SOCKETS {
        others.push(Condition::new(0, Len::Dword, Op::Ne, family)?);
    }
    rules.insert(libc::SYS_socket, vec![Rule::new(others)?]);
    let mut personalities = Vec::new();
    for persona in PERSONALITIES {
        personalities.push(Rule::new(vec![Condition::new(0, Len::Qword, Op::Eq, persona)?])?);
    }
    rules.insert(libc::SYS_personality, personalities);
    let eperm = SeccompAction::Errno(u32::try_from(libc::EPERM).unwrap_or(1));
    let arch: TargetArch = std::env::consts::ARCH.try_into()?;
    SeccompFilter::new(rules, eperm, SeccompAction::Allow, arch)?.try_into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALLOW: u32 = 0x7fff_0000;
    const EPERM: u32 = 0x0005_0001;
    const ENOSYS: u32 = 0x0005_0026;
    const KILL: u32 = 0x8000_0000;
    #[cfg(target_arch = "x86_64")]
    const ARCH: u32 = 0xc000_003e;
    #[cfg(target_arch = "aarch64")]
    const ARCH: u32 = 0xc000_00b7;

    /// The kernel's machine, as far as filters of this kind use it.
    fn run(filter: &[u8], arch: u32, call: i64, arguments: [u64; 6]) -> u32 {
        let mut data = Vec::new();
        data.extend_from_slice(&(call as u32).to_ne_bytes());
        data.extend_from_slice(&arch.to_ne_bytes());
        data.extend_from_slice(&0u64.to_ne_bytes());
        arguments.iter().for_each(|a| data.extend_from_slice(&a.to_ne_bytes()));
        let (mut at, mut a) = (0usize, 0u32);
        loop {
            let i = &filter[at * 8..at * 8 + 8];
            let k = u32::from_ne_bytes(i[4..8].try_into().expect("four bytes"));
            let (jump_true, jump_false) = (i[2] as usize, i[3] as usize);
            at += 1;
            let jump = |yes: bool| if yes { jump_true } else { jump_false };
            match u16::from_ne_bytes([i[0], i[1]]) {
                0x20 => {
                    a = u32::from_ne_bytes(data[k as usize..k as usize + 4].try_into().expect("four bytes"));
                }
                0x54 => a &= k,
                0x05 => at += k as usize,
                0x15 => at += jump(a == k),
                0x25 => at += jump(a > k),
                0x35 => at += jump(a >= k),
                0x06 => return k,
                code => panic!("unknown instruction {code:#x}"),
            }
        }
    }

    fn ask(call: i64, first: u64) -> u32 {
        run(&profile().expect("a filter"), ARCH, call, [first, 0, 0, 0, 0, 0])
    }

    #[test]
    fn ordinary_calls_pass_and_dangerous_ones_do_not() {
        for call in [libc::SYS_read, libc::SYS_execve, libc::SYS_mmap, libc::SYS_futex, libc::SYS_chroot] {
            assert_eq!(ask(call, 0), ALLOW, "{call}");
        }
        let denied = [
            libc::SYS_mount,
            libc::SYS_umount2,
            libc::SYS_pivot_root,
            libc::SYS_unshare,
            libc::SYS_setns,
            libc::SYS_bpf,
            libc::SYS_keyctl,
            libc::SYS_add_key,
            libc::SYS_kexec_load,
            libc::SYS_init_module,
            libc::SYS_finit_module,
            libc::SYS_reboot,
            libc::SYS_swapon,
            libc::SYS_settimeofday,
            libc::SYS_clock_settime,
            libc::SYS_open_by_handle_at,
            libc::SYS_perf_event_open,
            libc::SYS_userfaultfd,
            libc::SYS_io_uring_setup,
            libc::SYS_fsopen,
            libc::SYS_move_mount,
            libc::SYS_open_tree,
            libc::SYS_mount_setattr,
            libc::SYS_quotactl,
            libc::SYS_acct,
            libc::SYS_syslog,
            libc::SYS_pidfd_getfd,
            libc::SYS_process_madvise,
        ];
        for call in denied {
            assert_eq!(ask(call, 0), EPERM, "{call}");
        }
    }

    #[test]
    fn clone_makes_threads_and_processes_and_no_namespaces() {
        assert_eq!(ask(libc::SYS_clone, 0x0000_0011), ALLOW);
        assert_eq!(ask(libc::SYS_clone, 0x003d_0f00), ALLOW);
        for bit in
            [0x0002_0000u64, 0x0200_0000, 0x0400_0000, 0x0800_0000, 0x1000_0000, 0x2000_0000, 0x4000_0000]
        {
            assert_eq!(ask(libc::SYS_clone, bit | 0x11), EPERM, "{bit:#x}");
        }
        assert_eq!(ask(libc::SYS_clone3, 0), ENOSYS);
    }

    #[test]
    fn arguments_decide_for_personality_and_socket() {
        assert_eq!(ask(libc::SYS_personality, 0xffff_ffff), ALLOW);
        assert_eq!(ask(libc::SYS_personality, 0x0004_0000), EPERM);
        assert_eq!(ask(libc::SYS_socket, 2), ALLOW);
        for family in NO_SOCKETS {
            assert_eq!(ask(libc::SYS_socket, family), EPERM);
            assert_eq!(ask(libc::SYS_socket, family | 1 << 32), EPERM, "the kernel reads 32 bits of it");
        }
    }

    #[test]
    fn calls_of_later_kernels_are_not_there() {
        assert_eq!(ask(syscalls::NEWEST, 0), ALLOW);
        for call in [syscalls::NEWEST + 1, 9999, 0x4000_0000, -1] {
            assert_eq!(ask(call, 0), ENOSYS, "{call}");
        }
    }

    #[test]
    fn another_architecture_is_ended() {
        let filter = profile().expect("a filter");
        assert_eq!(run(&filter, 0x4000_0003, libc::SYS_read, [0; 6]), KILL);
    }

    #[test]
    fn the_filter_fits_the_kernel() {
        assert!(profile().expect("a filter").len() / 8 <= 4096);
    }
}
