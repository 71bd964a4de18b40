"""Session of a Lean worker, as a lean-rs parent opens it.

A worker has imported everything before its handshake, so opening a session imports nothing. `open_host_session`
compares the request with how this worker was started and reports what the process has loaded. It refuses any other
session.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from ..base.deferred import Deferred
from ..wire import protocol
from .loop import SessionRefused

if TYPE_CHECKING:
    import subprocess
    import tempfile
else:
    subprocess, tempfile = Deferred("subprocess"), Deferred("tempfile")

_ANSWER_SECONDS = 60
_SUFFIXES = (b".olean", b".olean.server", b".olean.private", b".ir.sig", b".ir")


class LeanSession:
    """Session of a Lean worker, fixed by how the worker was started.

    Args:
        library: Path of `libleanshared`.
        script_text: The script with all its imports, as Lean gets it.
        project: Its project; None for none, in which case any is accepted.
    """

    def __init__(self, library: Path, script_text: bytes, project: str | None) -> None:
        self._library = library
        self._script_text = script_text
        self._project = project
        self._direct: list[str] | None = None

    def open(self, wanted: protocol.OpenHostSession) -> protocol.ImportStats:
        """The figures of the session.

        Raises:
            SessionRefused: It is another project, another kind of session, or has imports that were not made.
        """
        if isinstance(wanted.mode, protocol.ShimsMode):
            raise SessionRefused("this row worker serves the commands of its script only: expected mode capability")
        if wanted.import_profile != "private":
            raise SessionRefused(f"this row worker imports with profile private, not {wanted.import_profile}")
        if self._project is not None and Path(wanted.project_root).resolve() != Path(self._project).resolve():
            raise SessionRefused(f"this row worker was started for {self._project}, not {wanted.project_root}")
        direct = self._imports()
        loaded = _loaded_modules()
        missing = [name for name in wanted.imports if name not in direct and name not in loaded]
        if missing:
            raise SessionRefused(
                f"this row worker was not started with the imports {', '.join(missing)}; its script imports "
                f"{', '.join(direct) or 'nothing'}"
            )
        region_count = sum(each.region_count for each in loaded.values())
        region_bytes = sum(each.region_bytes for each in loaded.values())
        return protocol.ImportStats(
            direct_import_names=direct,
            effective_module_count=len(loaded),
            # Each file is one compacted region, which Lean maps. A lean-rs parent takes no figures without regions.
            compacted_region_count=region_count,
            memory_mapped_region_count=region_count,
            compacted_region_bytes=region_bytes,
            memory_mapped_region_bytes=region_bytes,
            imported_bytes=region_bytes,
        )

    def _imports(self) -> list[str]:
        """Return the script's imports as Lean's parser reads them; the first call runs Lean in a separate process."""
        if self._direct is None:
            with tempfile.NamedTemporaryFile(suffix=".lean") as copy:
                copy.write(self._script_text)
                copy.flush()
                driver = [sys.executable, "-m", "lean_worker.child.lean_driver", str(self._library)]
                try:
                    said = subprocess.run(
                        [*driver, "--deps-json", copy.name],
                        stdin=subprocess.DEVNULL,
                        capture_output=True,
                        timeout=_ANSWER_SECONDS,
                        check=True,
                    )
                    (answer,) = msgspec.json.decode(said.stdout, type=_Answer).imports
                    imports = answer.imports if answer.result is None else answer.result.imports
                    if imports is None:
                        raise ValueError("; ".join(answer.errors))
                except (OSError, ValueError, subprocess.SubprocessError, msgspec.DecodeError) as error:
                    raise SessionRefused(f"Lean does not say what the script imports: {error}") from error
            self._direct = list(dict.fromkeys(entry.module for entry in imports))
        return self._direct


class _Import(msgspec.Struct):
    module: str


class _Header(msgspec.Struct):
    imports: list[_Import]


class _File(msgspec.Struct):
    result: _Header | None = None
    imports: list[_Import] | None = None  # how Lean answered before it knew `module`
    errors: list[str] = []


class _Answer(msgspec.Struct):
    imports: list[_File]


class _Loaded(msgspec.Struct):
    """Mapped files of one module: their number and their size in bytes."""

    region_count: int = 0
    region_bytes: int = 0


def _loaded_modules() -> dict[str, _Loaded]:
    """The compiled modules that are mapped into this process, by name, with all of their parts.

    Empty where the system does not tell.
    """
    try:
        lines = Path("/proc/self/maps").read_bytes().splitlines()
    except OSError:
        return {}
    search_path = [Path(part).resolve() for part in os.environ.get("LEAN_PATH", "").split(os.pathsep) if part]
    loaded: dict[str, _Loaded] = {}
    counted: set[bytes] = set()
    for line in lines:
        fields = line.split(None, 5)
        if len(fields) != 6 or not fields[5].endswith(_SUFFIXES):
            continue
        start, _, end = fields[0].partition(b"-")
        module = loaded.setdefault(_module_name(Path(os.fsdecode(fields[5])), search_path), _Loaded())
        module.region_bytes += int(end, 16) - int(start, 16)
        module.region_count += fields[5] not in counted
        counted.add(fields[5])
    return loaded


def _module_name(file: Path, search_path: list[Path]) -> str:
    """The name under which Lean finds `file`; its path, which is no module's name, if it lies elsewhere."""
    suffix = next(suffix.decode() for suffix in _SUFFIXES if file.name.endswith(suffix.decode()))
    for directory in search_path:
        if file.is_relative_to(directory):
            parts = file.relative_to(directory).parts
            return ".".join((*parts[:-1], parts[-1].removesuffix(suffix)))
    return str(file)
