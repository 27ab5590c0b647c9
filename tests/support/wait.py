"""Waiting for a state instead of for a time."""

import os
import time

# How many times slower than usual this machine is: an emulator says so.
SLOWER = float(os.environ.get("BATCHYARD_TEST_SLOWER") or 1)


class TimedOut(AssertionError):
    """The state did not come."""


def until(check, timeout=30, what="the state", every=0.02):
    """Calls `check` until it gives something true, which is returned; fails after `timeout` seconds."""
    timeout *= SLOWER
    deadline = time.monotonic() + timeout
    while True:
        value = check()
        if value:
            return value
        if time.monotonic() > deadline:
            raise TimedOut(f"{what} did not come within {timeout} s; last seen: {value!r}")
        time.sleep(every)
