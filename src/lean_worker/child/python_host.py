"""Host of Python functions, for tests and for producers other than Lean.

A registry is a mapping from command name to function, reached as `module:attribute`. A function takes the decoded
request. One that returns an iterator, as a generator function does, serves a stream: each value becomes a row on the
stream "rows", except `StreamRow` (which names its stream), `Diagnostic` and `Progress`. What a generator returns is the
summary's metadata. Any other function answers a JSON command, metadata or doctor with its return value.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator, Mapping
from types import GeneratorType
from typing import Any

import msgspec

from ..base.arguments import shortened
from ..events import Diagnostic, Progress, StreamRow
from ..wire import protocol
from ..wire.frames import STATUS_CANCELLED, STATUS_OK, RowWriter
from ..wire.json_types import encode_value
from .loop import Command, RequestLoop

Registry = Mapping[str, Callable[[Any], Any]]

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # without pathlib, which costs 0.6 MB


class NoRegistry(ValueError):
    """A name that stands for no registry; its text says why, and no traceback says more."""


def load_registry(name: str) -> Registry:
    """Import `module:attribute`.

    Raises:
        NoRegistry: The name has no colon, there is no such module, or the attribute is no mapping from names to
            functions.
        Exception: Whatever importing the module raises.
    """
    module_name, separator, attribute = name.partition(":")
    if not separator or not module_name or not attribute:
        raise NoRegistry(f"expected module:attribute, got {name!r}")
    # The script's own folder is not the caller's; modules beside the caller's working directory should be found.
    with contextlib.suppress(FileNotFoundError):  # it was removed
        if os.getcwd() not in sys.path:
            sys.path.insert(0, os.getcwd())
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if f"{module_name}.".startswith(f"{error.name}."):
            raise NoRegistry(f"{error}; the path is {sys.path}") from None
        raise  # of an import in the module
    if not hasattr(module, attribute):
        raise NoRegistry(f"the module {module_name}, of {getattr(module, '__file__', None)}, has no {attribute}")
    registry = getattr(module, attribute)
    if not isinstance(registry, Mapping):
        raise NoRegistry(f"{name} is a {type(registry).__name__}; expected a mapping from command name to function")
    for command, function in registry.items():
        if not isinstance(command, str) or not callable(function):
            raise NoRegistry(
                f"{name} has a {type(function).__name__} under {shortened(repr(command))}; expected a mapping from "
                "command name to function"
            )
    return registry


def serve(loop: RequestLoop, writer: RowWriter, registry: Registry) -> None:
    """Run commands until the parent says `terminate`."""
    loop.open()
    while (command := loop.next_command()) is not None:
        function = registry.get(command.export)
        if function is None:
            loop.reply_unknown(command, map(str, registry))
            continue
        try:
            _run(loop, writer, command, function)
        except Exception as error:
            trace = _trace_of(error)
            print(trace, end="", file=sys.stderr, flush=True)
            loop.reply_failed(command, protocol.CODE_COMMAND_FAILED, _text_of(error), traceback=trace)


def _text_of(error: Exception) -> str:
    """Class and text of what hosted code raised, which may fail to say what it is."""
    try:
        return f"{type(error).__name__}: {error}"
    except Exception as second:
        return f"{type(error).__name__}: (its text cannot be had: {type(second).__name__})"


def _trace_of(error: Exception) -> str:
    """The traceback of what hosted code raised, from its own first line on."""
    import traceback

    first = error.__traceback__
    while first is not None and _is_own(first.tb_frame.f_code.co_filename):
        first = first.tb_next
    return "".join(traceback.format_exception(type(error), error, first or error.__traceback__))


def _is_own(file: str) -> bool:
    return file.startswith(_PACKAGE) or (file.startswith("src/") and file.endswith((".pyx", ".pxi")))  # compiled


def _run(loop: RequestLoop, writer: RowWriter, command: Command, function: Callable[[Any], Any]) -> None:
    answer = function(msgspec.json.decode(command.request_json))
    if isinstance(answer, (Coroutine, AsyncGenerator)):
        if isinstance(answer, Coroutine):
            answer.close()  # else Python warns that nothing awaited it
        text = f"{command.export} is asynchronous, and nothing awaits it here: host a plain function, with asyncio.run"
        loop.reply_failed(command, protocol.CODE_COMMAND_FAILED, text)
        return
    if command.kind != "stream":
        if isinstance(answer, Iterator):
            _close(answer)
            text = f"{command.export} yields rows: run it as a streaming command"
            loop.reply_failed(command, protocol.CODE_WRONG_KIND, text)
            return
        loop.reply_ok(command, encode_value(answer).decode())
        return
    if not isinstance(answer, Iterator):
        text = f"{command.export} yields no rows: run it as a JSON command, or have it yield rows or return an iterator"
        loop.reply_failed(command, protocol.CODE_WRONG_KIND, text)
        return
    while True:
        try:
            status, item = writer.plain_rows(protocol.STREAM, answer)
        except StopIteration as stop:
            loop.reply_ok(command, "" if stop.value is None else encode_value(stop.value).decode())
            return
        if status == STATUS_OK:
            status = _emit(writer, item)
        if status != STATUS_OK:
            _close(answer)
            # A row that could not be sent is what the loop reports; only a cancel needs words here.
            code = protocol.CODE_CANCELLED if status == STATUS_CANCELLED else protocol.CODE_COMMAND_FAILED
            loop.reply_failed(command, code, "cancelled by the caller")
            return


def _close(answer: Iterator[object]) -> None:
    if isinstance(answer, GeneratorType):  # what it has begun ends now, not when nobody holds it any more
        answer.close()


def _emit(writer: RowWriter, item: object) -> int:
    if isinstance(item, StreamRow):
        return writer.row(item.stream, encode_value(item.payload))
    if isinstance(item, Diagnostic):
        return writer.diagnostic(item.code, item.message)
    if isinstance(item, Progress):
        return writer.progress(item.phase, item.current, item.total)
    return writer.row(protocol.STREAM, encode_value(item))
