"""The compiled modules that a script will load, looked at before Lean does.

Owns finding the modules that a script imports, directly and through others, and what is wrong with their files. It is
needed because Lean trusts such files: one that is cut short kills the process, and modules that import each other keep
it busy until the deadline, both without a word. Callers decide which problems matter.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from . import olean
from .errors import ModuleRefused
from .toolchain import Toolchain

_ANSWER_SECONDS = 60
# Every worker brings these itself.
_OWN = "LeanWorker"
FATAL = ("damaged", "cyclic")
"""What Lean does not survive, or not in time; anything else it says itself when it imports."""


@dataclasses.dataclass(frozen=True)
class Problem:
    """One thing that is wrong with a module.

    Attributes:
        reason: "missing", "incompatible", "damaged", "cyclic" or "stale".
        module: Its name.
        file: Where its compiled file is, or was looked for; "" if nowhere.
        text: What is wrong, as one phrase.
        hint: What can be done.
    """

    reason: str
    module: str
    file: str
    text: str
    hint: str


@dataclasses.dataclass(frozen=True)
class Closure:
    """The modules behind a script's imports.

    Attributes:
        modules: Their files, by name.
        problems: What is wrong with them.
        digest: How the files stand; another one means that a running worker has loaded something else.
    """

    modules: Mapping[str, str]
    problems: tuple[Problem, ...]
    digest: str


def imports_of(toolchain: Toolchain, script: Path, text: bytes) -> tuple[str, ...] | None:
    """What `script` imports, read by Lean's own parser; None if Lean cannot say, for whatever reason."""
    content = hashlib.sha256(text).hexdigest()
    return _ask(toolchain.identity, str(toolchain.library), tuple(toolchain.env.items()), str(script), content)


