"""The header of a Lean script: `module`, `prelude` and its imports, found in one pass over the text.

Owns what stands where, so that imports can be added. What a header means, and whether it is right, Lean decides.
"""

from __future__ import annotations

from typing import NamedTuple

from .lean_comments import comment_end

_WORDS = ("module", "prelude")
_MODIFIERS = ("public", "meta")


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
        if _has_word(text, at, word):
            at = _skip(text, at + len(word))
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
    return text.startswith(word, at) and (end == len(text) or not _continues_word(text[end]))


def _continues_word(character: str) -> bool:
    return character.isalnum() or character in "_'!?.«"


def _name_end(text: str, at: int) -> int:
    end = at
    while end < len(text):
        if text[end] == "«":
            closed = text.find("»", end)
            if closed < 0:
                return at
            end = closed + 1
        elif text[end].isalnum() or text[end] in "_'!?.":
            end += 1
        else:
            break
    return end
