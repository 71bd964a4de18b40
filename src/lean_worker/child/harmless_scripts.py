"""Texts of scripts that run no code of their own while Lean elaborates them, as far as their words show.

What Lean makes of such a text depends on the text, its imports and the options alone. The search knows nothing of
comments and strings: a word counts there too, which only costs time.
"""

from __future__ import annotations

from ..base.patterns import compiled

# Commands, terms and attributes that run code of the file, or read other files, while it is elaborated; ways around the
# types of Lean; and functions that Lean finds by a name of C. A macro can put commands together that stand nowhere in
# the text. With an axiom, or a proof that is none, a pure function can read files, and settings of tactics and proofs
# by computation run pure functions. The profiler speaks of what was slow.
_RUNS_CODE = (
    r"#[a-z]|\b(?:\w*elab\w*|eval|run_\w+|include_\w+|d?simproc\w*|initialize|init|builtin_\w+|register_\w+"
    r"|tactic|bv_check|macro|macro_rules|compile_time\w*|compile_inductive|extern|implemented_by|csimp|unsafe\w*"
    r"|axiom|\w*sorry\w*|\w*native\w*|\w*[rR]educe(?:Bool|Nat)|skipKernelTC|bv_decide|profiler)\b"
)
# Attributes whose own code is Lean's: they note something, or make theorems. Many of the others (`quot_precheck`,
# `delab`, `cpass`, …) take a function of the file that Lean calls later in the same file, without a look at its type.
_HARMLESS = (
    "always_inline|cases_eliminator|class|coe|congr|default_instance|defeq|deprecated|export|expose|ext"
    "|induction_eliminator|inherit_doc|inline|instance|irreducible|macro_inline|match_pattern|never_extract|no_expose"
    "|noinline|nospecialize|reducible|refl|semireducible|simp|specialize|symm|trans|unbox"
)
# No brackets and commas outside of strings, and nothing that could begin a comment: what follows is no attribute.
_ARGUMENTS = r"""(?:"[^"\\]*"|[^\[\],@"/\-«»$])*"""
_ONE = rf"\s*-?(?:(?:local|scoped)\s+)?(?:{_HARMLESS})(?![\w.'!?]){_ARGUMENTS}"
_LIST = rf"\[{_ONE}(?:,{_ONE})*\]"
_OTHER_ATTRIBUTES = rf"@(?=\[)(?!{_LIST})|\battribute\b(?!\s*{_LIST})"


def is_harmless(text: str, start: int) -> bool:
    """Whether a script runs no code of its own while it is elaborated.

    Args:
        text: The script.
        start: The place behind its header.
    """
    patterns = (_RUNS_CODE, _OTHER_ATTRIBUTES)
    return all(compiled(pattern).search(text, start) is None for pattern in patterns)
