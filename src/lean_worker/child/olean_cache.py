"""Cache of the compiled `LeanWorker` module between worker starts.

Callers get a directory for `LEAN_PATH`.

The modules of an entry are never changed in place. It is built in its own directory beside the others and renamed,
which happens completely or not at all. The loser of a race uses the winner's entry. A list of digests, written last,
tells a complete entry from a broken one. A broken entry is built again.

Lean runs the contents of module files, so a cache directory that another user owns or can write to is refused.
"""

from __future__ import annotations

import contextlib
import os
import stat
import time
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from ..base.deferred import Deferred
from ..errors import CapabilityError
from . import own_modules

try:
    from _blake2 import blake2b  # what `hashlib` has under this name, which also loads OpenSSL
except ImportError:
    from hashlib import blake2b

if TYPE_CHECKING:
    import hashlib
    import shutil
    import tempfile

    from . import module_compiler
else:
    # Only who builds an entry needs them, and a worker starts without.
    hashlib, shutil, tempfile = Deferred("hashlib"), Deferred("shutil"), Deferred("tempfile")
    module_compiler = Deferred("lean_worker.child.module_compiler")

_FORMAT = 3
_CONTENTS = "contents.json"
_COMPARED = "compared.json"
SETTLED_NS = 2_000_000_000
"""The age of a file's last change at which its stamps tell the next change."""


def cache_directory() -> Path:
    """Return the cache's directory: `LEAN_WORKER_CACHE_DIR`, or `lean-worker` in the user's cache directory."""
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


def prepare(library: Path) -> Path:
    """The directory with `LeanWorker.olean` for the Lean at `library`, built if need be.

    Raises:
        CapabilityError: Lean refused to compile it (its own messages are in the text), the result cannot be kept, or
            another user than root and ourselves owns the cache directory or can write to it.
    """
    # Not the file itself: where it is a link, the other parts of the library lie beside the link.
    library = library.parent.resolve() / library.name
    try:
        entry = cache_directory() / _key(library)
        entry.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        _refuse_if_shared(entry.parent)
        if _is_whole(entry):
            return entry
        unfinished = Path(tempfile.mkdtemp(prefix=f".{entry.name[:16]}-", dir=entry.parent))
        try:
            module_compiler.compile_into(unfinished, library)
            _keep_contents(unfinished)
            return _put_in_place(unfinished, entry)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
    except OSError as error:
        raise CapabilityError(
            f"compiling LeanWorker.lean: {error}",
            hint="Set LEAN_WORKER_CACHE_DIR to a directory that the worker may write to.",
        ) from error


def _refuse_if_shared(directory: Path) -> None:
    why = what_others_may(directory) or _what_others_may_above(directory)
    if why is not None:
        raise CapabilityError(
            f"compiling LeanWorker.lean: the cache directory {directory} {why}, who could put other code into it",
            hint="Remove the permissions (chmod go-w), or set LEAN_WORKER_CACHE_DIR to a directory that only you may"
            " write to.",
        )


def what_others_may(path: Path | int) -> str | None:
    """Tell why others than root and ourselves can change a path, or an open file; None if they cannot."""
    return _may_others(os.stat(path))


def _may_others(found: os.stat_result) -> str | None:
    if found.st_uid not in (0, os.geteuid()):
        return f"belongs to another user ({found.st_uid})"
    if found.st_mode & 0o022:
        return f"can be written to by its group or by all (mode {stat.S_IMODE(found.st_mode):04o})"
    return None


def _what_others_may_above(directory: Path) -> str | None:
    """Tell why others can put another directory in its place; None if they cannot."""
    for above in directory.resolve().parents:
        mode = above.stat().st_mode
        if mode & stat.S_IWOTH and not mode & stat.S_ISVTX:
            return f"lies in {above}, which can be written to by all (mode {stat.S_IMODE(mode):04o})"
    return None


