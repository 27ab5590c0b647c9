"""`make bench`: the server beside the limits of this machine, woven together in one run.

Sections: submit (durable submissions a second), idle (memory, time to ready), job (a job that does nothing, from its
submission to its end), run (containers.py: a command beside runc and Docker). Figures are medians; compare ratios, never figures of different runs: machines differ and drift.
Never here: verdicts. The goals stand in ARCHITECTURE.md.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REPO = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPO / "tests"))

import containers  # noqa: E402
from support.server import TARGET, Server  # noqa: E402

BODY = ('{"jobName":"j{n}","jobQueue":"waits","jobDefinition":"bench",'
        '"containerOverrides":{"environment":[{"name":"PAD","value":"{pad}"}]}}')
CONNECTIONS = (1, 16, 256)


def program(name):
    """One of the yardsticks of bench/limits."""
    return TARGET / "release" / name


def median(values):
    return statistics.median(values)


def percentile(values, q):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * q))]


def table(title, head, rows):
    """Prints a Markdown table."""
    print(f"\n### {title}\n")
    print("| " + " | ".join(head) + " |")
    print("|" + "---|" * len(head))
    for row in rows:
        print("| " + " | ".join(str(cell) for cell in row) + " |", flush=True)


def started(folder):
    """A server whose queue `waits` has nobody to run its jobs, so that they stay queued."""
    server = Server(folder).start()
    server.batch.create_compute_environment(
        computeEnvironmentName="nobody", type="UNMANAGED", state="ENABLED",
        serviceRole="arn:aws:iam::000000000000:role/batch",
    )
    server.batch.create_job_queue(
        jobQueueName="waits", priority=1, computeEnvironmentOrder=[{"order": 1, "computeEnvironment": "nobody"}]
    )
    server.register(["true"], name="bench")
    return server


def load(server, host, connections, seconds, path="/v1/submitjob"):
    """Runs the load generator and gives what it saw; every answer must be a 200."""
    done = subprocess.run(
        [program("load"), "--host", host, "--path", path, "--conns", str(connections), "--secs", str(seconds),
         "--body", BODY, "--region", server.region],
        env={"AWS_ACCESS_KEY_ID": server.key, "AWS_SECRET_ACCESS_KEY": server.secret},
        capture_output=True, text=True, check=True,
    )
    seen = json.loads(done.stdout)
    assert set(seen["status"]) == {"200"}, seen["status"]
    return seen


def submit(folder, options):
    """Durable SubmitJob beside the same work without a product: HTTP, SigV4, JSON, a shared fdatasync."""
    server = started(folder)
    limit = subprocess.Popen(
        [program("httplimit"), "--dir", folder, "--region", server.region], stdout=subprocess.PIPE, text=True,
        env={"AWS_ACCESS_KEY_ID": server.key, "AWS_SECRET_ACCESS_KEY": server.secret},
    )
    try:
        limit_host = limit.stdout.readline().split()[-1]
        host = server.endpoint.removeprefix("http://")
        seen = {(who, n): [] for who in ("echo", "limit", "batchyard") for n in CONNECTIONS}
        for _ in range(options.rounds):
            for n in CONNECTIONS:
                seen["echo", n].append(load(server, limit_host, n, 1, "/echo"))
                seen["limit", n].append(load(server, limit_host, n, options.seconds))
                seen["batchyard", n].append(load(server, host, n, options.seconds))
        rows = []
        for n in CONNECTIONS:
            rate = {who: median(s["per_s"] for s in seen[who, n]) for who in ("echo", "limit", "batchyard")}
            wait = {who: median(s["us"]["p50"] for s in seen[who, n]) / 1000 for who in rate}
            p99 = median(s["us"]["p99"] for s in seen["batchyard", n]) / 1000
            rows.append([n, f"{rate['echo']:,.0f}", f"{rate['limit']:,.0f}", f"{rate['batchyard']:,.0f}",
                         f"**{rate['batchyard'] / rate['limit']:.2f}**", f"{wait['limit']:.2f}",
                         f"{wait['batchyard']:.2f}", f"{p99:.2f}"])
        table(f"Durable SubmitJob of 1 KiB, medians of {options.rounds} rounds",
              ["connections", "echo /s", "limit /s", "batchyard /s", "ratio to limit", "limit p50 ms", "p50 ms", "p99 ms"],
              rows)
        held = sum(s["status"]["200"] for n in CONNECTIONS for s in seen["batchyard", n])
        print(f"\n{held:,} jobs queued at the end, {memory(server.process.pid)} MiB of memory")
    finally:
        limit.kill()
        limit.wait()
        kill_without_jobs(server)


def kill_without_jobs(server):
    """Nothing runs here, so there is nothing to end; a queue of a million jobs need not be ended one by one."""
    server.kill9()
    server.check_nothing_left()


def memory(pid):
    """Resident memory in MiB."""
    text = Path(f"/proc/{pid}/status").read_text()
    return round(int(next(line for line in text.splitlines() if line.startswith("VmRSS")).split()[1]) / 1024, 1)


def idle(folder, options):
    """From exec to the first answer, on a new and on an old folder, and memory two seconds later."""
    fresh, again, resident = [], [], []
    for i in range(5):
        server = Server(folder / f"idle{i}")
        server.folder.mkdir()
        for times in (fresh, again):
            began = time.monotonic()
            server.start()
            times.append((time.monotonic() - began) * 1000)
            if times is fresh:
                server.kill9()
        time.sleep(2)  # What is measured is a server that has had nothing to do for a while.
        resident.append(memory(server.process.pid))
        server.stop()
    size = server_size()
    table("Idle, medians of 5 starts", ["what", "median", "worst"], [
        ["ready, new data folder", f"{median(fresh):.0f} ms", f"{max(fresh):.0f} ms"],
        ["ready, after a crash", f"{median(again):.0f} ms", f"{max(again):.0f} ms"],
        ["resident memory", f"{median(resident):.1f} MiB", f"{max(resident):.1f} MiB"],
        ["size of the program", f"{size:.1f} MiB", ""],
    ])


def server_size():
    return (TARGET / "release" / "batchyard").stat().st_size / (1 << 20)


def bundle(folder):
    """An OCI bundle of the same busybox, as plain as runc can run it."""
    root = folder / "bundle" / "rootfs"
    for name in ("bin", "proc", "dev", "sys", "tmp"):
        (root / name).mkdir(parents=True)
    shutil.copy("/bin/busybox", root / "bin" / "busybox")
    (root / "bin" / "true").symlink_to("busybox")
    subprocess.run(["runc", "spec"], cwd=root.parent, check=True)
    spec = json.loads((root.parent / "config.json").read_text())
    spec["process"] |= {"terminal": False, "args": ["true"]}
    spec["linux"]["resources"] = {"memory": {"limit": 64 << 20}, "cpu": {"shares": 1024}}
    spec["linux"]["namespaces"] = [n for n in spec["linux"]["namespaces"] if n["type"] != "network"]
    (root.parent / "config.json").write_text(json.dumps(spec))
    return root


def timed_runc(folder, number):
    began = time.monotonic()
    subprocess.run(["runc", "run", "--bundle", folder / "bundle", f"bench-{os.getpid()}-{number}"], check=True,
                   stdin=subprocess.DEVNULL)
    return (time.monotonic() - began) * 1000


def timed_job(server, client, definition):
    """(submit → RUNNING, submit → SUCCEEDED as stamped, submit → SUCCEEDED as seen by a client) in milliseconds."""
    wall, began = time.time() * 1000, time.monotonic()
    job_id = client.submit_job(jobName="noop", jobQueue="default", jobDefinition=definition)["jobId"]
    while True:
        [job] = client.describe_jobs(jobs=[job_id])["jobs"]
        if job["status"] in ("SUCCEEDED", "FAILED"):
            break
    seen = (time.monotonic() - began) * 1000
    assert job["status"] == "SUCCEEDED", job
    return job["startedAt"] - wall, job["stoppedAt"] - wall, seen


def job(folder, options):
    """One at a time: a raw spawn, a batchyard job, `runc run`, in turn, so that all meet the same machine."""
    root = bundle(folder)
    server = Server(folder / "job")
    server.folder.mkdir()
    server.start()
    client = server.client("batch", checked=False)
    definition = server.register(["true"])
    spawner = subprocess.Popen([program("spawnlimit"), root / "bin" / "true"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               text=True)
    with_runc = shutil.which("runc") is not None
    if not with_runc:
        print("runc is not installed: its row was NOT measured", file=sys.stderr)
    times = {"raw spawn and wait": [], "batchyard: submit to RUNNING": [], "batchyard: submit to stopped": [],
             "batchyard: submit to SUCCEEDED seen by a polling client": []} | ({"runc run": []} if with_runc else {})
    spawn, running, stopped, seen = list(times)[:4]
    try:
        for number in range(-5, options.runs):  # The first five only warm up.
            spawner.stdin.write("\n")
            spawner.stdin.flush()
            row = {spawn: int(spawner.stdout.readline()) / 1e6}
            row[running], row[stopped], row[seen] = timed_job(server, client, definition)
            if with_runc:
                row["runc run"] = timed_runc(folder, number)
            if number >= 0:
                for name, value in row.items():
                    times[name].append(value)
    finally:
        spawner.stdin.close()
        spawner.wait()
        server.stop()
    base = median(times[spawn])
    table(f"A job that does nothing, {options.runs} runs, one at a time", ["what", "p50 ms", "p99 ms", "x raw spawn"],
          [[name, f"{median(v):.2f}", f"{percentile(v, 0.99):.2f}", f"{median(v) / base:.1f}"] for name, v in times.items()])


def run(folder, options):
    """A command with mount, environment file and user beside runc and Docker."""
    containers.run(folder, argparse.Namespace(runs=30, cold=5))


SECTIONS = {"submit": submit, "idle": idle, "job": job, "run": run}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sections", nargs="*", help=f"of {', '.join(SECTIONS)}; all when none is named")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=3, help="of load per measurement")
    parser.add_argument("--runs", type=int, default=150, help="of the job section")
    options = parser.parse_args()
    unknown = set(options.sections) - set(SECTIONS)
    if unknown:
        parser.error(f"no section {', '.join(unknown)}")
    print(f"{os.cpu_count()} CPUs, Linux {os.uname().release}, load {os.getloadavg()[0]:.1f} at the start")
    for name in options.sections or SECTIONS:
        folder = Path(tempfile.mkdtemp(prefix=f"batchyard-bench-{name}."))
        try:
            SECTIONS[name](folder, options)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
