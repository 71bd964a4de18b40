"""Settings with which Lean runs on a file of a project: options, arguments, and libraries of precompiled modules.

The value, and how it is read from Lake's answer in each of its forms. See `project_settings` for finding it.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, SupportsIndex

import msgspec

from ..base.arguments import check_text, shown
from ..errors import InvalidModuleName, UsageError
from ..toolchains import module_names
from .declarations import OptionValue

_UNKNOWN = "_unknown"
# The files of a compiled module that Lean looks for side by side.
_PARTS = (".olean", ".olean.server", ".olean.private", ".ir")
# What an answer can say that does not depend on the file, or that is made anew for each file.
_SHARED_KEYS = frozenset(
    {"name", "package", "package?", "isModule", "imports", "imports?", "importArts", "dynlibs", "plugins", "options"}
)


@dataclasses.dataclass(frozen=True)
class FileSettings:
    """Settings with which Lean runs on a file.

    Attributes:
        source: "lake" for Lake's answer, "lakefile" for what the lakefile says, "none" for a file without a project.
        module: The module that the file is, if it is one of the project's.
        options: Lean options, by name.
        arguments: Further arguments of `lean`.
        plugins: Shared libraries of precompiled modules and of plugins, which Lean initialises.
        dynlibs: Shared libraries whose symbols Lean needs.
        notes: What could not be found out, one sentence each.
        setup: Lake's whole answer in JSON, for `lean --setup`; "" if this Lake does not work so.
        initializers: The functions that initialise plugins, by path; the others' follow from the names of their files.
    """

    source: Literal["lake", "lakefile", "none"] = "none"
    module: str | None = None
    options: Mapping[str, OptionValue] = dataclasses.field(default_factory=dict)
    arguments: tuple[str, ...] = ()
    plugins: tuple[str, ...] = ()
    dynlibs: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    setup: str = dataclasses.field(default="", repr=False)
    initializers: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def lean_arguments(self, options: Mapping[str, object] | None = None) -> list[str]:
        """Return the settings as arguments of `lean`; `options` win over the project's."""
        chosen = {**self._without(options or {}), **(options or {})}
        return [
            *(f"-D{name}={option_text(value)}" for name, value in chosen.items()),
            *self.arguments,
            *(f"--load-dynlib={library}" for library in self.dynlibs),
            *(f"--plugin={library}{self._initializer(library)}" for library in self.plugins),
        ]

    def lean_setup(self, options: Mapping[str, object] | None = None) -> tuple[str, list[str]]:
        """Return the content of a file for `lean --setup`, and the arguments beside it; `options` win.

        Without Lake's answer the content is "", and the arguments are those of `lean_arguments`.
        """
        if not self.setup:
            return "", self.lean_arguments(options)
        # An option in the file wins over an argument, and a library that is named twice would be loaded twice.
        table = {**msgspec.json.decode(self.setup), "options": self._without(options or {})}
        given = [f"-D{name}={option_text(value)}" for name, value in (options or {}).items()]
        return msgspec.json.encode(table).decode(), [*given, *self.arguments]

    def library_directories(self) -> tuple[str, ...]:
        """Return the existing directories of the libraries that Lean loads, which may need others beside them."""
        libraries = (*self.dynlibs, *self.plugins)
        return _directories((*libraries, *map(os.path.realpath, libraries)))

    def import_directories(self) -> tuple[str, ...]:
        """Return the existing directories of the compiled imports that `setup` names, such as Lake's cache."""
        artifacts = msgspec.json.decode(self.setup).get("importArts") if self.setup else None
        listed = artifacts.values() if isinstance(artifacts, dict) else ()
        files = (file for each in listed for file in _files(each))
        return _directories(file for file in files if os.path.isabs(file))  # others are the project's

    def describe(self) -> str:
        """Return one line for reports."""
        parts = [f"{name}={option_text(value)}" for name, value in self.options.items()]
        parts += [*self.arguments, *(f"plugin {Path(each).name}" for each in self.plugins)]
        parts += [f"library {Path(each).name}" for each in self.dynlibs]
        origin = {"lake": "from Lake", "lakefile": "from the lakefile", "none": "no project"}[self.source]
        return f"{origin}: {', '.join(parts) or 'no options'}"

    def _initializer(self, plugin: str) -> str:
        """Return what follows a plugin's path in Lean's argument."""
        name = self.initializers.get(plugin)
        return f"={name}" if name else ""

    def _without(self, options: Mapping[str, object]) -> dict[str, object]:
        """Return the project's options but for those that are given too, in either form of their name."""
        given = {name.removeprefix("weak.") for name in options}
        return {name: value for name, value in self.options.items() if name.removeprefix("weak.") not in given}


def _directories(files: Iterable[str]) -> tuple[str, ...]:
    places = dict.fromkeys(map(os.path.dirname, files))
    found = dict.fromkeys(os.path.realpath(place) for place in places if os.path.isdir(place))
    return tuple(found)


def check_option(doing: str, name: object, value: object) -> None:
    """Accept the name and the value of a Lean option.

    Raises:
        UsageError: The name is no name of an option, or the value is no bool, int or str.
    """
    check_text(doing, "the name of an option", name)
    assert isinstance(name, str)
    if "=" in name or any(character.isspace() for character in name):
        raise UsageError(
            f"{doing}: {shown(name)} is no name of a Lean option", hint="Names look like maxRecDepth or pp.all."
        )
    if isinstance(value, type) or not isinstance(value, (bool, int, str, SupportsIndex)):
        raise UsageError(
            f"{doing}: expected the option {name} as a bool, int or str, got {shown(value)}",
            hint="Give True, 1000 or 'text'; leave the option out for Lean's own default.",
        )
    check_text(doing, f"the option {name}", option_text(value), is_empty_good=True)


