"""Attempts to get a verdict for `False` or for another statement, by declarations that no elaborator made.

Some are public proofs of False for other kernels or other versions of Lean's. Each is refused for the reason that is
its own; how the rows are read and replayed is in test_verify_rows.py.
"""

from __future__ import annotations

import msgspec
import pytest

import lean_worker as lw
from lean_worker.child.verification import wire
from lean_worker.verification.bench import Bench
from lean_worker.verification.capabilities import JudgeCapability, Verifier
from verify_rows import Rows, enumeration, open_statement

pytestmark = pytest.mark.lean
ATTEMPTS = {}


def attempt(verdict, **facts):
    def keep(build):
        ATTEMPTS[build.__name__] = (build, verdict, facts)
        return build

    return keep


@pytest.fixture(scope="module")
def pool():
    with lw.Pool(3, limits=lw.Limits(max_frame_bytes=1 << 26)) as pool:
        yield pool


def bench_of(pool, statement):
    return Bench(pool, JudgeCapability(Verifier(None, "embedded")), statement.encoded(), [["propext"]], 60.0, None)


@pytest.fixture(scope="module")
def bench(pool):
    with bench_of(pool, open_statement("False")) as bench:
        yield bench


def type_of(rows, name, constructors, *, sort=None, group=None, numbers=(0, 0, 0), flags=(False, False), levels=()):
    """An inductive type without its recursor, which the kernel makes anyway; constructors by name, with their types."""
    kind = rows.sort(rows.level(wire.LEVEL_SUCC, 0)) if sort is None else sort
    rows.declare(
        "inductive",
        name,
        kind,
        levels=levels,
        numbers=numbers,
        flags=flags,
        group=group or (name,),
        constructors=tuple(made for made, _, _ in constructors),
    )
    for place, (made, made_type, fields) in enumerate(constructors):
        counts = (place, numbers[0], fields)
        rows.declare("constructor", made, made_type, levels=levels, inductive=name, numbers=counts)


def uses(rows, term, type_):
    """A proof of True that mentions `term`, where False is asked for: refused at the latest for that."""
    rows.goal(rows.app(rows.fun(type_, rows.const("True.intro")), term))


# -- public proofs of False --


@attempt("not_replayed", reason="orphan", declaration="I.rec")
def constructor_called_like_its_recursor(rows):
    type_of(rows, "I", [("I.rec", rows.const("I"), 0)], sort=rows.sort())
    uses(rows, rows.const("I.rec"), rows.const("I"))


@attempt("not_replayed", reason="invalidProj")
def projection_of_a_type_with_two_constructors(rows):
    this = rows.const("Bad")
    first, second = rows.arrow(rows.const("False"), this), rows.arrow(rows.const("True"), this)
    type_of(rows, "Bad", [("Bad.mk1", first, 1), ("Bad.mk2", second, 1)], sort=rows.sort())
    made = rows.app(rows.const("Bad.mk2"), rows.const("True.intro"))
    rows.goal(rows.add(wire.PROJ, rows.name("Bad"), 0, made))


@attempt("not_replayed", reason="appTypeMismatch", declaration="goal")
def projection_of_an_ill_typed_structure(rows):
    type_of(rows, "W", [("W.mk", rows.arrow(rows.const("False"), rows.const("W")), 1)], sort=rows.sort())
    rows.goal(rows.add(wire.PROJ, rows.name("W"), 0, rows.app(rows.const("W.mk"), rows.const("True.intro"))))


@attempt("not_replayed", reason="invalidProj", declaration="taken")
def data_out_of_a_proposition(rows):
    this = rows.const("P")
    type_of(rows, "P", [("P.mk", rows.arrow(rows.const("Bool"), this), 1)], sort=rows.sort())
    taken = rows.fun(this, rows.add(wire.PROJ, rows.name("P"), 0, rows.var(0)))
    rows.declare("definition", "taken", rows.arrow(this, rows.const("Bool")), taken, height=0)
    uses(rows, rows.const("taken"), rows.arrow(this, rows.const("Bool")))


