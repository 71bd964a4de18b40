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

    modules: Mapping[str, Path]
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


def close(roots: Sequence[str], search_path: Sequence[Path], toolchain: Toolchain, own: Sequence[Path] = ()) -> Closure:
    """Follow the imports from `roots`.

    Args:
        roots: Names of modules.
        search_path: Where Lean looks, in its order.
        toolchain: Who will load them.
        own: Directories whose files may change while this process runs; the digest is over these.
    """
    found: dict[str, Path] = {}
    problems: list[Problem] = []
    imports: dict[str, tuple[str, ...]] = {}
    digest = hashlib.sha256()
    expected = _header_of_standard(toolchain)
    waiting = [module for module in roots if not _is_own(module)]
    while waiting:
        module = waiting.pop()
        if module in imports:
            continue
        imports[module] = ()
        file = olean.find(module, search_path)
        if file is None or not file.is_file():
            problems.append(_missing(module, file))
            continue
        found[module] = file
        try:
            header, imports[module] = _read(file, is_fixed=not _is_below(file, own))
        except (OSError, olean.BadModuleFile) as error:
            problems.append(Problem("damaged", module, str(file), str(error), "Delete the file and build it again."))
            continue
        if expected is not None and (header.version, header.commit) != expected:
            problems.append(_incompatible(module, file, header, expected))
        if _is_below(file, own):
            stat = file.stat()
            digest.update(f"{module}\0{file}\0{stat.st_size} {stat.st_mtime_ns}\0".encode())
        waiting.extend(name for name in imports[module] if not _is_own(name))
    problems += _cycles(imports, found)
    problems += _stale(imports, found, own)
    return Closure(found, tuple(problems), digest.hexdigest() if found else "")


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


# What was read of a file, as long as it stays as it was.
_seen: dict[Path, tuple[tuple[int, int] | None, olean.Header, tuple[str, ...]]] = {}


def _read(file: Path, *, is_fixed: bool) -> tuple[olean.Header, tuple[str, ...]]:
    """Header and imports; files of packages and of Lean itself are read once, others again when they changed."""
    known = _seen.get(file)
    state = None
    if not is_fixed:
        stat = file.stat()
        state = (stat.st_size, stat.st_mtime_ns)
    if known is not None and known[0] == state:
        return known[1], known[2]
    header, imports = olean.read_header(file), tuple(olean.read_imports(file))
    _seen[file] = (state, header, imports)
    return header, imports


def _header_of_standard(toolchain: Toolchain) -> tuple[str, str] | None:
    """Who should have written the modules; for a Lean without a standard library it is Lean that has to be asked."""
    if toolchain.version is None or toolchain.commit is None:
        return None
    return toolchain.version, toolchain.commit


def _is_own(module: str) -> bool:
    return module == _OWN or module.startswith(_OWN + ".")


def _is_below(file: Path, directories: Sequence[Path]) -> bool:
    return any(file.is_relative_to(directory) for directory in directories)


def _missing(module: str, file: Path | None) -> Problem:
    if file is None:
        text = f"nothing of the name {module.split('.')[0]} is anywhere that Lean looks"
        return Problem("missing", module, "", text, "Give project= or workspace= the Lake project that has it.")
    return Problem("missing", module, str(file), f"{file} does not exist", f"lake build {module}")


def _incompatible(module: str, file: Path, header: olean.Header, expected: tuple[str, str]) -> Problem:
    text = (
        f"{file} was written by Lean {header.version or '(an old one)'}, commit {header.commit[:12]}; "
        f"the script is run by Lean {expected[0]}, commit {expected[1][:12]}"
    )
    return Problem("incompatible", module, str(file), text, "Build it with that Lean, or choose its Lean: toolchain=….")


def _cycles(imports: Mapping[str, tuple[str, ...]], files: Mapping[str, Path]) -> list[Problem]:
    """The first cycle of imports that a walk in depth meets, if any."""
    done: set[str] = set()
    for start in imports:
        path: dict[str, None] = {}
        stack = [(start, iter(imports[start]))] if start not in done else []
        path.update(dict.fromkeys(name for name, _ in stack))
        while stack:
            module, rest = stack[-1]
            following = next(rest, None)
            if following is None:
                stack.pop()
                del path[module]
                done.add(module)
            elif following in path:
                names = list(path)
                around = [*names[names.index(following) :], following]
                text = f"the modules import each other: {' imports '.join(around)}"
                hint = "Take one of these imports out, and build the modules again."
                return [Problem("cyclic", following, str(files.get(following, "")), text, hint)]
            elif following not in done and following in imports:
                path[following] = None
                stack.append((following, iter(imports[following])))
    return []


def _stale(imports: Mapping[str, tuple[str, ...]], files: Mapping[str, Path], own: Sequence[Path]) -> list[Problem]:
    """Modules that are older than what they import: built before, so built on something else."""
    problems = []
    for module, file in files.items():
        if not _is_below(file, own):
            continue
        for name in imports[module]:
            imported = files.get(name)
            if (
                imported is not None
                and _is_below(imported, own)
                and imported.stat().st_mtime_ns > file.stat().st_mtime_ns
            ):
                text = f"{file} is older than the module {name} that it imports"
                problems.append(Problem("stale", module, str(file), text, f"lake build {module}"))
                break
    return problems
