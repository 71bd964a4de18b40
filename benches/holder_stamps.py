"""The look at a holder's module files before each file: stat from Python, stat from C, and inotify.

    python benches/holder_stamps.py [FILES…]

Writes empty files, 40 in each directory, as many as given (401, 2,000 and 8,000). Prints microseconds of processor time
of one look that finds no change, with their spread, and what a start costs. Each way must see a file that is replaced.
The watches are those of inotify: one for each directory, and none on what is above.
"""

from __future__ import annotations

import ctypes
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import compare

from lean_worker import _import_once
from lean_worker.child.module_stamps import ModuleStamps

LOOKS = 30
FILES_IN_DIRECTORY = 40
_MODIFY, _ATTRIB, _CLOSE_WRITE, _MOVED, _CREATE, _DELETE = 0x2, 0x4, 0x8, 0xC0, 0x100, 0x200


def watches(directories: list[str]) -> Callable[[], bool]:
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    for directory in directories:
        mask = _MODIFY | _ATTRIB | _CLOSE_WRITE | _MOVED | _CREATE | _DELETE
        if libc.inotify_add_watch(descriptor, os.fsencode(directory), mask) < 0:
            raise OSError(ctypes.get_errno(), "inotify_add_watch")

    def still_hold() -> bool:
        try:
            return not os.read(descriptor, 4096)
        except BlockingIOError:
            return True

    return still_hold


def measured(still_hold: Callable[[], bool]) -> list[float]:
    found = []
    for _ in range(LOOKS):
        began = time.process_time_ns()
        assert still_hold()
        found.append((time.process_time_ns() - began) / 1000)
    return found


def main() -> None:
    """Measure every way for each number of files."""
    rows = []
    for count in [int(word) for word in sys.argv[1:]] or [401, 2000, 8000]:
        with tempfile.TemporaryDirectory() as directory:
            files = [Path(directory, f"P{at // FILES_IN_DIRECTORY}", f"M{at}.olean") for at in range(count)]
            for file in files:
                file.parent.mkdir(exist_ok=True)
                file.write_bytes(b"x")
            time.sleep(0.1)
            began = time.process_time_ns()
            stamps = ModuleStamps(
                [os.path.realpath(file) for file in files], [], [os.path.realpath(directory)], time.time_ns()
            )
            start = (time.process_time_ns() - began) / 1000
            own = stamps._files
            compiled = _import_once.FileStamps(own)

            def from_python(own: dict[str, tuple[int, ...]] = own) -> bool:
                for path, stamp in own.items():
                    found = os.stat(path)
                    if stamp != (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns):
                        return False
                return True

            began = time.process_time_ns()
            watched = watches(sorted({str(file.parent) for file in files}))
            watching = (time.process_time_ns() - began) / 1000
            ways = {"stat from Python": from_python, "stat from C": compiled.still_hold, "inotify": watched}
            for name, way in ways.items():
                spread = compare.Spread.of(measured(way))
                rows.append(
                    [f"{count} files, {name}", spread.text(0), f"{watching if name == 'inotify' else start:,.0f}"]
                )
            assert statistics.median(measured(compiled.still_hold)) >= 0
            fresh = files[count // 2].with_suffix(".new")
            fresh.write_bytes(b"x")
            fresh.replace(files[count // 2])
            assert not any(way() for way in ways.values())
    print(compare.table(["files, way", "a look, µs", "start, µs"], rows))


if __name__ == "__main__":
    main()
