"""Where the transactions of the log beside a SQLite database are, for tests that damage them.

Never here: what a server should say to that.
"""

import struct

HEADER, FRAME_HEADER = 32, 24


def transactions(path):
    """Where each transaction of the log begins and ends, oldest first."""
    data = path.read_bytes()
    length = FRAME_HEADER + struct.unpack(">I", data[8:12])[0]
    found, start, at = [], HEADER, HEADER
    # Behind the end lie frames of older logs, which have another salt.
    while at + length <= len(data) and data[at + 8:at + 16] == data[16:24]:
        at, last = at + length, data[at + 4:at + 8] != b"\0\0\0\0"
        if last:
            found.append((start, at))
            start = at
    return found
