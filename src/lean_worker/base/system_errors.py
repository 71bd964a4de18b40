"""The meaning of the system's refusals: which resource is used up, and what the caller can do."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator
from typing import Any

from ..errors import CapabilityError, LeanWorkerError, ResourceExhausted

_LIMITS = "Raise the limit (`ulimit -a` shows them), or end what uses it up."
_RESOURCES = {
    errno.EMFILE: "descriptor",
    errno.ENFILE: "descriptor",
    errno.EAGAIN: "process",
    errno.ENOMEM: "memory",
    errno.ENOSPC: "disk",
    errno.EDQUOT: "disk",
    errno.EFBIG: "disk",
}


def is_of_system(error: OSError) -> bool:
    """Whether the system has said it: a `TimeoutError` that a signal handler raises in a system call is another one."""
    return error.errno is not None


class PassingOver:
    """Passes over what the system refuses, as `contextlib.suppress(OSError)` does, but over nothing else."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        return isinstance(error, OSError) and is_of_system(error)


def of_system(doing: str, error: BaseException, hint: str | None = None, **facts: Any) -> LeanWorkerError:
    """Return what the system's refusal of something that a worker needs means to a caller.

    Args:
        doing: What was being done.
        error: What the system said.
        hint: What to do about it, unless a resource is used up.
        facts: Further facts for it.
    """
    number = error.errno if isinstance(error, OSError) else None
    resource = _RESOURCES.get(number or 0)
    said = (isinstance(error, OSError) and error.strerror) or str(error)
    if resource is None:
        name = str(error.filename) if isinstance(error, OSError) and error.filename is not None else ""
        where = f"{name}: " if name not in doing else ""
        return CapabilityError(f"{doing}: {where}{said}", hint=hint, errno=number, **facts)
    text = f"{doing}: {said}"
    return ResourceExhausted(text, hint=_LIMITS, resource=resource, errno=number, entered_worker=False, **facts)


def no_memory(doing: str, **facts: Any) -> ResourceExhausted:
    """Return the error for a MemoryError in this process: in what is done for a caller, and not in a worker."""
    return ResourceExhausted(
        f"{doing}: this process was given no more memory",
        hint="Raise the limit of this process (`ulimit -v` shows it), or ask for less at once.",
        resource="memory",
        **facts,
    )


@contextlib.contextmanager
def within_memory(doing: str) -> Iterator[None]:
    """Turn a MemoryError within into `ResourceExhausted`."""
    try:
        yield
    except MemoryError as error:
        raise no_memory(doing) from error


def no_thread(doing: str, error: RuntimeError) -> ResourceExhausted:
    """Return the error for a thread that the system does not give."""
    return ResourceExhausted(
        f"{doing}: no thread could be started: {error}", hint=_LIMITS, resource="thread", entered_worker=False
    )
