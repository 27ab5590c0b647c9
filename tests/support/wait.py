"""Waiting for a state instead of for a time."""

import time


class TimedOut(AssertionError):
    """The state did not come."""


def until(check, timeout=30, what="the state", every=0.02):
    """Calls `check` until it gives something true, which is returned; fails after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while True:
        value = check()
        if value:
            return value
        if time.monotonic() > deadline:
            raise TimedOut(f"{what} did not come within {timeout} s; last seen: {value!r}")
        time.sleep(every)
