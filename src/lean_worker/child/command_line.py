"""The command line of a worker process: what to host, and how.

Read by a table, and not by argparse, whose import takes as long as a tenth of a worker's start.
"""

from __future__ import annotations

import sys
from types import SimpleNamespace

_LIBRARY = {"--library": "library"}
_PATHS = {"--path": "paths"}
_DIRECTORY = {"--directory": "directory"}
_REPEATED = frozenset({"imports", "paths", "lean_arguments"})
_HOSTS: dict[str, tuple[str, dict[str, str], tuple[str, ...]]] = {
    "python": ("registry", {}, ("registry",)),
    "lean": (
        "arguments",
        {
            **_LIBRARY,
            **_PATHS,
            "--script": "script",
            "--import": "imports",
            "--lean": "lean_arguments",
            "--project": "project",
        },
        ("library", "script"),
    ),
    "lines": ("spec", {}, ("spec",)),
    "check": ("", {**_LIBRARY, **_PATHS, **_DIRECTORY}, ("library",)),
    "compile": ("", {**_LIBRARY, **_PATHS, **_DIRECTORY, "--checker": "checker"}, ("library",)),
    "judge": ("", {**_LIBRARY, **_PATHS}, ("library",)),
}
"""For each host: the name of its positional argument ("arguments" takes any number), its options, what it needs."""


def parse_arguments(arguments: list[str]) -> SimpleNamespace:
    """Parse the command line. Exit with code 2 if it is wrong.

    Returns:
        `host`, `sandbox`, `hold` (a descriptor, or None), and the options of that host: strings, None, or lists of
        strings.
    """
    try:
        return _parse(arguments)
    except ValueError as error:
        print(f"python -m lean_worker.child: {error}; see the module lean_worker.child.__main__", file=sys.stderr)
        sys.exit(2)


def _parse(arguments: list[str]) -> SimpleNamespace:
    rest = list(reversed(arguments))
    found = SimpleNamespace(sandbox=None, hold=None)
    _take_options(rest, {"--sandbox": "sandbox", "--hold": "hold"}, found)
    if found.hold is not None:
        found.hold = int(found.hold)
    if not rest or rest[-1] not in _HOSTS:
        raise ValueError(f"expected one of {', '.join(_HOSTS)}, got {rest[-1] if rest else 'nothing'!r}")
    found.host = rest.pop()
    positional, options, needed = _HOSTS[found.host]
    for name in options.values():
        setattr(found, name, [] if name in _REPEATED else None)
    found.arguments = []
    _take_options(rest, options, found)
    if rest and rest[-1] == "--":
        rest.pop()
    if positional == "arguments":
        found.arguments = rest[::-1]
    elif positional and rest:
        setattr(found, positional, rest.pop())
    if rest and positional != "arguments":
        raise ValueError(f"unexpected argument {rest[-1]!r}")
    missing = [name for name in needed if getattr(found, name, None) is None]
    if missing:
        raise ValueError(f"the host {found.host!r} needs: {', '.join(missing)}")
    return found


def _take_options(rest: list[str], options: dict[str, str], found: SimpleNamespace) -> None:
    while rest and rest[-1].startswith("--") and rest[-1] != "--":
        option, has_value, value = rest.pop().partition("=")
        if option not in options:
            raise ValueError(f"unknown option {option!r}")
        if not has_value:
            if not rest:
                raise ValueError(f"{option} needs a value")
            value = rest.pop()
        name = options[option]
        if name in _REPEATED:
            getattr(found, name).append(value)
        else:
            setattr(found, name, value)
