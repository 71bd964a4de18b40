"""Hosts Lean itself as a checker of files: one run of `lean --json` a request, from a Lean that is initialised already.

Lean's own JSON messages are the rows, and how Lean ended is the summary of a stream that succeeds: also a crash is an
answer to the question what Lean makes of a file. What it amounts to is the parent's business. If the parent asks for
it, Lean compiles the file too, and its module is looked through for `sorry` (`sorry_search`).

Files with the same imports are run by a holder, which has imported them already (`elaborator`).
"""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from ..base import removal
from ..errors import CapabilityError
from ..wire import protocol
from ..wire.file_messages import CheckEnd, FileToCheck, ModuleFindings, Way
from ..wire.frames import RowWriter
from .compiled_module import MODULE_FILE
from .elaborator import Elaborator
from .file_run import environment
from .header_holders import Header, Holders, header_of
from .lines_host import reply
from .loop import Command, RequestLoop
from .output import Ended
from .programs import Keeper, Programs
from .sandbox import Rules
from .sorry_search import search

COMMAND = "check"
_NAMELESS_FILE = "nameless.json"
_NAMELESS = b'{"name":"_stdin","isModule":false,"importArts":{},"dynlibs":[],"plugins":[],"options":{}}'


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
    elaborator = Elaborator(programs, keeper, holders, writer)
    loop.on_cancel(programs.wake)
    loop.open()
    while (command := loop.next_command()) is not None:
        if command.export != COMMAND or command.kind != "stream":
            loop.reply_unknown(command, [COMMAND])
            continue
        try:
            file = msgspec.json.decode(command.request_json, type=FileToCheck)
        except msgspec.DecodeError as error:
            loop.reply_failed(command, protocol.CODE_REQUEST_REFUSED, f"the request does not fit: {error}")
            continue
        started = time.monotonic()
        try:
            with _with_setup(file, setups) as ready:
                job: dict[str, Any] = {"lean": ["--json", *ready.arguments], "cwd": directory}
                job["readable"] = file.readable
                if file.seeks_sorry:
                    job["output"] = MODULE_FILE
                    if not file.setup and _is_outside(file, directory):
                        job["lean"].insert(0, f"--setup={_nameless(setups)}")
                held_arguments = ["--json", *ready.arguments[:-1]]
                ended, ran_as = elaborator.run(
                    job, file.text, file.timeout, _header_of(file), held_arguments, file.kill_above_kib
                )
        except OSError as error:
            print(f"lean-worker child: running Lean: {error}", file=sys.stderr, flush=True)
            return protocol.EXIT_HOST_RETURNED
        seconds = time.monotonic() - started
        try:
            has_ended = ended.exit_code == 0 and not ended.timed_out and not ended.cancelled
            findings = search(ended.directory) if file.seeks_sorry and has_ended else None
        finally:
            if ended.directory is not None:
                removal.remove(ended.directory)
        _reply(loop, command, ended, seconds, ran_as, findings)
    holders.close()
    keeper.close()
    return 0


def _header_of(file: FileToCheck) -> Header | None:
    own = len(file.arguments) - 1
    return header_of(file.text, file.arguments[own], file.arguments[:own], file.setup) if file.reuse_imports else None


def _is_outside(file: FileToCheck, directory: str | None) -> bool:
    """Whether Lean finds no module's name in the file's path, so that it would compile nothing."""
    if file.text is not None:
        return False
    here = os.path.join(os.path.realpath(directory or "."), "")
    return not os.path.realpath(os.path.join(here, file.arguments[-1])).startswith(here)


def _nameless(directory: str) -> str:
    """A file that gives a module the name that it has for Lean if Lean finds none, and nothing else."""
    place = os.path.join(directory, _NAMELESS_FILE)
    if not os.path.exists(place):
        Path(place).write_bytes(_NAMELESS)
    return place


@contextlib.contextmanager
def _with_setup(file: FileToCheck, directory: str) -> Iterator[FileToCheck]:
    """Give Lake's answer about a file to Lean, as Lake does itself: as a file."""
    if not file.setup:
        yield file
        return
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", suffix=".setup.json", dir=directory) as stream:
        stream.write(file.setup)
        stream.flush()
        yield msgspec.structs.replace(file, arguments=[f"--setup={stream.name}", *file.arguments])


def _reply(
    loop: RequestLoop, command: Command, ended: Ended, seconds: float, ran_as: Way, findings: ModuleFindings | None
) -> None:
    refused = ended.cancelled or ended.malformed is not None or ended.too_large is not None
    if refused or ended.not_started is not None:
        reply(loop, command, ended, "Lean", None)
    else:
        end = CheckEnd(
            ended.exit_code,
            ended.signal,
            ended.timed_out,
            round(seconds, 6),
            ran_as,
            ended.import_seconds,
            ended.killed_at_kib,
            findings,
        )
        loop.reply_ok(command, msgspec.json.encode(end).decode())
