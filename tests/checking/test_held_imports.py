"""Files that are forks of a process that has imported for them: the same verdicts, whatever ran before."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import subprocess
import sys
import threading
import time

import psutil
import pytest

import lean_worker as lw
from import_snippets import corpus, shuffled, with_other_headers
from lean_files import CRASH, HEADER, LOOP, accepted, code_at_elaboration, ill_typed, runs_program
from lean_modules import compile_module
from support import CAN_HOLD, HELPERS, compile_modules, wait_until

pytestmark = [pytest.mark.lean, pytest.mark.skipif(sys.platform != "linux", reason="Linux only")]


def check(files, **options):
    return list(lw.check(files, **{"toolchain": "embedded", "in_order": True, "jobs": 1, "timeout": 60, **options}))


def essence(outcomes):
    """The part that must be the same; a file that ends Lean early may or may not have printed its messages."""
    return {
        c.file: (c.verdict, c.exit_code, c.signal, c.cause, None if c.verdict is lw.Verdict.LOST else c.messages)
        for c in outcomes
    }


def ways(outcomes):
    return [c.ran_as for c in outcomes]


@pytest.fixture(scope="module")
def plain():
    """The corpus without holders."""
    return essence(check(corpus() + with_other_headers(), jobs=2, reuse_imports=False))


@pytest.mark.parametrize("jobs", [1, 2])
def test_held_files_have_the_verdicts_and_messages_of_others(plain, jobs):
    outcomes = check(shuffled(corpus() + with_other_headers(), seed=jobs), jobs=jobs, in_order=False)
    assert essence(outcomes) == plain
    if CAN_HOLD:
        assert ways(outcomes).count("held") > len(outcomes) // 2


def test_options_and_a_path_instead_of_a_text(tmp_path):
    names = ("theorem", "ill typed", "option in the file", "unicode", "carriage returns", "no newline")
    paths = []
    for number, (name, text) in enumerate(corpus()):
        if name in names:
            paths.append(tmp_path / f"{number}.lean")
            paths[-1].write_bytes(text.encode())
    for options in ({}, {"pp.all": True}, {"maxRecDepth": 50}, {"no.such.option": 1}):
        held, apart = (check(paths * 2, options=options, reuse_imports=reuse) for reuse in (True, False))
        assert [(c.verdict, c.messages) for c in held] == [(c.verdict, c.messages) for c in apart]
        if CAN_HOLD and "no.such.option" not in options:
            assert "held" in ways(held)


@pytest.mark.skipif(not CAN_HOLD, reason="no holders here")
def test_what_a_result_says_of_its_way(monkeypatch):
    files = [(f"f{i}", accepted(i).text) for i in range(3)]
    outcomes = check(files)
    assert ways(outcomes) == ["fork", "held", "held"]
    for checked in outcomes:
        assert checked.import_seconds is not None
        assert 0 < checked.import_seconds < checked.seconds
        assert checked.elaboration_seconds == pytest.approx(checked.seconds - checked.import_seconds)
    assert outcomes[2].import_seconds < outcomes[0].import_seconds
    assert set(ways(check(files, reuse_imports=False))) == {"fork"}
    monkeypatch.setenv("LEAN_WORKER_NO_HOLDERS", "1")
    assert set(ways(check(files))) == {"fork"}


@pytest.mark.skipif(not CAN_HOLD, reason="no holders here")
def test_exit_code_96_is_the_file_s_own():
    (name, text) = next(file for file in corpus() if file[0] == "exit 96")
    outcomes = check([("first", accepted(0).text), ("second", accepted(0).text), (name, text), (name, text)])
    assert [(c.verdict.value, c.exit_code) for c in outcomes[2:]] == [("lost", 96)] * 2
    assert all(c.cause == "Lean ended with exit code 96 and reported no error" for c in outcomes[2:])
    # Its messages came once, if at all.
    assert all(len(c.messages) <= 1 for c in outcomes[2:])
    assert ways(outcomes)[:2] == ["fork", "held"]


@pytest.mark.skipif(not CAN_HOLD, reason="no holders here")
def test_a_held_file_that_needs_a_thread_of_its_own_gets_a_process_of_its_own():
    # In any fork this call would never return.
    waits = ("waits", code_at_elaboration("do let _ ← (Std.Internal.UV.Loop.alive : IO Bool); IO.Process.exit 9"))
    outcomes = check([(f"{i}", accepted(i).text) for i in range(2)] + [waits], timeout=3)
    assert (outcomes[2].verdict, outcomes[2].exit_code, outcomes[2].ran_as) == ("lost", 9, "process")
    assert [message.data for message in outcomes[2].messages] == ["before : True"]


_FIRST_TO_END = """
import os, time
real, depth = os.fork, 0
def fork():
    global depth
    parent, pid = os.getpid(), real()
    if pid == 0:
        depth += 1
        while depth == 2 and os.getppid() == parent:
            time.sleep(0.001)
    return pid
