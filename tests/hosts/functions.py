"""Python functions that the tests host in workers."""

from __future__ import annotations

import contextlib
import datetime
import mmap
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec

from lean_worker.events import Diagnostic, Progress, StreamRow


def echo(request):
    return request


def fail(request):
    raise ValueError("the function says no")


def rows(request):
    count = request["count"]
    for i in range(count):
        yield {"i": i, "name": f"Fixture.decl_{i}"}
    return {"emitted": count}


def mapped(request):
    """Rows of an iterator that no generator function made."""
    return iter([{"i": i} for i in range(request["count"])])


def paced(request):
    """Rows that take so many microseconds of computation each."""
    for i in range(request["count"]):
        end = time.perf_counter() + request["every_us"] / 1e6
        while time.perf_counter() < end:
            pass
        yield {"i": i}


def wide(request):
    """Rows of so many bytes, and progress each thousand rows."""
    count, size_bytes = request["count"], request["size_bytes"]
    for i in range(count):
        if i % 1000 == 0:
            yield Progress("rows", i, count)
        yield {"i": i, "blob": f"{i:06}" + "x" * (size_bytes - 6)}


def one_row(request):
    """The request as a row in array form, as a NamedTuple is read."""
    yield list(request.values())


def two_streams(request):
    yield StreamRow("left", {"n": 0})
    yield StreamRow("right", {"n": 1})
    yield StreamRow("left", {"n": 2})


def rows_and_lines(request):
    """So many rows, with a line printed after each twentieth."""
    for i in range(request["count"]):
        yield {"i": i}
        if i % 20 == 0:
            print(f"line {i} :warning: [bold]", flush=True)


def on_streams(request):
    """The request's rows, each on the stream that it names."""
    for stream, row in request:
        yield StreamRow(stream, row)


def alternating(request):
    for i in range(request["count"]):
        yield StreamRow("right" if i % 2 else "left", {"n": i})


def events(request):
    yield Diagnostic("scan.started", "started")
    yield Progress("scan", 1, 2)
    yield {"i": 0}
    yield Progress("scan", 2)
    yield Diagnostic("scan.finished", "")


def raw_rows(request):
    """The request's texts as rows, and its last text as the summary, as they are."""
    for text in request["rows"]:
        yield msgspec.Raw(text.encode())
    return msgspec.Raw(request["summary"].encode())


def mixed(request):
    """Values that are plain, and values that take the long way, in turn."""
    for i in range(request["count"]):
        yield [{"i": i}, i, StreamRow("rows", f"é{i}"), (i, None), {"i": i, "at": datetime.date(2020, 1, 1)}][i % 5]


def raw_answer(request):
    return msgspec.Raw(request.encode())


def fail_unspeakably(request):
    raise ValueError("no UTF-8 form: \ud800")


def wrong_type(request):
    yield {"i": 0, "name": "a"}
    yield {"i": "one", "name": "b"}
    yield {"i": 2, "name": "c"}


def wrong_summary(request):
    yield {"i": 0}
    return {"emitted": "many"}


def fail_after_rows(request):
    yield {"i": 0}
    raise RuntimeError("half way")


def endless(request):
    i = 0
    while True:
        yield {"i": i}
        i += 1


def row_then_gate(request):
    """One row, then nothing until the file `gate` exists; what comes after shows that it was waited for."""
    yield {"i": 0}
    gate = Path(request["gate"])
    gate.with_name(f"{gate.name}.reached").touch()
    while not gate.exists():
        time.sleep(0.005)
    yield {"i": 1}


def measured(request):
    """Rows and progress; the second half comes when the file `gate` is there."""
    yield {"i": 0}
    yield {"i": 1}
    yield Progress("elaborate", 1, 2)
    while not Path(request["gate"]).exists():
        time.sleep(0.005)
    yield Progress("elaborate", 2, 2)
    yield {"i": 2}
    yield {"i": 3}


def row_then_hang(request):
    yield {"i": 0}
    while True:
        time.sleep(60)


def hang(request):
    while True:
        time.sleep(60)


def large_row(request):
    yield {"blob": "x" * request["size_bytes"]}


def large_answer(request):
    return "x" * request["size_bytes"]


def die(request):
    """A few rows, then the end that the request names."""
    for i in range(request.get("rows", 0)):
        yield {"i": i}
    how = request["how"]
    if how == "exit":
        os._exit(request.get("code", 0))
    os.kill(os.getpid(), getattr(signal, how))
    time.sleep(60)


def leave(request):
    sys.exit(request)


