"""Runs `leanchecker` on a compiled module: Lean's own program that replays what a module declares.

Owns the place where the module lies meanwhile, and how the program is called. The program maps a stranger's bytes into
its memory, so it runs locked in, as a file does, and its answer is a claim: it can refuse a candidate and accepts none.

leanchecker takes a module's name, looks for it along LEAN_PATH and then in Lean's own library, replays the module's
declarations on top of its imports, and ends with code 0. If something is refused, it writes "found a problem in" and
the module to stderr, then "uncaught exception: " and the reason, and ends with code 1. lean4checker, for versions
before 4.28, does the same. Source: src/LeanChecker.lean of Lean 4.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..base import removal
from ..wire.file_messages import RecheckEnd
from ..wire.frames import STATUS_OK
from .programs import Programs

# No prefix of another module's name: leanchecker takes those too.
_MODULE_PREFIX = "LeanWorkerRechecked"


class Rechecker:
    """A way to run leanchecker, or a program that is called like it.

    Args:
        programs: The runner of programs.
        program: The program's path.
        environment: The worker's environment; the program gets its LEAN_PATH.
    """

    def __init__(self, programs: Programs, program: str, environment: Mapping[str, str]) -> None:
        self._programs = programs
        self._program = program
        self._lean_path = environment["LEAN_PATH"]

    def run(self, parts: Sequence[tuple[str, bytes]], timeout: float | None) -> RecheckEnd:
        """Run it on one module, to its end.

        Args:
            parts: The module's files: what follows the module's name in their names, and their contents.
            timeout: Seconds.

        Raises:
            OSError: The keeper is gone, or the files cannot be written.
        """
        # A directory that holds these files and nothing else of the candidate's, which could pose as imported modules.
        directory = tempfile.mkdtemp(prefix="recheck-", dir=os.environ.get("TMPDIR"))
        try:
            module = f"{_MODULE_PREFIX}{os.urandom(8).hex()}"
            for ending, data in parts:
                Path(directory, module + ending).write_bytes(data)
            path = os.pathsep.join([self._lean_path, directory])
            job = {"argv": ["env", f"LEAN_PATH={path}", self._program, module], "readable": [directory]}
            ended = self._programs.run(job, b"", lambda line: STATUS_OK, timeout)
        finally:
            with contextlib.suppress(OSError):
                removal.remove(directory)
        return RecheckEnd(ended.exit_code, ended.signal, ended.timed_out, ended.not_started, ended.stderr_tail)
