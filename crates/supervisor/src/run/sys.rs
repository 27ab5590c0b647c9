//! System calls that rustix lacks or cannot offer as safe: the only unsafe code of the project.
//!
//! Everything here is a thin, checked wrapper. The program has one thread until the container's first process is made,
//! which is what makes most of it sound; the second one (`pump`) only reads, writes and polls.
//! Never here: decisions about what to call when.

use rustix::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use rustix::io::Errno;
use rustix::process::Pid;
use std::ffi::{CStr, CString};
use std::ptr::null;

type Result<T> = std::result::Result<T, Errno>;

fn check(result: libc::c_long) -> Result<libc::c_long> {
    if result >= 0 { Ok(result) } else { Err(last_error()) }
}

fn last_error() -> Errno {
    Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::INVAL)
}

/// Which side of a [`clone`] one is.
pub enum Side {
    /// The copy.
    Child,
    /// The caller, with the copy's id in its own pid namespace.
    Parent(Pid),
}

/// The kernel's `struct clone_args`, first version that knows `cgroup`.
#[repr(C)]
#[derive(Default)]
struct CloneArgs {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// Copies the process into the new namespaces of `flags`, on cgroup v2 straight into `cgroup` when given.
pub fn clone(flags: i32, cgroup: Option<BorrowedFd<'_>>) -> Result<Side> {
    let flags = flags as u32;
    let pid = if let Some(cgroup) = cgroup {
        let args = CloneArgs {
            flags: u64::from(flags) | CLONE_INTO_CGROUP,
            exit_signal: libc::SIGCHLD as u64,
            cgroup: cgroup.as_raw_fd() as u64,
            ..CloneArgs::default()
        };
        // SAFETY: fork semantics (no CLONE_VM, no stack) in a process that has one thread as yet; `args` lives across the call
        // and its size is passed.
        unsafe { libc::syscall(libc::SYS_clone3, &raw const args, size_of::<CloneArgs>()) }
    } else {
        let flags = libc::c_ulong::from(flags) | libc::SIGCHLD as libc::c_ulong;
        // SAFETY: as above; all pointers are null, so their order, which differs between architectures, is no matter.
        unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) }
    };
    let pid = check(pid)?;
    Ok(i32::try_from(pid).ok().and_then(Pid::from_raw).map_or(Side::Child, Side::Parent))
}

/// Gives the process its own cgroup namespace, rooted where it is now.
pub fn unshare_cgroup() -> Result<()> {
    // SAFETY: NEWCGROUP changes no memory and no descriptor table.
    unsafe { rustix::thread::unshare_unsafe(rustix::thread::UnshareFlags::NEWCGROUP) }
}

/// Gives the process a network namespace of its own, with nothing in it.
pub fn unshare_network() -> Result<()> {
    // SAFETY: NEWNET changes no memory and no descriptor table.
    unsafe { rustix::thread::unshare_unsafe(rustix::thread::UnshareFlags::NEWNET) }
}

/// Makes the process root of a user namespace of its own, whose maps are still to be written. It must have one thread.
pub fn unshare_user() -> Result<()> {
    // SAFETY: NEWUSER changes credentials, no memory and no descriptor table.
    unsafe { rustix::thread::unshare_unsafe(rustix::thread::UnshareFlags::NEWUSER) }
}

/// Blocks `signals` and gives a descriptor that reads them.
pub fn signal_fd(signals: &[i32]) -> Result<OwnedFd> {
    // SAFETY: an all-zero set is valid storage, which sigemptyset then sets up.
    let mut set: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: `set` is valid for all these calls; the signal numbers are this file's callers' constants.
    let fd = unsafe {
        libc::sigemptyset(&raw mut set);
        signals.iter().for_each(|s| {
            libc::sigaddset(&raw mut set, *s);
        });
        libc::sigprocmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut());
        libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK)
    };
    check(fd.into())?;
    // SAFETY: the kernel just gave this descriptor and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Ignores a signal.
pub fn ignore_signal(signal: i32) {
    // SAFETY: SIG_IGN is a valid disposition; no handler runs.
    unsafe { libc::signal(signal, libc::SIG_IGN) };
}

