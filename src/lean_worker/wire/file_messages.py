"""Requests and summaries of the workers that elaborate files: for `check` and for `verify`."""

from __future__ import annotations

from typing import Literal

import msgspec

Way = Literal["held", "fork", "process"]
"""The process in which Lean ran a file: a fork of a holder of its imports, another fork of Lean, or a new one."""


class FileToCheck(msgspec.Struct, frozen=True):
    """A file whose messages are wanted.

    Attributes:
        name: The caller's name for it.
        arguments: Lean's arguments; the last one is the path, or `--stdin`.
        text: The text for standard input; None for a path.
        timeout: Seconds for the file.
        setup: Lake's answer about the file, as JSON text.
        reuse_imports: Whether it may run in a holder of its imports.
        readable: Paths that it may read beside those of the sandbox.
        kill_above_kib: Its most memory.
        seeks_sorry: Whether Lean should compile it, so that its declarations can be looked through for `sorry`.
    """

    name: str
    arguments: list[str]
    text: str | None
    timeout: float | None
    setup: str = ""
    reuse_imports: bool = True
    readable: list[str] = []
    kill_above_kib: int | None = None
    seeks_sorry: bool = False


class ModuleFindings(msgspec.Struct, frozen=True, omit_defaults=True):
    """The traces of `sorry` in the compiled module of a file.

    Attributes:
        with_sorry: The first names of declarations that have the constant `sorryAx` in them.
        more: How many there are besides.
        is_missing: Whether Lean has ended with exit code 0 and has written no module.
        unreadable: Why that cannot be told, if so.
    """

    with_sorry: list[str] = []
    more: int = 0
    is_missing: bool = False
    unreadable: str | None = None


class CheckEnd(msgspec.Struct, frozen=True):
    """The end of Lean with a file to check.

    Attributes:
        exit_code: Lean's exit code, if it ended by itself.
        signal: Name of the signal that ended it.
        timed_out: Whether its time was over.
        seconds: How long it took.
        ran_as: How it ran.
        import_seconds: How long its imports took, if that is known.
        killed_at_kib: The memory at which it was killed, if that was too much.
        module: What its compiled module tells, if that was wanted and Lean has ended with exit code 0.
    """

    exit_code: int | None
    signal: str | None
    timed_out: bool
    seconds: float
    ran_as: Way
    import_seconds: float | None
    killed_at_kib: int | None = None
    module: ModuleFindings | None = None


class FileToCompile(msgspec.Struct, frozen=True):
    """A stranger's file whose declarations are wanted too.

    Attributes:
        arguments: Lean's arguments for its header.
        texts: The file. Each further text takes the place of those before, on which Lean has reported errors.
        timeout: Seconds for each text.
        kill_above_kib: The most memory for each text.
    """

    arguments: list[str]
    texts: list[str]
    timeout: float | None
    kill_above_kib: int | None = None


MAX_TEXTS = 3
"""The most texts of a file to compile."""


def messages_stream(number: int) -> str:
    """Return the stream of Lean's messages about a file's text of that number, from 0."""
    return "rows" if number == 0 else f"rows of text {number}"


class RecheckEnd(msgspec.Struct, frozen=True, omit_defaults=True):
    """The end of leanchecker.

    Attributes:
        exit_code: Its exit code, if it ended by itself.
        signal: Name of the signal that ended it.
        timed_out: Whether its time was over.
        not_started: Why it could not be started.
        stderr: The end of what it said.
    """

    exit_code: int | None = None
    signal: str | None = None
    timed_out: bool = False
    not_started: str | None = None
    stderr: str = ""


class CompileEnd(msgspec.Struct, frozen=True, omit_defaults=True):
    """The end of Lean with a file to compile: as `CheckEnd`, and what became of its module.

    Attributes:
        cpu_seconds: Processor time of Lean, with all texts.
        text: The number of the text that counts: the one that Lean compiled, or the first.
        unreadable: Why the compiled module gave no declarations, or not all.
        rechecked: The end of leanchecker with the module, if it was asked.
    """

    exit_code: int | None
    signal: str | None
    timed_out: bool
    seconds: float
    cpu_seconds: float = 0.0
    text: int = 0
    unreadable: str | None = None
    rechecked: RecheckEnd | None = None
    killed_at_kib: int | None = None
