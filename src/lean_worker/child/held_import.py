"""One header's import by Lean's own driver, stopped where it is done, and repeated in forks without the work.

Owns the step into the middle of the driver (`import_once.h`) and back: what the header's modules print while they are
imported, the arguments of Lean's `importModules` that are compared, and the state that a fork needs. A holder decides
what runs before and after.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable

from .. import _import_once
from ..base import linux_calls
from .keeper import IMPORT_MODULES, address_of, text_descriptor
from .lean_driver import print_by_line

OTHER_HEADER: int = _import_once.OTHER_HEADER
NOT_SERVED: int = _import_once.NOT_SERVED
HEADER_ARGUMENTS = ("-j0",)
"""Arguments of Lean with which it imports on the calling thread."""
# Letters as of `_import_once.prepare`, by version of Lean. Of others only the first two are known for certain.
_KINDS = {(4, 35): "oo4o111o"}
_FIRST_KINDS = "oo"
_MOST_OUTPUT = 1 << 20


class HeldImport:
    """The import of this process; one at most."""

    def __init__(self) -> None:
        self._outputs: list[int] = []
        self._standard: list[int] = []
        self._printed: list[bytes] = []
        self._optind: ctypes.c_int | None = None

    def begin(self, header: str, microseconds_address: int, kinds: str | None, then: Callable[[], None]) -> None:
        """Make `header` this process's standard input, and let the next import of Lean be kept.

        Run Lean's command line on the header after that, with `HEADER_ARGUMENTS`.

        Args:
            header: The text from a file's beginning to the end of its last import.
            microseconds_address: Address of 8 bytes that get the time of an import; forks share them.
            kinds: The known arguments of `importModules`; None to go by Lean's version.
            then: Called in the middle of the driver when the import is done; must not return.

        Raises:
            OSError: The code of Lean's library cannot be changed here.
        """
        self._standard = [os.dup(1), os.dup(2)]
        self._outputs = [linux_calls.memory_file("output"), linux_calls.memory_file("errors")]
        for number, output in enumerate(self._outputs, 1):
            os.dup2(output, number)
        text = text_descriptor(header)
        os.dup2(text, 0)
        os.close(text)
        known = _kinds()
        empty = address_of("l_Lean_mkEmptyEnvironment") if known != _FIRST_KINDS else 0
        chosen = known if kinds is None else kinds
        _import_once.prepare(address_of(IMPORT_MODULES), empty, chosen, microseconds_address, then)
        print_by_line()
        # On this thread, which is then the only one of Lean's.
        os.environ["LEAN_MAIN_USE_THREAD"] = "0"

    def finish(self) -> str:
        """Give this process its standard streams back; return why the import cannot be used, "" if it can."""
        del os.environ["LEAN_MAIN_USE_THREAD"]
        ctypes.CDLL(None).fflush(None)
        null = os.open(os.devnull, os.O_RDONLY)
        for number, descriptor in enumerate((null, *self._standard)):
            os.dup2(descriptor, number)
            os.close(descriptor)
        for output in self._outputs:
            self._printed.append(os.pread(output, _MOST_OUTPUT + 1, 0))
            os.close(output)
        self._optind = ctypes.c_int.in_dll(ctypes.CDLL(None), "optind")
        if not _import_once.has_worked():
            return "the header's modules cannot be imported"
        if any(len(text) > _MOST_OUTPUT for text in self._printed):
            return "the header's modules print too much while they are imported"
        return ""

    @property
    def printed(self) -> tuple[bytes, bytes]:
        """The output of the header's modules, printed to stdout and stderr while they were imported."""
        output, errors = self._printed
        return output, errors

    def repeat(self, told: int | None = None) -> None:
        """In a fork: let the next import of Lean be answered by this one. Run Lean's command line after that.

        Args:
            told: A descriptor that gets the line "held" then, and is closed.

        Raises:
            OSError: As of `begin`.
        """
        assert self._optind is not None
        self._optind.value = 0  # C's reader of arguments begins anew
        if told is not None:
            _import_once.tell_to(told)
        output, errors = self._printed
        _import_once.arm(output, errors)


def _kinds() -> str:
    """The arguments of this Lean's `importModules`, as far as they are known."""
    try:
        words = [ctypes.c_void_p.in_dll(ctypes.CDLL(None), f"l_Lean_version_{n}").value for n in ("major", "minor")]
    except ValueError:
        return _FIRST_KINDS
    major, minor = ((word or 0) >> 1 for word in words)  # small numbers, with Lean's mark
    return _KINDS.get((major, minor), _FIRST_KINDS)