def structures(rows):
    """`P : Prop | mk (b : Bool)`, `C | mk (b : Bool)`, `W | mk (p : P)`, and `L (α : Type) (b : Bool) : Type | mk`."""
    boolean, one = rows.const("Bool"), rows.sort(rows.level(wire.LEVEL_SUCC, 0))
    type_of(rows, "P", [("P.mk", rows.arrow(boolean, rows.const("P")), 1)], sort=rows.sort())
    type_of(rows, "C", [("C.mk", rows.arrow(boolean, rows.const("C")), 1)])
    type_of(rows, "W", [("W.mk", rows.arrow(rows.const("P"), rows.const("W")), 1)])
    kind = rows.arrow(one, rows.arrow(boolean, one))
    made = rows.app(rows.const("L"), rows.var(1), rows.var(0))
    type_of(rows, "L", [("L.mk", rows.arrow(one, rows.arrow(boolean, made)), 0)], sort=kind, numbers=(2, 0, 0))


@attempt("not_replayed", declaration="E")
def projection_of_another_structure_within_a_nested_type(rows):
    structures(rows)
    world, one = rows.const("W"), rows.sort(rows.level(wire.LEVEL_SUCC, 0))
    inner = rows.add(wire.PROJ, rows.name("C"), 0, rows.add(wire.PROJ, rows.name("C"), 0, rows.var(0)))
    nested = rows.app(rows.const("L"), rows.app(rows.const("E"), rows.var(0)), inner)
    made = rows.arrow(world, rows.arrow(nested, rows.app(rows.const("E"), rows.var(1))))
    type_of(rows, "E", [("E.mk", made, 1)], sort=rows.arrow(world, one), numbers=(1, 0, 1), flags=(True, False))
    uses(rows, rows.const("E.mk"), made)


@attempt("not_replayed", reason="unknownConstant")
def projection_of_a_nested_copy(rows):
    structures(rows)
    number = rows.name("_nested.E_1")
    inner = rows.arrow(rows.const("W"), rows.add(wire.PROJ, number, 0, rows.var(0)))
    type_of(rows, "E", [("E.mk", rows.arrow(inner, rows.const("E")), 1)])
    uses(rows, rows.const("E.mk"), rows.const("E"))


@attempt("not_replayed", reason="other", declaration="N")
def occurrence_with_another_parameter(rows):
    one = rows.sort(rows.level(wire.LEVEL_SUCC, 0))
    # N (α : Type) | mk : (fun (_ : Type) => Nat) (N Nat) → N α
    erased = rows.app(rows.fun(one, rows.const("Nat")), rows.app(rows.const("N"), rows.const("Nat")))
    made = rows.arrow(one, rows.arrow(erased, rows.app(rows.const("N"), rows.var(1))))
    type_of(rows, "N", [("N.mk", made, 1)], sort=rows.arrow(one, one), numbers=(1, 0, 0), flags=(True, False))
    uses(rows, rows.const("N.mk"), made)


@attempt("not_replayed", reason="declTypeMismatch", declaration="down")
def universe_that_falls_by_imax(rows):
    smaller = rows.level(wire.LEVEL_IMAX, rows.param("u"), rows.param("v"))
    falls(rows, smaller, ("u", "v"))


@attempt("not_replayed", reason="declTypeMismatch", declaration="down")
def universe_that_falls_by_imax_of_zero(rows):
    falls(rows, rows.level(wire.LEVEL_IMAX, 0, rows.param("v")), ("v",))


def falls(rows, smaller, levels):
    larger = rows.sort(rows.level(wire.LEVEL_SUCC, smaller))
    type_ = rows.arrow(larger, rows.sort(smaller))
    rows.declare("definition", "down", type_, rows.fun(larger, rows.var(0)), levels=levels, height=0)
    rows.goal(rows.const("down", *[0] * len(levels)))


@attempt("not_replayed", declaration="power")
def power_of_an_unknown_number(rows):
    rows.declare("opaque", "n", rows.const("Nat"), rows.add(wire.NATURAL, "2"))
    two, four = rows.add(wire.NATURAL, "2"), rows.add(wire.NATURAL, "4")
    one = rows.level(wire.LEVEL_SUCC, 0)
    claim = rows.app(
        rows.const("Eq", one), rows.const("Nat"), rows.app(rows.const("Nat.pow"), rows.const("n"), two), four
    )
    rows.declare("theorem", "power", claim, rows.app(rows.const("Eq.refl", one), rows.const("Nat"), four))
    uses(rows, rows.const("power"), claim)


