"""Checks of `check`: verdicts, imports, options, the solver, and forks compared with processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from ..checking.files import check as check_files
from ..checking.results import CheckResult, Verdict
from .registry import Found, Setting, Skipped, check, expect
from .texts import file_header

_FILE_SECONDS = 120.0
_COUNT = 8

_GOOD = "theorem selftest (p q : Prop) (h : And p q) : p := h.left\n"
_WRONG = "theorem selftest (p q : Prop) (h : And p q) : p := h.right\n"
_AUTO = "theorem selftest (h : And p q) : p := h.left\n"
_SOLVED = "import Std.Tactic.BVDecide\nexample (x y : BitVec 8) (h : x &&& y = x) : x ||| y = y := by bv_decide\n"


def _check(
    setting: Setting, *texts: str, options: Mapping[str, object] | None = None, reuse_imports: bool = True
) -> list[CheckResult]:
    snippets = [(f"file{i}", text) for i, text in enumerate(texts)]
    return list(
        check_files(
            snippets,
            toolchain=setting.lean,
            jobs=1,
            timeout=_FILE_SECONDS,
            options=options,
            reuse_imports=reuse_imports,
            in_order=True,
        )
    )


def _expect_verdict(checked: CheckResult, verdict: Verdict, text: str) -> None:
    said = "; ".join(message.data.splitlines()[0] for message in checked.messages if message.data)
    why = checked.cause or said or "Lean said nothing"
    expect(
        checked.verdict is verdict,
        f"{text}: expected {verdict.value}, got {checked.verdict.value}: {why}",
    )


@check("check.verdicts", "a good file, and one with a deliberate error")
def verdicts(setting: Setting) -> Found:
    header = file_header(setting)
    good, wrong = _check(setting, header + _GOOD, header + _WRONG)
    _expect_verdict(good, Verdict.ACCEPTED, "a file without errors")
    _expect_verdict(wrong, Verdict.REJECTED, "a file with a type error")
    line = header.count("\n") + 1
    places = [message.position.line for message in wrong.errors]
    expect(places == [line], f"expected one error in line {line}, got {places}")
    return Found(f"{good.seconds * 1000:.0f} ms", "for the good file; the error of the other is at its place")


@check("check.imports", "a file that imports")
def imports(setting: Setting) -> Found:
    text = file_header(setting) + "#check And.left\n" if setting.is_bare else "import Lean\n#check Lean.Name\n"
    (checked,) = _check(setting, text)
    _expect_verdict(checked, Verdict.ACCEPTED, "a file that imports")
    expect(len(checked.messages) == 1, f"expected one message, got {len(checked.messages)}")
    return Found(
        f"{checked.seconds * 1000:.0f} ms", f"with {'LeanWorker.Prelude' if setting.is_bare else 'all of Lean'}"
    )


@check("check.options", "a file whose meaning depends on an option")
def options(setting: Setting) -> Found:
    text = file_header(setting) + _AUTO
    (with_option,) = _check(setting, text, options={"autoImplicit": True})
    (without,) = _check(setting, text, options={"autoImplicit": False})
    _expect_verdict(with_option, Verdict.ACCEPTED, "autoImplicit=true")
    _expect_verdict(without, Verdict.REJECTED, "autoImplicit=false")
    return Found("2 verdicts", "accepted with autoImplicit, rejected without")


@check("check.solver", "a file that uses bv_decide")
def solver(setting: Setting) -> Found:
    setting.need_full()
    modules = setting.toolchain.modules
    assert modules is not None
    if not (modules / "Std" / "Tactic" / "BVDecide.olean").is_file():
        raise Skipped("this Lean has no bv_decide")
    (checked,) = _check(setting, _SOLVED)
    _expect_verdict(checked, Verdict.ACCEPTED, "a file that uses bv_decide")
    return Found(f"{checked.seconds * 1000:.0f} ms", "the solver was found and its proof accepted")


@check("check.forks", "many files in one worker, compared with a process for each")
def forks(setting: Setting) -> Found:
    header = file_header(setting)
    texts = [header + (_WRONG if i % 3 == 1 else _GOOD) + f"#check selftest -- {i}\n" for i in range(_COUNT)]
    started = time.monotonic()
    together = [_said(checked) for checked in _check(setting, *texts)]
    together_seconds = time.monotonic() - started
    started = time.monotonic()
    apart = [_run_alone(setting, text) for text in texts]
    apart_seconds = time.monotonic() - started
    for i, (one, other) in enumerate(zip(together, apart, strict=True)):
        expect(one == other, f"file {i}: a worker said {one}, a process of its own {other}")
    return Found(
        f"{together_seconds / _COUNT * 1000:.0f} ms a file",
        f"the same messages as {_COUNT} processes, which took {apart_seconds / _COUNT * 1000:.0f} ms each",
    )


@check("check.held", "files that are spared their imports, compared with files that import")
def held(setting: Setting) -> Found:
    header = file_header(setting) if setting.is_bare else "import Lean\n"
    texts = [header + (_WRONG if i % 3 == 1 else _GOOD) + f"#check selftest -- {i}\n" for i in range(_COUNT)]
    held = _check(setting, *texts)
    apart = _check(setting, *texts, reuse_imports=False)
    for i, (one, other) in enumerate(zip(held, apart, strict=True)):
        expect(_said(one) == _said(other), f"file {i}: without its import {_said(one)}, with it {_said(other)}")
    count = sum(checked.ran_as == "held" for checked in held)
    if count == 0:
        return Found("not here", "neither this Lean nor this system allows it; each file imports")
    saved = [other.seconds - one.seconds for one, other in zip(held, apart, strict=True) if one.ran_as == "held"]
    return Found(f"{count} of {_COUNT}", f"held, and saved {sorted(saved)[count // 2] * 1000:.0f} ms each")


_Said = tuple[bool, tuple[tuple[str, int, int, str], ...]]


def _said(checked: CheckResult) -> _Said:
    messages = [(each.severity, each.position.line, each.position.column, each.data) for each in checked.messages]
    return checked.verdict is Verdict.ACCEPTED, tuple(messages)


def _run_alone(setting: Setting, text: str) -> _Said:
    """Run Lean on a text in a separate process and return its output."""
    lean = setting.toolchain
    file = Path(setting.directory, "Alone.lean")
    file.write_text(text, "utf-8")
    argv = [sys.executable, "-m", "lean_worker.child.lean_driver", str(lean.library), "--json", str(file)]
    env = {**os.environ, **lean.env, "LEAN_PATH": str(lean.modules or _shipped_modules(lean.library))}
    ended = subprocess.run(
        argv,
        env=env,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=_FILE_SECONDS,
        check=False,
    )
    messages = [json.loads(line) for line in ended.stdout.splitlines() if line.startswith("{")]
    found = [(each["severity"], each["pos"]["line"], each["pos"]["column"], each["data"]) for each in messages]
    return ended.returncode == 0, tuple(found)


def _shipped_modules(library: Path) -> str:
    """Return the directory of this package's compiled Lean modules, as the child side reports it."""
    program = (
        "import sys; from pathlib import Path; from lean_worker.child import olean_cache; "
        "print(olean_cache.prepare(Path(sys.argv[1])))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program, str(library)], capture_output=True, text=True, timeout=_FILE_SECONDS, check=True
    )
    return ended.stdout.strip()
