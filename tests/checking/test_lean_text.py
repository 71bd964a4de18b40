"""Text for Lean in a file, outside of comments, strings and characters."""

from __future__ import annotations

import pytest

from lean_worker.checking.lean_text import blanked


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


@pytest.mark.parametrize("piece", ['r#"', '"', '\\"', "'\\", "/-", '"{', "{}", "'", '"{}', "--", "by ", "; ", " \n"])
def test_a_stranger_s_text_takes_time_in_proportion_to_its_length(piece):
    """After `#exit` a file that Lean accepts may hold anything; a square of a megabyte would never end."""
    text = f'#exit "{piece * 400_000}'
    for each in (text, text.replace('"', "", 1)):
        assert len(blanked(each)) == len(each)