@attempt("not_replayed", reason="differs", declaration="Box.rec")
def recursor_that_says_it_computes_by_type(rows):
    enumeration(rows, "Box", flags=(True,))
    uses(rows, rows.const("Box.mk"), rows.const("Box"))


# -- names, groups and order --


@attempt("not_replayed", reason="orphan", declaration="Box.other")
def constructor_that_its_type_does_not_name(rows):
    enumeration(rows, "Box")
    rows.declare("constructor", "Box.other", rows.const("False"), inductive="Box", numbers=(1, 0, 0))
    rows.goal(rows.const("Box.other"))


@attempt("not_replayed", reason="orphan")
def recursor_that_names_another_group_to_hide_its_type(rows):
    enumeration(rows, "Box")
    enumeration(rows, "Crate")
    box = rows.constants[2]
    rows.constants[2] = msgspec.structs.replace(box, group=(rows.name("Crate"), rows.name("Box")))
    rows.goal(rows.const("Box.rec", 0))


@attempt("not_replayed", reason="alreadyDeclared", declaration="Box")
def constructor_with_an_imported_name(rows):
    type_of(rows, "Box", [("And.left", rows.const("Box"), 0)])
    uses(rows, rows.const("And.left"), rows.const("Box"))


@attempt("not_replayed", reason="alreadyDeclared", declaration="Box")
def type_with_an_imported_name(rows):
    type_of(rows, "Box", [("Box.mk", rows.const("Box"), 0)], group=("Box", "Or"))
    type_of(rows, "Or", [("Or.mk", rows.const("Or"), 0)], group=("Box", "Or"))
    uses(rows, rows.const("Or.mk"), rows.const("Or"))


@attempt("not_replayed", reason="other", declaration="Box")
def constructor_that_is_named_twice(rows):
    type_of(rows, "Box", [("Box.mk", rows.const("Box"), 0)])
    rows.constants[0] = msgspec.structs.replace(rows.constants[0], constructors=(rows.name("Box.mk"),) * 2)
    uses(rows, rows.const("Box.mk"), rows.const("Box"))


@attempt("not_replayed", reason="orphan")
def constructor_of_two_types(rows):
    both = ("Box", "Crate")
    type_of(rows, "Box", [("mk", rows.const("Box"), 0)], group=both)
    type_of(rows, "Crate", [], group=both)
    rows.constants[-1] = msgspec.structs.replace(rows.constants[-1], constructors=(rows.name("mk"),))
    uses(rows, rows.const("mk"), rows.const("Box"))


@attempt("not_replayed", reason="orphan", declaration="Crate")
def types_that_disagree_on_their_order(rows):
    type_of(rows, "Box", [("Box.mk", rows.const("Box"), 0)], group=("Box", "Crate"))
    type_of(rows, "Crate", [("Crate.mk", rows.const("Crate"), 0)], group=("Crate", "Box"))
    uses(rows, rows.const("Box.mk"), rows.const("Box"))


@attempt("not_replayed", reason="alreadyDeclared", declaration="Box")
def type_that_is_twice_in_its_group(rows):
    type_of(rows, "Box", [("Box.mk", rows.const("Box"), 0)], group=("Box", "Box"))
    uses(rows, rows.const("Box.mk"), rows.const("Box"))


@attempt("not_replayed", reason="unknownConstant")
def type_that_rests_on_what_rests_on_it(rows):
    type_of(rows, "Box", [("Box.mk", rows.arrow(rows.const("alias"), rows.const("Box")), 1)])
    kind = rows.sort(rows.level(wire.LEVEL_SUCC, 0))
    rows.declare("definition", "alias", kind, rows.const("Box"), height=0)
    uses(rows, rows.const("Box.mk"), rows.const("Box"))


@attempt("not_replayed", reason="cycle")
def theorems_that_rest_on_each_other_by_their_types(rows):
    holds = rows.fun(rows.const("True"), rows.const("True"))
    for name, other in (("one", "two"), ("two", "one")):
        rows.declare("theorem", name, rows.app(holds, rows.const(other)), rows.const("True.intro"))
    uses(rows, rows.const("one"), rows.const("True"))


