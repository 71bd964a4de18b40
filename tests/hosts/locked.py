"""What a worker can reach, as Python functions that the tests host in workers that are locked in or limited."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time


def environment(request):
    return dict(os.environ)


def temporary(request):
    """The directory for temporary files, and what is in it after one was made."""
    place = tempfile.gettempdir()
    with open(os.path.join(place, "left"), "w") as file:
        file.write("!")
    return {"place": place, "mode": os.stat(place).st_mode & 0o777, "content": os.listdir(place)}


def limits(request):
    """Soft and hard values by the kernel's own names."""
    with open("/proc/self/limits") as file:
        lines = [line.rsplit(maxsplit=3) for line in file if line.startswith("Max")]
    return {line[0].strip(): line[1:3] for line in lines}


def spin(request):
    """Rows for as long as this process may use the processor."""
    yield {"i": 0}
    while True:
        pass


def open_many(request):
    kept = [open(os.devnull) for _ in range(request)]
    return len(kept)


def write_file(request):
    with open(os.path.join(tempfile.gettempdir(), "large"), "wb") as file:
        file.write(b"\0" * request)


def wait(request):
    yield os.environ["TMPDIR"]
    time.sleep(600)


def hold_interpreter(request):
    """A row, and then no other thread of this process runs any more."""
    yield 0
    re.match("(a+)+$", "a" * 60 + "b")


def attempt(request):
    """Do one thing; "done", or the error's name."""
    ((what, argument),) = request.items()
    try:
        _ATTEMPTS[what](argument)
    except OSError as error:
        return type(error).__name__
    return "done"


def _read(path):
    with open(path, "rb") as file:
        file.read()


def _write(path):
    with open(path, "ab") as file:
        file.write(b"!")


def _connect(port):
    socket.create_connection(("127.0.0.1", port), timeout=10).close()


def _connect_abstract(name):
    with socket.socket(socket.AF_UNIX) as client:
        client.connect("\0" + name)


def _connect_path(path):
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(path)


def _read_in_program(path):
    code = "import sys; open(sys.argv[1]).read()"
    if subprocess.run([sys.executable, "-S", "-c", code, path], stderr=subprocess.DEVNULL, check=False).returncode:
        raise OSError("the program failed")


_ATTEMPTS = {
    "read": _read,
    "read in a program": _read_in_program,
    "write": _write,
    "list": os.listdir,
    "make": os.mkdir,
    "remove": os.remove,
    "connect": _connect,
    "connect path": _connect_path,
    "connect abstract": _connect_abstract,
    "signal": lambda pid: os.kill(pid, signal.SIGCONT),
}

COMMANDS = {
    name: value
    for name, value in list(globals().items())
    if callable(value) and getattr(value, "__module__", "") == __name__ and not name.startswith("_")
}
