"""The Lean host as a real process, driven through raw frames: what a script emits, and how it can end."""

from __future__ import annotations

import json
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lean_worker.wire.frames import Row
from raw_child import Child, starter
from support import SANITIZED

pytestmark = pytest.mark.lean

PREFIX = "lean_rs_interop_consumer_worker_"


@pytest.fixture(scope="module")
def child() -> Iterator[Child]:
    """A warm worker that serves the fixture script to every test that leaves it alive."""
    warm = Child().greet()
    yield warm
    warm.send("request", op="terminate")
    assert warm.finish() == ([], [], {"status": "terminating"})
    assert warm.end()[0] == 0


@pytest.fixture
def start() -> Iterator[Callable[..., Child]]:
    """Starts workers that the test may ruin."""
    with starter() as start:
        yield start


def payloads(rows: list[Row]) -> list[object]:
    return [json.loads(row.payload) for row in rows]


def assert_gapless(rows: list[Row]) -> None:
    expected: Counter[str] = Counter()
    for row in rows:
        assert row.sequence == expected[row.stream]
        expected[row.stream] += 1


def test_a_worker_keeps_no_huge_pages(child: Child) -> None:
    """Lean's allocator asks for them where the system leaves the choice; they were a third of an idle worker's memory."""
    smaps = Path(f"/proc/{child.process.pid}/smaps_rollup")
    if not smaps.exists():
        pytest.skip("only Linux tells")
    (size,) = (line.split()[1] for line in smaps.read_text().splitlines() if line.startswith("AnonHugePages:"))
    assert int(size) == 0


# -- what a script emits --


def test_rows_diagnostics_and_metadata_arrive_in_order(child: Child) -> None:
    rows, events, response = child.run(PREFIX + "data_stream")
    assert payloads(rows) == [{"kind": "request", "ordinal": 0}, {"kind": "done", "ordinal": 1}]
    assert [json.loads(event.body)["code"] for event in events] == [
        "lean_rs.worker.fixture.started",
        "lean_rs.worker.fixture.finished",
    ]
    assert response is not None
    assert response["summary"]["metadata"] == {"fixture": "worker_data_stream", "ok": True}


def test_512_rows(child: Child) -> None:
    rows, events, response = child.run(PREFIX + "data_stream_many")
    assert [row.payload for row in rows] == [b'{"i":%d}' % i for i in range(512)]
    assert_gapless(rows)
    assert events == [] and response is not None
    assert response["summary"]["total_rows"] == 512
    assert response["summary"]["metadata"] is None


def test_a_row_of_eight_kibibytes(child: Child) -> None:
    rows, _, _ = child.run(PREFIX + "data_stream_large_payload")
    assert payloads(rows) == [{"kind": "large", "blob": "x" * 8192}]


@pytest.mark.parametrize("name", ["data_stream_chunked", "data_stream_chunked_completion"])
def test_progress_arrives_between_the_rows_it_belongs_to(child: Child, name: str) -> None:
    rows, events, _ = child.run(PREFIX + name)
    assert payloads(rows) == [{"kind": "chunk", "ordinal": i} for i in range(6)]
    ticks = [json.loads(event.body) for event in events if event.type == "progress_tick"]
    assert ticks == [{"phase": "fixture.chunk", "current": i, "total": 3} for i in (1, 2, 3)]


def test_rows_on_several_streams_are_counted_apart(child: Child) -> None:
    rows, _, response = child.run(PREFIX + "shape_mathlib_scale_index")
    assert len(rows) == 47 and response is not None
    assert_gapless(rows)
    assert response["summary"]["per_stream_counts"] == {"declarations": 16, "features": 16, "probes": 15}


@pytest.mark.parametrize(("name", "count"), [("extract", 2), ("features", 2), ("index", 4), ("probe", 1)])
def test_the_six_command_tool_streams(child: Child, name: str, count: int) -> None:
    rows, events, response = child.run(PREFIX + "shape_" + name)
    assert len(rows) == count and len(events) == 2 and response is not None
    assert response["summary"]["metadata"] == {
        "fixture": "lean-dup-shaped",
        "command": name,
        "ok": True,
        "rows": count,
    }


def test_200000_rows(child: Child) -> None:
    rows, _, response = child.run("declarations", "200000")
    assert len(rows) == 200_000 and response is not None
    assert rows[-1].payload == b'{"index":199999,"name":"Nat.add_comm","kind":"theorem"}'
    assert_gapless(rows)


