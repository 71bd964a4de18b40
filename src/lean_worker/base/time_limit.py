"""The default of time limits, where None already means "no limit"."""

from __future__ import annotations


class DefaultTimeout:
    """Stands for "the pool's own time limit" where None already means "no limit"."""

    def __repr__(self) -> str:
        return "the pool's limit"


DEFAULT = DefaultTimeout()
Timeout = float | None | DefaultTimeout