os.fork = fork
"""
_STARTS_A_HOLDER = f"""
import os, sys, time
from pathlib import Path
from lean_worker.child import header_holders, header_holder, process_end, programs
from lean_worker.child.file_run import environment
from lean_worker.toolchains import toolchain
process_end.adopt_orphans()
programs._START = {_FIRST_TO_END!r} + programs._START
library = toolchain.resolve("embedded").library
variables = environment(Path(library), [], takes_inherited=False)
keeper = programs.Keeper(str(library), variables, None)
holders = header_holders.Holders(keeper, variables["LEAN_PATH"], None, os.pipe()[0], most=1)
header = header_holders.header_of({HEADER!r} + "#check Nat", "", [], "")
assert holders.take(header, ["--json"], None) is None
began = time.monotonic()
assert holders.take(header, ["--json"], None) is not None
assert time.monotonic() - began < header_holder._ADOPTION_SECONDS
holders.close()
keeper.close()
"""


@pytest.mark.skipif(not CAN_HOLD, reason="no holders here")
def test_a_holder_may_run_first_when_the_process_between_has_ended():
    outcome = subprocess.run([sys.executable, "-c", _STARTS_A_HOLDER], capture_output=True, text=True, timeout=100)
    assert (outcome.returncode, outcome.stderr) == (0, "")


def untoward():
    """Files that end in a way of their own, or leave something behind."""
    codes = {
        "leaves a file": "import os; open(os.environ['TMPDIR'] + '/left', 'w').close()",
        "leaves a process": "import os, time\nif os.fork() == 0: os.setsid(); os.closerange(0, 3); time.sleep(600)",
        "kills itself": "import os; os.kill(os.getppid(), 9)",
        "complains": "import sys; print('one', file=sys.stderr)",
    }
    programs = [(name, runs_program([sys.executable, "-I", "-S", "-c", code])) for name, code in codes.items()]
    return [*programs, ("exits", code_at_elaboration("IO.Process.exit 7")), ("crash", CRASH)]


def test_files_that_end_in_a_way_of_their_own_leave_nothing_to_the_next():
    files = [(f"{i}", accepted(i).text) for i in range(2)]
    for name, text in untoward():
        files += [(name, text), (f"{name} again", text), (f"good after {name}", accepted(0).text)]
    with lw.Pool(1) as pool:
        held = check(files, pool=pool, jobs=None)
        if CAN_HOLD:
            assert ways(held) == ["fork"] + ["held"] * (len(files) - 1)
        # What stops a file from outside comes while the holder waits for its end.
        (late,) = check([("loop", LOOP)], pool=pool, jobs=None, timeout=2)
        assert late.verdict == "timed out" and [message.data for message in late.messages] == ["before : True"]
        token = lw.CancelToken()
        options = {"pool": pool, "jobs": None, "timeout": None, "cancel": token}
        (stopped,) = check([("loop", LOOP)], on_message=lambda message: token.cancel(), **options)
        assert stopped.verdict == "lost" and isinstance(stopped.error, lw.Cancelled)
        again = check(files[:2], pool=pool, jobs=None)
        assert [c.verdict.value for c in again] == ["accepted"] * 2
        if CAN_HOLD:
            assert ways([late, *again]) == ["held"] * 3
    apart = check(files, reuse_imports=False)
    assert [(essence([c]), c.output) for c in held] == [(essence([c]), c.output) for c in apart]


def build(project, value):
    """A module `Ours` with an axiom of a certain name, as a project's build leaves it."""
    compile_modules(project, {"Ours": f"prelude\nimport LeanWorker.Prelude\naxiom Ours.a{value} : True\n"})


def uses(value):
    return (f"uses{value}", f"prelude\nimport Ours\n#check Ours.a{value}\n")


