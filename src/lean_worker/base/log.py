"""The package's logger, `lean_worker`; `logging` is imported with the first pool, or the first record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .deferred import Deferred

if TYPE_CHECKING:
    import logging

_logging = Deferred("logging")


class _Log:
    _logger: logging.Logger | None = None

    def __getattr__(self, name: str) -> Any:
        logger = self._logger
        if logger is None:
            logger = _logging.load().getLogger("lean_worker")
            # An application that sets up no logging is told by exceptions alone.
            logger.addHandler(_logging.load().NullHandler())
            self._logger = logger
        return getattr(logger, name)


if TYPE_CHECKING:
    log: logging.Logger
else:
    log = _Log()
