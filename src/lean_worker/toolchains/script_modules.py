"""Check of the compiled modules that a script will load, before Lean loads them.

Finds the modules that a script imports, directly and indirectly, and the problems of their files. Lean trusts these
files: a truncated file kills the process, and modules that import each other keep it busy until the deadline, both
without a message. Callers decide which problems matter.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import subprocess
import sys
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from ..base import olean
from ..base.computed import computed
from ..base.regular_files import read_regular
from ..base.system_errors import of_system
from ..errors import CapabilityError, ModuleRefused
from . import module_files
from .toolchain import Toolchain

_ANSWER_SECONDS = 60
# Every worker brings these itself.
_OWN = "LeanWorker"
FATAL = ("damaged", "cyclic")
"""Problems that kill Lean or keep it busy; Lean reports all others itself when it imports."""


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
        digest: A digest of the files' states. If it differs, a running worker has loaded older files.
    """

    modules: Mapping[str, str]
    problems: tuple[Problem, ...]
    digest: str

    @computed
    def leading(self) -> tuple[str, ...]:
        """As of `module_files.leading_to`. What becomes a link later has another state."""
        return tuple(module_files.leading_to(self.modules.values()))


def imports_of(toolchain: Toolchain, script: Path, text: bytes) -> tuple[str, ...] | None:
    """Return the imports of `script`, read by Lean's own parser; None if they are no imports to it.

    Raises:
        CapabilityError: Lean did not answer; ResourceExhausted if the system had no process or descriptor for it. This
            says nothing about the script, and the next call asks again.
    """
    content = hashlib.sha256(text).hexdigest()
    key = (toolchain.identity, str(toolchain.library), tuple(toolchain.env.items()), str(script), content)
    if key in _answers:
        return _answers[key]
    imports = _ask(toolchain, script)
    if _is_still(script, text):  # Lean reads the file by itself, a moment after the caller
        while len(_answers) >= _MOST_ANSWERS:
            _answers.pop(next(iter(_answers)), None)
        _answers[key] = imports
    return imports


def _is_still(script: Path, text: bytes) -> bool:
    try:
        return read_regular(script) == text
    except OSError:
        return False


_MOST_ANSWERS = 256
# Never that a question failed: modules behind a script that are not looked at may be damaged, or other ones later.
_answers: dict[tuple[object, ...], tuple[str, ...] | None] = {}


def _ask(toolchain: Toolchain, script: Path) -> tuple[str, ...] | None:
    doing = f"asking Lean for the imports of {script}"
    argv = [sys.executable, "-m", "lean_worker.child.lean_driver", str(toolchain.library), "--deps-json", str(script)]
    try:
        said = subprocess.run(
            argv,
            env={**os.environ, **toolchain.env},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_ANSWER_SECONDS,
            check=False,
            start_new_session=True,  # Ctrl-C is for whoever asks, who may go on
        )
    except OSError as error:
        raise of_system(doing, error) from error
    except subprocess.TimeoutExpired as error:
        raise _no_answer(doing, f"none came within {_ANSWER_SECONDS} seconds") from error
    words = said.stderr.decode("utf-8", "replace").strip()
    if said.returncode != 0:
        if _UNKNOWN_OPTION in words:
            return None
        how = f"exit code {said.returncode}" if said.returncode > 0 else f"signal {-said.returncode}"
        raise _no_answer(doing, f"the process ended with {how}: {words or '(it said nothing)'}")
    try:
        (answer,) = msgspec.json.decode(said.stdout, type=Answer).imports
    except (msgspec.DecodeError, ValueError) as error:
        raise _no_answer(doing, f"what it said is no answer: {error}") from error
    unread = next((each for each in answer.errors if _SYSTEM_ERROR in each), None)
    if unread is not None:
        raise _no_answer(doing, f"it could not read the file: {unread}")
    imports = answer.all_imports()
    return None if imports is None else tuple(entry.module for entry in imports)


