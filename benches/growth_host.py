"""Python functions that `growth.py` and others host."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lean_worker.events import StreamRow


def rows(request: dict[str, int]) -> Iterator[Any]:
    """As many rows of a text of that size as asked for."""
    row = "x" * request.get("size_bytes", 10)
    for _ in range(request["count"]):
        yield row


def streams(request: dict[str, int]) -> Iterator[StreamRow]:
    """Rows on as many streams as asked for, in turn."""
    names = [f"stream{number}" for number in range(request["streams"])]
    for number in range(request["count"]):
        yield StreamRow(names[number % len(names)], number)


def records(request: dict[str, Any]) -> Iterator[Any]:
    """Rows of three short fields, or of a text of 4 KiB."""
    text = "x" * 4096
    for number in range(request["count"]):
        if request["kind"] == "large":
            yield {"blob": text, "i": number}
        else:
            yield {"i": number, "kind": "theorem", "name": "Nat.add_comm"}


def echo(request: Any) -> Any:
    """The request."""
    return request


COMMANDS = {"rows": rows, "streams": streams, "records": records, "echo": echo}