def _key(library: Path) -> str:
    """Everything that decides what an entry holds."""
    found = library.stat()
    digest = blake2b(digest_size=32)
    for part in (_FORMAT, library, found.st_size, found.st_mtime_ns):
        digest.update(os.fsencode(str(part)) + b"\0")
    for module in own_modules.sources_for(library):
        with open(own_modules.source(module), "rb") as file:
            text = file.read()
        digest.update(f"{module}\0{len(text)}\0".encode() + text)
    return digest.hexdigest()


def _is_whole(entry: Path) -> bool:
    """Whether an entry is complete, and only root and ourselves can change it.

    Its files are compared with their digests once, and then with the inode, the size and the times that they had: to
    read 20 MB took a tenth of each worker's start.
    """
    try:
        stamps = _stamps_of(entry)
        if stamps is None:
            return False
        if stamps == _compared(entry):
            return True
        contents = msgspec.json.decode((entry / _CONTENTS).read_bytes(), type=dict[str, str])
        if not contents or any(_digest(entry / name) != digest for name, digest in contents.items()):
            return False
        _keep_compared(entry, stamps)
        return True
    except (OSError, ValueError, msgspec.DecodeError):
        return False


def _stamps_of(entry: Path) -> dict[str, list[int]] | None:
    """Inode, size and times of each file; None if others than root and ourselves can change one."""
    stamps: dict[str, list[int]] = {}
    if what_others_may(entry):
        return None
    directories = [""]
    while directories:
        directory = directories.pop()
        with os.scandir(entry / directory) as found:
            for each in found:
                status = each.stat()
                if _may_others(status):
                    return None
                name = f"{directory}{each.name}"
                if each.is_dir():
                    directories.append(f"{name}/")
                elif name != _COMPARED:
                    stamps[name] = [status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns]
    return stamps


def _compared(entry: Path) -> object:
    """The stamps of files that were compared with their digests."""
    with contextlib.suppress(OSError, msgspec.DecodeError):
        return msgspec.json.decode((entry / _COMPARED).read_bytes())
    return None


def _keep_compared(entry: Path, stamps: dict[str, list[int]]) -> None:
    """Keep stamps, unless a change right after could have the same ones; what they stand for is on the disk before."""
    if max(times[-1] for times in stamps.values()) > time.time_ns() - SETTLED_NS:
        return
    with contextlib.suppress(OSError):  # an entry of root's
        handle, name = tempfile.mkstemp(prefix=".stamps-", dir=entry.parent)
        try:
            with open(handle, "wb") as file:
                file.write(msgspec.json.encode(stamps))
                os.fchmod(file.fileno(), 0o644)
            for each in stamps:
                with (entry / each).open("rb") as stored:
                    os.fsync(stored.fileno())
            os.replace(name, entry / _COMPARED)
        except BaseException:
            os.unlink(name)
            raise


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _keep_contents(directory: Path) -> None:
    files = sorted(file for file in directory.rglob("*") if file.is_file())
    contents = {str(file.relative_to(directory)): _digest(file) for file in files}
    (directory / _CONTENTS).write_bytes(msgspec.json.encode(contents))


def _put_in_place(unfinished: Path, entry: Path) -> Path:
    make_readable(unfinished)
    while True:
        try:
            unfinished.rename(entry)
            return entry
        except OSError:
            # Something is there: another process was first, or a broken entry stands in the way.
            if _is_whole(entry):
                return entry
            if not entry.exists():
                raise
            discard(entry)


def make_readable(directory: Path) -> None:
    """Whatever the umask: readable for others, as a shared cache directory needs, and written by none of them."""
    for path in (directory, *directory.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)


def discard(entry: Path) -> None:
    """Move a broken entry out of the way, as a whole, and delete it; another process may do the same."""
    grave = Path(tempfile.mkdtemp(prefix=".broken-", dir=entry.parent))
    with contextlib.suppress(FileNotFoundError):
        entry.rename(grave / "entry")
    shutil.rmtree(grave, ignore_errors=True)
