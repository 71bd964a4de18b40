"""Capability for programs that print one JSON object per line.

Describes the programs on the child's command line; `child.programs` runs them.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping, Sequence
from typing import Literal, get_args

from ..base.arguments import (
    check_choice,
    check_environment,
    check_items,
    check_kind,
    check_path,
    check_text,
    shown,
    texts_of,
)
from ..base.kept_directory import looking, real
from ..errors import CapabilityError, UsageError
from ..toolchains.environment import command_environment, without_refused_panics
from . import programs
from .capability import child_argv
from .launch import Launch, callers_directory
from .sandbox import Sandbox

RequestForm = Literal["stdin", "argument", "arguments", "arguments+stdin", "none"]
OtherLines = Literal["fail", "diagnostic"]
Stderr = Literal["diagnostics", "worker"]


@dataclasses.dataclass(frozen=True)
class LinesCapability:
    """A program that prints one JSON object per line; each line is a row on the stream "rows" as soon as it is printed.

    Each request runs the program once. Exit code 0 means success; any other end raises `CommandFailed` with `exit_code`
    or `signal`. The program's whole process tree ends with the request. A streaming command takes all objects as rows;
    a JSON command expects exactly one object as its answer.

    Args:
        commands: The program and its arguments, which serves the command "lines"; or a mapping from command names to
            programs.
        request: Form of the request. "stdin": one line of JSON. "argument": JSON in an additional argument.
            "arguments": a list of strings, as additional arguments. "arguments+stdin": an object with `arguments`, and
            `stdin` that is sent as one line of JSON. "none": no request.
        other_lines: Treatment of lines that are not JSON objects. "fail": `RowMalformed`, which ends the program.
            "diagnostic": a `Diagnostic` with code "stdout". Empty lines are ignored.
        stderr: Destination of a program's stderr. "diagnostics": a `Diagnostic` with code "stderr" for each line, at
            most 500 lines and 64 KiB per request; the error of a failed program contains the last 4 KiB. "worker": the
            stderr of the worker, without bound.
        cwd: The programs' working directory; None for that of the caller when the worker is leased.
        env: Environment variables for them, over those that they inherit.
        sandbox: As of `LeanCapability`.

    Raises:
        UsageError: A value is none of these, or there is no command.

    `launch` raises `CapabilityError` if a program is not found or not executable, or `cwd` is not a directory.
    """

    commands: Sequence[str | os.PathLike[str]] | Mapping[str, Sequence[str | os.PathLike[str]]]
    request: RequestForm = "stdin"
    other_lines: OtherLines = "fail"
    stderr: Stderr = "diagnostics"
    cwd: str | os.PathLike[str] | None = None
    env: Mapping[str, str] = dataclasses.field(default_factory=dict)
    sandbox: Sandbox | None = None

    def __post_init__(self) -> None:
        doing = "hosting a program"
        for name, value, known in (
            ("request", self.request, RequestForm),
            ("other_lines", self.other_lines, OtherLines),
            ("stderr", self.stderr, Stderr),
        ):
            check_choice(doing, name, value, get_args(known))
        check_path(doing, "cwd", self.cwd)
        check_environment(doing, self.env)
        check_kind(doing, "sandbox", self.sandbox, Sandbox)
        if not isinstance(self.commands, Mapping):
            check_items(doing, "commands", texts_of(self.commands))
        commands = self._by_name()
        if not commands:
            raise UsageError(
                "hosting a program: expected a program or a mapping from command names to some, got none",
                hint="Give one, as in lw.LinesCapability(['./program']).",
            )
        for name, argv in commands.items():
            check_text(doing, "the name of a command", name)
            check_items(doing, f"the program of {name}", texts_of(argv))
            if argv and not isinstance(argv, (str, bytes)):
                check_text(doing, f"the program of {name}", os.fspath(next(iter(argv))))
            if isinstance(argv, (str, bytes)) or not argv or not name:
                raise UsageError(
                    f"hosting a program as {shown(name)}: expected a name, and argv as a non-empty sequence, "
                    f"got {shown(argv)}",
                    hint='Give the program and each argument as one item: ["lake", "exe", "export"].',
                )

    def _by_name(self) -> Mapping[str, Sequence[str | os.PathLike[str]]]:
        return self.commands if isinstance(self.commands, Mapping) else {"lines": self.commands}

    def launch(self) -> Launch:
        """See `Capability.launch`."""
        with looking("hosting a program"):
            return self._launch()

    def _launch(self) -> Launch:
        cwd = None if self.cwd is None else real(self.cwd)
        if cwd is not None and not cwd.is_dir():
            raise CapabilityError(
                f"hosting a program: the directory {cwd} does not exist",
                hint="Give cwd= a directory that exists, or leave it out for the present one.",
                cwd=str(cwd),
            )
        env = without_refused_panics(command_environment(self.env))
        commands = {name: [os.fspath(part) for part in argv] for name, argv in self._by_name().items()}
        for argv in commands.values():
            programs.find(argv, None if cwd is None else str(cwd), env.get("PATH"))
        spec = {
            "commands": commands,
            "request": self.request,
            "other_lines": self.other_lines,
            "stderr": self.stderr,
            # Not the worker's own: modules that lie there must not be taken for those that the worker imports.
            "cwd": None if cwd is None else str(cwd),
        }
        names = ", ".join(dict.fromkeys(argv[0] for argv in commands.values()))
        return Launch(
            child_argv("lines", json.dumps(spec), sandbox=self.sandbox),
            env,
            # Programs without a directory of their own run in the worker's.
            callers_directory() if cwd is None else None,
            f"program {names}",
            takes_ring=True,
            is_in_callers=cwd is None,
        )