/// Gives every signal its default action and unblocks all, as a fresh program expects.
pub fn reset_signals() {
    // The kernel's `struct sigaction`, all zero: the default action. The C library's call refuses its own signals, which
    // may be ignored all the same.
    let default = [0_u64; 8];
    // SAFETY: `default` is larger than the structure; SIG_DFL is a valid disposition; the kernel refuses the numbers that
    // cannot be set. The set is valid storage, and the calls only change signal state.
    unsafe {
        for signal in 1..=64 {
            libc::syscall(libc::SYS_rt_sigaction, signal, &raw const default, null::<u8>(), 8);
        }
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const set, std::ptr::null_mut());
    }
}

/// Marks every descriptor from 3 on as closed by exec.
pub fn close_all_on_exec() -> Result<()> {
    // SAFETY: only flags of descriptors change, nothing is closed here.
    let result = unsafe { libc::syscall(libc::SYS_close_range, 3, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    if check(result).is_ok() {
        return Ok(());
    }
    // Kernels before 5.11: one by one, up to the limit of open files.
    let highest = rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap_or(1 << 20);
    for fd in 3..i32::try_from(highest.min(1 << 20)).unwrap_or(1 << 20) {
        // SAFETY: setting a flag on a number that may not be open; the kernel answers EBADF then.
        unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) };
    }
    Ok(())
}

/// Closes every descriptor from 3 on but the ones in `keep`. Only for a process that owns no value over them any more.
pub fn close_all_but(keep: &[i32]) {
    let mut keep: Vec<u32> = keep.iter().filter_map(|fd| u32::try_from(*fd).ok()).collect();
    keep.sort_unstable();
    let mut first = 3_u32;
    for edge in keep.into_iter().chain([u32::MAX]) {
        if edge > first {
            // SAFETY: the caller gave up every other descriptor of this process.
            unsafe { libc::syscall(libc::SYS_close_range, first, edge - 1, 0) };
        }
        first = edge.saturating_add(1).max(first);
    }
}

/// Takes over descriptors that came with the start of this process. Nothing when one is not open.
pub fn inherited<const N: usize>(numbers: [i32; N]) -> Option<[OwnedFd; N]> {
    // SAFETY: asking for a descriptor's flags changes nothing.
    let open = numbers.iter().all(|fd| unsafe { libc::fcntl(*fd, libc::F_GETFD) } >= 0);
    // SAFETY: they are open, and nothing in this fresh process has taken them over before.
    open.then(|| numbers.map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }))
}

/// Puts copies of `fds` to the numbers from `first` on, for a program that is about to be executed. Whatever had these
/// numbers is closed: only for a process that owns no value over them any more.
pub fn hand_down(fds: &[i32], first: i32) -> Result<()> {
    let mut high = Vec::new();
    for fd in fds {
        // SAFETY: makes a new descriptor, above all numbers that are given below.
        high.push(check(unsafe { libc::fcntl(*fd, libc::F_DUPFD_CLOEXEC, 200) }.into())?);
    }
    for (fd, number) in high.into_iter().zip(first..) {
        // SAFETY: the caller gave up what had this number; the copy stays open across exec.
        check(unsafe { libc::dup2(fd as i32, number) }.into())?;
    }
    Ok(())
}

/// Installs a seccomp filter: whole 8-byte `sock_filter`s in host byte order.
pub fn set_seccomp(filter: &[u8]) -> Result<()> {
    let length = u16::try_from(filter.len() / 8).map_err(|_| Errno::INVAL)?;
    if !filter.len().is_multiple_of(8) || length == 0 {
        return Err(Errno::INVAL);
    }
    // Copied into the kernel's type for the sake of alignment.
    let mut code: Vec<libc::sock_filter> = filter
        .chunks_exact(8)
        .map(|c| libc::sock_filter {
            code: u16::from_ne_bytes([c[0], c[1]]),
            jt: c[2],
            jf: c[3],
            k: u32::from_ne_bytes([c[4], c[5], c[6], c[7]]),
        })
        .collect();
    let program = libc::sock_fprog { len: length, filter: code.as_mut_ptr() };
    // SAFETY: `program` and the code it points at live across the call; the kernel checks the code.
    check(unsafe {
        libc::syscall(libc::SYS_seccomp, 1 /* SET_MODE_FILTER */, 0, &raw const program)
    })?;
    Ok(())
}

