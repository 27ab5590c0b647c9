//! The system calls that a container may make, whatever their arguments, by what they are for.
//!
//! The set is Docker's default (the profile of May 2026) for Docker's default capabilities. Calls that exist only on
//! x86-64 stand apart. Never here: calls whose arguments decide (`seccomp` has those).

use libc as c;

#[cfg(target_arch = "x86_64")]
const IO_PGETEVENTS: i64 = 333;
#[cfg(not(target_arch = "x86_64"))]
const IO_PGETEVENTS: i64 = 292;
// Newer than the C library's table; numbers from 424 on are the same on every architecture.
const CACHESTAT: i64 = 451;
const FCHMODAT2: i64 = 452;
const MAP_SHADOW_STACK: i64 = 453;
const FUTEX_WAKE: i64 = 454;
const FUTEX_WAIT: i64 = 455;
const FUTEX_REQUEUE: i64 = 456;
const STATMOUNT: i64 = 457;
const LISTMOUNT: i64 = 458;
const MSEAL: i64 = 462;
const SETXATTRAT: i64 = 463;
const GETXATTRAT: i64 = 464;
const LISTXATTRAT: i64 = 465;
const REMOVEXATTRAT: i64 = 466;

/// The newest call that this list knows of. What a later kernel adds is answered as by a kernel that lacks it.
pub const NEWEST: i64 = REMOVEXATTRAT;

/// Their numbers on this architecture.
pub fn allowed() -> impl Iterator<Item = i64> {
    let groups = [FILES, FILE_FACTS, MEMORY, PROCESSES, IDENTITY, SCHEDULING, TIME, SIGNALS, EVENTS, IPC, NETWORK, REST];
    groups.into_iter().chain([OLD]).flatten().copied()
}

const FILES: &[i64] = &[
    c::SYS_read, c::SYS_write, c::SYS_readv, c::SYS_writev, c::SYS_pread64, c::SYS_pwrite64, c::SYS_preadv,
    c::SYS_pwritev, c::SYS_preadv2, c::SYS_pwritev2, c::SYS_openat, c::SYS_openat2, c::SYS_close, c::SYS_close_range,
    c::SYS_lseek, c::SYS_dup, c::SYS_dup3, c::SYS_fcntl, c::SYS_ioctl, c::SYS_flock, c::SYS_fsync, c::SYS_fdatasync,
    c::SYS_sync, c::SYS_syncfs, c::SYS_truncate, c::SYS_ftruncate, c::SYS_fallocate,
    c::SYS_fadvise64, c::SYS_readahead, c::SYS_sendfile, c::SYS_splice, c::SYS_tee, c::SYS_vmsplice,
    c::SYS_copy_file_range, c::SYS_getdents64, c::SYS_getcwd, c::SYS_chdir, c::SYS_fchdir, c::SYS_chroot,
    c::SYS_mkdirat, c::SYS_mknodat, c::SYS_unlinkat, c::SYS_renameat2, c::SYS_linkat,
    c::SYS_symlinkat, c::SYS_readlinkat, c::SYS_pipe2, c::SYS_memfd_create, c::SYS_name_to_handle_at,
    c::SYS_io_setup, c::SYS_io_destroy, c::SYS_io_submit, c::SYS_io_cancel, c::SYS_io_getevents,
    IO_PGETEVENTS, CACHESTAT,
];

const FILE_FACTS: &[i64] = &[
    c::SYS_fstat, c::SYS_newfstatat, c::SYS_statx, c::SYS_statfs, c::SYS_fstatfs, c::SYS_faccessat, c::SYS_faccessat2,
    c::SYS_fchmod, c::SYS_fchmodat, FCHMODAT2, c::SYS_fchown, c::SYS_fchownat, c::SYS_umask, c::SYS_utimensat,
    c::SYS_setxattr, c::SYS_lsetxattr, c::SYS_fsetxattr, c::SYS_getxattr, c::SYS_lgetxattr, c::SYS_fgetxattr,
    c::SYS_listxattr, c::SYS_llistxattr, c::SYS_flistxattr, c::SYS_removexattr, c::SYS_lremovexattr,
    c::SYS_fremovexattr, c::SYS_inotify_init1, c::SYS_inotify_add_watch, c::SYS_inotify_rm_watch, c::SYS_fanotify_mark,
    SETXATTRAT, GETXATTRAT, LISTXATTRAT, REMOVEXATTRAT, STATMOUNT, LISTMOUNT,
];

