"""Texts of scripts that run no code of their own while Lean elaborates them, as far as their words show.

What Lean makes of such a text depends on the text, its imports, the options and the environment alone. The search knows
nothing of comments and strings: a word counts there too, which only costs time.

Words that run something are one half. The list of them is never complete, so the other half keeps a text from having
anything that they could run: it neither defines syntax nor names what Lean's own language is made of.
"""

from __future__ import annotations

from ..base.patterns import compiled

# Where a word may begin and end. Lean takes `1macro` and `x⁻¹macro` for two words each, so only letters of ASCII in
# front of it make it a part of another; and no word may touch a hexadecimal number.
_BEGIN, _END = r"(?<![A-Za-z_])", r"(?![A-Za-z0-9_])"
_TOUCHED = r"0[xX][0-9a-fA-F_]*[g-zG-Z]"
# Commands, terms and attributes that run code of the file, or read other files, while it is elaborated; ways around the
# types of Lean; and functions that Lean finds by a name of C. With an axiom, or a proof that is none, a pure function
# can read files, and settings of tactics and proofs by computation run pure functions. The profiler speaks of what was
# slow. Widgets and the newer documentation run what stands in them.
_RUNS_CODE = (
    r"eval(?:[A-Z_]\w*)?|run_\w+|include_\w+|d?simproc\w*|initialize|init|builtin_\w+|register_\w+|tactic(?:_\w+)?|bv_check|bv_decide"
    r"|compile_time\w*|compile_inductive|set_library_suggestions|postprocess_traces|def_eval_config_item|derive_eval_expr_instance_using_meta_eval"
    r"|ensure_eval_term_instances?|init_grind_norm|idbg|docs_to_verso|extern|implemented_by|csimp|unsafe\w*|axiom|skipKernelTC|profiler|verso"
)
_PARTS_THAT_RUN_CODE = "elab|[sS]orry|native|[rR]educe(?:Bool|Nat)|widget"
# What defines syntax. A notation is a macro: `$(…)` in it runs. The name or the kind of a syntax can be that of one of
# Lean's own, whose elaborator runs or reads anything, and the word of that stands nowhere in the text.
_DEFINES_SYNTAX = (
    r"syntax(?:_\w+)?|macro|macro_rules|notation\d*|infix[lr]?|prefix|postfix|binder_predicate|declare_\w+|autoParam"
)
# What values of syntax are called, and where Lean has the rest of its own language.
_NAMES_SYNTAX = "Tactic|Meta|MetaM"
# `_auto_1` and `_autoParam` are what Lean calls default tactics; `harmless_modules` trusts these names.
_PARTS_OF_NAMES = "_auto|Syntax|Stx|Macro|Parser|Elab|Quot(?:e|ation)"
_WORDS = (
    rf"(?a:#[a-z]|{_TOUCHED}|{_PARTS_THAT_RUN_CODE}|{_PARTS_OF_NAMES}"
    rf"|{_BEGIN}(?:{_RUNS_CODE}|{_DEFINES_SYNTAX}|{_NAMES_SYNTAX}){_END})"
)
# Types need not be named: unification finds them, also `autoParam`. So nothing may make or change a value of syntax by
# a name that begins with its dot; and no quotation makes one.
_MAKES_SYNTAX = (
    r"(?a:(?<![\w»])\.«?(?:node\b|mk\w)|\.«?(?:set(?:Kind|Args?|AtomVal)|modifyArgs?|rewriteBottomUpM?|replaceM)\b)"
    r"|`[(\[{]"
)
# Lean's own namespace has hundreds of functions that make syntax. A text may name what is for JSON there, and may not
# be in it, by a command or by the name of a declaration.
_FOR_JSON = r"(?:Json|JsonNumber|ToJson|FromJson|toJson|fromJson\?)(?![A-Za-z0-9_'!?])"
_LEAN = r"(?:_root_\.)?«?Lean»?"
_DECLARES = r"(?:abbrev|class|coinductive|def|inductive|instance|lemma|namespace|opaque|structure|theorem)\s+"
_BETWEEN = r"(?:\s|--[^\n]*\n)+"
_IDENTIFIER = r"(?:«[^»\n]*»|[A-Za-z0-9_.'!?]|[^\x00-\x7f\s«])+"
# Between the word and a name stand other names and comments of lines. Where a block begins, nobody looks for its end.
_OPENED = rf"(?:{_BETWEEN}(?!open{_END}){_IDENTIFIER})*?"
_BLOCK = rf"(?:{_BETWEEN})?/-(?:(?![-!])|-/)"
_NAMES_LEAN = (
    rf"(?a:{_BEGIN}«?Lean»?\.(?=[A-Za-z_«]|[^\x00-\x7f])(?!{_FOR_JSON})"
    rf"|(?:[)/\n][ \t]*|{_BEGIN}{_DECLARES}){_LEAN}\.[^\s]"
    rf"|{_BEGIN}namespace{_BETWEEN}(?:{_LEAN}{_END}|/-)"
    rf"|{_BEGIN}(?:open|export){_OPENED}"
    rf"(?:{_BLOCK}|{_BETWEEN}{_LEAN}(?![A-Za-z0-9_'!?.])(?!\s*\((?:\s*{_FOR_JSON})*\s*\))))"
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
_OTHER_ATTRIBUTES = rf"@(?=\[)(?!{_LIST})|{_BEGIN}attribute{_END}(?!\s*{_LIST})"


PATTERNS = (_WORDS, _MAKES_SYNTAX, _NAMES_LEAN, _OTHER_ATTRIBUTES)
"""Patterns of which no harmless text has one."""


_MOST_CHARACTERS = 128 << 10
# From each of these words the search may read the rest of the text.
_READS_ON = r"open|export|namespace"
_MOST_THAT_READ_ON = 50


def is_harmless(text: str, start: int) -> bool:
    """Whether a script runs no code of its own while it is elaborated.

    Args:
        text: The script.
        start: The place behind its header.
    """
    if len(text) > _MOST_CHARACTERS or len(compiled(_READS_ON).findall(text, start)) > _MOST_THAT_READ_ON:
        return False  # to look through it could take longer than a start
    return all(compiled(pattern).search(text, start) is None for pattern in PATTERNS)
