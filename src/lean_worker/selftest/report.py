"""Runs the checks and reports: one line for each, without the names of people and machines.

Owns what a line has and what is taken out of it. Nothing that a check raises ends the run.
"""

from __future__ import annotations

import contextlib
import dataclasses
import getpass
import importlib
import os
import platform
import re
import socket
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ..errors import LeanWorkerError, UsageError
from ..toolchains import toolchain as toolchains
from ..version import __version__
from .registry import CHECKS, Check, Failed, Setting, Skipped

MODULES = (
    "lean_checks",
    "script_checks",
    "worker_checks",
    "file_checks",
    "extract_checks",
    "verify_checks",
    "project_checks",
)
"""The modules whose import registers checks, in the order in which the checks run."""

PASSED, FAILED, SKIPPED = "passed", "failed", "skipped"
SIGNS = {PASSED: "✔", FAILED: "✘", SKIPPED: "–"}
_LONGEST_TEXT = 1500
_SHORTEST_NAME = 3
_NOBODY = ("root", "localhost")


@dataclasses.dataclass(frozen=True)
class Line:
    """Result of one check.

    Attributes:
        name: The check's stable name.
        title: What it tried.
        state: "passed", "failed" or "skipped".
        figure: What it measured; "" if nothing.
        meaning: What that says; what is wrong; or why it was not tried.
        seconds: How long it took.
    """

    name: str
    title: str
    state: str
    figure: str
    meaning: str
    seconds: float


@dataclasses.dataclass(frozen=True)
class Report:
    """The outcome of all checks, fit to be shown to strangers."""

    lines: tuple[Line, ...]

    @property
    def ok(self) -> bool:
        """Whether no check failed."""
        return all(line.state != FAILED for line in self.lines)

    def to_builtins(self) -> dict[str, Any]:
        """The report in JSON form."""
        return {"ok": self.ok, **_about(), "checks": [dataclasses.asdict(line) for line in self.lines]}


def run(
    toolchain: str = "auto",
    project: Path | None = None,
    on_line: Callable[[Line], object] | None = None,
    only: Sequence[str] = (),
) -> Report:
    """Run the checks, in order.

    Args:
        toolchain: As of `LeanCapability`.
        project: A Lake project to look at besides.
        on_line: Called with each line as soon as it is there.
        only: The names of the checks to run, or beginnings of names; all if empty.

    Raises:
        UsageError: No check has a name that begins so.
        CapabilityError: There is no such Lean, or no such project; nothing was tried.
        MissingExtra: The embedded Lean was asked for and is not installed.
    """
    for module in MODULES:
        importlib.import_module(f".{module}", __package__)
    for name in only:
        if not any(each.startswith(name) for each in CHECKS):
            raise UsageError(f"running checks: none is called {name!r}", hint=f"There are {', '.join(CHECKS)}.")
    chosen = [each for each in CHECKS.values() if not only or each.name.startswith(tuple(only))]
    project = None if project is None else project.expanduser().resolve()
    lean = toolchains.resolve(toolchain, project)
    scrub = Scrubber(project)
    lines = []
    with tempfile.TemporaryDirectory(prefix="lean-worker-selftest-") as directory:
        for each in chosen:
            place = Path(directory, each.name)
            place.mkdir()
            lines.append(_line(each, Setting(lean, toolchain, project, place), scrub))
            if on_line is not None:
                on_line(lines[-1])
    return Report(tuple(lines))


def _line(check: Check, setting: Setting, scrub: Scrubber) -> Line:
    started = time.monotonic()
    figure = ""
    try:
        found = check.run(setting)
        state, figure, meaning = PASSED, found.figure, found.meaning
    except Skipped as reason:
        state, meaning = SKIPPED, str(reason)
    except Failed as reason:
        state, meaning = FAILED, str(reason)
    except LeanWorkerError as error:
        tail = str(error.facts.get("stderr_tail") or "").strip()
        state, meaning = FAILED, f"{type(error).__name__}: {error}{f'; last words: {tail}' if tail else ''}"
    except Exception as error:
        state, meaning = FAILED, f"{type(error).__name__}: {error}"
    seconds = round(time.monotonic() - started, 3)
    return Line(check.name, check.title, state, scrub(figure), scrub(meaning)[:_LONGEST_TEXT], seconds)


class Scrubber:
    """Takes out of a text what names a person, a machine, or a place on it.

    Args:
        project: Shown as `PROJECT`.
    """

    def __init__(self, project: Path | None) -> None:
        self._places = []
        if project is not None:
            self._places.append((str(project), "PROJECT"))
        home = os.path.expanduser("~")
        for place in dict.fromkeys((home, os.path.realpath(home))):
            if len(place) > 1:
                self._places.append((place, "~"))
        self._places.append((tempfile.gettempdir(), "TMP"))
        names: dict[str, str] = {}
        for variable in ("USER", "LOGNAME", "SUDO_USER"):
            names[os.environ.get(variable, "")] = "USER"
        with contextlib.suppress(KeyError, OSError):  # a user without a name
            names[getpass.getuser()] = "USER"
        names[os.path.basename(home)] = "USER"
        for host in (socket.gethostname(), platform.node()):
            names[host] = names[host.partition(".")[0]] = "HOST"
        # The longest first: a host's full name has its short one in it.
        self._names = [
            (re.compile(rf"(?<![^\W_]){re.escape(name)}(?![^\W_])", re.IGNORECASE), shown)
            for name, shown in sorted(names.items(), key=lambda item: -len(item[0]))
            if len(name) >= _SHORTEST_NAME and name not in _NOBODY
        ]
        self._homes = re.compile(r"/(home|Users)/[^/\s:'\"]+")

    def __call__(self, text: str) -> str:
        """The text without them."""
        for place, shown in self._places:
            text = re.sub(rf"{re.escape(place)}(?=[/\s:;,'\")]|$)", shown, text)
        text = self._homes.sub(r"/\1/USER", text)
        for pattern, shown in self._names:
            text = pattern.sub(shown, text)
        return text


def _about() -> dict[str, str]:
    return {
        "lean_worker": __version__,
        "python": platform.python_version(),
        # The number only: a kernel of one's own may be named after its machine.
        "system": f"{platform.system()} {re.match(r'[0-9.]*', platform.release())[0]} {platform.machine()}",  # type: ignore[index]
    }
