"""What the commands share of showing things to people: the consoles and the common options."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

errors = Console(stderr=True, highlight=False)
"""For everything that is not a command's result."""

JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")]
