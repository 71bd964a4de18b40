"""Scripts that an earlier worker has compiled: a later one imports what Lean wrote then, and elaborates nothing.

Lean writes the module of a script before it runs it. It is kept beside the compiled `LeanWorker` if the script serves,
and if nobody could tell the difference: the script imports nothing but what comes with Lean and with this package, has
no word with which code runs while a file is elaborated, and Lean had nothing to say about it. Whatever else decides
what Lean makes of a script is in the name of what is kept.

The rules for the directory are those of `olean_cache`. An entry is never changed: it is built beside the others and
renamed. Its digest tells a whole one from a broken one, which is moved away.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..base import script_header
from ..base.deferred import Deferred
from ..base.moved_directories import Marks, have_moved, marks_of
from ..base.patterns import compiled
from . import olean_cache
from .lean_library import standard_modules

try:
    from _blake2 import blake2b
except ImportError:
    from hashlib import blake2b

if TYPE_CHECKING:
    import ctypes
    import json
    import resource
    import shutil
    import tempfile
else:
    # Only a worker that compiles needs them.
    ctypes, json, resource = Deferred("ctypes"), Deferred("json"), Deferred("resource")
    shutil, tempfile = Deferred("shutil"), Deferred("tempfile")

SWITCH = "LEAN_WORKER_NO_KEPT_SCRIPTS"
"""The environment variable that turns this off, unless it is "" or "0"."""

_FORMAT = 1
_MODULE = "LeanWorkerScript"
_COMPILED = f"{_MODULE}.olean"
_RUN = "run.lean"
_SETUP = "setup.json"
_DIGEST = "digest"
_UNFINISHED = ".new-"
_ROOTS = frozenset(("Init", "Lean", "LeanWorker", "Std"))
_NAMELESS = "_stdin"
# Parts of paths that are parts of a module's name as they are.
_PART = r"[A-Za-z_][A-Za-z0-9_]*"
# Versions with which it was tried. What has to be in a setup is another matter in each, and a mistake ends the start.
_VERSIONS = frozenset(((4, 35),))
_NO_SETTINGS: dict[str, object] = {"isModule": False, "importArts": {}, "dynlibs": [], "plugins": [], "options": {}}
_HEADER = rb"olean\x02.(\d+)\.(\d+)\."
# Commands, terms and attributes that run code of the file, or read other files, while it is elaborated; ways around the
# types of Lean; and functions that Lean finds by a name of C. In a comment they count too: it only costs time.
_RUNS_CODE = (
    r"#[a-z]|\b(?:\w*elab\w*|eval|run_\w+|include_\w+|d?simproc\w*|initialize|init|builtin_\w+|register_\w+"
    r"|tactic|bv_check|macro\s+\w+|compile_time\w*|compile_inductive|extern|implemented_by|csimp|unsafe\w*)\b"
)
# Options of elaboration and threads. What loads code or names files is not among them, nor a limit of memory: to write
# a module takes more than to run it.
_PLAIN_ARGUMENTS = ("-D", "--threads=", "-j", "--timeout=", "-T", "--tstack=", "-s")
_COUNTS = "/proc/self/io"
_WRITTEN = rb"wchar: (\d+)"
# Our own threads write a byte to wake each other. A message of Lean begins with the file's absolute path, and has more.
_OWN_BYTES = 16
_LEAST_FREE_BYTES = 64 << 20
_MOST_ENTRIES = 200
_UNUSED_SECONDS = 3600.0

_Stamp = tuple[int, int, int, int]


class KeptScript:
    """One script's compiled form: kept, or to be kept.

    Args:
        entry: The directory of what is kept.
        hosted: The file that Lean would run.
        module: The name that Lean gives its module.
        has_prelude: Whether it does without `Init`.
        stamp: The file's stamp before it was read.
        marks: Of what leads to it, before it was read.
    """

    def __init__(
        self, entry: Path, hosted: Path, module: str, *, has_prelude: bool, stamp: _Stamp, marks: Marks
    ) -> None:
        self._entry = entry
        self._hosted = hosted
        self._module = module
        self._has_prelude = has_prelude
        self._stamp = stamp
        self._marks = marks
        self._unfinished: Path | None = None
        self._written_before = 0
        self._search_path: str | None = None

    def arguments(self, cleanup: contextlib.ExitStack) -> list[str]:
        """Lean's arguments that run the script: as it was compiled before, or so that its module is written.

        What was compiled before goes on Lean's search path.

        Args:
            cleanup: Removes what is not kept.
        """
        if self._is_whole():
            # First, so that nobody's module of this name comes before it.
            self._search_path = os.environ["LEAN_PATH"]
            os.environ["LEAN_PATH"] = f"{self._entry}{os.pathsep}{self._search_path}"
            return ["--run", str(self._entry / _RUN)]
        run = ["--run", str(self._hosted)]
        try:
            directory = self._entry.parent
            directory.mkdir(mode=0o755, exist_ok=True)
            space = os.statvfs(directory)
            if space.f_bavail * space.f_frsize < _LEAST_FREE_BYTES or olean_cache.what_others_may(directory):
                return run
            limits = [resource.getrlimit(each)[0] for each in (resource.RLIMIT_FSIZE, resource.RLIMIT_AS)]
            if any(limit != resource.RLIM_INFINITY for limit in limits):
                return run  # to write a module takes more than to run it
            self._unfinished = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=directory))
            cleanup.callback(shutil.rmtree, self._unfinished, ignore_errors=True)
            setup = self._unfinished / _SETUP
            setup.write_text(json.dumps({"name": self._module, **_NO_SETTINGS}), "ascii")
            self._written_before = _written_bytes()
        except OSError:
            return run
        # Panics and private names have the module's name, which is another one where a file is written.
        return [f"--setup={setup}", "-o", str(self._unfinished / _COMPILED), *run]

    def served(self) -> None:
        """The script serves now: hide where its module came from, or keep it if Lean wrote it and nothing else."""
        if self._search_path is not None:
            os.environ["LEAN_PATH"] = self._search_path
        unfinished = self._unfinished
        if unfinished is None:
            return
        try:
            written = _written_bytes() - self._written_before - (unfinished / _COMPILED).stat().st_size
            if written > _OWN_BYTES:
                return  # Lean has said something, and shall say it again
            if _stamp_of(self._hosted) != self._stamp or have_moved(self._marks, marks_of([str(self._hosted)])):
                return  # this may be the module of another text
            (unfinished / _SETUP).unlink()
            header = "prelude\n" if self._has_prelude else ""
            (unfinished / _RUN).write_text(f"{header}import {_MODULE}\n", "ascii")
            (unfinished / _DIGEST).write_bytes(_digest(unfinished))
            olean_cache.make_readable(unfinished)
            if os.path.lexists(self._entry) and not self._is_whole():
                olean_cache.discard(self._entry)
            if _has_room(self._entry.parent):
                unfinished.rename(self._entry)
            _give_back_memory()
        except OSError:
            pass  # another worker was first, the disk is full, or the cache is root's: the next worker compiles it too

    def _is_whole(self) -> bool:
        """Whether something is kept, complete, and only root and ourselves can change it."""
        try:
            paths = [self._entry.parent, self._entry, *(self._entry / name for name in (_COMPILED, _RUN, _DIGEST))]
            if any(map(olean_cache.what_others_may, paths)):
                return False
            if (self._entry / _DIGEST).read_bytes() != _digest(self._entry):
                return False
        except OSError:
            return False
        with contextlib.suppress(OSError):  # an entry of root's
            os.utime(self._entry)  # so that it is not among the unused ones
        return True


def find(
    hosted: Path, *, is_copy: bool, own_modules: Path, library: Path, arguments: Sequence[str]
) -> KeptScript | None:
    """Return what is kept of a script, or will be; None if nothing may be.

    Lean's search path is in the environment already.

    Args:
        hosted: The file that Lean would run, with all its imports.
        is_copy: Whether it is a copy that nobody else changes.
        own_modules: The directory of the package's own modules. Its name stands for the Lean too.
        library: Path of `libleanshared`.
        arguments: Options for Lean.

    Raises:
        OSError: The script cannot be read.
    """
    if os.environ.get(SWITCH, "") not in ("", "0") or not os.path.exists(_COUNTS):
        return None
    module = _module_of(hosted)
    if module is None or _version_of(own_modules) not in _VERSIONS:
        return None
    # First: what changes while the rest is read has then changed since.
    marks, stamp = marks_of([str(hosted)]), _stamp_of(hosted)
    if not is_copy and max(stamp[2:]) > time.time_ns() - olean_cache.SETTLED_NS:
        return None  # too new to tell the next change by its time
    data = hosted.read_bytes()
    text = data.decode("utf-8", "surrogateescape")
    header = script_header.read(text)
    roots = {name.partition(".")[0] for name in header.imports}
    if header.is_module or not roots <= _ROOTS or not all(each.startswith(_PLAIN_ARGUMENTS) for each in arguments):
        return None
    own = {str(own_modules), str(standard_modules(library))}
    elsewhere = [place for place in os.environ["LEAN_PATH"].split(os.pathsep) if place and place not in own]
    names = [name for root in roots for name in (root, f"{root}.olean")]
    if any(os.path.lexists(os.path.join(place, name)) for place in elsewhere for name in names):
        return None  # these could be compiled again
    if compiled(_RUNS_CODE).search(text, header.end) is not None:
        return None
    digest = blake2b(digest_size=32)
    for part in (_FORMAT, own_modules, module, *arguments, ""):
        digest.update(os.fsencode(str(part)) + b"\0")
    digest.update(data)
    entry = own_modules.parent / "scripts" / digest.hexdigest()
    return KeptScript(entry, hosted, module, has_prelude=header.has_prelude, stamp=stamp, marks=marks)


def _module_of(hosted: Path) -> str | None:
    """The name that Lean gives the module of a file, by its place below the working directory; None if it is odd."""
    try:
        file, here = os.path.realpath(hosted), os.path.realpath(os.curdir)
    except OSError:
        return None  # the working directory was removed
    if not file.startswith(os.path.join(here, "")):
        return _NAMELESS
    parts = os.path.splitext(os.path.relpath(file, here))[0].split(os.sep)
    if parts[0] in _ROOTS or not all(compiled(_PART).fullmatch(part) for part in parts):
        return None
    return ".".join(parts)


def _version_of(own_modules: Path) -> tuple[int, int]:
    """The Lean that has compiled the package's own modules; (0, 0) if it says nothing that we know."""
    with open(own_modules / "LeanWorker.olean", "rb") as file:
        found = compiled(_HEADER).match(file.read(48))
    return (0, 0) if found is None else (int(found[1]), int(found[2]))


