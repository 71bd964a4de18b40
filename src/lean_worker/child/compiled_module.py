"""The files of a module that Lean has compiled for a stranger's file, as bytes.

Lean writes them into a directory of its run alone. They are read once nothing of the run is left, and nothing that is
in them is believed.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from ..base.interrupts import Holder
from .verification.objects import BadModule

MODULE_FILE = "Candidate.olean"
"""The name under which Lean writes a module; for `output` of `keeper`."""
_ENDINGS = ("", ".server", ".private")


class NoModule(BadModule):
    """Lean wrote no module."""


def parts_in(directory: str, most_bytes: int) -> list[tuple[str, bytes]]:
    """Return the files of a compiled module: what follows the module's name, and the contents.

    They are a stranger's: no link is followed, and nothing waited for.

    Args:
        directory: The directory that Lean has written into.
        most_bytes: How much is read, of all files together.

    Raises:
        NoModule: There is none.
        BadModule: There is something else, or more than that.
        OSError: It cannot be read.
    """
    target = Path(directory, MODULE_FILE)
    found: list[tuple[str, bytes]] = []
    left = most_bytes
    for ending in _ENDINGS:
        try:
            opened = Holder(os.open, f"{target}{ending}", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            if not found:
                raise NoModule("Lean wrote no module") from None
            continue
        with opened:
            status = os.fstat(opened.fd)
            if not stat.S_ISREG(status.st_mode) or status.st_size > left:
                raise BadModule(f"the compiled module is no file, or larger than {most_bytes} bytes")
            with open(opened.fd, "rb", closefd=False) as file:
                data = file.read(left + 1)
        left -= len(data)
        if left < 0:
            raise BadModule(f"the compiled module is larger than {most_bytes} bytes")
        found.append((f".olean{ending}", data))
    return found