def test_modules_that_are_built_again_in_between(tmp_path):
    build(tmp_path, 0)
    state = {"built": 0}
    expected = []

    def files():
        rng = random.Random(7)
        for number in range(16):
            if number % 4 == 3:
                state["built"] += 1
                time.sleep(0.05)  # what is built in the kernel's tick of an import is not held at first
                build(tmp_path, state["built"])
            wanted = state["built"] - rng.randrange(2)
            expected.append("accepted" if wanted == state["built"] else "rejected")
            yield uses(wanted)

    # The next file is taken when the worker is free: the modules are those of the time when it starts.
    outcomes = []
    with lw.Pool(1) as pool:
        for file in files():
            outcomes += check([file], pool=pool, jobs=None, project=tmp_path, settings="none")
    assert [c.verdict.value for c in outcomes] == expected
    if CAN_HOLD:
        assert "held" in ways(outcomes)


def test_a_module_that_comes_to_stand_before_another(tmp_path, monkeypatch):
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    text = "prelude\nimport LeanWorker.Prelude\naxiom "
    compile_module(second, "Two.Sub", text + "old : True\n")
    monkeypatch.setenv("LEAN_PATH", f"{first}{os.pathsep}{second}")
    old, new = (("old", "prelude\nimport Two.Sub\n#check old\n"), ("new", "prelude\nimport Two.Sub\n#check new\n"))
    time.sleep(0.05)
    with lw.Pool(1) as pool:
        before = check([old, old, old, new], pool=pool, jobs=None)
        assert [c.verdict.value for c in before] == ["accepted"] * 3 + ["rejected"]
        if CAN_HOLD:
            assert ways(before)[2] == "held"
        compile_module(first, "Two.Sub", text + "new : True\n")
        after = check([old, new], pool=pool, jobs=None)
        assert [c.verdict.value for c in after] == ["rejected", "accepted"]


def worker_of_this_process():
    (worker,) = [p for p in psutil.Process().children() if "lean_worker.child" in " ".join(p.cmdline())]
    return worker


@pytest.mark.skipif(not CAN_HOLD, reason="no holders here")
def test_holders_that_are_killed_or_stopped_change_nothing(plain):
    files = [file for file in shuffled(corpus(), seed=3) if file[0] not in ("crash",)] * 3
    stop = threading.Event()
    killed = []

    def kill():
        rng = random.Random(1)
        while not stop.wait(rng.uniform(0.02, 0.12)):
            try:
                worker = worker_of_this_process()
                # Its keeper came first; every later child of the worker is a holder.
                for holder in sorted(worker.children(), key=lambda p: p.create_time())[1:]:
                    holder.send_signal(signal.SIGSTOP if rng.random() < 0.3 else signal.SIGKILL)
                    killed.append(holder.pid)
            except (psutil.Error, ValueError):
                continue

    thread = threading.Thread(target=kill, daemon=True)
    thread.start()
    try:
        outcomes = check(files)
    finally:
        stop.set()
        thread.join()
    wrong = [c for c in outcomes if essence([c])[c.file] != plain[c.file]]
    assert wrong == []
    assert len(outcomes) == len(files) and len(killed) >= 3


