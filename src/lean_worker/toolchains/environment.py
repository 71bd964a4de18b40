"""Environment variables of a worker: only those on a list, plus those that Lean needs.

A worker runs code that others wrote. It must not see the keys, tokens and addresses in the environment of a build
server or a notebook. Callers pass more variables with a capability's `env=`, or name them for all workers in
`LEAN_WORKER_PASS_ENV`: `NAME,PREFIX_*`, or `*` for everything. TMPDIR is never inherited: a worker has its own
temporary directory (`hosting.temporary`), unless `env=` names one.
"""

from __future__ import annotations

import fnmatch
import functools
import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

PASS_VARIABLE = "LEAN_WORKER_PASS_ENV"
TEMPORARY_DIRECTORY = "TMPDIR"

INHERITED = (
    # what any program needs
    "PATH", "HOME", "USER", "LOGNAME", "SHELL", "TERM", "LANG", "LANGUAGE", "LC_*", "TZ",
    "XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME", "LD_LIBRARY_PATH", "LD_PRELOAD", "DYLD_*",
    # Python, and tools that look into a process
    "PYTHON*", "VIRTUAL_ENV", "COVERAGE_*", "ASAN_OPTIONS", "UBSAN_OPTIONS", "MALLOC_*",
    # Lean, its tools, and what is ours
    "LEAN", "LEAN_*", "LAKE", "LAKE_*", "ELAN", "ELAN_*",
)  # fmt: skip
"""Names and patterns; matching takes account of upper and lower case."""


def worker_environment(extra: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a worker: the listed variables of this process, and `extra` over them."""
    passed = os.environ.get(PASS_VARIABLE, "")
    env = {name: value for name, value in os.environ.items() if _is_inherited(name, passed)}
    env.update(extra)
    # What hosted code prints should be in an error's tail when it dies, not lost in a buffer.
    env.setdefault("PYTHONUNBUFFERED", "1")
    return env


@functools.lru_cache(maxsize=1024)
def _is_inherited(name: str, passed: str) -> bool:
    """Whether a variable is on the list, or on that of `PASS_VARIABLE`. A job that leases often asks often."""
    patterns = (*INHERITED, *(pattern for pattern in passed.split(",") if pattern))
    return name != TEMPORARY_DIRECTORY and any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


PANIC_VARIABLE = "LEAN_ABORT_ON_PANIC"
_ADDRESSES_VARIABLE = "LEAN_BACKTRACE"
_SOURCES_VARIABLE = "LEAN_SRC_PATH"


def command_environment(extra: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a worker whose commands may be Lean code: a panic ends the process.

    Otherwise Lean prints a line and continues with a default value, which then ends up in a row. `extra` can allow
    that: `LEAN_ABORT_ON_PANIC` as "" or "0".
    """
    env = worker_environment({PANIC_VARIABLE: "1", **extra})
    # The addresses of a stack of interpreter frames would push the panic's own words out of the stderr tail.
    env.setdefault(_ADDRESSES_VARIABLE, "0")
    return env


def without_refused_panics(env: Mapping[str, str]) -> dict[str, str]:
    """`env` for a program that is not ours: Lean looks only whether the variable is set, whatever its value."""
    return {name: value for name, value in env.items() if name != PANIC_VARIABLE or value not in ("", "0")}


def lean_environment(
    env: Mapping[str, str],
    programs: Path | None,
    sources: Iterable[Path],
    given: Mapping[str, str],
) -> dict[str, str]:
    """Add what Lean code finds through its environment.

    `bv_decide` looks for its solver beside the running program, which is Python, and then on PATH. Code that reads
    source text looks in `LEAN_SRC_PATH`, and then beside the running program.

    Args:
        env: The environment of a worker.
        programs: The toolchain's `bin` directory; None for a Lean without one.
        sources: Directories of source text, in the order in which they count.
        given: The caller's own variables. They stay as they are; a PATH among them keeps its order.
    """
    env = dict(env)
    if programs is not None:
        parts = [part for part in env.get("PATH", "").split(os.pathsep) if part and part != str(programs)]
        env["PATH"] = os.pathsep.join([*parts, str(programs)] if "PATH" in given else [str(programs), *parts])
    if _SOURCES_VARIABLE not in given:
        inherited = [part for part in env.get(_SOURCES_VARIABLE, "").split(os.pathsep) if part]
        parts = list(dict.fromkeys([*map(str, sources), *inherited]))
        # Set to nothing, it would name the working directory.
        env.pop(_SOURCES_VARIABLE, None)
        if parts:
            env[_SOURCES_VARIABLE] = os.pathsep.join(parts)
    return env
