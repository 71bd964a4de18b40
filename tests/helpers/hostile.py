"""Hostile bytes between real processes, in both directions; counts what becomes of them.

    python tests/helpers/hostile.py children [COUNT]    a child whose conversation is mutated, one process a case, against us
    python tests/helpers/hostile.py clients [COUNT]     mutated frames against live children that host Python functions
    python tests/helpers/hostile.py lean-clients [COUNT]   the same against live children that host real Lean

Ten thousand cases by default (300 for Lean). Each case must end in one of the documented ways within its time limit;
the rows of a stream must be gapless; memory, descriptors, threads and processes must be back where they were. A broken
rule ends the command with an AssertionError that names the seed.
"""

from __future__ import annotations

import argparse
import collections
import gc
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).parent))

import lean_worker as lw
from accounts import check_gapless
from lean_worker.wire import protocol
from lean_worker.wire.envelope import Message
from lean_worker.wire.frames import FrameReader, Row, encode_frame, encode_row
from support import HOSTS

REPLAY = HOSTS / "replay.py"
SLOWEST_SECONDS = 60.0
GROWTH_KIB = 32 << 10
WORDS = [
    *(b'"', b"\\", b"{", b"}", b"[", b"]", b",", b":", b"\0", b"\xff", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\xc0\x80"),
    *(b"\\ud800", b"\\u0000", b"NaN", b"-", b"1e999", b"9" * 30, b"null", b"true", b"[" * 2000, b'{"a":' * 600),
    *(b'"version":11', b'"sequence":1', b'"type":"data_row"', b'"type":"response"', b'"status":"health_ok"'),
    *(b'"op":"health"', b'"op":"elaborate"', b'"request_json":"[1,"', b"\xff\xff\xff\xff", b"\0\0\0\0", b"\0\0\0\1{"),
]


def mutated(rand: random.Random, data: bytes) -> bytes:
    """`data` after one to four small disasters."""
    text = bytearray(data)
    for _ in range(rand.choice([1, 1, 1, 2, 4])):
        at = rand.randrange(len(text) + 1)
        kind = rand.randrange(6)
        if kind == 0 and at < len(text):
            text[at] = rand.randrange(256)
        elif kind == 1:
            text[at:at] = rand.choice(WORDS)
        elif kind == 2:
            del text[at : at + rand.choice([1, 2, 10, 100])]
        elif kind == 3:
            end = at + rand.choice([1, 4, 20, 100])
            text[at:at] = text[at:end]
        elif kind == 4:
            word = rand.choice(WORDS)
            text[at : at + len(word)] = word
        else:
            del text[at:]
    return bytes(text)


def body_mutated(rand: random.Random, frame: bytes) -> bytes:
    """A frame whose length is right and whose body is not."""
    return encode_frame(mutated(rand, frame[4:]), 1 << 28)


def _same_as_before(before: tuple[int, int, int], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while True:
        gc.collect()
        now = _held()
        if all(a <= b for a, b in zip(now, before)):
            return
        assert time.monotonic() < end, f"left behind: {now} instead of {before} processes, threads, descriptors"
        time.sleep(0.01)


def _held() -> tuple[int, int, int]:
    return len(psutil.Process().children()), threading.active_count(), len(os.listdir("/proc/self/fd"))


def _resident_kib() -> int:
    return psutil.Process().memory_info().rss >> 10


def _in_threads(count: int, threads: int, one: Callable[[int], None]) -> None:
    """`one(i)` for every i below `count`, on several threads; the first failure is raised."""
    numbers = iter(range(count))
    lock = threading.Lock()
    failures: list[BaseException] = []

    def work() -> None:
        while not failures:
            with lock:
                number = next(numbers, None)
            if number is None:
                return
            try:
                one(number)
            except BaseException as error:
                failures.append(error)

    workers = [threading.Thread(target=work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    if failures:
        raise failures[0]


# -- a hostile child against us --


def conversation(rand: random.Random) -> tuple[bytes, list[bytes]]:
    """A handshake, and the frames of a good answer."""
    features = rand.choice([[]] * 6 + [["cancel"]] * 6 + [["other"], ["cancel", "ring"]])
    rows = rand.choice([0, 1, 3, 20])
    frames = [encode_row("rows", i, b'{"i":%d,"name":"decl"}' % i) for i in range(rows)]
    for _ in range(rand.randrange(3)):
        event = rand.choice([protocol.DiagnosticBody("a.b", "text"), protocol.ProgressBody("scan", 1, 2)])
        frames.insert(rand.randrange(len(frames) + 1), protocol.encode(event))
    summary = protocol.WireSummary(rows, {"rows": rows} if rows else {}, 1)
    frames.append(protocol.encode(protocol.StreamComplete(summary)))
    return protocol.encode(protocol.Handshake("1", protocol.PROTOCOL_VERSION, features)), frames


def hostile_conversation(rand: random.Random) -> tuple[bytes, bytes, bytes]:
    """The first words of a child, its answer, and its end; one of them is wrong, or nothing."""
    handshake, frames = conversation(rand)
    how = rand.randrange(10)
    if how == 0:
        handshake = rand.choice([mutated, body_mutated])(rand, handshake)
    elif how <= 4:
        at = rand.randrange(len(frames))
        frames[at] = body_mutated(rand, frames[at])
    elif how == 5:
        rand.shuffle(frames)
    elif how == 6:
        at = rand.randrange(len(frames))
        frames[at:at] = [rand.choice([*frames, handshake])] * rand.choice([1, 2, 50])
    elif how == 7:
        del frames[rand.randrange(len(frames))]
    answer = b"".join(frames)
    if how == 8:
        answer = mutated(rand, answer)
    then = rand.choice([b"wait"] * 6 + [b"exit", b"exit", b"close", b"hang"])
    return handshake, answer, then


def run_children(count: int, seed: int, threads: int = 4) -> dict[str, object]:
    """`count` hostile children, each a process of its own."""
    outcomes: collections.Counter[str] = collections.Counter()
    slowest = [0.0]
    lock = threading.Lock()
    folder = Path(tempfile.mkdtemp(dir="/dev/shm" if os.path.isdir("/dev/shm") else None))
    command = lw.StreamingCommand("rows")
    timeouts = lw.Timeouts(startup=30, request=30, inactivity=1.0, shutdown=0.5, cancel_grace=0.5)
    restarts = lw.RestartPolicy(max_restarts=None, backoff=0, poison_after=None)
    memory: list[int] = []

    def one(number: int) -> None:
        rand = random.Random(f"{seed} {number}")
        path = folder / str(number)
        path.write_bytes(b"".join(len(part).to_bytes(4, "big") + part for part in hostile_conversation(rand)))
        rows: list[lw.DataRow] = []
        began = time.monotonic()
        outcome = "ok"
        try:
            with pool.lease(lw.ProcessCapability([sys.executable, "-S", "-E", str(REPLAY), str(path)])) as lease:
                lease.run(command, number, on_row=rows.append)
        except lw.LeanWorkerError as error:
            assert isinstance(error, (lw.ProtocolError, lw.RequestLost, lw.CommandFailed, lw.DecodeError)), repr(error)
            assert len(str(error)) < 20_000, "an error's text is short, whatever was sent"
            assert error.facts.get("rows_delivered", 0) == len(rows), (seed, number, error)
            outcome = type(error).__name__
        elapsed = time.monotonic() - began
        check_gapless(rows, (seed, number))
        path.unlink()
        with lock:
            outcomes[outcome] += 1
            slowest[0] = max(slowest[0], elapsed)
            assert elapsed < SLOWEST_SECONDS, (seed, number, "wedged")
            if sum(outcomes.values()) in (count // 4, count):
                gc.collect()
                memory.append(_resident_kib())

    before = _held()
    try:
        with lw.Pool(max_workers=threads, timeouts=timeouts, restarts=restarts) as pool:
            _in_threads(count, threads, one)
        told = dict(pool.snapshot().outcomes)
    finally:
        shutil.rmtree(folder)
    _same_as_before((before[0], before[1] + 1, before[2] + 6))  # the monitor's own
    assert memory[-1] - memory[0] < GROWTH_KIB, memory
    return _report("children", count, seed, outcomes, slowest[0], memory, {"outcomes told by the pool": told})


# -- a hostile client against our children --


def client_frames(lean: bool) -> list[bytes]:
    """A well-formed message of a parent."""
    requests: list[protocol.Request] = [
        protocol.Health(),
        protocol.RunJsonCommand("echo", '{"a":[1,2.5,"x"]}'),
        protocol.RunDataStream("declarations" if lean else "rows", "3" if lean else '{"count":3}', True),
        protocol.RunDataStream("no_such", "null"),
        protocol.CapabilityMetadata("metadata", "null"),
        protocol.CapabilityDoctor("doctor", "null"),
        protocol.RunJsonCommand("refuse" if lean else "fail", '"no"'),
    ]
    return [protocol.encode(request) for request in requests] + [protocol.encode(protocol.Cancel())]


def hostile_request(rand: random.Random, lean: bool) -> bytes:
    """A request that is well formed, of hostile texts."""
    texts = [mutated(rand, b'{"a":[1,2.5,"x"],"count":2}'), rand.choice(WORDS), b"null"]
    names = ["echo", "metadata", "doctor", "declarations" if lean else "rows", "refuse" if lean else "fail"]
    body = {
        "op": rand.choice(["json_command", "run_data_stream", "capability_metadata", "capability_doctor", "elaborate"]),
        "export": rand.choice([*names, mutated(rand, b"rows").decode("utf-8", "replace"), "x" * 70_000]),
        "request_json": rand.choice(texts).decode("utf-8", "replace") * rand.choice([1, 1, 1, 300]),
        "progress": rand.random() < 0.5,
    }
    return protocol.encode_message("request", json.dumps(body).encode(), 1 << 28)


class Client:
    """A parent that keeps to nothing, and its child."""

    def __init__(self, argv: list[str]) -> None:
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        assert self.process.stdin is not None and self.process.stdout is not None
        self._requests, self._frames = self.process.stdin.fileno(), self.process.stdout.fileno()
        self._reader = FrameReader(protocol.DEFAULT_FRAME_BYTES)

    def say(self, data: bytes) -> None:
        try:
            while data:
                data = data[os.write(self._requests, data) :]
        except BrokenPipeError:
            pass

    def hear(self) -> list[Row | Message] | None:
        """The child's words so far, at least one frame; None at its end. All of it has to be of the protocol."""
        while not (items := self._reader.take()):
            data = os.read(self._frames, 1 << 18)
            if not data:
                assert not self._reader.pending_bytes, "a child cut a frame off"
                return None
            self._reader.feed(data)
        return items

    def close(self) -> int:
        """Close both pipes and wait for the child."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.close()
        code = self.process.wait(SLOWEST_SECONDS)
        self.process.stdout.close()
        return code


def run_clients(count: int, seed: int, *, lean: bool = False, threads: int = 2) -> dict[str, object]:
    """`count` hostile frames against live children; each is followed by a request of our own, whose answer tells life from death."""
    outcomes: collections.Counter[str] = collections.Counter()
    slowest = [0.0]
    lock = threading.Lock()
    clients = threading.local()
    all_clients: list[Client] = []
    started = [0]
    good = client_frames(lean)
    child_kib: list[int] = []

    def start() -> Client:
        client = Client(_lean_argv() if lean else _python_argv())
        with lock:
            all_clients.append(client)
            started[0] += 1
        assert client.hear() is not None, "the child did not come up"
        return client

    def one(number: int) -> None:
        rand = random.Random(f"{seed} {number}")
        if getattr(clients, "mine", None) is None:
            clients.mine = start()
            first = protocol.encode(protocol.ConfigureFrameLimit(1 << 20))
            if rand.random() < 0.1:
                hostile = rand.choice([mutated, body_mutated])(rand, first)
                return finish("limit", hostile, number)
            clients.mine.say(first)
        how = rand.choice(["content"] * 6 + ["body"] * 4 + ["raw", "good"])
        frame = hostile_request(rand, lean) if how == "content" else rand.choice(good)
        if how in ("body", "raw"):
            frame = (body_mutated if how == "body" else mutated)(rand, frame)
        finish(how, frame, number)

    def finish(how: str, hostile: bytes, number: int) -> None:
        client: Client = clients.mine
        began = time.monotonic()
        killer = threading.Timer(SLOWEST_SECONDS, client.process.kill)
        killer.start()
        try:
            marker = json.dumps(f"case {number}")
            client.say(hostile + protocol.encode(protocol.RunJsonCommand("echo", marker)))
            if how in ("raw", "limit"):
                # A length that promises more than was sent is no wedge: the end of the pipe tells.
                client.process.stdin.close()  # type: ignore[union-attr]
            outcome = _until_answered(client, marker)
            if outcome != "answered" or how in ("raw", "limit"):
                code = client.close()
                clients.mine = None
                with lock:
                    all_clients.remove(client)  # each holds a reader's buffer
                outcome = f"{outcome}, exit code {code}" if outcome != "answered" else outcome
                assert code in (0, 1), (seed, hostile, code)
        finally:
            killer.cancel()
        elapsed = time.monotonic() - began
        assert elapsed < SLOWEST_SECONDS, (seed, hostile, "wedged")
        with lock:
            outcomes[f"{how}: {outcome}"] += 1
            slowest[0] = max(slowest[0], elapsed)
            if outcome == "answered" and clients.mine is not None:
                child_kib.append(psutil.Process(client.process.pid).memory_info().rss >> 10)

    before = _held()
    memory = [_resident_kib()]
    try:
        _in_threads(count, threads, one)
    finally:
        for client in all_clients:
            client.process.kill()
            client.close()
    gc.collect()
    memory.append(_resident_kib())
    _same_as_before(before)
    assert memory[-1] - memory[0] < GROWTH_KIB, memory
    more = {"children started": started[0], "largest child (KiB)": max(child_kib, default=0)}
    return _report("Lean clients" if lean else "clients", count, seed, outcomes, slowest[0], memory, more)


def _until_answered(client: Client, marker: str) -> str:
    """Read until the answer to the request that nobody but this case made, or the end."""
    while (items := client.hear()) is not None:
        for item in items:
            body = protocol.decode(item) if isinstance(item, Message) else None
            if isinstance(body, protocol.JsonResult) and body.response_json == marker:
                return "answered"
    return "ended"


def _python_argv() -> list[str]:
    code = f"import sys; sys.path.insert(0, {str(HOSTS)!r}); import runpy; runpy.run_module('lean_worker.child', run_name='__main__')"
    return [sys.executable, "-c", code, "python", "functions:COMMANDS"]


def _lean_argv() -> list[str]:
    from raw_child import LEAN
    from support import embedded_library

    script = str(LEAN / "Interop.lean")
    return [sys.executable, "-m", "lean_worker.child", "lean", "--library", str(embedded_library()), "--script", script]


def _report(
    what: str,
    count: int,
    seed: int,
    outcomes: dict[str, int],
    slowest: float,
    memory: list[int],
    more: dict[str, object],
) -> dict[str, object]:
    assert sum(outcomes.values()) == count
    return {
        "what": what,
        "cases": count,
        "seed": seed,
        "wedged": 0,
        "slowest_seconds": round(slowest, 2),
        "our_memory_kib": memory,
        **more,
        "outcomes": dict(sorted(outcomes.items(), key=lambda item: -item[1])),
    }


RUNS: dict[str, Callable[[int, int], dict[str, object]]] = {
    "children": run_children,
    "clients": run_clients,
    "lean-clients": lambda count, seed: run_clients(count, seed, lean=True),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=RUNS)
    parser.add_argument("count", nargs="?", type=int)
    parser.add_argument("--seed", type=int)
    options = parser.parse_args()
    seed = random.randrange(1 << 32) if options.seed is None else options.seed
    count = options.count or (300 if options.what == "lean-clients" else 10_000)
    began = time.monotonic()
    for name, value in RUNS[options.what](count, seed).items():
        if isinstance(value, dict):
            print(name)
            for key, number in value.items():
                print(f"  {number:>8}  {key}")
        else:
            print(f"{name:24}{value}")
    print(f"{'seconds':24}{time.monotonic() - began:.1f}")


if __name__ == "__main__":
    main()
