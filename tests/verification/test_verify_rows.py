"""Crafted declarations: whatever rows say, a judge calls nothing proved that Lean's kernel does not prove."""

from __future__ import annotations

import contextlib
import random

import msgspec
import psutil
import pytest

import lean_worker as lw
from lean_worker.child.verification import wire
from lean_worker.verification.bench import Bench
from lean_worker.verification.capabilities import JudgeCapability, Verifier
from verify_rows import Rows, enumeration, open_statement

pytestmark = pytest.mark.lean
STANDARD = [["propext"], ["Classical", "choice"], ["Quot", "sound"]]


@pytest.fixture(scope="module")
def pool():
    with lw.Pool(3, limits=lw.Limits(max_frame_bytes=1 << 26)) as pool:
        yield pool


def bench_of(pool, statement):
    return Bench(pool, JudgeCapability(Verifier(None, "embedded")), statement.encoded(), STANDARD, 60.0, None)


@pytest.fixture(scope="module")
def bench(pool):
    with bench_of(pool, open_statement("False")) as bench:
        yield bench


CRAFTED = {}


def crafted(verdict, **facts):
    def keep(build):
        CRAFTED[build.__name__] = (build, verdict, facts)
        return build

    return keep


@crafted("not_replayed", reason="declTypeMismatch")
def wrong_proof(rows):
    rows.goal(rows.const("True.intro"))


@crafted("not_replayed", reason="unknownConstant", declaration="goal")
def undeclared_proof(rows):
    rows.goal(rows.const("nobody"))


@crafted("not_replayed", reason="cycle")
def proof_in_a_circle(rows):
    rows.goal(rows.const("other"))
    rows.declare("theorem", "other", rows.const("False"), rows.const("goal"))


@crafted("not_replayed", reason="unknownConstant")
def proof_by_itself(rows):
    rows.goal(rows.const("goal"))


@crafted("forbidden_axiom", axiom="cheat")
def own_axiom(rows):
    rows.declare("axiom", "cheat", rows.const("False"))
    rows.goal(rows.const("cheat"))


@crafted("forbidden_axiom", axiom="propext")
def axiom_in_place_of_an_imported_one(rows):
    rows.declare("axiom", "propext", rows.const("False"))
    rows.goal(rows.const("propext"))


@crafted("forbidden_axiom", axiom="«Classical.choice»")
def axiom_that_reads_like_another(rows):
    number = rows._number(rows.names, 1, (0, "Classical.choice"))
    rows.constants.append(wire.Constant("axiom", number, (), rows.const("False")))
    rows.goal(rows.add(wire.CONST, number, ()))


@crafted("forbidden_axiom", axiom="cheat")
def axiom_in_the_value_of_an_opaque(rows):
    rows.declare("axiom", "cheat", rows.const("False"))
    rows.declare("opaque", "hidden", rows.const("False"), rows.const("cheat"))
    rows.goal(rows.const("hidden"))


@crafted("forbidden_axiom", axiom="cheat")
def axiom_as_a_field_type_of_a_type(rows):
    rows.declare("axiom", "cheat", rows.const("False"))
    enumeration(rows, "Box")
    rows.goal(rows.app(rows.fun(rows.const("Box"), rows.const("cheat")), rows.const("Box.mk")))


@crafted("not_replayed", reason="alreadyDeclared")
def false_declared_again(rows):
    rows.declare("definition", "False", rows.sort(), rows.const("True"), height=0)
    rows.goal(rows.const("True.intro"))


@crafted("not_replayed", reason="reservedName", declaration="eagerReduce")
def name_of_the_kernel(rows):
    rows.declare("definition", "eagerReduce", rows.const("True"), rows.const("True.intro"), height=0)
    rows.goal(rows.const("eagerReduce"))


@crafted("not_replayed", reason="reservedName")
def name_of_a_nested_copy(rows):
    rows.declare("definition", "_nested.List_1", rows.const("True"), rows.const("True.intro"), height=0)
    rows.goal(rows.const("True.intro"))


@crafted("not_replayed", reason="unknownConstant")
def mention_of_a_nested_copy(rows):
    enumeration(rows, "Box")
    rows.constants[1] = msgspec.structs.replace(
        rows.constants[1], type=rows.arrow(rows.const("_nested.List_1"), rows.const("Box"))
    )
    rows.goal(rows.app(rows.const("Box.mk"), rows.const("True.intro")))


