"""Conversion of a terminal response to a typed failure.

A table maps each response to an error class. Codes and statuses of the wire stay private.
"""

from __future__ import annotations

from ..base.patterns import compiled
from ..errors import (
    CommandFailed,
    DecodeError,
    FrameTooLarge,
    LeanWorkerError,
    RowMalformed,
    UnexpectedMessage,
    UnknownCommand,
)
from . import protocol

_SIZES = r"([0-9]{1,18}) bytes (?:exceeds|and no end yet, at most) ([0-9]{1,18})"
_REFUSED = ("no JSON: ", "not of the declared type: ")
"""Words of `withRequest`, of the package's Lean modules, about a request; after the name of its command."""


def failure_of(response: protocol.Response, command: str) -> LeanWorkerError | None:
    """Return the error for `response`, or None for a success."""
    if isinstance(response, protocol.ErrorResponse):
        return _error_response(response, command)
    if isinstance(response, protocol.StreamExportFailed):
        return _failed(
            command, "lean_worker.status", f"it returned status {response.status_byte}", response.status_byte
        )
    if isinstance(response, protocol.StreamCallbackFailed):
        return _failed(command, "lean_worker.callback", response.description, response.status_byte)
    if isinstance(response, protocol.StreamRowMalformed):
        return RowMalformed(
            f"running {command}: the hosted code emitted a malformed row: {response.message}",
            hint="Emit rows as JSON text; build it with a JSON library, or check the escapes.",
            command=command,
            code="lean_worker.row_malformed",
            message=response.message,
        )
    if isinstance(response, protocol.MetadataMalformed):
        return _of_another_form(command, "metadata", response.message)
    if isinstance(response, protocol.DoctorMalformed):
        return _of_another_form(command, "doctor", response.message)
    return None


def unexpected(response: protocol.Response, command: str) -> UnexpectedMessage:
    """The error for a successful response of another kind than was asked for."""
    status = response.__struct_config__.tag
    return UnexpectedMessage(
        f"running {command}: the worker answered {status!r}, which does not answer this request",
        command=command,
        side="remote",
    )


def _error_response(response: protocol.ErrorResponse, command: str) -> LeanWorkerError:
    if response.code == protocol.CODE_UNKNOWN_COMMAND:
        return UnknownCommand(
            f"running {command}: {response.message}",
            hint="Compare the command's name with the names that the hosted code serves.",
            command=command,
            code=response.code,
            message=response.message,
            commands=tuple(response.commands),
        )
    if response.code == protocol.CODE_FRAME_TOO_LARGE:
        return FrameTooLarge(
            f"running {command}: {response.message}",
            hint="Raise Limits(max_frame_bytes=…), or let the hosted code emit smaller rows.",
            command=command,
            side="remote",
            code=response.code,
            **_sizes_in(response.message),
        )
    if response.code.startswith(protocol.CODE_PROGRAM_EXIT):
        text = response.code.removeprefix(protocol.CODE_PROGRAM_EXIT)
        exit_code = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None
        return _failed(command, "lean_worker.program.exit", response.message, exit_code, exit_code=exit_code)
    if response.code.startswith(protocol.CODE_PROGRAM_SIGNAL):
        name = response.code.removeprefix(protocol.CODE_PROGRAM_SIGNAL)
        return _failed(command, "lean_worker.program.signal", response.message, None, signal=name)
    if response.code == protocol.CODE_REQUEST_REFUSED:
        return DecodeError(f"running {command}: {response.message}", command=command)
    if response.code == protocol.CODE_WRONG_KIND:
        text = f"running {command}: {response.message}"
        return CommandFailed(text, command=command, code=response.code, message=response.message)
    refused = f"{command}: the request is "
    if response.message.startswith(tuple(refused + why for why in _REFUSED)):
        return CommandFailed(
            f"running {command}: the hosted code refused its request: {response.message.removeprefix(refused)}",
            hint="Compare the request with the type that the Lean command declares.",
            command=command,
            code=response.code,
            message=response.message,
        )
    named = {"traceback": response.traceback} if response.traceback else {}
    return _failed(command, response.code, response.message, None, **named)


def _sizes_in(message: str) -> dict[str, int]:
    """The two sizes that a worker's refusal of a frame names; a peer may say it in other words, without any."""
    found = compiled(_SIZES).search(message)
    return {"length_bytes": int(found[1]), "limit_bytes": int(found[2])} if found else {}


def _of_another_form(command: str, asked: str, message: str) -> CommandFailed:
    return CommandFailed(
        f"running {command}: its answer has not the form of what `{asked}` asks for: {message}",
        hint="Run any other command with `call`.",
        command=command,
        code=f"lean_worker.{asked}_malformed",
        message=message,
    )


def _failed(command: str, code: str, message: str, status: int | None, **facts: object) -> CommandFailed:
    error = CommandFailed(
        f"running {command}: the hosted code failed: {message}",
        command=command,
        code=code,
        message=message,
        status=status,
    )
    error.add_facts(**facts)
    return error