@functools.lru_cache(maxsize=256)
def _ask(
    identity: str, library: str, env: tuple[tuple[str, str], ...], script: str, content: str
) -> tuple[str, ...] | None:
    argv = [sys.executable, "-m", "lean_worker.child.lean_driver", library, "--deps-json", script]
    try:
        said = subprocess.run(
            argv,
            env={**os.environ, **dict(env)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_ANSWER_SECONDS,
            check=False,
        )
        answer = msgspec.json.decode(said.stdout, type=_Answer)
    except (OSError, subprocess.SubprocessError, msgspec.DecodeError):
        return None
    results = [entry.result for entry in answer.imports]
    if said.returncode != 0 or len(results) != 1 or results[0] is None:
        return None
    return tuple(entry.module for entry in results[0].imports)


class _Import(msgspec.Struct):
    module: str


class _Header(msgspec.Struct):
    imports: list[_Import]


class _File(msgspec.Struct):
    result: _Header | None = None


class _Answer(msgspec.Struct):
    imports: list[_File]


def close(
    roots: Sequence[str], search_path: Sequence[Path], toolchain: Toolchain, own: Sequence[Path] = ()
) -> Closure | None:
    """Follow the imports from `roots`; None for a Lean whose module files are of a form that is not known here.

    Args:
        roots: Names of modules.
        search_path: Where Lean looks, in its order.
        toolchain: Who will load them.
        own: Directories whose files may change while this process runs: looked at each time, and what the digest is
            over. What lies elsewhere is looked at once.
    """
    if not _understands(toolchain.identity, toolchain.modules):
        return None
    expected = (toolchain.version, toolchain.commit)
    settled = _settled.setdefault((toolchain.identity, tuple(search_path)), {})
    walk = _Walk(search_path, expected, [str(directory) + os.sep for directory in own], settled)
    walk.run(roots)
    return Closure(walk.files, (*walk.problems, *walk.cycles(), *walk.stale()), walk.digest())


def refuse(closure: Closure, description: str, toolchain: Toolchain) -> None:
    """Raise for what Lean would not survive.

    Raises:
        ModuleRefused: A file is damaged, or modules import each other.
    """
    for problem in closure.problems:
        if problem.reason in FATAL:
            raise ModuleRefused(
                f"hosting {description}: the module {problem.module} cannot be loaded: {problem.text}",
                hint=problem.hint,
                reason=problem.reason,
                module=problem.module,
                file=problem.file,
                toolchain=toolchain.identity,
            )


# Modules that do not change under a running process and were found to be well, by toolchain and search path.
_settled: dict[tuple[str, tuple[Path, ...]], dict[str, str]] = {}


class _Walk:
    """One walk over the imports."""

    def __init__(
        self,
        search_path: Sequence[Path],
        expected: tuple[str | None, str | None],
        own: Sequence[str],
        settled: dict[str, str],
    ) -> None:
        self.files: dict[str, str] = {}
        self.problems: list[Problem] = []
        self._states: list[str] = []
        self._imports: dict[str, tuple[str, ...]] = {}
        self._times: dict[str, int] = {}
        self._finder = olean.Finder(search_path)
        self._expected = expected
        self._own = tuple(own)
        self._settled = settled

    def run(self, roots: Sequence[str]) -> None:
        """Visit everything; what lies in a settled part is not entered again."""
        waiting = [module for module in roots if not _is_own(module)]
        while waiting:
            module = waiting.pop()
            if module in self._imports:
                continue
            self._imports[module] = ()
            if module in self._settled:
                self.files[module] = self._settled[module]
                continue
            self._imports[module] = self._visit(module)
            waiting.extend(name for name in self._imports[module] if not _is_own(name))
        if not self.problems:
            fixed = self.files.keys() - self._times.keys()
            self._settled.update((module, self.files[module]) for module in fixed)

    def digest(self) -> str:
        """How the own files stand."""
        return hashlib.sha256("".join(sorted(self._states)).encode("utf-8", "surrogateescape")).hexdigest()

    def _visit(self, module: str) -> tuple[str, ...]:
        file = self._finder.find(module)
        try:
            stat = None if file is None else os.stat(file)
        except OSError:
            stat = None
        if file is None or stat is None:
            self.problems.append(_missing(module, file))
            return ()
        self.files[module] = file
        state = (stat.st_size, stat.st_mtime_ns)
        if file.startswith(self._own):
            self._times[module] = stat.st_mtime_ns
            self._states.append(f"{file}\0{state}\0")
        try:
            header, imports = _read(file, state, self._expected)
        except olean.UnknownFormat as error:
            self.problems.append(Problem("incompatible", module, file, f"{file}: {error}", _HINT_OTHER_LEAN))
            return ()
        except (OSError, olean.BadModuleFile) as error:
            self.problems.append(Problem("damaged", module, file, f"{file}: {error}", _HINT_DAMAGED))
            return ()
        if not _wrote(header, self._expected):
            self.problems.append(_incompatible(module, file, header, self._expected))
        return imports

    def cycles(self) -> list[Problem]:
        """The first cycle of imports that a walk in depth meets, if any."""
        done: set[str] = set()
        for start in self._imports:
            if start in done:
                continue
            path = {start: iter(self._imports[start])}
            while path:
                module, rest = next(reversed(path.items()))
                following = next(rest, None)
                if following is None:
                    del path[module]
                    done.add(module)
                elif following in path:
                    names = list(path)
                    around = " imports ".join([*names[names.index(following) :], following])
                    file = self.files.get(following, "")
                    return [
                        Problem("cyclic", following, file, f"the modules import each other: {around}", _HINT_CYCLIC)
                    ]
                elif following not in done and following in self._imports:
                    path[following] = iter(self._imports[following])
        return []

    def stale(self) -> list[Problem]:
        """Modules that are older than what they import: built before, so built on something else."""
        problems = []
        for module, time_ns in self._times.items():
            newer = next((name for name in self._imports[module] if self._times.get(name, 0) > time_ns), None)
            if newer is not None:
                text = f"{self.files[module]} is older than the module {newer} that it imports"
                problems.append(Problem("stale", module, self.files[module], text, f"lake build {module}"))
        return problems


_HINT_OTHER_LEAN = "Build it with that Lean, or choose its Lean: toolchain=…."
_HINT_DAMAGED = "Delete the file and build it again."
_HINT_CYCLIC = "Take one of these imports out, and build the modules again."


def _wrote(header: olean.Header, expected: tuple[str | None, str | None]) -> bool:
    version, commit = expected
    return header.commit == commit and header.version in ("", version)


@functools.lru_cache(maxsize=1 << 16)
def _read(
    file: str, state: tuple[int, int], expected: tuple[str | None, str | None]
) -> tuple[olean.Header, tuple[str, ...]]:
    """Header and imports; none of a file that another Lean wrote, which Lean will not load."""
    header = olean.read_header(Path(file))
    if not _wrote(header, expected):
        return header, ()
    return header, tuple(olean.read_imports(Path(file)))


@functools.lru_cache(maxsize=64)
def _understands(identity: str, modules: Path | None) -> bool:
    """Whether this reader makes sense of what a Lean writes, tried on a file that came with that Lean."""
    if modules is None:
        return True  # the embedded Lean, on which the reader is tested
    try:
        return bool(olean.read_imports(modules / "Init.olean"))
    except (OSError, olean.BadModuleFile):
        return False


def _is_own(module: str) -> bool:
    return module == _OWN or module.startswith(_OWN + ".")


def _missing(module: str, file: str | None) -> Problem:
    if file is None:
        text = f"nothing of the name {module.split('.')[0]} is anywhere that Lean looks"
        return Problem("missing", module, "", text, "Give project= or workspace= the Lake project that has it.")
    return Problem("missing", module, file, f"{file} does not exist", f"lake build {module}")


def _incompatible(module: str, file: str, header: olean.Header, expected: tuple[str | None, str | None]) -> Problem:
    text = (
        f"{file} was written by Lean {header.version or '(an old one)'}, commit {header.commit[:12]}; "
        f"the script is run by Lean {expected[0]}, commit {(expected[1] or '?')[:12]}"
    )
    return Problem("incompatible", module, file, text, _HINT_OTHER_LEAN)
