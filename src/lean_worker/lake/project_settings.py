"""The settings with which a project runs Lean for a file, found.

Lake's own answer if the toolchain has a Lake, the lakefile otherwise. Without these settings Lean accepts files that
the project's build rejects, and the other way round.
"""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import re
import tempfile
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from ..base.regular_files import read_regular
from ..errors import CapabilityError, InvalidModuleName, LakefileError, PlanningError
from ..toolchains import module_names
from ..toolchains.toolchain import Toolchain
from . import lakefile
from . import manifest as lake_manifest
from . import tool as lake
from .declarations import BuildSettings, Declarations, Target, merged
from .file_settings import FileSettings, find_answer, for_other_module, of_answer
from .kept import kept

SettingsChoice = Literal["auto", "lakefile", "none"]
CHOICES: tuple[SettingsChoice, ...] = ("auto", "lakefile", "none")

_NEEDS_BUILD = 3
_IMPORT = re.compile(r"\bimport\s+(?:all\s+)?([^\s]+)")
_MACHINE_CODE = re.compile(r"\b(?:precompileModules|plugins|dynlibs)\b")
_SWITCHED_OFF = re.compile(r"\bprecompileModules\s*:?=\s*false\b")
_UNKNOWN_COMMAND = ("unknown command", "unknown long option", "unknown option")
_HINT = 'Use a toolchain with Lake, write the value as a literal, or give settings="none" and the options yourself.'


