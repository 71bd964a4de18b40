"""Host of programs that print one JSON object per line.

Turns a request into a command line and standard input, and a program's end into a response. `programs` runs the
programs.
"""

from __future__ import annotations

import os
import shutil
import sys

import msgspec

from ..errors import LeanWorkerError
from ..wire import protocol
from ..wire.frames import RowWriter
from .loop import Command, RequestLoop
from .output import Answer, Ended, rows_to
from .programs import Keeper, Programs
from .sandbox import Rules


class Spec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Settings that `LinesCapability` passes on the command line; it documents the values."""

    commands: dict[str, list[str]]
    request: str
    other_lines: str
    stderr: str
    cwd: str | None


_FORMS = {
    "arguments": "a list of texts, one for each argument",
    "arguments+stdin": 'an object with "arguments", a list of texts, and perhaps "stdin"',
    "none": "null: the program takes none",
}
"""The requests that fit, in words, by the form that the capability gives; any value fits a form that is missing."""


class _Both(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    arguments: list[str]
    stdin: msgspec.Raw = msgspec.Raw(b"null")


def serve(loop: RequestLoop, writer: RowWriter, spec_json: str, rules: Rules | None) -> int:
    """Run programs until the parent says `terminate`; the return value is the process's exit code."""
    spec = msgspec.json.decode(spec_json, type=Spec)
    try:
        keeper = Keeper(None, os.environ, rules)
    except LeanWorkerError as error:
        print(f"lean-worker child: {error}", file=sys.stderr, flush=True)
        return protocol.EXIT_HOST_FAILED
    programs = Programs(writer, keeper, spec.other_lines, spec.stderr, lambda: loop.is_cancelled)
    loop.on_cancel(programs.wake)
    loop.open()
    while (command := loop.next_command()) is not None:
        argv = spec.commands.get(command.export)
        if argv is None or command.kind not in ("stream", "json"):
            loop.reply_unknown(command, spec.commands)
            continue
        try:
            more, stdin = _request_of(spec.request, command.request_json)
        except (msgspec.DecodeError, ValueError) as error:
            text = f"the request does not fit: {error}"
            if spec.request in _FORMS:
                text = f"{text}; with request={spec.request!r} it is {_FORMS[spec.request]}"
            loop.reply_failed(command, protocol.CODE_REQUEST_REFUSED, text)
            continue
        answer = Answer() if command.kind == "json" else None
        put = rows_to(writer) if answer is None else answer.put
        try:
            ended = programs.run({"argv": [*argv, *more], "cwd": spec.cwd}, stdin, put)
        except (ConnectionError, OSError) as error:
            print(f"lean-worker child: running {argv[0]}: {error}", file=sys.stderr, flush=True)
            return protocol.EXIT_HOST_RETURNED
        reply(loop, command, ended, argv[0], answer)
    keeper.close()
    return 0


def places(spec_json: str) -> list[str]:
    """Return the paths that the programs must be able to read: their working directory and the programs themselves."""
    spec = msgspec.json.decode(spec_json, type=Spec)
    programs = [shutil.which(argv[0]) or argv[0] for argv in spec.commands.values()]
    return [*programs, *map(os.path.realpath, programs), spec.cwd or ""]


def _request_of(how: str, request_json: str) -> tuple[list[str], bytes]:
    """The arguments and the standard input that a request stands for."""
    line = request_json.strip().encode("utf-8", "surrogatepass")
    if how == "stdin":
        return [], line + b"\n"
    if how == "argument":
        return [line.decode("utf-8", "replace")], b""
    if how == "arguments":
        return _without_nul(msgspec.json.decode(line, type=list[str])), b""
    if how == "arguments+stdin":
        both = msgspec.json.decode(line, type=_Both)
        return _without_nul(both.arguments), bytes(both.stdin) + b"\n"
    if line != b"null":
        raise ValueError("expected null")
    return [], b""


def _without_nul(arguments: list[str]) -> list[str]:
    if any("\0" in argument for argument in arguments):
        raise ValueError("an argument of a program cannot hold a NUL character")
    return arguments


def reply(loop: RequestLoop, command: Command, ended: Ended, program: str, answer: Answer | None) -> None:
    """Tell the parent how a run ended; what ended it first is what is told."""
    if ended.malformed is not None:
        loop.reply_malformed(command, ended.malformed)
    elif ended.too_large is not None:
        loop.reply_failed(command, protocol.CODE_FRAME_TOO_LARGE, ended.too_large)
    elif ended.cancelled:
        loop.reply_failed(command, protocol.CODE_CANCELLED, "cancelled by the caller")
    elif ended.not_started is not None:
        text = f"{program} could not be started: {ended.not_started}"
        loop.reply_failed(command, protocol.CODE_PROGRAM_NOT_STARTED, text)
    elif ended.signal is not None:
        text = f"{program} was ended by signal {ended.signal}{_last_words(ended)}"
        loop.reply_failed(command, protocol.CODE_PROGRAM_SIGNAL + ended.signal, text)
    elif ended.exit_code != 0:
        text = f"{program} ended with exit code {ended.exit_code}{_last_words(ended)}"
        loop.reply_failed(command, f"{protocol.CODE_PROGRAM_EXIT}{ended.exit_code}", text)
    elif answer is not None:
        _reply_answer(loop, command, answer, program)
    else:
        loop.reply_ok(command, "")


def _reply_answer(loop: RequestLoop, command: Command, answer: Answer, program: str) -> None:
    if answer.text is None or answer.count != 1:
        text = f"{program} printed {answer.count} JSON objects; the answer to this command is exactly one"
        loop.reply_failed(command, protocol.CODE_COMMAND_FAILED, text)
    else:
        loop.reply_ok(command, answer.text.decode("utf-8"))


def _last_words(ended: Ended) -> str:
    return f"; the last it wrote to stderr:\n{ended.stderr_tail}" if ended.stderr_tail else ""
