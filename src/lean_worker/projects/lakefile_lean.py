"""Reads the libraries that a `lakefile.lean` declares, without running it.

Owns the declarative part of Lake's language: `package`, `lean_lib` and `lean_exe` with `where` or `{…}`, and in their
fields literal strings, names, arrays and globs. A lakefile is a program, so the rest cannot be known without Lake: a
value that decides about modules and is no literal is an error that says where it stands. Fields and declarations that
decide nothing about modules may be as computed as they like.
"""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath

from .. import module_names
from ..errors import InvalidModuleName, LakefileError
from .lake_library import LakeGlob, LakeLibrary, target_name
from .lakefile_tokens import Token, TokenError, tokens

_OPENING = ("(", "[", "{", "#[", "@[", "$(")
_CLOSING = (")", "]", "}")
_DECLARED = ("package", "lean_lib", "lean_exe")
# Of these fields the reader needs the value; a declaration may have any others.
_DECIDING = {"package": ("srcDir",), "lean_lib": ("srcDir", "roots", "globs"), "lean_exe": ("srcDir", "root")}
# Words that begin another command; a declaration without a `where` block ends before them anyway.
_COMMANDS = frozenset(
    re.findall(
        r"\w+",
        """package require lean_lib lean_exe extern_lib input_file input_dir target script post_update module_facet
        package_facet library_facet module_data package_data library_data def abbrev theorem instance structure
        inductive class macro macro_rules syntax elab open namespace section end import meta private partial unsafe
        set_option run_cmd initialize builtin_initialize variable universe deriving attribute noncomputable public""",
    )
)
_HINT = "Give discover(libraries=[LakeLibrary(…)]), or write the value as a literal."


def read(file: Path, content: bytes) -> tuple[LakeLibrary, ...]:
    """The libraries and executables of a `lakefile.lean`, in the file's order.

    Raises:
        LakefileError: It cannot be tokenised, or what decides about modules is computed: the text says what and where.
    """
    try:
        found = tokens(content.decode())
    except UnicodeDecodeError as error:
        raise LakefileError(f"reading {file}: {error}", file=str(file)) from error
    except TokenError as error:
        raise _at(file, error.line, error.column, error.reason) from error
    return _Reader(file, found).run()


def _at(file: Path, line: int, column: int, what: str, hint: str | None = None) -> LakefileError:
    text = f"reading {file}, line {line}, column {column}: {what}"
    return LakefileError(text, hint=hint, file=str(file), line=line, column=column)


