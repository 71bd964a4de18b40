"""The meaning of the system's refusals: which resource is used up, and what the caller can do."""

from __future__ import annotations

import errno
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
    text = f"{doing}: {(isinstance(error, OSError) and error.strerror) or error}"
    if resource is None:
        return CapabilityError(text, hint=hint, errno=number, **facts)
    return ResourceExhausted(text, hint=_LIMITS, resource=resource, errno=number, entered_worker=False, **facts)


def no_thread(doing: str, error: RuntimeError) -> ResourceExhausted:
    """Return the error for a thread that the system does not give."""
    return ResourceExhausted(
        f"{doing}: no thread could be started: {error}", hint=_LIMITS, resource="thread", entered_worker=False
    )
