//! Output: every line, any bytes, in order, and never a blocked job.

#![allow(clippy::unwrap_used, reason = "a panic is the report")]

mod common;

use batchyard_supervisor::log_file::MAX_TEXT;
use common::Lab;

#[test]
fn lines_keep_their_bytes_and_order() {
    let Some(lab) = Lab::new() else { return };
    let out = lab.script("printf 'a\\n\\nb\\000\\377\\r\\n'; seq 1 20000; printf end");
    let log = lab.log();
    assert_eq!(out.code(), Some(0));
    assert_eq!(log.len(), 3 + 20000 + 1);
    let texts: Vec<&[u8]> = log.iter().map(|(_, l)| l.as_slice()).collect();
    assert_eq!(texts[..3], [b"a".as_slice(), b"", b"b\0\xff\r"]);
    for (i, line) in texts[3..20003].iter().enumerate() {
        assert_eq!(*line, (i + 1).to_string().as_bytes());
    }
    assert_eq!(texts[20003], b"end");
    assert!(log.windows(2).all(|w| w[0].0 <= w[1].0));
}

#[test]
fn a_long_line_is_split_and_nothing_is_lost() {
    let Some(lab) = Lab::new() else { return };
    let size = MAX_TEXT * 2 + 10;
    lab.script(&format!(
        "head -c {size} /dev/zero | tr '\\000' x; echo; echo next; head -c {MAX_TEXT} /dev/zero"
    ));
    let sizes: Vec<usize> = lab.log().iter().map(|(_, l)| l.len()).collect();
    assert_eq!(sizes, [MAX_TEXT, MAX_TEXT, 10, 4, MAX_TEXT]);
}

#[test]
fn over_the_cap_lines_are_dropped_and_counted() {
    let Some(lab) = Lab::new() else { return };
    let mut task = lab.task("seq -w 1 100000; exit 4");
    task.containers[0].log_cap = 10_000;
    let out = lab.run(&task);
    assert_eq!(out.code(), Some(4));
    let dropped = out.exit.containers[0].dropped_lines;
    let kept = out.lines.len() as u64 - 1;
    assert_eq!(kept + dropped, 100_000);
    assert_eq!(kept, (10_000 - 8) / (16 + 6));
    let note = format!("batchyard: {dropped} lines were dropped (log cap of 10000 bytes)");
    assert_eq!(out.lines.last().unwrap(), &note);
}

#[test]
fn under_the_disk_s_floor_lines_are_dropped_and_the_job_goes_on() {
    let Some(lab) = Lab::new() else { return };
    let mut task = lab.task("seq 1 5; exit 4");
    task.containers[0].disk_floor = u64::MAX;
    let out = lab.run(&task);
    assert_eq!((out.code(), out.exit.containers[0].dropped_lines), (Some(4), 5));
    assert_eq!(out.lines, ["batchyard: 5 lines were dropped (disk floor)"]);
}

#[test]
fn a_full_disk_neither_blocks_the_job_nor_tears_a_record() {
    let Some(lab) = Lab::new() else { return };
    let disk = lab.dir.join("disk");
    std::fs::create_dir(&disk).unwrap();
    let options = Some(c"size=64k");
    rustix::mount::mount("tmpfs", &disk, "tmpfs", rustix::mount::MountFlags::empty(), options).unwrap();
    let mut task = lab.task("seq -w 1 50000; exit 4");
    task.containers[0].log = disk.join("log").to_str().unwrap().into();
    let supervisor = lab.start(&task);
    std::os::unix::fs::symlink(disk.join("log"), lab.dir.join("log")).unwrap();
    let status = { supervisor }.wait().unwrap();
    let size = std::fs::metadata(disk.join("log")).unwrap().len() as usize;
    let read: usize = 8 + lab.log().iter().map(|(_, l)| l.len() + 16).sum::<usize>();
    let exit = std::fs::read_to_string(lab.attempt.join("exit")).unwrap();
    rustix::mount::unmount(&disk, rustix::mount::UnmountFlags::DETACH).unwrap();
    assert!(status.success());
    assert_eq!(read, size, "every byte belongs to a whole record");
    assert!(exit.contains("code 4\n"), "{exit}");
    assert!(!exit.contains("dropped_lines 0\n"), "{exit}");
}

#[test]
fn no_log_is_no_trouble() {
    let Some(lab) = Lab::new() else { return };
    let mut task = lab.task("seq 1 100000");
    task.containers[0].log = String::new();
    let out = lab.run(&task);
    assert_eq!((out.code(), out.exit.containers[0].dropped_lines), (Some(0), 0));
    let mut task = lab.task("seq 1 100000");
    task.containers[0].log = "/proc/nowhere/log".into();
    assert_eq!(lab.run(&task).code(), Some(0));
}
