"""A property that is computed once for each object, without a lock."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

if TYPE_CHECKING:
    from typing_extensions import Self

T = TypeVar("T")


class computed(Generic[T]):
    """As `functools.cached_property`, whose lock Python had until 3.12 for all objects of a class.

    A child that was forked while another thread held that lock waited for ever. Here two threads that ask at the same
    time may both compute; what they find must be equal. Keeps the value in the object's `__dict__`, also of a frozen
    dataclass, where later reads find it without a call.
    """

    def __init__(self, function: Callable[[Any], T]) -> None:
        self._function = function
        self.__doc__ = function.__doc__

    @overload
    def __get__(self, instance: None, owner: type | None = None) -> Self: ...

    @overload
    def __get__(self, instance: object, owner: type | None = None) -> T: ...

    def __get__(self, instance: object | None, owner: type | None = None) -> Self | T:
        """Compute the value and keep it."""
        if instance is None:
            return self
        kept: T = instance.__dict__.setdefault(self._function.__name__, self._function(instance))
        return kept
