"""Hosts Lean itself as a checker of files: one run of `lean --json` a request, from a Lean that is initialised already.

Owns what Lean finds (its module path), the deadline of a file, and when a file is run a second time. Lean's own JSON
messages are the rows, and how Lean ended is the summary of a stream that succeeds: also a crash is an answer to the
question what Lean makes of a file. What it amounts to is the parent's business.

A file that reaches its deadline after hardly any work is run again in a process of its own: what it waited for may be a
thread that a fork of an initialised Lean does not have.
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from .. import protocol
from ..errors import CapabilityError
from ..frames import STATUS_MALFORMED, STATUS_OK, RowWriter
from . import olean_cache
from .lines_host import reply
from .loop import Command, RequestLoop
from .output import STREAM, Ended
from .programs import Keeper, Programs
from .sandbox import Rules

COMMAND = "check"
_IDLE_SHARE = 0.05


class _File(msgspec.Struct, frozen=True):
    """One file on the wire; keys that only the parent needs are passed over."""

    arguments: list[str]
    text: str | None
    timeout: float | None
    setup: str = ""


class _End(msgspec.Struct, frozen=True):
    """How Lean ended with a file, on the wire."""

    exit_code: int | None
    signal: str | None
    timed_out: bool
    seconds: float


def serve(
    loop: RequestLoop,
    writer: RowWriter,
    library: str,
    paths: Sequence[str],
    directory: str | None,
    rules: Rules | None,
) -> int:
    """Check files until the parent says `terminate`; the return value is the process's exit code.

    Args:
        loop: The conversation with the parent.
        writer: The writer of its frames.
        library: Path of `libleanshared`.
        paths: Directories in which Lean finds modules, besides its own.
        directory: Where Lean runs; None for the parent's directory.
        rules: What a file may touch.
    """
    try:
        keeper = Keeper(library, _environment(Path(library), paths), rules)
    except (CapabilityError, OSError) as error:
        print(f"lean-worker child: {error}", file=sys.stderr, flush=True)
        return protocol.EXIT_HOST_FAILED
    programs = Programs(writer, keeper, "diagnostic", "diagnostics", lambda: loop.is_cancelled)
    loop.on_cancel(programs.wake)
    loop.open()
    while (command := loop.next_command()) is not None:
        if command.export != COMMAND or command.kind != "stream":
            loop.reply_unknown(command)
            continue
        try:
            file = msgspec.json.decode(command.request_json, type=_File)
        except msgspec.DecodeError as error:
            loop.reply_failed(command, protocol.CODE_COMMAND_FAILED, f"the request does not fit: {error}")
            continue
        started = time.monotonic()
        try:
            with _with_setup(file) as ready:
                ended = _check(programs, keeper, writer, ready, directory)
        except OSError as error:
            print(f"lean-worker child: running Lean: {error}", file=sys.stderr, flush=True)
            return protocol.EXIT_HOST_RETURNED
        _reply(loop, command, ended, time.monotonic() - started)
    keeper.close()
    return 0


def _environment(library: Path, paths: Sequence[str]) -> dict[str, str]:
    standard = olean_cache.standard_modules(library)
    # The embedded Lean has no library of its own; what there is to import is ours.
    parts = [*paths, str(olean_cache.prepare(library) if standard is None else standard)]
    inherited = os.environ.get("LEAN_PATH")
    return {**os.environ, "LEAN_PATH": os.pathsep.join(parts + ([inherited] if inherited else []))}


@contextlib.contextmanager
def _with_setup(file: _File) -> Iterator[_File]:
    """Give Lake's answer about a file to Lean, as Lake does itself: as a file in this worker's temporary directory."""
    if not file.setup:
        yield file
        return
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", suffix=".setup.json") as stream:
        stream.write(file.setup)
        stream.flush()
        yield msgspec.structs.replace(file, arguments=[f"--setup={stream.name}", *file.arguments])


def _check(programs: Programs, keeper: Keeper, writer: RowWriter, file: _File, directory: str | None) -> Ended:
    stdin = b"" if file.text is None else file.text.encode("utf-8", "surrogatepass")
    job = {"lean": ["--json", *file.arguments], "cwd": directory}
    messages = _Messages(writer)
    ended = programs.run(job, stdin, messages.put, file.timeout)
    is_idle = file.timeout is not None and ended.cpu_seconds < _IDLE_SHARE * file.timeout
    if ended.timed_out and not ended.cancelled and is_idle and keeper.mode == "fork":
        messages.begin_again()
        again = programs.run({**job, "fresh": True}, stdin, messages.put, file.timeout)
        # Lean says the same of a file each time. If it does not, what it said first stands.
        ended = ended if messages.differ else again
    return ended


class _Messages:
    """Where Lean's messages go: each once, also when a file is run again."""

    def __init__(self, writer: RowWriter) -> None:
        self._writer = writer
        self._sent: list[bytes] = []
        self._repeated: int | None = None
        self.differ = False

    def begin_again(self) -> None:
        """The messages that were sent come once more."""
        self._repeated = 0

    def put(self, line: bytes) -> int:
        """Write one message, unless it was written before."""
        if self._repeated is None or self._repeated == len(self._sent):
            if self._repeated is None:
                self._sent.append(line)
            return self._writer.row(STREAM, line)
        if line != self._sent[self._repeated]:
            self.differ = True
            return STATUS_MALFORMED
        self._repeated += 1
        return STATUS_OK


def _reply(loop: RequestLoop, command: Command, ended: Ended, seconds: float) -> None:
    refused = ended.cancelled or ended.malformed is not None or ended.too_large is not None
    if refused or ended.not_started is not None:
        reply(loop, command, ended, "Lean", None)
    else:
        end = _End(ended.exit_code, ended.signal, ended.timed_out, round(seconds, 6))
        loop.reply_ok(command, msgspec.json.encode(end).decode())
