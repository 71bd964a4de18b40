"""A table of moments and ways in which a child fails: the error's class, its facts, the rows delivered, and a pool that goes on.

The child (`fakes.scripted`) is a real process that follows the protocol up to the given point. Every test ends with the
check of `conftest` that no process, descriptor or thread is left.
"""

from __future__ import annotations

import dataclasses
import os
import signal

import pytest

import lean_worker as lw
from fakes import scripted
from support import CAN_HOLD, FUNCTIONS, HELD_INTEROP, HOSTS, INTEROP, send_signal, wait_until

pytestmark = pytest.mark.supervision

QUICK = lw.Timeouts(startup=20, request=20, shutdown=0.3, cancel_grace=0.3)
ROWS = lw.StreamingCommand("rows")

ROWS_BEFORE = {
    "spawn": 0,
    "handshake": 0,
    "before_first_row": 0,
    "mid_header": 1,
    "mid_body": 2,
    "between_rows": 3,
    "before_terminal": 4,
    "after_terminal": 4,
}
EXITS = {
    "exit0": {"exit_code": 0, "signal": None},
    "exit1": {"exit_code": 1, "signal": None},
    "sigkill": {"exit_code": None, "signal": "SIGKILL"},
    "sigsegv": {"exit_code": None, "signal": "SIGSEGV"},
    "abort": {"exit_code": None, "signal": "SIGABRT"},
}
BYTES = {
    "garbage": lw.errors.FrameTooLarge,  # read as a length of 4 GiB
    "oversized": lw.errors.FrameTooLarge,
    "wrong_version": lw.errors.VersionMismatch,
    "sequence_gap": lw.errors.SequenceGap,
    "wrong_count": lw.errors.UnexpectedMessage,  # it sends the wrong summary twice
    "stray_print": lw.errors.FrameTooLarge,  # "hell" read as a length
}
HARMLESS = ("stderr_flood",)
ON_LOOPS = ("handshake", "mid_body", "between_rows")
"""Tried with asyncio too; what is decided is the same text, and each of these waits in another place."""
HOW = [*EXITS, *BYTES, *HARMLESS, "hang", "closes_stdout", "closes_stdin"]

CASES = [
    (surface, when, how)
    for surface in ("sync", "aio")
    for when in ROWS_BEFORE
    for how in HOW
    if surface == "sync" or when in ON_LOOPS
]


def expected(when, how):
    """The class of the error, or None for a stream that succeeds."""
    if how in HARMLESS:
        return None
    if how in EXITS:
        return None if when == "after_terminal" else lw.ChildExited
    if how == "closes_stdin":
        # Nobody wants to write to it before the next request.
        return lw.RequestTimeout if when in ("spawn", "handshake") else None
    if how in ("hang", "closes_stdout"):
        return None if when == "after_terminal" else lw.RequestTimeout
    if when == "after_terminal":
        return lw.errors.UnexpectedMessage if how in ("sequence_gap", "wrong_count") else None
    if when == "mid_header":
        # Two bytes of length stand already: what follows is a frame that never ends, or an empty one.
        return lw.RequestTimeout if how in ("garbage", "oversized", "stray_print") else lw.errors.MalformedFrame
    if when in ("handshake", "mid_body"):
        return lw.errors.MalformedFrame
    if when == "spawn" and how in ("sequence_gap", "wrong_count"):
        return lw.errors.UnexpectedMessage
    return BYTES[how]


def timeouts(when, how):
    """Wait briefly for a child that hangs; any other may take its time on a busy machine."""
    hangs = expected(when, how) is lw.RequestTimeout
    at_start = when in ("spawn", "handshake")
    return dataclasses.replace(
        QUICK, startup=0.4 if hangs and at_start else 20, request=0.5 if hangs and not at_start else 20
    )


@pytest.mark.parametrize(("Pool", "when", "how"), CASES, indirect=["Pool"])
def test_a_child_that_fails(Pool, when, how):
    kind = expected(when, how)
    child = scripted(when, how)
    seen = []
    with Pool(timeouts=timeouts(when, how)) as pool:
        if when in ("spawn", "handshake") and kind is not None:
            with pytest.raises(kind) as caught:
                pool.lease(child)
            assert pool.snapshot().ended["start_failed"] == 1
        else:
            with pool.lease(child) as lease:
                if kind is None:
                    assert lease.run(ROWS, on_row=seen.append).total_rows == 4
                else:
                    with pytest.raises(kind) as caught:
                        lease.run(ROWS, on_row=seen.append)
                    assert lease.is_stale
            if when == "after_terminal" and how not in ("sequence_gap", "wrong_count"):
                child.open_gate()
            assert [row.payload["i"] for row in seen] == list(range(ROWS_BEFORE[when] if kind else 4))
            assert pool.snapshot().outcomes == {"ok" if kind is None else kind.__name__: 1}
        if kind is not None:
            check_facts(caught.value, when, how)
        with pool.lease(scripted("never", "exit0")) as lease:
            assert lease.run(ROWS, on_row=seen.append, timeout=20).total_rows == 4