def test_rows_from_four_lean_threads_are_whole_and_gapless(child: Child) -> None:
    rows, _, response = child.run("tasks", "5000")
    assert response is not None and response["status"] == "stream_complete"
    assert response["summary"]["per_stream_counts"] == {"shared": 20000, **{f"task_{i}": 5000 for i in (1, 2, 3, 4)}}
    assert_gapless(rows)
    shared = [json.loads(row.payload) for row in rows if row.stream == "shared"]
    for task in (1, 2, 3, 4):
        assert [row["i"] for row in shared if row["task"] == task] == list(range(5000))


def test_stray_prints_go_to_stderr_and_not_into_the_rows(child: Child) -> None:
    rows, _, response = child.run("stray_print")
    assert payloads(rows) == [{"kind": "between-prints"}]
    assert response is not None and response["status"] == "stream_complete"
    deadline = time.monotonic() + 10
    while b"a stray line after the row" not in child.stderr:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_commands_that_answer_a_text(child: Child) -> None:
    answer = child.run(PREFIX + "json_command", op="json_command")[2]
    assert answer == {"status": "json_command", "response_json": '{"accepted":true,"kind":"fixture"}'}
    metadata = child.run(PREFIX + "metadata", op="capability_metadata")[2]
    assert metadata is not None and [entry["name"] for entry in metadata["metadata"]["commands"]] == ["version", "scan"]
    doctor = child.run(PREFIX + "doctor", op="capability_doctor")[2]
    assert doctor is not None
    assert [entry["severity"] for entry in doctor["report"]["diagnostics"]] == ["pass", "warning", "error"]
    malformed = child.run(PREFIX + "metadata_malformed", op="capability_metadata")[2]
    assert malformed is not None and malformed["status"] == "capability_metadata_malformed"


@pytest.mark.parametrize("text", ["", "null", '{"ä":"∀ x, \\u2203 y \\" \U0001d54f"}', "\0 inside", "x" * 200_000])
def test_a_request_text_comes_back_unchanged(child: Child, text: str) -> None:
    answer = child.run("echo", text, op="json_command")[2]
    assert answer == {"status": "json_command", "response_json": text}


def test_many_commands_in_a_row_keep_the_session_and_its_stack(child: Child) -> None:
    for i in range(20_000):
        assert child.run("echo", str(i), op="json_command")[2] == {"status": "json_command", "response_json": str(i)}


# -- refusals that the session survives --


@pytest.mark.parametrize(
    ("name", "rows_before", "expected"),
    [
        ("data_stream_status", 0, {"status": "stream_export_failed", "status_byte": 7}),
        ("data_stream_chunk_error", 2, {"status": "stream_export_failed", "status_byte": 10}),
        ("data_stream_missing_stream", 0, {"status": "stream_row_malformed", "message": "row stream name is empty"}),
        (
            "data_stream_malformed_json",
            0,
            {
                "status": "stream_row_malformed",
                "message": "row payload is not valid JSON: stream 'rows', sequence 0, starts with '{not-json'",
            },
        ),
        (
            "data_stream_missing_payload",
            0,
            {
                "status": "stream_row_malformed",
                "message": "row payload is not valid JSON: stream 'rows', sequence 0, starts with ''",
            },
        ),
    ],
)
def test_a_refused_stream_says_why_and_the_next_one_works(
    child: Child, name: str, rows_before: int, expected: dict
) -> None:
    rows, _, response = child.run(PREFIX + name)
    assert len(rows) == rows_before
    assert response == expected
    assert len(child.run(PREFIX + "data_stream_many")[0]) == 512


def test_a_script_that_swallows_a_refusal_does_not_make_the_stream_whole(child: Child) -> None:
    response = child.run("swallow_refusal")[2]
    assert response is not None and response["status"] == "stream_row_malformed"


def test_an_error_thrown_by_a_command_is_its_answer(child: Child) -> None:
    expected = {"status": "error", "code": "lean_worker.command_failed", "message": "no such thing: ∀"}
    assert child.run("refuse", "no such thing: ∀")[2] == expected
    assert child.run("refuse", "no such thing: ∀", op="json_command")[2] == expected


def test_a_row_outside_a_stream_is_refused(child: Child) -> None:
    response = child.run(PREFIX + "data_stream_many", op="json_command")[2]
    assert response is not None and response["status"] == "error"
    said = "rows can be emitted only while a streaming command runs: run it with stream, collect or run"
    assert response["message"] == said


