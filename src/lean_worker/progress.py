"""Progress bar for running requests: rows, rows per second, the workers' memory, and lost workers.

The bar draws ten times per second on its own thread and reads the counts then, so a row costs nothing. Without a
terminal, nothing is drawn. Callers choose the source: a lease or stream, the hosted code's own progress, or many
requests.
"""

from __future__ import annotations

import importlib.util
import sys
import time
import warnings
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, TypeVar

from .base.arguments import attribute_of, check_flag, check_method, check_text, shown
from .base.counts import counted
from .errors import MissingExtra, UsageError
from .events import Progress

__all__ = ["Bar", "bar"]

if TYPE_CHECKING:
    from rich.console import Console

    from .batch.outcome import MapProgress
    from .pool.observer import PoolSnapshot

_SNAPSHOT_SECONDS = 1.0
_RATE_SECONDS = 0.5
_IN_ALL = "rows_delivered_in_all"
"""The attribute of a lease that counts the rows of all its streams: one can end and another begin between two looks."""


class Counting(Protocol):
    """Protocol of the object that a bar follows: a `Lease` or a `RowStream`."""

    @property
    def rows_delivered(self) -> int:
        """Rows so far."""
        ...


class Watched(Protocol):
    """Protocol of the source for memory and lost workers: a `Pool`."""

    def snapshot(self) -> PoolSnapshot:
        """The figures now."""
        ...


_CountingT = TypeVar("_CountingT", bound=Counting)


class Bar:
    """A progress bar for the length of a `with` block, made by `bar`. Any thread may call its methods.

    Attributes:
        is_shown: Whether anything is drawn.
    """

    def __init__(
        self, title: str, pool: Watched | None, console: Console | None, show: bool | None, transient: bool
    ) -> None:
        try:
            import rich.console
            import rich.progress
            import rich.text
        except ModuleNotFoundError as error:
            raise MissingExtra(
                "showing a progress bar: rich is not installed", hint="pip install 'lean-worker[cli]'", extra="cli"
            ) from error
        if console is None:
            console = rich.console.Console(file=sys.stderr)
        self.is_shown = (
            (console.is_terminal or console.is_jupyter)
            if show is None
            else show and (console.is_terminal or console.is_jupyter)
        )
        if self.is_shown and console.is_jupyter and importlib.util.find_spec("ipywidgets") is None:
            warnings.warn(
                "showing a progress bar: in a notebook it needs ipywidgets, which is not installed; nothing is drawn. "
                "hint: pip install ipywidgets, and reload the page; or show=False",
                stacklevel=3,
            )
            self.is_shown = False
        self._pool = pool
        self._followed: Counting | None = None
        self._rows = self._rows_before = 0
        self._failed = 0
        self._rate = ""
        self._rated_at, self._rated_rows = time.monotonic(), 0
        self._facts, self._facts_at = "", 0.0
        figures = self._figures

        class Figures(rich.progress.ProgressColumn):
            def render(self, task: rich.progress.Task) -> rich.text.Text:
                return rich.text.Text(figures())

        self._drawing = rich.progress.Progress(
            rich.progress.TextColumn("{task.description}", markup=False),
            rich.progress.BarColumn(bar_width=24),
            rich.progress.TaskProgressColumn(),
            Figures(),
            rich.progress.TimeElapsedColumn(),
            console=console,
            disable=not self.is_shown,
            transient=transient,
        )
        self._task = self._drawing.add_task(title, total=None)

    # -- what is counted --

    def follow(self, source: _CountingT) -> _CountingT:
        """Count the rows of a lease's running stream and of all later ones, or of one stream; returns the source.

        Raises:
            UsageError: It is neither.
        """
        if isinstance(source, type) or not isinstance(attribute_of(source, "rows_delivered"), int):
            raise UsageError(
                f"following rows: expected a lease or a stream, got {shown(source)}",
                hint="Write bar.follow(lease) or bar.follow(rows); for many requests, pass on_done=bar.on_done.",
            )
        rows = self._count_rows()
        self._rows_before = rows - (_count_of(source) - source.rows_delivered)  # without streams that have ended
        self._followed = source
        return source

    def on_progress(self, progress: Progress) -> None:
        """Show the progress that the hosted code reports; pass it as `on_progress=`.

        Raises:
            UsageError: It was passed as another callback, and is called with something else.
        """
        if not isinstance(progress, Progress):
            raise UsageError(
                f"showing progress: expected a Progress, got {shown(progress)}",
                hint="Write on_progress=bar.on_progress.",
            )
        self._drawing.update(self._task, description=progress.phase, completed=progress.current, total=progress.total)

    def on_done(self, done: MapProgress) -> None:
        """Show the counts of many requests; pass it as `on_done=` of `Pool.map` or `Pool.stream_many`.

        Raises:
            UsageError: It was passed as another callback, and is called with something else.
        """
        if not isinstance(attribute_of(done, "failed"), int):
            raise UsageError(
                f"showing progress: expected a MapProgress, got {shown(done)}", hint="Write on_done=bar.on_done."
            )
        self._rows, self._failed = done.rows, done.failed
        self._drawing.update(self._task, completed=done.done, total=done.total)

    def _count_rows(self) -> int:
        if self._followed is not None:  # between the end of a stream and its sum a lease tells too little
            self._rows = max(self._rows_before + _count_of(self._followed), self._rows)
        return self._rows

    # -- how it looks --

    def _figures(self) -> str:
        rows = self._count_rows()
        now = time.monotonic()
        if now - self._rated_at >= _RATE_SECONDS:
            self._rate = f" · {max(rows - self._rated_rows, 0) / (now - self._rated_at):,.0f}/s"
            self._rated_at, self._rated_rows = now, rows
        if self._pool is not None and now - self._facts_at >= _SNAPSHOT_SECONDS:
            self._facts, self._facts_at = _pool_figures(self._pool.snapshot()), now
        failed = f" · {self._failed} failed" if self._failed else ""
        return f"{counted(rows, 'rows')}{self._rate}{failed}{self._facts}"

    def __enter__(self) -> Bar:
        self._drawing.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._drawing.stop()


def bar(
    title: str = "rows",
    *,
    pool: Watched | None = None,
    console: Console | None = None,
    show: bool | None = None,
    transient: bool = False,
) -> Bar:
    """Return a progress bar for a `with` block.

    Args:
        title: Text before the bar until the hosted code names a phase.
        pool: The pool whose memory and lost workers are shown.
        console: A rich Console to draw on; by default standard error.
        show: None to draw on a terminal or in a notebook; False not to draw. In a notebook the bar needs the package
            ipywidgets; without it a warning says so, and nothing is drawn.
        transient: Whether the bar disappears at its end.

    Raises:
        MissingExtra: rich is not installed, even if nothing would be drawn.
        UsageError: `pool` is no pool, `console` no Console, `title` no text, or a switch is neither True nor False.
    """
    doing = "showing a progress bar"
    check_text(doing, "title", title, is_empty_good=True)
    check_flag(doing, transient=transient, **({} if show is None else {"show": show}))
    if pool is not None:
        check_method(doing, "pool", pool, "snapshot")
    if console is not None:
        check_method(doing, "console", console, "print")
    return Bar(title, pool, console, show, transient)


def _count_of(source: Counting) -> int:
    return int(getattr(source, _IN_ALL, source.rows_delivered))


def _pool_figures(snapshot: PoolSnapshot) -> str:
    text = "" if snapshot.memory_kib is None else f" · {snapshot.memory_kib >> 10:,} MiB"
    return text + (f" · {counted(snapshot.failures, 'workers')} lost" if snapshot.failures else "")