def check_facts(error, when, how):
    started = when not in ("spawn", "handshake")
    if isinstance(error, lw.ProtocolError):
        assert error.side == "remote"
    else:
        assert (error.entered_worker, error.generation) == (started, 0)
    if isinstance(error, lw.ChildExited):
        assert {name: error.facts[name] for name in ("exit_code", "signal")} == EXITS[how]
        assert ("middle of a frame" in error.text) == (when in ("handshake", "mid_header", "mid_body"))
        assert error.cause
    if started:
        assert (error.command, error.rows_delivered) == ("rows", ROWS_BEFORE[when])
        if ROWS_BEFORE[when]:
            assert (error.stream, error.sequence) == ("rows", ROWS_BEFORE[when] - 1)


@pytest.mark.parametrize("how", [*EXITS, "garbage", "oversized", "wrong_version", "stray_print"])
def test_a_worker_that_misbehaves_while_idle_is_not_lent_again(Pool, how):
    child = scripted("after_terminal", how)
    with Pool(timeouts=QUICK) as pool:
        with pool.lease(child) as lease:
            lease.run(ROWS, on_row=lambda row: None)
            child.open_gate()
            worker = lease._core.loan.worker
            wait_until(lambda: worker.is_gone or worker.has_spoken_unasked)
        with pool.lease(child) as lease:
            assert lease._core.loan.worker.generation == 1
        assert pool.snapshot().ended["crashed" if how in EXITS else "protocol"] == 1


def test_what_was_sent_unasked_is_never_taken_for_an_answer(Pool):
    child = scripted("after_terminal", "wrong_version")
    with Pool(timeouts=QUICK) as pool, pool.lease(child) as lease:
        lease.run(ROWS, on_row=lambda row: None)
        child.open_gate()
        worker = lease._core.loan.worker
        wait_until(lambda: worker.has_spoken_unasked)
        with pytest.raises(lw.errors.VersionMismatch) as caught:
            lease.run(ROWS, on_row=lambda row: None)
        assert (caught.value.entered_worker, caught.value.rows_delivered) == (False, 0)


def test_a_worker_that_hangs_after_its_answer(Pool):
    with Pool(timeouts=QUICK) as pool:
        child = scripted("after_terminal", "hang")
        with pool.lease(child) as lease:
            lease.run(ROWS, on_row=lambda row: None)
            child.open_gate()
            with pytest.raises(lw.RequestTimeout):
                lease.run(ROWS, on_row=lambda row: None, timeout=0.4)
        with pool.lease(scripted("never", "exit0")) as lease:
            lease.run(ROWS, on_row=lambda row: None)


# -- the hosts that come with the package --

ECHO = lw.JsonCommand("echo")


@pytest.mark.parametrize("rows", [0, 3])
@pytest.mark.parametrize(
    ("how", "facts"),
    [
        ({"how": "exit", "code": 0}, EXITS["exit0"]),
        ({"how": "exit", "code": 1}, EXITS["exit1"]),
        ({"how": "SIGKILL"}, EXITS["sigkill"]),
        ({"how": "SIGSEGV"}, EXITS["sigsegv"]),
        ({"how": "SIGABRT"}, EXITS["abort"]),
        ({"how": "SIGQUIT"}, {"exit_code": None, "signal": "SIGQUIT"}),
    ],
    ids=lambda value: value.get("how") if isinstance(value, dict) else None,
)
def test_the_python_host_dies(Pool, rows, how, facts):
    seen = []
    with Pool() as pool:
        with pool.lease(FUNCTIONS) as lease, pytest.raises(lw.ChildExited) as caught:
            lease.run(lw.StreamingCommand("die"), {"rows": rows, **how}, on_row=seen.append)
        error = caught.value
        assert {name: error.facts[name] for name in facts} == facts
        assert [row.sequence for row in seen] == list(range(rows))
        assert (error.rows_delivered, error.entered_worker, error.generation) == (rows, True, 0)
        with pool.lease(FUNCTIONS) as lease:
            assert lease.call(ECHO, 1) == 1


FOREVER = lw.StreamingCommand("forever")


@pytest.fixture(scope="module", params=["plain", "forked", "forked and locked in"])
def hosted(request):
    """The capability: its workers are started, or forked from one that has imported, perhaps in a sandbox."""
    if request.param != "forked and locked in":
        return INTEROP if request.param == "plain" else HELD_INTEROP
    capability = dataclasses.replace(HELD_INTEROP, sandbox=lw.Sandbox())
    try:
        with lw.Pool(1) as pool, pool.lease(capability):
            pass
    except lw.CapabilityError as error:
        pytest.skip(f"no sandbox here: {error}")
    return capability


