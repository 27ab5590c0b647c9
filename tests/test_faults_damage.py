"""A database that is damaged, or not ours: refused at start in words that help, and nothing of the folder is changed.

Never here: a log that was cut off while it was written, which is no damage (test_faults_points).
"""

import contextlib
import hashlib
import shutil
import sqlite3
import subprocess

import pytest

from support import wal
from support.server import BINARY, Server

DB = "batchyard.db"


@pytest.fixture(scope="module")
def left(tmp_path_factory):
    """A data folder as a server leaves it, and one as a killed server leaves it, whose log holds answered writes."""
    made = {}
    for name in ("stopped", "killed"):
        server = Server(tmp_path_factory.mktemp(name)).start()
        definition = server.register(["sh", "-c", "echo hello"])
        for _ in range(30):
            server.submit(definition)
        server.succeed(server.submit(definition))
        for job in server.batch.list_jobs(jobQueue="default", jobStatus="RUNNING")["jobSummaryList"]:
            server.succeed(job["jobId"])
        if name == "stopped":
            server.stop()
        else:
            server.kill9()
        made[name] = server
    yield made
    made["killed"].stop()


def pages(path, damage):
    """Damages some pages in the middle of the file."""
    data = bytearray(path.read_bytes())
    for at in range(4096 * 3, len(data) - 4096, 4096 * 3):
        damage(data, at)
    path.write_bytes(data)


def flip(data, at):
    for i in range(12):
        data[at + i] ^= 0x5A


def overwrite(data, at):
    data[at:at + 4096] = b"\xa5" * 4096


def other_program(path):
    path.unlink()
    with contextlib.closing(sqlite3.connect(path)) as db, db:
        db.execute("CREATE TABLE recipes (name TEXT)")


def newer(path):
    with contextlib.closing(sqlite3.connect(path)) as db, db:
        db.execute("PRAGMA user_version = 9999")


def middle_of_the_log(path):
    log = path.with_name(DB + "-wal")
    data = bytearray(log.read_bytes())
    begin, end = wal.transactions(log)[2]
    data[(begin + end) // 2] ^= 0xFF
    log.write_bytes(data)


CASES = {
    "flipped bytes": ("stopped", lambda path: pages(path, flip), "damaged"),
    "overwritten pages": ("stopped", lambda path: pages(path, overwrite), "damaged"),
    "cut off": ("stopped", lambda path: path.write_bytes(path.read_bytes()[:path.stat().st_size // 2]), "damaged"),
    "garbage": ("stopped", lambda path: path.write_bytes(b"no database at all, " * 1000), "damaged"),
    "emptied": ("stopped", lambda path: path.write_bytes(b""), "gone or empty"),
    "removed": ("stopped", lambda path: path.unlink(), "gone or empty"),
    "another program's": ("stopped", other_program, "not a batchyard database"),
    "a newer version's": ("stopped", newer, "newer program"),
    "the middle of its log": ("killed", middle_of_the_log, "damaged"),
}


def contents(folder):
    """What is in the folder's files, but for what SQLite may make anew at any time."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.name.endswith("-shm"))
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.mark.parametrize("case", CASES)
def test_it_is_refused_and_left_alone(left, tmp_path, case):
    whose, damage, words = CASES[case]
    server = left[whose]
    data = tmp_path / "data"
    shutil.copytree(server.data_dir, data, ignore=shutil.ignore_patterns("attempts", "run", "images"))
    (data / "attempts").mkdir(exist_ok=True)
    damage(data / DB)
    before = contents(data)
    done = subprocess.run([BINARY, "server", "--listen", "127.0.0.1:0", "--data-dir", data], capture_output=True, text=True,
                          timeout=30, env=server.environment())
    text = done.stdout + done.stderr
    assert done.returncode == 1 and "panicked" not in text, text
    assert words in text and ("restore" in text or "choose" in text or "use the" in text), text
    made = {name for name in contents(data) if name not in before}
    assert {name: digest for name, digest in contents(data).items() if name in before} == before
    # To read it at all, SQLite may make an empty log.
    beside = {name for name in made if name.startswith(DB) and (data / name).stat().st_size}
    assert not beside, "files beside the database that were not there"


def test_an_undamaged_copy_starts(left, tmp_path):
    """Or the others would prove nothing."""
    for whose, server in left.items():
        copy = Server(tmp_path / whose)
        (tmp_path / whose).mkdir()
        shutil.copytree(server.data_dir, copy.data_dir, ignore=shutil.ignore_patterns("attempts", "run", "images"))
        copy.key, copy.secret = server.key, server.secret
        copy.start()
        assert len(copy.batch.list_jobs(jobQueue="default", jobStatus="SUCCEEDED")["jobSummaryList"]) == 31
        copy.stop()
