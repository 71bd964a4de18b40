"""Toolchains of links and small scripts that behave, for what is asked of them, as elan's, Lean's and Lake's own do."""

from __future__ import annotations

import shutil
from pathlib import Path

from lean_worker.child import olean_cache
from support import embedded_library

# elan's stand-ins install a missing toolchain as soon as they are run. This one leaves a trace of having been run.
PROXY = '#!/bin/sh\ntouch "${0%/*}/../proxy-was-run"\nexit 1\n'

LEAN = '#!/bin/sh\ncase "$1" in\n--print-prefix) echo "@PREFIX@";;\n*) exit 1;;\nesac\n'

# A log of its runs in .lake/log; a build is as the file `behaviour` of the project says; .lake/built holds what was built.
# `setup-file` is as the file `setup` says, with the arguments after `--no-build`; without that file this Lake is too old.
LAKE = """#!/bin/sh
mkdir -p .lake
echo "$*" >> .lake/log
[ "$GIT_ALLOW_PROTOCOL" = file ] && [ "$LAKE_NO_CACHE" = 1 ] || { echo "error: downloading" >&2; exit 9; }
case "$1" in
env)
  [ -f broken ] && { echo "error: lakefile.lean:3:0: unexpected token" >&2; exit 1; }
  [ -f hang ] && { sleep 600 & echo $! > .lake/pid; wait; }
  shift
  LEAN_PATH="$PWD/.lake/build/lib/lean:/elsewhere" exec "$@"
  ;;
setup-file)
  [ -f setup ] || { echo "error: unknown command 'setup-file'" >&2; exit 1; }
  shift 2
  . ./setup
  ;;
build)
  [ "$2" = --no-build ] && { cmp -s Source.lean .lake/built || exit 3; exit 0; }
  echo "[1/2] Building $2"
  . ./behaviour
  cp Source.lean .lake/built
  echo "Build completed successfully."
  ;;
esac
"""


def script(path: Path, text: str) -> Path:
    """An executable file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def make_prefix(directory: Path, *, real: bool = False, lake: bool = True) -> Path:
    """A toolchain's directory; its library is a link to the embedded Lean if it is to run, else an empty file."""
    library = directory / "lib" / "lean" / "libleanshared.so"
    library.parent.mkdir(parents=True)
    if real:
        for file in embedded_library().parent.glob("lib*_shared*.so"):
            (library.parent / file.name).symlink_to(file)
        for file in embedded_library().parent.glob("libleanshared*.so"):
            (library.parent / file.name).symlink_to(file)
        _keep_compiled(library)
    else:
        library.write_bytes(b"")
    script(directory / "bin" / "lean", LEAN.replace("@PREFIX@", str(directory)))
    if lake:
        script(directory / "bin" / "lake", LAKE)
    return directory


def _keep_compiled(library: Path) -> None:
    """Keep what this run has compiled for the same Lean under another path: compiling it takes fifteen seconds."""
    compiled = olean_cache.prepare(embedded_library())
    entry = compiled.parent / olean_cache._key(library.parent.resolve() / library.name)
    shutil.copytree(compiled, entry, ignore=shutil.ignore_patterns("compared.json"))


def make_elan(home: Path, *names: str) -> Path:
    """elan's directory with its stand-ins, and installed toolchains of these directory names."""
    for name in ("elan", "lean", "lake"):
        script(home / "bin" / name, PROXY)
    (home / "toolchains").mkdir()
    for name in names:
        make_prefix(home / "toolchains" / name)
    return home


def make_project(directory: Path, toolchain: str | None = None, behaviour: str = ":") -> Path:
    """A Lake project for the fake Lake."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "lakefile.toml").write_text('name = "demo"\n')
    (directory / "Source.lean").write_text("def one : Nat := 1\n")
    (directory / "behaviour").write_text(behaviour + "\n")
    if toolchain is not None:
        (directory / "lean-toolchain").write_text(toolchain + "\n")
    return directory


def lake_runs(project: Path) -> list[str]:
    """The questions to the fake Lake in a project, in order."""
    log = project / ".lake" / "log"
    return log.read_text().splitlines() if log.exists() else []
