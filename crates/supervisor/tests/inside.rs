//! What a job can see and do inside its container: privileges, devices, files, mounts, names.

#![allow(clippy::unwrap_used, reason = "a panic is the report")]

mod common;

use batchyard_supervisor::{Mount, MountKind, Ulimit, Why};
use common::{DOCKER_CAPS, Lab, bind};
use std::os::unix::fs::symlink;
use std::path::Path;

/// Runs a script, which must succeed, with changes to its container.
fn ok(lab: &Lab, script: &str, change: impl FnOnce(&mut batchyard_supervisor::Container)) -> String {
    let mut task = lab.task(script);
    change(&mut task.containers[0]);
    let out = lab.run(&task);
    assert_eq!(out.code(), Some(0), "{:?}\n{}\n{}", out.exit, out.text(), out.said);
    out.text()
}

fn host_bounding() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let hex = status.lines().find_map(|l| l.strip_prefix("CapBnd:")).unwrap();
    u64::from_str_radix(hex.trim(), 16).unwrap()
}

fn field<'a>(status: &'a str, name: &str) -> &'a str {
    status.lines().find_map(|l| l.strip_prefix(name)).unwrap_or_else(|| panic!("{name} in {status}")).trim()
}

#[test]
fn privileges_are_docker_s() {
    let Some(lab) = Lab::new() else { return };
    for init in [false, true] {
        let status = ok(&lab, "", |c| {
            c.init = init;
            c.argv = ["cat", "/proc/self/status"].map(String::from).into();
        });
        let caps = format!("{:016x}", DOCKER_CAPS & host_bounding());
        for set in ["CapPrm:", "CapEff:", "CapBnd:"] {
            assert_eq!(field(&status, set), caps, "{set}");
        }
        for set in ["CapInh:", "CapAmb:"] {
            assert_eq!(field(&status, set), "0000000000000000", "{set}");
        }
        assert_eq!(field(&status, "NoNewPrivs:"), "1");
        assert_eq!(field(&status, "Seccomp:"), "2");
        assert_eq!(field(&status, "SigBlk:"), "0000000000000000");
        assert_eq!(field(&status, "SigIgn:"), "0000000000000000");
        assert_eq!(field(&status, "Umask:"), "0022");
    }
    let out = lab.script("mkdir /x");
    assert!(out.text().contains("Invalid cross-device link"), "the filter is in force: {}", out.text());
}

#[test]
fn another_user_has_no_capabilities() {
    let Some(lab) = Lab::new() else { return };
    let script = "cat /proc/self/status; id; echo $HOME; echo out > /dev/stdout";
    let text = ok(&lab, script, |c| c.user = "app".into());
    for set in ["CapPrm:", "CapEff:", "CapInh:", "CapAmb:"] {
        assert_eq!(field(&text, set), "0000000000000000", "{set}");
    }
    assert!(text.contains("uid=1000(app) gid=1001(app) groups=29(audio),1001(app)"), "{text}");
    assert!(text.ends_with("/home/app\nout"), "{text}");
    let text = ok(&lab, "id", |c| c.user = "77:audio".into());
    assert_eq!(text, "uid=77 gid=29(audio) groups=29(audio)");
}

#[test]
fn privileged_has_what_the_host_has() {
    let Some(lab) = Lab::new() else { return };
    let status =
        ok(&lab, "cat /proc/self/status; echo x > /proc/sys/kernel/domainname", |c| c.privileged = true);
    assert_eq!(u64::from_str_radix(field(&status, "CapEff:"), 16).unwrap(), host_bounding());
    assert_eq!(field(&status, "NoNewPrivs:"), "0");
    assert_eq!(field(&status, "Seccomp:"), "0");
}

