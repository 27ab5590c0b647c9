//! The system calls of quotas and loop devices, which rustix lacks.
//!
//! Thin, checked wrappers over `ioctl` and `quotactl_fd`; every structure lives across its call. Never here: decisions.

use rustix::fd::{AsRawFd, OwnedFd};
use rustix::io::Errno;

type Result<T> = std::result::Result<T, Errno>;

fn check(result: i64) -> Result<i64> {
    if result >= 0 {
        Ok(result)
    } else {
        Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::INVAL))
    }
}

/// Gives the process a mount namespace of its own.
pub fn own_mounts() -> Result<()> {
    // SAFETY: NEWNS changes no memory and no descriptor table; the program has one thread as yet.
    unsafe { rustix::thread::unshare_unsafe(rustix::thread::UnshareFlags::NEWNS) }
}

/// The kernel's `struct fsxattr`.
#[repr(C)]
#[derive(Default)]
struct FsAttributes {
    flags: u32,
    extent_size: u32,
    extents: u32,
    project: u32,
    cow_extent_size: u32,
    pad: [u8; 8],
}

/// Puts an empty folder, and what will be made in it, under a project.
pub fn set_project(folder: &OwnedFd, id: u32) -> Result<()> {
    const GET: u64 = 0x801c_581f;
    const SET: u64 = 0x401c_5820;
    const INHERIT: u32 = 0x200;
    let mut attributes = FsAttributes::default();
    // SAFETY: the kernel fills a `struct fsxattr`, whose size is part of the request's number.
    check(unsafe { libc::ioctl(folder.as_raw_fd(), GET as _, &raw mut attributes) }.into())?;
    attributes.project = id;
    attributes.flags |= INHERIT;
    // SAFETY: the kernel reads the same structure.
    check(unsafe { libc::ioctl(folder.as_raw_fd(), SET as _, &raw const attributes) }.into())?;
    Ok(())
}

/// The kernel's `struct if_dqblk`. Limits are in blocks of 1 KiB.
#[repr(C)]
#[derive(Default)]
struct Quota {
    hard_blocks: u64,
    soft_blocks: u64,
    used_bytes: u64,
    hard_inodes: u64,
    soft_inodes: u64,
    used_inodes: u64,
    block_time: u64,
    inode_time: u64,
    valid: u32,
}

const SYS_QUOTACTL_FD: i64 = 443;
const PROJECT: u32 = 2;
const GET_QUOTA: u32 = 0x80_0007;
const SET_QUOTA: u32 = 0x80_0008;
const LIMITS: u32 = 1 | 4;

fn quota(fd: &OwnedFd, command: u32, id: u32, quota: &mut Quota) -> Result<()> {
    let command = (command << 8) | PROJECT;
    // SAFETY: the kernel reads or fills a `struct if_dqblk`, which lives across the call.
    check(unsafe { libc::syscall(SYS_QUOTACTL_FD, fd.as_raw_fd(), command, id, std::ptr::from_mut(quota)) })?;
    Ok(())
}

/// Limits a project on the file system of `fd`; 0: no more.
pub fn set_project_limit(fd: &OwnedFd, id: u32, bytes: u64) -> Result<()> {
    quota(fd, SET_QUOTA, id, &mut Quota { hard_blocks: bytes / 1024, valid: LIMITS, ..Quota::default() })
}

/// Bytes that a project has on the file system of `fd`.
pub fn project_usage(fd: &OwnedFd, id: u32) -> Result<u64> {
    let mut found = Quota::default();
    quota(fd, GET_QUOTA, id, &mut found)?;
    Ok(found.used_bytes)
}

/// The kernel's `struct loop_config` with its `struct loop_info64`.
#[repr(C)]
struct LoopConfig {
    fd: u32,
    block_size: u32,
    places: [u64; 5],
    number: u32,
    encryption: [u32; 2],
    flags: u32,
    names: [u8; 64 + 64 + 32],
    init: [u64; 2],
    reserved: [u64; 8],
}

const AUTO_CLEAR: u32 = 4;
const DIRECT_IO: u32 = 16;

/// The number of a loop device that nobody has.
pub fn free_loop(control: &OwnedFd) -> Result<i64> {
    const GET_FREE: u64 = 0x4c82;
    // SAFETY: the request has no argument.
    check(unsafe { libc::ioctl(control.as_raw_fd(), GET_FREE as _) }.into())
}

/// Makes the device be the file, past the host's page cache where the file system can, until nobody has it any more.
pub fn configure_loop(device: &OwnedFd, file: &OwnedFd) -> Result<()> {
    match configure(device, file, AUTO_CLEAR | DIRECT_IO) {
        Err(Errno::INVAL) => configure(device, file, AUTO_CLEAR),
        result => result,
    }
}

fn configure(device: &OwnedFd, file: &OwnedFd, flags: u32) -> Result<()> {
    const CONFIGURE: u64 = 0x4c0a;
    let config = LoopConfig {
        fd: u32::try_from(file.as_raw_fd()).map_err(|_| Errno::BADF)?,
        block_size: 0,
        places: [0; 5],
        number: 0,
        encryption: [0; 2],
        flags,
        names: [0; 160],
        init: [0; 2],
        reserved: [0; 8],
    };
    // SAFETY: the kernel reads a `struct loop_config`, which has this layout and lives across the call.
    check(unsafe { libc::ioctl(device.as_raw_fd(), CONFIGURE as _, &raw const config) }.into())?;
    Ok(())
}