@crafted("not_replayed", reason="unsafe", declaration="loop")
def unsafe_proof(rows):
    rows.declare("definition", "loop", rows.const("False"), rows.const("loop"), unsafe=True, height=0)
    rows.goal(rows.const("loop"))


@crafted("not_replayed")
def unsafe_type(rows):
    enumeration(rows, "Box")
    rows.constants[0] = msgspec.structs.replace(rows.constants[0], unsafe=True)
    rows.goal(rows.const("Box.mk"))


@crafted("not_replayed", reason="thmTypeIsNotProp")
def theorem_that_is_data(rows):
    rows.declare("theorem", "data", rows.const("Nat"), rows.add(wire.NATURAL, "5"))
    rows.goal(rows.const("data"))


@crafted("not_replayed", reason="other")
def duplicate_universes(rows):
    rows.declare("theorem", "lemma", rows.const("True"), rows.const("True.intro"), levels=("u", "u"))
    rows.goal(rows.const("lemma", 0, 0))


@crafted("not_replayed", reason="other")
def undeclared_universe(rows):
    rows.declare(
        "theorem", "lemma", rows.arrow(rows.sort(rows.param("u")), rows.const("True")), rows.const("True.intro")
    )
    rows.goal(rows.const("lemma"))


@crafted("not_replayed")
def too_many_universes(rows):
    rows.goal(rows.app(rows.const("False.elim", 0, 0, 0), rows.const("False"), rows.const("True.intro")))


@crafted("not_replayed")
def loose_variable(rows):
    rows.goal(rows.var(0))


@crafted("not_replayed", reason="letTypeMismatch")
def let_of_another_type(rows):
    rows.goal(rows.add(wire.LET, rows.const("False"), rows.const("True.intro"), rows.var(0)))


@crafted("not_replayed")
def field_of_no_structure(rows):
    rows.goal(rows.add(wire.PROJ, rows.name("Nat"), 0, rows.add(wire.NATURAL, "5")))


@crafted("not_replayed")
def field_that_is_not_there(rows):
    pair = rows.app(rows.const("And.intro"), rows.const("True"), rows.const("True"), *[rows.const("True.intro")] * 2)
    rows.goal(rows.add(wire.PROJ, rows.name("And"), 2, pair))


@crafted("not_replayed")
def field_far_away(rows):
    pair = rows.app(rows.const("And.intro"), rows.const("True"), rows.const("True"), *[rows.const("True.intro")] * 2)
    rows.goal(rows.add(wire.PROJ, rows.name("And"), (1 << 32) - 1, pair))


@crafted("not_replayed")
def field_under_another_name(rows):
    pair = rows.app(rows.const("And.intro"), rows.const("True"), rows.const("True"), *[rows.const("True.intro")] * 2)
    rows.goal(rows.add(wire.PROJ, rows.name("Or"), 0, pair))


@crafted("not_replayed", reason="differs", declaration="Box.rec")
def recursor_of_another_type(rows):
    this = rows.const("Box")
    enumeration(rows, "Box", type_=rows.arrow(this, rows.const("False")), levels=(), rules=())
    rows.goal(rows.app(rows.const("Box.rec"), rows.const("Box.mk")))


@crafted("not_replayed", reason="differs")
def recursor_without_its_rule(rows):
    enumeration(rows, "Box", rules=())
    rows.goal(rows.const("Box.mk"))


@crafted("not_replayed", reason="orphan", declaration="Box.rec")
def recursor_of_another_group(rows):
    enumeration(rows, "Box", group=("Box", "Box"))
    rows.goal(rows.const("Box.mk"))


@crafted("not_replayed", reason="orphan", declaration="Box.rec")
def recursor_that_is_a_definition(rows):
    enumeration(rows, "Box")
    rows.constants.pop()
    rows.declare("definition", "Box.rec", rows.const("True"), rows.const("True.intro"), height=0)
    rows.goal(rows.const("Box.mk"))


@crafted("not_replayed", reason="orphan", declaration="Box.rec_1")
def recursor_that_is_a_theorem(rows):
    enumeration(rows, "Box")
    rows.declare("theorem", "Box.rec_1", rows.const("True"), rows.const("True.intro"))
    rows.goal(rows.app(rows.const("Box.mk"), rows.const("Box.rec_1")))


@crafted("not_replayed", reason="orphan")
def recursor_of_nothing(rows):
    rows.declare("recursor", "free", rows.const("False"), numbers=(0, 0, 1, 1), flags=(False,), group=("True",))
    rows.goal(rows.const("free"))


