"""Sandboxes: the files and addresses that a worker with untrusted code may use.

This module holds the declaration; `child.sandbox` enforces it. A worker that cannot enforce its sandbox does not start.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Callable, Iterable, Sequence

from ..base.arguments import check_items, shown
from ..base.kept_directory import real
from ..errors import CapabilityError, UsageError


@dataclasses.dataclass(frozen=True)
class Sandbox:
    """A sandbox for a worker, on Linux 6.2 or newer with Landlock, x86-64 or arm64. The worker and its processes can

    - read the system's programs and libraries (`/usr`, `/lib…`, `/bin`), those of its settings that programs need, its
      own entries of `/proc`, Python's and Lean's own files, the module search path (for a Python registry with the
      working directory), the script, its project and the libraries that these load; not the rest, such as home
      directories;
    - write into its private temporary directory, and nowhere else;
    - reach no network and no Unix socket, such as that of a container engine;
    - make the system calls on a list, and no others: it cannot touch or see other processes (signals from Linux 6.12
      on), nor change mode, owner or times of a file.

    A sandbox does not limit time or memory: use `Timeouts`, `MemoryPolicy` and `Limits`.

    Args:
        readable: More files and directories that may be read, and programs there run.
        writable: More files and directories that may be read and written.
        network: Whether TCP and UDP are allowed; Unix sockets are not.

    If the sandbox is not available, or a path does not exist, the start raises `CapabilityError`; nothing runs
    unprotected.

    Raises:
        UsageError: An argument is of the wrong kind, or a path is one that the system cannot take.
    """

    readable: Sequence[str | os.PathLike[str]] = ()
    writable: Sequence[str | os.PathLike[str]] = ()
    network: bool = False

    def __post_init__(self) -> None:
        for name, paths in (("readable", self.readable), ("writable", self.writable)):
            check_items("declaring a sandbox", name, paths, are_paths=True)
        if not isinstance(self.network, bool):
            raise UsageError(
                f"declaring a sandbox: expected network as True or False, got {shown(self.network)}",
                hint="Give network=True to allow it.",
            )

    def with_readable(self, paths: Iterable[str | os.PathLike[str]]) -> Sandbox:
        """Return the same sandbox with more files and directories that may be read."""
        return dataclasses.replace(self, readable=(*self.readable, *paths))

    def arguments(self) -> tuple[str, ...]:
        """Return the command-line arguments that pass the sandbox to a worker.

        Raises:
            CapabilityError: One of the paths does not exist.
        """
        readable, writable = ([str(real(path)) for path in paths] for paths in (self.readable, self.writable))
        for path in (*readable, *writable):
            if not os.path.exists(path):
                raise CapabilityError(
                    f"locking a worker in: {path}, which it may touch, does not exist",
                    hint="Make it first, or leave it out of the sandbox's readable= and writable=.",
                    path=path,
                )
        _granted.update(writable)
        spec = {"readable": readable, "writable": writable, "network": self.network}
        return ("--sandbox", json.dumps(spec))


def located(sandbox: Sandbox | None, place_of: Callable[[str | os.PathLike[str]], str]) -> Sandbox | None:
    """Return the same sandbox with its paths as `place_of` tells what they mean; None for none."""
    if sandbox is None:
        return None
    readable, writable = (tuple(map(place_of, paths)) for paths in (sandbox.readable, sandbox.writable))
    return dataclasses.replace(sandbox, readable=readable, writable=writable)


_granted: set[str] = set()


def is_granted(path: str) -> bool:
    """Whether sandboxed code of this process may write to a real path, or to a directory above it."""
    return bool(granted_above(path))


def granted_above(path: str) -> list[str]:
    """Return the paths that sandboxed code of this process may write to, and that a real path is or lies in."""
    return [granted for granted in list(_granted) if f"{path}/".startswith(f"{granted.rstrip('/')}/")]
