"""The identity of a job's items: an item that changes is another item, which is then due.

Owns the digest by which a ledger knows an item. Callers give requests and get items.
"""

from __future__ import annotations

import collections
import hashlib
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from ..commands import StreamingCommand
from ..hosting.launch import Capability, Launch
from ..wire.requests import encode_request
from .ledger import NewItem


def items_of(
    command: StreamingCommand[Any, Any, Any], capability: Capability, requests: Iterable[Any], version: str
) -> Iterator[NewItem]:
    """The items of a job. Equal requests are different items, told apart by how many came before."""
    launch = capability.launch()
    launch_digest = _launch_digest(launch, capability)
    seen: collections.Counter[str] = collections.Counter()
    for position, request in enumerate(requests):
        text = encode_request(command.request, request, command.name)
        request_digest = _digest([text])
        same = _digest([command.name, request_digest, launch.content, launch_digest, version])
        key = _digest([same, str(seen[same])])
        seen[same] += 1
        yield NewItem(key, position, text, command.name, request_digest, launch.content, launch_digest)


def _launch_digest(launch: Launch, capability: Capability) -> str:
    """Describe what hosts an item, as far as is known without running it; the caller's own environment is left out."""
    parts = [launch.description, launch.cwd or ""]
    for number, argument in enumerate(launch.argv):
        if number == 0 and argument == sys.executable:
            continue
        parts.append(argument)
        if os.path.isfile(argument):
            parts.append(str(os.path.getsize(argument)))  # a library that was replaced under its name
    env = getattr(capability, "env", {})
    parts += [f"{name}={env[name]}" for name in sorted(env)]
    parts += [str(entry) for entry in getattr(capability, "path", ())]
    return _digest(parts)


def _digest(parts: Sequence[str]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part.encode("utf-8", "surrogateescape") + b"\0")
    return digest.hexdigest()