def _no_answer(doing: str, why: str) -> CapabilityError:
    return CapabilityError(
        f"{doing}: expected an answer, got none: {why}",
        hint="Ask again; without an answer, nobody can tell which compiled modules the script will load.",
    )


_UNKNOWN_OPTION = "Unknown command line option"  # a Lean that is too old to answer
_SYSTEM_ERROR = "(error code: "  # as Lean ends what the system said, and no message of its parser


class _Import(msgspec.Struct):
    module: str


class _Header(msgspec.Struct):
    imports: list[_Import]


class _File(msgspec.Struct):
    errors: list[str] = []
    result: _Header | None = None
    imports: list[_Import] | None = None  # how Lean answered before it knew `module`

    def all_imports(self) -> list[_Import] | None:
        return self.imports if self.result is None else self.result.imports


class Answer(msgspec.Struct):
    """Output of `lean --deps-json`, in either of its forms."""

    imports: list[_File]


def close(
    roots: Sequence[str], search_path: Sequence[Path], toolchain: Toolchain, own: Sequence[Path] = ()
) -> Closure | None:
    """Follow the imports from `roots`; return None if the format of this Lean's module files is unknown.

    A second call for unchanged modules asks the system once for each file and directory, and reads nothing. Right after
    a change, the call waits some milliseconds, so that no later change is missed.

    Args:
        roots: Names of modules.
        search_path: Lean's search path, in order.
        toolchain: The Lean that will load them.
        own: Directories whose files may change while this process runs. They are checked at each call, and the digest
            covers them. Other files are checked once.

    Raises:
        CapabilityError: A file or directory cannot be read now; ResourceExhausted if for want of descriptors or memory.
            Nothing is known of its module then, and it is not taken for damaged or missing.
    """
    understood = _understands(toolchain)
    if not understood:
        return None
    places = tuple(map(str, search_path))
    key = (toolchain.identity, places, tuple(map(str, own)), tuple(roots))
    seen = _seen.get(key)
    if seen is not None and seen[0].holds() and seen[1].holds():
        return seen[2]
    expected = _Expected.by(toolchain)
    walk = _walk(roots, search_path, own, toolchain, expected, understood)
    attempts = 1
    while attempts < _ATTEMPTS and walk.own_files.wait_until_settled():
        for path in walk.own_files.recent():
            module_files.forget(path)
        walk = _walk(roots, search_path, own, toolchain, expected, understood)
        attempts += 1
    if any(problem.reason == "incompatible" for problem in walk.problems) and not toolchain.checks_commits:
        walk = _walk(roots, search_path, own, toolchain, _Expected(None, expected.form), understood)
    # While a build is running, nothing that was seen is sure to be what a worker loads: no other look has this digest.
    unsettled = uuid.uuid4().hex if walk.own_files.settles_in_ns() else ""
    closure = Closure(walk.files, (*walk.problems, *walk.cycles(), *walk.stale()), walk.digest(unsettled))
    # A directory may be that of other things that come and go: then everything is listed again next time.
    if not unsettled and not walk.places.settles_in_ns():
        while len(_seen) >= _MOST_SEEN:
            _seen.pop(next(iter(_seen)), None)
        _seen[key] = (walk.own_files, walk.places, closure)
    return closure


_ATTEMPTS = 3
_MOST_SEEN = 64
# The last look at each set of modules.
_seen: dict[tuple[object, ...], tuple[module_files.Snapshot, module_files.Snapshot, Closure]] = {}
# Modules that do not change under a running process and were found to be well, by toolchain and search path.
_settled: dict[tuple[str, tuple[Path, ...]], dict[str, str]] = {}


def refuse(closure: Closure, description: str, toolchain: Toolchain) -> None:
    """Raise for problems that would kill Lean or keep it busy.

    Raises:
        ModuleRefused: A file is damaged, or modules import each other.
    """
    for problem in closure.problems:
        if problem.reason in FATAL:
            raise refused(f"hosting {description}", problem, toolchain)


