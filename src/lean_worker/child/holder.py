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
import ctypes
import dataclasses
import os
import signal
import socket
import time
import traceback
from pathlib import Path
from typing import Any

from .. import _import_once
from .keeper import Keeper, adopt_orphans, import_modules, others_sleep, text_descriptor
from .lean_driver import print_by_line
from .sandbox import enter_from_refused

# Letters as of `_import_once.prepare`, by version of Lean. Of others only the first two are known for certain.
_KINDS = {(4, 35): "oo4o111o"}
_FIRST_KINDS = "oo"
_ADOPTION_SECONDS = 5.0
_MOST_OUTPUT = 1 << 20
_OTHER_TEXT = "prelude\n"
_OOM_SCORE = "500"
_MODULE_SUFFIXES = (".olean", ".olean.server", ".olean.private", ".ir")


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
            if os.fork() == 0:
                between = os.getppid()
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
        self._parent_directory = origin.temporary_parent
        self._wishes: dict[str, Any] = {}
        self._outputs: list[int] = []
        self._standard: list[int] = []
        self._printed: list[bytes] = []

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
            os._exit(_import_once.NOT_SERVED)
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
        self._standard = [os.dup(1), os.dup(2)]
        self._outputs = [os.memfd_create("output"), os.memfd_create("errors")]
        for number, output in enumerate(self._outputs, 1):
            os.dup2(output, number)
        text = text_descriptor(self._wishes["header"])
        os.dup2(text, 0)
        os.close(text)
        try:
            _import_once.prepare(import_modules(), self._kinds(), self.microseconds_address(), self._has_imported)
        except OSError as error:
            self._refuse(str(error))
        print_by_line()
        # On this thread, which is then the only one of Lean's.
        os.environ["LEAN_MAIN_USE_THREAD"] = "0"
        self.run_lean(["-j0", *self._wishes["arguments"], "--stdin"])

    def _kinds(self) -> str:
        """The arguments of this Lean's `importModules`, as far as they are known."""
        if self._wishes["kinds"] is not None:
            return str(self._wishes["kinds"])
        try:
            words = [ctypes.c_void_p.in_dll(ctypes.CDLL(None), f"l_Lean_version_{n}").value for n in ("major", "minor")]
        except ValueError:
            return _FIRST_KINDS
        major, minor = ((word or 0) >> 1 for word in words)  # small numbers, with Lean's mark
        return _KINDS.get((major, minor), _FIRST_KINDS)

    def _has_imported(self) -> None:
        """The point in the middle of Lean's driver from which this process serves."""
        del os.environ["LEAN_MAIN_USE_THREAD"]
        ctypes.CDLL(None).fflush(None)
        null = os.open(os.devnull, os.O_RDONLY)
        for number, descriptor in enumerate((null, *self._standard)):
            os.dup2(descriptor, number)
            os.close(descriptor)
        for output in self._outputs:
            self._printed.append(os.pread(output, _MOST_OUTPUT + 1, 0))
            os.close(output)
        seconds = self.import_seconds()
        if not _import_once.has_worked():
            self._refuse("the header's modules cannot be imported")
        if any(len(text) > _MOST_OUTPUT for text in self._printed):
            self._refuse("the header's modules print too much while they are imported")
        if not others_sleep():
            self._refuse("a thread that the header's modules started does not rest")
        if not self._works():
            self._refuse("a fork of it does not do what a process does")
        files = _mapped_modules()
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
            and self.try_out(_OTHER_TEXT, _import_once.OTHER_HEADER, arguments)
        )

    def _refuse(self, why: str) -> None:
        self.tell(refused=why)
        os._exit(_import_once.NOT_SERVED)

    def elaborate(self, arguments: list[str]) -> None:
        """In a fork: run Lean's command line with what was imported, and end the process."""
        ctypes.c_int.in_dll(ctypes.CDLL(None), "optind").value = 0  # C's reader of arguments begins anew
        output, errors = self._printed
        _import_once.arm(output, errors)
        self.run_lean(arguments)


def _mapped_modules() -> list[str]:
    """The module files that Lean has mapped into this process."""
    with open("/proc/self/maps", encoding="utf-8", errors="surrogateescape") as file:
        paths = (line.rstrip("\n").split(maxsplit=5)[5:] for line in file)
        return list(dict.fromkeys(path[0] for path in paths if path and path[0].endswith(_MODULE_SUFFIXES)))
