"""The files that a command was given: those that are there when their turn comes, and results in their order."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from ..checking.sources import told_name

ResultT = TypeVar("ResultT")


def still_there(paths: Sequence[Path], gone: dict[int, str]) -> Iterator[Path]:
    """The files that exist when their turn comes; of each other one its place among them and its name are in `gone`."""
    for place, path in enumerate(paths):
        if path.exists():
            yield path
        else:
            gone[place] = told_name(str(path))


def in_given_order(paths: Sequence[Path], results: list[ResultT], name_of: Callable[[ResultT], str]) -> list[ResultT]:
    """The results in the order in which their files were given."""
    places = {told_name(str(path)): place for place, path in enumerate(paths)}
    return sorted(results, key=lambda result: places[name_of(result)])