/// The kernel's `struct mount_attr`.
#[repr(C)]
#[derive(Default)]
struct MountAttr {
    set: u64,
    clear: u64,
    propagation: u64,
    userns: u64,
}

/// Sets attributes (`MOUNT_ATTR_*`) on the mount that `fd` is the root of, and on all below when `recursive`.
pub fn mount_setattr(fd: BorrowedFd<'_>, recursive: bool, set: u64) -> Result<()> {
    const AT_RECURSIVE: i32 = 0x8000;
    let attr = MountAttr { set, ..MountAttr::default() };
    let flags = libc::AT_EMPTY_PATH | if recursive { AT_RECURSIVE } else { 0 };
    // SAFETY: the path is an empty C string, `attr` lives across the call and its size is passed.
    check(unsafe {
        libc::syscall(442, fd.as_raw_fd(), c"".as_ptr(), flags, &raw const attr, size_of::<MountAttr>())
    })?;
    Ok(())
}

/// Sets how the mount that `fd` is the root of spreads (`MS_SHARED`, …).
pub fn mount_propagation(fd: BorrowedFd<'_>, propagation: u64) -> Result<()> {
    let attr = MountAttr { propagation, ..MountAttr::default() };
    // SAFETY: the path is an empty C string, `attr` lives across the call and its size is passed.
    check(unsafe {
        let flags = libc::AT_EMPTY_PATH;
        libc::syscall(442, fd.as_raw_fd(), c"".as_ptr(), flags, &raw const attr, size_of::<MountAttr>())
    })?;
    Ok(())
}

/// Shows the owners of the files in the mount that `fd` is the root of through the maps of a user namespace.
pub fn mount_idmap(fd: BorrowedFd<'_>, user_namespace: BorrowedFd<'_>) -> Result<()> {
    const MOUNT_ATTR_IDMAP: u64 = 0x10_0000;
    let attr = MountAttr {
        set: MOUNT_ATTR_IDMAP,
        userns: user_namespace.as_raw_fd() as u64,
        ..MountAttr::default()
    };
    // SAFETY: the path is an empty C string, `attr` lives across the call and its size is passed.
    check(unsafe {
        let flags = libc::AT_EMPTY_PATH;
        libc::syscall(442, fd.as_raw_fd(), c"".as_ptr(), flags, &raw const attr, size_of::<MountAttr>())
    })?;
    Ok(())
}

/// Makes files as this user and group from now on. Takes the capabilities for files from the effective set.
pub fn set_file_ids(id: u32) {
    // SAFETY: only changes this thread's ids for files; the group first, while that is allowed. Neither call can tell of
    // a failure.
    unsafe {
        libc::setfsgid(id);
        libc::setfsuid(id);
    }
}

/// Enters a user namespace. The process must have one thread.
pub fn enter_user_namespace(namespace: BorrowedFd<'_>) -> Result<()> {
    // SAFETY: changes credentials and nothing else.
    check(unsafe { libc::syscall(libc::SYS_setns, namespace.as_raw_fd(), libc::CLONE_NEWUSER) })?;
    Ok(())
}

/// Leaves the session keyring of whoever started us for a new, empty one. A kernel without keys is fine.
pub fn fresh_keyring() {
    // SAFETY: KEYCTL_JOIN_SESSION_KEYRING (1) with a null name makes an anonymous keyring.
    unsafe { libc::syscall(libc::SYS_keyctl, 1, null::<u8>()) };
}

/// Replaces the process. Returns only the reason why not.
pub fn exec(path: &CStr, argv: &[CString], env: &[CString]) -> Errno {
    let pointers = |list: &[CString]| -> Vec<*const libc::c_char> {
        list.iter().map(|s| s.as_ptr()).chain([null()]).collect()
    };
    let (argv, env) = (pointers(argv), pointers(env));
    // SAFETY: all strings end in NUL and both lists in a null pointer; they live until the process is replaced.
    unsafe { libc::execve(path.as_ptr(), argv.as_ptr(), env.as_ptr()) };
    last_error()
}

