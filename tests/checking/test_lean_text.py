"""Text for Lean in a file, outside of comments, strings and characters, and a `sorry` in it."""

from __future__ import annotations

import pytest

from lean_worker.checking.lean_text import blanked, hides_sorry

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
    assert hides_sorry(text, is_silenced=True) and not hides_sorry(text, is_silenced=False)
    for silence in ("set_option warn.sorry false", "set_option «warn».«sorry» false", "#guard_msgs in"):
        assert hides_sorry(f"{silence}\n{text}", is_silenced=False)


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ('def c := s!"{(sorry : Nat)}"\n', True),
        ("example : True := by admit\n", True),
        ("def width (start stop : Nat) : Nat := stop - start\n", False),
        ('def c := r#"a " sorry " b"#\n', False),
        ('def c := "sorry"\n', False),
        ("-- sorry\n/- sorry -/\n", False),
        ("def sorry' := 1\ndef not_sorry := X.sorry\n", False),
    ],
)
def test_what_is_a_sorry(text, is_one):
    assert hides_sorry(text, is_silenced=True) is is_one
    assert hides_sorry(f"set_option warn.sorry true\n{text}", is_silenced=False) is False


@pytest.mark.parametrize("piece", ['r#"', '"', '\\"', "'\\", "/-", '"{', "{}", "'", '"{}', "--"])
def test_a_stranger_s_text_takes_time_in_proportion_to_its_length(piece):
    """After `#exit` a file that Lean accepts may hold anything; a square of a megabyte would never end."""
    text = f'#exit "{piece * 400_000}'
    assert len(blanked(text)) == len(text) and not hides_sorry(text, is_silenced=True)
