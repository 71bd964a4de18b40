"""The records of a ledger: an item as it is asked for, its rows, and what became of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

DUE, DONE, QUARANTINED = "due", "done", "quarantined"


class NewItem(NamedTuple):
    """An item as it is asked for: its request, and what else determines its rows.

    Attributes:
        same: Digest of all that determines its rows; equal requests have equal ones.
        request: JSON text of its request.
        command: The command's name.
        request_digest: SHA-256 of the request.
        script_digest: SHA-256 of the script that is hosted; empty if there is none.
        launch_digest: SHA-256 of the program that hosts it: toolchain, arguments, directory, environment.
    """

    same: str
    request: str
    command: str
    request_digest: str
    script_digest: str
    launch_digest: str


class LateItem:
    """An item whose digests are made when they are needed: one that was asked for before is known by its request.

    Args:
        request: JSON text of its request.
        causes: Digest of all else that determines its rows.
        make: Makes the whole item from the request.
    """

    __slots__ = ("_make", "causes", "request")

    def __init__(self, request: str, causes: str, make: Callable[[str], NewItem]) -> None:
        self.request = request
        self.causes = causes
        self._make = make

    def whole(self) -> NewItem:
        """The item with its digests."""
        return self._make(self.request)


@dataclasses.dataclass(frozen=True)
class Part:
    """The rows of one item, not committed: in a file of their own on the disk, or in memory if they are few.

    Attributes:
        path: The file; "" for rows in memory.
        rows: How many rows.
        size_bytes: Their size.
        digest: SHA-256 of their bytes.
        elapsed_us: How long the command ran in the worker, in microseconds.
        metadata: JSON text of the summary's metadata.
        content: The bytes of rows in memory.
    """

    path: str
    rows: int
    size_bytes: int
    digest: str
    elapsed_us: int
    metadata: str
    content: bytes | None = None


@dataclasses.dataclass(frozen=True)
class JobItem:
    """The record of one item of a job.

    Attributes:
        position: Its place among the requests, from 0.
        request: JSON text of its request.
        state: "due", "done" or "quarantined".
        deaths: How many workers it has ended.
        reason: Why it is quarantined, or how its last run failed; None if it did not.
        rows: How many rows it has; None before it is done.
        digest: SHA-256 of its lines; None before it is done.
        elapsed_us: How long it ran in the worker, in microseconds; None before it is done.
        metadata: JSON text of its summary's metadata; None before it is done.
        command: Name of the command.
        request_digest: SHA-256 of the request.
        script_digest: SHA-256 of the script; empty if there is none.
        launch_digest: SHA-256 of what hosted it.
    """

    position: int
    request: str
    state: str
    deaths: int
    reason: str | None
    rows: int | None
    digest: str | None
    elapsed_us: int | None
    metadata: str | None
    command: str
    request_digest: str
    script_digest: str
    launch_digest: str


ITEM_COLUMNS = ", ".join(field.name for field in dataclasses.fields(JobItem))
"""The columns of `JobItem`, in order."""
