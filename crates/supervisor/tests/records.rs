//! The records and the log's layout: what is written is read back, and nothing that is read brings a program down.

#![allow(clippy::unwrap_used, reason = "a panic is the report")]

use batchyard_supervisor::format::{FormatError, from_hex, to_hex};
use batchyard_supervisor::sink::{Sink, Syslog, SyslogFormat};
use batchyard_supervisor::{
    Container, ContainerExit, Device, Disk, DiskKind, Driver, Exit, IdMap, Mount, MountKind, OwnFile,
    Rootless, Started, Task, Ulimit, Why, log_file,
};

/// A small generator of numbers, the same in every run.
struct Random(u64);

impl Random {
    fn next(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % below
    }

    fn text(&mut self) -> String {
        const PIECES: [&str; 16] = [
            "a",
            " ",
            "\n",
            "\r",
            "\\",
            "\\n",
            "\t",
            "%",
            "%09",
            "=",
            ":",
            "é",
            "end\n",
            "container x",
            "\u{2028}",
            "1",
        ];
        (0..self.next(8)).map(|_| PIECES[usize::try_from(self.next(16)).unwrap()]).collect()
    }

    fn maybe<T>(&mut self, value: impl FnOnce(&mut Self) -> T) -> Option<T> {
        (self.next(2) == 1).then(|| value(self))
    }

    fn list<T>(&mut self, mut value: impl FnMut(&mut Self) -> T) -> Vec<T> {
        (0..self.next(4)).map(|_| value(self)).collect()
    }

    fn mount(&mut self) -> Mount {
        let kind = match self.next(4) {
            0 => MountKind::Bind(self.text()),
            1 => MountKind::BindWithin(self.text(), self.text()),
            2 => {
                let options = self.list(|_| "mode=700".to_string());
                MountKind::Tmpfs(self.next(u64::MAX), options)
            }
            _ => MountKind::Mask,
        };
        Mount { kind, target: self.text(), readonly: self.next(2) == 1 }
    }

    fn container(&mut self) -> Container {
        Container {
            name: self.text(),
            essential: self.next(2) == 1,
            argv: self.list(Self::text),
            env: self.list(Self::text),
            cwd: self.text(),
            user: self.text(),
            layers: self.list(Self::text),
            scratch: self.text(),
            disk: self.maybe(Self::disk),
            readonly_root: self.next(2) == 1,
            files: self.list(|r| OwnFile { path: r.text(), text: r.text() }),
            mounts: self.list(Self::mount),
            memory_bytes: self.maybe(|r| r.next(u64::MAX)),
            swap_bytes: self.maybe(|r| r.next(u64::MAX)),
            swappiness: self.maybe(|r| u32::try_from(r.next(101)).unwrap()),
            cpu_shares: self.next(u64::MAX),
            cpu_quota_milli: self.maybe(|r| r.next(u64::MAX)),
            pids_max: self.maybe(|r| r.next(u64::MAX)),
            privileged: self.next(2) == 1,
            capabilities: self.next(u64::MAX),
            seccomp: self.list(|r| u8::try_from(r.next(256)).unwrap()),
            devices: self.list(Self::device),
            ulimits: self.list(|r| Ulimit { name: "nofile".into(), soft: r.next(u64::MAX), hard: u64::MAX }),
            shm_bytes: self.next(u64::MAX),
            init: self.next(2) == 1,
            stop_signal: 15,
            log: self.text(),
            sink: self.sink(),
            first_line: self.maybe(Self::text),
            log_cap: self.next(u64::MAX),
            disk_floor: self.next(u64::MAX),
        }
    }

    fn sink(&mut self) -> Sink {
        match self.next(3) {
            0 => Sink::Own,
            1 => Sink::JsonFile { max_bytes: self.next(u64::MAX), files: 3 },
            _ => {
                let format = SyslogFormat::NAMES[usize::try_from(self.next(4)).unwrap()].1;
                let (address, tag) = (self.text(), self.text());
                Sink::Syslog(Syslog { address, facility: 23, format, tag })
            }
        }
    }

    fn disk(&mut self) -> Disk {
        let kind = match self.next(2) {
            0 => DiskKind::Quota(self.next(1 << 32) as u32),
            _ => DiskKind::Image(self.text()),
        };
        Disk { bytes: self.next(u64::MAX), folder: self.text(), kind }
    }

    fn device(&mut self) -> Device {
        Device {
            source: self.text(),
            target: self.text(),
            read: self.next(2) == 1,
            write: self.next(2) == 1,
            mknod: self.next(2) == 1,
        }
    }

    fn task(&mut self) -> Task {
        Task {
            task_id: format!("x{}", self.text()),
            job_id: self.text(),
            attempt: 3,
            cgroup: self.text(),
            timeout_s: self.maybe(|r| r.next(u64::MAX)),
            stop_grace_s: self.next(u64::MAX),
            wake: self.maybe(Self::text),
            driver: [Driver::Native, Driver::Process, Driver::Oci(self.text())][self.next(3) as usize]
                .clone(),
            address: self.maybe(|r| (r.next(1 << 32) as u32).into()),
            hostname: self.maybe(Self::text),
            fence: self.maybe(Self::text),
            id_map: self.maybe(|r| IdMap { first: r.next(1 << 32) as u32, count: r.next(1 << 32) as u32 }),
            rootless: self.maybe(|r| Rootless { ids: r.next(1 << 32) as u32, limits: r.next(2) == 1 }),
            containers: self.list(Self::container),
        }
    }