@crafted("not_replayed", reason="orphan")
def constructor_of_nothing(rows):
    rows.declare("constructor", "free", rows.const("False"), numbers=(0, 0, 0), inductive="False")
    rows.goal(rows.const("free"))


@crafted("not_replayed", reason="orphan")
def constructor_that_is_a_definition(rows):
    enumeration(rows, "Box")
    del rows.constants[1]
    rows.declare("definition", "Box.mk", rows.const("Box"), rows.const("Box.mk"), height=0)
    rows.goal(rows.const("Box.rec", 0))


@crafted("not_replayed", reason="orphan")
def group_that_is_split(rows):
    enumeration(rows, "Box")
    enumeration(rows, "Crate")
    rows.constants[0] = msgspec.structs.replace(rows.constants[0], group=(rows.name("Box"), rows.name("Crate")))
    rows.goal(rows.const("Box.mk"))


@crafted("not_replayed", reason="differs")
def counts_that_are_wrong(rows):
    enumeration(rows, "Box", numbers=(0, 0, 1, 2))
    rows.goal(rows.const("Box.mk"))


@crafted("not_replayed", reason="differs")
def type_said_to_be_recursive(rows):
    enumeration(rows, "Box")
    rows.constants[0] = msgspec.structs.replace(rows.constants[0], flags=(True, False))
    rows.goal(rows.const("Box.mk"))


@crafted("not_replayed", reason="other")
def type_that_is_not_positive(rows):
    enumeration(rows, "Bad")
    argument = rows.arrow(rows.const("Bad"), rows.const("False"))
    rows.constants[1] = msgspec.structs.replace(rows.constants[1], type=rows.arrow(argument, rows.const("Bad")))
    rows.goal(rows.const("Bad.mk"))


@crafted("not_replayed", reason="other")
def type_in_too_small_a_universe(rows):
    enumeration(rows, "Small")
    rows.constants[1] = msgspec.structs.replace(
        rows.constants[1], type=rows.arrow(rows.sort(rows.level(wire.LEVEL_SUCC, 0)), rows.const("Small"))
    )
    rows.goal(rows.const("Small.mk"))


@crafted("not_replayed")
def proposition_that_eliminates_into_data(rows):
    # Two constructors in Prop: the kernel's recursor goes into Prop only.
    enumeration(rows, "Two")
    rows.constants[0] = msgspec.structs.replace(
        rows.constants[0], type=rows.sort(), constructors=(rows.name("Two.mk"), rows.name("Two.other"))
    )
    rows.declare("constructor", "Two.other", rows.const("Two"), inductive="Two", numbers=(1, 0, 0))
    rows.goal(rows.const("Two.mk"))


@crafted("not_replayed", reason="quotient")
def quotient(rows):
    rows.declare("quotient", "Quotient2", rows.const("False"), numbers=(0,))
    rows.goal(rows.const("Quotient2"))


@crafted("not_replayed", reason="appTypeMismatch")
def universe_of_all_universes(rows):
    # (fun (T : Type) => True.intro) Type
    type_ = rows.sort(rows.level(wire.LEVEL_SUCC, 0))
    rows.goal(rows.app(rows.fun(type_, rows.const("True.intro")), type_))


@crafted("not_replayed")
def huge_numeral(rows):
    # 2^100000 = 2^100000 as a proof of False: computed, and refused.
    number = rows.add(wire.NATURAL, "f" * 25_000)
    rows.goal(rows.app(rows.const("Nat.succ"), number))


@crafted("statement_changed", aspect="kind")
def goal_that_is_a_definition(rows):
    rows.declare("definition", "goal", rows.const("False"), rows.const("True.intro"), height=0)


@crafted("statement_changed", aspect="universe parameters")
def goal_with_a_universe(rows):
    rows.declare("theorem", "goal", rows.const("False"), rows.const("True.intro"), levels=("u",))


@crafted("statement_changed", aspect="safety")
def goal_that_is_unsafe(rows):
    rows.declare("theorem", "goal", rows.const("False"), rows.const("goal"), unsafe=True)


@crafted("statement_changed", aspect="missing")
def goal_of_a_longer_name(rows):
    number = rows._number(rows.names, 1, (0, "goal\0"))
    rows.constants.append(wire.Constant("theorem", number, (), rows.const("True"), value=rows.const("True.intro")))