@pytest.mark.parametrize(
    ("request_text", "message"),
    [
        ("diagnostic", "diagnostic refused: its name is empty"),
        ("progress", "progress refused: its name is empty"),
        ("large", "progress refused: a figure is too large"),
    ],
)
def test_an_event_that_cannot_be_sent_fails_its_command(child: Child, request_text: str, message: str) -> None:
    expected = {"status": "error", "code": "lean_worker.command_failed", "message": message}
    assert child.run("bad_events", request_text)[2] == expected
    assert child.run("bad_events", request_text, op="json_command")[2] == expected


@pytest.mark.parametrize("status", [1, 255])
def test_a_status_reaches_the_caller(child: Child, status: int) -> None:
    assert child.run("status", str(status))[2] == {"status": "stream_export_failed", "status_byte": status}
    words = f"the command ended with status {status}"
    expected = {"status": "error", "code": "lean_worker.command_failed", "message": words}
    assert child.run("status", str(status), op="json_command")[2] == expected


@pytest.mark.parametrize("status", [0, 256, 1 << 70])
def test_a_status_out_of_range_is_told(child: Child, status: int) -> None:
    response = child.run("status", str(status))[2]
    assert response is not None
    assert response["message"] == "a command's status has to be a number from 1 to 255"


def test_an_unknown_name_is_told(child: Child) -> None:
    response = child.run("no.such.command")[2]
    assert response is not None
    assert response["code"] == "lean_rs.worker.checked_binding" and "no.such.command" in response["message"]


def test_a_cancelled_stream_ends_at_its_next_row_and_the_session_lives_on(child: Child) -> None:
    child.begin("forever")
    assert isinstance(child.receive(), Row)
    child.send("cancel")
    rows, _, response = child.finish()
    assert response == {"status": "error", "code": "lean_rs.cancelled", "message": "cancelled by the caller"}
    assert len(child.run(PREFIX + "data_stream_many")[0]) == 512


# -- memory --


def rss_kib(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0])


@pytest.mark.parametrize("command", ["same_strings", "declarations"])
def test_a_million_rows_leave_no_object_behind_and_free_none_twice(child: Child, command: str) -> None:
    def drain(count: int) -> None:
        child.begin(command, str(count))
        expected = 0
        while isinstance(item := child.receive(), Row):
            assert item.sequence == expected
            expected += 1
        assert expected == count and item is not None and b"stream_complete" in item.body

    drain(100_000)
    before = rss_kib(child.process.pid)
    drain(1_000_000)
    # A lost string or result of one row is 24 bytes or more: 23 MiB over the million.
    assert rss_kib(child.process.pid) - before < 8 * 1024


def test_a_million_texts_in_and_out_leave_nothing_behind(child: Child) -> None:
    text = "x" * 100_000
    for _ in range(50):
        child.run("echo", text, op="json_command")
    before = rss_kib(child.process.pid)
    for i in range(500):
        child.run("echo" if i % 2 else "refuse", text, op="json_command")
    assert SANITIZED or rss_kib(child.process.pid) - before < 16 * 1024


# -- ends --


@pytest.mark.parametrize(
    ("name", "rows_before"),
    [("data_stream_panic", 0), ("data_stream_row_then_panic", 1), ("data_stream_many_then_panic", 128)],
)
def test_a_panic_ends_the_process_after_the_rows_before_it(
    start: Callable[..., Child], name: str, rows_before: int
) -> None:
    ruined = start().greet()
    rows, _, response = ruined.run(PREFIX + name)
    assert len(rows) == rows_before and response is None
    code, said = ruined.end()
    assert code == -signal.SIGABRT
    assert "fixture panic" in said.splitlines()[-1]


@pytest.mark.once
def test_endless_recursion_ends_the_process_and_its_flood_of_words_is_drained(start: Callable[..., Child]) -> None:
    ruined = start().greet()
    rows, events, response = ruined.run("endless_recursion")
    assert payloads(rows) == [{"kind": "before-recursion"}]
    assert response is None or response["status"] == "error"
    if response is None:
        code, said = ruined.end(timeout=120)
        assert code != 0
        assert said


@pytest.mark.parametrize("code", [0, 3])
def test_an_exit_in_the_middle_of_a_command(start: Callable[..., Child], code: int) -> None:
    ruined = start().greet()
    rows, _, response = ruined.run("early_exit", str(code))
    assert len(rows) == 1 and response is None
    assert ruined.end()[0] == code


def test_a_lost_parent_ends_a_command_that_says_nothing(start: Callable[..., Child]) -> None:
    left = start().greet()
    left.begin("silent_sleep")
    assert left.process.stdin is not None
    left.process.stdin.close()
    left.process.wait(10)
