"""A keeper that has imported what one header names: its files are forks that need not import again.

Owns the way from a keeper to a holder. The initialised keeper forks the holder, which becomes a child of the worker and
runs Lean's own driver on the header. When the import is done, in the middle of the driver (`import_once.h`), the holder
begins to serve files like every keeper. A file whose imports, options or other arguments of the import differ ends with
exit code `OTHER_HEADER` before it has printed anything.

What the header's modules do while they are imported is hosted code: the holder is locked in before.

    hold   {"header": text, "arguments": […], "cwd": path | null, "worker": pid, "seconds": x, "kinds": text | null}
    answer {"ready": "held", "pid": n, "files": […], "import_seconds": x | null}, or {"refused": text}, or the end of
           the socket; then as of a keeper
"""

from __future__ import annotations

import contextlib
import dataclasses
import mmap
import os
import signal
import socket
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from .. import _import_once
from ..base.landlock import READ
from . import huge_pages
from .held_import import HEADER_ARGUMENTS, NOT_SERVED, OTHER_HEADER, HeldImport
from .hosted_descriptors import open_descriptors
from .keeper import MOST_MICROSECONDS, Keeper, adopt_orphans, others_sleep
from .module_stamps import mapped_modules
from .sandbox import enter_from_refused, plan_of

_ADOPTION_SECONDS = 20.0
_OTHER_TEXT = "prelude\n"
_OOM_SCORE = "500"


def fork_holder(keeper: Keeper, wishes: dict[str, Any], descriptor: int) -> None:
    """Fork a holder from a keeper that runs no file; it becomes a child of the nearest subreaper above the keeper.

    Args:
        keeper: The keeper.
        wishes: See above.
        descriptor: The holder's end of its socket; closed here.
    """
    adopt_orphans(yes=False)
    between = os.fork()
    if between == 0:
        try:
            # Known before the second fork: when that one runs, its parent may have ended already.
            between = os.getpid()
            if os.fork() == 0:
                keeper.abandon()
                Holder(keeper, descriptor).hold(wishes, between)
        except BaseException:
            traceback.print_exc()
        os._exit(0)
    os.close(descriptor)
    os.waitpid(between, 0)
    adopt_orphans(yes=True)


class Holder(Keeper):
    """The process of one header.

    Args:
        origin: The keeper that it was forked from.
        descriptor: Its end of the socket.
    """

    def __init__(self, origin: Keeper, descriptor: int) -> None:
        super().__init__(socket.socket(fileno=descriptor), origin.library_path, origin.rules)
        self.lean_main = origin.lean_main
        self.lean_main_address = origin.lean_main_address
        self._parent_directory = origin.temporary_parent
        self._wishes: dict[str, Any] = {}
        self._held = HeldImport()
        self._failure = os.pipe()
        os.set_blocking(self._failure[0], False)
        # Of Lean's library: they are the same for all files.
        self._library_descriptors: list[int] = []
        self._file: _import_once.HeldFile | None = None
        self._file_message = b""
        self._file_directory = ""

    def hold(self, wishes: dict[str, Any], between: int) -> None:
        """Import what the header names, then serve; does not return.

        Args:
            wishes: See the module.
            between: The process that stands between this one and the keeper, and is about to end.
        """
        self._wishes = wishes
        end = time.monotonic() + _ADOPTION_SECONDS
        while os.getppid() == between and time.monotonic() < end:
            time.sleep(0.0002)
        if os.getppid() != wishes["worker"]:
            os._exit(NOT_SERVED)
        os.setsid()
        # Neither an import that never ends nor the loss of the worker meanwhile may leave this process behind.
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, wishes["seconds"])
        with contextlib.suppress(OSError):
            Path("/proc/self/oom_score_adj").write_text(_OOM_SCORE)  # it can be replaced; the keeper cannot
        self.use_temporary_directory(self._parent_directory)
        if wishes["cwd"]:
            os.chdir(wishes["cwd"])
        if self.rules is not None:
            # A file may read its own entry of /proc, which does not exist yet. Of processes outside, Landlock shows not
            # even a process that can see all of /proc what they have in memory and environment.
            rules = dataclasses.replace(self.rules, readable=(*self.rules.readable, "/proc"))
            enter_from_refused(rules.with_writable(self._parent_directory))
        self._import()

    def _import(self) -> None:
        wishes = self._wishes
        try:
            self._held.begin(wishes["header"], self.microseconds_address(), wishes["kinds"], self._has_imported)
        except OSError as error:
            self._refuse(str(error))
        self.run_lean([*HEADER_ARGUMENTS, *wishes["arguments"], "--stdin"])

    def _has_imported(self) -> None:
        """The point in the middle of Lean's driver from which this process serves."""
        why = self._held.finish()
        seconds = self.import_seconds()
        if why:
            self._refuse(why)
        if not others_sleep():
            self._refuse("a thread that the header's modules started does not rest")
        others = set(open_descriptors()) - {0, 1, 2} - self.own_descriptors()
        self._library_descriptors = [each for each in others if _is_open(each)]
        if not self._works():
            self._refuse("a fork of it does not do what a process does")
        huge_pages.settle()
        files = mapped_modules()
        signal.setitimer(signal.ITIMER_REAL, 0)
        self.tell(ready="held", pid=os.getpid(), files=files, import_seconds=seconds)
        self.loop()
        os._exit(0)

    def _works(self) -> bool:
        arguments = tuple(self._wishes["arguments"])
        header = self._wishes["header"]
        return (
            self.try_out(header + "\n", 0, arguments)
            and self.try_out(header + "\n#", 1, arguments)
            and self.try_out(_OTHER_TEXT, OTHER_HEADER, arguments)
        )

    def _refuse(self, why: str) -> None:
        self.tell(refused=why)
        os._exit(NOT_SERVED)

    def own_descriptors(self) -> set[int]:
        """See `Keeper.own_descriptors`."""
        return {*super().own_descriptors(), *self._failure}

    def fork_file(self, job: dict[str, Any], descriptors: list[int], failure: tuple[int, int]) -> int:
        """See `Keeper.fork_file`."""
        rules = self.rules_now()
        attributes: bytes | None = None
        granted: tuple[tuple[bytes, int], ...] = ()
        if rules is not None:
            rules = dataclasses.replace(rules, readable=(*rules.readable, *job.get("readable", ())))
            plan = plan_of(rules)
            attributes, granted = (b"", ()) if plan is None else (plan.attributes, plan.paths)
        directory = job.get("cwd")
        self._file = _import_once.HeldFile(
            self.own_descriptors(),
            self._library_descriptors,
            os.fsencode(directory) if directory else None,
            attributes,
            granted,
            READ if rules is not None and rules.required else None,
            self.arguments_of(job["lean"]),
            self.lean_main_address,
            *self._held.printed,
        )
        # A file whose directory is kept leaves another one behind.
        self._file_message = self.last_message if job.get("output") is None else b""
        self._file_directory = os.environ["TMPDIR"]
        return self._file.fork(descriptors, failure)

    def serve_repeats(self) -> bool:
        """See `Keeper.serve_repeats`."""
        # With another temporary directory the file would have other rules.
        if self._file is None or not self._file_message or self._file_directory != os.environ["TMPDIR"]:
            return False
        sys.stderr.flush()
        found = self._file.serve(
            self.worker.fileno(),
            self.wake_descriptor,
            self._failure,
            os.fsencode(self._file_directory),
            self.microseconds_address(),
            mmap.PAGESIZE,
            MOST_MICROSECONDS,
            self._file_message,
        )
        self.take_over(*found)
        return True


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True
