"""The list of checks, and what a check is told and says.

Owns the order and the names. A check returns what it found, raises `Skipped` if it cannot be tried here, and `Failed`,
or any error, if what it tried is broken.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

from ..base.computed import computed
from ..toolchains.toolchain import Toolchain


class Skipped(Exception):
    """The check cannot be tried here; the text says why."""


class Failed(Exception):
    """A check failed; the text says why."""


@dataclasses.dataclass(frozen=True)
class Found:
    """Result of a check that passed.

    Attributes:
        figure: A number with its unit, or a short text.
        meaning: What the figure says, as a sentence.
    """

    figure: str
    meaning: str


@dataclasses.dataclass(frozen=True)
class Setting:
    """Subject of the self-test.

    Attributes:
        toolchain: The Lean.
        chosen: How it was asked for.
        project: The user's project, if any.
        directory: A directory for files of the checks.
    """

    toolchain: Toolchain
    chosen: str
    project: Path | None
    directory: Path

    @computed
    def is_bare(self) -> bool:
        """Whether the Lean comes without `Init`, as the embedded one."""
        return self.toolchain.modules is None

    @property
    def lean(self) -> str | Path:
        """The Lean, for an argument `toolchain=`."""
        return "embedded" if self.toolchain.kind == "embedded" else self.toolchain.prefix or self.chosen

    def need_full(self) -> None:
        """Skip the check on a Lean without a library."""
        if self.is_bare:
            raise Skipped("this Lean has no library: neither Init nor Lean can be imported")

    def need_project(self) -> Path:
        """Skip the check without a project."""
        if self.project is None:
            raise Skipped("no project was given: --project DIR")
        return self.project


@dataclasses.dataclass(frozen=True)
class Check:
    """One check: its stable name, what it tries, and the function that does."""

    name: str
    title: str
    run: Callable[[Setting], Found]


CHECKS: dict[str, Check] = {}
"""All checks by name, in the order in which they run."""


def check(name: str, title: str) -> Callable[[Callable[[Setting], Found]], Callable[[Setting], Found]]:
    """Register the decorated function as a check.

    Args:
        name: A stable dotted name.
        title: What it tries, as a phrase.
    """

    def register(function: Callable[[Setting], Found]) -> Callable[[Setting], Found]:
        CHECKS[name] = Check(name, title, function)
        return function

    return register


def expect(holds: bool, text: str) -> None:
    """Fail the check unless `holds`.

    Raises:
        Failed: It does not hold.
    """
    if not holds:
        raise Failed(text)
