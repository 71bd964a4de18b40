"""Reads what a `lakefile.toml` declares."""

from __future__ import annotations

import functools
import sys
from pathlib import Path, PurePosixPath
from typing import Any

from ..errors import InvalidModuleName, LakefileError
from .declarations import BUILD_TYPES, BuildSettings, Declarations, OptionValue, Requirement, Target
from .library import LakeGlob, LakeLibrary, target_name

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # pyright: ignore[reportMissingImports]


def read(file: Path, content: bytes) -> tuple[LakeLibrary, ...]:
    """Return the libraries and executables of a `lakefile.toml`, libraries first.

    Raises:
        LakefileError: As of `declarations`, or a field that decides about modules is not of Lake's type.
    """
    return declarations(file, content).libraries()


def declarations(file: Path, content: bytes) -> Declarations:
    """Return what a `lakefile.toml` declares.

    Raises:
        LakefileError: It is no TOML, or a target or a requirement has no name.
    """
    try:
        table = tomllib.loads(content.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise LakefileError(f"reading {file}: {error}", file=str(file)) from error
    return _Reader(file, table).run()


class _Reader:
    def __init__(self, file: Path, table: dict[str, Any]) -> None:
        self._file = file
        self._table = table

    def run(self) -> Declarations:
        self._text(self._table, "srcDir", ".", "the package")
        libraries = [self._target(entry, "lean_lib") for entry in self._entries("lean_lib")]
        executables = [self._target(entry, "lean_exe") for entry in self._entries("lean_exe")]
        return Declarations(
            (*libraries, *executables),
            (),
            tuple(self._requirement(entry) for entry in self._entries("require")),
            functools.partial(self._settings, self._table, "the package"),
            self._library_directory,
        )

    def _entries(self, key: str) -> list[dict[str, Any]]:
        entries = self._table.get(key, [])
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise self._wrong(f"{key} is written [[{key}]], a list of tables", entries)
        return entries

    def _target(self, entry: dict[str, Any], kind: str) -> Target:
        name, where = self._name(entry, kind)
        read_library = self._library if kind == "lean_lib" else self._executable
        library = functools.cache(functools.partial(read_library, entry, name, where))
        settings = functools.partial(self._settings, entry, where)
        return Target(target_name(name), kind, library, settings, target_name(name) in self._defaults())

    def _defaults(self) -> set[str]:
        return {target_name(name) for name in self._texts(self._table, "defaultTargets", "the package") or ()}

    def _requirement(self, entry: dict[str, Any]) -> Requirement:
        name, where = self._name(entry, "require")
        path = self._text(entry, "path", None, where)
        source = entry.get("source")
        if path is None and isinstance(source, dict) and source.get("type") == "path":
            path = self._text(source, "dir", None, where)
        return Requirement(name.replace("«", "").replace("»", ""), path)

    def _src_dir(self, entry: dict[str, Any], where: str) -> str:
        base = self._text(self._table, "srcDir", ".", "the package")
        return str(PurePosixPath(base, self._text(entry, "srcDir", ".", where)))

    def _library(self, entry: dict[str, Any], name: str, where: str) -> LakeLibrary:
        roots = self._texts(entry, "roots", where)
        globs = self._texts(entry, "globs", where)
        try:
            return LakeLibrary(
                name,
                src_dir=self._src_dir(entry, where),
                roots=roots,
                globs=None if globs is None else [LakeGlob.parse(glob) for glob in globs],
            )
        except InvalidModuleName as error:
            raise LakefileError(f"reading {self._file}: {where}: {error.text}", file=str(self._file)) from error

    def _executable(self, entry: dict[str, Any], name: str, where: str) -> LakeLibrary:
        root = self._text(entry, "root", None, where)
        try:
            return LakeLibrary.of_executable(name, root, self._src_dir(entry, where))
        except InvalidModuleName as error:
            raise LakefileError(f"reading {self._file}: {where}: {error.text}", file=str(self._file)) from error

    def _settings(self, entry: dict[str, Any], where: str, *, with_options: bool = True) -> BuildSettings:
        weak = self._texts(entry, "weakLeanArgs", where) or []
        precompiles = entry.get("precompileModules", False)
        if not isinstance(precompiles, bool):
            raise self._wrong(f"{where}: expected precompileModules as true or false", precompiles)
        build_type = entry.get("buildType", BUILD_TYPES[-1])
        if build_type not in BUILD_TYPES:
            raise self._wrong(f"{where}: expected buildType as one of {', '.join(BUILD_TYPES)}", build_type)
        loads = [load for key in ("plugins", "dynlibs") for load in self._texts(entry, key, where) or []]
        return BuildSettings(
            tuple(self._options(entry.get("leanOptions", {}), where)) if with_options else (),
            (*weak, *(self._texts(entry, "moreLeanArgs", where) or [])),
            precompiles,
            tuple(loads),
            with_options and build_type == BUILD_TYPES[0],
        )

    def _options(self, value: object, where: str) -> list[tuple[str, OptionValue]]:
        """Return options from tables in tables, or from a list of pairs or of tables with name and value."""
        if isinstance(value, dict):
            return self._options_of_table(value, "", where)
        if not isinstance(value, list):
            raise self._wrong(f"{where}: expected leanOptions as a table or a list", value)
        found = []
        for item in value:
            pair = [item.get("name"), item.get("value")] if isinstance(item, dict) else item
            if not isinstance(pair, list) or len(pair) != 2 or not isinstance(pair[0], str):
                raise self._wrong(f"{where}: expected a Lean option as a name and a value", item)
            found.append((_plain(pair[0]), self._option_value(pair[1], where)))
        return found

    def _options_of_table(self, table: dict[str, Any], prefix: str, where: str) -> list[tuple[str, OptionValue]]:
        found: list[tuple[str, OptionValue]] = []
        for key, value in table.items():
            name = prefix + _plain(key)
            if isinstance(value, dict):
                found += self._options_of_table(value, f"{name}.", where)
            else:
                found.append((name, self._option_value(value, where)))
        return found

    def _option_value(self, value: object, where: str) -> OptionValue:
        if isinstance(value, (bool, str)) or (isinstance(value, int) and value >= 0):
            return value
        raise self._wrong(
            f"{where}: expected a Lean option's value as a string, a truth value or a natural number", value
        )

    def _library_directory(self) -> tuple[str | None, str | None]:
        build, library = (self._text(self._table, key, None, "the package") for key in ("buildDir", "leanLibDir"))
        return build, library

    def _text(self, table: dict[str, Any], key: str, default: Any, where: str) -> Any:
        value = table.get(key, default)
        if value is not default and not isinstance(value, str):
            raise self._wrong(f"{where}: expected {key} as a string", value)
        return value

    def _name(self, entry: dict[str, Any], kind: str) -> tuple[str, str]:
        name = entry.get("name")
        if not isinstance(name, str) or not name:
            raise self._wrong(f"each {kind} has a name, a string", name)
        return name, f"{kind} {name}"

    def _texts(self, table: dict[str, Any], key: str, where: str) -> list[str] | None:
        value = table.get(key)
        if value is None:
            return None
        values = [value] if isinstance(value, str) else value
        if not isinstance(values, list) or not all(isinstance(each, str) for each in values):
            raise self._wrong(f"{where}: expected {key} as a list of strings", value)
        return values

    def _wrong(self, expected: str, got: object) -> LakefileError:
        return LakefileError(f"reading {self._file}: {expected}, got {got!r}", file=str(self._file))


def _plain(name: str) -> str:
    return name.replace("«", "").replace("»", "")
