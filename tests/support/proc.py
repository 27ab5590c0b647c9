"""Files of processes, which may go while they are looked at. Never here: what they mean."""


def read(path):
    """The file's bytes; none where it has gone, or may not be read."""
    try:
        return path.read_bytes()
    except OSError:
        return b""
