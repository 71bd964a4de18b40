"""The memory of a checked file: one that takes too much ends alone, and by name."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

import lean_worker as lw
from lean_files import HEADER, HUNGRY
from lean_worker.child.program_memory import ProgramMemory
from support import wait_until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells the memory of other processes")

LIMIT_KIB = 300 << 10
STATEMENT = "prelude\nimport LeanWorker\ntheorem goal (p : Prop) (h : p) : p := sorry\n"
GOOD = STATEMENT.replace("sorry", "h")
BAD = GOOD + HUNGRY


@pytest.mark.lean
@pytest.mark.parametrize("reuse_imports", [True, False])
def test_a_file_that_takes_too_much_is_lost_alone(reuse_imports):
    files = [("first", GOOD), ("hungry", BAD), ("last", GOOD)]
    found = list(
        lw.check(
            files,
            jobs=1,
            in_order=True,
            timeout=300,
            kill_above_kib=LIMIT_KIB,
            reuse_imports=reuse_imports,
            toolchain="embedded",
        )
    )
    assert [(each.file, each.verdict.value) for each in found] == [
        ("first", "accepted"),
        ("hungry", "lost"),
        ("last", "accepted"),
    ]
    assert "KiB of memory, more than kill_above_kib" in str(found[1].cause) and found[1].hint
    assert found[1].signal is None and found[1].error is None
    assert found[2].ran_as == ("held" if reuse_imports else "fork")  # what imports for others was not killed


@pytest.mark.lean
def test_a_candidate_that_takes_too_much_is_lost(tmp_path):
    (tmp_path / "Statement.lean").write_text(STATEMENT)
    (tmp_path / "Good.lean").write_text(GOOD)
    (tmp_path / "Bad.lean").write_text(BAD)
    options = ["--json", "--toolchain", "embedded", "--timeout", "300", "--kill-above-mib", str(LIMIT_KIB >> 10)]
    outcome = subprocess.run(
        [sys.executable, "-m", "lean_worker", "verify", "Statement.lean", "Good.lean", "Bad.lean", *options],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        text=True,
        timeout=400,
    )
    good, bad = json.loads(outcome.stdout)["candidates"]
    assert (good["verdict"], bad["verdict"], outcome.returncode) == ("proved", "lost", 3)
    assert "KiB of memory, more than kill_above_kib" in bad["detail"]


def test_memory_counts_for_all_that_a_program_starts():
    """Neither of the two has too much by itself, and what was there before does not count."""
    holds = "import sys; some = b'x' * (64 << 20); print('ready', flush=True); sys.stdin.read()"
    starts = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {holds!r}])"
    started = []

    def start(code):
        process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        started.append(process)
        assert process.stdout.readline() == b"ready\n"

    try:
        start(holds)
        memory = ProgramMemory(120 << 10)
        start(starts)
        assert memory.excess_kib() is None
        start(starts)
        excess_kib = memory.excess_kib()
        assert excess_kib is not None and 128 << 10 < excess_kib < 192 << 10
        started[-1].stdin.close()
        started[-1].wait(60)
        wait_until(lambda: memory.excess_kib() is None)
    finally:
        for process in started:
            process.stdin.close()
            process.stdout.close()
            process.kill()
            process.wait(60)


@pytest.mark.parametrize("wrong", [0, -1, 1.5, True, "1"])
def test_a_limit_that_is_none_is_refused_at_the_call(wrong):
    for call in (lw.check, lw.verification.verify_async):
        arguments = {} if call is lw.check else {"statement": STATEMENT}
        with pytest.raises(lw.errors.UsageError, match="expected kill_above_kib as an integer of 1 or more"):
            call([("a", HEADER)], kill_above_kib=wrong, **arguments)