@pytest.mark.skipif(not CAN_HOLD, reason="no holders here")
def test_nothing_grows_and_nothing_is_left():
    good, bad = accepted(0).text, ill_typed(0).text
    with lw.Pool(1) as pool:

        def run(count):
            outcomes = check([(f"{i}", good if i % 2 else bad) for i in range(count)], pool=pool, jobs=None)
            assert [c.verdict.value for c in outcomes] == ["rejected", "accepted"] * (count // 2)

        def measured():
            worker = worker_of_this_process()
            wait_until(lambda: len(worker.children(recursive=True)) == 2)
            keeper, holder = sorted(worker.children(), key=lambda p: p.create_time())
            return [(p.pid, p.num_fds(), p.num_threads(), p.memory_full_info().uss) for p in (worker, keeper, holder)]

        run(20)
        before = measured()
        run(200)
        after = measured()
    assert [m[0] for m in before] == [m[0] for m in after]
    assert [m[1:3] for m in before] == [m[1:3] for m in after]
    assert after[2][3] - before[2][3] < 2 << 20
    wait_until(lambda: not any(psutil.pid_exists(m[0]) for m in after))


@pytest.mark.skipif(not CAN_HOLD, reason="no holders here")
def test_only_so_many_holders_live_at_once(monkeypatch):
    monkeypatch.setenv("LEAN_WORKER_MOST_HOLDERS", "2")
    headers = [f"-- {i}\n{HEADER}" for i in range(4)]
    files = [(f"{i}.{turn}", header + "#check Nat\n") for i, header in enumerate(headers) for turn in range(2)]
    with lw.Pool(1) as pool:
        outcomes = check(files, pool=pool, jobs=None)
        assert ways(outcomes) == ["fork", "held"] * 4
        worker = worker_of_this_process()
        wait_until(lambda: len(worker.children(recursive=True)) == 3)
        # The least recently used ones went.
        again = check([files[6], files[4], files[0]], pool=pool, jobs=None)
        assert ways(again) == ["held"] * 3
        assert len(worker.children()) == 3
        shown = pool.snapshot().holders
        assert [(each.kind, each.imports) for each in shown] == [("files", ("LeanWorker.Prelude",))] * 2
        assert sorted(each.served for each in shown) == [1, 2] and all(each.memory_kib > 0 for each in shown)


def test_where_code_must_not_be_changed_files_run_as_before(plain):
    """PR_SET_MDWE, which services have as MemoryDenyWriteExecute, refuses the change of Lean's code."""
    program = (
        "import ctypes, sys; sys.path.insert(0, sys.argv[1])\n"
        "if ctypes.CDLL(None).prctl(65, 1, 0, 0, 0) != 0: sys.exit(77)\n"
        "import lean_worker as lw\n"
        "from import_snippets import corpus\n"
        "files = [file for file in corpus() if file[0] in ('theorem', 'ill typed', 'sorry')] * 2\n"
        "for c in lw.check(files, toolchain='embedded', jobs=1, in_order=True): print(c.file, '|', c.verdict.value, '|', c.ran_as)\n"
    )
    outcome = subprocess.run([sys.executable, "-c", program, str(HELPERS)], capture_output=True, text=True, timeout=120)
    if outcome.returncode == 77:
        pytest.skip("this kernel knows no PR_SET_MDWE")
    rows = [line.split(" | ") for line in outcome.stdout.splitlines()]
    assert len(rows) == 6, outcome.stderr
    assert all(verdict == plain[name][0].value for name, verdict, _ in rows)
    assert "held" not in {way for _, _, way in rows}


# -- groups, and asyncio --


def test_after_the_first_accepted_file_of_a_group_the_others_are_passed_over():
    good, bad = accepted(0).text, ill_typed(0).text
    files = [("a/0", bad), ("a/1", good), ("b/0", bad), ("b/1", bad)]
    files += [(f"a/{i}", good) for i in range(2, 12)] + [("b/2", good), ("c/0", bad)]
    outcomes = check(files, first_accepted=lambda name: name.split("/")[0])
    found = {c.file: c.verdict.value for c in outcomes}
    assert [files[c.index][0] for c in outcomes] == [c.file for c in outcomes]
    assert {name: found[name] for name in ("a/0", "a/1", "b/0", "b/1", "b/2", "c/0")} == {
        "a/0": "rejected", "a/1": "accepted", "b/0": "rejected", "b/1": "rejected", "b/2": "accepted", "c/0": "rejected",
    }  # fmt: skip
    assert len(outcomes) < len(files) - 5
    with pytest.raises(lw.UsageError, match="first_accepted"):
        check(files, first_accepted=True)


def test_the_async_twin():
    files = [("good", accepted(0).text), ("bad", ill_typed(0).text), ("loop", LOOP), ("good", accepted(1).text)]

    async def all_of(files, **options):
        found = [
            c async for c in lw.checking.check_async(files, toolchain="embedded", in_order=True, jobs=1, **options)
        ]
        return [(c.file, c.verdict.value, len(c.messages)) for c in found]

    async def leave():
        ticks = 0
        async with contextlib.aclosing(
            lw.checking.check_async(files, toolchain="embedded", jobs=1, timeout=None)
        ) as outcomes:
            async for checked in outcomes:
                assert checked.file == "good"
                break
        waiting = asyncio.create_task(all_of(files[2:], timeout=None))
        while not waiting.done() and ticks < 100:
            ticks += 1
            await asyncio.sleep(0.01)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        return ticks

    assert asyncio.run(all_of(files[:2])) == [(c.file, c.verdict.value, len(c.messages)) for c in check(files[:2])]
    assert asyncio.run(leave()) == 100
    with pytest.raises(lw.UsageError, match="jobs"):
        asyncio.run(anext(lw.checking.check_async(files, jobs=0)))
