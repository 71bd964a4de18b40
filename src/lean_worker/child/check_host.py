"""Hosts Lean itself as a checker of files: one run of `lean --json` a request, from a Lean that is initialised already.

Lean's own JSON messages are the rows, and how Lean ended is the summary of a stream that succeeds: also a crash is an
answer to the question what Lean makes of a file. What it amounts to is the parent's business.

Files with the same imports are run by a holder, which has imported them already (`holders`). A file that the holder
refuses, or whose holder is lost, is run again without one.
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from ..errors import CapabilityError
from ..wire import protocol
from ..wire.frames import RowWriter
from .elaboration import Messages, elaborate_once, environment
from .holders import OTHER_HEADER, Holders, header_of
from .lines_host import reply
from .loop import Command, RequestLoop
from .output import Ended
from .programs import Keeper, Programs
from .sandbox import Rules

COMMAND = "check"
# By the mode of the keeper.
_WAYS = {"held": "held", "fork": "fork", "spawn": "process", "exec": "process"}


class _File(msgspec.Struct, frozen=True):
    """One file on the wire; keys that only the parent needs are passed over."""

    arguments: list[str]
    text: str | None
    timeout: float | None
    setup: str = ""
    reuse_imports: bool = True


class _End(msgspec.Struct, frozen=True):
    """The end of Lean with a file, on the wire."""

    exit_code: int | None
    signal: str | None
    timed_out: bool
    seconds: float
    ran_as: str
    import_seconds: float | None
    holders: int


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
        # Files that are locked in read their settings here, and cannot change those of others.
        setups = tempfile.mkdtemp(prefix="setup-")
        rules = None if rules is None else rules.with_readable(setups)
        lean_environment = environment(Path(library), paths, takes_inherited=True)
        keeper = Keeper(library, lean_environment, rules)
    except (CapabilityError, OSError) as error:
        print(f"lean-worker child: {error}", file=sys.stderr, flush=True)
        return protocol.EXIT_HOST_FAILED
    programs = Programs(writer, keeper, "diagnostic", "diagnostics", lambda: loop.is_cancelled)
    holders = Holders(keeper, lean_environment["LEAN_PATH"], directory, programs.wake_descriptor)
    checker = _Checker(programs, keeper, holders, writer, directory)
    loop.on_cancel(programs.wake)
    loop.open()
    while (command := loop.next_command()) is not None:
        if command.export != COMMAND or command.kind != "stream":
            loop.reply_unknown(command, [COMMAND])
            continue
        try:
            file = msgspec.json.decode(command.request_json, type=_File)
        except msgspec.DecodeError as error:
            loop.reply_failed(command, protocol.CODE_REQUEST_REFUSED, f"the request does not fit: {error}")
            continue
        started = time.monotonic()
        try:
            with _with_setup(file, setups) as ready:
                ended, ran_as = checker.check(file, ready.arguments)
        except OSError as error:
            print(f"lean-worker child: running Lean: {error}", file=sys.stderr, flush=True)
            return protocol.EXIT_HOST_RETURNED
        _reply(loop, command, ended, time.monotonic() - started, ran_as, len(holders))
    holders.close()
    keeper.close()
    return 0


@contextlib.contextmanager
def _with_setup(file: _File, directory: str) -> Iterator[_File]:
    """Give Lake's answer about a file to Lean, as Lake does itself: as a file."""
    if not file.setup:
        yield file
        return
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", suffix=".setup.json", dir=directory) as stream:
        stream.write(file.setup)
        stream.flush()
        yield msgspec.structs.replace(file, arguments=[f"--setup={stream.name}", *file.arguments])


class _Checker:
    """Runs files, each in the way that fits it."""

    def __init__(
        self, programs: Programs, keeper: Keeper, holders: Holders, writer: RowWriter, directory: str | None
    ) -> None:
        self._programs = programs
        self._keeper = keeper
        self._holders = holders
        self._writer = writer
        self._directory = directory

    def check(self, file: _File, arguments: list[str]) -> tuple[Ended, str]:
        """Run a file to its end.

        Args:
            file: The file.
            arguments: Lean's arguments for it.

        Returns:
            How it ended, and which way it ran.
        """
        stdin = b"" if file.text is None else file.text.encode("utf-8", "surrogatepass")
        job = {"lean": ["--json", *arguments], "cwd": self._directory}
        messages = Messages(self._writer)
        ended = self._run_held(file, arguments, job, stdin, messages)
        if ended is not None:
            return ended, "held"
        ended, mode = elaborate_once(self._programs, self._keeper, messages, job, stdin, file.timeout)
        return ended, _WAYS[mode]

    def _run_held(
        self, file: _File, arguments: list[str], job: Mapping[str, object], stdin: bytes, messages: Messages
    ) -> Ended | None:
        """Run a file in a holder; None if it has to be run without one, its messages until then not to be repeated."""
        own = len(file.arguments) - 1
        if not file.reuse_imports:
            return None
        header = header_of(file.text, file.arguments[own], file.arguments[:own], file.setup)
        if header is None:
            return None
        holder = self._holders.take(header, ["--json", *arguments[:-1]], file.timeout)
        if holder is None:
            return None
        try:
            ended = self._programs.run(job, stdin, messages.put, file.timeout, holder)
        except (OSError, ValueError):
            # It was killed, perhaps for want of memory; the file is not to blame until it does the same to the keeper.
            self._holders.drop(header)
            messages.begin_again()
            return None
        if ended.not_started is not None:
            self._holders.drop(header)
            return None
        if ended.exit_code != OTHER_HEADER or ended.cancelled or ended.timed_out:
            return ended
        if not messages.begin_again():
            self._holders.fail(header)
        return None


def _reply(loop: RequestLoop, command: Command, ended: Ended, seconds: float, ran_as: str, holder_count: int) -> None:
    refused = ended.cancelled or ended.malformed is not None or ended.too_large is not None
    if refused or ended.not_started is not None:
        reply(loop, command, ended, "Lean", None)
    else:
        end = _End(
            ended.exit_code,
            ended.signal,
            ended.timed_out,
            round(seconds, 6),
            ran_as,
            ended.import_seconds,
            holder_count,
        )
        loop.reply_ok(command, msgspec.json.encode(end).decode())