#[test]
fn no_descriptor_and_no_process_of_the_host_is_seen() {
    let Some(lab) = Lab::new() else { return };
    for init in [false, true] {
        let text = ok(
            &lab,
            "ls /proc/self/fd; ls -d /proc/[0-9]*; readlink /proc/1/exe; ls -l /proc/self/fd/0",
            |c| {
                c.init = init;
            },
        );
        let mut lines = text.lines();
        assert_eq!(lines.by_ref().take(4).collect::<Vec<_>>(), ["0", "1", "2", "3"], "3 is ls's own");
        assert!(text.matches("/proc/").count() <= 6, "{text}");
        assert_eq!(text.contains("/bin/busybox"), !init, "an init shows nothing of itself: {text}");
        assert!(text.ends_with("-> /dev/null"), "{text}");
    }
}

#[test]
fn the_host_s_mounts_are_gone() {
    let Some(lab) = Lab::new() else { return };
    let text = ok(&lab, "cat /proc/self/mountinfo; ls /; ls /proc/1/root/", |_| {});
    assert!(!text.contains(lab.dir.to_str().unwrap()), "{text}");
    assert!(!text.contains("/dev/vda / /") && !text.contains("oldroot"), "{text}");
    let roots = text.lines().filter(|l| l.split(' ').nth(4) == Some("/")).count();
    assert_eq!(roots, 1, "{text}");
}

#[test]
fn the_kernel_s_files_are_masked_and_closed() {
    let Some(lab) = Lab::new() else { return };
    let script = "for f in /proc/kcore /proc/keys /proc/timer_list; do [ -e $f ] && wc -c < $f; done
        ls /sys/firmware | wc -l
        for f in /proc/sys/kernel/domainname /proc/sysrq-trigger /sys/kernel/x; do echo x > $f && echo WROTE $f; done
        mount -t tmpfs none /tmp && echo MOUNTED
        mount -o remount,rw /sys && echo REMOUNTED
        echo 1 > /sys/fs/cgroup/memory/memory.limit_in_bytes && echo LIMIT; true";
    let text = ok(&lab, script, |_| {});
    assert!(text.lines().take(3).all(|l| l == "0"), "{text}");
    for bad in ["WROTE", "MOUNTED", "REMOUNTED", "LIMIT"] {
        assert!(!text.contains(bad), "{text}");
    }
}

#[test]
fn devices_are_the_harmless_ones() {
    let Some(lab) = Lab::new() else { return };
    let script = "ls /dev; echo hi > /dev/null; head -c 3 /dev/zero | wc -c; head -c 3 /dev/urandom | wc -c
        [ -w /dev/shm ] && echo shm; df -k /dev/shm | tail -1
        mknod /tmp/disk b 254 0 2>/dev/null; mknod /tmp/mem c 1 1 2>/dev/null; mknod /dev/mem c 1 1 && echo MADE
        for f in /tmp/disk /tmp/mem /dev/mem; do head -c 1 $f 2>/dev/null && echo READ $f; done; true";
    let text = ok(&lab, script, |c| c.shm_bytes = 8 << 20);
    let names = "fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero";
    assert_eq!(text.lines().take(14).collect::<Vec<_>>().join(" "), names);
    assert!(text.contains("3\n3\nshm\n") && text.contains(" 8192 "), "{text}");
    assert!(text.contains("MADE"), "a device file can be made, and is of no use: {text}");
    assert!(!text.contains("READ"), "{text}");
}

#[test]
fn a_device_that_is_bound_can_be_used() {
    let Some(lab) = Lab::new() else { return };
    let text = ok(&lab, "head -c 2 /dev/mine | wc -c; cat /proc/self/mountinfo | grep mine | wc -l", |c| {
        c.mounts = vec![bind(Path::new("/dev/zero"), "/dev/mine", false)];
    });
    assert_eq!(text, "2\n1");
}

