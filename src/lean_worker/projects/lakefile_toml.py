"""Reads the libraries that a `lakefile.toml` declares."""

from __future__ import annotations

import sys
from pathlib import Path, PurePosixPath
from typing import Any

from ..errors import InvalidModuleName, LakefileError
from .lake_library import LakeGlob, LakeLibrary

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib  # pyright: ignore[reportMissingImports]


def read(file: Path, content: bytes) -> tuple[LakeLibrary, ...]:
    """The libraries and executables of a `lakefile.toml`, in the file's order.

    Raises:
        LakefileError: It is no TOML, or a field that decides about modules is not of Lake's type.
    """
    try:
        table = tomllib.loads(content.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise LakefileError(f"reading {file}: {error}", file=str(file)) from error
    reader = _Reader(file)
    base = reader.text(table, "srcDir", ".", "the package")
    libraries = [reader.library(entry, base) for entry in reader.entries(table, "lean_lib")]
    executables = [reader.executable(entry, base) for entry in reader.entries(table, "lean_exe")]
    return (*libraries, *executables)


class _Reader:
    def __init__(self, file: Path) -> None:
        self._file = file

    def entries(self, table: dict[str, Any], key: str) -> list[dict[str, Any]]:
        entries = table.get(key, [])
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise self._wrong(f"{key} is written [[{key}]], a list of tables", entries)
        return entries

    def library(self, entry: dict[str, Any], base: str) -> LakeLibrary:
        name, where = self._name(entry, "lean_lib")
        src_dir = self.text(entry, "srcDir", ".", where)
        roots = self._texts(entry, "roots", where)
        globs = self._texts(entry, "globs", where)
        try:
            return LakeLibrary(
                name,
                src_dir=str(PurePosixPath(base, src_dir)),
                roots=roots,
                globs=None if globs is None else [LakeGlob.parse(glob) for glob in globs],
            )
        except InvalidModuleName as error:
            raise LakefileError(f"reading {self._file}: {where}: {error.text}", file=str(self._file)) from error

    def executable(self, entry: dict[str, Any], base: str) -> LakeLibrary:
        name, where = self._name(entry, "lean_exe")
        src_dir = self.text(entry, "srcDir", ".", where)
        root = self.text(entry, "root", None, where)
        try:
            return LakeLibrary.of_executable(name, root, str(PurePosixPath(base, src_dir)))
        except InvalidModuleName as error:
            raise LakefileError(f"reading {self._file}: {where}: {error.text}", file=str(self._file)) from error

    def text(self, table: dict[str, Any], key: str, default: Any, where: str) -> Any:
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
