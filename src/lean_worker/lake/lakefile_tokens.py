"""The tokens of a `lakefile.lean`.

Owns comments, strings, names and brackets of Lean's surface syntax, as far as a lakefile's declarations need them;
every other character is a token of its own. Callers give the tokens a meaning.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from typing import Literal

from ..errors import InvalidModuleName
from ..toolchains import module_names

Kind = Literal["identifier", "name", "string", "number", "symbol"]


@dataclasses.dataclass(frozen=True)
class Token:
    """One token.

    Attributes:
        kind: "name" is a quoted name such as `` `Foo.Bar ``; "symbol" is anything that is nothing else.
        text: As it stands in the file.
        value: An identifier's or name's canonical text, a string's content; otherwise `text`.
        line: From 1.
        column: From 1, in characters.
        opens_line: Whether only blanks stand before it on its line.
        glued: Whether it follows the token before it without a blank.
    """

    kind: Kind
    text: str
    value: str
    line: int
    column: int
    opens_line: bool
    glued: bool

    def is_symbol(self, text: str) -> bool:
        return self.kind == "symbol" and self.text == text

    def is_keyword(self, text: str) -> bool:
        """Whether it is that word, and not the name `«word»`."""
        return self.kind == "identifier" and self.text == text


class TokenError(ValueError):
    """The text ends in the middle of a token, or a token is none: `reason`, `line`, `column`."""

    def __init__(self, reason: str, line: int, column: int) -> None:
        super().__init__(reason)
        self.reason, self.line, self.column = reason, line, column


OPENING = ("(", "[", "{", "⟨", "#[", "@[", "$(")
CLOSING = (")", "]", "}", "⟩")
_SYMBOLS = ("#[", "@[", ":=", "=>", "..", "<$>", "<|", "|>", "++", "←", "$(")
_RAW_STRING = re.compile(r'r(#*)"')
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "\\": "\\", '"': '"', "'": "'"}
_CHARACTER = re.compile(r"'(?:\\(?:x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|.)|[^\\'\n])'")
_NUMBER = re.compile(r"[0-9][0-9a-zA-Z_]*")
_BLANK = re.compile(r"\s+")


def tokens(text: str) -> list[Token]:
    """All tokens of a file.

    Raises:
        TokenError: A comment, string or `«` is never closed, or an escape in a string is not Lean's.
    """
    return _Lexer(text).run()


class _Lexer:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._line, self._line_start = 1, 0
        self._found: list[Token] = []
        self._last_end = -1
        self._last_line = 0

    def run(self) -> list[Token]:
        while self._at < len(self._text):
            if not self._skip():
                self._token()
        return self._found

    def _skip(self) -> bool:
        """Pass over blanks or a comment."""
        if blank := _BLANK.match(self._text, self._at):
            self._move(blank.end())
        elif self._text.startswith("--", self._at):
            end = self._text.find("\n", self._at)
            self._move(len(self._text) if end < 0 else end)
        elif self._text.startswith("/-", self._at):
            self._move(self._comment_end())
        else:
            return False
        return True

    def _comment_end(self) -> int:
        depth, at = 0, self._at
        while True:
            if self._text.startswith("/-", at):
                depth, at = depth + 1, at + 2
            elif self._text.startswith("-/", at):
                depth, at = depth - 1, at + 2
                if depth == 0:
                    return at
            elif at >= len(self._text):
                raise self._error("this comment is never closed")
            else:
                at += 1

    def _token(self) -> None:
        text, at = self._text, self._at
        character = text[at]
        if raw := _RAW_STRING.match(text, at):
            self._raw_string(raw)
        elif text[at + 1 : at + 3] == '!"' and character in "smf":
            self._add("symbol", _interpolated_end(text, at + 2, self._error))
        elif character == '"':
            end, value = self._string(at)
            self._add("string", end, value)
        elif character == "`":
            self._quoted_name()
        elif module_names.starts_identifier(character) or character == "«":
            self._add("identifier", *self._identifier(at))
        elif number := _NUMBER.match(text, at):
            self._add("number", number.end())
        elif literal := _CHARACTER.match(text, at):
            self._add("symbol", literal.end())
        else:
            symbol = next((symbol for symbol in _SYMBOLS if text.startswith(symbol, at)), character)
            self._add("symbol", at + len(symbol))

    def _identifier(self, at: int) -> tuple[int, str]:
        """Return the end of the identifier at `at` and its canonical text; a final dot is not part of it."""
        end = at
        while True:
            if self._text.startswith("«", end):
                close = self._text.find("»", end)
                if close < 0:
                    raise self._error("this « is never closed")
                end = close + 1
            else:
                while end < len(self._text) and module_names.continues_identifier(self._text[end]):
                    end += 1
            following = self._text[end + 1 : end + 2]
            if not self._text.startswith(".", end) or not following:
                break
            if not (module_names.starts_identifier(following) or following == "«"):
                break
            end += 1
        try:
            return end, module_names.canonical(self._text[at:end])
        except InvalidModuleName as error:
            raise self._error(str(error.reason)) from error

    def _quoted_name(self) -> None:
        start = self._at + (2 if self._text.startswith("``", self._at) else 1)
        following = self._text[start : start + 1]
        if following and (module_names.starts_identifier(following) or following == "«"):
            self._add("name", *self._identifier(start))
        else:
            # A quotation such as `(command): its content is tokenised like everything else.
            self._add("symbol", start)

    def _raw_string(self, opening: re.Match[str]) -> None:
        closing = '"' + opening[1]
        end = self._text.find(closing, opening.end())
        if end < 0:
            raise self._error("this string is never closed")
        self._add("string", end + len(closing), self._text[opening.end() : end])

    def _string(self, at: int) -> tuple[int, str]:
        content: list[str] = []
        at += 1
        while at < len(self._text):
            character = self._text[at]
            if character == '"':
                return at + 1, "".join(content)
            if character != "\\":
                content.append(character)
                at += 1
                continue
            escape = self._text[at + 1 : at + 2]
            if escape in ("x", "u"):
                digits = 2 if escape == "x" else 4
                try:
                    content.append(chr(int(self._text[at + 2 : at + 2 + digits], 16)))
                except ValueError:
                    raise self._error(f"\\{escape} is followed by {digits} hexadecimal digits") from None
                at += 2 + digits
            elif escape in ("\n", "\r"):
                gap = _BLANK.match(self._text, at + 1)
                at = gap.end() if gap else at + 2
            elif escape in _ESCAPES:
                content.append(_ESCAPES[escape])
                at += 2
            else:
                raise self._error(f"\\{escape} is no escape of a Lean string")
        raise self._error("this string is never closed")

    def _add(self, kind: Kind, end: int, value: str | None = None) -> None:
        text = self._text[self._at : end]
        column = self._at - self._line_start + 1
        opens_line = self._last_line < self._line
        glued = self._last_end == self._at
        self._found.append(Token(kind, text, text if value is None else value, self._line, column, opens_line, glued))
        self._move(end)
        self._last_end, self._last_line = end, self._line

    def _move(self, end: int) -> None:
        newlines = self._text.count("\n", self._at, end)
        if newlines:
            self._line += newlines
            self._line_start = self._text.rfind("\n", self._at, end) + 1
        self._at = end

    def _error(self, reason: str) -> TokenError:
        return TokenError(reason, self._line, self._at - self._line_start + 1)


def _interpolated_end(text: str, at: int, error: Callable[[str], TokenError]) -> int:
    """Return the end of the interpolated string that opens at `at`; its braces may contain strings."""
    at += 1
    depth = 0
    while at < len(text):
        character = text[at]
        if character == "\\":
            at += 1
        elif character == "{":
            depth += 1
        elif character == "}" and depth:
            depth -= 1
        elif character == '"':
            if not depth:
                return at + 1
            at = _interpolated_end(text, at, error) - 1
        at += 1
    raise error("this string is never closed")
