"""Errors of a statement that Lean did not accept: what is wrong with it, or why nothing is known of it."""

from __future__ import annotations

from collections.abc import Sequence

from ..base.arguments import shortened
from ..checking.inability import inability_of
from ..checking.results import CheckMessage
from ..errors import (
    CapabilityError,
    ChildExited,
    LeanWorkerError,
    MemoryLimitExceeded,
    RequestLost,
    RequestTimeout,
    UsageError,
)
from ..wire.file_messages import CompileEnd

_DOING = "verifying: compiling the statement"


def failure_of(
    end: CompileEnd | None,
    messages: Sequence[CheckMessage],
    output: str,
    *,
    timeout: float | None,
    kill_above_kib: int | None,
    is_embedded: bool,
) -> LeanWorkerError:
    """Return the error of a statement that has no terms.

    Args:
        end: How its elaboration ended.
        messages: What Lean reported of it.
        output: What Lean wrote besides.
        timeout, kill_above_kib: The bounds that it had.
        is_embedded: Whether the Lean is the embedded one.
    """
    if end is not None and end.timed_out:
        return RequestTimeout(
            f"{_DOING}: no end within {timeout or 0:g} seconds; Lean was killed",
            kind="request",
            timeout=timeout,
            elapsed=end.seconds,
            entered_worker=True,
            hint="Raise timeout=, which holds for the statement and its imports too.",
        )
    if end is not None and end.killed_at_kib is not None:
        return MemoryLimitExceeded(
            f"{_DOING}: {end.killed_at_kib} KiB of memory, more than kill_above_kib; Lean was killed",
            used_kib=end.killed_at_kib,
            limit_kib=kill_above_kib,
            entered_worker=True,
            hint="Raise kill_above_kib=, which holds for the statement too.",
        )
    if end is not None and end.signal is not None:
        said = shortened(output.partition("\n")[0])
        return ChildExited(
            f"{_DOING}: Lean was ended by signal {end.signal}" + (f": {said}" if said else ""),
            signal=end.signal,
            stderr_tail=output,
            entered_worker=True,
            hint="Check it with `lean-worker check` first.",
        )
    errors = [message.data for message in messages if message.severity == "error"]
    first = errors[0] if errors else output
    found = inability_of(first, is_embedded=is_embedded) if len(messages) == len(errors) <= 1 else None
    if found is not None:
        kind = UsageError if found.is_about_option else CapabilityError
        cause = found.cause.removeprefix("this Lean cannot check it: ")
        return kind(f"verifying: this Lean cannot compile the statement: {cause}", hint=found.hint)
    if end is not None and not errors and end.exit_code:  # a panic, a full disk, or code that ends the process
        said = shortened(output.partition("\n")[0])
        return ChildExited(
            f"{_DOING}: Lean ended with exit code {end.exit_code} and reported no error"
            + (f"; it wrote: {said}" if said else ""),
            exit_code=end.exit_code,
            stderr_tail=output,
            entered_worker=True,
            hint="Check it with `lean-worker check` first; Lean also needs room in the directory for temporary files.",
        )
    if end is not None and not errors and end.unreadable is not None:  # as of a candidate, which is LOST then
        return RequestLost(
            f"{_DOING}: Lean reported no error, and the compiled module could not be read: {end.unreadable}",
            stderr_tail=output,
            entered_worker=True,
            hint="Make the same call again. If it ends so again, look for code in the statement that ends Lean, and "
            "move what is large into modules that it imports.",
        )
    why = "; ".join(errors) or output or "Lean reported nothing"
    return UsageError(
        f"verifying: the statement does not compile: {why}",
        hint="Check it with `lean-worker check` first.",
    )
