"""The list of commands, and a command group that imports a command's module when the command is called.

`lean-worker --help` then imports no command, no Lean code, and no pool.
"""

from __future__ import annotations

import importlib
from typing import Any, NamedTuple

import typer
import typer.core
import typer.main


class CommandLine(NamedTuple):
    """One line of the list of commands.

    Attributes:
        module: The module in this folder that defines the command.
        function: The function, or the `typer.Typer` with a group of commands, in that module.
        help: The first sentence of its help.
    """

    module: str
    function: str
    help: str

    def load(self) -> Any:
        """Import the module and return the function or the group."""
        return getattr(importlib.import_module(f".{self.module}", __package__), self.function)


COMMANDS = {
    "run": CommandLine("run", "run", "Run one streaming command and store its rows."),
    "call": CommandLine("call", "call", "Call one JSON command and print its answer, one JSON value on one line."),
    "extract": CommandLine(
        "extract", "extract", "Write rows about compiled modules, or messages or goals of source files, to one file."
    ),
    "check": CommandLine(
        "check", "check", "Elaborate Lean files in parallel: Lean's messages, and a verdict for each file."
    ),
    "verify": CommandLine(
        "verify",
        "verify",
        "Verify candidate proofs against a statement: one verdict each, from Lean's kernel.",
    ),
    "top": CommandLine("top", "top", "Watch the pools of running programs: workers, requests, rows a second, memory."),
    "doctor": CommandLine(
        "doctor",
        "doctor",
        "Show what is installed; with a CAPABILITY, check that it can be hosted and say what to repair if not.",
    ),
    "selftest": CommandLine(
        "selftest", "selftest", "Try everything here: this machine, its Lean, and with --project a Lake project."
    ),
    "lean-path": CommandLine(
        "lean_path",
        "lean_path",
        "Print the directory of LeanWorker.lean; it is a Lake package, for `require … from`.",
    ),
    "demo": CommandLine(
        "demo",
        "demo",
        "The main job: real declarations of compiled modules, through two workers, into JSON lines and Parquet.",
    ),
    "job": CommandLine("job", "jobs", "Many requests with a ledger: run, show, resume, retry."),
}
"""Each command by its name on the command line, in the order of the help; a test compares the texts."""


class LazyGroup(typer.core.TyperGroup):
    """A group whose commands are placeholders with a help line, until one of them is called."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Return the name, the command itself, and the rest of the arguments."""
        name, command, rest = super().resolve_command(ctx, args)
        if name is not None and "" in (part.partition("=")[2] if part.startswith("--") else part for part in rest):
            from .option_groups import refuse_empty  # with `inspect`, which few runs need

            refuse_empty(name, rest)
        return name, None if command is None or name is None else command_of(name), rest


def command_of(name: str) -> Any:
    """Import a command and make it what the option parser calls."""
    found = COMMANDS[name].load()
    if not isinstance(found, typer.Typer):
        alone = typer.Typer(add_completion=False, rich_markup_mode=None)
        alone.command(name)(found)
        found = alone
    command = typer.main.get_command(found)
    command.name = name
    return command


def placeholder() -> None:
    """Stand for a command that is not imported yet."""
