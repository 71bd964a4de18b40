"""Verification of candidates against a statement: the corpus of cheats, attacks on the verifier, and its interface."""

from __future__ import annotations

import asyncio
import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import msgspec
import psutil
import pytest

import lean_worker as lw
from honest_proofs import STATEMENT as HONEST_STATEMENT
from honest_proofs import honest
from lean_files import ENDLESS, HUNGRY
from lean_worker.child.olean_cache import prepare
from lean_worker.verification import candidates, collected
from lean_worker.verification.axiom_names import parts_of
from lean_worker.verification.readings import readings
from support import wait_until
from verify_candidates import HEADER, STATEMENT, module_of, runs_python
from verify_rows import Rows, open_statement

pytestmark = [pytest.mark.lean, pytest.mark.skipif(sys.platform != "linux", reason="Linux only")]

CORPUS = Path(__file__).parents[1] / "verify_corpus"
WHOLE = "prelude\nimport LeanWorker\ntheorem goal (p : Prop) (h : p) : p := sorry\n"
LIMIT_KIB = 300 << 10
SYMMETRY = HEADER + "theorem goal (a b : Nat) (h : a = b) : b = a := sorry\n"
PROOF = "h.symm"
HONEST = ("honest", SYMMETRY.replace("sorry", PROOF))


def facts_of(text):
    """The expected verdict of a candidate of the corpus, and further fields, from its first line."""
    verdict, *facts = text.partition("\n")[0].removeprefix("-- ").split()
    return verdict, dict(fact.split("=") for fact in facts)


@pytest.mark.parametrize("group", sorted(path.name for path in CORPUS.iterdir()))
def test_candidates_that_a_check_accepts_get_their_verdicts(group):
    statement = CORPUS / group / "statement.lean"
    candidates = sorted(path for path in statement.parent.glob("*.lean") if path != statement)
    assert len(candidates) > 5
    checked = {item.file: item.verdict for item in lw.check(candidates, toolchain="embedded")}
    assert set(checked.values()) == {lw.Verdict.ACCEPTED}
    wrong = {}
    for result in lw.verify(candidates, statement=statement, toolchain="embedded"):
        verdict, facts = facts_of(Path(result.name).read_text())
        found = {name: getattr(result, name) or "" for name in facts}
        # "universe" stands for "universe parameters", and a type for its constructors.
        if result.verdict.value != verdict or not all(found[name].startswith(facts[name]) for name in facts):
            wrong[result.name] = result
        if verdict != "proved":
            assert not result.axioms and not result.is_proved
    assert not wrong


# -- attacks on the verifier --

