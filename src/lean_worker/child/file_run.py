"""Runs Lean on one file for `check_host` and `compile_host`.

Decides where Lean finds modules, and when a file is run a second time: a file that reaches its deadline after hardly
any work is run again in a process of its own, since it may have waited for a thread that a fork of an initialised Lean
does not have.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..base import removal
from ..wire.frames import STATUS_MALFORMED, STATUS_OK, RowWriter
from . import lean_library, olean_cache
from .keeper_link import KeeperLink
from .output import Ended
from .programs import Programs

_IDLE_SHARE = 0.05


def environment(library: Path, paths: Sequence[str], *, takes_inherited: bool) -> dict[str, str]:
    """Return this process's environment with the `LEAN_PATH` of a Lean library.

    Args:
        library: Path of `libleanshared`.
        paths: Directories of modules besides Lean's own; they come first.
        takes_inherited: Whether directories of the inherited `LEAN_PATH` come last.
    """
    standard = lean_library.standard_modules(library)
    # The embedded Lean has no library of its own; what there is to import is ours.
    parts = [*paths, str(olean_cache.prepare(library) if standard is None else standard)]
    inherited = os.environ.get("LEAN_PATH") if takes_inherited else None
    return {**os.environ, "LEAN_PATH": os.pathsep.join(parts + ([inherited] if inherited else []))}


def elaborate_once(
    programs: Programs,
    messages: Messages,
    job: Mapping[str, Any],
    stdin: bytes,
    timeout: float | None,
    kill_above_kib: int | None = None,
    link: KeeperLink | None = None,
) -> tuple[Ended, bool]:
    """Run Lean on one file; its messages become rows, and none is sent twice.

    Args:
        programs: What runs it.
        messages: Where messages go.
        job: As of `keeper`.
        stdin: What Lean reads from standard input.
        timeout: Seconds for the file.
        kill_above_kib: As of `Programs.run`.
        link: What forks the file; None if it is a process of its own from the start.

    Returns:
        How it ended, and whether it was run again in a process of its own.

    Raises:
        OSError: What runs it is gone; messages until then were sent.
    """
    ended = programs.run(job, stdin, messages.put, timeout, link, kill_above_kib)
    is_idle = timeout is not None and ended.cpu_seconds < _IDLE_SHARE * timeout
    if link is None or not (ended.timed_out and not ended.cancelled and is_idle):
        return ended, False
    messages.begin_again()
    again = programs.run({**job, "fresh": True}, stdin, messages.put, timeout, kill_above_kib=kill_above_kib)
    # Lean says the same of a file each time. If it does not, what it said first stands.
    kept, dropped = (ended, again) if messages.differ else (again, ended)
    if dropped.directory is not None:
        removal.remove(dropped.directory)
    return kept, kept is again


class Messages:
    """The receiver of Lean's messages: each once, also when a file is run again."""

    def __init__(self, writer: RowWriter, stream: str) -> None:
        self._writer = writer
        self._stream = stream
        self._sent: list[bytes] = []
        self._repeated: int | None = None
        self.differ = False

    def begin_again(self) -> bool:
        """Expect the messages that were sent once more; return whether there are any."""
        self._repeated = 0 if self._sent else None
        return bool(self._sent)

    def put(self, line: bytes) -> int:
        """Write one message, unless it was written before."""
        if self._repeated is None or self._repeated == len(self._sent):
            self._sent.append(line)
            if self._repeated is not None:
                self._repeated += 1
            return self._writer.row(self._stream, line)
        if line != self._sent[self._repeated]:
            self.differ = True
            return STATUS_MALFORMED
        self._repeated += 1
        return STATUS_OK
