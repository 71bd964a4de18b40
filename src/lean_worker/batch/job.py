"""A job: many requests, each with its rows stored exactly once, over as many runs of this program as it takes.

Owns what a failure does to an item. Two halves that may be far apart:
`run_item` runs one item into a part, on any lease, in any process; `Ledger.add` makes a part count. Hides parts.
Callers decide on which pool it runs and what to do about items in quarantine.
"""

from __future__ import annotations

import dataclasses
import itertools
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Generic, Literal

import msgspec

from ..base.arguments import (
    attribute_of,
    check_choice,
    check_flag,
    check_kind,
    check_method,
    check_several,
    check_text,
    shown,
)
from ..base.callbacks import check_callable
from ..base.counts import counted
from ..base.misuse import Asynchronous
from ..base.system_errors import within_memory
from ..base.trusted_files import path_of
from ..cancel import CancelToken, add_cancel_callback, remove_cancel_callback
from ..commands import RequestT, RowT, StreamingCommand, SummaryT, check_command
from ..errors import (
    Cancelled,
    JobIncomplete,
    LeanWorkerError,
    UsageError,
)
from ..hosting.launch import Capability
from ..policy import DEFAULT, DefaultTimeout, Timeout, check_timeout
from ..pool.cores import HasBlockingCore, core_of
from ..pool.lease import LeaseCore
from ..sinks.file_names import DATABASES, JSON_LINES, target_of
from ..sinks.parquet import columns_without_fixed_type
from ..steps.waiting import Steps, run
from ..wire.row_types import RowTypes
from .dispatching import start_thread
from .item_rows import PartFormat as PartFormat
from .item_rows import for_lines, into_memory, running_item, running_lines
from .item_rows import part_path as part_path
from .item_rows import run_item as run_item
from .items import Item
from .job_items import HostedOnce, items_of
from .job_output import check_place, refuse_own_files, size_of, write_output
from .lease_source import LeaseSource
from .ledger import DONE, DUE, QUARANTINED, JobItem, Ledger, Part
from .ledger_items import LateItem
from .options import BatchOptions
from .outcome import OnDone, Outcome
from .requests import outcomes_of

_FIRST_ITEMS = 1000


@dataclasses.dataclass(frozen=True)
class JobReport:
    """The state of a job so far.

    Attributes:
        total: How many items it has.
        done: How many of them have their rows stored.
        due: How many are still to be run.
        quarantined: Those that are left out, with their reasons.
        rows: Rows of all that are done.
        ran: How many items this run has finished or quarantined.
        out: Absolute path of the output, if this run wrote it: the lines of all done items, in order.
    """

    total: int
    done: int
    due: int
    quarantined: list[JobItem]
    rows: int
    ran: int
    out: str | None

    def __repr__(self) -> str:
        from ..notebook import few

        reasons = [f"{item.position}: {item.reason}" for item in self.quarantined[:4]]
        left_out = f", {len(self.quarantined)} quarantined: {few(reasons)}" if reasons else ""
        return (
            f"JobReport({self.done} of {counted(self.total, 'items')} done, {self.due} due{left_out}; "
            f"{counted(self.rows, 'rows')}, out={self.out!r})"
        )

    @property
    def is_complete(self) -> bool:
        """Whether every item is done."""
        return self.done == self.total

    def raise_for_error(self) -> JobReport:
        """Itself, if every item is done.

        Raises:
            JobIncomplete: Some are not; names the first of them.
        """
        if self.is_complete:
            return self
        first = f"; item {self.quarantined[0].position}: {self.quarantined[0].reason}" if self.quarantined else ""
        raise JobIncomplete(
            f"running a job: of {counted(self.total, 'items')} {self.done} are done, {self.due} due, "
            f"{len(self.quarantined)} in quarantine{first}",
            hint="Job.items() has all reasons; Job.retry() makes them due again.",
            total=self.total,
            done=self.done,
            due=self.due,
            quarantined=[item.position for item in self.quarantined],
        )


class _Due:
    """The items of a ledger that are to be run, read as they are sent."""

    def __init__(self, ledger: Ledger, count: int) -> None:
        self._ledger = ledger
        self._count = count

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return self._ledger.due()