_OWN = "import os; own = os.path.join(os.environ['TMPDIR'], 'Candidate.olean')\n"
# What it says comes as a message of Lean's; other output is none.
_SAY = """
import json
def say(*words):
    data = " ".join(map(str, words))
    place = {"pos": {"line": 1, "column": 0}, "endPos": None, "fileName": "<stdin>", "kind": "[anonymous]", "caption": ""}
    print(json.dumps({"severity": "information", "data": data, **place}), flush=True)
say("ran")
"""
ATTACKS = {
    "an empty module": _OWN + "open(own, 'wb').close()",
    "no module": _OWN + "open(own, 'wb').write(b'olean\\x02' + bytes(500))",
    "a link": _OWN + "os.symlink('/etc/passwd', own)",
    "a pipe": _OWN + "os.mkfifo(own)",
    "a directory": _OWN + "os.mkdir(own)",
    "a sparse file": _OWN + "f = open(own, 'wb'); f.truncate(1 << 40)",
    "parts of nothing": _OWN
    + "[open(own + end, 'wb').write(b'olean\\x02' * 99) for end in ('', '.server', '.private')]",
    "messages everywhere": """
import os
forged = b'{"severity":"error","pos":{"line":1,"column":0},"data":"no","fileName":"x"}\\n{"verdict":"proved"}\\n'
for name in os.listdir('/proc/self/fd'):
    try: os.write(int(name), forged)
    except OSError: pass
""",
    "a flood": "import sys\nfor i in range(3000): sys.stdout.write('{\"a\":\"' + 'x' * 4000 + '\"}\\n')",
    "deep JSON": "print('{\"severity\":\"information\",\"data\":' + '[' * 200000 + ']' * 200000 + '}')",
    "a process that stays": """
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        end = time.monotonic() + 60
        while time.monotonic() < end:
            for place, _, files in os.walk(os.path.dirname(os.environ['TMPDIR'])):
                for file in files:
                    try: open(os.path.join(place, file), 'wb').write(b'olean\\x02' * 99)
                    except OSError: pass
            time.sleep(0.01)
    os._exit(0)
""",
    "the cache": """
import os
for place in os.environ['LEAN_PATH'].split(':'):
    for base, _, files in os.walk(place):
        for file in files:
            for attack in (os.unlink, lambda path: os.rename(path, path + 'x'), lambda path: open(path, 'wb')):
                try: attack(os.path.join(base, file)); say('tampered', file)
                except OSError: pass
""",
    "other processes": """
import os, signal
for pid in range(2, 1 << 16):
    if pid not in (os.getpid(), os.getppid()):
        try: os.kill(pid, signal.SIGKILL); say('killed', pid)
        except OSError: pass
""",
    "whatever leads out": """
import ctypes, fcntl, os, socket, termios
libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
def attempt(what, call, *arguments):
    try: found = call(*arguments)
    except (OSError, AttributeError): return None
    if found is not None and not (isinstance(found, int) and found < 0): say('tampered', what, found)
    return found
# Its parent is its own Lean; above that is whoever starts and judges files.
(above,) = [line.split()[1] for line in open(f'/proc/{os.getppid()}/status') if line.startswith('PPid')]
for pid in (int(above), PARENT):
    for name in ('mem', 'environ', 'maps', 'fd', 'root', 'cwd', 'task'):
        attempt(f'{name} of another', os.open, f'/proc/{pid}/{name}', os.O_RDONLY)
    attempt('memory of another', os.open, f'/proc/{pid}/mem', os.O_RDWR)
    attempt('seize', libc.ptrace, 0x4206, pid, None, None)
    attempt('pidfd', lambda: libc.syscall(438, os.pidfd_open(pid), 0, 0))
for name in ('tty', 'ptmx', 'console', *(f'pts/{i}' for i in range(4)), 'mem', 'kmsg', 'shm', 'fuse', 'kvm'):
    attempt(name, os.open, f'/dev/{name}', os.O_RDWR if name != 'shm' else os.O_RDONLY)
for number in range(3):
    attempt('typed', fcntl.ioctl, number, termios.TIOCSTI, b'x')
for family in (socket.AF_UNIX, socket.AF_INET, socket.AF_INET6, socket.AF_NETLINK, socket.AF_PACKET):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW):
        attempt('socket', socket.socket, family, kind)
attempt('watch', libc.inotify_init1, 0)
attempt('fanotify', libc.fanotify_init, 0, 0)
attempt('bpf', libc.syscall, 321, 0, 0, 0)
attempt('perf', libc.syscall, 298, 0, 0, -1, -1, 0)
attempt('uring', libc.syscall, 425, 1, 0)
attempt('keys', libc.syscall, 250, 0, -3, 1)
attempt('shared memory', libc.shmget, 5, 4096, 0o1600)
attempt('queue', libc.mq_open, b'/lean', 66, 0o600, None)
attempt('namespace', libc.unshare, 0x10000000)
above = os.path.dirname(os.environ['TMPDIR'])
for place in (above, os.path.dirname(above), '/tmp', os.getcwd(), '/dev/shm', os.path.expanduser('~')):
    attempt('a file', os.open, os.path.join(place, 'lean-worker-was-here'), os.O_CREAT | os.O_WRONLY)
    attempt('a link', os.symlink, '/', os.path.join(place, 'lean-worker-link'))
attempt('the directory', os.rename, os.environ['TMPDIR'], os.environ['TMPDIR'] + 'x')
""",
}
_ENDS_OTHERS = "other processes"


