"""The Lean host: runs a Lean script that serves commands, by Lean's own driver in this process.

Prepares Lean's environment and arguments, explains why a script did not start to serve, and connects the request loop
to the callbacks of the compiled bridge. Rows do not pass through this module: Lean's threads write them straight to the
frame writer.

The parent gets its handshake when the script asks for its first command. So the start-up covers everything that the
script loads.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, NamedTuple

from ..base import script_header
from ..base.deferred import Deferred
from ..base.patterns import compiled
from ..errors import CapabilityError
from ..wire import protocol
from ..wire.frames import STATUS_CANCELLED, RowWriter
from . import kept_scripts, lean_library, olean_cache
from .loop import Command, RequestLoop

if TYPE_CHECKING:
    import shutil
    import tempfile

    from . import lean_session
    from .sandbox import Rules
else:
    shutil, tempfile = Deferred("shutil"), Deferred("tempfile")
    lean_session = Deferred("lean_worker.child.lean_session")

_STATUS_TEXT = r"the command ended with status (\d+)"


class Hosting(NamedTuple):
    """Settings of a Lean host.

    Attributes:
        library: Path of `libleanshared`.
        script: Path of the Lean file; its `main` calls `LeanWorker.serve`.
        imports: Modules that are added to the script's own imports.
        paths: Directories in which Lean finds modules, besides its own.
        project: The project that the script belongs to; None for none.
        lean_arguments: Options for Lean itself.
        arguments: Arguments for the script's `main`.
        is_locked_in: Whether a sandbox is around it.
    """

    library: str
    script: str
    imports: Sequence[str] = ()
    paths: Sequence[str] = ()
    project: str | None = None
    lean_arguments: Sequence[str] = ()
    arguments: Sequence[str] = ()
    is_locked_in: bool = False


class Imported(NamedTuple):
    """The imports of a script, made before by the process that this one is a fork of.

    Attributes:
        own_modules: The directory of the package's own modules.
        repeat: Lets Lean take what was imported; called right before Lean's command line runs.
        rules: The rules for this process; None if it is not locked in.
    """

    own_modules: Path
    repeat: Callable[[], None]
    rules: Rules | None = None


def serve(loop: RequestLoop, writer: RowWriter, hosting: Hosting, imported: Imported | None = None) -> int:
    """Run the script until the parent says `terminate`.

    Args:
        loop: The conversation with the parent.
        writer: The writer of its frames; rows go to it directly.
        hosting: What to run.
        imported: What was imported before, if anything was.

    Returns:
        The process's exit code; when it is not 0, stderr says why.
    """
    script = hosting.script
    try:
        bridge = compiled_bridge()
        library_path = Path(hosting.library).absolute()
        with contextlib.ExitStack() as cleanup:
            own_modules = olean_cache.prepare(library_path) if imported is None else imported.own_modules
            header, hosted = prepare(hosting, own_modules, cleanup)
            script_text = hosted.read_bytes()
            loop.session = functools.cache(lambda: lean_session.LeanSession(library_path, script_text, hosting.project))
            advice = _advice(header, is_bare=lean_library.standard_modules(library_path) is None)
            options = [*lean_library.options(library_path), *hosting.lean_arguments]
            run = ["--run", str(hosted)]
            # A fork has imported already, and a sandbox has a cache that ends with it.
            if imported is None and not hosting.is_locked_in:
                kept = kept_scripts.find(
                    hosted, script_text, own_modules=own_modules, library=library_path, arguments=options
                )
                run = run if kept is None else kept.arguments(cleanup)
            session = _Session(bridge, loop, script, cleanup, advice)
            arguments = [*options, *run, *hosting.arguments]
            if imported is not None:
                imported.repeat()
            code: int = bridge.run_lean(
                os.fsencode(library_path),
                [os.fsencode(argument) for argument in arguments],
                writer.address(),  # type: ignore[attr-defined]
                session.next_request,
                session.reply,
                session.leaving,
            )
    except (CapabilityError, OSError) as error:
        _say(str(error))
        return protocol.EXIT_HOST_FAILED
    return session.exit_code(code)


def prepare(
    hosting: Hosting, own_modules: Path, cleanup: contextlib.ExitStack
) -> tuple[script_header.ScriptHeader, Path]:
    """Prepare Lean's environment and the text that Lean gets, and load the parts of a split library.

    Args:
        hosting: What to run.
        own_modules: The directory of the package's own modules.
        cleanup: Removes a copy of the script.

    Returns:
        The script's own header, and the file to run: the script, or a copy with more imports.

    Raises:
        CapabilityError: There is no script.
        OSError: The script cannot be read, or a copy cannot be written.
    """
    script_path, library_path = Path(hosting.script).absolute(), Path(hosting.library).absolute()
    if not script_path.is_file():
        raise CapabilityError(f"hosting {hosting.script}: there is no such file", hint="Look whether it was moved.")
    standard = lean_library.standard_modules(library_path)
    header = script_header.read(script_path.read_text("utf-8", "surrogateescape"))
    if header.is_module:
        hosted = _as_runnable_module(script_path, header, hosting.imports, cleanup)
    else:
        hosted = _with_imports(script_path, hosting.imports, cleanup)
    _prepare_environment([own_modules, *map(Path, hosting.paths), *filter(None, [standard])])
    lean_library.preload(library_path, compiled_bridge().load_part)
    return header, hosted


def compiled_bridge() -> ModuleType:
    """Return the compiled bridge; asked for late, so that everything else of the package works without it.

    Raises:
        CapabilityError: It cannot be loaded.
    """
    try:
        bridge = importlib.import_module("lean_worker._lean")
    except ImportError as error:
        raise CapabilityError(
            f"hosting Lean needs the compiled bridge lean_worker._lean, which cannot be loaded: {error}",
            hint="Install lean-worker from a wheel for this platform, or from source with a C compiler.",
        ) from error
    if not hasattr(RowWriter, "address"):
        raise CapabilityError(
            "hosting Lean needs the compiled frame writer, and this process uses the pure-Python one",
            hint="Unset LEAN_WORKER_NO_EXTENSIONS.",
        )
    return bridge


def _prepare_environment(module_directories: Sequence[Path]) -> None:
    inherited = os.environ.get("LEAN_PATH")
    parts = [str(directory) for directory in module_directories]
    # Set before the library is loaded: parts of Lean read their environment when they start.
    os.environ["LEAN_PATH"] = os.pathsep.join(parts + ([inherited] if inherited else []))
    # A Lean panic otherwise prints a line and goes on with a made-up value. Any value means yes to Lean.
    if os.environ.setdefault("LEAN_ABORT_ON_PANIC", "1") in ("", "0"):
        del os.environ["LEAN_ABORT_ON_PANIC"]
    # The addresses of a stack of interpreter frames would push the panic's own words out of the stderr tail.
    os.environ.setdefault("LEAN_BACKTRACE", "0")
    # Lean's allocator asks for huge pages, which an idle worker fills by half; they gained no time.
    os.environ.setdefault("MIMALLOC_ARENA_EAGER_COMMIT", "0")


def _with_imports(script: Path, imports: Sequence[str], cleanup: contextlib.ExitStack) -> Path:
    """The script, or a copy of it that imports more; the copy has the same lines."""
    return _copy_with(script, "".join(f"import {module} " for module in imports), cleanup)


def _as_runnable_module(
    script: Path, header: script_header.ScriptHeader, imports: Sequence[str], cleanup: contextlib.ExitStack
) -> Path:
    """A copy of a script with a `module` header, with what Lean's interpreter needs besides; it has the same lines.

    The interpreter runs what is imported as `meta`, and finds a `main` only if it is public, which may then name only
    what is imported publicly.
    """
    modules = dict.fromkeys([*imports, *header.imports])
    added = "".join(f"public import {module} public meta import {module} " for module in modules)
    return _copy_with(script, added, cleanup)


def _copy_with(script: Path, added: str, cleanup: contextlib.ExitStack) -> Path:
    if not added:
        return script
    text = script.read_text("utf-8", "surrogateescape")
    at = script_header.read(text).words_end
    directory = Path(tempfile.mkdtemp(prefix="lean-worker-script-"))
    cleanup.callback(shutil.rmtree, directory, ignore_errors=True)
    copy = directory / script.name
    copy.write_text(f"{text[:at]} {added}{text[at:]}" if at else added + text, "utf-8", "surrogateescape")
    return copy


def _advice(header: script_header.ScriptHeader, *, is_bare: bool) -> str:
    """A remark for a script that did not get as far as serving, "" for none."""
    if is_bare and not header.has_prelude:
        return "the embedded Lean has no Init: a script for it starts with `prelude` and `import LeanWorker`"
    if header.is_module:
        return "the script starts with `module`: its main has to be public, as in `public def main`"
    if is_bare:
        return "the embedded Lean has a part of the library only; what is missing: docs/embedded-lean.md"
    return ""


def _say(text: str) -> None:
    print(f"lean-worker child: {text}", file=sys.stderr, flush=True)


class _Session:
    """The request loop as the bridge sees it: one request out, one reply in, on whatever thread Lean calls from."""

    def __init__(
        self, bridge: ModuleType, loop: RequestLoop, script: str, start_up: contextlib.ExitStack, advice: str
    ) -> None:
        self._bridge = bridge
        self._loop = loop
        self._script = script
        self._start_up = start_up
        self._advice = advice
        self._command: Command | None = None
        self._opened = False
        self._terminated = False

    def next_request(self) -> tuple[bytes, bytes] | None:
        """The next command's name and request, or None after `terminate`."""
        if not self._opened:
            # Lean has read everything by now; later this process may end without passing by here again.
            self._start_up.close()
            self._bridge.trim()
            self._loop.open()
            self._opened = True
        self._command = self._loop.next_command()
        if self._command is None:
            self._terminated = True
            return None
        return self._command.export.encode(), self._command.request_json.encode()

    def reply(self, how: int, text: bytes, refused_status: int) -> None:
        """Tell the parent how the command ended."""
        command, self._command = self._command, None
        if command is None:
            raise RuntimeError("a reply without a command: LeanWorker.Host is for LeanWorker.serve alone")
        words = text.decode("utf-8", "replace")
        if how == self._bridge.ANSWERED:
            self._loop.reply_ok(command, words, may_be_empty=False)
        elif how == self._bridge.EMITTED:
            self._loop.reply_ok(command, words)
        elif how == self._bridge.UNKNOWN:
            self._loop.reply_unknown(command, words.splitlines())
        elif refused_status == STATUS_CANCELLED:
            self._loop.reply_failed(command, protocol.CODE_CANCELLED, words)
        elif (status := compiled(_STATUS_TEXT).fullmatch(words)) and command.kind == "stream":
            self._loop.reply_status(command, int(status[1]))
        else:
            self._loop.reply_failed(command, protocol.CODE_COMMAND_FAILED, words)

    def leaving(self) -> int | None:
        """Lean ends the process: before the script served, that is a script that cannot be hosted."""
        if self._opened:
            return None
        return self._never_served(failed=True)

    def exit_code(self, lean_code: int) -> int:
        """Lean's command line returned: the process's exit code, and on stderr why if it is not 0."""
        if self._terminated:
            return 0
        if not self._opened:
            return self._never_served(failed=lean_code != 0)
        _say(f"the main of {self._script} ended with exit code {lean_code} although nobody asked the worker to end")
        return protocol.EXIT_HOST_RETURNED

    def _never_served(self, *, failed: bool) -> int:
        self._start_up.close()
        if failed:
            what = "did not compile, or its main failed before it called LeanWorker.serve"
            _say(f"{self._script} {what}; Lean's own messages stand above")
            if self._advice:
                _say(self._advice)
        else:
            _say(f"the main of {self._script} returned without calling LeanWorker.serve")
        return protocol.EXIT_HOST_FAILED
