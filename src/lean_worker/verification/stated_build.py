"""The compiled modules behind a statement, as they were when a verification began.

The statement is compiled once, while candidates and judges import anew. If modules are compiled again in between, a
candidate would be compared with a statement that means something else by now.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from ..base.moved_directories import have_moved, marks_of
from ..base.package_places import MODULE_SUFFIX, PackagePlaces
from ..errors import LeanWorkerError
from ..lake import tool as lake
from ..toolchains import toolchain as toolchains
from ..toolchains.module_closure import closure_of, places_of
from ..toolchains.module_files import PARTS, leading_to, settled
from ..toolchains.toolchain import Toolchain
from .results import ProofVerdict, VerifyResult

_LEAST_REST = 4
"""Rest after a look at the files, in times its length: one at 24,000 files takes 62 ms of the judge's time."""
_SAYS_NOTHING = frozenset([ProofVerdict.LOST, ProofVerdict.TIMED_OUT])


class StatedBuild:
    """The files of the modules that a statement imports, with all that is behind them but Lean's own.

    Args:
        imports: The names of the modules that the statement imports.
        project: As of `lean_worker.verify`.
        toolchain: As of `lean_worker.verify`.

    Raises:
        CapabilityError: There is no Lean, or Lake cannot read the project.
    """

    def __init__(self, imports: Iterable[str], project: Path | None, toolchain: str) -> None:
        self._project = project
        self._toolchain = toolchain
        lean, places = self._found = self._lean_and_places()
        closure = closure_of(sorted(imports), places, lean) if places else None
        files = {} if closure is None else closure.modules
        self._packages = _packages_of(files, list(map(str, places)))
        standard = None if lean.modules is None else f"{lean.modules.resolve()}{os.sep}"
        own = [file for file in files.values() if standard is None or not file.startswith(standard)]
        self._leading = leading_to(own)
        self._marks = marks_of(self._leading)
        # A part that is not there may come.
        self._files = settled(
            [f"{file.removesuffix(MODULE_SUFFIX)}{part}" for file in own for part in (MODULE_SUFFIX, *PARTS)]
        )
        self._has_changed = False
        self._rests_until = 0.0

    def checked(self, results: Iterable[tuple[VerifyResult, bool]]) -> Iterator[VerifyResult]:
        """Hand out results after a look at the files: if they have changed, the results are LOST.

        If looks take long, several results that come in a row share one.

        Args:
            results: Each with whether another one can follow at once.
        """
        held: list[VerifyResult] = []
        try:
            for result, is_more_ready in results:
                held.append(result)
                if not is_more_ready or time.monotonic() >= self._rests_until:
                    yield from self._released(held)
        except Exception:
            yield from self._released(held)  # what was judged comes before what went wrong
            raise
        yield from self._released(held)

    def _released(self, held: list[VerifyResult]) -> Iterator[VerifyResult]:
        results = held[:]
        held.clear()
        if all(result.verdict in _SAYS_NOTHING for result in results) or not self._look():
            yield from results
            return
        for result in results:
            yield result if result.verdict in _SAYS_NOTHING else _lost(result)

    def _look(self) -> bool:
        """Whether a file is another one than when this was made, or may have been for a moment; once so, always so."""
        if not self._has_changed:
            began_at = time.monotonic()
            self._has_changed = not self._is_as_it_was()
            ended_at = time.monotonic()
            self._rests_until = ended_at + _LEAST_REST * (ended_at - began_at)
        return self._has_changed

    def _is_as_it_was(self) -> bool:
        try:
            found = self._lean_and_places()
        except LeanWorkerError:
            return False
        is_found_there = found == self._found and self._packages.still_hold()
        return is_found_there and self._files.holds() and not have_moved(self._marks, marks_of(self._leading))

    def _lean_and_places(self) -> tuple[Toolchain, list[Path]]:
        lean = toolchains.resolve(self._toolchain, self._project)
        return lean, places_of(lake.module_path(lean, self._project))


def _packages_of(files: Mapping[str, str], places: list[str]) -> PackagePlaces:
    """Packages of modules, given their files by name. Those of Lean itself come after all others."""
    numbers = {place: number for number, place in reversed(list(enumerate(places)))}
    owners: dict[str, int] = {}
    for module, file in files.items():
        place = file.removesuffix(f"/{module.replace('.', '/')}{MODULE_SUFFIX}")
        owners[module.partition(".")[0]] = numbers.get(place, len(places) - 1)
    return PackagePlaces(places, owners)


def _lost(result: VerifyResult) -> VerifyResult:
    detail = "modules that the statement imports have changed since the call began; verify the candidate again"
    return VerifyResult(
        result.index,
        result.name,
        ProofVerdict.LOST,
        detail=detail,
        messages=result.messages,
        seconds=result.seconds,
        cpu_seconds=result.cpu_seconds,
        judge_cpu_seconds=result.judge_cpu_seconds,
    )