class _Reader:
    def __init__(self, file: Path, found: list[Token]) -> None:
        self._file = file
        self._tokens = found
        self._at = 0
        self._base = "."
        self._libraries: list[tuple[str, Token, str, dict[str, list[Token]]]] = []

    def run(self) -> tuple[LakeLibrary, ...]:
        depth = 0
        conditional: Token | None = None
        guards_next = False
        while (token := self._peek()) is not None:
            self._at += 1
            if token.kind == "symbol" and token.text in _OPENING:
                depth += 1
            elif token.kind == "symbol" and token.text in _CLOSING:
                depth -= 1
            following = self._peek()
            if conditional is not None and token.kind == "identifier" and token.text in ("then", "else"):
                # One command, wherever it stands, or after `do` all that are further right than `meta if`.
                guards_next = True
            elif conditional is not None and not guards_next and token.opens_line:
                conditional = conditional if token.column > conditional.column else None
            if token.is_keyword("meta") and following is not None and following.is_keyword("if"):
                conditional = token
            elif token.kind == "identifier" and token.text in _COMMANDS:
                if token.text in _DECLARED:
                    if depth or conditional is not None:
                        reason = "under a condition" if conditional is not None else "inside of a term"
                        raise self._computed(token, f"this {token.text} is declared {reason}")
                    self._declaration(token)
                guards_next = False
        return tuple(self._library(*declared) for declared in self._libraries)

    def _peek(self) -> Token | None:
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def _declaration(self, keyword: Token) -> None:
        name: str | None = None
        token = self._peek()
        if token is not None and token.kind in ("identifier", "string") and not token.is_keyword("where"):
            name = token.value if token.kind == "identifier" else target_name(token.value)
            self._at += 1
        elif keyword.text != "package":
            raise self._computed(keyword, f"the name of this {keyword.text} is no identifier and no string")
        fields = self._fields(keyword)
        if keyword.text == "package":
            if "srcDir" in fields:
                self._base = self._path(fields["srcDir"], "srcDir")
        else:
            assert name is not None
            self._libraries.append((name, keyword, keyword.text, fields))

    def _fields(self, keyword: Token) -> dict[str, list[Token]]:
        """The values of the declaration's fields, as tokens, by name."""
        token = self._peek()
        if token is not None and token.is_symbol(":="):
            self._at += 1
            token = self._peek()
            if token is None or not token.is_symbol("{"):
                raise self._computed(keyword, f"this {keyword.text} is defined by a term")
        if token is None:
            return {}
        if token.is_symbol("{"):
            self._at += 1
            return self._assignments(None)
        if token.is_keyword("where"):
            self._at += 1
            first = self._peek()
            # Fields of a `where` block stand in one column, and nothing of it stands further left.
            return self._assignments(first.column) if first is not None and first.column > 1 else {}
        if token.is_symbol(":") or token.is_keyword("do"):
            raise self._computed(keyword, f"this {keyword.text} is defined by a term")
        return {}

    def _assignments(self, block_column: int | None) -> dict[str, list[Token]]:
        """Split `name := value` pairs; up to the closing brace, or up to the end of the `where` block."""
        fields: dict[str, list[Token]] = {}
        value: list[Token] | None = None
        depth = 0
        separated = True
        while (token := self._peek()) is not None:
            if block_column is not None and depth == 0 and token.opens_line and token.column < block_column:
                break
            self._at += 1
            following = self._peek()
            assigns = token.kind == "identifier" and following is not None and following.is_symbol(":=")
            # Elsewhere, as in `let x := …`, it belongs to the value that it stands in.
            if depth == 0 and assigns and (separated or token.opens_line):
                value = fields.setdefault(token.value, [])
                self._at += 1
                separated = False
                continue
            if token.kind == "symbol":
                if token.text in _OPENING:
                    depth += 1
                elif token.text in _CLOSING:
                    if depth == 0:
                        if block_column is None:
                            return fields
                        self._at -= 1
                        break
                    depth -= 1
                elif depth == 0 and token.text in (",", ";"):
                    separated = True
                    continue
            separated = False
            if value is not None:
                value.append(token)
        else:
            if block_column is None and self._tokens:
                raise self._computed(self._tokens[-1], "the file ends inside of {…}")
        return fields

    def _library(self, name: str, keyword: Token, kind: str, fields: dict[str, list[Token]]) -> LakeLibrary:
        values = {field: fields[field] for field in _DECIDING[kind] if field in fields}
        src_dir = str(PurePosixPath(self._base, self._path(values["srcDir"], "srcDir") if "srcDir" in values else "."))
        try:
            if kind == "lean_exe":
                root = self._name(values["root"], "root") if "root" in values else None
                return LakeLibrary.of_executable(name, root, src_dir)
            return LakeLibrary(
                name,
                src_dir=src_dir,
                roots=[self._name(item, "roots") for item in self._items(values["roots"])]
                if "roots" in values
                else None,
                globs=[self._glob(item) for item in self._items(values["globs"])] if "globs" in values else None,
            )
        except InvalidModuleName as error:
            raise _at(self._file, keyword.line, keyword.column, error.text) from error

    # -- values --

    def _path(self, value: list[Token], field: str) -> str:
        """A string, or strings joined by `/`."""
        value = _unwrapped(value)
        parts = value[::2]
        if not parts or len(value) % 2 == 0 or any(part.kind != "string" for part in parts):
            raise self._no_literal(value, field)
        if any(not joint.is_symbol("/") for joint in value[1::2]):
            raise self._no_literal(value, field)
        return str(PurePosixPath(*(part.value for part in parts)))

    def _name(self, value: list[Token], field: str) -> str:
        """A quoted name, or a string's `toName`."""
        value = _unwrapped(value)
        if len(value) == 1 and value[0].kind == "name":
            return value[0].value
        if len(value) == 3 and value[0].kind == "string" and value[1].is_symbol(".") and value[2].is_keyword("toName"):
            return module_names.canonical(value[0].value)
        raise self._no_literal(value, field)

    def _items(self, value: list[Token]) -> list[list[Token]]:
        """The items of `#[…]`; a value that is no array is its own single item."""
        value = _unwrapped(value)
        if not value or not value[0].is_symbol("#["):
            return [value]
        items: list[list[Token]] = [[]]
        depth = 0
        for index, token in enumerate(value):
            if token.kind == "symbol" and token.text in _CLOSING:
                depth -= 1
                if depth == 0:
                    if index != len(value) - 1:
                        raise self._no_literal(value, "the array")
                    break
            if depth == 1 and token.is_symbol(","):
                items.append([])
            elif depth:
                items[-1].append(token)
            if token.kind == "symbol" and token.text in _OPENING:
                depth += 1
        return [item for item in items if item]

    def _glob(self, value: list[Token]) -> LakeGlob:
        """`` `Foo ``, `` `Foo.* ``, `` `Foo.+ ``, `.one`, `.submodules` or `.andSubmodules` of a name."""
        value = _unwrapped(value)
        if value and value[0].kind == "name":
            ending = "".join(token.text for token in value[1:] if token.glued)
            if len(value) == 1 or (len(value) == 3 and ending in (".*", ".+")):
                return LakeGlob.parse(value[0].value + ending)
        constructor, argument = _application(value)
        shapes = {"one": (True, False), "submodules": (False, True), "andSubmodules": (True, True)}
        if constructor not in shapes:
            raise self._no_literal(value, "globs")
        itself, submodules = shapes[constructor]
        return LakeGlob(self._name(argument, "globs"), itself=itself, submodules=submodules)

    def _no_literal(self, value: list[Token], field: str) -> LakefileError:
        if not value:
            return LakefileError(f"reading {self._file}: {field} has no value", hint=_HINT, file=str(self._file))
        text = "".join(("" if token.glued else " ") + token.text for token in value).strip()
        return self._computed(value[0], f"the value of {field} is computed: {text[:120]}")

    def _computed(self, token: Token, what: str) -> LakefileError:
        return _at(self._file, token.line, token.column, f"{what}; this needs Lake to be worked out", _HINT)


def _unwrapped(value: list[Token]) -> list[Token]:
    """Without parentheses around all of it."""
    while len(value) > 2 and value[0].is_symbol("(") and value[-1].is_symbol(")"):
        depth = 0
        for token in value[:-1]:
            depth += token.is_symbol("(") - token.is_symbol(")")
            if depth == 0:
                return value
        value = value[1:-1]
    return value


def _application(value: list[Token]) -> tuple[str | None, list[Token]]:
    """A glob's constructor and its argument, whichever way it is written."""
    if len(value) >= 3 and value[0].is_symbol(".") and value[1].kind == "identifier":
        return value[1].value, value[2:]
    if len(value) >= 2 and value[0].kind == "identifier":
        return value[0].value.removeprefix("Lake.").removeprefix("Glob."), value[1:]
    return None, []
