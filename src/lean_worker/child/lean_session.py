"""The session of a Lean worker, as a lean-rs parent asks for one: was this worker started with what is wanted?

Owns the answer to `open_host_session`. A worker has imported everything before its handshake, so that opening imports
nothing: it compares, and says what the process has loaded. What cannot be had is refused, not promised.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import msgspec

from .. import protocol
from .loop import SessionRefused

_ANSWER_SECONDS = 60


class LeanSession:
    """What the worker was started with.

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
        missing = [name for name in wanted.imports if name not in direct and not _is_among(name, loaded)]
        if missing:
            raise SessionRefused(
                f"this row worker was not started with the imports {', '.join(missing)}; its script imports "
                f"{', '.join(direct) or 'nothing'}"
            )
        mapped_bytes = sum(loaded.values())
        return protocol.ImportStats(
            direct_import_names=direct,
            effective_module_count=len(loaded),
            memory_mapped_region_count=len(loaded),
            memory_mapped_region_bytes=mapped_bytes,
            imported_bytes=mapped_bytes,
        )

    def _imports(self) -> list[str]:
        """What the script imports, as Lean's own parser reads it; asked once, in a process of its own."""
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
                except (OSError, ValueError, subprocess.SubprocessError, msgspec.DecodeError) as error:
                    raise SessionRefused(f"Lean does not say what the script imports: {error}") from error
            self._direct = [entry.module for entry in answer.result.imports]
        return self._direct


class _Import(msgspec.Struct):
    module: str


class _Header(msgspec.Struct):
    imports: list[_Import]


class _File(msgspec.Struct):
    result: _Header


class _Answer(msgspec.Struct):
    imports: list[_File]


def _loaded_modules() -> dict[str, int]:
    """Compiled modules that are mapped into this process, and how many bytes of each; empty where nobody tells."""
    try:
        lines = Path("/proc/self/maps").read_bytes().splitlines()
    except OSError:
        return {}
    loaded: dict[str, int] = {}
    for line in lines:
        fields = line.split(None, 5)
        if len(fields) == 6 and fields[5].endswith(b".olean"):
            start, _, end = fields[0].partition(b"-")
            file = os.fsdecode(fields[5])
            loaded[file] = loaded.get(file, 0) + int(end, 16) - int(start, 16)
    return loaded


def _is_among(module: str, files: dict[str, int]) -> bool:
    """Whether a module that is imported through others is loaded, as far as the names of files tell."""
    return any(file.endswith("/" + module.replace(".", "/") + ".olean") for file in files)
