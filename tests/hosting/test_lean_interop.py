"""Real Lean through pool, lease and typed command: every fixture export, with what it has to give."""

from __future__ import annotations

import threading

import msgspec
import pytest

import lean_worker as lw
from support import INTEROP, TESTS, is_running, send_signal, wait_until

pytestmark = pytest.mark.lean

PREFIX = "lean_rs_interop_consumer_"


class Indexed(msgspec.Struct):
    i: int


class Kind(msgspec.Struct):
    kind: str
    ordinal: int


class Fixture(msgspec.Struct):
    fixture: str
    ok: bool


class Declaration(msgspec.Struct):
    index: int
    name: str
    kind: str


def streaming(name, **types):
    return lw.StreamingCommand(PREFIX + name, **types)


ECHO = lw.JsonCommand("echo")


@pytest.fixture(scope="module")
def pool():
    # About as many workers die here within a minute as a pool allows by itself.
    with lw.Pool(max_workers=1, restarts=lw.RestartPolicy(max_restarts=None)) as pool:
        yield pool


@pytest.fixture
def lease(pool):
    with pool.lease(INTEROP) as lease:
        yield lease


def serves_the_next_request(pool):
    with pool.lease(INTEROP) as lease:
        return lease.call(ECHO, {"q": 1}) == {"q": 1}


# -- streams --


def test_data_stream(lease):
    events = []
    rows = []
    summary = lease.run(
        streaming("worker_data_stream", row=Kind, summary=Fixture),
        {"source": "test"},
        on_row=rows.append,
        on_diagnostic=events.append,
    )
    assert rows == [Kind("request", 0), Kind("done", 1)]
    assert events == [
        lw.events.Diagnostic("lean_rs.worker.fixture.started", "started"),
        lw.events.Diagnostic("lean_rs.worker.fixture.finished", "finished"),
    ]
    assert summary.per_stream_counts == {"rows": 2}
    assert summary.metadata == Fixture("worker_data_stream", True)


def test_data_stream_many(lease):
    done = lease.collect(streaming("worker_data_stream_many", row=Indexed))
    assert done.rows == [Indexed(i) for i in range(512)]
    assert done.summary.total_rows == 512
    assert done.summary.metadata is None


def test_large_payload(lease):
    done = lease.collect(streaming("worker_data_stream_large_payload"))
    assert [row.payload for row in done.rows] == [{"kind": "large", "blob": "x" * 8192}]


@pytest.mark.parametrize("name", ["worker_data_stream_chunked", "worker_data_stream_chunked_completion"])
def test_chunked(lease, name):
    diagnostics, progress, rows = [], [], []
    summary = lease.run(
        streaming(name, row=Kind, summary=Fixture),
        on_row=rows.append,
        on_diagnostic=diagnostics.append,
        on_progress=progress.append,
    )
    assert rows == [Kind("chunk", i) for i in range(6)]
    assert summary.per_stream_counts == {"chunks": 6}
    assert progress == [lw.events.Progress("fixture.chunk", i, 3) for i in (1, 2, 3)]
    assert len(diagnostics) == 2
    assert summary.metadata == Fixture("worker_data_stream_chunks", True)


def test_chunk_error(lease):
    diagnostics = []
    with pytest.raises(lw.CommandFailed) as caught:
        lease.run(
            streaming("worker_data_stream_chunk_error"), on_row=lambda row: None, on_diagnostic=diagnostics.append
        )
    assert caught.value.status == 10
    assert caught.value.rows_delivered == 2
    assert diagnostics[-1].code == "lean_rs.worker.stream.chunk_error"
    assert lease.call(ECHO, 1) == 1


def test_a_row_is_here_before_lean_goes_on(lease):
    """Lean sleeps a minute after its first row; seeing that row and leaving proves that it did not wait."""
    with lease.stream(streaming("worker_data_stream_slow_after_row"), 60_000) as rows:
        assert next(rows).payload == {"kind": "before-timeout"}


def test_slow_after_row_ends_in_time(pool):
    with pool.lease(INTEROP) as lease:
        done = lease.collect(streaming("worker_data_stream_slow_after_row"), 200)
    assert done.summary.total_rows == 1
    assert done.summary.elapsed_us >= 200_000


@pytest.mark.parametrize(
    "name",
    [
        "worker_data_stream_slow_after_row",
        "worker_shape_timeout_after_row",
        "worker_shape_mathlib_scale_timeout_after_row",
    ],
)
def test_a_deadline_within_lean(pool, name):
    with pool.lease(INTEROP) as lease:
        with pytest.raises(lw.RequestTimeout) as caught:
            lease.run(streaming(name), 60_000, on_row=lambda row: None, timeout=0.6)
        assert caught.value.rows_delivered == 1
    assert serves_the_next_request(pool)


# -- what Lean code does wrong --


def test_malformed_row(lease):
    with pytest.raises(lw.errors.RowMalformed, match="not-json"):
        lease.run(streaming("worker_data_stream_malformed_json"), on_row=lambda row: None)
    assert lease.call(ECHO, 1) == 1


