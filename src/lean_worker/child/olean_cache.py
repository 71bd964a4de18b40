"""The compiled `LeanWorker` module, and where it is kept between worker starts.

Owns the cache: what it is keyed by, how an entry is built, checked and put in place. Callers get a directory for
`LEAN_PATH`; they need not know whether it was there already.

An entry is never changed in place. It is built in a directory of its own beside the others and renamed, which either
happens or does not; the loser of a race uses the winner's. A list of digests, written last, tells a whole entry from a
broken one, and a broken one is built again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from ..errors import CapabilityError

_FORMAT = 1
_SOURCES = Path(__file__).parent.parent / "lean"
_PRELUDE = "LeanWorker/Prelude"
_MODULE = "LeanWorker"
_CONTENTS = "contents.json"


def cache_directory() -> Path:
    """Where entries are kept: `LEAN_WORKER_CACHE_DIR`, or `lean-worker` in the user's cache directory."""
    chosen = os.environ.get("LEAN_WORKER_CACHE_DIR")
    if chosen:
        return Path(chosen).expanduser().absolute()
    user_cache = os.environ.get("XDG_CACHE_HOME")
    # The XDG rules say to ignore a relative path.
    if user_cache and os.path.isabs(user_cache):
        return Path(user_cache) / "lean-worker"
    try:
        return Path.home() / ".cache" / "lean-worker"
    except RuntimeError as error:
        raise CapabilityError(
            "compiling LeanWorker.lean: this user has no home directory to keep the result in",
            hint="Set LEAN_WORKER_CACHE_DIR to a directory that the worker may write to.",
        ) from error


def standard_modules(library: Path) -> Path | None:
    """The directory of `Init.olean` that belongs to a Lean library; None for a Lean that has no compiled library."""
    for directory in (library.parent, library.parent / "lean"):
        if (directory / "Init.olean").is_file():
            return directory
    return None


def prepare(library: Path) -> Path:
    """The directory with `LeanWorker.olean` for the Lean at `library`, built if need be.

    Raises:
        CapabilityError: Lean refused to compile it (its own messages are in the text), or the result cannot be kept.
    """
    # Not the file itself: where it is a link, the other parts of the library lie beside the link.
    library = library.parent.resolve() / library.name
    try:
        entry = cache_directory() / _key(library)
        if _is_whole(entry):
            return entry
        entry.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f".{entry.name[:16]}-", dir=entry.parent))
        try:
            _build(library, scratch)
            return _put_in_place(scratch, entry)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    except OSError as error:
        raise CapabilityError(
            f"compiling LeanWorker.lean: {error}",
            hint="Set LEAN_WORKER_CACHE_DIR to a directory that the worker may write to.",
        ) from error


def _key(library: Path) -> str:
    """Everything that decides what an entry holds."""
    stat = library.stat()
    digest = hashlib.sha256()
    for part in (_FORMAT, library, stat.st_size, stat.st_mtime_ns):
        digest.update(os.fsencode(str(part)) + b"\0")
    for source in (_SOURCES / f"{_MODULE}.lean", _SOURCES / "embedded" / f"{_PRELUDE}.lean"):
        digest.update(hashlib.sha256(source.read_bytes()).digest())
    return digest.hexdigest()


def _is_whole(entry: Path) -> bool:
    try:
        contents = json.loads((entry / _CONTENTS).read_bytes())
        return bool(contents) and all(_digest(entry / name) == digest for name, digest in contents.items())
    except (OSError, ValueError, AttributeError):
        return False


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _build(library: Path, directory: Path) -> None:
    text = (_SOURCES / f"{_MODULE}.lean").read_text("utf-8")
    if standard_modules(library) is None:
        prelude = directory / f"{_PRELUDE}.lean"
        prelude.parent.mkdir()
        shutil.copyfile(_SOURCES / "embedded" / f"{_PRELUDE}.lean", prelude)
        modules = [_PRELUDE, _MODULE]
        # On the first line, so that Lean's messages name the lines of the shipped file.
        text = f"prelude import {_PRELUDE.replace('/', '.')} {text}"
    else:
        modules = [_MODULE]
    (directory / f"{_MODULE}.lean").write_text(text, "utf-8")
    for module in modules:
        _compile(library, directory, module)
    files = sorted(file for file in directory.rglob("*") if file.is_file())
    contents = {str(file.relative_to(directory)): _digest(file) for file in files}
    (directory / _CONTENTS).write_text(json.dumps(contents), "utf-8")


def _compile(library: Path, directory: Path, module: str) -> None:
    search_path = [str(directory)]
    standard = standard_modules(library)
    if standard is not None:
        search_path.append(str(standard))
    driver = [sys.executable, "-m", "lean_worker.child.lean_driver", str(library)]
    # Without a root that holds the source Lean refuses to write a module file.
    arguments = [f"--root={directory}", "-o", str(directory / f"{module}.olean"), str(directory / f"{module}.lean")]
    outcome = subprocess.run(
        driver + arguments,
        env={**os.environ, "LEAN_PATH": os.pathsep.join(search_path)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    if outcome.returncode != 0:
        said = outcome.stdout.strip() or "it said nothing"
        raise CapabilityError(
            f"compiling {module}.lean: Lean at {library} ended with exit code {outcome.returncode}: {said}",
            library=str(library),
        )


def _put_in_place(scratch: Path, entry: Path) -> Path:
    # Readable for others, as a shared cache directory needs: a temporary directory is made private.
    scratch.chmod(0o755)
    while True:
        try:
            scratch.rename(entry)
            return entry
        except OSError:
            # Something is there: another process was first, or a broken entry stands in the way.
            if _is_whole(entry):
                return entry
            if not entry.exists():
                raise
            _discard(entry)


def _discard(entry: Path) -> None:
    """Move a broken entry out of the way, as a whole, and delete it; another process may do the same."""
    grave = Path(tempfile.mkdtemp(prefix=".broken-", dir=entry.parent))
    with contextlib.suppress(FileNotFoundError):
        entry.rename(grave / "entry")
    shutil.rmtree(grave, ignore_errors=True)
