"""Short forms of results: one line of text, and small HTML tables for a notebook, in light and dark themes.

Owns the HTML, in which all text is escaped. Loaded only when a result is shown.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence

# Colours are the page's own, only fainter: they fit whatever the theme is.
_BORDER = "1px solid rgba(128,128,128,0.35)"
_ROWS_IN_TEXT = 3
_ROWS_IN_TABLE = 10
_COLUMNS_IN_TABLE = 20
_TEXT_CHARACTERS = 120
_CELL = "padding:1px 10px 1px 0;text-align:left;vertical-align:top;background:none"


def short(value: object, characters: int = _TEXT_CHARACTERS) -> str:
    """The `repr` of a value on one line, cut after so many characters."""
    try:
        text = repr(value[: characters + 1]) if isinstance(value, (str, bytes)) else repr(value)
    except Exception as error:  # of the caller's own class, whose rows are to be seen all the same
        text = f"<{type(value).__name__}: its repr raised {type(error).__name__}>"
    return text if len(text) <= characters else text[: characters - 1] + "…"


def few(rows: Sequence[object]) -> str:
    """The first rows as a list, which says so if there are more."""
    parts = [short(row) for row in rows[:_ROWS_IN_TEXT]]
    return f"[{', '.join(parts)}{', …' if len(rows) > len(parts) else ''}]"


def rows_table(rows: Sequence[object]) -> str:
    """An HTML table of the first rows, with a column for each field."""
    records = [_record(row) for row in rows[:_ROWS_IN_TABLE]]
    if not records:
        return ""
    names = list(dict.fromkeys(name for record in records for name in record))
    shown = names[:_COLUMNS_IN_TABLE]
    head = "".join(f'<th style="{_CELL};opacity:0.7">{html.escape(short_text(name))}</th>' for name in shown)
    lines = [
        "".join(
            f'<td style="{_CELL}">{html.escape(short_text(record[name])) if name in record else ""}</td>'
            for name in shown
        )
        for record in records
    ]
    body = "".join(f'<tr style="background:none">{line}</tr>' for line in lines)
    more = [
        f"and {count:,} more {what}"
        for count, what in ((len(rows) - len(records), "rows"), (len(names) - len(shown), "columns"))
        if count
    ]
    below = f'<div style="opacity:0.85">{" · ".join(more)}</div>' if more else ""
    return f'<table style="border:none;margin:2px 0"><tr style="background:none">{head}</tr>{body}</table>{below}'


def short_text(value: object) -> str:
    """A text as it is, any other value as its `repr`; cut."""
    if not isinstance(value, str):
        return short(value)
    return value if len(value) <= _TEXT_CHARACTERS else value[: _TEXT_CHARACTERS - 1] + "…"


def _record(row: object) -> Mapping[str, object]:
    """The fields of a row, whatever kind of class it has."""
    if isinstance(row, bytes):
        return {"value": row[: 4 * _TEXT_CHARACTERS].decode("utf-8", "replace")}
    if isinstance(row, Mapping):
        return {str(name): value for name, value in row.items()}
    kind = type(row)
    for attribute in ("__struct_fields__", "__dataclass_fields__", "_fields", "model_fields"):
        fields = getattr(kind, attribute, None)
        if fields:
            return {name: getattr(row, name, None) for name in fields}
    attrs = getattr(kind, "__attrs_attrs__", None)
    return {field.name: getattr(row, field.name, None) for field in attrs} if attrs else {"value": row}


def table(
    title: str,
    facts: Iterable[tuple[str, object]],
    *,
    note: str | None = None,
    alarm: bool = False,
    rows: Sequence[object] = (),
) -> str:
    """A titled table of names and values.

    Args:
        title: What it is.
        facts: Names and values; a value that is None, or an empty mapping, is left out.
        note: A line below.
        alarm: Whether it is about a failure.
        rows: Rows, of which the first are shown below.
    """
    side = "3px solid #d9534f" if alarm else _BORDER
    lines = "".join(
        f'<tr style="background:none"><th style="{_CELL};font-weight:normal;opacity:0.7">{html.escape(name)}</th>'
        f'<td style="{_CELL};white-space:pre-wrap">{html.escape(_text(value))}</td></tr>'
        for name, value in facts
        if value is not None and value != {}
    )
    below = f'<div style="opacity:0.85;white-space:pre-wrap">{html.escape(note)}</div>' if note else ""
    return (
        f'<div style="border:{_BORDER};border-left:{side};padding:4px 10px;display:inline-block;color:inherit">'
        f'<div style="white-space:pre-wrap"><b>{html.escape(title)}</b></div>'
        f'<table style="border:none;margin:2px 0">{lines}</table>{rows_table(rows)}{below}</div>'
    )


def _text(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, (int, float, Mapping)):
        return str(value)
    if isinstance(value, Mapping):
        return ", ".join(f"{name}: {_text(each)}" for name, each in value.items())
    return f"{value:,}"