def refused(doing: str, problem: Problem, toolchain: Toolchain) -> ModuleRefused:
    """Return the error for a problem."""
    return ModuleRefused(
        f"{doing}: the module {problem.module} cannot be loaded: {problem.text}",
        hint=problem.hint,
        reason=problem.reason,
        module=problem.module,
        file=problem.file,
        toolchain=toolchain.identity,
    )


@dataclasses.dataclass(frozen=True)
class _Expected:
    """Header that Lean expects of a file: its commit and its file format. None accepts any."""

    commit: str | None
    form: tuple[int, int] | None

    @classmethod
    def by(cls, toolchain: Toolchain) -> _Expected:
        header = toolchain.module_header
        if header is None:
            return cls(toolchain.commit, None)
        return cls(header.commit if header.has_commit else None, header.form)

    def accepts(self, header: olean.Header) -> bool:
        return self.commit in (None, header.commit) and self.form in (None, header.form)


def _walk(
    roots: Sequence[str],
    search_path: Sequence[Path],
    own: Sequence[Path],
    toolchain: Toolchain,
    expected: _Expected,
    understood: int,
) -> _Walk:
    settled = _settled.setdefault((toolchain.identity, tuple(search_path)), {})
    walk = _Walk(search_path, toolchain, expected, [f"{directory}{os.sep}" for directory in own], settled, understood)
    walk.run(roots)
    return walk


class _Walk:
    """One walk over the imports."""

    def __init__(
        self,
        search_path: Sequence[Path],
        toolchain: Toolchain,
        expected: _Expected,
        own: Sequence[str],
        settled: dict[str, str],
        understood: int,
    ) -> None:
        self.files: dict[str, str] = {}
        self.problems: list[Problem] = []
        self.own_files = module_files.Snapshot()
        self.places = module_files.Snapshot()
        for place in search_path:
            self.places.note(str(place))
        self._states: list[str] = []
        self._imports: dict[str, tuple[str, ...]] = {}
        self._written_ns: dict[str, int] = {}
        self._names: dict[str, frozenset[str]] = {}
        self._finder = olean.Finder(search_path)
        self._toolchain = toolchain
        self._expected = expected
        self._own = tuple(own)
        self._settled = settled
        self._understood = understood

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
            fixed = self.files.keys() - self._written_ns.keys()
            self._settled.update((module, self.files[module]) for module in fixed)

    def digest(self, extra: str) -> str:
        """Return a digest of the states of the files in the own directories."""
        text = "".join(sorted(self._states)) + extra
        return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()

    def _visit(self, module: str) -> tuple[str, ...]:
        file = self._finder.find(module)
        if file is None:
            self.problems.append(_missing(module, file))
            return ()
        directory, _, name = file.rpartition("/")
        is_own = file.startswith(self._own)
        names = self._names_in(directory, is_own)
        if name not in names:
            self.places.note(directory)
            self.problems.append(_missing(module, file))
            return ()
        paths = module_files.parts_of(file, names)
        states = tuple(map(self.own_files.note if is_own else _any_state, paths))
        self.files[module] = file
        if is_own:
            self._written_ns[module] = (states[0] or (0, 0))[1]
            self._states.extend(f"{path}\0{state}\0" for path, state in zip(paths, states, strict=True))
        reading = module_files.read(paths, states, parts=self._understood > 1)
        foreign = next((item for item in reading.headers if not self._expected.accepts(item[1])), None)
        if foreign is not None:
            self.problems.append(_incompatible(module, *foreign, self._hosting_lean))
        elif reading.reason:
            hint = _HINT_DAMAGED if reading.reason == "damaged" else _HINT_OTHER_LEAN
            text = f"{reading.bad_file}: {reading.text}"
            self.problems.append(Problem(reading.reason, module, reading.bad_file, text, hint))
        if (foreign is not None or reading.reason) and not is_own:
            for path in paths:
                self.places.note(path)
                module_files.forget(path)
        return reading.imports

    @computed
    def _hosting_lean(self) -> str:
        """The version and commit of the Lean that will load the modules, in words."""
        version = self._toolchain.version
        return f"Lean {version or '(of unknown version)'}, commit {(self._expected.commit or '(none)')[:12]}"

    def _names_in(self, directory: str, is_own: bool) -> frozenset[str]:
        names = self._names.get(directory)
        if names is None:
            if is_own:
                self.places.note(directory)
            try:
                names = frozenset(os.listdir(directory))
            except (FileNotFoundError, NotADirectoryError):
                names = frozenset()
            except OSError as error:
                raise of_system(f"looking for compiled modules in {directory}", error) from error
            self._names[directory] = names
        return names

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
        """The modules that are older than what they import, as one problem: perhaps built on something else."""
        times = self._written_ns
        pairs: list[tuple[str, str]] = []
        for module, time_ns in times.items():
            for name in self._imports[module]:
                if times.get(name, 0) > time_ns:
                    pairs.append((module, name))
                    break
        if not pairs:
            return []
        module, newer = pairs[0]
        text = f"{self.files[module]} is older than the module {newer} that it imports"
        if len(pairs) == 1:
            return [Problem("stale", module, self.files[module], text, f"lake build {module}")]
        text = f"{len(pairs)} of {len(times)} modules are older than one that they import: {text}"
        return [Problem("stale", module, self.files[module], text, _HINT_STALE)]


