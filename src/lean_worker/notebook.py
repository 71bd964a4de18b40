"""Small HTML tables that show summaries, snapshots and errors in a notebook, in light and dark themes.

Owns the HTML, in which all text is escaped. Loaded only when a notebook asks for it.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping

# Colours are the page's own, only fainter: they fit whatever the theme is.
_BORDER = "1px solid rgba(128,128,128,0.35)"
_CELL = "padding:1px 10px 1px 0;text-align:left;vertical-align:top;background:none"


def table(title: str, facts: Iterable[tuple[str, object]], *, note: str | None = None, alarm: bool = False) -> str:
    """A titled table of names and values.

    Args:
        title: What it is.
        facts: Names and values; a value that is None, or an empty mapping, is left out.
        note: A line below.
        alarm: Whether it is about a failure.
    """
    side = "3px solid #d9534f" if alarm else _BORDER
    rows = "".join(
        f'<tr style="background:none"><th style="{_CELL};font-weight:normal;opacity:0.7">{html.escape(name)}</th>'
        f'<td style="{_CELL};white-space:pre-wrap">{html.escape(_text(value))}</td></tr>'
        for name, value in facts
        if value is not None and value != {}
    )
    below = f'<div style="opacity:0.85;white-space:pre-wrap">{html.escape(note)}</div>' if note else ""
    return (
        f'<div style="border:{_BORDER};border-left:{side};padding:4px 10px;display:inline-block;color:inherit">'
        f'<div style="white-space:pre-wrap"><b>{html.escape(title)}</b></div>'
        f'<table style="border:none;margin:2px 0">{rows}</table>{below}</div>'
    )


def _text(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, (int, float, Mapping)):
        return str(value)
    if isinstance(value, Mapping):
        return ", ".join(f"{name}: {_text(each)}" for name, each in value.items())
    return f"{value:,}"