def test_attacks_prove_nothing_and_reach_no_other_candidate():
    cache = prepare(lw.toolchains.resolve("embedded").library)
    before = {path: path.read_bytes() for path in cache.rglob("*") if path.is_file()}
    candidates = []
    kernel = tuple(map(int, platform.release().split(".")[:2]))
    for name, code in ATTACKS.items():
        if name == _ENDS_OTHERS and kernel < (6, 12):
            continue  # signals leave a sandbox there
        exits = "own" in code
        rest = SYMMETRY.removeprefix(HEADER)
        code = _SAY + code.replace("PARENT", str(os.getpid()))
        candidates += [(name, runs_python(code, exits=exits, rest=rest)), HONEST]
    results = list(lw.verify(candidates, statement=SYMMETRY, toolchain="embedded", jobs=1, in_order=True))
    verdicts = {result.name: result.verdict.value for result in results if result.name != "honest"}
    expected = {name: {"lost"} if "own" in ATTACKS[name] else {"forbidden_axiom", "not_proved"} for name in verdicts}
    expected[_ENDS_OTHERS] = {"forbidden_axiom", "lost"}  # among others it finds what belongs to itself
    assert {name for name, verdict in verdicts.items() if verdict not in expected[name]} == set(), verdicts
    assert [result for result in results if result.name == "honest" and not result.is_proved] == []
    assert {path: path.read_bytes() for path in cache.rglob("*") if path.is_file()} == before
    said = {result.name: [message.data for message in result.messages] for result in results}
    assert [line for lines in said.values() for line in lines if "tampered" in line] == []
    assert all("ran" in said[name] for name in ("the cache", "whatever leads out"))
    ours = psutil.Process()
    wait_until(lambda: not [p for p in ours.children(recursive=True) if p.status() != psutil.STATUS_ZOMBIE])


def replaces_module(data):
    code = _OWN + f"open(own, 'wb').write(bytes.fromhex({data.hex()!r}))"
    return runs_python(code, exits=True)


def test_modules_that_no_lean_wrote_prove_nothing():
    wrong = Rows()
    wrong.goal(wrong.const("True.intro"))
    axiom = Rows()
    axiom.declare("axiom", "cheat", axiom.const("False"))
    axiom.goal(axiom.const("cheat"))
    circle = Rows()
    circle.goal(circle.const("goal"))
    elsewhere = Rows()
    elsewhere.goal(elsewhere.const("True.intro"))
    other = msgspec.structs.replace(elsewhere.terms(), imports=[])
    data = module_of(wrong.terms())
    candidates = {
        "sorry": (module_of(open_statement("False").terms()), "forbidden_axiom", None),
        "wrong": (data, "not_replayed", "declTypeMismatch"),
        "axiom": (module_of(axiom.terms()), "forbidden_axiom", None),
        "circle": (module_of(circle.terms()), "not_replayed", "unknownConstant"),
        "no imports": (module_of(other), "statement_changed", None),
        "truncated": (data[:-40], "lost", None),
    }
    files = [(name, replaces_module(data)) for name, (data, _, _) in candidates.items()]
    for result in lw.verify(files, statement=STATEMENT, toolchain="embedded"):
        _, verdict, reason = candidates[result.name]
        assert (result.verdict.value, result.reason) == (verdict, reason), result


def test_a_candidate_without_end_times_out():
    text = HEADER + "partial def loop (n : Nat) : IO Unit := loop (n + 1)\n#eval loop 0\n"
    (result,) = lw.verify([("endless", text)], statement=STATEMENT, toolchain="embedded", timeout=3)
    assert result.verdict is lw.verification.ProofVerdict.TIMED_OUT


# -- the interface --


def test_a_proof_fills_the_hole_of_the_statement():
    candidates = [lw.Proof("term", PROOF), lw.Proof("tactics", "by\n  rw [h]"), lw.Proof("sorry", "sorry")]
    results = list(lw.verify(candidates, statement=SYMMETRY, toolchain="embedded", in_order=True))
    assert [result.verdict.value for result in results] == ["proved", "proved", "forbidden_axiom"]
    assert results[0].axioms == {"goal": ()}
    assert results[2].axiom == "sorryAx"


def test_a_whole_file_in_the_place_of_a_proof_is_told():
    candidates = [
        lw.Proof("file", HONEST[1]),
        lw.Proof("theorem", "theorem t : True := trivial"),
        lw.Proof("wrong", "h"),
    ]
    results = list(lw.verify(candidates, statement=SYMMETRY, toolchain="embedded", in_order=True))
    assert {result.verdict.value for result in results} == {"not_proved"}
    assert ["is given as a pair" in result.detail for result in results] == [True, True, False]


