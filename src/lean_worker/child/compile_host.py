"""Hosts Lean as a compiler of strangers' files: runs Lean on one, and emits its messages and what it declares as rows.

Turns a compiled module back into rows. Lean writes the module into a directory of this run alone. It is read here, as
bytes, once nothing of the run is left. Nothing that Lean or the file says is believed: rows are claims, which a judge
replays (`judge_host`).
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from ..base import removal
from ..errors import CapabilityError
from ..wire import protocol
from ..wire.file_messages import CompileEnd, FileToCompile, messages_stream
from ..wire.frames import STATUS_OK, RowWriter
from .compiled_module import MODULE_FILE, parts_in
from .elaborator import Elaborator
from .file_run import environment
from .header_holders import Holders, header_of
from .lines_host import reply
from .loop import Command, RequestLoop
from .output import Ended
from .programs import Keeper, Programs
from .rechecker import Rechecker
from .sandbox import Rules
from .verification.export import export
from .verification.objects import BadModule

COMMAND = "compile"
TERMS_STREAM = "terms"
MAX_MODULE_BYTES = 1 << 26
_READING_SECONDS = 120.0


def serve(
    loop: RequestLoop,
    writer: RowWriter,
    library: str,
    paths: Sequence[str],
    directory: str | None,
    rules: Rules | None,
    checker: str | None,
) -> int:
    """Compile files until the parent says `terminate`; the return value is the process's exit code.

    The arguments are those of `check_host.serve`, and the path of leanchecker, if modules should be rechecked.
    """
    try:
        lean_environment = environment(Path(library), paths, takes_inherited=False)
        keeper = Keeper(library, lean_environment, rules)
    except (CapabilityError, OSError) as error:
        print(f"lean-worker child: {error}", file=sys.stderr, flush=True)
        return protocol.EXIT_HOST_FAILED
    programs = Programs(writer, keeper, "diagnostic", "diagnostics", lambda: loop.is_cancelled)
    # Of a header that candidates share, the imports are paid once. A candidate is a fork that cannot change the others.
    holders = Holders(keeper, lean_environment["LEAN_PATH"], directory, programs.wake_descriptor)
    elaborator = Elaborator(programs, keeper, holders, writer)
    rechecker = None if checker is None else Rechecker(programs, checker, lean_environment)
    loop.on_cancel(programs.wake)
    loop.open()
    while (command := loop.next_command()) is not None:
        if command.export != COMMAND or command.kind != "stream":
            loop.reply_unknown(command, [COMMAND])
            continue
        try:
            file = msgspec.json.decode(command.request_json, type=FileToCompile)
        except msgspec.DecodeError as error:
            loop.reply_failed(command, protocol.CODE_COMMAND_FAILED, f"the request does not fit: {error}")
            continue
        began = time.monotonic()
        runs: list[Ended] = []
        try:
            counts = _compile(elaborator, file, directory, runs)
            seconds = time.monotonic() - began
            _answer(loop, command, writer, runs, counts, seconds, rechecker, file.timeout)
        except OSError as error:
            print(f"lean-worker child: compiling, or rechecking a module: {error}", file=sys.stderr, flush=True)
            return protocol.EXIT_HOST_RETURNED
        finally:
            for ended in runs:
                if ended.directory is not None:
                    removal.remove(ended.directory)
    holders.close()
    keeper.close()
    return 0


def _compile(elaborator: Elaborator, file: FileToCompile, directory: str | None, runs: list[Ended]) -> int:
    """Have Lean compile the first text of a file on which it reports no error.

    Args:
        elaborator: What runs Lean.
        file: The file.
        directory: Lean's working directory.
        runs: Where the end of each run is put.

    Returns:
        The number of the run that counts: the one that compiled, or that came to no end of its own, so that nothing is
        known of the file; otherwise the first.

    Raises:
        OSError: What runs Lean is gone.
    """
    arguments = ["--json", *file.arguments]
    job = {"lean": [*arguments, "--stdin"], "cwd": directory, "output": MODULE_FILE}
    for number, text in enumerate(file.texts):
        header = header_of(text, "", file.arguments, "")
        stream = messages_stream(number)
        ended, _ = elaborator.run(job, text, file.timeout, header, arguments, file.kill_above_kib, stream)
        runs.append(ended)
        has_errors = ended.exit_code is not None and ended.exit_code > 0 and not ended.timed_out
        if not has_errors or ended.cancelled or ended.killed_at_kib is not None:
            return number
    return 0


def _answer(
    loop: RequestLoop,
    command: Command,
    writer: RowWriter,
    runs: Sequence[Ended],
    counts: int,
    seconds: float,
    rechecker: Rechecker | None,
    timeout: float | None,
) -> None:
    ended = runs[counts]
    refused = ended.cancelled or ended.malformed is not None or ended.too_large is not None
    if refused or ended.not_started is not None:
        reply(loop, command, ended, "Lean", None)
        return
    unreadable = None
    rechecked = None
    if ended.exit_code == 0 and not ended.timed_out and ended.directory is not None:
        try:
            parts = parts_in(ended.directory, MAX_MODULE_BYTES)
            for row in export([data for _, data in parts], time.monotonic() + _READING_SECONDS):
                if writer.row(TERMS_STREAM, msgspec.json.encode(row)) != STATUS_OK:
                    break
        except (BadModule, OSError) as error:
            unreadable = str(error)
        else:
            if rechecker is not None:
                rechecked = rechecker.run(parts, timeout)
                if loop.is_cancelled:
                    loop.reply_failed(command, protocol.CODE_CANCELLED, "cancelled by the caller")
                    return
    end = CompileEnd(
        ended.exit_code,
        ended.signal,
        ended.timed_out,
        round(seconds, 6),
        sum(run.cpu_seconds for run in runs),
        counts,
        unreadable,
        rechecked,
        ended.killed_at_kib,
    )
    loop.reply_ok(command, msgspec.json.encode(end).decode())
