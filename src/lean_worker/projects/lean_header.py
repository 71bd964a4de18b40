"""The imports of Lean source texts, as Lean's own header parser reads them.

Owns the question to Lean (one process for any number of texts) and its answer. Texts are asked for by content: what has
the same digest is asked once by one reader, and what was digested is what Lean reads, whatever happens to the files
meanwhile. Callers decide what an import means to them.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from ..base.computed import computed
from ..errors import CapabilityError, HeaderError
from ..toolchains import module_names
from ..toolchains.toolchain import Toolchain

_TIMEOUT = 60.0
_TIMEOUT_PER_TEXT = 0.1


@dataclasses.dataclass(frozen=True)
class HeaderImport:
    """One import of a header.

    Attributes:
        module: The imported module's name.
        is_exported: `public import`; in a file that is no `module`, every import is.
        is_meta: `meta import`.
        import_all: `import all`.
    """

    module: str
    is_exported: bool = True
    is_meta: bool = False
    import_all: bool = False


@dataclasses.dataclass(frozen=True)
class Header:
    """Header of a Lean file: everything before its first command.

    Attributes:
        imports: In the file's order, with the `Init` that Lean adds to a file without `prelude`.
        is_module: Whether the file begins with `module`.
    """

    imports: tuple[HeaderImport, ...]
    is_module: bool

    @property
    def modules(self) -> tuple[str, ...]:
        """The imported modules, each once, in the order of their first import."""
        return tuple(dict.fromkeys(each.module for each in self.imports))


@dataclasses.dataclass(frozen=True)
class SourceText:
    """A text whose header is asked for.

    Attributes:
        content: All of it, or at least its header.
        module: What it is called in errors.
        file: Where it comes from; None for a snippet.
    """

    content: bytes
    module: str
    file: Path | None = None

    @computed
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()


class _Import(msgspec.Struct):
    module: str
    importAll: bool = False  # the names are Lean's
    isExported: bool = True
    isMeta: bool = False


class _Result(msgspec.Struct):
    imports: list[_Import]
    isModule: bool = False


class _Answer(msgspec.Struct):
    errors: list[str] = []
    result: _Result | None = None
    imports: list[_Import] | None = None  # how Lean told it before it knew `module`


class _Answers(msgspec.Struct):
    imports: list[_Answer]


class HeaderReader:
    """Asks one Lean for headers, and remembers its answers by content.

    Args:
        toolchain: Whose parser reads the headers.
    """

    def __init__(self, toolchain: Toolchain) -> None:
        self._toolchain = toolchain
        self._known: dict[str, _Answer] = {}
        self.texts_asked = 0

    def read(self, texts: Iterable[SourceText]) -> list[Header]:
        """The header of each text, in their order.

        Raises:
            HeaderError: Lean refuses at least one of them; the first is described, `refused` names all.
            CapabilityError: This Lean does not run, or does not answer as Lean does.
        """
        wanted = list(texts)
        self.ask(wanted)
        refused = [text for text in wanted if self._known[text.sha256].errors]
        if refused:
            raise self._refusal(refused)
        return [_header(self._known[text.sha256]) for text in wanted]

    def ask(self, texts: Iterable[SourceText]) -> None:
        """Have the answers for these texts ready for `read`, whatever they are.

        Raises:
            CapabilityError: As `read`.
        """
        unknown = {text.sha256: text for text in texts if text.sha256 not in self._known}
        if unknown:
            self._ask(unknown)

    def _refusal(self, refused: list[SourceText]) -> HeaderError:
        first = refused[0]
        where = first.module if first.file is None else str(first.file)
        messages = [words.replace(_file_name(first.sha256), where) for words in self._known[first.sha256].errors]
        others = f" (and those of {len(refused) - 1} more)" if len(refused) > 1 else ""
        return HeaderError(
            f"reading the header of {first.module}{others}: {'; '.join(messages)}",
            module=first.module,
            file=None if first.file is None else str(first.file),
            messages=tuple(messages),
            refused=tuple(text.module for text in refused),
        )

    def _ask(self, texts: Mapping[str, SourceText]) -> None:
        with tempfile.TemporaryDirectory(prefix="lean-worker-headers-") as directory:
            names = []
            for digest, text in texts.items():
                names.append(_file_name(digest))
                (Path(directory) / names[-1]).write_bytes(text.content)
            said = run_lean(
                self._toolchain,
                ["--deps-json", "--stdin"],
                stdin="".join(f"{name}\n" for name in names),
                cwd=directory,
                timeout=_TIMEOUT + _TIMEOUT_PER_TEXT * len(names),
            )
        try:
            answers = msgspec.json.decode(said.stdout, type=_Answers).imports
        except msgspec.DecodeError as error:
            answers = []
            words = f"{error}; exit code {said.returncode}: {(said.stderr or said.stdout).strip()[:2000]}"
        else:
            words = f"{len(answers)} answers"
        if len(answers) != len(texts):
            raise CapabilityError(
                f"reading headers with the {self._toolchain.describe()}: expected {len(texts)} answers as JSON, "
                f"got {words}",
                library=str(self._toolchain.library),
            )
        self.texts_asked += len(texts)
        self._known.update(zip(texts, answers, strict=True))


def run_lean(
    toolchain: Toolchain, arguments: list[str], *, stdin: str, cwd: str, timeout: float, lean_path: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Run Lean's command line in a process of its own, whatever it says.

    Raises:
        CapabilityError: It cannot be started, or takes longer than `timeout` seconds; it is killed then.
    """
    env = {**os.environ, **toolchain.env}
    if lean_path is not None:
        env["LEAN_PATH"] = lean_path
    try:
        return subprocess.run(
            [sys.executable, "-m", "lean_worker.child.lean_driver", str(toolchain.library), *arguments],
            input=stdin,
            cwd=cwd,
            env=env,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            timeout=timeout,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CapabilityError(
            f"asking the {toolchain.describe()} about imports: {error}", library=str(toolchain.library)
        ) from error


def _file_name(digest: str) -> str:
    return f"{digest}.lean"


def _header(answer: _Answer) -> Header:
    result = answer.result or _Result(answer.imports or [])
    imports = tuple(
        HeaderImport(module_names.canonical(each.module), each.isExported, each.isMeta, each.importAll)
        for each in result.imports
    )
    return Header(imports, result.isModule)
