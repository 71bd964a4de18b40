"""Generators of results that look complete only if they are, for threads and for asyncio.

A Python generator that has failed, or was closed, just ends for whoever asks again: a loop with retries, an adapter
such as `enumerate`. Those would take the results so far for all of them.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from types import AsyncGeneratorType, GeneratorType, TracebackType
from typing import Literal, TypeVar, cast

from ..errors import UsageError

_T = TypeVar("_T")
_State = Literal["fresh", "taking", "paused", "complete", "closed", "stopped"]
"""closed: by its caller, after its begin; a loop in progress is told once that there is no more. stopped: it has
failed, was interrupted, was closed before its begin, or has told that it was closed."""
_ALREADY = "already"  # how Python says that a generator is in use


class _Whole:
    """Remembers how far the results have come.

    Args:
        doing: What makes the results, for errors.
    """

    __slots__ = ("_doing", "_state")

    def __init__(self, doing: str) -> None:
        self._doing = doing
        self._state: _State = "fresh"

    def _is_told_of_end(self) -> bool:
        """Whether whoever asks for a result is told now that there are no more of them.

        Raises:
            UsageError: There would be more.
        """
        if self._state == "closed":
            self._state = "stopped"
            return True
        # What was interrupted while it took a result has lost that one.
        if self._state in ("taking", "stopped"):
            raise UsageError(
                f"{self._doing}: the iteration has failed, or was closed, before its end",
                hint="Start another call for the rest.",
            )
        return self._state == "complete"

    def _in_use(self) -> UsageError:
        return UsageError(
            f"{self._doing}: another call has not returned",
            hint="Iterate in one place, and hand the results on from there; `cancel=` stops it.",
        )

    def _note_close(self) -> None:
        if self._state != "complete":
            self._state = "closed" if self._state == "paused" else "stopped"


class WholeGenerator(_Whole, Generator[_T, None, None]):
    """The results of a generator; asking again after a failure or a close raises `UsageError`.

    Args:
        doing: What makes the results, for errors.
        results: The generator.
    """

    __slots__ = ("__weakref__", "_results")

    def __init__(self, doing: str, results: Generator[_T, None, None]) -> None:
        super().__init__(doing)
        self._results = cast("GeneratorType[_T, None, None]", results)

    def __next__(self) -> _T:
        if self._results.gi_running:
            raise self._in_use()
        if self._is_told_of_end():
            raise StopIteration
        self._state = "taking"
        try:
            result = next(self._results)
        except StopIteration:
            self._state = "complete"
            raise
        except ValueError as error:
            if self._results.gi_running and _ALREADY in str(error):  # another thread was faster
                raise self._in_use() from None
            raise
        self._state = "paused"
        return result

    def send(self, value: None, /) -> _T:
        """As `next`; `value` says nothing."""
        return next(self)

    def throw(
        self,
        typ: type[BaseException] | BaseException,
        val: BaseException | object = None,
        tb: TracebackType | None = None,
        /,
    ) -> _T:
        """End it with an exception."""
        self._state = "stopped"
        return self._results.throw(typ if isinstance(typ, BaseException) else typ())

    def close(self) -> None:
        """Stop what is in flight and wait for it; legal twice.

        Raises:
            UsageError: It was called by a handler of this iteration, or while another thread takes a result.
        """
        if self._results.gi_running:
            raise self._in_use()
        self._note_close()
        self._results.close()


class WholeAsyncGenerator(_Whole, AsyncGenerator[_T, None]):
    """The same for `async for`."""

    __slots__ = ("__weakref__", "_results")

    def __init__(self, doing: str, results: AsyncGenerator[_T, None]) -> None:
        super().__init__(doing)
        self._results = cast("AsyncGeneratorType[_T, None]", results)

    async def __anext__(self) -> _T:
        if self._results.ag_running:
            raise self._in_use()
        if self._is_told_of_end():
            raise StopAsyncIteration
        self._state = "taking"
        try:
            result = await anext(self._results)
        except StopAsyncIteration:
            self._state = "complete"
            raise
        self._state = "paused"
        return result

    async def asend(self, value: None, /) -> _T:
        """As `anext`; `value` says nothing."""
        return await anext(self)

    async def athrow(
        self,
        typ: type[BaseException] | BaseException,
        val: BaseException | object = None,
        tb: TracebackType | None = None,
        /,
    ) -> _T:
        """End it with an exception."""
        self._state = "stopped"
        return await self._results.athrow(typ if isinstance(typ, BaseException) else typ())

    async def aclose(self) -> None:
        """Stop what is in flight and wait for it; legal twice.

        Raises:
            UsageError: Another task takes a result meanwhile.
        """
        if self._results.ag_running:
            raise self._in_use()
        self._note_close()
        await self._results.aclose()