const MEMORY: &[i64] = &[
    c::SYS_brk, c::SYS_mmap, c::SYS_munmap, c::SYS_mremap, c::SYS_mprotect, c::SYS_madvise, c::SYS_msync,
    c::SYS_mincore, c::SYS_mlock, c::SYS_mlock2, c::SYS_munlock, c::SYS_mlockall, c::SYS_munlockall,
    c::SYS_membarrier, c::SYS_remap_file_pages, c::SYS_memfd_secret, c::SYS_pkey_alloc, c::SYS_pkey_free,
    c::SYS_pkey_mprotect, c::SYS_process_mrelease, MAP_SHADOW_STACK, MSEAL,
];

const PROCESSES: &[i64] = &[
    c::SYS_execve, c::SYS_execveat, c::SYS_exit, c::SYS_exit_group, c::SYS_wait4, c::SYS_waitid, c::SYS_getpid,
    c::SYS_getppid, c::SYS_gettid, c::SYS_getpgid, c::SYS_setpgid, c::SYS_getsid, c::SYS_setsid, c::SYS_prctl,
    c::SYS_ptrace, c::SYS_process_vm_readv, c::SYS_process_vm_writev, c::SYS_pidfd_open, c::SYS_pidfd_send_signal,
    c::SYS_set_tid_address, c::SYS_set_robust_list, c::SYS_get_robust_list, c::SYS_rseq,
    c::SYS_seccomp, c::SYS_landlock_create_ruleset, c::SYS_landlock_add_rule, c::SYS_landlock_restrict_self,
    c::SYS_prlimit64, c::SYS_getrusage,
];

const IDENTITY: &[i64] = &[
    c::SYS_getuid, c::SYS_geteuid, c::SYS_getgid, c::SYS_getegid, c::SYS_getresuid, c::SYS_getresgid, c::SYS_getgroups,
    c::SYS_setuid, c::SYS_setgid, c::SYS_setreuid, c::SYS_setregid, c::SYS_setresuid, c::SYS_setresgid,
    c::SYS_setgroups, c::SYS_setfsuid, c::SYS_setfsgid, c::SYS_capget, c::SYS_capset,
];

const SCHEDULING: &[i64] = &[
    c::SYS_sched_yield, c::SYS_sched_getaffinity, c::SYS_sched_setaffinity, c::SYS_sched_getattr,
    c::SYS_sched_setattr, c::SYS_sched_getparam, c::SYS_sched_setparam, c::SYS_sched_getscheduler,
    c::SYS_sched_setscheduler, c::SYS_sched_get_priority_max, c::SYS_sched_get_priority_min,
    c::SYS_sched_rr_get_interval, c::SYS_getpriority, c::SYS_setpriority, c::SYS_ioprio_get, c::SYS_ioprio_set,
    c::SYS_getcpu,
];

const TIME: &[i64] = &[
    c::SYS_clock_gettime, c::SYS_clock_getres, c::SYS_clock_nanosleep, c::SYS_nanosleep, c::SYS_gettimeofday,
    c::SYS_times, c::SYS_adjtimex, c::SYS_clock_adjtime, c::SYS_getitimer, c::SYS_setitimer, c::SYS_timer_create,
    c::SYS_timer_delete, c::SYS_timer_getoverrun, c::SYS_timer_gettime, c::SYS_timer_settime, c::SYS_timerfd_create,
    c::SYS_timerfd_gettime, c::SYS_timerfd_settime,
];