@pytest.mark.parametrize("imports", ["import Mathlib\n", "", "prelude\nimport LeanWorker.Nope\n"])
def test_other_imports_are_another_statement_also_if_there_are_no_such_modules(imports):
    candidate = ("other", SYMMETRY.replace(HEADER, imports).replace("sorry", PROOF))
    (result,) = lw.verify([candidate], statement=SYMMETRY, toolchain="embedded")
    assert (result.verdict.value, result.aspect) == ("statement_changed", "imports")
    assert "the candidate imports" in result.detail


@pytest.mark.parametrize("count", [0, 2])
def test_only_a_statement_with_one_hole_can_be_filled(count):
    text = "-- sorry\n/- sorry /- sorry -/ -/\n" + "theorem t : True := sorry\n" * count
    with pytest.raises(lw.UsageError, match=f"found {count}"):
        readings(text, "x")


def test_all_goals_have_to_be_proved_and_allowed_axioms_are_told():
    statement = HEADER + "theorem one (p q : Prop) (h : p ↔ q) : p = q := sorry\ntheorem two : True := sorry\n"
    proof = statement.replace("sorry", "propext h", 1).replace("sorry", "True.intro")
    candidates = [("both", proof), ("one", statement.replace("sorry", "propext h", 1))]
    found = {result.name: result for result in lw.verify(candidates, statement=statement, toolchain="embedded")}
    assert found["both"].is_proved and found["both"].axioms == {"one": ("propext",), "two": ()}
    assert found["one"].axiom == "sorryAx" and found["one"].goal == "two"


def test_axioms_can_be_forbidden_and_allowed():
    statement = HEADER + "theorem goal (p q : Prop) (h : p ↔ q) : p = q := sorry\n"
    candidates = [lw.Proof("extensional", "propext h")]
    (allowed,) = lw.verify(candidates, statement=statement, toolchain="embedded")
    assert allowed.is_proved and allowed.axioms == {"goal": ("propext",)}
    (refused,) = lw.verify(candidates, statement=statement, toolchain="embedded", allowed_axioms=[])
    assert (refused.verdict.value, refused.axiom) == ("forbidden_axiom", "propext")
    (hole,) = lw.verify([("s", statement)], statement=statement, toolchain="embedded", allowed_axioms=["sorryAx"])
    assert hole.is_proved


def test_an_axiom_of_the_statement_is_allowed_if_it_is_unchanged():
    statement = HEADER + "axiom p : Prop\naxiom hp : p\ntheorem goal : p := sorry\n"
    good = statement.replace("sorry", "hp")
    bad = good.replace("axiom hp : p", "axiom hp {q : Prop} : q")
    results = lw.verify([("good", good), ("bad", bad)], statement=statement, toolchain="embedded", in_order=True)
    assert [result.verdict.value for result in results] == ["proved", "forbidden_axiom"]


BAD_STATEMENTS = {
    "theorem t : True := True.intro\n": "no goal",
    "theorem t : True := nonsense\n": "does not compile",
    "def n : Nat := sorry\ntheorem t : n = n := sorry\n": "rests on a `sorry`",
}


@pytest.mark.parametrize("text", BAD_STATEMENTS)
def test_a_statement_that_cannot_be_proved_is_told_before_any_candidate_runs(text):
    taken = []
    candidates = (taken.append(i) or ("c", "x") for i in range(3))
    with pytest.raises(lw.UsageError, match=BAD_STATEMENTS[text]):
        list(lw.verify(candidates, statement=HEADER + text, toolchain="embedded"))
    assert taken == []


def test_a_statement_that_lean_gives_up_on_is_not_called_wrong():
    with pytest.raises(lw.RequestTimeout, match="compiling the statement: no end within 0 seconds") as caught:
        list(lw.verify([], statement=STATEMENT, toolchain="embedded", timeout=0))
    assert (caught.value.kind, caught.value.timeout) == ("request", 0)
    with pytest.raises(lw.errors.MemoryLimitExceeded, match="compiling the statement") as caught:
        list(lw.verify([], statement=WHOLE + HUNGRY, toolchain="embedded", kill_above_kib=LIMIT_KIB))
    assert caught.value.used_kib > caught.value.limit_kib == LIMIT_KIB
    with pytest.raises(lw.ChildExited, match="ended by signal SIGABRT: .*deep recursion") as caught:
        list(lw.verify([], statement=WHOLE + ENDLESS, toolchain="embedded"))
    assert caught.value.signal == "SIGABRT" and caught.value.entered_worker
    leaves = "#eval (IO.Process.exit 7 : IO Unit)\n"
    with pytest.raises(lw.ChildExited, match="Lean ended with exit code 7 and reported no error") as caught:
        list(lw.verify([], statement=WHOLE + leaves, toolchain="embedded"))
    assert (caught.value.exit_code, caught.value.signal) == (7, None)
    leaves = "#eval (IO.Process.exit 0 : IO Unit)\n"
    with pytest.raises(lw.errors.RequestLost, match="the compiled module could not be read: Lean wrote no module"):
        list(lw.verify([], statement=WHOLE + leaves, toolchain="embedded"))


