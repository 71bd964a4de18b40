"""Names of Lean modules: their parts, their text with `«»`, and the files that they stand for.

Internally a name is a tuple of parts. As text it has one spelling: a part that is not a plain Lean identifier is in
`«»`, any other part is not. So names that differ only in needless `«»` are equal as text.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import PurePath, PurePosixPath

from ..base.arguments import shown
from ..errors import InvalidModuleName, UsageError

_OPEN, _CLOSE = "«", "»"
# Lean's own ranges, not Unicode's classes: Lean's λ, Π and Σ are no letters, its subscripts go on with a name.
_LETTER_LIKE = (
    (0x391, 0x3A9),
    (0x3B1, 0x3C9),
    (0x3CA, 0x3FB),
    (0x1F00, 0x1FFE),
    (0x2100, 0x214F),
    (0x1D49C, 0x1D59F),
    (0xC0, 0xFF),
    (0x100, 0x17F),
)
_NO_LETTERS = frozenset("λΠΣ×÷")
_SUBSCRIPTS = ((0x2080, 0x2089), (0x2090, 0x209C), (0x1D62, 0x1D6A), (0x2C7C, 0x2C7C))


def starts_identifier(character: str) -> bool:
    """Whether a plain Lean identifier may begin with it."""
    return character == "_" or (character.isascii() and character.isalpha()) or _is_letter_like(character)


def continues_identifier(character: str) -> bool:
    """Whether a plain Lean identifier may go on with it."""
    return (
        (character.isascii() and character.isalnum())
        or character in "_'!?"
        or _is_letter_like(character)
        or _in(_SUBSCRIPTS, character)
    )


def _is_letter_like(character: str) -> bool:
    return character not in _NO_LETTERS and _in(_LETTER_LIKE, character)


def _in(ranges: tuple[tuple[int, int], ...], character: str) -> bool:
    return any(first <= ord(character) <= last for first, last in ranges)


def parse(text: str) -> tuple[str, ...]:
    """The parts of a module name written as Lean writes it: `Foo.«bar baz».Qux`.

    Raises:
        InvalidModuleName: An empty part, a part that needs `«»` and has none, or one that no file can be named after.
    """
    return tuple(_checked(part, text) for part in _parts(text))


def _parts(text: str) -> Iterator[str]:
    at = 0
    while True:
        if text.startswith(_OPEN, at):
            end = text.find(_CLOSE, at)
            if end < 0:
                raise _invalid(text, f"the {_OPEN} at character {at + 1} is never closed")
            yield text[at + 1 : end]
            at = end + 1
        else:
            end = at
            while end < len(text) and (continues_identifier if end > at else starts_identifier)(text[end]):
                end += 1
            if end == at:
                found = repr(text[at]) if at < len(text) else "the end"
                raise _invalid(text, f"expected a part of a name at character {at + 1}, got {found}")
            yield text[at:end]
            at = end
        if at == len(text):
            return
        if text[at] != ".":
            raise _invalid(text, f"expected a dot at character {at + 1}, got {text[at]!r}")
        at += 1


def _checked(part: str, whole: str) -> str:
    if not part or part in (".", ".."):
        raise _invalid(whole, f"{part!r} is no part of a module name")
    for character in part:
        if character in "/\\«»" or not (character.isprintable() or character == " "):
            raise _invalid(whole, f"{character!r} cannot stand in a part of a module name")
    return part


def _invalid(name: str, reason: str) -> InvalidModuleName:
    return InvalidModuleName(
        f"reading the module name {name!r}: {reason}",
        hint="Separate parts by dots, and put a part that is not a plain identifier in «».",
        name=name,
        reason=reason,
    )


def text(parts: tuple[str, ...]) -> str:
    """The name as text, with `«»` where Lean needs them."""
    return ".".join(part if _is_plain(part) else f"{_OPEN}{part}{_CLOSE}" for part in parts)


def _is_plain(part: str) -> bool:
    return starts_identifier(part[0]) and all(continues_identifier(character) for character in part[1:])


def check_names(doing: str, names: Iterable[str]) -> None:
    """Accept names of modules.

    Raises:
        UsageError: One of them is none.
    """
    for name in names:
        try:
            parse(name)
        except InvalidModuleName as error:
            raise UsageError(
                f"{doing}: {shown(name)} is no module name: {error.reason}", hint="Names look like Init.Data.List."
            ) from error


def canonical(name: str) -> str:
    """The one spelling of a name; see `parse` for what it raises."""
    return text(parse(name))


def source_path(parts: tuple[str, ...], suffix: str = ".lean") -> PurePosixPath:
    """The file of a module, relative to its source directory."""
    return PurePosixPath(*parts[:-1], parts[-1] + suffix)


def of_path(path: PurePath) -> tuple[str, ...]:
    """The name of the module in a `.lean` file, whose path is relative to its source directory.

    Raises:
        InvalidModuleName: A directory or the file has a name that cannot be part of a module name.
    """
    parts = (*path.parts[:-1], path.name.removesuffix(".lean"))
    return tuple(_checked(part, str(path)) for part in parts)