class ProjectSettings:
    """Finds the settings of files of one project; thread-safe.

    Args:
        toolchain: The Lean that reads the files.
        project: The project's directory; None for none.
        choice: "auto" for Lake's answer or else the lakefile, "lakefile" for no run of Lake, "none" for no settings.
    """

    def __init__(self, toolchain: Toolchain, project: Path | None, choice: SettingsChoice = "auto") -> None:
        self._toolchain = toolchain
        self._project = project if project is not None and choice != "none" and lake.is_project(project) else None
        self._asks_lake = choice == "auto" and toolchain.program("lake") is not None
        self._of_snippets: dict[str, FileSettings] = {}
        self._of_libraries: dict[tuple[Path, str], FileSettings | None] = {}
        self._declared: dict[Path, Declarations] = {}
        self._machine_code: bool | None = None
        self._known_packages: list[_Package] | None = None
        self._lock = threading.RLock()

    def of_file(self, file: Path, imports: Sequence[str] = ()) -> FileSettings:
        """Return the settings of a file.

        Args:
            file: The file.
            imports: Modules that are imported besides those that the file imports itself.

        Raises:
            CapabilityError: Lake cannot read the project, or there is no Lake and the lakefile computes the settings.
            BuildFailed: Lake would have to download or replace packages first.
        """
        if self._project is None:
            return FileSettings()
        file = file.absolute()
        if self._asks_lake:
            answer = self._of_library(self._project, file)
            if answer is None and self._asks_lake:
                answer = self._ask_lake(self._project, file, imports)
            if answer is not None:
                return answer
        return self._of_lakefile(self._project, file)

    def of_text(self, text: str) -> FileSettings:
        """Return the settings of a text that is no file of the project; texts with the same imports share them.

        Raises:
            CapabilityError: As of `of_file`.
        """
        if self._project is None:
            return FileSettings()
        if not self._asks_lake:
            return self._of_lakefile(self._project, None)
        key = _up_to_last_import(text)
        with self._lock:
            if key not in self._of_snippets:
                with tempfile.TemporaryDirectory(prefix="lean-worker-settings-") as directory:
                    file = Path(directory) / "Snippet.lean"
                    file.write_text(text, "utf-8", "surrogatepass")
                    self._of_snippets[key] = self.of_file(file)
            return self._of_snippets[key]

    # -- Lake's answer --

    def _of_library(self, project: Path, file: Path) -> FileSettings | None:
        """Return the answer about another module of the same library, if that is this file's too.

        So Lake is run once for a library, and not once for each of its thousands of files, if no package brings machine
        code: then nothing depends on a file's imports.
        """
        try:
            package, found = self._package_of(project, file)
            module, target = _module_of(package, self._declarations(found), file)
        except (CapabilityError, LakefileError, PlanningError):
            return None
        if module is None or target is None or self._brings_machine_code(project):
            return None
        key = (package, target.name)
        with self._lock:
            if key not in self._of_libraries:
                answer = self._ask_lake(project, file, ())
                known = answer is not None and answer.module == module
                self._of_libraries[key] = answer if known else None
                return answer
            shared = self._of_libraries[key]
        return None if shared is None else for_other_module(shared, module)

    def _brings_machine_code(self, project: Path) -> bool:
        """Whether a lakefile of the project or of its packages has words for libraries that Lean loads."""
        if self._machine_code is None:
            self._machine_code = any(map(_has_words_for_machine_code, self._packages(project)))
        return self._machine_code

    def _packages(self, project: Path) -> list[_Package]:
        """Return the project and its packages."""
        if self._known_packages is None:
            packages = lake_manifest.read(project) or ()
            others = [_Package.of(package.directory, package.config_file) for package in packages]
            self._known_packages = [_Package.of(project, None), *others]
        return self._known_packages

    def _declarations(self, file: Path) -> Declarations:
        if file not in self._declared:
            self._declared[file] = lakefile.read(file)
        return self._declared[file]

    def _ask_lake(self, project: Path, file: Path, imports: Sequence[str]) -> FileSettings | None:
        header = [_header_json([*_imports(file), *imports])] if imports else []
        code, answer, complaint = lake.setup_file(self._toolchain, project, file, *header)
        notes: list[str] = []
        if code != 0:
            if any(words in complaint for words in _UNKNOWN_COMMAND):
                self._asks_lake = False
                return None
            # The options do not depend on the imports, which may be bad, or not built.
            first = " ".join(complaint.split()) or f"exit code {code}"
            why = "some of its imports are not built, or older than their sources" if code == _NEEDS_BUILD else first
            notes.append(f"Lake did not say which machine code {file.name} loads: {why[:500]}")
            code, answer, complaint = lake.setup_file(self._toolchain, project, file, _header_json([]))
        if code != 0:
            raise CapabilityError(
                f"asking Lake how Lean is run for {file}: `lake setup-file` ended with exit code {code}: "
                f"{complaint or answer or '(Lake said nothing)'}",
                hint='Run `lake build` in the project, or give settings="lakefile".',
                project=str(project),
                file=str(file),
                toolchain=self._toolchain.identity,
            )
        table = find_answer(answer)
        if table is None:
            self._asks_lake = False
            return None
        if "paths" in table and (named := _imports(file)):
            # A Lake of before modules had headers: it wants the imports as arguments.
            code, again, _ = lake.setup_file(self._toolchain, project, file, *named, *imports)
            table = (find_answer(again) if code == 0 else None) or table
        found = of_answer(table, project, lake.module_path(self._toolchain, project))
        arguments, doubts = self._arguments(project, file)
        return dataclasses.replace(found, arguments=arguments, notes=(*notes, *doubts))

    def _arguments(self, project: Path, file: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return the arguments that the build gives to Lean besides options, about which Lake is not asked."""
        try:
            return self._from_lakefile(project, file, with_options=False)[1].arguments, ()
        except (LakefileError, PlanningError) as error:
            return (), (f"moreLeanArgs and weakLeanArgs are not known: {error.text}",)

    # -- the lakefile --

    def _of_lakefile(self, project: Path, file: Path | None) -> FileSettings:
        try:
            module, settings = self._from_lakefile(project, file, with_options=True)
        except (LakefileError, PlanningError) as error:
            what = "a snippet" if file is None else str(file)
            raise CapabilityError(
                f"finding the options with which {project} runs Lean for {what}: {error.text}",
                hint=_HINT,
                **error.facts,
            ) from error
        notes = []
        if settings.precompiles or settings.loads:
            notes.append("Machine code of precompiled modules and plugins is not loaded: only Lake says where it is.")
        return FileSettings("lakefile", module, dict(settings.options), settings.arguments, notes=tuple(notes))

    def _from_lakefile(
        self, project: Path, file: Path | None, *, with_options: bool
    ) -> tuple[str | None, BuildSettings]:
        package, found = self._package_of(project, file)
        declared = self._declarations(found)
        module, target = (None, None) if file is None else _module_of(package, declared, file)
        readers = [declared.settings] if target is None else [declared.settings, target.settings]
        return module, merged(reader(with_options=with_options) for reader in readers)

    def _package_of(self, project: Path, file: Path | None) -> tuple[Path, Path]:
        """Return directory and lakefile of the package that a file belongs to; of the project for any other file."""
        packages = self._packages(project)
        chosen = packages[0]
        if file is not None:
            resolved = file.resolve()
            inside = [each for each in packages if each.has(file, resolved)]
            chosen = max(inside or packages[:1], key=lambda package: len(package.directory.parts))
        found = lakefile.find(chosen.directory, chosen.config_file)
        if found is None:
            raise LakefileError(f"looking for a lakefile: {chosen.directory} has none", file=str(chosen.directory))
        return chosen.directory, found


@dataclasses.dataclass(frozen=True)
class _Package:
    """The project or one of its packages."""

    directory: Path
    resolved: Path
    config_file: str | None

    @classmethod
    def of(cls, directory: Path, config_file: str | None) -> _Package:
        return cls(directory.absolute(), directory.resolve(), config_file)

    def has(self, file: Path, resolved: Path) -> bool:
        return file.is_relative_to(self.directory) or resolved.is_relative_to(self.resolved)


def _has_words_for_machine_code(package: _Package) -> bool:
    file = lakefile.find(package.directory, package.config_file)
    text = "" if file is None else lakefile.content_of(file).decode("utf-8", "replace")
    return _MACHINE_CODE.search(_SWITCHED_OFF.sub("", text)) is not None


def _module_of(package: Path, declared: Declarations, file: Path) -> tuple[str | None, Target | None]:
    """Return the module that a file is, and its target; raise if only Lake can say whether it is one."""
    doubt: LakefileError | None = next(iter(declared.doubts), None)
    names: dict[str, tuple[str, ...] | None] = {}
    # A module of a library that is also a program's root is the library's.
    for target in sorted(declared.targets, key=lambda target: target.kind != "lean_lib"):
        try:
            library = target.library()
        except LakefileError as error:
            doubt = doubt or error
            continue
        if library.src_dir not in names:
            names[library.src_dir] = _module_name(file, package / library.src_dir)
        parts = names[library.src_dir]
        if parts is not None and any(glob.matches(parts) for glob in library.searched()):
            return module_names.text(parts), target
    if doubt is not None and _relative(file, package) is not None:
        raise copy.copy(doubt)
    return None, None


def _module_name(file: Path, source: Path) -> tuple[str, ...] | None:
    relative = _relative(file, source)
    if relative is None or file.suffix != ".lean":
        return None
    try:
        return module_names.of_path(relative)
    except InvalidModuleName:
        return None


def _relative(file: Path, directory: Path) -> Path | None:
    if file.is_relative_to(directory.absolute()):
        return file.relative_to(directory.absolute())
    resolved, place = file.resolve(), directory.resolve()
    return resolved.relative_to(place) if resolved.is_relative_to(place) else None


def _imports(file: Path) -> list[str]:
    """Return what may be the file's imports: more is no harm, since Lake passes over modules that nobody has."""
    try:
        return list(dict.fromkeys(_IMPORT.findall(read_regular(file).decode("utf-8", "replace"))))
    except OSError:
        return []


def _up_to_last_import(text: str) -> str:
    """Return a beginning of a text that has its whole header."""
    start = text.rfind("import")
    if start < 0:
        return ""
    named = _IMPORT.match(text, start)
    # A comment may be between the word and the name.
    return text if named is None or named[1].startswith(("-", "/")) else text[: named.end()]


def _header_json(imports: Iterable[str]) -> str:
    listed = [{"module": name, "importAll": False, "isExported": True, "isMeta": False} for name in imports]
    return msgspec.json.encode({"imports": listed, "isModule": False}).decode()


# -- scripts, which are started again and again --


def of_script(
    toolchain: Toolchain,
    project: Path | None,
    script: Path,
    content: str,
    imports: Sequence[str],
    choice: SettingsChoice,
) -> FileSettings:
    """Return the settings of a script, found once as long as neither script nor project change.

    Args:
        toolchain: The Lean that runs it.
        project: The project's directory; None for none.
        script: The script's path.
        content: A digest of its content.
        imports: Modules that are added to its imports.
        choice: As of `ProjectSettings`.

    Raises:
        CapabilityError: As of `ProjectSettings.of_file`.
    """
    if project is None or choice == "none":
        return FileSettings()
    state = lake.configuration_digest(project)
    parts = (toolchain.identity, str(project), state, str(script), content, choice, *imports)
    key = hashlib.sha256("\0".join(parts).encode("utf-8", "surrogateescape")).hexdigest()
    found = kept.settings(key)
    if found is None:
        found = ProjectSettings(toolchain, project, choice).of_file(script, imports)
        if found.notes:
            return found  # Lake could not say all, such as before a build: asked again the next time
        kept.keep_settings(key, found)
    return found