def test_a_candidate_that_ends_lean_without_a_message_is_lost_and_not_called_wrong():
    ends = [
        ("panic", "#eval (Nat.pow 2 (Nat.pow 2 36))\n", "lost"),
        ("exit", "#eval (IO.Process.exit 7 : IO Unit)\n", "lost"),
        ("exit in success", "#eval (IO.Process.exit 0 : IO Unit)\n", "lost"),
        ("error", "theorem e : False := trivial\n", "not_proved"),
    ]
    candidates = [(name, f"prelude\nimport LeanWorker\n{text}theorem t : True := trivial\n") for name, text, _ in ends]
    statement = "prelude\nimport LeanWorker\ntheorem t : True := sorry\n"
    found = list(lw.verify(candidates, statement=statement, toolchain="embedded", in_order=True))
    assert [(each.name, each.verdict.value) for each in found] == [(name, verdict) for name, _, verdict in ends]
    assert "exit code 7 and reported no error" in found[1].detail and "exponent is too big" in found[0].detail


def test_the_names_of_axioms_are_read_as_lean_writes_them():
    assert parts_of("Classical.choice") == ["Classical", "choice"]
    assert parts_of("«Classical.choice».x.1") == ["Classical.choice", "x", 1]
    for bad in ("", ".", "a.", "«", 5, "a b", "a." + 5000 * "9"):
        with pytest.raises(lw.UsageError):
            parts_of(bad)


def test_wrong_arguments_are_told_at_once():
    with lw.Pool(1) as pool:
        for options in ({"jobs": 0}, {"timeout": -1}, {"pool": pool}, {"allowed_axioms": ["a b"]}, {"statement": 5}):
            with pytest.raises(lw.UsageError):
                lw.verify([], **{"statement": STATEMENT, **options})
    with pytest.raises(lw.UsageError, match="list"):
        lw.verify("one.lean", statement=STATEMENT)
    with pytest.raises(lw.UsageError, match="a pair of its name and itself"):
        list(lw.verify([HONEST[1]], statement=STATEMENT, toolchain="embedded"))


def test_an_unknown_version_is_refused_with_advice():
    code = (
        "import lean_worker.child.kernel_library as k; k.KNOWN_VERSIONS = ('4.0.0',)\n"
        "from lean_worker.child.verification.judge_process import JudgeProcess, Open\n"
        "import sys; print(JudgeProcess(None)._open(Open(sys.argv[1], [])))"
    )
    library = str(lw.toolchains.resolve("embedded").library)
    said = subprocess.run(
        [sys.executable, "-c", code, library], capture_output=True, text=True, timeout=100, check=True
    )
    assert "is Lean 4.35.0" in said.stdout and "toolchain='embedded'" in said.stdout


def test_a_kernel_that_lets_everything_pass_is_refused():
    """Theorems are added as axioms here, and a structure's fields are not looked at by anybody."""
    code = (
        "import sys, threading, lean_worker.child.kernel_library as k\n"
        "class Lax(object):\n"
        "    def __init__(self, *arguments): self.heap = k_heap(*arguments)\n"
        "    def __getattr__(self, name): return getattr(self.heap, name)\n"
        "    def add_theorem(self, name, levels, type, value): self.heap.add_axiom(name, levels, type)\n"
        "    def holds(self, number, type, value): return True\n"
        "k_heap, k.Heap = k.Heap, Lax\n"
        "from lean_worker.child.verification.judge_process import JudgeProcess, Open\n"
        "import socket; ours, theirs = socket.socketpair()\n"
        "print(JudgeProcess(ours)._open(Open(sys.argv[1], [])))"
    )
    library = str(lw.toolchains.resolve("embedded").library)
    said = subprocess.run([sys.executable, "-c", code, library], capture_output=True, text=True, timeout=100)
    assert "the trial of a wrong proof ended with" in said.stdout, said


