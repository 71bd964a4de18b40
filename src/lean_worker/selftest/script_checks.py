"""Checks of hosted scripts: rows, typed rows, and what becomes of a command that goes wrong."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from ..blocking.lease import Lease
from ..blocking.pool import Pool
from ..cancel import CancelToken
from ..commands import StreamingCommand
from ..errors import Cancelled, CapabilityError, ChildExited, LeanWorkerError, RequestTimeout
from ..hosting.capability import LeanCapability
from ..policy import Timeouts
from . import texts
from .registry import Failed, Found, Setting, Skipped, check, expect

_ROWS = 1000
_START_SECONDS = 300.0
_LIMIT_SECONDS = 1.0
_SOON_SECONDS = 20.0
_OVERFLOW_SECONDS = 300.0


@contextlib.contextmanager
def _lease(setting: Setting, text: str) -> Iterator[Lease]:
    script = Path(setting.directory, "Selftest.lean")
    script.write_text(text, "utf-8")
    capability = LeanCapability(script, toolchain=setting.lean)
    with Pool(timeouts=Timeouts(startup=_START_SECONDS)) as pool, pool.lease(capability) as lease:
        yield lease


def _command(name: str) -> StreamingCommand[Any, Any, Any]:
    return StreamingCommand(name)


def _numbered_rows(lease: Lease) -> Found:
    started = time.monotonic()
    rows = [row.payload for row in lease.collect(_command("rows")).rows]
    seconds = time.monotonic() - started
    expect(rows == [{"i": i} for i in range(_ROWS)], f"expected {_ROWS} numbered rows, got {len(rows)}: {rows[:3]}…")
    return Found(f"{_ROWS / seconds:,.0f} rows/s", f"{_ROWS} rows came whole and in order")


@check("script.plain", "a script without a `module` header")
def plain(setting: Setting) -> Found:
    with _lease(setting, texts.script(setting)) as lease:
        return _numbered_rows(lease)


@check("script.module", "a script with a `module` header")
def module(setting: Setting) -> Found:
    release = (setting.toolchain.version or "0").split(".")[:2]
    if [int(part) if part.isdigit() else 0 for part in release] < [4, 22]:
        raise Skipped("this Lean has no module system yet")
    try:
        with _lease(setting, texts.script(setting, as_module=True)) as lease:
            return _numbered_rows(lease)
    except CapabilityError as error:
        if "experimental.module" in str(error.facts.get("stderr_tail", "")):
            raise Skipped("this Lean takes modules as an experiment only") from error
        raise


class _Request(msgspec.Struct):
    limit: int


class _Square(msgspec.Struct):
    n: int
    square: int


@check("script.typed", "typed rows through LeanWorker.Json")
def typed(setting: Setting) -> Found:
    command: StreamingCommand[_Request, _Square, int]
    command = StreamingCommand("squares", request=_Request, row=_Square, summary=int)
    with _lease(setting, texts.typed_script(setting)) as lease:
        done = lease.collect(command, _Request(5))
    expect(
        list(done.rows) == [_Square(n, n * n) for n in range(5)] and done.summary.metadata == 5,
        f"expected five squares and the summary 5, got {done.rows} and {done.summary.metadata}",
    )
    return Found("5 rows", "Lean's `deriving` and the Python types agree")


@check("script.panic", "a command that panics")
def panics(setting: Setting) -> Found:
    error = _lost(setting, "panic")
    tail = str(error.facts.get("stderr_tail", ""))
    expect("selftest panic" in tail, f"the panic's own words are missing; stderr ends with {tail[-200:]!r}")
    return Found("1 row", "it was delivered, the request failed at the panic, and the error has the panic's words")


@check("script.overflow", "a command that never stops recursing")
def overflows(setting: Setting) -> Found:
    error = _lost(setting, "overflow")
    how = error.facts.get("signal") or f"exit code {error.facts.get('exit_code')}"
    return Found("1 row", f"it was delivered, and the request failed when the process ended with {how}")


def _lost(setting: Setting, name: str) -> LeanWorkerError:
    """The error of a command that emits one row and then ends its process."""
    rows: list[Any] = []
    with _lease(setting, texts.script(setting)) as lease:
        try:
            with lease.stream(_command(name), timeout=_OVERFLOW_SECONDS) as stream:
                rows.extend(row.payload for row in stream)
        except ChildExited as error:
            expect(rows == [{"i": 0}], f"expected the one row before the end, got {rows}")
            return error
    raise Failed(f"expected the worker's process to end, and the command succeeded with the rows {rows}")


@check("script.cancel", "cancelling a command")
def cancel(setting: Setting) -> Found:
    token = CancelToken()
    started = None
    with _lease(setting, texts.script(setting)) as lease:
        try:
            with lease.stream(_command("forever"), cancel=token, timeout=_SOON_SECONDS) as stream:
                for count, _ in enumerate(stream):
                    if count == 100 and started is None:
                        started = time.monotonic()
                        token.cancel()
        except Cancelled:
            expect(started is not None, "it was cancelled before its first rows")
            milliseconds = (time.monotonic() - (started or 0)) * 1000
        else:
            raise Failed("a command that never ends came to an end")
        _numbered_rows(lease)
    return Found(f"{milliseconds:.0f} ms", "the stream ended, and the same worker served the next command")


@check("script.time_limit", "a command that meets its time limit")
def time_limit(setting: Setting) -> Found:
    with _lease(setting, texts.script(setting)) as lease:
        started = time.monotonic()
        try:
            with lease.stream(_command("forever"), timeout=_LIMIT_SECONDS) as stream:
                for _ in stream:
                    pass
        except RequestTimeout:
            seconds = time.monotonic() - started
        else:
            raise Failed("a command that never ends came to an end")
    expect(_LIMIT_SECONDS <= seconds < _SOON_SECONDS, f"a limit of {_LIMIT_SECONDS} s took {seconds:.1f} s")
    return Found(f"{seconds:.2f} s", f"of a limit of {_LIMIT_SECONDS:g} s")
