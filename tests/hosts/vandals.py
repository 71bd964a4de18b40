"""Hosted code that abuses every descriptor and every byte that it shares with its parent."""

from __future__ import annotations

import contextlib
import fcntl
import mmap
import os
import random
import re
import signal
import stat
import struct
import subprocess
import sys
import time
from pathlib import Path

_DAEMON = "import time; time.sleep(600)"


def ring():
    """The ring's memory, the end of the pipe that wakes the parent, and of the one that wakes this process."""
    offer = next(
        (v for v in Path("/proc/self/environ").read_bytes().split(b"\0") if v.startswith(b"LEAN_WORKER_RING=")), b""
    )
    return [int(number) for number in offer.partition(b"=")[2].split(b",")[:3]] if offer else []


def pipes():
    """Every pipe of this process but its standard streams."""
    found = []
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            if int(name) > 2 and stat.S_ISFIFO(os.fstat(int(name)).st_mode):
                found.append(int(name))
    return found


def inherited(request):
    """How many pipes of the parent this process can read from, and how many it can write to."""
    modes = [fcntl.fcntl(pipe, fcntl.F_GETFL) & os.O_ACCMODE for pipe in pipes()]
    return [modes.count(os.O_RDONLY), modes.count(os.O_WRONLY), modes.count(os.O_RDWR)]


def _other_side(pipe, flags):
    """An end of that pipe with a description of its own."""
    return os.open(f"/proc/self/fd/{pipe}", flags | os.O_NONBLOCK)


def _fill(pipe):
    end = _other_side(pipe, os.O_WRONLY)
    with contextlib.suppress(OSError):
        while True:
            os.write(end, b"!" * 4096)
    os.close(end)


def _all_blocking():
    for pipe in pipes():
        flags = fcntl.fcntl(pipe, fcntl.F_GETFL)
        fcntl.fcntl(pipe, fcntl.F_SETFL, flags & ~os.O_NONBLOCK)


def block_parent(request):
    """Fill both wake-up pipes, make every description block, and ask the parent for wakes all the time."""
    memory, _, space = ring()
    counts = mmap.mmap(memory, 4096)
    _all_blocking()
    yield 0
    time.sleep(0.2)
    for i in range(1, 200):
        _fill(space)
        counts[192:196] = struct.pack("I", 1)  # the writer sleeps
        yield i


def flood_wakes(request):
    """Wake the parent all the time, and give it nothing."""
    yield 0
    _, wake, _ = ring()
    os.set_blocking(wake, True)
    while True:
        os.write(wake, b"!" * 1024)


def flood_partial(request):
    """Bytes of one frame without end."""
    yield 0
    memory, wake, _ = ring()
    counts = mmap.mmap(memory, 4096)
    head = struct.unpack("Q", counts[0:8])[0]
    while True:
        head += 1
        counts[0:8] = struct.pack("Q", head)
        os.write(wake, b"!")
        time.sleep(0.001)


def flood_stderr(request):
    piece = b"x" * request
    yield 0
    os.set_blocking(2, True)
    while True:
        os.write(2, piece)


def close_wake(request):
    yield 0
    os.close(ring()[1])
    time.sleep(600)


def close_everything(request):
    yield 0
    for pipe in pipes():
        os.close(pipe)
    time.sleep(600)


def hang(request):
    yield 0
    time.sleep(600)


def vandalise(request):
    """A second of random abuse from the given seed, with rows in between."""
    rand = random.Random(request)
    memory = next(iter(ring()), None)
    counts = None if memory is None else mmap.mmap(memory, 4096)
    deeds = [_flip_flags, _write_garbage, _drain, _resize, _fill_any, _wake, _close_some, _swap_some]
    if counts is not None:
        deeds += [lambda r: _scribble(r, counts)] * 4 + [lambda r: _punch(r, memory)]
    gentle = deeds[:1] + deeds[3:6] + deeds[8:] if rand.random() < 0.5 else deeds
    end = time.monotonic() + 0.4
    i = 0
    while time.monotonic() < end:
        with contextlib.suppress(OSError, ValueError):
            rand.choice(gentle)(rand)
        if rand.random() < 0.3:
            yield i
            i += 1
    if rand.random() < 0.3:
        os._exit(rand.choice([0, 7]))


def _any_pipe(rand):
    return rand.choice(pipes())


def _flip_flags(rand):
    pipe = rand.choice([*pipes(), 0, 1, 2])
    flags = fcntl.fcntl(pipe, fcntl.F_GETFL)
    for flag in (os.O_NONBLOCK, os.O_APPEND, os.O_DIRECT, os.O_ASYNC):
        if rand.random() < 0.5:
            flags ^= flag
    fcntl.fcntl(pipe, fcntl.F_SETFL, flags)