@pytest.fixture(scope="module")
def lean_pool():
    quick = lw.RestartPolicy(max_restarts=None, backoff=0, poison_after=None)
    with lw.Pool(restarts=quick, timeouts=lw.Timeouts(cancel_grace=5)) as pool:
        yield pool


@pytest.fixture
def pool(lean_pool, hosted):
    """Named so that the check for leftovers knows of the warm worker; proves that it goes on serving."""
    if hosted is not INTEROP and CAN_HOLD:
        with lean_pool.lease(hosted) as lease:
            core, key = lean_pool._core, hosted.launch().key()
            wait_until(lambda: core.monitor.call(lambda: core.workers.holders.of(key)), 60)
            if not lease._core.loan.worker.process.is_fork:
                lease.cycle()
                assert lease._core.loan.worker.process.is_fork
    yield lean_pool
    with lean_pool.lease(hosted) as lease:
        assert lease.call(ECHO, 1) == 1


@pytest.mark.lean
@pytest.mark.parametrize("rows", [1, 64])
@pytest.mark.parametrize("name", ["SIGKILL", "SIGSEGV", "SIGABRT", "SIGBUS"])
def test_lean_is_killed_between_rows(pool, hosted, name, rows):
    seen = []
    with pool.lease(hosted) as lease:
        pid = lease._core.loan.worker.pid

        def on_row(row):
            seen.append(row.payload["i"])
            if len(seen) >= rows:
                # Again and again: Lean's own handler lets the first SIGSEGV pass that is no stack overflow.
                send_signal(pid, getattr(signal, name))

        with pytest.raises(lw.ChildExited) as caught:
            lease.run(FOREVER, on_row=on_row, timeout=20)
    error = caught.value
    assert error.signal == name
    assert len(seen) >= rows and seen == list(range(1, len(seen) + 1))
    assert (error.rows_delivered, error.sequence, error.entered_worker) == (len(seen), len(seen) - 1, True)


@pytest.mark.lean
@pytest.mark.parametrize(
    ("command", "request_value", "rows", "kind", "facts"),
    [
        ("lean_rs_interop_consumer_worker_data_stream_panic", None, 0, lw.ChildExited, {"signal": "SIGABRT"}),
        ("lean_rs_interop_consumer_worker_data_stream_row_then_panic", None, 1, lw.ChildExited, {"signal": "SIGABRT"}),
        ("early_exit", 0, 1, lw.ChildExited, {"exit_code": 0}),
        ("early_exit", 7, 1, lw.ChildExited, {"exit_code": 7}),
        ("silent_sleep", 60000, 0, lw.RequestTimeout, {"kind": "request"}),
    ],
)
def test_lean_ends_by_itself_or_not_at_all(pool, hosted, command, request_value, rows, kind, facts):
    seen = []
    with pool.lease(hosted) as lease, pytest.raises(kind) as caught:
        lease.run(
            lw.StreamingCommand(command), request_value, on_row=seen.append, timeout=0.5 if "sleep" in command else 60
        )
    error = caught.value
    assert {name: error.facts[name] for name in facts} == facts
    assert len(seen) == error.rows_delivered == rows
    assert error.entered_worker is True


@pytest.mark.lean
def test_lean_dies_while_idle(pool, hosted):
    with pool.lease(hosted) as lease:
        assert lease.call(ECHO, 1) == 1
        worker = lease._core.loan.worker
        os.kill(worker.pid, signal.SIGKILL)
        wait_until(lambda: worker.is_gone)
        with pytest.raises(lw.errors.StaleLease) as caught:
            lease.call(ECHO, 1)
    assert caught.value.entered_worker is False


@pytest.mark.lean
@pytest.mark.parametrize("name", ["SIGKILL", "SIGABRT"])
def test_lean_dies_before_its_handshake(Pool, name, tmp_path):
    # The start of Lean takes longer than the timer.
    number = int(getattr(signal, name))
    (tmp_path / "sitecustomize.py").write_text(
        f"import os, threading; threading.Timer(0.05, lambda: os.kill(os.getpid(), {number})).start()"
    )
    with Pool() as pool:
        dying = lw.LeanCapability(HOSTS.parent / "lean" / "Interop.lean", toolchain="embedded", env=with_path(tmp_path))
        with pytest.raises(lw.ChildExited) as caught:
            pool.lease(dying)
        assert (caught.value.signal, caught.value.entered_worker) == (name, False)
        with pool.lease(INTEROP) as lease:
            assert lease.call(ECHO, 1) == 1


def with_path(directory):
    return {"PYTHONPATH": os.pathsep.join(filter(None, [str(directory), os.environ.get("PYTHONPATH")]))}