@pytest.mark.parametrize("name", CRAFTED)
def test_a_crafted_declaration_is_refused(bench, name):
    build, verdict, facts = CRAFTED[name]
    rows = Rows()
    build(rows)
    decision = bench.judge(rows.encoded()).decision
    assert decision is not None
    assert decision.verdict == verdict, decision
    assert {key: getattr(decision, key) for key in facts} == facts, decision


def test_the_builder_builds_what_the_kernel_makes(pool):
    """Else the refusals above could have another cause."""
    rows = Rows()
    enumeration(rows, "Box")
    proof = rows.app(rows.fun(rows.const("Box"), rows.const("True.intro")), rows.const("Box.mk"))
    rows.declare("theorem", "goal", rows.const("True"), proof)
    with bench_of(pool, open_statement("True")) as bench:
        assert bench.judge(rows.encoded()).decision.verdict == "proved"


def changed(rows, **fields):
    return [msgspec.json.encode({**msgspec.to_builtins(rows.terms()), **fields})]


def no_imports(rows):
    return [msgspec.json.encode(msgspec.structs.replace(rows.terms(), imports=None))]


BAD_ROWS = {
    "a variable beyond Lean's": lambda rows: changed(rows, expressions=[[0, (1 << 20) - 1]]),
    "a negative variable": lambda rows: changed(rows, expressions=[[0, -1]]),
    "a kind that is a float": lambda rows: changed(rows, expressions=[[3.0, 0]]),
    "a kind that is a bool": lambda rows: changed(rows, expressions=[[False, 0]]),
    "an unknown kind": lambda rows: changed(rows, expressions=[[2, 0]]),
    "a hole": lambda rows: changed(rows, expressions=[[1, 0]]),
    "too few parts": lambda rows: changed(rows, expressions=[[5, 0]]),
    "a number from the end": lambda rows: changed(rows, expressions=[[3, 0], [5, -1, -1]]),
    "a number of itself": lambda rows: changed(rows, expressions=[[5, 0, 0]]),
    "a decimal point": lambda rows: changed(rows, expressions=[[9, "1.5"]]),
    "no digits": lambda rows: changed(rows, expressions=[[9, ""]]),
    "too many digits": lambda rows: changed(rows, expressions=[[9, "1" * 70_000]]),
    "a number for a numeral": lambda rows: changed(rows, expressions=[[9, 5]]),
    "a number for a text": lambda rows: changed(rows, expressions=[[12, 5]]),
    "a level with a hole": lambda rows: changed(rows, levels=[[5, 0]]),
    "a name of nothing": lambda rows: changed(rows, names=[[7, "x"]]),
    "a name with a huge number": lambda rows: changed(rows, names=[[0, 1 << 62]]),
    "levels that are a text": lambda rows: changed(rows, names=[[0, "x"]], expressions=[[4, 1, "u"]]),
    "no end": no_imports,
    "deep JSON": lambda rows: [b'{"expressions":' + b"[" * 5000 + b"]" * 5000 + b"}"],
}


@pytest.mark.parametrize("what", BAD_ROWS)
def test_rows_of_the_wrong_form_are_told(bench, what):
    rows = Rows()
    rows.goal(rows.const("True.intro"))
    try:
        judged = bench.judge(BAD_ROWS[what](rows))
    except lw.LeanWorkerError as error:  # the request itself is refused
        assert "deep" in what, error
        return
    assert judged.decision is None
    assert judged.bad_data


def test_a_declaration_that_comes_twice_is_told(bench):
    rows = Rows()
    rows.goal(rows.const("True.intro"))
    rows.goal(rows.const("True.intro"))
    assert "twice" in bench.judge(rows.encoded()).bad_data


@pytest.mark.parametrize("which", ["its worker", "the process that has imported"])
def test_a_judge_that_died_while_it_was_idle_is_replaced(which):
    """Nothing was sent to it, so that no candidate is lost for that."""
    word = "judge" if which == "its worker" else "judge_process"

    def is_judge(process):
        with contextlib.suppress(psutil.NoSuchProcess):
            words = process.cmdline()
            return word in words or (word == "judge_process" and any(word in each for each in words))
        return False

    own = Rows()
    own_axiom(own)
    others = psutil.Process().children(recursive=True)
    with lw.Pool(2) as pool, bench_of(pool, open_statement("False")) as bench:
        for _ in range(2):
            assert bench.judge(own.encoded()).decision.axiom == "cheat"
            ours = [each for each in psutil.Process().children(recursive=True) if each not in others]
            judges = [each for each in ours if is_judge(each)]
            for each in judges:
                each.kill()
            assert judges
            psutil.wait_procs(judges, timeout=10)
        assert bench.judge(own.encoded()).decision.axiom == "cheat"


