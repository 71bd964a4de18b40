"""Entry point of one worker process: `python -m lean_worker.child HOST …`.

    python -m lean_worker.child python MODULE:REGISTRY
    python -m lean_worker.child lean --library FILE --script FILE [--project DIR] [--import MODULE]… [--path DIR]…
                                     [--lean=OPTION]… [-- ARGUMENT…]
    python -m lean_worker.child lines SPEC
    python -m lean_worker.child check --library FILE [--path DIR]… [--directory DIR]
    python -m lean_worker.child compile --library FILE [--path DIR]… [--directory DIR]
    python -m lean_worker.child judge --library FILE [--path DIR]…

each with `--sandbox SPEC` before the host, if the worker has to enter a sandbox; `lean` also with `--hold DESCRIPTOR`
before the host, for a process that forks such workers (`worker_holder`).

The order of start-up matters. Descriptors come first, so that nothing can print into the protocol. The sandbox follows,
before any other thread exists (`lines`, `check` and `compile` put the processes that they run into it, not themselves).
Then comes the request loop, so that the death of the parent is noticed during a long start, and finally the host.
"""

from __future__ import annotations

import gc

if __name__ == "__main__":
    gc.disable()  # Imports leave no garbage, and looking for it takes two milliseconds of a start.

import contextlib
import os
import sys
from typing import TYPE_CHECKING, NoReturn

from . import light_start  # isort: skip  # before anything that imports msgspec
from ..errors import CapabilityError
from ..version import __version__
from ..wire.frames import DEFAULT_FRAME_BYTES, RowWriter
from ..wire.protocol import EXIT_HOST_FAILED
from . import inherited_state, process_end
from .command_line import parse_arguments
from .descriptors import claim_protocol_pipes, claim_ring
from .loop import RequestLoop

if TYPE_CHECKING:
    from types import SimpleNamespace

    from .lean_host import Hosting, Imported
    from .sandbox import Rules


def main(arguments: list[str], imported: Imported | None = None) -> int:
    """Serve until `terminate`; the return value is the process's exit code.

    Args:
        arguments: The command line.
        imported: What a host of a Lean script need not import.
    """
    options = parse_arguments(arguments)
    if imported is None and options.host != "python" and not getattr(sys.flags, "safe_path", False):
        # The working directory, which may be a home directory; only a registry is looked for there. Some modules are
        # imported late, and must not come from where others can write. A fork has left it out already.
        del sys.path[0]
    if options.host != "python":
        light_start.import_pathlib()
    requests_fd, frames_fd = claim_protocol_pipes()
    inherited_state.reset()
    process_end.adopt_orphans()
    process_end.die_with_parent()
    try:
        if options.hold is not None:
            _hold(options)
        rules = None
        if imported is None:
            rules = _lock_in(options)
        else:
            _lock_in_fork(imported)
    except (CapabilityError, OSError) as error:
        print(f"lean-worker child: {error}", file=sys.stderr, flush=True)
        return EXIT_HOST_FAILED
    writer = RowWriter(frames_fd, DEFAULT_FRAME_BYTES)
    loop = RequestLoop(requests_fd, writer, __version__, claim_ring())
    if options.host == "python":
        return _serve_functions(loop, writer, options.registry)
    gc.enable()
    if options.host == "lean":
        from .lean_host import serve as serve_lean

        return serve_lean(loop, writer, _hosting(options), imported)
    if options.host == "lines":
        from .lines_host import serve as serve_lines

        return serve_lines(loop, writer, options.spec, rules)
    if options.host == "check":
        from .check_host import serve as serve_checks

        return serve_checks(loop, writer, options.library, options.paths, options.directory, rules)
    if options.host == "compile":
        from .compile_host import serve as serve_compilations

        return serve_compilations(
            loop, writer, options.library, options.paths, options.directory, rules, options.checker
        )
    from .judge_host import serve as serve_judgements

    return serve_judgements(loop, writer, options.library, options.paths)


def _serve_functions(loop: RequestLoop, writer: RowWriter, name: str) -> int:
    from .python_host import NoRegistry, load_registry, serve

    gc.enable()  # the registry is not ours
    try:
        registry = load_registry(name)
    except NoRegistry as error:
        print(f"lean-worker child: cannot host {name!r}: {error}", file=sys.stderr, flush=True)
        return EXIT_HOST_FAILED
    except Exception:
        import traceback

        traceback.print_exc()
        print(f"lean-worker child: cannot host {name!r}", file=sys.stderr, flush=True)
        return EXIT_HOST_FAILED
    serve(loop, writer, registry)
    return 0