/// Ends the process at once, without running anything that a copied process must not run twice.
pub fn exit(code: i32) -> ! {
    // SAFETY: ends the process.
    unsafe { libc::_exit(code) }
}

/// What a program on a cgroup of version 2 is asked about.
#[derive(Debug, Clone, Copy)]
pub enum Attachment {
    /// The use of a device.
    Devices,
    /// A connection over IPv4.
    Connect4,
    /// A connection over IPv6.
    Connect6,
    /// A datagram over IPv4.
    Send4,
    /// A datagram over IPv6.
    Send6,
    /// A packet that is sent.
    Packets,
}

impl Attachment {
    /// The kernel's numbers: kind of program, place.
    fn numbers(self) -> (u32, u32) {
        match self {
            Self::Packets => (8, 1),
            Self::Devices => (15, 6),
            Self::Connect4 => (18, 10),
            Self::Connect6 => (18, 11),
            Self::Send4 => (18, 14),
            Self::Send6 => (18, 15),
        }
    }
}

/// Attaches a program to a cgroup of version 2. One for devices is asked beside others, which a runtime may add; any other
/// takes the place of the one before. The program goes with the cgroup.
pub fn attach_program(cgroup: BorrowedFd<'_>, attachment: Attachment, code: &[u64]) -> Result<()> {
    const PROG_LOAD: i32 = 5;
    const PROG_ATTACH: i32 = 8;
    const ALLOW_MULTI: u32 = 2;
    let (kind, place) = attachment.numbers();
    #[repr(C)]
    struct Load {
        kind: u32,
        count: u32,
        code: u64,
        license: u64,
        middle: [u32; 11],
        place: u32,
        rest: [u64; 7],
    }
    #[repr(C)]
    struct Attach {
        target: u32,
        program: u32,
        kind: u32,
        flags: u32,
        rest: [u64; 14],
    }
    let load = Load {
        kind,
        count: u32::try_from(code.len()).map_err(|_| Errno::INVAL)?,
        code: code.as_ptr() as u64,
        license: c"Apache-2.0".as_ptr() as u64,
        middle: [0; 11],
        place,
        rest: [0; 7],
    };
    // SAFETY: the attribute block, the code and the license string live across the call; sizes are passed.
    let fd = check(unsafe { libc::syscall(libc::SYS_bpf, PROG_LOAD, &raw const load, size_of::<Load>()) })?;
    // SAFETY: the kernel just gave this descriptor and nobody else knows it.
    let program = unsafe { OwnedFd::from_raw_fd(i32::try_from(fd).map_err(|_| Errno::INVAL)?) };
    let attach = Attach {
        target: cgroup.as_raw_fd() as u32,
        program: program.as_raw_fd() as u32,
        kind: place,
        flags: if matches!(attachment, Attachment::Devices) { ALLOW_MULTI } else { 0 },
        rest: [0; 14],
    };
    // SAFETY: as above; the cgroup keeps the program after both descriptors are closed.
    check(unsafe { libc::syscall(libc::SYS_bpf, PROG_ATTACH, &raw const attach, size_of::<Attach>()) })?;
    Ok(())
}

/// The signals that wait at a descriptor of [`signal_fd`].
pub fn read_signals(fd: &OwnedFd) -> Vec<i32> {
    let mut found = Vec::new();
    let mut info = [0_u8; size_of::<libc::signalfd_siginfo>()];
    while let Ok(n) = rustix::io::read(fd, &mut info[..]) {
        if n != info.len() {
            break;
        }
        // The structure's first member is the number.
        found.extend(i32::try_from(u32::from_ne_bytes([info[0], info[1], info[2], info[3]])));
    }
    found
}

/// Sends any signal, real-time ones too. A process that is gone is no error.
pub fn kill(pid: Pid, signal: i32) {
    // SAFETY: only sends a signal.
    unsafe { libc::kill(pid.as_raw_nonzero().get(), signal) };
}