@pytest.mark.parametrize("depth", [300_000])
def test_a_term_that_is_too_deep_ends_its_own_judgement_only(bench, depth):
    rows = Rows()
    term = rows.const("True.intro")
    for _ in range(depth):
        term = rows.add(wire.APP, term, 0)
    rows.goal(term)
    judged = bench.judge(rows.encoded())
    assert judged.decision is None or judged.decision.verdict == "not_replayed"
    own = Rows()
    own_axiom(own)
    assert bench.judge(own.encoded()).decision.axiom == "cheat"


def test_a_proof_that_the_kernel_computes_for_ever_times_out(pool):
    rows = Rows()
    number = rows.const("Nat")
    one = rows.level(wire.LEVEL_SUCC, 0)
    function = rows.arrow(number, number)
    # f 0 x = x, f (n + 1) x = f n (2 * x) + f n (2 * x + 1): two to the sixtieth steps, and no deep recursion.
    doubled = rows.app(rows.const("Nat.mul"), rows.add(wire.NATURAL, "2"), rows.var(0))
    left, right = rows.app(rows.var(1), doubled), rows.app(rows.var(1), rows.app(rows.const("Nat.succ"), doubled))
    step = rows.fun(number, rows.fun(function, rows.fun(number, rows.app(rows.const("Nat.add"), left, right))))
    identity = rows.fun(number, rows.var(0))
    sixty, motive = rows.add(wire.NATURAL, "3c"), rows.fun(number, function)
    endless = rows.app(rows.const("Nat.rec", one), motive, identity, step, sixty, rows.add(wire.NATURAL, "1"))
    claim = rows.app(rows.const("Eq", one), number, endless, rows.add(wire.NATURAL, "1"))
    proof = rows.app(rows.const("Eq.refl", one), number, endless)
    rows.goal(rows.app(rows.fun(claim, rows.const("True.intro")), proof))
    slow = Bench(
        pool, JudgeCapability(Verifier(None, "embedded")), open_statement("False").encoded(), STANDARD, 3.0, None
    )
    with slow as bench:
        assert bench.judge(rows.encoded()).timed_out
        own = Rows()
        own_axiom(own)
        assert bench.judge(own.encoded()).decision.axiom == "cheat"


def test_imports_must_be_those_of_the_statement(bench):
    rows = Rows()
    rows.goal(rows.const("True.intro"))
    terms = rows.terms()
    for imports in ([], [wire.Import(rows.name("Other"), (False, True, False))], [wire.Import(1, (True, True, False))]):
        data = [msgspec.json.encode(msgspec.structs.replace(terms, names=rows.names, imports=imports))]
        decision = bench.judge(data).decision
        assert (decision.verdict, decision.aspect) == ("statement_changed", "imports")


def test_random_changes_of_crafted_rows_prove_nothing(bench):
    """No change of kinds, numbers or texts makes `False` proved, nor ends the judge."""
    chosen = random.Random(19)
    builders = [build for build, _, _ in CRAFTED.values()]
    for _ in range(80):
        rows = Rows()
        chosen.choice(builders)(rows)
        data = msgspec.to_builtins(rows.terms())
        for _ in range(chosen.randint(1, 3)):
            mutate(chosen, data)
        try:
            judged = bench.judge([msgspec.json.encode(data)])
        except lw.CommandFailed:
            continue
        assert judged.decision is None or judged.decision.verdict != "proved", data


def mutate(chosen, data):
    kind = chosen.choice([key for key in ("names", "levels", "expressions", "constants") if data.get(key)])
    place = chosen.randrange(len(data[kind]))
    if kind != "constants":
        entry = list(data[kind][place])
        entry[chosen.randrange(len(entry))] = chosen.choice([0, 1, 2, 3, 4, 5, 9, 1 << 20, "x", "", True, None, [0]])
        data[kind][place] = entry
        return
    constant = dict(data[kind][place])
    constant[chosen.choice(list(constant))] = chosen.choice([0, 1, 2, 3, "axiom", "theorem", [0], [1, 2], True, None])
    data[kind][place] = constant