def _hold(options: SimpleNamespace) -> NoReturn:
    """Import what a Lean script imports, and fork workers; a sandbox holds already while it imports."""
    from .sandbox import enter_as_holder, leave_network, rules_of
    from .worker_holder import WorkerHolder

    gc.enable()

    rules, permits = None, None
    if options.sandbox is not None:
        rules = rules_of(options.sandbox, _needed(options))
        if not rules.network:
            leave_network()
        permits = enter_as_holder(rules.with_writable(os.environ["TMPDIR"]))
    WorkerHolder(options.hold, _hosting(options), run, rules, permits).hold()


def _hosting(options: SimpleNamespace) -> Hosting:
    from .lean_host import Hosting

    return Hosting(
        library=options.library,
        script=options.script,
        imports=options.imports,
        paths=options.paths,
        project=options.project,
        lean_arguments=options.lean_arguments,
        arguments=options.arguments,
        is_locked_in=options.sandbox is not None,
    )


def _lock_in(options: SimpleNamespace) -> Rules | None:
    """Lock this process in if it hosts code itself.

    Returns:
        The rules for the programs and files that it runs, if it only starts those; None if they are not locked in.
    """
    if options.sandbox is None and options.host in ("python", "lean", "lines"):
        return None
    from .sandbox import READS_ALL_WRITES_NOTHING, enter, hide_memory, leave_network, rules_of

    if options.sandbox is None:
        rules = READS_ALL_WRITES_NOTHING if options.host in ("check", "compile") else None
    else:
        rules = rules_of(options.sandbox, _needed(options))
        if not rules.network:
            leave_network()
    if rules is None or options.host in ("lines", "check", "compile"):
        if rules is not None or options.host == "judge":
            hide_memory()
        return rules
    enter(rules.with_writable(os.environ["TMPDIR"]))
    return None


def _lock_in_fork(imported: Imported) -> None:
    """Lock in a fork of a holder, which has left the network already if it had to."""
    from .sandbox import enter

    if imported.rules is not None:
        enter(imported.rules.with_writable(os.environ["TMPDIR"]))


def _needed(options: SimpleNamespace) -> list[str | os.PathLike[str]]:
    """The files that the hosted code has to read, whatever the caller allows."""
    from pathlib import Path

    needed: list[str | os.PathLike[str]] = [*sys.path]
    if options.host in ("lean", "check", "compile"):
        from .lean_library import standard_modules
        from .olean_cache import prepare

        library = Path(options.library)
        # Made while it can be: hosted code must not be able to write where other workers read.
        needed += [
            prepare(library) if options.host == "lean" or standard_modules(library) is None else "",
            library.parent,
        ]
        # The toolchain with its programs and sources; its library is in lib/lean or in lib.
        prefixes = [place.parent for place in library.parents[:2] if place.name == "lib"]
        needed += [prefix / name for prefix in prefixes for name in ("bin", "include", "lib", "share", "src")]
        needed += [*options.paths, getattr(options, "checker", None) or ""]
        for name in ("LEAN_PATH", "LEAN_SRC_PATH"):
            needed += [part for part in os.environ.get(name, "").split(os.pathsep) if part]
        needed += [options.script, options.project or ""] if options.host == "lean" else [options.directory or ""]
    elif options.host == "lines":
        from .lines_host import places

        needed += places(options.spec)
    # The root directory is nobody's project; a daemon or a container runs there.
    return [path for path in needed if path and os.path.realpath(path) != "/"]


def _exit_code_of(leaving: SystemExit) -> int:
    """The exit code that Python itself would give."""
    if leaving.code is None:
        return 0
    return leaving.code & 0xFF if isinstance(leaving.code, int) else 1


def run(arguments: list[str], imported: Imported | None = None) -> NoReturn:
    """Serve until `terminate`, and end the process; arguments as of `main`."""
    try:
        code = main(arguments, imported)
    except SystemExit as leaving:  # of hosted code
        import traceback

        traceback.print_exc()
        code = _exit_code_of(leaving)
    except BaseException:
        import traceback

        traceback.print_exc()
        code = 1
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.flush()
    # Not sys.exit: a hosted library's own exit handlers or left-over threads must not delay the end.
    process_end.end(code)


if __name__ == "__main__":
    run(sys.argv[1:])