def test_missing_stream_name(lease):
    with pytest.raises(lw.errors.RowMalformed, match="stream name is empty"):
        lease.run(streaming("worker_data_stream_missing_stream"), on_row=lambda row: None)


def test_missing_payload(lease):
    with pytest.raises(lw.errors.RowMalformed, match="row payload is not valid JSON"):
        lease.run(streaming("worker_data_stream_missing_payload"), on_row=lambda row: None)


def test_row_of_the_wrong_shape(lease):
    with pytest.raises(lw.DecodeError) as caught:
        lease.run(streaming("worker_data_stream_wrong_shape", row=Indexed), on_row=lambda row: None)
    error = caught.value
    assert (error.command, error.stream) == (PREFIX + "worker_data_stream_wrong_shape", "rows")
    assert error.path.startswith("$")
    assert not lease.is_stale


def test_status(lease):
    with pytest.raises(lw.CommandFailed) as caught:
        lease.run(streaming("worker_data_stream_status"), on_row=lambda row: None)
    assert caught.value.status == 7


@pytest.mark.parametrize(
    ("name", "delivered"),
    [
        ("worker_data_stream_panic", 0),
        ("worker_data_stream_row_then_panic", 1),
        ("worker_data_stream_many_then_panic", 128),
        ("worker_shape_panic_after_row", 1),
        ("worker_shape_mathlib_scale_panic_after_row", 1),
    ],
)
def test_panic_delivers_every_row_before_it(pool, name, delivered):
    rows = []
    with pool.lease(INTEROP) as lease:
        with pytest.raises(lw.ChildExited) as caught:
            lease.run(streaming(name), on_row=rows.append)
        error = caught.value
        assert len(rows) == error.rows_delivered == delivered
        assert error.signal == "SIGABRT"
        assert "panic" in error.cause
        assert "PANIC" in error.stderr_tail.upper()
        with pytest.raises(lw.errors.StaleLease, match="SIGABRT"):
            lease.call(ECHO, 1)
    assert serves_the_next_request(pool)


@pytest.mark.once
def test_endless_recursion(pool):
    rows = []
    with pool.lease(INTEROP) as lease, pytest.raises(lw.ChildExited) as caught:
        lease.run(lw.StreamingCommand("endless_recursion"), on_row=rows.append, timeout=60)
    assert len(rows) == caught.value.rows_delivered
    # The words for it went by a million lines before the tail that is kept.
    assert "stack overflow" in caught.value.cause
    assert "recursion was detected" not in caught.value.stderr_tail
    assert len(caught.value.stderr_tail) <= 65_536
    assert serves_the_next_request(pool)


def test_early_exit(pool):
    with pool.lease(INTEROP) as lease, pytest.raises(lw.ChildExited) as caught:
        lease.run(lw.StreamingCommand("early_exit"), on_row=lambda row: None)
    assert caught.value.exit_code == 0
    assert serves_the_next_request(pool)


def test_unknown_command(lease):
    with pytest.raises(lw.errors.UnknownCommand, match="no_such"):
        lease.call(lw.JsonCommand("no_such"))


def test_rows_outside_a_stream_are_refused(lease):
    with pytest.raises(lw.CommandFailed, match="stream"):
        lease.call(lw.JsonCommand(PREFIX + "worker_data_stream_many"))
    assert lease.call(ECHO, 1) == 1


def test_stray_prints(lease):
    assert lease.collect(lw.StreamingCommand("stray_print")).summary.total_rows >= 1


# -- other commands --


def test_json_command(lease):
    assert lease.call(lw.JsonCommand(PREFIX + "worker_json_command")) == {"accepted": True, "kind": "fixture"}
    with pytest.raises(lw.DecodeError, match="response"):
        lease.call(lw.JsonCommand(PREFIX + "worker_json_command_malformed"))


def test_metadata_and_doctor(lease):
    metadata = lease.metadata(PREFIX + "worker_metadata")
    assert len(metadata.commands) == 2 and len(metadata.capabilities) == 2
    assert [finding.severity for finding in lease.doctor(PREFIX + "worker_doctor").diagnostics] == [
        "pass",
        "warning",
        "error",
    ]
    with pytest.raises(lw.CommandFailed) as caught:
        lease.metadata(PREFIX + "worker_metadata_malformed")
    assert caught.value.code == "lean_worker.metadata_malformed"
    with pytest.raises(lw.CommandFailed) as caught:
        lease.doctor(PREFIX + "worker_doctor_malformed")
    assert caught.value.code == "lean_worker.doctor_malformed"


@pytest.mark.parametrize(("name", "rows"), [("extract", 2), ("features", 2), ("index", 4), ("probe", 1)])
def test_shape_streams(lease, name, rows):
    diagnostics = []
    done = lease.collect(streaming(f"worker_shape_{name}"), on_diagnostic=diagnostics.append)
    assert done.summary.total_rows == rows
    assert done.summary.metadata == {"fixture": "lean-dup-shaped", "command": name, "ok": True, "rows": rows}
    assert len(diagnostics) == 2