@attempt("not_replayed", reason="differs", declaration="Box")
def type_with_endless_nested_copies(rows):
    type_of(rows, "Box", [("Box.mk", rows.const("Box"), 0)], numbers=(0, 0, (1 << 62) - 1))
    uses(rows, rows.const("Box.mk"), rows.const("Box"))


@attempt("not_replayed", reason="declTypeMismatch", declaration="")
def theorem_without_a_name(rows):
    rows.constants.append(wire.Constant("theorem", 0, (), rows.const("False"), value=rows.const("True.intro")))
    rows.goal(rows.add(wire.CONST, 0, ()))


# -- terms --


@attempt("forbidden_axiom", axiom="cheat")
def axiom_in_the_domain_of_a_function(rows):
    rows.declare("axiom", "cheat", rows.sort())
    rows.goal(rows.app(rows.fun(rows.const("cheat"), rows.const("True.intro")), rows.const("True.intro")))


@attempt("forbidden_axiom", axiom="cheat")
def axiom_in_the_type_of_a_lemma(rows):
    rows.declare("axiom", "cheat", rows.sort())
    claim = rows.arrow(rows.const("cheat"), rows.const("True"))
    rows.declare("theorem", "lemma", claim, rows.fun(rows.const("cheat"), rows.const("True.intro")))
    rows.goal(rows.const("lemma"))


@attempt("forbidden_axiom", axiom="cheat")
def axiom_in_the_constructor_of_a_type_that_is_mentioned_by_its_recursor_only(rows):
    rows.declare("axiom", "cheat", rows.sort())
    type_of(rows, "Box", [("Box.mk", rows.arrow(rows.const("cheat"), rows.const("Box")), 1)])
    rows.declare("recursor", "Box.rec", rows.const("True"), group=("Box",), numbers=(0, 0, 1, 1), flags=(False,))
    rows.goal(rows.const("Box.rec", 0))


@attempt("not_replayed", reason="declTypeMismatch", declaration="hidden")
def opaque_of_another_type(rows):
    rows.declare("opaque", "hidden", rows.const("False"), rows.const("True.intro"))
    rows.goal(rows.const("hidden"))


@attempt("not_replayed", reason="typeExpected", declaration="untyped")
def definition_whose_type_is_none(rows):
    rows.declare("definition", "untyped", rows.const("True.intro"), rows.const("True.intro"), height=0)
    rows.goal(rows.const("untyped"))


@attempt("not_replayed")
def variable_that_leaves_its_binder(rows):
    rows.goal(rows.add(wire.LET, rows.const("True"), rows.const("True.intro"), rows.var(1)))


@attempt("not_replayed", reason="other", declaration="Box")
def constructor_of_another_type(rows):
    type_of(rows, "Box", [("Box.mk", rows.const("False"), 0)])
    rows.goal(rows.const("Box.mk"))


@attempt("not_replayed", reason="declTypeMismatch", declaration="texts")
def texts_that_differ_behind_a_null(rows):
    equal_literals(rows, "texts", wire.STRING, "String", "a\0b", "a\0c")


@attempt("not_replayed", reason="declTypeMismatch", declaration="numbers")
def numbers_that_differ_beyond_a_word(rows):
    equal_literals(rows, "numbers", wire.NATURAL, "Nat", "10000000000000000", "0")


@attempt("not_replayed", reason="declTypeMismatch", declaration="numbers")
def numbers_that_differ_in_their_highest_digit(rows):
    equal_literals(rows, "numbers", wire.NATURAL, "Nat", "1" + "0" * 4000, "2" + "0" * 4000)


def equal_literals(rows, name, kind, type_, left, right):
    one, world = rows.level(wire.LEVEL_SUCC, 0), rows.const(type_)
    claim = rows.app(rows.const("Eq", one), world, rows.add(kind, left), rows.add(kind, right))
    rows.declare("theorem", name, claim, rows.app(rows.const("Eq.refl", one), world, rows.add(kind, left)))
    uses(rows, rows.const(name), claim)


@pytest.mark.parametrize("name", ATTEMPTS)
def test_an_attempt_is_refused_for_its_own_reason(bench, name):
    build, verdict, facts = ATTEMPTS[name]
    rows = Rows()
    build(rows)
    decision = bench.judge(rows.encoded()).decision
    assert decision is not None
    assert decision.verdict == verdict, decision
    assert {key: getattr(decision, key) for key in facts} == facts, decision


