"""Reads what a `lakefile.lean` declares, without running it.

Owns the declarative part of Lake's language: `package`, `lean_lib`, `lean_exe` and `require`, with `where` or `{…}`. A
lakefile is a program, so the rest cannot be known without Lake: a value that is asked for and that is no literal (see
`lakefile_values`) is an error that says where it is. Fields and declarations that decide nothing may be as computed as
they like.
"""

from __future__ import annotations

import copy
import functools
import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from ..errors import InvalidModuleName, LakefileError
from .declarations import BUILD_TYPES, BuildSettings, Declarations, Requirement, Target
from .lakefile_tokens import CLOSING, OPENING, Token, TokenError, tokens
from .lakefile_values import Values
from .library import LakeLibrary, target_name

_DECLARED = ("package", "lean_lib", "lean_exe")
# Reserved by Lake: none of these words continues a value.
_RESERVED = frozenset({*_DECLARED, "require", "extern_lib"})
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
# Words that go on with a value, at whatever column.
_CONTINUING = frozenset({"then", "else", "with", "in", "from"})
# A line that begins with one of these begins a command, at whatever column.
_COMMAND_SYMBOLS = ("@[", "#")
_HINT = "Give discover(libraries=[LakeLibrary(…)]), or write the value as a literal."

_Fields = dict[str, list[Token]]


def read(file: Path, content: bytes) -> tuple[LakeLibrary, ...]:
    """Return the libraries and executables of a `lakefile.lean`, in the file's order.

    Raises:
        LakefileError: As of `declarations`, or a value that decides about modules is computed.
    """
    return declarations(file, content).libraries()


