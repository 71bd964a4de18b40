"""The end of one request of many, and the progress of all."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Generic, Literal, TypeVar, cast

from ..commands import RequestT

ResultT = TypeVar("ResultT")

if TYPE_CHECKING:
    from typing_extensions import TypeAliasType

    # Two classes for type checkers alone, so that `ok` says which of `value` and `error` is there.

    class _Ended(Generic[RequestT, ResultT]):
        index: int
        request: RequestT
        seconds: float

        def raise_for_error(self) -> ResultT: ...

    class _Succeeded(_Ended[RequestT, ResultT]):
        ok: Literal[True]
        value: ResultT
        error: None

    class _Failed(_Ended[RequestT, ResultT]):
        ok: Literal[False]
        value: None
        error: BaseException

    # pyrefly would take the parameters of a plain alias in another order.
    Outcome = TypeAliasType(
        "Outcome", _Succeeded[RequestT, ResultT] | _Failed[RequestT, ResultT], type_params=(RequestT, ResultT)
    )
else:

    @dataclasses.dataclass(frozen=True)
    class Outcome(Generic[RequestT, ResultT]):
        """The end of one request of many.

        Attributes:
            index: Its number among the requests, from 0, in the order in which they were given.
            request: The request.
            value: What it gave; None if it failed.
            error: Why it failed; None if it did not.
            seconds: How long its last run took; 0.0 if it never came to one.
        """

        index: int
        request: RequestT
        value: ResultT | None
        error: BaseException | None
        seconds: float

        def __repr__(self) -> str:
            from ..notebook import short

            end = f"value={short(self.value, 400)}" if self.ok else f"error={short(self.error, 400)}"
            return f"Outcome(index={self.index}, request={short(self.request)}, {end}, seconds={self.seconds:.3f})"

        @property
        def ok(self) -> bool:
            """Whether it did not fail."""
            return self.error is None

        def raise_for_error(self) -> ResultT:
            """The value; raises `error` if there is one."""
            if self.error is not None:
                raise self.error
            return cast("ResultT", self.value)


@dataclasses.dataclass(frozen=True)
class MapProgress:
    """The progress of many requests.

    Attributes:
        done: How many have ended.
        total: How many there are; None if that is not known.
        failed: How many of `done` have failed.
        rows: Rows that all of them have handed out, those of requests in flight and of failed ones included.
    """

    done: int
    total: int | None
    failed: int
    rows: int


OnDone = Callable[[MapProgress], object]
