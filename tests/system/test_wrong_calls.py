"""Wrong calls of the public API: each raises `UsageError` at the call, with what was expected, what came, and a hint."""

from __future__ import annotations

import dataclasses
import enum

import pydantic
import pytest

import lean_worker as lw
from support import FUNCTIONS
from wrong_calls import COUNT, ECHO, ECHO_NEEDS, GROUPS, NEVER_RUN, aleased, apooled, leased, pooled


@pytest.fixture(scope="module")
def pool():
    """One pool for all, so that the cases with a lease share its worker."""
    with lw.Pool(2) as pool:
        yield pool


def complaint(call, pool):
    """Return the fault of the error of a wrong call; None if it has none."""
    try:
        call(pool)
    except lw.UsageError as error:
        if not error.hint or not error.hint.endswith((".", ")")):
            return f"the hint is {error.hint!r}: {error.text}"
        return None if ": " in error.text and "\n" not in error.text else f"the text is {error.text!r}"
    except Exception as error:
        return f"raised {error!r}"
    return "raised nothing"


def with_each(name, call):
    """A call with each kind of function whose body never runs as the callback of that name."""
    return {
        f"{name}={kind}": lambda *own, function=function: call(*own, function) for kind, function in NEVER_RUN.items()
    }


NEVER_RUN_CALLS = {
    "plain": {
        **with_each("CallableSink(on_row", lambda pool, f: lw.sinks.CallableSink(f)),
        **with_each("CallableSink(commit", lambda pool, f: lw.sinks.CallableSink(print, commit=f)),
        **with_each("CallableSink(abort", lambda pool, f: lw.sinks.CallableSink(print, abort=f)),
        **with_each("Pool(on_event", lambda pool, f: lw.Pool(on_event=f)),
        **with_each("AsyncPool(on_stderr", lambda pool, f: lw.AsyncPool(on_stderr=f)),
        **with_each("check(on_message", lambda pool, f: lw.check([], on_message=f)),
        **with_each("on_build", lambda pool, f: lw.LeanCapability("x.lean", on_build=f)),
        **with_each("Job.run(on_done", lambda pool, f: lw.Job("x", COUNT, FUNCTIONS).run(pool, [1], on_done=f)),
        **with_each("plan(request", lambda pool, f: lw.projects.plan_items([1], capability=FUNCTIONS, request=f)),
    },
    **{
        group: {
            name: kind(call)
            for name, call in {
                **with_each("map(timeout", lambda p, f: p.map(ECHO, [1], capability=FUNCTIONS, timeout=f)),
                **with_each("map(on_done", lambda p, f: p.map(ECHO, [1], capability=FUNCTIONS, on_done=f)),
                **with_each("many(on_row", lambda p, f: p.stream_many(COUNT, [1], capability=FUNCTIONS, on_row=f)),
                **with_each("many(sink", lambda p, f: p.stream_many(COUNT, [1], capability=FUNCTIONS, sink=f)),
            }.items()
        }
        for group, kind in {"Pool": pooled, "AsyncPool": apooled}.items()
    },
    "Lease": {
        name: leased(call)
        for name, call in {
            **with_each("run(on_row", lambda at, f: at.run(COUNT, on_row=f)),
            **with_each("run(sink", lambda at, f: at.run(COUNT, sink=f)),
            **with_each("run(sink={}", lambda at, f: at.run(COUNT, sink={"rows": f})),
            **with_each("call(on_progress", lambda at, f: at.call(ECHO, 1, on_progress=f)),
            **with_each("stream(on_diagnostic", lambda at, f: at.stream(COUNT, on_diagnostic=f)),
        }.items()
    },
    "AsyncLease": {
        name: aleased(call)
        for name, call in {
            **with_each("run(sink", lambda at, f: at.run(COUNT, sink=f)),
            **with_each("run(sink={}", lambda at, f: at.run(COUNT, sink={"rows": f})),
            **with_each("call(on_progress", lambda at, f: at.call(ECHO, 1, on_progress=f)),
            **with_each("stream(on_diagnostic", lambda at, f: at.stream(COUNT, on_diagnostic=f)),
        }.items()
    },
}


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize("group", NEVER_RUN_CALLS)
def test_a_callback_whose_body_would_never_run_is_refused(group, pool, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    complaints = {name: complaint(call, pool) for name, call in NEVER_RUN_CALLS[group].items()}
    assert {name: each for name, each in complaints.items() if each is not None} == {}
    assert list(tmp_path.iterdir()) == []


@pytest.mark.filterwarnings("error::RuntimeWarning")
@pytest.mark.parametrize("group", GROUPS)
def test_a_wrong_call_says_at_once_what_to_do(group, pool, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    complaints = {}
    for name, call in GROUPS[group].items():
        complaints[name] = complaint(call, pool)
        if left := list(tmp_path.iterdir()):
            complaints[name] = f"left {left}"
            break
    assert {name: each for name, each in complaints.items() if each is not None} == {}


def test_a_missing_request_starts_no_worker_and_an_optional_one_may_be_missing():
    class Optional(pydantic.BaseModel):
        n: int

    with lw.Pool() as pool:
        for kind in (int, list[int], dict, Optional, bytes):
            command = dataclasses.replace(ECHO, request=kind)
            with pytest.raises(lw.UsageError, match="expected a request of type .*, got None"):
                pool.call(FUNCTIONS, command)
        assert pool.snapshot().started == 0
        (outcome,) = pool.map(ECHO_NEEDS, [None], capability=FUNCTIONS)
        assert isinstance(outcome.error, lw.UsageError)
        for kind in (None, int | None, Optional | None, type(None)):
            assert pool.call(FUNCTIONS, dataclasses.replace(ECHO, request=kind)) is None


@pytest.mark.parametrize("wrap", [pooled, apooled])
def test_a_capability_that_was_forgotten_or_comes_second_is_what_the_error_is_about(wrap):
    with lw.Pool() as pool:
        for method, command in (("call", ECHO), ("collect", COUNT)):
            for given in ((command, 1), (command, FUNCTIONS, 1)):
                with pytest.raises(lw.UsageError, match="expected capability .* got the command") as caught:
                    wrap(lambda p, given=given, method=method: getattr(p, method)(*given))(pool)
                assert "capability first" in caught.value.hint
        assert pool.snapshot().started == 0


@pytest.mark.parametrize("wrap", [pooled, apooled])
@pytest.mark.parametrize("name", ["capability", "lease_timeout", "timeout", "cancel", "on_diagnostic", "on_progress"])
def test_a_wrong_option_of_one_request_is_named_and_starts_no_worker(name, wrap):
    with lw.Pool() as pool:
        for method, command in (("call", ECHO), ("collect", COUNT)):
            given = {"capability": FUNCTIONS, "command": command, name: "x"}
            with pytest.raises(lw.UsageError, match=rf"\b{name}\b"):
                wrap(lambda p, given=given, method=method: getattr(p, method)(**given))(pool)
        assert pool.snapshot().started == 0


@pytest.mark.parametrize("wrap", [pooled, apooled])
@pytest.mark.parametrize(
    ("kind", "request_", "said"), [(int, "x", "expected int"), (None, {"a": [object()]}, r"object at \$\.a\[0\]")]
)
def test_a_request_that_cannot_be_sent_starts_no_worker(kind, request_, said, wrap):
    with lw.Pool() as pool:
        for method, command in (("call", ECHO), ("collect", COUNT)):
            command = dataclasses.replace(command, request=kind)
            with pytest.raises((lw.UsageError, lw.DecodeError), match=said):
                wrap(lambda p, m=method, c=command: getattr(p, m)(FUNCTIONS, c, request_))(pool)
        assert pool.snapshot().started == 0


def test_a_released_lease_names_the_call_and_a_type_its_command_once(pool):
    lease = pool.lease(FUNCTIONS)
    lease.release()
    with pytest.raises(lw.UsageError, match="^cycling a lease: this lease was released"):
        lease.cycle()
    with pytest.raises(lw.UsageError, match="^declaring the response type of x: object cannot be read from JSON: "):
        lw.JsonCommand("x", response=object)


@pytest.mark.parametrize("handler", ["on_row", "sink"])
def test_a_lease_that_is_released_within_its_rows_is_not_told_to_iterate(handler, pool):
    lease = pool.lease(FUNCTIONS)
    with pytest.raises(lw.Cancelled, match="closed before its end") as caught:
        lease.run(lw.StreamingCommand("rows"), {"count": 3}, **{handler: lambda row: lease.release()})
    assert "its lease is released" in caught.value.hint and "Iterate" not in caught.value.hint
    with pool.lease(FUNCTIONS) as again, again.stream(lw.StreamingCommand("rows"), {"count": 3}) as rows:
        with pytest.raises(lw.UsageError) as caught:
            _ = rows.summary
        assert "Iterate to the end first" in caught.value.hint


@pytest.mark.parametrize(
    ("call", "hint"),
    [
        (lambda at: at.call(COUNT), "run it with collect, run or stream"),
        (lambda at: at.collect(ECHO), "run it with call"),
        (lambda at: at.run(ECHO, on_row=print), "run it with call"),
        (lambda at: at.call("echo", 1), "Declare it: lw.JsonCommand('echo')."),
        (lambda at: at.collect("rows"), "Declare it: lw.StreamingCommand('rows')."),
        (lambda at: lw.LinesCapability("ls -l"), "as in ['ls', '-l']."),
        (lambda at: lw.ProcessCapability("ls -l 'a b'"), "as in ['ls', '-l', 'a b']."),
        (lambda at: lw.LinesCapability("it's"), """as in ["it's"]."""),
        (lambda at: lw.LeanCapability("x.lean", native_libraries="a b.so"), "as in ['a b.so']."),
        (lambda at: lw.check([], options=["x"]), "Give a dict"),
        (lambda at: lw.tables.to_table(at.collect(lw.StreamingCommand("rows"), {"count": 2}), "arrow"), "its rows"),
        (lambda at: list(lw.check([["a", "prelude"]])), "as a tuple"),
        (lambda at: list(lw.check(("a", "prelude"), toolchain="embedded")), "[(name, text)]"),
        (lambda at: list(lw.verify([["a", "prelude"]], statement="theorem a : True := by\n  sorry\n")), "as a tuple"),
    ],
)
def test_a_hint_says_what_would_be_right(call, hint, pool):
    with pool.lease(FUNCTIONS) as lease, pytest.raises(lw.UsageError) as caught:
        call(lease)
    assert hint in caught.value.hint and "leave it out" not in caught.value.hint.replace("a dict, or leave it out", "")


class Names(str, enum.Enum):
    ECHO = "echo"
    METADATA = "metadata"


def test_names_of_commands_may_be_of_a_class_derived_from_str(pool):
    """Such as NumPy's, of which msgspec knows nothing, or an Enum's, which would be shown under another name."""
    numpy = pytest.importorskip("numpy")
    for echo, metadata in ((numpy.str_("echo"), numpy.str_("metadata")), (Names.ECHO, Names.METADATA)):
        command = lw.JsonCommand(echo)
        assert type(command.name) is type(lw.StreamingCommand(echo).name) is str
        with pool.lease(FUNCTIONS) as lease:
            assert lease.call(command, 1) == 1
            assert lease.metadata(metadata).commands
        with pytest.raises(lw.errors.UnknownCommand, match="running ECHO: no command 'ECHO'"):
            pool.call(FUNCTIONS, lw.JsonCommand(numpy.str_("ECHO")))
    (checked,) = lw.check([(numpy.str_("a"), numpy.str_("prelude\n"))], toolchain="embedded")
    assert checked.file == "a"


class NothingToRename(lw.sinks.Sink):
    def __init__(self, prepared):
        self.prepared = prepared

    def row_type(self, command):
        return None

    def open(self, command, group, number):
        return OpenNothing(self.prepared)


class OpenNothing(lw.sinks.OpenSink):
    def __init__(self, prepared):
        self.prepared = prepared

    def write(self, rows, size_bytes):
        pass

    def prepare(self, summary):
        return self.prepared

    def close(self, keep_part):
        pass


@pytest.mark.parametrize("prepared", [None, [5], ("a",), "rename", {}])
def test_a_sink_that_prepares_no_actions_does_not_pass_for_stored(pool, prepared):
    with pool.lease(FUNCTIONS) as lease:
        with pytest.raises(lw.UsageError, match=r"expected OpenNothing.prepare\(\) to return a list of actions, got"):
            lease.run(lw.StreamingCommand("rows"), {"count": 2}, sink=NothingToRename(prepared))
        assert lease.run(lw.StreamingCommand("rows"), {"count": 2}, sink=NothingToRename([])).total_rows == 2