def test_a_text_that_lean_cannot_read_ends_its_own_candidate_only(tmp_path):
    odd = tmp_path / os.fsdecode(b"\xff.lean")
    odd.write_text(HONEST[1])
    bytes_ = tmp_path / "bytes.lean"
    bytes_.write_bytes(HONEST[1].encode() + b"\xff")
    returns = tmp_path / "returns.lean"
    returns.write_bytes(HONEST[1].replace("\n", "\r").encode())
    texts = [("surrogate", HONEST[1] + "-- \ud800"), ("null", HONEST[1] + "\0"), ("bom", "\ufeff" + HONEST[1])]
    candidates = [bytes_, *texts, returns, lw.Proof("proof", PROOF + " \udfff"), odd, HONEST]
    results = list(lw.verify(candidates, statement=SYMMETRY, toolchain="embedded", in_order=True))
    # Behind a byte order mark Lean sees no header, which means `import Init`.
    refused = ["not_proved"] * 3 + ["statement_changed"] + ["not_proved"] * 2
    assert [result.verdict.value for result in results] == [*refused, "proved", "proved"], results
    assert "not UTF-8: invalid start byte at byte" in results[0].detail
    assert "surrogates not allowed" in results[1].detail


def test_a_candidate_that_is_no_file_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.lean")
    with pytest.raises(lw.UsageError, match="is no file"):
        list(lw.verify([tmp_path / "pipe.lean"], statement=SYMMETRY, toolchain="embedded"))


def test_no_part_of_a_large_statement_stands_for_it(tmp_path):
    """In a pool whose frames are large enough, a proof of what comes first would be one of all."""
    file = tmp_path / "statement.lean"
    with file.open("wb") as statement:
        statement.write(HEADER.encode() + b"theorem first : True := sorry\n")
        for _ in range(129):
            statement.write(b"-- " + bytes(1 << 20).replace(b"\0", b"x") + b"\n")
        statement.write(b"theorem second : False := sorry\n")
    candidate = ("half", HEADER + "theorem first : True := True.intro\n")
    size = file.stat().st_size
    with (
        lw.Pool(2, limits=lw.Limits(max_frame_bytes=1 << 28)) as pool,
        pytest.raises(lw.UsageError, match=f"has {size} bytes; at most {1 << 27}"),
    ):
        found = list(lw.verify([candidate], statement=file, pool=pool, toolchain="embedded"))
        assert not [result for result in found if result.is_proved]


def test_no_part_of_a_statement_s_declarations_stands_for_it(monkeypatch):
    """As of one whose compiled declarations are above the limit, which is a small one here."""
    for module in (candidates, collected):
        monkeypatch.setattr(module, "MAX_REQUEST_BYTES", 4000)
    statement = HEADER + "".join(f"theorem goal{n} : {n} = {n} := sorry\n" for n in range(40))
    with lw.Pool(2) as pool, pytest.raises(lw.UsageError, match="declarations of the statement take .* at most 4000"):
        next(
            lw.verify(
                [("a", HEADER + "theorem goal0 : 0 = 0 := rfl\n")], statement=statement, pool=pool, toolchain="embedded"
            )
        )


@pytest.mark.parametrize("header", [HEADER, "module\nprelude\npublic import LeanWorker.Library\n"])
def test_a_theorem_is_a_goal_whatever_it_is_called(header):
    public = "public " if "module" in header else ""
    goal = public + "theorem goal : ∃ x : { m : Nat // m = 3 }, x = x := ⟨⟨3, by sorry⟩, rfl⟩\n"
    others = (
        f"{public}theorem _t : True := by\n  have : True := by sorry\n  exact this\ntheorem goal._x : True := sorry\n"
    )
    statement = header + goal + others
    proved = statement.replace("by sorry", "by exact rfl", 1).replace("sorry", "exact True.intro", 1)
    proved = proved.replace("sorry", "True.intro")
    candidates = [("same", statement), ("dropped", header + goal), ("proved", proved)]
    results = list(lw.verify(candidates, statement=statement, toolchain="embedded", in_order=True))
    assert [result.verdict.value for result in results] == ["forbidden_axiom", "statement_changed", "proved"], results
    assert results[1].aspect == "missing"
    assert sorted(name.removeprefix("_private._stdin.0.") for name in results[2].axioms) == ["_t", "goal", "goal._x"]


