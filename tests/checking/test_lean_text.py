"""Text for Lean in a file, outside of comments, strings and characters, and a `sorry` in it."""

from __future__ import annotations

import pytest

from lean_worker.checking.lean_text import blanked, hides_sorry

SILENCE = "set_option warn.sorry false"
SORRY = "theorem t : 1 = 2 := sorry\n"


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("a -- b\nc", "a     \nc"),
        ("a /- b /- c -/ d -/ e", "a                   e"),
        ('a "b -- c" d', "a          d"),
        ('a "b \\" c" d', "a          d"),
        ('a \'"\' b "c" d', "a     b     d"),
        ("a '\\'' b", "a      b"),
        ('a \'\\"\' "b" c', "a          c"),
        ("h' := a' b '", "h' := a' b '"),
        ('r"a\\" b', "      b"),
        ('r#"a " b"# c', "           c"),
        ('bar"x" c', "bar    c"),
        ('a "b', "a   "),
        ('a "b\\', "a    "),
        ('a r#"b"', "a      "),
        ("a /- b", "a     "),
    ],
)
def test_what_is_text_for_lean(text, kept):
    assert blanked(text) == kept


@pytest.mark.parametrize(
    "before",
    [
        "",
        "def c : Char := '\"'\n",
        "def c : Char := '\\\"'\n",
        'def c := r"a\\"\n',
        'def c := r#"a " b"#\n',
        "theorem h' : True := trivial\n",
        '/- " -/\n',
        '-- "\n',
    ],
)
def test_a_sorry_is_seen_whatever_stands_before_it(before):
    text = f'{before}{SORRY}def s := "x"\n'
    assert not hides_sorry(text)
    for silence in (SILENCE, "set_option «warn».«sorry» false", "#guard_msgs in"):
        assert hides_sorry(f"{silence}\n{text}")


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ('def c := s!"{(sorry : Nat)}"\n', True),
        ("example : True := by admit\n", True),
        ("example : True := by apply?\n", True),
        ("example : True := _root_.sorryAx _\n", True),
        ("example : True := by stop\n", True),
        ("example : True := by\n  skip\n  stop\n  trivial\n", True),
        ("example : True := by\n  cases x with\n  | a => stop\n  | b => skip; stop rfl\n", True),
        ("def width (start stop : Nat) : Nat :=\n  stop - start\n", False),
        ("structure Span where\n  stop : Nat\n", False),
        ("def span := { stop := 1 }\ndef f (s : Span) := s.stop\n", False),
        ("def width (start stop : Nat) : Nat := stop - start\n", False),
        ('def c := r#"a " sorry " b"#\n', False),
        ('def c := "sorry"\n', False),
        ("-- sorry\n/- sorry -/\n", False),
        ("def sorry' := 1\ndef not_sorry := X.sorry\n", False),
    ],
)
def test_what_is_a_sorry(text, is_one):
    assert hides_sorry(f"{SILENCE}\n{text}") is is_one
    assert hides_sorry(f"set_option warn.sorry true\n{text}") is False


@pytest.mark.parametrize("piece", ['r#"', '"', '\\"', "'\\", "/-", '"{', "{}", "'", '"{}', "--", "by ", "; ", " \n"])
def test_a_stranger_s_text_takes_time_in_proportion_to_its_length(piece):
    """After `#exit` a file that Lean accepts may hold anything; a square of a megabyte would never end."""
    text = f'{SILENCE}\n#exit "{piece * 400_000}'
    assert len(blanked(text)) == len(text) and not hides_sorry(text)
    assert not hides_sorry(text.replace('"', "", 1))
