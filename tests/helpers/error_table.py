"""The table of error classes in `docs/errors.md`, made from the classes: `python tests/helpers/error_table.py` writes it anew."""

from __future__ import annotations

from pathlib import Path

from lean_worker import errors

PAGE = Path(__file__).parents[2] / "docs" / "errors.md"
BEGIN = "<!-- the classes; written by tests/helpers/error_table.py -->\n"
END = "<!-- end of the classes -->\n"
MEANING = {
    *("ends_worker", "retry", "ended_as", "by_request", "by_caller", "by_pool", "by_node", "by_protocol"),
    *("concerns_all", "is_late", "pool_is_closed", "report_code", "report_subject"),
}
"""Attributes that say what follows from a class; all others are facts of one error."""
_BLAMED = {
    "by_request": "request",
    "by_caller": "caller",
    "by_pool": "rule of the pool",
    "by_node": "machine",
    "by_protocol": "protocol",
    "is_late": "time limit",
}
_ENDS = {True: "yes", False: "no", None: "it depends"}


def in_order(kind=errors.LeanWorkerError, depth=0):
    """Each class with its depth in the tree, in the order of the module."""
    yield kind, depth
    for other in kind.__subclasses__():
        if other.__bases__[0] is kind and other.__module__ == errors.__name__:
            yield from in_order(other, depth + 1)


def attributes_of(kind):
    """The facts that a class declares itself, without what follows from the class."""
    names = vars(kind).get("__annotations__", {})
    hidden = MEANING | ({"text", "hint", "retry_after"} if kind is errors.LeanWorkerError else set())
    return [name for name in names if name not in hidden and name[0] != "_"]


def because_of(kind):
    """The side or rule that a class blames; empty where it depends or nobody knows."""
    return ", ".join(words for name, words in _BLAMED.items() if getattr(kind, name))


def table() -> str:
    """The table as Markdown."""
    lines = ["| class | worker ended | retry | because of | attributes |", "| --- | --- | --- | --- | --- |"]
    for kind, depth in in_order():
        names = ", ".join(f"`{name}`" for name in attributes_of(kind))
        indent = "&emsp;" * depth
        ends, why = _ENDS[kind.ends_worker], because_of(kind)
        lines.append(f"| {indent}`{kind.__name__}` | {ends} | {kind.retry} | {why} | {names} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    page = PAGE.read_text()
    before, after = page.split(BEGIN)[0], page.split(END)[1]
    PAGE.write_text(before + BEGIN + "\n" + table() + "\n" + END + after)


if __name__ == "__main__":
    main()