def perform(request):
    """Some rows, then the end that `then` names: "ok", "raise", "hang", "endless", "end parent", or a signal; `once`:
    only if that file was not there, which it is from then on."""
    for i in range(request.get("rows", 0)):
        yield {"i": i}
    then = request.get("then", "ok")
    if "once" in request:
        if Path(request["once"]).exists():
            then = "ok"
        Path(request["once"]).touch()
    if then == "raise":
        raise ValueError("the function says no")
    if then.startswith("SIG"):
        os.kill(os.getpid(), getattr(signal, then))
    if then == "end parent":
        os.kill(os.getppid(), signal.SIGKILL)
        then = "hang"
    while then == "hang":
        time.sleep(60)
    while then == "endless":
        yield {"i": -1}
    return {"pid": os.getpid()}


def obey(request):
    """`perform` of what the file that the request names says now: the request is the same, its end is another."""
    return (yield from perform({"then": Path(request["file"]).read_text()}))


def rows_or_death(request):
    """So many rows, and after them the end by a signal, if the request names one."""
    for i in range(request["count"]):
        yield {"i": i}
    if "how" in request:
        os.kill(os.getpid(), getattr(signal, request["how"]))
        time.sleep(60)


def stray_print(request):
    print("hello from hosted code", flush=True)
    os.write(1, b"raw bytes on descriptor 1\n")
    yield {"i": 0, "stdin": sys.stdin.read()}


def flood_stderr(request):
    yield {"i": 0}
    line = b"e" * 1023 + b"\n"
    for _ in range(request["kib"]):
        os.write(2, line)
    yield {"i": 1}


def write_stderr(request):
    os.write(2, request.encode())


def grandchild(request):
    """Start a program that would outlive this process; answers its process id."""
    code = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"
    )
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    child.stdout.readline()
    return child.pid


def about_me(request):
    return {"pid": os.getpid(), "modules": sorted(name for name in sys.modules if name.startswith("lean_worker"))}


_held = []


def hold_memory(request):
    """Take private memory, in MiB, and keep it; then hang if asked to."""
    _held.append(b"x" * (request["mib"] << 20))
    while request.get("hang"):
        time.sleep(60)
    return len(_held)


def map_shared(request):
    """Map a file and read all of it: resident memory that is shared, not private."""
    with open(request["path"], "rb") as file:
        _held.append(mmap.mmap(file.fileno(), 0, mmap.MAP_SHARED, mmap.PROT_READ))
    total = sum(_held[-1][i] for i in range(0, len(_held[-1]), 4096))
    time.sleep(request.get("seconds", 0))
    return total


def _private_descriptors(kind):
    """The protocol's own descriptors whose target has `kind` in its name."""
    found = []
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):  # the listing's own descriptor
            if int(name) > 2 and kind in os.readlink(f"/proc/self/fd/{name}"):
                found.append(int(name))
    return found


def ring_descriptors():
    """The ring's memory, the end of the pipe that wakes the parent, and of the one that wakes this process."""
    offer = next(v for v in Path("/proc/self/environ").read_bytes().split(b"\0") if v.startswith(b"LEAN_WORKER_RING="))
    return [int(number) for number in offer.partition(b"=")[2].split(b",")[:3]]


def break_ring(request):
    """Write over the counts of the ring, and wake its reader."""
    yield {"i": 0}
    memory, wake, _ = ring_descriptors()
    mmap.mmap(memory, 4096)[0:8] = b"\xff" * 8
    os.write(wake, b"!")
    time.sleep(600)


def shrink_ring(request):
    (memory,) = _private_descriptors("memfd:lean-worker")
    os.ftruncate(memory, 0)


def write_past_ring(request):
    """Write to every pipe that is not one of the standard three."""
    yield {"i": 0}
    for descriptor in _private_descriptors("pipe:"):
        with contextlib.suppress(OSError):
            os.write(descriptor, b"hello")
    time.sleep(600)


def inherited(request):
    """What a program sees that this process starts: descriptors beyond the standard ones, and the offer."""
    code = "import os; print([f for f in os.listdir('/proc/self/fd') if int(f) > 3], 'LEAN_WORKER_RING' in os.environ)"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, close_fds=False).stdout.strip()


def busy_us(request):
    """CPU time of this process, in microseconds."""
    return int(time.process_time() * 1e6)


def metadata(request):
    return {
        "commands": [{"name": "rows", "version": "1"}],
        "capabilities": [{"name": "rows.json", "version": "1"}],
        "lean_version": None,
        "extra": None,
    }


def doctor(request):
    return {"diagnostics": [{"severity": "pass", "code": "ok", "message": "ready", "details": None}], "metadata": None}


def doctor_malformed(request):
    return {"diagnostics": [{"severity": "bogus", "code": "x", "message": "y"}]}


def deep_summary(request):
    """No row, and a summary of so many levels."""
    yield from ()
    value = []
    for _ in range(request["depth"] - 1):
        value = [value]
    return value


def answer_nan(request):
    return {"x": float("nan")}


def rows_of_nan(request):
    yield {"x": 1.0, "y": None}
    yield answer_nan(request)


COMMANDS = {
    name: value
    for name, value in list(globals().items())
    if callable(value) and getattr(value, "__module__", "") == __name__
}