#[test]
fn limits_are_seen_inside() {
    let Some(lab) = Lab::new() else { return };
    let text = ok(&lab, "ulimit -n; ulimit -Hn; cat /proc/self/oom_score_adj; cat /proc/self/cgroup", |c| {
        c.ulimits = vec![Ulimit { name: "nofile".into(), soft: 100, hard: 200 }];
    });
    assert!(text.starts_with("100\n200\n"), "{text}");
    assert!(!text.contains("batchyard-test"), "the cgroup is the namespace's root: {text}");
    let out = lab.script(
        "cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null; true",
    );
    assert_eq!(out.text(), (64 << 20).to_string());
    let mut task = lab.task("for i in 1 2 3 4 5 6 7 8; do sleep 5 & done; wait");
    task.containers[0].pids_max = Some(4);
    let out = lab.run(&task);
    assert!(out.text().contains("fork"), "{}", out.text());
}

#[test]
fn environment_and_folder_are_completed() {
    let Some(lab) = Lab::new() else { return };
    let text = ok(&lab, "echo $A; echo $HOME; echo $PATH; echo $HOSTNAME; hostname; pwd; touch here", |c| {
        c.cwd = "/made/for/it".into();
    });
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines[..3], ["b", "/root", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]);
    assert_eq!(lines[3], lines[4]);
    assert_eq!(lines[5], "/made/for/it");
    assert!(!lab.rootfs.join("made").exists(), "the image is not written");
    let text = ok(&lab, "exec tool", |c| {
        std::fs::create_dir(lab.rootfs.join("own")).unwrap();
        std::fs::write(lab.rootfs.join("own/tool"), "#!/bin/sh\necho found $HOME\n").unwrap();
        rustix::fs::chmod(lab.rootfs.join("own/tool"), rustix::fs::Mode::from_raw_mode(0o755)).unwrap();
        c.argv = vec!["tool".into()];
        c.env = vec!["PATH=/none:/own".into(), "HOME=/h".into()];
    });
    assert_eq!(text, "found /h");
}

#[test]
fn a_readonly_root_cannot_be_written_but_its_mounts_can() {
    let Some(lab) = Lab::new() else { return };
    let data = lab.dir.join("data");
    std::fs::create_dir(&data).unwrap();
    let text = ok(&lab, "touch /x || echo refused; touch /data/y /t/z /dev/shm/s && echo wrote", |c| {
        c.readonly_root = true;
        let tmpfs =
            Mount { kind: MountKind::Tmpfs(1 << 20, Vec::new()), target: "/t".into(), readonly: false };
        c.mounts = vec![bind(&data, "/data", false), tmpfs];
    });
    assert!(text.contains("refused") && text.contains("wrote"), "{text}");
    assert!(data.join("y").exists());
}

#[test]
fn mounts_come_in_order_and_readonly_is_so_below_too() {
    let Some(lab) = Lab::new() else { return };
    let data = lab.dir.join("data");
    let new = lab.dir.join("not/yet/there");
    std::fs::create_dir_all(data.join("sub")).unwrap();
    std::fs::write(lab.dir.join("file"), "text").unwrap();
    std::fs::write(lab.rootfs.join("etc/secret"), "secret").unwrap();
    std::fs::create_dir(lab.rootfs.join("private")).unwrap();
    std::fs::write(lab.rootfs.join("private/key"), "secret").unwrap();
    let mask = |target: &str| Mount { kind: MountKind::Mask, target: target.into(), readonly: true };
    let script = "touch /data/no || echo ro; touch /data/sub/yes; cat /conf/app.txt; touch /new/x
        cat /etc/secret; ls /private; cat /etc/secret2 2>/dev/null; df -k /data/t | tail -1";
    let text = ok(&lab, script, |c| {
        let tmpfs =
            Mount { kind: MountKind::Tmpfs(2 << 20, Vec::new()), target: "/new/t".into(), readonly: false };
        c.mounts = vec![
            bind(&data, "/data", true),
            bind(&data.join("sub"), "/data/sub", false),
            bind(&lab.dir.join("file"), "/conf/app.txt", true),
            bind(&new, "/new", false),
            tmpfs,
            mask("/etc/secret"),
            mask("/private"),
            mask("/etc/secret2"),
        ];
        c.argv[2] = c.argv[2].replace("/data/t", "/new/t");
    });
    assert!(text.contains("ro\n") && text.contains("text") && text.contains(" 2048 "), "{text}");
    assert!(!text.contains("secret") && !text.contains("key"), "{text}");
    assert!(data.join("sub/yes").exists() && new.join("x").exists());
    assert!(!data.join("no").exists());
}