def _write_garbage(rand):
    end = _other_side(_any_pipe(rand), os.O_WRONLY)
    os.write(end, rand.randbytes(rand.choice([1, 4, 100])))
    os.close(end)


def _drain(rand):
    end = _other_side(_any_pipe(rand), os.O_RDONLY)
    os.read(end, 1 << 16)
    os.close(end)


def _resize(rand):
    fcntl.fcntl(_any_pipe(rand), fcntl.F_SETPIPE_SZ, rand.choice([4096, 1 << 16, 1 << 20]))


def _fill_any(rand):
    _fill(rand.choice(ring()[1:] or pipes()))


def _wake(rand):
    os.set_blocking(ring()[1], False)
    os.write(ring()[1], b"!" * rand.choice([1, 1000]))


def _close_some(rand):
    if rand.random() < 0.02:
        os.close(_any_pipe(rand))


def _swap_some(rand):
    if rand.random() < 0.02:
        os.dup2(_any_pipe(rand), _any_pipe(rand))


def _scribble(rand, counts):
    at = rand.choice([0, 64, 128, 192])
    old = struct.unpack("Q", counts[at : at + 8])[0]
    new = rand.choice([0, 1, old + 1, old - 1, old + 100, old ^ (1 << rand.randrange(64)), rand.getrandbits(64)])
    # Most of the time only who sleeps: a wrong count ends the stream at once.
    if at >= 128 or rand.random() < 0.02:
        counts[at : at + 8] = struct.pack("Q", new % (1 << 64))


def _punch(rand, memory):
    import ctypes

    libc = ctypes.CDLL(None)
    libc.fallocate(memory, 3, ctypes.c_long(4096 * rand.randrange(1, 200)), ctypes.c_long(4096))
    with contextlib.suppress(OSError):
        os.ftruncate(memory, rand.choice([0, 4096, 1 << 30]))


# -- deaths --


def echo(request):
    return request


def pid(request):
    return os.getpid()


def daemon(request):
    """Start a daemon in a session of its own that keeps every descriptor; its process id."""
    first = os.fork()
    if first == 0:
        os.setsid()
        if request.get("again") and os.fork():
            os._exit(0)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        read = os.open(request["file"], os.O_CREAT | os.O_WRONLY)
        os.write(read, str(os.getpid()).encode())
        while request.get("writes"):
            with contextlib.suppress(OSError):
                for pipe in pipes():
                    os.write(pipe, b"!")
        time.sleep(600)
        os._exit(0)
    end = time.monotonic() + 30
    while not (os.path.exists(request["file"]) and os.path.getsize(request["file"])) and time.monotonic() < end:
        time.sleep(0.001)
    return int(Path(request["file"]).read_text())


def die_with_daemon(request):
    """Rows, and an end while a daemon holds everything."""
    yield from range(request.get("rows", 3))
    daemon(request)
    if "signal" in request:
        os.kill(os.getpid(), request["signal"])
    os._exit(request.get("code", 7))


def close_requests(request):
    """Close the descriptor that requests come from, which another thread waits on."""
    os.close(min(pipe for pipe in pipes() if fcntl.fcntl(pipe, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY))
    time.sleep(600)


def exits(request):
    os._exit(request)


def kills_itself(request):
    os.kill(os.getpid(), signal.SIGKILL)


def daemon_then_hold(request):
    """Start a daemon, and let no other thread of this process run any more."""
    daemon(request)
    re.match("(a+)+$", "a" * 60 + "b")


def orphans(request):
    """Leave that many dead grandchildren, and count the dead children there are now."""
    for _ in range(request):
        subprocess.run(["/bin/sh", "-c", "true & true"], check=True)
    return sum(_is_dead(name) for name in os.listdir("/proc") if name.isdecimal())


def dead_children(request):
    return sum(_is_dead(name) for name in os.listdir("/proc") if name.isdecimal())


def _is_dead(name):
    try:
        fields = Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return False
    return fields[0] == "Z" and int(fields[1]) == os.getpid()


def signals(request):
    """The masks of this process and of a program that it starts."""
    code = "print(open('/proc/self/status').read())"
    program = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout
    own = Path("/proc/self/status").read_text()
    return [_mask(text, name) for text in (own, program) for name in ("SigBlk:", "SigIgn:")]


def _mask(text, name):
    return int(next(line for line in text.splitlines() if line.startswith(name)).split()[1], 16)


COMMANDS = {
    name: function for name, function in list(globals().items()) if callable(function) and not name.startswith("_")
}