const SIGNALS: &[i64] = &[
    c::SYS_kill, c::SYS_tkill, c::SYS_tgkill, c::SYS_rt_sigaction, c::SYS_rt_sigpending, c::SYS_rt_sigprocmask,
    c::SYS_rt_sigqueueinfo, c::SYS_rt_sigreturn, c::SYS_rt_sigsuspend, c::SYS_rt_sigtimedwait,
    c::SYS_rt_tgsigqueueinfo, c::SYS_sigaltstack, c::SYS_signalfd4, c::SYS_restart_syscall,
];

const EVENTS: &[i64] = &[
    c::SYS_epoll_create1, c::SYS_epoll_ctl, c::SYS_epoll_pwait, c::SYS_epoll_pwait2, c::SYS_ppoll, c::SYS_pselect6,
    c::SYS_eventfd2, c::SYS_futex, c::SYS_futex_waitv, FUTEX_WAKE, FUTEX_WAIT, FUTEX_REQUEUE,
];

const IPC: &[i64] = &[
    c::SYS_mq_open, c::SYS_mq_unlink, c::SYS_mq_notify, c::SYS_mq_getsetattr, c::SYS_mq_timedreceive,
    c::SYS_mq_timedsend, c::SYS_msgget, c::SYS_msgctl, c::SYS_msgrcv, c::SYS_msgsnd, c::SYS_semget, c::SYS_semctl,
    c::SYS_semop, c::SYS_semtimedop, c::SYS_shmget, c::SYS_shmctl, c::SYS_shmat, c::SYS_shmdt,
];

const NETWORK: &[i64] = &[
    c::SYS_socketpair, c::SYS_bind, c::SYS_listen, c::SYS_accept, c::SYS_accept4, c::SYS_connect, c::SYS_shutdown,
    c::SYS_getsockname, c::SYS_getpeername, c::SYS_getsockopt, c::SYS_setsockopt, c::SYS_sendto, c::SYS_recvfrom,
    c::SYS_sendmsg, c::SYS_recvmsg, c::SYS_sendmmsg, c::SYS_recvmmsg,
];

const REST: &[i64] = &[c::SYS_uname, c::SYS_sysinfo, c::SYS_getrandom];

/// Calls that newer architectures left out, because another of the lists above does the same.
#[cfg(target_arch = "x86_64")]
const OLD: &[i64] = &[
    c::SYS_open, c::SYS_creat, c::SYS_access, c::SYS_alarm, c::SYS_arch_prctl, c::SYS_chmod, c::SYS_chown,
    c::SYS_dup2, c::SYS_epoll_create, c::SYS_epoll_wait, c::SYS_epoll_ctl_old, c::SYS_epoll_wait_old, c::SYS_eventfd,
    c::SYS_fork, c::SYS_futimesat, c::SYS_get_thread_area, c::SYS_getdents, c::SYS_getpgrp, c::SYS_inotify_init,
    c::SYS_lchown, c::SYS_link, c::SYS_lstat, c::SYS_mkdir, c::SYS_mknod, c::SYS_modify_ldt, c::SYS_pause, c::SYS_pipe,
    c::SYS_poll, c::SYS_readlink, c::SYS_rename, c::SYS_rmdir, c::SYS_select, c::SYS_set_thread_area, c::SYS_signalfd,
    c::SYS_stat, c::SYS_symlink, c::SYS_time, c::SYS_unlink, c::SYS_renameat,
    c::SYS_getrlimit, c::SYS_setrlimit, c::SYS_sync_file_range, c::SYS_utime, c::SYS_utimes, c::SYS_vfork,
    URETPROBE,
];
#[cfg(target_arch = "x86_64")]
const URETPROBE: i64 = 335;
/// renameat, sync_file_range, getrlimit and setrlimit by number: not every C library's table has them.
#[cfg(not(target_arch = "x86_64"))]
const OLD: &[i64] = &[38, 84, 163, 164];
