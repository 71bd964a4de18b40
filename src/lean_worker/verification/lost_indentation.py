"""The indentation that a proof's first line has lost.

A model goes on behind `by` and two blanks, or a text was stripped: the first line stands at the left, and those that
should stand below it do not. But lines that belong to the first one, as arguments or as a block that it opens, are
deeper too. What the next line begins with, and what the first one ends with, says which is likelier. Lean has the last
word: it is given the other readings too if it reports errors about the likeliest.
"""

from __future__ import annotations

import itertools
import re

from .code_lines import CodeLine, code_lines

_WORD = re.compile(r"[\w'?!]+|\S")
_OPENERS = re.compile(
    r"(?:(?<![\w.!?'«])(?:with|by|do|from|then|else|at|using|in|fun|λ|calc|exact|refine'?|apply|show|specialize|use|have|let"
    r"|all_goals|any_goals|try|repeat'?|first|focus|iterate|conv|match)"
    r"|=>|[-·:=,;(\[{⟨|+*/<>≤≥↔→∧∨∘▸$←↦])\Z"
)
"""The end of a line that needs another one."""
_SEQUENCED = frozenset(("have", "let", "suffices", "haveI", "letI"))
"""Words that begin a term whose body stands below."""
_TACTICS = """
· . abel abel_nf ac_rfl aesop all_goals any_goals apply apply? apply_fun assumption bound bv_decide by_cases by_contra
by_contra! calc case case' cases cases' change choose clear congr constructor continuity contradiction contrapose
contrapose! conv conv_lhs conv_rhs convert convert_to decide done dsimp erw exact exact? exact_mod_cast exacts exfalso
exists existsi ext field_simp fin_cases first focus fun_prop funext gcongr generalize grind group have haveI induction
induction' infer_instance injection injections interval_cases intro intros iterate left let letI lift
linear_combination linarith measurability module native_decide next nlinarith nofun nomatch nontriviality norm_cast
norm_num norm_num1 nth_rewrite nth_rw obtain omega polyrith positivity push_cast push_neg qify rcases refine refine'
rename rename_i repeat repeat' replace revert rfl rify right ring ring1 ring_nf rintro rotate_left rotate_right rw
rw_mod_cast rwa set show show_term simp simp! simp? simp_all simp_arith simp_rw simpa simpa! simpa? skip specialize
split split_ifs stop subst subst_vars suffices swap symm tauto trans trivial try unfold use wlog zify
"""
"""Words that begin a tactic, of Lean and of Mathlib."""
_COMMAND = re.compile(r"#\w|@\[|(?:theorem|lemma|example|def|instance|end|namespace|section)(?![\w.!?'»])")
_TACTIC_WORDS = frozenset(_TACTICS.split())


def needs_more(line: str) -> bool:
    """Whether a line ends with something that a term or tactics must follow.

    Args:
        line: Code without comments, strings and blanks at its end.
    """
    return _OPENERS.search(line) is not None


def lost_indentations(code: str, first_column: int, prompt: int, *, is_of_tactics: bool) -> list[int]:
    """Return by how many columns the first line may have stood further right, the likeliest first; 0 if by none.

    Args:
        code: The proof from its begin in the first line on, without comments and strings.
        first_column: The begin's column.
        prompt: The blanks that a prompt had before the first line, if the other lines stand where they stood there.
        is_of_tactics: Whether it consists of tactics, and is no term.
    """
    first, *below = code_lines(code)
    others = [line for line in below if line.text]
    others = list(itertools.takewhile(lambda line: not _is_command(line), others))
    column = min((line.column for line in others), default=0)
    lost = column - first_column
    if lost <= 0:
        return [0]
    found = [lost, 0] if _is_as_deep(first, others, column, is_of_tactics) else [0, lost]
    if 0 < prompt < lost:
        found.insert(1, prompt)
    return found


def _is_command(line: CodeLine) -> bool:
    """Whether a line is none of the proof: a model has gone on with another declaration, or asks Lean something."""
    return line.column == 0 and _COMMAND.match(line.text) is not None


def _is_as_deep(first: CodeLine, others: list[CodeLine], column: int, is_of_tactics: bool) -> bool:
    """Whether the first line seems to have stood as deep as the least deep one of the others, at `column`."""
    if not first.text:  # a comment
        return is_of_tactics
    if needs_more(first.text):
        # Perhaps it is a block of the first line, and then a line that is none of it.
        return others[0].column > column
    word = _WORD.match(first.text)
    if not is_of_tactics:
        return word is not None and word.group() in _SEQUENCED
    begin = _WORD.match(next(line.text for line in others if line.column == column))
    return begin is not None and begin.group() in _TACTIC_WORDS