    fn exit(&mut self) -> Exit {
        let why = [Why::Exit, Why::Timeout, Why::Stopped, Why::StartFailed];
        Exit {
            why: why[usize::try_from(self.next(4)).unwrap()],
            text: self.maybe(Self::text),
            started_ms: self.maybe(|r| i64::try_from(r.next(1 << 62)).unwrap()),
            stopped_ms: -1,
            containers: self.list(|r| ContainerExit {
                name: r.text(),
                code: r.maybe(|r| i32::try_from(r.next(1 << 20)).unwrap()),
                oom: r.next(2) == 1,
                disk_full: r.maybe(|r| r.next(u64::MAX)),
                dropped_lines: r.next(u64::MAX),
                peak_memory: r.maybe(|r| r.next(u64::MAX)),
            }),
        }
    }
}

#[test]
fn what_is_written_is_read_back() {
    let mut random = Random(1);
    for _ in 0..2000 {
        let task = random.task();
        assert_eq!(Task::decode(&task.encode()), Ok(task));
        let exit = random.exit();
        assert_eq!(Exit::decode(&exit.encode()), Ok(exit));
    }
    let started = Started { at_ms: i64::MIN, pid: u32::MAX };
    assert_eq!(Started::decode(&started.encode()), Ok(started));
}

#[test]
fn a_record_that_is_cut_off_anywhere_is_refused() {
    let mut random = Random(2);
    for _ in 0..50 {
        let text = random.exit().encode();
        let whole = text.strip_suffix('\n').unwrap();
        for end in (0..whole.len()).filter(|end| whole.is_char_boundary(*end)) {
            assert!(Exit::decode(&whole[..end]).is_err(), "{}", &whole[..end]);
        }
    }
}

#[test]
fn unknown_keys_are_skipped_and_newer_versions_refused() {
    let text =
        "batchyard-exit 1\nwhy stopped\nfuture a b\nstopped_ms 5\ncontainer c\nfuture\ncode 3\n\nend\nrest";
    let exit = Exit::decode(text).unwrap();
    assert_eq!((exit.why, exit.stopped_ms, exit.containers[0].code), (Why::Stopped, 5, Some(3)));
    let newer = text.replacen('1', "2", 1);
    assert_eq!(Exit::decode(&newer), Err(FormatError::Version { found: 2 }));
    assert_eq!(Started::decode(text), Err(FormatError::NotARecord { kind: "started" }));
    // Room that was set aside and not cut off does no harm.
    assert!(Exit::decode(&format!("{text}{}", "\0".repeat(4096))).is_ok());
}

#[test]
fn hostile_text_is_refused_and_not_more() {
    let mut random = Random(3);
    for _ in 0..3000 {
        let mut bytes = random.task().encode().into_bytes();
        for _ in 0..=random.next(4) {
            let at = usize::try_from(random.next(bytes.len() as u64)).unwrap();
            bytes[at] = u8::try_from(random.next(256)).unwrap();
        }
        let text = String::from_utf8_lossy(&bytes);
        let _ = (Task::decode(&text), Exit::decode(&text), Started::decode(&text));
    }
    for value in ["0", "é0", "zz", "0g", "+1"] {
        assert!(from_hex("seccomp", value).is_err(), "{value}");
    }
    assert_eq!(from_hex("seccomp", &to_hex(&[0, 127, 255])).unwrap(), [0, 127, 255]);
}

#[test]
fn the_log_is_walked_from_both_ends() {
    let texts: [&[u8]; 4] = [b"", b"one", &[0xff, 0, 10], &[7; log_file::MAX_TEXT]];
    let mut bytes = Vec::new();
    for (i, text) in texts.iter().enumerate() {
        log_file::push_record(&mut bytes, i64::try_from(i).unwrap(), text);
    }
    let mut at = 0;
    for text in texts {
        let record = log_file::first(&bytes[at..]).unwrap();
        assert_eq!(record.text, text);
        at += record.size;
    }
    for text in texts.iter().rev() {
        let record = log_file::last(&bytes[..at]).unwrap();
        assert_eq!(record.text, *text);
        at -= record.size;
    }
    assert_eq!(at, 0);
    assert!(log_file::last(&[]).is_none());
}

#[test]
fn a_log_cut_off_or_damaged_ends_there() {
    let mut bytes = Vec::new();
    log_file::push_record(&mut bytes, 1, b"some text");
    for end in 0..bytes.len() {
        assert!(log_file::first(&bytes[..end]).is_none());
    }
    let mut random = Random(4);
    for _ in 0..5000 {
        let mut damaged = bytes.clone();
        let at = usize::try_from(random.next(bytes.len() as u64)).unwrap();
        damaged[at] = u8::try_from(random.next(256)).unwrap();
        let _ = (log_file::first(&damaged), log_file::last(&damaged));
    }
    let huge = [0xff; 64];
    assert!(log_file::first(&huge).is_none() && log_file::last(&huge).is_none());
}
