"""What jobs write arrives whole: long lines, any bytes, both streams, a hundred megabytes, and reading it costs little
(spec infrastructure §9.4)."""

import time
from pathlib import Path

from support.server import GROUP

MIB = 1 << 20
LONGEST = 256 * 1024 - 26


def events(server, job):
    """All events of the job's stream, oldest first."""
    stream, found, token = job["container"]["logStreamName"], [], {}
    while True:
        page = server.logs.get_log_events(logGroupName=GROUP, logStreamName=stream, startFromHead=True, **token)
        found += page["events"]
        if token.get("nextToken") == page["nextForwardToken"]:
            return found
        token = {"nextToken": page["nextForwardToken"]}


def run(server, script):
    job = server.succeed(server.shell(script))
    return [event["message"] for event in events(server, job)]


def memory(server):
    """Resident memory of the server in MiB: now, and the most it ever was."""
    status = Path(f"/proc/{server.process.pid}/status").read_text()
    return tuple(int(status.split(f"{name}:")[1].split()[0]) / 1024 for name in ("VmRSS", "VmHWM"))


def test_a_long_line_is_cut_into_pieces(server):
    pieces = run(server, "head -c 600000 /dev/zero | tr '\\0' x; echo; echo short")
    assert [len(piece) for piece in pieces] == [LONGEST, LONGEST, 600_000 - 2 * LONGEST, 5]
    assert set("".join(pieces[:3])) == {"x"} and pieces[3] == "short"


def test_any_bytes_and_a_last_line_without_its_end(server):
    script = r"printf 'a\377\376b\n'; printf 'nul\000tab\tcr\r\n'; printf '\n'; printf '\303\251 \360\237\230\200\n'; printf last"
    assert run(server, script) == ["a\ufffd\ufffdb", "nul\0tab\tcr\r", "", "é \U0001f600", "last"]


def test_both_streams_are_in_one_log_without_loss(server):
    count = 20_000
    script = f"w() {{ awk -v n=$1 'BEGIN {{ for (i = 1; i <= {count}; i++) print n, i }}'; }}; w out & w err >&2 & wait"
    lines = run(server, script)
    for name in ("out", "err"):
        assert [line for line in lines if line.startswith(name)] == [f"{name} {i}" for i in range(1, count + 1)]
    assert len(lines) == 2 * count


def test_a_hundred_megabytes_from_one_job(server):
    """Everything is there, a page anywhere is quick, and the server's memory hardly grows."""
    size, line = 100 * MIB, 1000
    count = size // line
    before, _ = memory(server)
    job = server.succeed(server.shell(f"yes {'y' * (line - 1)} | head -n {count}; echo end"), timeout=120)
    stream = {"logGroupName": GROUP, "logStreamName": job["container"]["logStreamName"]}
    began = time.monotonic()
    found, token, slowest = 0, {}, 0.0
    while True:
        asked = time.monotonic()
        page = server.logs.get_log_events(**stream, startFromHead=True, **token)
        slowest = max(slowest, time.monotonic() - asked)
        found += len(page["events"])
        if token.get("nextToken") == page["nextForwardToken"]:
            break
        first_ms = page["events"][0]["timestamp"]
        token = {"nextToken": page["nextForwardToken"]}
    took = time.monotonic() - began
    assert found == count + 1
    asked = time.monotonic()
    tail = server.logs.get_log_events(**stream)["events"]
    newest = time.monotonic() - asked
    assert tail[-1]["message"] == "end"
    asked = time.monotonic()
    server.logs.get_log_events(**stream, startTime=first_ms, startFromHead=True, limit=10)
    middle = time.monotonic() - asked
    asked = time.monotonic()
    page = server.logs.filter_log_events(logGroupName=GROUP, logStreamNames=[stream["logStreamName"]], filterPattern="end")
    filtered = time.monotonic() - asked
    after, most = memory(server)
    print(f"\n100 MiB: all pages {took:.2f} s, the slowest {slowest * 1000:.0f} ms, the newest {newest * 1000:.0f} ms, "
          f"by time {middle * 1000:.0f} ms, filtered {filtered * 1000:.0f} ms; server {before:.0f} -> {after:.0f} MiB, most {most:.0f}")
    assert page["events"] or "nextToken" in page
    assert most - before < 64, "reading does not hold the log in memory"


def test_the_cap_is_said_and_the_job_goes_on(make_server):
    """Up to the cap nothing is lost; then lines are dropped and counted, and the job is not held up."""
    server = make_server(BATCHYARD_LOG_CAP_BYTES="64KiB").start()
    lines = run(server, "awk 'BEGIN { for (i = 1; i <= 5000; i++) print \"line number\", i }'; echo done >&2; exit 0")
    # Docker reads the two streams apart, so that "done" may come early there.
    kept = [line for line in lines[:-1] if line != "done"]
    assert kept == [f"line number {i}" for i in range(1, len(kept) + 1)] and 64 * 1024 - 64 < sum(len(x) + 16 for x in kept)
    assert lines[-1] == f"batchyard: {5001 - len(lines[:-1])} lines were dropped (log cap of 65536 bytes)"


def test_a_stream_that_is_written_is_read_in_order_meanwhile(server):
    """A reader that follows gets each line once, with the same token while there is nothing new."""
    job = server.shell("i=0; while [ $i -lt 200 ]; do i=$((i+1)); echo $i; [ $((i % 20)) = 0 ] && sleep 0.05; done")
    stream = server.wait_job(job, ("RUNNING", "SUCCEEDED"))["container"]["logStreamName"]
    seen, token = [], {}
    while len(seen) < 200:
        page = server.logs.get_log_events(logGroupName=GROUP, logStreamName=stream, startFromHead=True, limit=7, **token)
        seen += [int(event["message"]) for event in page["events"]]
        same = token.get("nextToken") == page["nextForwardToken"]
        assert not (same and page["events"]) and len(page["events"]) <= 7
        token = {"nextToken": page["nextForwardToken"]}
    assert seen == list(range(1, 201))
    server.succeed(job)