_HINT_OTHER_LEAN = "Build it with that Lean, or choose its Lean: toolchain=…."
_HINT_DAMAGED = "Delete the file and build it again."
_HINT_CYCLIC = "Take one of these imports out, and build the modules again."
_HINT_STALE = "`lake build` judges by content and builds what is needed; an unpacked cache looks old and is not."


def _any_state(path: str) -> None:
    """The state of a file that does not change: none is needed."""


def _understands(toolchain: Toolchain) -> int:
    """Return how much of a Lean's files this reader understands, tried on files that came with that Lean.

    0 for nothing, 1 for `.olean` files, 2 for the other parts too.

    Raises:
        CapabilityError: They cannot be read.
    """
    modules = toolchain.modules
    if modules is None:
        return 2  # the embedded Lean, on which the reader is tested
    key = (toolchain.identity, str(modules))
    if key in _understood:
        return 2
    path = modules / "Init.olean"
    try:
        paths = module_files.parts_of(str(path), frozenset(os.listdir(modules)))
        if not olean.read_imports(path):
            return 0
    except olean.BadModuleFile:
        return 0
    except OSError as error:
        raise of_system(f"looking at the modules of {toolchain.describe()}: reading {path}", error) from error
    if module_files.read(paths, (), parts=True).reason:
        module_files.forget(paths[0])
        return 1
    _understood.add(key)
    return 2


# Leans whose files are understood. Files of one that is being installed may be understood later: it is tried again.
_understood: set[tuple[str, str]] = set()


def _is_own(module: str) -> bool:
    return module == _OWN or module.startswith(_OWN + ".")


def _missing(module: str, file: str | None) -> Problem:
    if file is None:
        text = f"nothing of the name {module.split('.')[0]} is anywhere that Lean looks"
        return Problem("missing", module, "", text, "Give project= the Lake project that has it.")
    return Problem("missing", module, file, f"{file} does not exist", f"lake build {module}")


def _incompatible(module: str, file: str, header: olean.Header, hosting_lean: str) -> Problem:
    text = (
        f"{file} was written by Lean {header.version or '(an old one)'}, commit {header.commit[:12] or '(none)'}; "
        f"the script is run by {hosting_lean}"
    )
    return Problem("incompatible", module, file, text, _HINT_OTHER_LEAN)