#[test]
fn links_in_the_image_lead_nowhere_else() {
    let Some(lab) = Lab::new() else { return };
    let outside = lab.dir.join("outside");
    let data = lab.dir.join("data");
    std::fs::create_dir_all(&outside).unwrap();
    std::fs::create_dir_all(&data).unwrap();
    std::fs::write(data.join("marker"), "").unwrap();
    // Absolute, with too many steps up, dangling, through a second link, and onto the kernel's files.
    symlink(&outside, lab.rootfs.join("absolute")).unwrap();
    symlink(format!("../../../../../../../..{}", outside.display()), lab.rootfs.join("up")).unwrap();
    symlink("dangling/deep", lab.rootfs.join("dangles")).unwrap();
    symlink("loop2", lab.rootfs.join("loop1")).unwrap();
    symlink("loop1", lab.rootfs.join("loop2")).unwrap();
    for target in ["/absolute", "/up/x", "/dangles", "/absolute/../absolute/y", "../../../../a/../b"] {
        let text = ok(&lab, "cat /proc/self/mountinfo | grep -c /data", |c| {
            c.mounts = vec![bind(&data, target, false)];
        });
        assert_eq!(text, "1", "{target}");
        assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 0, "{target} led out");
    }
    for target in ["/loop1", "/", "", "/.."] {
        let mut task = lab.task("true");
        task.containers[0].mounts = vec![bind(&data, target, false)];
        assert_eq!(lab.run(&task).exit.why, Why::StartFailed, "{target}");
    }
}

#[test]
fn an_image_with_links_for_system_folders_leads_nowhere_else() {
    let Some(lab) = Lab::new() else { return };
    let outside = lab.dir.join("outside");
    std::fs::create_dir_all(&outside).unwrap();
    for name in ["proc", "dev", "sys"] {
        std::fs::remove_dir(lab.rootfs.join(name)).unwrap();
        symlink(&outside, lab.rootfs.join(name)).unwrap();
    }
    symlink(outside.join("passwd"), lab.rootfs.join("etc/resolv.conf")).unwrap();
    let out = lab.script("echo $$");
    assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 0, "{:?} {}", out.exit, out.said);
}

#[test]
fn layers_cover_each_other_and_many_fit() {
    let Some(lab) = Lab::new() else { return };
    let mut layers = vec![lab.rootfs.to_str().unwrap().to_string()];
    for n in 0..120 {
        let layer = lab.dir.join(format!("layers/{}:{n}\\,x", "long".repeat(20)));
        std::fs::create_dir_all(&layer).unwrap();
        std::fs::write(layer.join("who"), format!("{n}")).unwrap();
        std::fs::write(layer.join(format!("file{n}")), "").unwrap();
        layers.push(layer.to_str().unwrap().into());
    }
    let text =
        ok(&lab, "cat /who; echo; ls -d /file* | wc -l; cat /etc/hosts | wc -l", |c| c.layers = layers);
    assert!(text.starts_with("119\n120\n"), "{text}");
}

#[test]
fn the_host_s_root_is_read_only_underneath() {
    let Some(lab) = Lab::new() else { return };
    let text = ok(&lab, "touch /etc/batchyard-was-here && ls /etc/batchyard-was-here", |c| {
        c.layers = vec!["/".into()]
    });
    assert_eq!(text, "/etc/batchyard-was-here");
    assert!(!Path::new("/etc/batchyard-was-here").exists());
}
