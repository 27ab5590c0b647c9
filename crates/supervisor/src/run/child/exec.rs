//! The job's program: its environment completed, looked up in its own PATH, executed.
//!
//! Everything is prepared before the last limits fall into place. Never here: who runs it.

use super::user::Identity;
use crate::run::fail::{Fail, name};
use crate::run::sys;
use batchyard_supervisor::Container;
use rustix::io::Errno;
use std::ffi::CString;

const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A program ready to run.
pub struct Program {
    shown: String,
    searched: bool,
    paths: Vec<CString>,
    argv: Vec<CString>,
    env: Vec<CString>,
}

impl Program {
    /// Completes the environment and lists where the program may be.
    pub fn prepare(c: &Container, who: &Identity) -> Result<Self, Fail> {
        Self::of(c.argv.clone(), environment(c, who))
    }

    /// Lists where the program may be, by the PATH of its complete environment.
    pub fn of(argv: Vec<String>, env: Vec<String>) -> Result<Self, Fail> {
        let shown = argv.first().filter(|a| !a.is_empty()).cloned();
        let shown = shown.ok_or_else(|| Fail::daemon("No command specified"))?;
        let path = value(&env, "PATH").unwrap_or(DEFAULT_PATH).to_string();
        let searched = !shown.contains('/');
        let paths = if searched {
            let folder = |f: &str| if f.is_empty() { "." } else { f }.to_string();
            path.split(':').map(|f| format!("{}/{shown}", folder(f))).collect()
        } else {
            vec![shown.clone()]
        };
        Ok(Self { searched, paths: strings(paths)?, argv: strings(argv)?, env: strings(env)?, shown })
    }

    /// Becomes the program, or says why not.
    pub fn exec(&self) -> Fail {
        let mut worst = None;
        for path in &self.paths {
            match sys::exec(path, &self.argv, &self.env) {
                Errno::NOENT | Errno::NOTDIR if self.searched => {}
                Errno::ACCESS if self.searched => worst = Some(Errno::ACCESS),
                e => {
                    worst = Some(e);
                    break;
                }
            }
        }
        let what = match worst {
            None => "executable file not found in $PATH".to_string(),
            Some(Errno::NOENT) => format!("stat {}: no such file or directory", self.shown),
            Some(e) => name(e),
        };
        Fail::runtime(format_args!("exec: \"{}\": {what}", self.shown))
    }
}

/// The container's variables and those that every program finds.
pub fn environment(c: &Container, who: &Identity) -> Vec<String> {
    let mut env = c.env.clone();
    let mut missing = |name: &str, text: &dyn Fn() -> String| {
        if value(&env, name).is_none() {
            env.push(format!("{name}={}", text()));
        }
    };
    missing("PATH", &|| DEFAULT_PATH.to_string());
    missing("HOSTNAME", &|| rustix::system::uname().nodename().to_string_lossy().into_owned());
    missing("HOME", &|| who.home.clone());
    env
}

fn value<'a>(env: &'a [String], name: &str) -> Option<&'a str> {
    env.iter().rev().find_map(|e| e.strip_prefix(name)?.strip_prefix('='))
}

fn strings(list: Vec<String>) -> Result<Vec<CString>, Fail> {
    list.into_iter()
        .map(|s| CString::new(s).map_err(|_| Fail::runtime("command or environment holds a NUL byte")))
        .collect()
}
