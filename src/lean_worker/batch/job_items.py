"""The identity of a job's items: an item that changes is another item, which is then due.

Owns the digest by which a ledger knows an item. Callers give requests and get items.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from ..commands import StreamingCommand
from ..errors import CapabilityError, DecodeError, UsageError
from ..hosting.launch import Capability, Launch, callers_directory, launch_of
from ..wire.requests import encode_request
from .ledger_items import LateItem, NewItem


class HostedOnce:
    """A capability for one run of a job: each of its workers hosts what the run's items were identified by.

    Args:
        capability: What the job's workers host.
        doing: For errors.

    Attributes:
        capability: As given.
    """

    def __init__(self, capability: Capability, doing: str) -> None:
        self.capability = capability
        self._doing = doing
        self._identity: tuple[str, str] | None = None
        self._directory: str | None = None

    def launch(self) -> Launch:
        """See `Capability.launch`.

        Raises:
            CapabilityError: It is not what it was the first time; or as of the capability.
        """
        if self._directory is None:
            self._directory = callers_directory()  # of the run's beginning
        launch = launch_of(self._doing, self.capability, self._directory)
        now = (launch.content, _launch_digest(launch, self.capability))
        if self._identity is None:
            self._identity = now
        elif now != self._identity:
            raise CapabilityError(
                f"{self._doing}: {launch.description} changed while the job ran: its script, its modules or its"
                " settings; nothing more is sent, what is done is kept",
                hint="Run the job again: items are identified by what hosts them, and are due for the new one.",
            )
        return launch

    def identity(self) -> tuple[str, str]:
        """Digests by which items are identified: of the files that are read, and of everything else.

        Raises:
            LeanWorkerError: As of `launch`.
        """
        if self._identity is None:
            self.launch()
            assert self._identity is not None
        return self._identity


def items_of(
    command: StreamingCommand[Any, Any, Any], hosted: HostedOnce, requests: Iterable[Any], version: str
) -> Iterator[LateItem]:
    """The items of a job, one by one, in the order of the requests.

    Raises:
        UsageError: The capability's `launch` gives no launch.
        LeanWorkerError: The capability cannot say what it hosts.
    """
    return _items(command, *hosted.identity(), requests, version)


def _items(
    command: StreamingCommand[Any, Any, Any],
    script_digest: str,
    launch_digest: str,
    requests: Iterable[Any],
    version: str,
) -> Iterator[LateItem]:
    name, kind = command.name, command.request
    before, behind = _text([name]), _text(["", script_digest, launch_digest, version])
    causes = _digest([_digest([name]), script_digest, launch_digest, version])

    def whole(request: str) -> NewItem:
        request_digest = _digest([request])
        # As `_digest([name, request_digest, …])`, which a ledger with millions of items asks for millions of times.
        same = hashlib.sha256(before + request_digest.encode() + behind).hexdigest()
        return NewItem(same, request, name, request_digest, script_digest, launch_digest)

    for index, request in enumerate(requests):
        try:
            text = encode_request(kind, request, name)
        except (DecodeError, UsageError) as error:
            error.text = f"reading request {index} of the job (from 0): {error.text}"
            error.args = (error.text,)
            raise
        yield LateItem(text, causes, whole)


def _launch_digest(launch: Launch, capability: Capability) -> str:
    """Describe what hosts an item, as far as is known without running it; the caller's own environment is left out."""
    parts = [launch.description, launch.cwd if launch.counts_cwd and launch.cwd is not None else ""]
    for number, argument in enumerate(launch.argv):
        if number == 0 and argument == sys.executable:
            continue
        parts.append(argument)
        file = os.path.join(launch.cwd or "", argument)  # as the program finds it
        if os.path.isfile(file):
            parts.append(str(os.path.getsize(file)))  # a library that was replaced under its name
    env = getattr(capability, "env", {})
    parts += [f"{name}={env[name]}" for name in sorted(env)]
    parts += [str(entry) for entry in getattr(capability, "path", ())]
    return _digest(parts)


def _digest(parts: Sequence[str]) -> str:
    return hashlib.sha256(_text(parts)).hexdigest()


def _text(parts: Sequence[str]) -> bytes:
    return "\0".join([*parts, ""]).encode("utf-8", "surrogateescape")
