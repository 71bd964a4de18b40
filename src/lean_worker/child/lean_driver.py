"""Lean's own command line inside a Python process: `python -m lean_worker.child.lean_driver LIBRARY ARGUMENTS…`.

Arguments, output and exit code are those of the `lean` command. It needs no compiled part of this package, so any
installation can compile modules and ask a toolchain for its version. The caller sets `LEAN_PATH`.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
from pathlib import Path
from typing import NoReturn

from .lean_library import options, preload

_IOLBF = 1


def main() -> int:
    """Run Lean; the return value is the process's exit code, 2 if there is no Lean at that path."""
    if len(sys.argv) < 2:
        print("usage: python -m lean_worker.child.lean_driver LIBRARY [LEAN ARGUMENTS…]", file=sys.stderr)
        return 2
    library_path, *arguments = sys.argv[1:]
    preload(Path(library_path))
    try:
        # Global, because Lean's interpreter looks for native code in everything that is loaded.
        library = ctypes.CDLL(library_path, mode=ctypes.RTLD_GLOBAL)
        # In a split library the function may be in a part that this one does not name as needed.
        lean_main = getattr(library, "lean_main", None) or ctypes.CDLL(None).lean_main
    except (OSError, AttributeError) as error:
        print(f"lean-worker: {library_path} is no Lean library: {error}", file=sys.stderr)
        return 2
    print_by_line()
    argv = [os.fsencode(argument) for argument in ("lean", *options(Path(library_path)), *arguments)]
    code: int = lean_main(len(argv), (ctypes.c_char_p * (len(argv) + 1))(*argv, None))
    # Lean writes through C's buffers, which the caller's way out may pass by.
    ctypes.CDLL(None).fflush(None)
    return code


def print_by_line() -> None:
    """Have C write each line when it is there; otherwise a crash takes along what was printed before it."""
    libc = ctypes.CDLL(None)
    with contextlib.suppress(ValueError):
        libc.setvbuf(ctypes.c_void_p.in_dll(libc, "stdout"), None, _IOLBF, 0)


def run() -> NoReturn:
    """Run Lean, and end the process."""
    code = main()
    sys.stderr.flush()
    # Not sys.exit: Lean's threads may still run, and Python would wait for nothing else of value.
    os._exit(code)


if __name__ == "__main__":
    run()
