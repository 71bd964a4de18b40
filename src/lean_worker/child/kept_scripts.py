"""Scripts that an earlier worker has compiled: a later one imports what Lean wrote then, and elaborates nothing.

The first worker compiles a copy of the script before it starts, in a process of its own, and keeps the module beside
the compiled `LeanWorker` if nobody could tell the difference: the script imports nothing but what comes with Lean and
with this package, runs no code while it is elaborated, and Lean had nothing to say about it. The name of what is kept
tells the text that was compiled, and whatever else decides what Lean makes of it.

Lean reads what is kept from descriptors that are open before it starts. If there is nothing, it elaborates the script
as it would without this module; so nothing that happens to the directory can keep a worker from starting.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..base import linux_calls, script_header
from ..base.deferred import Deferred
from ..base.patterns import compiled
from . import harmless_scripts, kept_modules
from .lean_library import standard_modules

try:
    from _blake2 import blake2b
except ImportError:
    from hashlib import blake2b

if TYPE_CHECKING:
    from . import harmless_modules, script_compiler
else:
    # Only a worker that compiles needs them.
    harmless_modules = Deferred("lean_worker.child.harmless_modules")
    script_compiler = Deferred("lean_worker.child.script_compiler")

SWITCH = "LEAN_WORKER_NO_KEPT_SCRIPTS"
"""The environment variable that turns this off, unless it is "" or "0"."""

_FORMAT = 4
_COPY = "script.lean"
_SETUP = "setup.json"
_ROOTS = frozenset(("Init", "Lean", "LeanWorker", "Std"))
_NAMELESS = "_stdin"
# Parts of paths that are parts of a module's name as they are.
_PART = r"[A-Za-z_][A-Za-z0-9_]*"
# Versions with which it was tried. What has to be in a setup is another matter in each, and a mistake ends the start.
_VERSIONS = frozenset(((4, 35),))
_HEADER = rb"olean\x02.(\d+)\.(\d+)\."
# Options of elaboration and threads. What loads code or names files is not among them, nor a limit of memory: to write
# a module takes more than to run it.
_PLAIN_ARGUMENTS = ("-D", "--threads=", "-j", "--timeout=", "-T", "--tstack=", "-s")
# The profiler speaks of what was slow, and documentation may run code; the others let proofs pass that are none, see
# `harmless_scripts`.
_WORDS_OF_OTHERS = ("profiler", "verso", "sorry", "Sorry", "skipKernelTC")
_OPEN_FILES = "/proc/self/fd"
# Lean needs some, and ends without a word if there are none; so does what compiles.
_LEAST_FREE_DESCRIPTORS = 40
# Some variables of Lean tell it where modules are, which is looked at here, or what to do after a panic, after which
# nothing is kept; and some are our own. Whatever else there may be can change what Lean makes of a text, as the sizes
# of stacks and numbers do.
_VARIABLES_OF_LEAN = "LEAN_"
_OTHER_VARIABLES = r"LEAN_(?:PATH|ABORT_ON_PANIC|BACKTRACE(?:_RAW)?|WORKER_\w+)"
# The time by which a start may become longer, once. What takes longer is elaborated by each worker.
_COMPILE_SECONDS = 5.0


class KeptScript:
    """One script's compiled form: kept, or to be kept.

    Args:
        entry: The directory of what is kept.
        hosted: The file that Lean would run.
        data: What stands in it.
        module: The name that Lean gives its module.
        has_prelude: Whether it does without `Init`.
        library: Path of `libleanshared`.
        options: Options for Lean.
    """

    def __init__(
        self,
        entry: Path,
        hosted: Path,
        data: bytes,
        module: str,
        *,
        has_prelude: bool,
        library: Path,
        options: Sequence[str],
    ) -> None:
        self._entry = entry
        self._hosted = hosted
        self._data = data
        self._module = module
        self._has_prelude = has_prelude
        self._library = library
        self._options = options

    def arguments(self, cleanup: contextlib.ExitStack) -> list[str]:
        """Lean's arguments that run the script: as it is kept, which it is from now on if it may be, or as it lies.

        Args:
            cleanup: Closes what Lean has read.
        """
        with contextlib.suppress(OSError, MemoryError, RecursionError):
            module = kept_modules.open_whole(self._entry)
            if module is None and kept_modules.build(self._entry, self._compile_into):
                module = kept_modules.open_whole(self._entry)
            if module is not None:
                with contextlib.ExitStack() as opened:
                    run = self._run_kept(module, opened)
                    cleanup.push(opened.pop_all())
                    return run
        return ["--run", str(self._hosted)]

    def _run_kept(self, module: int, cleanup: contextlib.ExitStack) -> list[str]:
        cleanup.callback(_close, module)
        header = "prelude\n" if self._has_prelude else ""
        run = _readable(f"{header}import {kept_modules.MODULE}\n", cleanup)
        # Lean then looks for this module nowhere else, and for the others on its search path as ever.
        kept = f'{{"{kept_modules.MODULE}": [["{_OPEN_FILES}/{module}"]]}}'
        setup = _readable(_setup(_NAMELESS, kept), cleanup)
        for each in (module, run, setup):
            # Lean opens them by name too, which a process may be denied.
            os.close(os.open(f"{_OPEN_FILES}/{each}", os.O_RDONLY | os.O_CLOEXEC))
        return [f"--setup={_OPEN_FILES}/{setup}", "--run", f"{_OPEN_FILES}/{run}"]

    def _compile_into(self, directory: Path) -> bool:
        copy, setup, module = (directory / name for name in (_COPY, _SETUP, kept_modules.COMPILED))
        # What was read, whatever lies there by now.
        copy.write_bytes(self._data)
        # Panics and private names have the module's name, which is another one where a file is written.
        setup.write_text(_setup(self._module, "{}"), "ascii")
        arguments = [*self._options, f"--setup={setup}", "-o", str(module), str(copy)]
        if not script_compiler.compile_silently(self._library, arguments, _COMPILE_SECONDS) or not module.is_file():
            return False
        if not harmless_modules.is_harmless(module):
            return False
        copy.unlink()
        setup.unlink()
        return True


def find(hosted: Path, data: bytes, *, own_modules: Path, library: Path, arguments: Sequence[str]) -> KeptScript | None:
    """Return what is kept of a script, or will be; None if nothing may be.

    Lean's search path is in the environment already.

    Args:
        hosted: The file that Lean would run, with all its imports.
        data: What stands in it.
        own_modules: The directory of the package's own modules. Its name stands for the Lean too.
        library: Path of `libleanshared`.
        arguments: Options for Lean.
    """
    if os.environ.get(SWITCH, "") not in ("", "0") or sys.platform != "linux" or not os.path.isdir(_OPEN_FILES):
        return None
    if not _has_descriptors():
        return None
    module = _module_of(hosted)
    if module is None or _version_of(own_modules) not in _VERSIONS:
        return None
    text = data.decode("utf-8", "surrogateescape")
    header = script_header.read(text)
    roots = {name.partition(".")[0] for name in header.imports}
    if header.is_module or not roots <= _ROOTS or not all(map(_is_plain, arguments)):
        return None
    own = {str(own_modules), str(standard_modules(library))}
    elsewhere = [place for place in os.environ["LEAN_PATH"].split(os.pathsep) if place and place not in own]
    beside = _beside_program()
    if beside not in {os.path.realpath(place) for place in own}:
        elsewhere.append(beside)
    names = [name for root in roots for name in (root, f"{root}.olean")]
    if any(os.path.lexists(os.path.join(place, name)) for place in elsewhere for name in names):
        return None  # these could be compiled again
    digest = blake2b(digest_size=32)
    for part in (_FORMAT, *harmless_scripts.PATTERNS, own_modules, module, *arguments, "", *_environment(), ""):
        digest.update(os.fsencode(str(part)) + b"\0")
    digest.update(data)
    entry = own_modules.parent / "scripts" / digest.hexdigest()
    # What is there was found harmless, by the same patterns; to look again would take 4 ms, most of it to compile them.
    if not os.path.isdir(entry) and not harmless_scripts.is_harmless(text, header.end):
        return None
    return KeptScript(entry, hosted, data, module, has_prelude=header.has_prelude, library=library, options=arguments)


def _beside_program() -> str:
    """A place where Lean looks for modules too: it takes the program of this process, Python, for its own."""
    return os.path.join(os.path.dirname(os.path.dirname(os.path.realpath("/proc/self/exe"))), "lib", "lean")


def _is_plain(argument: str) -> bool:
    return argument.startswith(_PLAIN_ARGUMENTS) and not any(word in argument for word in _WORDS_OF_OTHERS)


def _has_descriptors() -> bool:
    """Whether enough descriptors are free; the limit alone does not say that."""
    limit = os.sysconf("SC_OPEN_MAX")
    if limit < 0:
        return True  # there is none
    try:
        # Those that were open before the limit became lower take nothing of it.
        used = sum(1 for each in os.listdir(_OPEN_FILES) if int(each) < limit)
    except OSError:
        return False  # not even one for this
    return limit - used >= _LEAST_FREE_DESCRIPTORS


def _environment() -> list[str]:
    """The variables that may change what Lean makes of a text."""
    return sorted(
        f"{name}={value}"
        for name, value in os.environ.items()
        if name.startswith(_VARIABLES_OF_LEAN) and not compiled(_OTHER_VARIABLES).fullmatch(name)
    )


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
    try:
        with open(own_modules / "LeanWorker.olean", "rb") as file:
            found = compiled(_HEADER).match(file.read(48))
    except OSError:
        return 0, 0
    return (0, 0) if found is None else (int(found[1]), int(found[2]))


def _setup(name: str, artifacts: str) -> str:
    """The text that Lean reads by `--setup`; no name in it needs quotes."""
    settings = '"isModule": false, "dynlibs": [], "plugins": [], "options": {}'
    return f'{{"name": "{name}", "importArts": {artifacts}, {settings}}}'


def _readable(text: str, cleanup: contextlib.ExitStack) -> int:
    """A file with this text, which lies nowhere.

    Raises:
        OSError: It cannot be made, or not all of it.
    """
    descriptor = linux_calls.memory_file("lean-worker-script")
    cleanup.callback(_close, descriptor)
    data = text.encode()
    if os.write(descriptor, data) != len(data):
        raise OSError(errno.EFBIG, "the limit of a file's size is too low for a text of some lines")
    return descriptor


def _close(descriptor: int) -> None:
    with contextlib.suppress(OSError):  # hosted code may have closed it
        os.close(descriptor)
