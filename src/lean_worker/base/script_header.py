"""The header of a Lean script: `module`, `prelude` and its imports, found in one pass over the text.

Owns what stands where, so that imports can be added. What a header means, and whether it is right, Lean decides.
"""

from __future__ import annotations

from typing import NamedTuple

from .lean_comments import comment_end

_WORDS = ("module", "prelude")
_MODIFIERS = ("public", "meta")
_LETTERS = (
    ("\u00c0", "\u017f"),  # Latin
    ("\u0391", "\u03a9"),  # Greek
    ("\u03b1", "\u03fb"),  # Greek and Coptic
    ("\u1f00", "\u1ffe"),  # polytonic Greek
    ("\u2100", "\u214f"),  # letterlike symbols
    ("\U0001d49c", "\U0001d59f"),  # script, double-struck, Fraktur
)
"""First and last of each range of letters, besides those of ASCII and without `_NO_LETTERS`; `Lean.isLetterLike`."""
_NO_LETTERS = "×÷λΠΣ"
_SUBSCRIPTS = (("\u2080", "\u2089"), ("\u2090", "\u209c"), ("\u1d62", "\u1d6a"), ("\u2c7c", "\u2c7c"))
"""As of `Lean.isSubScriptAlnum`."""


class ScriptHeader(NamedTuple):
    """Header of a script.

    Attributes:
        words: Those of "module" and "prelude" that it begins with, in order.
        words_end: The place in the text after the last of them; 0 if there is none.
        imports: The names of the modules that it imports, as written.
        end: The place in the text after the last import, or `words_end` if there is none.
    """

    words: tuple[str, ...]
    words_end: int
    imports: tuple[str, ...]
    end: int = 0

    @property
    def is_module(self) -> bool:
        """Whether the script takes part in the module system."""
        return "module" in self.words

    @property
    def has_prelude(self) -> bool:
        """Whether the script does without `Init`."""
        return "prelude" in self.words


def read(text: str) -> ScriptHeader:
    """Read the header of a Lean text, in time proportional to its length."""
    words: list[str] = []
    words_end = 0
    at = _skip(text, 0)
    while word := next((word for word in _WORDS if _has_word(text, at, word)), None):
        words.append(word)
        words_end = at + len(word)
        at = _skip(text, words_end)
    imports: list[str] = []
    end = words_end
    while (found := _import(text, at)) is not None:
        name, end = found
        at = _skip(text, end)
        imports.append(name)
    return ScriptHeader(tuple(words), words_end, tuple(imports), end)


def _import(text: str, at: int) -> tuple[str, int] | None:
    """The name of the import at this place, and the place behind it; None if there is none."""
    for modifier in _MODIFIERS:
        if _has_word(text, at, modifier):
            at = _skip(text, at + len(modifier))
    if not _has_word(text, at, "import"):
        return None
    at = _skip(text, at + len("import"))
    for word in ("all", "runtime"):
        after = _skip(text, at + len(word))
        # It may be the name itself.
        if _has_word(text, at, word) and _name_end(text, after) > after:
            at = after
    end = _name_end(text, at)
    return None if end == at else (text[at:end], end)


def _skip(text: str, at: int) -> int:
    """The place after blanks and comments; a comment that is not closed takes the rest of the text."""
    length = len(text)
    while at < length:
        if text[at].isspace():
            at += 1
        elif text.startswith("--", at):
            end = text.find("\n", at)
            at = length if end < 0 else end + 1
        elif text.startswith("/-", at):
            at = comment_end(text, at)
        else:
            break
    return at


def _has_word(text: str, at: int, word: str) -> bool:
    end = at + len(word)
    return text.startswith(word, at) and not (end < len(text) and (text[end] == "." or _continues_word(text[end])))


def _name_end(text: str, at: int) -> int:
    """The place behind the name that begins here, `at` if none does; parts are words, or anything between « and »."""
    end = at
    while (part_end := _part_end(text, end)) > end:
        end = part_end
        if not text.startswith(".", end) or _part_end(text, end + 1) == end + 1:
            break
        end += 1
    return end


def _part_end(text: str, at: int) -> int:
    if text.startswith("«", at):
        return text.find("»", at) + 1 or at
    end = at
    if end < len(text) and (_is_letter(text[end]) or text[end] == "_"):
        while end < len(text) and _continues_word(text[end]):
            end += 1
    return end


def _is_letter(character: str) -> bool:
    if character.isascii():
        return character.isalpha()
    return _is_in(_LETTERS, character) and character not in _NO_LETTERS


def _continues_word(character: str) -> bool:
    if character.isascii():
        return character.isalnum() or character in "_'!?"
    return _is_letter(character) or _is_in(_SUBSCRIPTS, character)


def _is_in(ranges: tuple[tuple[str, str], ...], character: str) -> bool:
    return any(first <= character <= last for first, last in ranges)