def option_text(value: object) -> str:
    """Return an option's value as `lean -D` takes it."""
    if isinstance(value, bool):
        return str(value).lower()
    try:
        return str(value)
    except ValueError:  # an integer of more digits than Python writes
        return ""


def of_answer(table: Mapping[str, Any], project: Path, search_path: Sequence[Path]) -> FileSettings:
    """Return the settings in an answer of either form: a module's setup, or paths and options.

    Args:
        table: Lake's answer.
        project: The directory against which its relative paths count.
        search_path: Where Lean looks for modules, whatever the answer says.
    """
    project = project.absolute()
    paths = table.get("paths")
    if isinstance(paths, dict):
        options, module, setup = table.get("setupOptions"), None, ""
        dynlibs, plugins = paths.get("loadDynlibPaths"), paths.get("pluginPaths")
    else:
        options, module = table.get("options"), str(table.get("name", _UNKNOWN))
        dynlibs, plugins = table.get("dynlibs"), table.get("plugins")
        listed = {name: _with_places(table[name], project) for name in ("dynlibs", "plugins") if name in table}
        setup = msgspec.json.encode({**_without_usual_places(table, project, search_path), **listed}).decode()
    found = {name: value for name, value in (options or {}).items() if isinstance(value, (str, bool, int))}
    return FileSettings(
        "lake",
        None if module == _UNKNOWN else module,
        found,
        (),
        _libraries(plugins, project),
        _libraries(dynlibs, project),
        (),
        setup,
        _initializers(plugins, project),
    )


def _without_usual_places(table: Mapping[str, Any], project: Path, search_path: Sequence[Path]) -> dict[str, Any]:
    """Return a module's setup without the thousands of files that Lean finds on its search path."""
    artifacts = table.get("importArts")
    if not isinstance(artifacts, dict):
        return dict(table)
    places = {os.path.normpath(directory) for directory in search_path}
    elsewhere = {name: files for name, files in artifacts.items() if not _are_usual(files, name, project, places)}
    return {**table, "importArts": elsewhere}


def _are_usual(artifacts: object, module: str, project: Path, places: set[str]) -> bool:
    """Whether all files of a module are where Lean looks for them anyway."""
    try:
        tail = os.sep + str(module_names.source_path(module_names.parse(module), ""))
    except InvalidModuleName:
        return False
    files = _files(artifacts)
    # The text of an absolute path is what `project / file` would give; there may be thousands.
    paths = (os.path.normpath(file if file.startswith(os.sep) else project / file) for file in files)
    bases = [path.removesuffix(part) for path in paths for part in _PARTS if path.endswith(tail + part)]
    found = {base.removesuffix(tail) for base in bases}
    return len(files) == len(bases) > 0 and len(found) == 1 and found <= places


def _files(artifacts: object) -> list[str]:
    """Return the files of a module, listed as paths, or in newer forms as lists of paths."""
    if isinstance(artifacts, str):
        return [artifacts]
    listed = artifacts if isinstance(artifacts, list) else []
    return [file for each in listed for file in (each if isinstance(each, list) else [each]) if isinstance(file, str)]


def find_answer(answer: str) -> dict[str, Any] | None:
    """Return Lake's answer, one line of what it printed; None if there is none."""
    for line in reversed(answer.splitlines()):
        try:
            table = msgspec.json.decode(line)
        except (msgspec.DecodeError, UnicodeEncodeError):
            continue
        if isinstance(table, dict) and ("paths" in table or "options" in table):
            return table
    return None


def _libraries(value: object, project: Path) -> tuple[str, ...]:
    """Return shared libraries, as a list of paths or of tables with a path, the relative ones in the project."""
    listed = value if isinstance(value, list) else []
    paths = [each.get("path") if isinstance(each, dict) else each for each in listed]
    return tuple(str(project / path) for path in paths if isinstance(path, str))


def _initializers(plugins: object, project: Path) -> dict[str, str]:
    """Return the functions that an answer names for plugins, by path.

    The keys are those of Lean's `Plugin`, whose `initFn?` is written without its question mark.
    """
    tables = [each for each in (plugins if isinstance(plugins, list) else []) if isinstance(each, dict)]
    named = [(each.get("path"), each.get("initFn")) for each in tables]
    return {str(project / path): name for path, name in named if isinstance(path, str) and isinstance(name, str)}


def _with_places(value: object, project: Path) -> object:
    """Return a list of shared libraries, as it was, with paths that begin at the root.

    The system's loader would look for a name without a slash in its own directories only.
    """
    if not isinstance(value, list):
        return value
    found: list[object] = []
    for each in value:
        if isinstance(each, dict) and isinstance(each.get("path"), str):
            found.append({**each, "path": str(project / each["path"])})
        else:
            found.append(str(project / each) if isinstance(each, str) else each)
    return found


def for_other_module(settings: FileSettings, module: str) -> FileSettings | None:
    """Return Lake's answer about one module as the answer about another of the same library.

    None if it may differ in more than the name: libraries to load and files of imports depend on the imports.
    """
    if not settings.setup or settings.plugins or settings.dynlibs or settings.notes:
        return None
    table = msgspec.json.decode(settings.setup)
    if table.get("importArts") or not table.keys() <= _SHARED_KEYS:
        return None
    # A file that begins with `module` is one whatever its setup says.
    setup = msgspec.json.encode({**table, "name": module, "isModule": False}).decode()
    return dataclasses.replace(settings, module=module, setup=setup)
