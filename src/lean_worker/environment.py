"""Which of the caller's environment variables a worker sees: those on a list, and no others.

Owns the list. A worker runs code that others wrote; what stands in the environment of a build server or a notebook
(keys, tokens, addresses of services) is none of its business. Callers pass more on with a capability's `env=`, or for
all workers by name in `LEAN_WORKER_PASS_ENV`: `NAME,PREFIX_*`, or `*` for everything. TMPDIR is never inherited: a
worker has a temporary directory of its own (`scratch`), unless `env=` names one.
"""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Mapping

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
    """The environment of a worker: what is inherited of ours, and `extra` over it."""
    passed = [pattern for pattern in os.environ.get(PASS_VARIABLE, "").split(",") if pattern]
    patterns = (*INHERITED, *passed)
    env = {
        name: value
        for name, value in os.environ.items()
        if name != TEMPORARY_DIRECTORY and any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)
    }
    env.update(extra)
    # What hosted code prints should be in an error's tail when it dies, not lost in a buffer.
    env.setdefault("PYTHONUNBUFFERED", "1")
    return env
