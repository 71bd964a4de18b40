"""The table of error classes in `docs/errors.md`, made from the classes: `python tests/helpers/error_table.py` writes it anew."""

from __future__ import annotations

from pathlib import Path

from lean_worker import errors

PAGE = Path(__file__).parents[2] / "docs" / "errors.md"
BEGIN = "<!-- the classes; written by tests/helpers/error_table.py -->\n"
END = "<!-- end of the classes -->\n"
_ENDS = {True: "yes", False: "no", None: "it depends"}


def in_order(kind=errors.LeanWorkerError, depth=0):
    """Each class with its depth in the tree, in the order of the module."""
    yield kind, depth
    for other in kind.__subclasses__():
        if other.__bases__[0] is kind and other.__module__ == errors.__name__:
            yield from in_order(other, depth + 1)


def attributes_of(kind):
    """What a class declares itself: the facts, and not what follows from the class."""
    meaning = {"ends_worker", "retry", "by_request", "by_caller", "concerns_all", "text", "hint"}
    return [name for name in vars(kind).get("__annotations__", {}) if name not in meaning and name[0] != "_"]


def table() -> str:
    """The table as Markdown."""
    lines = ["| class | worker ended | retry | attributes |", "| --- | --- | --- | --- |"]
    for kind, depth in in_order():
        names = ", ".join(f"`{name}`" for name in attributes_of(kind))
        indent = "&emsp;" * depth
        lines.append(f"| {indent}`{kind.__name__}` | {_ENDS[kind.ends_worker]} | {kind.retry} | {names} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    page = PAGE.read_text()
    before, after = page.split(BEGIN)[0], page.split(END)[1]
    PAGE.write_text(before + BEGIN + "\n" + table() + "\n" + END + after)


if __name__ == "__main__":
    main()
