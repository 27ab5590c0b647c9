//! Starting a process with nothing around it: clone(VM|VFORK), exec, wait. One start a line on standard input, the
//! nanoseconds that it took on standard output, so that a driver can weave it between what it measures.
//!
//!   spawnlimit PROGRAM [ARGUMENT…]

use std::ffi::CString;
use std::io::{BufRead, Error, Result, Write};
use std::time::Instant;

extern "C" fn child(argv: *mut libc::c_void) -> libc::c_int {
    let argv = argv as *const *const libc::c_char;
    let environment = [c"PATH=/bin".as_ptr(), std::ptr::null()];
    // SAFETY: the parent waits inside clone (VFORK) and keeps `argv` alive; exec and exit are all that happens here.
    unsafe {
        libc::execve(*argv, argv, environment.as_ptr());
        libc::_exit(127)
    }
}

fn spawn_and_wait(argv: &[*const libc::c_char], stack: &mut [u128]) -> Result<()> {
    let top = stack.as_mut_ptr_range().end;
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
    // SAFETY: the stack is ours and aligned to 16, the child uses it only until exec, which ends VFORK.
    let pid = unsafe { libc::clone(child, top.cast(), flags, argv.as_ptr().cast_mut().cast()) };
    if pid < 0 {
        return Err(Error::last_os_error());
    }
    let mut status = 0;
    // SAFETY: `status` outlives the call.
    if unsafe { libc::waitpid(pid, &mut status, 0) } != pid || status != 0 {
        return Err(Error::other(format!("the program ended with status {status:#x}")));
    }
    Ok(())
}

fn main() -> Result<()> {
    let words: Vec<CString> =
        std::env::args().skip(1).map(|a| CString::new(a).expect("arguments hold no NUL")).collect();
    let mut argv: Vec<_> = words.iter().map(|w| w.as_ptr()).collect();
    argv.push(std::ptr::null());
    let mut stack = vec![0u128; 4096];
    for line in std::io::stdin().lock().lines() {
        line?;
        let began = Instant::now();
        spawn_and_wait(&argv, &mut stack)?;
        println!("{}", began.elapsed().as_nanos());
        std::io::stdout().flush()?;
    }
    Ok(())
}