def _stamp_of(file: Path) -> _Stamp:
    status = file.stat()
    return status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _digest(entry: Path) -> bytes:
    digest = blake2b(digest_size=32)
    for name in (_COMPILED, _RUN):
        data = (entry / name).read_bytes()
        digest.update(b"%d " % len(data) + data)
    return digest.hexdigest().encode()


def _written_bytes() -> int:
    """Count the bytes that this process has written, to whatever."""
    with open(_COUNTS, "rb") as file:
        found = compiled(_WRITTEN).search(file.read())
    if found is None:
        raise OSError("the kernel does not count what a process writes")
    return int(found[1])


def _give_back_memory() -> None:
    """Give back what Lean has taken to write a module, ten megabytes that would stay its allocator's."""
    with contextlib.suppress(AttributeError, ImportError):  # a Lean with another allocator, a Python without ctypes
        ctypes.CDLL(None).mi_collect(ctypes.c_bool(True))


def _has_room(directory: Path) -> bool:
    """Remove old attempts, and the oldest entries that nobody uses; return whether one more may come."""
    with os.scandir(directory) as found:
        used = sorted((each.stat().st_mtime, each.name) for each in found)
    before = time.time() - _UNUSED_SECONDS
    left = len(used)
    for at, name in used:
        # A worker may just be reading a younger one.
        if at < before and (left > _MOST_ENTRIES or name.startswith(".")):
            shutil.rmtree(directory / name, ignore_errors=True)
            left -= 1
    return left <= _MOST_ENTRIES
