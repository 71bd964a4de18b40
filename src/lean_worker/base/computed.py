"""A property that is computed once for each object, without a lock."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

if TYPE_CHECKING:
    from typing_extensions import Self

T = TypeVar("T")


class computed(Generic[T]):
    """Decorator for a property like `functools.cached_property`, without its lock.

    Until Python 3.12 that lock was one for all objects of a class. A child that was forked while another thread held it
    waited for ever. Two threads that ask at the same time may both compute here, so that equal values must come out;
    both get the first one. The object's `__dict__` keeps it, also a frozen dataclass's, and later reads find it there.
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