def test_what_the_attempts_are_made_of_is_honest(pool):
    """Else they could be refused for another reason."""
    rows = Rows()
    structures(rows)
    terms = [rows.const("P.mk"), rows.const("C.mk"), rows.const("W.mk"), rows.const("L.mk")]
    types = [rows.arrow(rows.const("Bool"), rows.const("P")), rows.arrow(rows.const("Bool"), rows.const("C"))]
    types += [rows.arrow(rows.const("P"), rows.const("W"))]
    made = rows.app(rows.const("L"), rows.var(1), rows.var(0))
    types += [rows.arrow(rows.sort(rows.level(wire.LEVEL_SUCC, 0)), rows.arrow(rows.const("Bool"), made))]
    proof = rows.const("True.intro")
    for term, type_ in zip(terms, types, strict=True):
        proof = rows.app(rows.fun(type_, proof), term)
    rows.declare("theorem", "goal", rows.const("True"), proof)
    with bench_of(pool, open_statement("True")) as bench:
        decision = bench.judge(rows.encoded()).decision
        assert decision.verdict == "proved", decision


def test_a_name_of_any_length_is_told_shortened(bench):
    rows = Rows()
    number = 0
    for _ in range(3):
        number = rows._number(rows.names, 1, (number, "x" * 100_000))
    rows.goal(rows.add(wire.CONST, number, ()))
    decision = bench.judge(rows.encoded()).decision
    assert decision.reason == "unknownConstant" and len(decision.detail) < 5000


def test_counts_below_zero_are_no_counts(bench):
    rows = Rows()
    enumeration(rows, "Box")
    rows.constants[0] = msgspec.structs.replace(rows.constants[0], numbers=(-1, 0, 0))
    rows.goal(rows.const("Box.mk"))
    assert "count" in bench.judge(rows.encoded()).bad_data


# -- what gives an allowed axiom, or a name that the kernel knows, its meaning --


def statement_about(*, meaning, known):
    """An axiom `held` of what `Claim` says, and a name of the kernel's that stands for `Claim`."""
    rows = open_statement("False")
    prepare(rows, meaning=meaning, known=known)
    return rows


def prepare(rows, *, meaning, known):
    rows.declare("definition", "Claim", rows.sort(), rows.const(meaning), height=0)
    rows.declare("axiom", "held", rows.const("Claim"))
    if known:
        rows.declare("definition", "eagerReduce", rows.sort(), rows.const("Claim"), height=0)


@pytest.mark.parametrize("known", [False, True])
def test_an_equal_axiom_says_something_else_if_a_definition_below_it_changed(pool, known):
    with bench_of(pool, statement_about(meaning="True", known=known)) as bench:
        for meaning, proof, verdict in (("False", "held", "statement_changed"), ("True", "held", "not_replayed")):
            rows = Rows()
            prepare(rows, meaning=meaning, known=known)
            rows.goal(rows.const(proof))
            decision = bench.judge(rows.encoded()).decision
            assert decision.verdict == verdict, decision
            if verdict == "statement_changed":
                assert (decision.declaration, decision.aspect) == ("Claim", "value")


def test_a_hole_that_a_statement_declares_itself_is_no_axiom(pool):
    def world(rows):
        rows.declare("inductive", "False", rows.sort(), numbers=(0, 0, 0), flags=(False, False))
        u = rows.param("u")
        type_ = rows.arrow(rows.sort(u), rows.var(0))
        rows.declare("axiom", "sorryAx", type_, levels=("u",))
        rows.declare("axiom", "fair", rows.arrow(rows.sort(), rows.sort()))
        rows.goal(rows.app(rows.const("sorryAx", 0), rows.const("False")))
        return [msgspec.json.encode(msgspec.structs.replace(rows.terms(), imports=[]))]

    statement = world(Rows())
    judge = JudgeCapability(Verifier(None, "embedded"))
    with Bench(pool, judge, statement, [], 60.0, None) as bench:
        decision = bench.judge(world(Rows())).decision
        assert (decision.verdict, decision.axiom) == ("forbidden_axiom", "sorryAx")
    with Bench(pool, judge, statement, [["sorryAx"]], 60.0, None) as bench:
        assert bench.judge(world(Rows())).decision.verdict == "forbidden_axiom"  # not one of the imports
