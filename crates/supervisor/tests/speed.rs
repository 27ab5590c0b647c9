//! What an attempt costs: `cargo test --test speed -- --ignored --nocapture`, with `SUPERVISOR=<a release build>`.
//! Beside it, in turns, a raw spawn and, where it is installed, `runc run` of the same root.

#![allow(clippy::unwrap_used, reason = "a panic is the report")]

mod common;

use batchyard_supervisor::IdMap;
use common::Lab;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

fn sample(times: &mut Vec<Duration>, what: impl FnOnce()) {
    let before = Instant::now();
    what();
    times.push(before.elapsed());
}

fn bundle(lab: &Lab) {
    let status = Command::new("runc").arg("spec").current_dir(&lab.dir).status().unwrap();
    assert!(status.success());
    let file = lab.dir.join("config.json");
    let text = std::fs::read_to_string(&file).unwrap();
    let text = text.replace("\"terminal\": true", "\"terminal\": false").replace("\"sh\"", "\"/bin/true\"");
    let text = text.replace(
        "\"devices\": [",
        "\"memory\": {\"limit\": 67108864}, \"pids\": {\"limit\": 512}, \"devices\": [",
    );
    // The host's network, as the supervisor gives.
    let network = text.find("\"type\": \"network\"").unwrap();
    let (open, close) =
        (text[..network].rfind('{').unwrap(), network + text[network..].find("},").unwrap() + 2);
    std::fs::write(file, format!("{}{}", &text[..open], &text[close..])).unwrap();
}

#[test]
#[ignore = "a measurement"]
fn noop() {
    let Some(lab) = Lab::new() else { return };
    let mut task = lab.task("");
    task.containers[0].argv = vec!["/bin/true".into()];
    let runc = Path::new("/usr/bin/runc").exists() || Path::new("/usr/sbin/runc").exists();
    if runc {
        bundle(&lab);
    }
    let rounds = 200;
    let (mut raw, mut ours, mut mapped, mut theirs) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..rounds {
        sample(&mut raw, || assert!(Command::new(lab.rootfs.join("bin/true")).status().unwrap().success()));
        for (map, times) in
            [(None, &mut ours), (Some(IdMap { first: 1_879_048_192, count: 65_536 }), &mut mapped)]
        {
            task.id_map = map;
            lab.prepare(&task);
            let mut supervisor = None;
            sample(times, || {
                let started = supervisor.insert(lab.spawn());
                while !lab.attempt.join("exit").exists() && started.try_wait().unwrap().is_none() {
                    std::thread::sleep(Duration::from_micros(100));
                }
            });
            assert!(supervisor.unwrap().wait().unwrap().success());
        }
        if runc {
            let mut command = Command::new("runc");
            command.args(["run", "-b", lab.dir.to_str().unwrap(), &lab.cgroup.replace('/', "-")]);
            command.stdin(Stdio::null());
            sample(&mut theirs, || assert!(command.status().unwrap().success()));
        }
    }
    for (name, mut times) in [
        ("raw spawn", raw),
        ("supervisor, spawn to exit record", ours),
        ("the same in a user namespace", mapped),
        ("runc run", theirs),
    ] {
        times.sort();
        if let (Some(min), Some(half), Some(most)) =
            (times.first(), times.get(times.len() / 2), times.get(times.len() * 9 / 10))
        {
            println!("{name:34} min {min:>8.2?}  p50 {half:>8.2?}  p90 {most:>8.2?}");
        }
    }
}
