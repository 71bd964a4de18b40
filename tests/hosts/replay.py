"""A child that says what a file holds, byte for byte; it loads nothing, so that thousands of them can be started.

    python -S -E replay.py CASE: bytes that stand for its handshake, for its answer to a request, and a word of what
    follows ("wait" for the next request, "exit", "hang", "close" the pipe), each after its length in four bytes.

Left alone for `PATIENCE` seconds it ends by itself.
"""

import os
import select
import sys

PATIENCE = 3.0


def parts(data):
    while data:
        length = int.from_bytes(data[:4], "big")
        yield data[4 : 4 + length]
        data = data[4 + length :]


def say(data):
    while data:
        data = data[os.write(1, data) :]


def hear():
    """One frame of the parent; the end of it all ends this process."""
    data = b""
    while len(data) < 4 or len(data) < 4 + int.from_bytes(data[:4], "big"):
        missing = 4 - len(data) if len(data) < 4 else 4 + int.from_bytes(data[:4], "big") - len(data)
        if not select.select([0], [], [], PATIENCE)[0]:
            os._exit(5)
        more = os.read(0, missing)
        if not more:
            os._exit(0)
        data += more
    return data


def main(path):
    descriptor = os.open(path, os.O_RDONLY)
    handshake, answer, then = parts(os.read(descriptor, 1 << 24))
    os.close(descriptor)
    try:
        say(handshake)
        hear()
        hear()
        say(answer)
        if then == b"close":
            os.close(1)
        if then == b"exit":
            os._exit(0)
        while then != b"wait":
            select.select([], [], [], PATIENCE)
            os._exit(6)
        while True:
            if b'"terminate"' in hear():
                os._exit(0)
            say(answer)
    except OSError:
        os._exit(7)


main(sys.argv[1])
