"""The start of a keeper's process; see `keeper`."""

from __future__ import annotations

import os
import socket
import sys
from typing import NoReturn

from .keeper import Keeper
from .sandbox import Rules

try:
    from .header_holder import fork_holder
except ImportError:  # without compiled modules; the worker then asks for none
    fork_holder = None  # type: ignore[assignment]


def main() -> NoReturn:
    """Serve the worker at the other end of standard input, and end the process."""
    worker = socket.socket(fileno=os.dup(0))
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    os.dup2(2, 1)
    rules, library = (*sys.argv[1:], "", "")[:2]
    Keeper(worker, library or None, Rules.from_json(rules) if rules else None, fork_holder).serve()
    # Not a return: Lean's other threads must not delay the end.
    os._exit(0)
