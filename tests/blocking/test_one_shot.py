"""One request without a lease of one's own, what objects say of themselves, and whose fault a failure is said to be."""

from __future__ import annotations

import inspect

import pytest

import lean_worker as lw
from support import FUNCTIONS, INTEROP

ECHO = lw.JsonCommand("echo")
ROWS = lw.StreamingCommand("rows", row=dict)
CRASH = lw.JsonCommand("shout")
HOSTED = """
import os, sys
def shout(request):
    print(request["say"], file=sys.stderr, flush=True)
    if request["end"]:
        os._exit(3)
COMMANDS = {"shout": shout}
"""


def test_one_request_gives_its_worker_back(Pool):
    with Pool(1) as pool:
        for number in range(3):
            assert pool.call(FUNCTIONS, ECHO, {"n": number}) == {"n": number}
            assert len(pool.collect(FUNCTIONS, ROWS, {"count": number}).rows) == number
        with pytest.raises(lw.CommandFailed):
            pool.call(FUNCTIONS, lw.JsonCommand("fail"))
        snapshot = pool.snapshot()
        assert (snapshot.started, snapshot.leased, snapshot.requests) == (1, 0, 7)
        with pool.lease(FUNCTIONS), pytest.raises(lw.errors.PoolFull):
            pool.call(FUNCTIONS, ECHO, 1, lease_timeout=0)


def test_one_request_heeds_its_token_and_its_kind(Pool):
    token = lw.CancelToken()
    token.cancel()
    with Pool(1) as pool:
        with pytest.raises(lw.Cancelled):
            pool.call(FUNCTIONS, ECHO, 1, cancel=token)
        with pytest.raises(lw.UsageError, match="JsonCommand"):
            pool.call(FUNCTIONS, ROWS)
        with pytest.raises(lw.UsageError, match="StreamingCommand"):
            pool.collect(FUNCTIONS, ECHO)
        assert pool.snapshot().started == 0


@pytest.mark.parametrize("name", ["call", "collect", "lease", "prewarm", "map", "stream_many", "snapshot", "close"])
def test_both_pools_take_the_same_arguments(name):
    ours, theirs = (inspect.signature(getattr(kind, name)).parameters for kind in (lw.Pool, lw.AsyncPool))
    assert list(ours) == list(theirs)
    assert [each.default for each in ours.values()] == [each.default for each in theirs.values()]


@pytest.mark.parametrize("name", ["call", "collect", "stream", "run", "metadata", "doctor", "release"])
def test_both_leases_take_the_same_arguments(name):
    ours, theirs = (inspect.signature(getattr(kind, name)).parameters for kind in (lw.Lease, lw.aio.AsyncLease))
    assert list(ours) == list(theirs)
    assert [each.default for each in ours.values()] == [each.default for each in theirs.values()]


def test_the_default_number_of_workers_is_told_first():
    default = inspect.signature(lw.Pool).parameters["max_workers"].default
    for kind in (lw.Pool, lw.AsyncPool):
        assert f"({default} by default)" in kind.__doc__.splitlines()[0]


def test_objects_say_what_they_are_and_how_they_stand():
    pool = lw.Pool(2)
    with pool:
        with pool.lease(FUNCTIONS) as lease:
            assert repr(pool) == "<Pool of at most 2 workers: 1 leased, 0 idle>"
            assert "functions:COMMANDS" in repr(lease) and repr(lease).endswith("worker 0: free>")
            with lease.stream(ROWS, {"count": 2}) as rows:
                next(rows)
                assert repr(rows) == "<RowStream of rows: open, 1 row>"
                assert repr(lease).endswith("running rows>")
                list(rows)
            assert repr(rows) == "<RowStream of rows: complete, 2 rows>"
        assert repr(lease).endswith(": released>")
    assert repr(pool) == "<Pool of at most 2 workers: closed>"


@pytest.mark.parametrize(
    ("capability", "has"),
    [
        (FUNCTIONS, "echo"),
        (lw.LinesCapability({"listed": ["true"]}), "listed"),
        pytest.param(INTEROP, "lean_rs_interop_consumer_worker_data_stream", marks=pytest.mark.lean),
    ],
    ids=["functions", "lines", "lean"],
)
def test_an_unknown_command_is_told_which_there_are(capability, has):
    with lw.Pool(1) as pool, pytest.raises(lw.errors.UnknownCommand, match=has) as raised:
        pool.call(capability, lw.JsonCommand("no such command"))
    assert has in raised.value.commands


def test_a_failure_of_a_function_says_where():
    with lw.Pool(1) as pool, pytest.raises(lw.CommandFailed) as raised:
        pool.call(FUNCTIONS, lw.JsonCommand("fail"))
    error = raised.value
    assert "functions.py" in error.traceback and "in fail" in error.traceback
    assert error.traceback.strip().splitlines()[-1] in str(error)


def test_a_call_of_the_wrong_kind_is_not_blamed_on_the_hosted_code():
    with lw.Pool(1) as pool:
        with pytest.raises(lw.CommandFailed, match="run it as a JSON command") as raised:
            pool.collect(FUNCTIONS, lw.StreamingCommand("echo"))
        assert "the hosted code failed" not in str(raised.value) and raised.value.traceback is None
        with pytest.raises(lw.CommandFailed, match="run it as a streaming command"):
            pool.call(FUNCTIONS, lw.JsonCommand("rows"), {"count": 1})
        words = lw.LinesCapability({"say": ["echo"]}, request="arguments")
        with pytest.raises(lw.DecodeError, match="the request does not fit"):
            pool.collect(words, lw.StreamingCommand("say"), {"not": "a list"})


def test_the_stderr_of_another_request_is_not_shown(tmp_path):
    (tmp_path / "hosted.py").write_text(HOSTED)
    with lw.Pool(1) as pool, pool.lease(lw.PythonCapability("hosted:COMMANDS", path=[tmp_path])) as lease:
        for number in range(3):
            lease.call(CRASH, {"say": f"earlier {number}", "end": False})
        with pytest.raises(lw.ChildExited) as raised:
            lease.call(CRASH, {"say": "the last words", "end": True})
    assert raised.value.stderr_tail.strip() == "the last words"


ANSWERS = """prelude
import LeanWorker
open LeanWorker

def answers : Command where
  name := "answers"
  run request := return request

def silent : Command where
  name := "silent"
  run _request := return ""

def empty : Command where
  name := "empty"
  run _request := return "{\\"n\\":0}"
  emits := Bool.true

def main : IO Unit := serve (List.cons answers (List.cons silent (List.cons empty List.nil)))
"""


@pytest.mark.lean
def test_a_lean_command_that_answers_is_no_stream_without_rows(tmp_path):
    script = tmp_path / "answers.lean"
    script.write_text(ANSWERS)
    with lw.Pool(1) as pool, pool.lease(lw.LeanCapability(script, toolchain="embedded")) as lease:
        for answer in ({"n": 1}, None, 0, "", [], {}, False):
            with pytest.raises(lw.CommandFailed, match="run it as a JSON command"):
                lease.collect(lw.StreamingCommand("answers"), answer)
            assert lease.call(lw.JsonCommand("answers"), answer) == answer
        assert lease.collect(lw.StreamingCommand("silent")).rows == []
        assert lease.collect(lw.StreamingCommand("empty")).summary.metadata == {"n": 0}