class Job(Generic[RequestT, RowT, SummaryT]):
    """Many requests of one streaming command, whose rows end up in one file, each exactly once.

    Each item's rows are stored in a part, and count from the moment at which the ledger says so, in one transaction.
    Items with few rows share part files. A run sends what is due and nothing else. It may be killed at any moment: the
    next one goes on, and the output is byte for byte that of a run that nobody disturbed, if the hosted code itself
    gives the same rows.

    An item is another one, and due, if its request, the command's name, the hosted script, the toolchain, the program's
    arguments, its directory (of a program without one of its own that in which `run` is called), the capability's
    environment, or `version` has changed. Modules that a script imports from its project count by the state of their
    files: one that was only touched makes all items due, too. What is not seen, such as the code of a Python registry,
    is said by `version`.

    An item that ends a worker is run again; after `max_deaths` it is in quarantine, with its reason. On a `RayPool`,
    four lost nodes one after the other count as one worker. In quarantine is also, at once, one that the hosted code
    refuses (`CommandFailed`), or whose rows are not JSON, too large, or not of the row type that Parquet needs.
    Whatever else fails ends the run and is raised; items it has not got to are due. So does a command that the hosted
    code does not have (`UnknownCommand`), with the first item.

    Args:
        path: The ledger. Its parts are in a folder of that name with ".parts" behind it; both are made when needed, and
            can be removed when the output is there. Relative paths are those of the working directory when the job is
            made.
        command: What is run.
        capability: What the workers host.
        out: Where all lines go, in the order of the requests, by an atomic rename when no item is due any more; items
            in quarantine are missing from it. None: nowhere.
        allow_incomplete: Whether an output without the rows of some items may replace a file that is there. By default
            it replaces only one that this job wrote, with no more items; else the file stays as it is, and the
            report's `out` is None.
        parts_as: How rows are stored: "jsonl", one JSON value a line, or "parquet", with the columns of the command's
            row type as of `ParquetSink` (extra `arrow`) and without `out`: `parts` names the files. Another format,
            other columns, or `with_stream` makes all items due again. On a `RayPool` the row type has to be in a module
            that the nodes can import.
        keep_parts: Whether parts stay when the output is complete. By default they are removed; rows are then in `out`
            alone, and all items are due again if `out` is changed or removed.
        with_stream: Whether each line is an object of the row and its stream, `{"stream":"edges","row":…}`. Without it,
            rows of a second stream raise `UsageError`. In Parquet, the columns of a command without a row type have the
            stream.
        version: Any text whose change makes all items due again.
        max_deaths: How many workers an item may end, 1 or more.

    Raises:
        UsageError: `max_deaths` is out of range, `parts_as` is something else, there is an `out` for Parquet, the
            command declares several streams (`row={…}`), a Parquet column would have another type in each part (of
            datetimes that may have a zone or none), `out` has the ending of a Parquet file or a database, or what
            should be a path is none, or is a directory.

    Only one process at a time works on a ledger. A job does not survive a fork.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        command: StreamingCommand[RequestT, RowT, SummaryT],
        capability: Capability,
        *,
        out: str | os.PathLike[str] | None = None,
        allow_incomplete: bool = False,
        parts_as: Literal["jsonl", "parquet"] = "jsonl",
        keep_parts: bool = False,
        with_stream: bool = False,
        version: str = "",
        max_deaths: int = 3,
    ) -> None:
        check_command(command, StreamingCommand)
        check_method("making a job", "capability", capability, "launch")
        if type(max_deaths) is not int or max_deaths < 1:
            raise UsageError(
                f"making a job: expected max_deaths as an integer of 1 or more, got {shown(max_deaths)}",
                hint="Give an int, as in max_deaths=3.",
            )
        check_choice("making a job", "parts_as", parts_as, ("jsonl", "parquet"))
        check_flag("making a job", allow_incomplete=allow_incomplete, keep_parts=keep_parts, with_stream=with_stream)
        if with_stream and parts_as == "parquet":
            raise UsageError(
                "making a job: with_stream is for JSON lines, got parts_as='parquet'",
                hint="Leave it out; without a row type there is a column with the stream.",
            )
        if parts_as == "parquet" and out is not None:
            raise UsageError(
                "making a job: rows in Parquet stay in their parts; there is no `out` for them",
                hint="Leave `out` away, and read the files that Job.parts() names.",
            )
        self.path = path_of("making a job", path)
        self.out = None if out is None else path_of("making a job", out)
        _check_places(self.path, self.out)
        # The working directory may be another one later: a job has one ledger and one output.
        self._place = _from_root(self.path)
        self._target = None if self.out is None else _from_root(self.out)
        if isinstance(getattr(command, "row", None), RowTypes):
            raise UsageError(
                f"making a job: {command.name} declares several streams, and parts keep no names of streams",
                hint="Declare one row type, or store each request's rows with stream_many and a sink for each stream.",
            )
        if parts_as == "parquet":
            _check_columns(command)
        check_text("making a job", "version", version, is_empty_good=True)
        self.command = command
        self.parts_as = parts_as
        self.with_stream = with_stream
        self._format: PartFormat = "stream.jsonl" if with_stream else parts_as
        self.capability = capability
        self.allow_incomplete = allow_incomplete
        self.keep_parts = keep_parts
        self.version = version
        self.max_deaths = max_deaths

    def run(
        self,
        pool: HasBlockingCore[LeaseSource],
        requests: Iterable[RequestT] | None = None,
        *,
        timeout: Timeout = DEFAULT,
        cancel: CancelToken | None = None,
        on_done: OnDone | None = None,
    ) -> JobReport:
        """Run what is due on all workers of a pool, and write the output when nothing is.

        Args:
            pool: Where it runs: a `Pool`, or a `RayPool`; no `AsyncPool`, whose loop would stand still.
            requests: All requests of the job, any iterable; None for those of the last run. They are read, one by one,
                before anything is sent.
            timeout: Seconds for each item, as of `Lease.run`; an item that takes longer has ended a worker.
            cancel: Stops items in flight at their next row, and the run.
            on_done: As of `Pool.map`; counts the items of this run.

        Raises:
            UsageError: `pool` is neither; another process works on the ledger; requests are no JSON, were never given,
                or are none while `out` has rows; `out` is the ledger, or in the folder of its parts.
            UnknownCommand: The hosted code has no such command; all items that are due stay so.
            RecoveryError: The ledger is damaged, or somebody else could have written it.
            SinkError: `out` is in no directory that can be written to; or rows cannot be stored, a part is not what it
                was (it is due again), or the ledger was removed or replaced meanwhile.
            Cancelled: The token was cancelled.
            ResourceExhausted: This process was given no more memory; what is done is kept.
            LeanWorkerError: What is wrong with the pool or the capability, not with an item.
        """
        doing = f"running the job {self.path}"
        is_pool = attribute_of(pool, "stream_many") and attribute_of(pool, "__enter__")
        if isinstance(pool, (type, Asynchronous)) or not is_pool:
            hint = "Open a lw.Pool, which an AsyncPool can share, and call this in a thread: asyncio.to_thread."
            raise UsageError(
                f"{doing}: expected pool as a Pool or a RayPool, got {shown(pool)}",
                hint=hint if isinstance(pool, Asynchronous) else "Open a lw.Pool.",
            )
        if not isinstance(timeout, DefaultTimeout):
            check_timeout("timeout", timeout)
        check_kind(doing, "cancel", cancel, CancelToken)
        check_callable(doing, "progress", on_done=on_done)
        # Before there is a ledger, so that a wrong call leaves nothing.
        core_of(pool).check_open(doing)
        if self._target is not None:
            check_place(self._target)
        hosted = HostedOnce(self.capability, doing)
        # The nodes of a cluster have files of their own, and are sent what this process has.
        pinned: Any = getattr(core_of(pool), "pinned", None)
        capability: Capability = hosted if pinned is None else pinned(hosted)
        items = None if requests is None else self._items_of(requests, hosted)
        if items is None and not self._place.exists():
            raise self._without_requests()
        with within_memory(doing), Ledger(self._place, for_work=True) as ledger:
            if self._target is not None:
                refuse_own_files(ledger, self._target)
            self._ask_for(ledger, items, hosted)
            ran = 0
            # Items that have ended a worker come once more, after all the others.
            while due := ledger.count(DUE):
                if cancel is not None and cancel.is_cancelled:
                    raise Cancelled(
                        f"running the job {self.path}: cancelled by the caller; {due} items are due",
                        hint="Run the job again to do the rest.",
                        command=self.command.name,
                        entered_worker=False,
                    )
                ran += self._run_once(ledger, pool, capability, due, timeout, cancel, on_done)
            out = None
            if self._target is not None:
                options = {"allow_incomplete": self.allow_incomplete, "keep_parts": self.keep_parts}
                out = write_output(ledger, self._target, **options) and str(self._target)
            ledger.check_in_place()
            return _report(ledger, ran, out)

    def _without_requests(self) -> UsageError:
        return UsageError(
            f"running the job {self.path}: no requests were given, and none were stored before",
            hint="Give run the requests the first time, and again if it was interrupted before they were stored.",
        )

    def _ask_for(self, ledger: Ledger, items: Iterator[LateItem] | None, hosted: HostedOnce) -> None:
        if items is None:
            if not ledger.count():
                raise self._without_requests()
            items = self._items_of((msgspec.Raw(text.encode()) for text in ledger.requests()), hosted)
        ledger.ask_for(items)

    def _columns(self) -> str:
        """The columns that the parts have in Parquet: parts of others cannot be read together with them."""
        if self._format != "parquet":
            return ""
        from ..wire.columns import Layout, described  # not at once: `msgspec.inspect` takes a while

        return f"\0{described(Layout(self.command.row).columns)}"

    def _items_of(self, requests: Iterable[Any], hosted: HostedOnce) -> Iterator[LateItem]:
        """The items, read one by one; the first of them at once, so that most wrong requests leave no ledger."""
        check_several(f"running the job {self.path}", "requests", requests, "requests")
        version = self.version if self._format == "jsonl" else f"{self.version}\0{self._format}{self._columns()}"
        items = items_of(self.command, hosted, requests, version)
        first = list(itertools.islice(items, _FIRST_ITEMS))
        if not first and not self.allow_incomplete and self._target is not None and size_of(self._target):
            raise UsageError(
                f"running the job {self.path}: there are no requests, and {self.out} has rows, which would be lost",
                hint="Give the requests as a list, not as an iterator that was used before; or allow_incomplete=True.",
            )
        return itertools.chain(first, items)

    def _run_once(
        self,
        ledger: Ledger,
        pool: HasBlockingCore[LeaseSource],
        capability: Capability,
        due: int,
        timeout: Timeout,
        cancel: CancelToken | None,
        on_done: OnDone | None,
    ) -> int:
        # A pool on a cluster makes parts where its workers are.
        core = core_of(pool)
        on_cluster = getattr(core, "running_item", None)
        command_for_lines = for_lines(self.command, self._format)

        def run_one(lease: LeaseCore, item: Item, token: CancelToken) -> Steps[Part]:
            def on_rows(count: int) -> None:
                item.rows = lambda: count

            arguments = (item.request[1], ledger.folder, timeout, token, on_rows, self._format)
            steps: Steps[Part]
            if on_cluster is not None:
                steps = on_cluster(lease, self.command, *arguments)
            elif self.out is not None:
                steps = running_lines(lease, command_for_lines, *arguments)
            else:  # parts of a job without an output are what its caller reads: each item has a file
                steps = running_item(lease, self.command, *arguments)
            return steps

        def on_pause() -> None:
            ledger.flush()
            outcomes.refuse_self_wait()

        ended = 0
        failure: BaseException | None = None
        stop = CancelToken()
        options = BatchOptions(capability, ordered=False, cancel=stop, on_done=on_done)
        outcomes = outcomes_of(core, run_one, _Due(ledger, due), options, start_thread)
        try:
            add_cancel_callback(cancel, stop.cancel)
            try:
                while (outcome := run(outcomes.advancing(on_pause))) is not None:
                    if stop.is_cancelled and _is_of_node(outcome.error):
                        continue  # it was not sent again, as would have shown whether nodes end with it
                    if outcome.error is None or _is_its_own(outcome.error):
                        ended += self._settle(ledger, outcome)
                    elif failure is None:
                        # Nothing more is sent; items that are done by now still count.
                        failure = outcome.error
                        stop.cancel()
            except Cancelled:
                if not stop.is_cancelled:
                    raise  # of a handler; what was cancelled here is still due, and said so below
            finally:
                run(outcomes.closing())
        finally:
            remove_cancel_callback(cancel, stop.cancel)
            ledger.flush()
        if failure is not None:
            try:
                raise failure
            finally:
                del failure  # no cycle of an error, its traceback, and this frame
        return ended

    def _settle(self, ledger: Ledger, outcome: Outcome[tuple[str, str], Part]) -> bool:
        key, _ = outcome.request
        error = outcome.error
        if error is None:
            part = outcome.raise_for_error()
            ledger.add(key, part if self.out is None else into_memory(part))
            return True
        reason = f"{type(error).__name__}: {getattr(error, 'text', error)}"
        return ledger.fail(key, reason, is_death=_is_death(error), max_deaths=self.max_deaths)

    def items(self) -> list[JobItem]:
        """All items of the last run, in order.

        Raises:
            UsageError: There is no ledger.
        """
        with Ledger(self._place, for_work=False) as ledger:
            return ledger.items()

    def parts(self) -> list[Path]:
        """The files with the rows of all done items, in the order of the first item in each.

        Without `out` each item has a file; in Parquet also one without rows. With `out` items share files, in which
        their rows are in the order in which the items ended. Once the output is complete it is the only file, unless
        `keep_parts` was set.

        Raises:
            UsageError: There is no ledger.
        """
        with Ledger(self._place, for_work=False) as ledger:
            return list(dict.fromkeys(path for _, path, _, _, _, _ in ledger.done()))

    def report(self) -> JobReport:
        """The state of the job so far.

        Raises:
            UsageError: There is no ledger.
        """
        with Ledger(self._place, for_work=False) as ledger:
            return _report(ledger, 0, None)

    def retry(self, positions: Iterable[int] | None = None) -> int:
        """Make quarantined items due again, and say how many; the next `run` sends them.

        Args:
            positions: Which; None for all.

        Raises:
            UsageError: There is no ledger, or no item at one of the positions; then nothing is changed.
        """
        chosen = None if positions is None else _positions(self.path, positions)
        with Ledger(self._place, for_work=False) as ledger:
            return ledger.retry(chosen)


def _from_root(path: Path) -> Path:
    try:
        return path.absolute()
    except OSError:  # the working directory was removed: it leads nowhere
        return path


def _check_columns(command: StreamingCommand[Any, Any, Any]) -> None:
    """Refuse columns that would differ between parts, which are read as one table."""
    from ..wire.columns import Layout  # not at once: `msgspec.inspect` takes a while

    for name in columns_without_fixed_type(Layout(command.row).columns):
        raise UsageError(
            f"making a job: column {name!r} of {command.name} has datetimes that may have a time zone or none, and "
            "each part would go by its own",
            hint="Declare which, as in Annotated[datetime, msgspec.Meta(tz=True)], or pydantic's AwareDatetime.",
        )


def _check_places(path: Path, out: Path | None) -> None:
    if os.path.isdir(path):
        raise UsageError(
            f"making a job: expected the ledger as a file, and {path} is a directory",
            hint=f"Give a file in it, as in {shown(str(path / 'job.ledger'))}.",
        )
    if out is None:
        return
    if os.path.isdir(out):
        raise UsageError(
            f"making a job: expected out as a file, and {out} is a directory",
            hint=f"Give a file in it, as in {shown(str(out / 'rows.jsonl'))}.",
        )
    if out.suffix.lower() in (".parquet", *DATABASES):
        raise UsageError(
            f"making a job: the output of a job is JSON lines, and {out} names another format",
            hint="Give out a name such as rows.jsonl; or parts_as='parquet' without out, and read the files that "
            "Job.parts() names.",
        )
    target_of("making a job", out, JSON_LINES)


def _positions(path: Path, positions: Iterable[int]) -> list[int]:
    listed = None if isinstance(positions, (str, bytes, Mapping)) or not isinstance(positions, Iterable) else positions
    numbers = [] if listed is None else list(listed)
    if listed is None or not all(type(each) is int for each in numbers):
        raise UsageError(
            f"retrying items of {path}: expected positions as integers, got {shown(positions)}",
            hint="Give a list, as in [0, 17]; or leave it out for all items in quarantine.",
        )
    return numbers


def _is_death(error: BaseException) -> bool:
    """Whether an item's failure has ended its worker."""
    return isinstance(error, LeanWorkerError) and error.ends_worker is True


def ended_worker(error: BaseException) -> bool:
    """Whether it is the failure of a request that a worker had, and the end of that worker, other than by `close`."""
    if not isinstance(error, LeanWorkerError) or error.pool_is_closed:
        return False
    return _is_death(error) and error.entered_worker is not False


def _is_of_node(error: BaseException | None) -> bool:
    return isinstance(error, LeanWorkerError) and error.by_node


def _is_its_own(error: BaseException) -> bool:
    """Whether a failure is the item's, and not of the pool, of this machine, or of the caller's making.

    The loss of a node is: the scheduler tells of it when it has sent the item to four nodes, and all were lost.
    """
    return ended_worker(error) or (isinstance(error, LeanWorkerError) and error.by_request)


def _report(ledger: Ledger, ran: int, out: str | None) -> JobReport:
    quarantined = ledger.items(QUARANTINED)
    return JobReport(ledger.count(), ledger.count(DONE), ledger.count(DUE), quarantined, ledger.rows(), ran, out)