def declarations(file: Path, content: bytes) -> Declarations:
    """Return what a `lakefile.lean` declares.

    Raises:
        LakefileError: It cannot be tokenised, or ends inside of a declaration: the text says what and where.
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


def _spelling(value: Sequence[Token] | None) -> tuple[tuple[str, bool], ...] | None:
    """Return what distinguishes values, wherever they stand."""
    return None if value is None else tuple((token.text, token.glued) for token in value)


class _Reader:
    """One pass over the tokens; what was found is evaluated later."""

    def __init__(self, file: Path, found: list[Token]) -> None:
        self._file = file
        self._tokens = found
        self._at = 0
        self._targets: list[Target] = []
        self._doubts: list[LakefileError] = []
        self._requirements: list[Requirement] = []
        # The packages, without fields if a term defines them, and with what makes them doubtful: nobody knows which one
        # of two that exclude each other counts.
        self._packages: list[tuple[_Fields | None, LakefileError | None]] = []
        self._definitions: dict[str, Sequence[Token] | None] = {}
        self._values = Values(self._definitions, self._no_literal)

    def run(self) -> Declarations:
        depth = 0
        conditional: Token | None = None
        guards_next = False
        while (token := self._peek()) is not None:
            self._at += 1
            if token.kind == "symbol" and token.text in OPENING:
                depth += 1
            elif token.kind == "symbol" and token.text in CLOSING:
                depth -= 1
            following = self._peek()
            if conditional is not None and token.kind == "identifier" and token.text in ("then", "else"):
                # One command, wherever it is, or after `do` all that are further right than `meta if`.
                guards_next = True
            elif conditional is not None and not guards_next and token.opens_line:
                conditional = conditional if token.column > conditional.column else None
            if token.is_keyword("meta") and following is not None and following.is_keyword("if"):
                conditional = token
            elif token.kind == "identifier" and token.text in _COMMANDS:
                doubt = None
                if depth or conditional is not None:
                    reason = "under a condition" if conditional is not None else "inside of a term"
                    doubt = self._computed(token, f"this {token.text} is declared {reason}")
                if token.text in _DECLARED:
                    self._declaration(token, doubt, in_term=depth > 0)
                elif token.text == "require":
                    self._requirement()
                elif token.text in ("def", "abbrev"):
                    self._definition(token, is_doubtful=doubt is not None)
                guards_next = False
        return Declarations(
            tuple(self._targets),
            tuple(self._doubts),
            tuple(self._requirements),
            self._settings_of_package,
            self._library_directory,
        )

    def _peek(self) -> Token | None:
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    # -- finding declarations --

    def _declaration(self, keyword: Token, doubt: LakefileError | None, *, in_term: bool) -> None:
        name: str | None = None
        is_default = self._has_attribute("default_target")
        token = self._peek()
        if token is not None and token.kind in ("identifier", "string") and not token.is_keyword("where"):
            name = token.value if token.kind == "identifier" else target_name(token.value)
            self._at += 1
        elif keyword.text != "package":
            self._doubts.append(
                doubt or self._computed(keyword, f"the name of this {keyword.text} is no identifier and no string")
            )
            return
        if in_term and doubt is not None:
            self._doubts.append(doubt)
            return
        fields: _Fields | None = None
        try:
            fields = self._fields(keyword)
        except LakefileError as error:
            if error.facts.get("line") != keyword.line or error.facts.get("column") != keyword.column:
                raise
            doubt = doubt or error
        if keyword.text == "package":
            self._packages.append((fields, doubt))
            return
        assert name is not None
        library = functools.cache(functools.partial(self._library, name, keyword, fields or {}, doubt))
        settings = functools.partial(self._settings, fields or {}, doubt)
        self._targets.append(Target(target_name(name), keyword.text, library, settings, is_default))

    def _has_attribute(self, wanted: str) -> bool:
        """Whether the keyword that was just read has an attribute, as in `@[default_target] lean_lib`."""
        at = self._at - 2
        if at < 0 or not self._tokens[at].is_symbol("]"):
            return False
        while at >= 0 and not self._tokens[at].is_symbol("@["):
            if self._tokens[at].is_keyword(wanted):
                return True
            at -= 1
        return False

    def _requirement(self) -> None:
        """Read `["scope" /] name [@ version] [from source]`."""
        token = self._peek()
        following = self._tokens[self._at + 1] if self._at + 1 < len(self._tokens) else None
        if token is not None and token.kind == "string" and following is not None and following.is_symbol("/"):
            self._at += 2
            token = self._peek()
        if token is None or token.kind not in ("identifier", "string"):
            self._requirements.append(Requirement("a package whose name is computed", None))
            return
        self._at += 1
        name = token.value.replace("«", "").replace("»", "")
        source = self._peek()
        path = None
        if source is not None and source.is_keyword("from"):
            parts = []
            for part in self._tokens[self._at + 1 :]:
                if part.kind != "string" and not part.is_symbol("/"):
                    break
                parts.append(part)
            if parts and all(part.kind == "string" for part in parts[::2]) and len(parts) % 2:
                path = str(PurePosixPath(*(part.value for part in parts[::2])))
        self._requirements.append(Requirement(name, path))

    def _definition(self, keyword: Token, *, is_doubtful: bool) -> None:
        """Keep what follows `def name [: type] :=`, up to the next line that is not further right; read it again."""
        at = self._at
        if at >= len(self._tokens) or self._tokens[at].kind != "identifier":
            return
        name = self._tokens[at].value
        header = at + 1
        while header < len(self._tokens) and not self._tokens[header].is_symbol(":="):
            if self._tokens[header].opens_line and self._tokens[header].column <= keyword.column:
                return
            header += 1
        has_parameters = header > at + 1 and not self._tokens[at + 1].is_symbol(":")
        end = header + 1
        while end < len(self._tokens):
            token = self._tokens[end]
            if token.opens_line and token.column <= keyword.column and not self._continues(token):
                break
            end += 1
        unusable = is_doubtful or has_parameters or name in self._definitions
        self._definitions[name] = None if unusable else self._tokens[header + 1 : end]

    def _fields(self, keyword: Token) -> _Fields:
        """Return the values of the declaration's fields, as tokens, by name."""
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
            second = self._tokens[self._at + 1] if self._at + 1 < len(self._tokens) else None
            # Fields of a `where` block begin in one column, be it the first one. What is no field is the next command.
            if first is None or first.kind != "identifier" or second is None or not second.is_symbol(":="):
                begins_command = first is not None and (first.text in _COMMANDS or first.text in ("else", "@["))
                if first is not None and not first.opens_line and not begins_command:
                    raise self._computed(first, f"{first.text} is no field of this {keyword.text}")
                return {}
            return self._assignments(first.column)
        if token.is_symbol(":") or token.is_keyword("do"):
            raise self._computed(keyword, f"this {keyword.text} is defined by a term")
        return {}

    @staticmethod
    def _continues(token: Token) -> bool:
        """Whether a token at the start of a line goes on with the value before it."""
        return token.kind == "symbol" and token.text not in _COMMAND_SYMBOLS

    def _ends_block(self, token: Token, block_column: int, open_ifs: int) -> bool:
        if token.kind == "identifier" and (token.text in _RESERVED or (token.text == "else" and not open_ifs)):
            return True
        if not token.opens_line or token.column > block_column or self._continues(token):
            return False
        if token.kind == "identifier" and token.text in _CONTINUING:
            return False
        following = self._tokens[self._at + 1] if self._at + 1 < len(self._tokens) else None
        is_field = token.kind == "identifier" and following is not None and following.is_symbol(":=")
        return token.column < block_column or not is_field

    def _assignments(self, block_column: int | None) -> _Fields:
        """Split `name := value` pairs; up to the closing brace, or up to the end of the `where` block."""
        fields: _Fields = {}
        value: list[Token] | None = None
        depth = open_ifs = 0
        separated = True
        while (token := self._peek()) is not None:
            # A value may begin on the next line, wherever that begins.
            may_end = block_column is not None and depth == 0 and (value is None or len(value) > 0)
            if may_end and block_column is not None and self._ends_block(token, block_column, open_ifs):
                following = self._tokens[self._at + 1] if self._at + 1 < len(self._tokens) else None
                if token.kind == "identifier" and following is not None and following.is_symbol(":="):
                    raise self._computed(token, f"{token.text} is further left than the first field of its block")
                break
            self._at += 1
            following = self._peek()
            assigns = token.kind == "identifier" and following is not None and following.is_symbol(":=")
            # Elsewhere, as in `let x := …`, it belongs to the value that it is part of.
            is_at_column = token.opens_line and (block_column is None or token.column == block_column)
            if depth == 0 and assigns and (separated or is_at_column):
                value = fields.setdefault(token.value, [])
                self._at += 1
                separated = False
                open_ifs = 0
                continue
            if token.kind == "symbol":
                if token.text in OPENING:
                    depth += 1
                elif token.text in CLOSING:
                    if depth == 0:
                        if block_column is None:
                            return fields
                        self._at -= 1
                        break
                    depth -= 1
                elif depth == 0 and token.text in (",", ";"):
                    separated = True
                    continue
            elif depth == 0:
                open_ifs += token.is_keyword("if") - token.is_keyword("else")
            separated = False
            if value is not None:
                value.append(token)
        else:
            if block_column is None and self._tokens:
                raise self._computed(self._tokens[-1], "the file ends inside of {…}")
        return fields

    # -- their values --

    def _package_field(self, field: str) -> list[Token] | None:
        """Return a field's value, if the package has it; raise if only some of several packages do.

        Of several packages one counts, so a value that all of them have is the value.
        """
        values = [fields.get(field) for fields, _ in self._packages if fields is not None]
        is_known = 1 < len(values) == len(self._packages)
        if is_known and len({_spelling(value) for value in values}) == 1:
            return values[0]
        found = None
        for fields, doubt in self._packages:
            if doubt is not None and (fields is None or field in fields):
                raise copy.copy(doubt)
            found = found if fields is None else fields.get(field, found)
        return found

    def _library(self, name: str, keyword: Token, fields: _Fields, doubt: LakefileError | None) -> LakeLibrary:
        if doubt is not None:
            raise copy.copy(doubt)
        base = self._package_field("srcDir")
        parts = [self._values.path(value, "srcDir") for value in (base, fields.get("srcDir")) if value is not None]
        src_dir = str(PurePosixPath(".", *parts))
        try:
            if keyword.text == "lean_exe":
                root = self._values.name(fields["root"], "root") if "root" in fields else None
                return LakeLibrary.of_executable(name, root, src_dir)
            return LakeLibrary(
                name,
                src_dir=src_dir,
                roots=self._values.names(fields["roots"], "roots") if "roots" in fields else None,
                globs=self._values.globs(fields["globs"], "globs") if "globs" in fields else None,
            )
        except InvalidModuleName as error:
            raise _at(self._file, keyword.line, keyword.column, error.text) from error

    def _settings_of_package(self, *, with_options: bool = True) -> BuildSettings:
        names = ("leanOptions", "buildType", "moreLeanArgs", "weakLeanArgs", "precompileModules", "plugins", "dynlibs")
        wanted = names if with_options else names[2:]
        found = {name: value for name in wanted if (value := self._package_field(name)) is not None}
        return self._settings(found, None, with_options=with_options)

    def _settings(self, fields: _Fields, doubt: LakefileError | None, *, with_options: bool = True) -> BuildSettings:
        if doubt is not None:
            raise copy.copy(doubt)
        values = self._values
        loads = [name for name in ("plugins", "dynlibs") if name in fields and values.count(fields[name], name)]
        return BuildSettings(
            tuple(values.options(fields["leanOptions"], "leanOptions"))
            if with_options and "leanOptions" in fields
            else (),
            tuple(
                argument
                for name in ("weakLeanArgs", "moreLeanArgs")
                if name in fields
                for argument in values.texts(fields[name], name)
            ),
            "precompileModules" in fields and values.truth(fields["precompileModules"], "precompileModules"),
            tuple(loads),
            with_options and "buildType" in fields and values.build_type(fields["buildType"]) == BUILD_TYPES[0],
        )

    def _library_directory(self) -> tuple[str | None, str | None]:
        build, library = (self._package_field(name) for name in ("buildDir", "leanLibDir"))
        return (
            None if build is None else self._values.path(build, "buildDir"),
            None if library is None else self._values.path(library, "leanLibDir"),
        )

    def _no_literal(self, value: Sequence[Token], field: str) -> LakefileError:
        if not value:
            return LakefileError(f"reading {self._file}: {field} has no value", hint=_HINT, file=str(self._file))
        text = "".join(("" if token.glued else " ") + token.text for token in value).strip()
        return self._computed(value[0], f"the value of {field} is computed: {text[:120]}")

    def _computed(self, token: Token, what: str) -> LakefileError:
        return _at(self._file, token.line, token.column, f"{what}; this needs Lake to be worked out", _HINT)