def test_mathlib_scale_index(lease):
    progress = []
    done = lease.collect(streaming("worker_shape_mathlib_scale_index"), on_progress=progress.append)
    assert done.summary.per_stream_counts == {"declarations": 16, "features": 16, "probes": 15}
    assert done.summary.metadata["rows"] == 47 and done.summary.metadata["modules"] == 16
    assert [tick.current for tick in progress] == [1, 2, 3, 4]


@pytest.mark.parametrize("name", ["version", "doctor", "metadata"])
def test_shape_facts(lease, name):
    assert lease.call(lw.JsonCommand(PREFIX + f"worker_shape_{name}"))


def test_unicode_and_escapes_survive_lean(lease):
    value = {"text": 'π "quoted" \\ \n \t \u0001 🎲', "big": 10**40}
    assert lease.call(ECHO, value) == value


# -- many rows, threads, cancelling --


def test_rows_from_lean_threads(lease):
    done = lease.collect(lw.StreamingCommand("tasks"))
    sequences = {}
    for row in done.rows:
        sequences.setdefault(row.stream, []).append(row.sequence)
    assert all(numbers == list(range(len(numbers))) for numbers in sequences.values())
    assert done.summary.total_rows == len(done.rows) > 1


def test_declarations(lease):
    count = 0

    def on_row(row):
        nonlocal count
        assert row.index == count
        count += 1

    summary = lease.run(lw.StreamingCommand("declarations", row=Declaration), on_row=on_row)
    assert count == summary.total_rows == 200_000


def test_cancel_keeps_the_session_warm(lease):
    seen = []
    token = lw.CancelToken()

    def on_row(row):
        seen.append(row.sequence)
        if row.sequence == 99:
            token.cancel()

    with pytest.raises(lw.Cancelled) as caught:
        lease.run(lw.StreamingCommand("forever"), on_row=on_row, cancel=token)
    assert seen == list(range(100))
    assert caught.value.rows_delivered == 100
    assert lease.call(ECHO, "warm") == "warm"
    assert not lease.is_stale


def test_cancel_of_a_silent_lean(pool):
    token = lw.CancelToken()
    with lw.Pool(timeouts=lw.Timeouts(cancel_grace=0.1)) as own, own.lease(INTEROP) as lease:
        assert lease.call(ECHO, 1) == 1
        timer = threading.Timer(0.05, token.cancel)
        timer.start()
        with pytest.raises(lw.Cancelled):
            lease.run(lw.StreamingCommand("silent_sleep"), on_row=lambda row: None, cancel=token, timeout=30)
        timer.join()
        assert lease.is_stale


# -- start-up --


@pytest.mark.parametrize(
    ("script", "words"),
    [("DoesNotCompile.lean", "error"), ("NoServe.lean", "serve")],
)
def test_a_script_that_cannot_be_hosted(pool, script, words):
    with pytest.raises(lw.CapabilityError, match=words) as caught, lw.Pool() as own:
        own.lease(lw.LeanCapability(TESTS / "lean" / script, toolchain="embedded"))
    assert script in str(caught.value)


def test_a_missing_script():
    with lw.Pool() as pool, pytest.raises(lw.CapabilityError, match="no/such/Script.lean: No such file"):
        pool.lease(lw.LeanCapability("no/such/Script.lean"))


def test_a_missing_toolchain(tmp_path):
    with lw.Pool() as pool, pytest.raises(lw.CapabilityError, match="has no lib/lean"):
        pool.lease(lw.LeanCapability(TESTS / "lean" / "Interop.lean", toolchain=tmp_path))


def test_changed_script_gets_a_new_worker(pool, tmp_path):
    text = (TESTS / "lean" / "Interop.lean").read_text()
    script = tmp_path / "Interop.lean"
    script.write_text(text)
    capability = lw.LeanCapability(script, toolchain="embedded")
    key = capability.launch().key()
    script.write_text(text + "\n")
    assert capability.launch().key() != key


def test_two_workers_at_once():
    with lw.Pool(max_workers=2) as pool, pool.lease(INTEROP) as one, pool.lease(INTEROP) as two:
        with one.stream(lw.StreamingCommand("forever")) as left, two.stream(lw.StreamingCommand("forever")) as right:
            assert [next(left).sequence, next(right).sequence, next(left).sequence] == [0, 0, 1]


def test_lean_ends_when_killed(pool):
    with pool.lease(INTEROP) as lease:
        pid = lease._core.loan.worker.pid
        with pytest.raises(lw.ChildExited, match="SIGKILL"):
            lease.run(lw.StreamingCommand("forever"), on_row=lambda row: send_signal(pid, 9))
    wait_until(lambda: not is_running(pid))
    assert serves_the_next_request(pool)