def test_a_cancelled_verification_ends():
    token = lw.CancelToken()
    candidates = [HONEST] * 40
    results = []
    with pytest.raises(lw.Cancelled, match="were taken"):
        for result in lw.verify(candidates, statement=SYMMETRY, toolchain="embedded", cancel=token, jobs=1):
            results.append(result)
            token.cancel()
    assert results[0].is_proved
    assert all(result.is_proved or result.verdict is lw.verification.ProofVerdict.LOST for result in results)
    assert any(result.verdict is lw.verification.ProofVerdict.LOST for result in results)


def test_results_are_data():
    (result,) = lw.verify([HONEST], statement=SYMMETRY, toolchain="embedded")
    assert json.loads(msgspec.json.encode({"verdict": result.verdict, "axioms": result.axioms})) == {
        "verdict": "proved",
        "axioms": {"goal": []},
    }


# -- honest candidates, asyncio, the command line --


def test_honest_candidates_are_proved_in_any_order_with_equal_results():
    """benches/verify.py does the same with 500."""
    candidates = [honest(i) for i in range(13)]
    rounds = []
    for order in (candidates, candidates[::-1]):
        results = list(lw.verify(order, statement=HONEST_STATEMENT, toolchain="embedded"))
        assert [result for result in results if not result.is_proved] == []
        rounds.append({result.name: (result.verdict, dict(result.axioms)) for result in results})
    assert rounds[0] == rounds[1] and len(rounds[0]) == len(candidates)


def test_asyncio_gets_the_same_verdicts_and_cancels():
    async def collect():
        candidates = [HONEST, ("sorry", SYMMETRY)]
        results = lw.verification.verify_async(candidates, statement=SYMMETRY, toolchain="embedded", in_order=True)
        return [result.verdict.value async for result in results]

    async def cancel():
        endless = HEADER + "partial def loop (n : Nat) : IO Unit := loop (n + 1)\n#eval loop 0\n"
        candidates = [HONEST, ("endless", endless)]
        first = asyncio.Event()

        async def work():
            async for _ in lw.verification.verify_async(
                candidates, statement=SYMMETRY, toolchain="embedded", jobs=1, timeout=None
            ):
                first.set()

        task = asyncio.create_task(work())
        await first.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    assert asyncio.run(collect()) == ["proved", "forbidden_axiom"]
    asyncio.run(cancel())
    ours = psutil.Process()
    wait_until(lambda: not [p for p in ours.children(recursive=True) if p.status() != psutil.STATUS_ZOMBIE])


@pytest.mark.parametrize(("names", "code"), [(["honest"], 0), (["honest", "fixed"], 1)])
def test_the_command_line_tells_verdicts_as_json(names, code):
    folder = CORPUS / "universes"
    files = [str(folder / f"{name}.lean") for name in names]
    argv = [sys.executable, "-m", "lean_worker.cli", "verify", str(folder / "statement.lean"), *files]
    said = subprocess.run([*argv, "--json", "--toolchain", "embedded"], capture_output=True, text=True, timeout=100)
    assert said.returncode == code, said.stderr
    facts = json.loads(said.stdout)
    assert [Path(item["name"]).stem for item in facts["candidates"]] == names
    assert facts["counts"]["proved"] == 1 and sum(facts["counts"].values()) == len(names)
    assert facts["candidates"][-1]["aspect"] == (None if code == 0 else "universe parameters")


def test_the_command_line_explains_itself():
    folder = CORPUS / "universes"
    argv = [
        sys.executable,
        "-m",
        "lean_worker.cli",
        "verify",
        str(folder / "statement.lean"),
        str(folder / "fixed.lean"),
    ]
    said = subprocess.run([*argv, "--toolchain", "embedded"], capture_output=True, text=True, timeout=100)
    assert said.returncode == 1
    assert "statement_changed" in said.stderr and "universe" in said.stderr
    missing = subprocess.run([*argv[:-1], "none.lean"], capture_output=True, text=True, timeout=100)
    assert missing.returncode not in (0, 1, 3) or "cannot be read" in missing.stderr
