"""The rows, and the commands that stream them.

Owns the fields and their meaning, the same for every version of Lean. In JSON, Parquet and SQLite a field's name is
written in camel case (`isPrivate`). None stands for what was not asked for, what the declaration does not have, and
what this version of Lean cannot say.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from ..commands import StreamingCommand

_Width = Annotated[int, msgspec.Meta(ge=1)]
_OptionName = Annotated[str, msgspec.Meta(pattern=r"^[^\s=]+$")]


DEFAULT_WIDTH = 100
"""The width that Lean's side takes for a request without one."""


class Request(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """A request of `DECLARATIONS` or `DEPENDENCIES`; `MODULES` looks at `imports` only.

    Attributes:
        imports: Modules to import; None for those that are open: the worker's own, or the last request's. Lean keeps
            some MB of each import for good, so that a worker is best asked for the same imports again.
        modules: Modules whose declarations are wanted; None for all that are imported.
        width: Width of the printed types, in columns, from 1; None for 100.
        options: Names of Lean's printing options to switch on, such as "pp.all"; "no-pp.notation" switches one off. One
            that no imported module declares is refused, "weak.pp.all" if it is not there is ignored.
        with_type: Whether types are printed, which takes most of the time.
        with_expr: Whether types are given as a structure.
        with_axioms: Whether the axioms are looked for.
        with_doc: Whether documentation is given.
        version: Any text; of a job's items, another one makes the item due again.
    """

    imports: tuple[str, ...] | None = None
    modules: tuple[str, ...] | None = None
    width: _Width | None = None
    options: tuple[_OptionName, ...] | None = None
    with_type: bool = True
    with_expr: bool = False
    with_axioms: bool = True
    with_doc: bool = True
    version: str = ""


class Place(msgspec.Struct, frozen=True, rename="camel"):
    """A range in a source file: lines from 1, columns in code points from 0, the end exclusive."""

    line: int
    column: int
    end_line: int
    end_column: int


class Declaration(msgspec.Struct, frozen=True, rename="camel"):
    """A constant of a module.

    Attributes:
        name: As it is written in source; a private one without its module's name.
        kind: "theorem", "definition", "instance", "axiom", "opaque", "inductive", "structure", "class",
            "constructor", "recursor" or "quotient".
        module: The module that declares it.
        universes: Its universe parameters.
        type: Its type as text; None also if Lean cannot print it.
        expr: Its type as nested lists, each with the constructor's name first: ["app", function, argument].
        doc: Its documentation, as Lean keeps it, mostly with a space at its end.
        place: Its range in the source, with its documentation and modifiers; of a generated one None, or that of what
            it was made for.
        attributes: Those of "simp", "instance", "class", "reducible", "irreducible", "deprecated" that it has.
        is_private: Whether it is private.
        is_protected: Whether it is protected.
        is_unsafe: Whether it is unsafe.
        is_partial: Whether it is partial.
        is_noncomputable: Whether it is marked noncomputable.
        is_generated: Whether Lean made it, and no source names it, as a recursor, or a function of `deriving`.
        generated_by: The declaration that a generated one belongs to.
        axioms: All axioms on which it depends, directly or not.
    """

    name: str
    kind: str
    module: str
    universes: list[str] = msgspec.field(default_factory=list)
    type: str | None = None
    expr: Any = None
    doc: str | None = None
    place: Place | None = None
    attributes: list[str] | None = None
    is_private: bool | None = None
    is_protected: bool | None = None
    is_unsafe: bool | None = None
    is_partial: bool | None = None
    is_noncomputable: bool | None = None
    is_generated: bool | None = None
    generated_by: str | None = None
    axioms: list[str] | None = None


class Dependencies(msgspec.Struct, frozen=True, rename="camel"):
    """The constants that a declaration names.

    Attributes:
        name: The declaration.
        module: The module that declares it.
        type_uses: Constants in its type, each once.
        value_uses: Constants in its value, each once; None for a declaration without a value.
    """

    name: str
    module: str
    type_uses: list[str]
    value_uses: list[str] | None = None


class Uses(msgspec.Struct, frozen=True, rename="camel"):
    """As `Dependencies`, but each constant is a pair of its name and the module that declares it."""

    name: str
    module: str
    type_uses: list[tuple[str, str]]
    value_uses: list[tuple[str, str]] | None = None


class Edge(msgspec.Struct, frozen=True, rename="camel"):
    """One use of a constant by a declaration.

    Attributes:
        name: The declaration.
        module: The module that declares it.
        uses: The constant.
        uses_module: The module that declares the constant: private constants of several modules can have one name.
        where: "type" or "value"; a constant in both gives two rows.
    """

    name: str
    module: str
    uses: str
    uses_module: str
    where: str


class Import(msgspec.Struct, frozen=True, rename="camel"):
    """One `import` of a module.

    Attributes:
        module: The module that is imported.
        is_public: Whether modules that import this one see it too: `public import`, and every import of a file without
            a `module` header.
        is_meta: Whether it is a `meta import`.
        is_all: Whether it is an `import all`.
    """

    module: str
    is_public: bool | None = None
    is_meta: bool | None = None
    is_all: bool | None = None


class ModuleRow(msgspec.Struct, frozen=True, rename="camel"):
    """A module that was imported, directly or not.

    Attributes:
        name: The module.
        index: Its number in Lean's order: each module stands after those that it imports.
        constants: How many constants it declares.
        imports: Its own imports, in order, with those of `Init` that no `prelude` makes Lean add.
        size_bytes: Length of its file (`.olean`, without its further parts); None if it is not found.
    """

    name: str
    index: int
    constants: int
    imports: list[Import] | None = None
    size_bytes: int | None = None


class SourceMessage(msgspec.Struct, frozen=True, rename="camel"):
    """A message of Lean about a source file.

    Attributes:
        file: The file, as it was given.
        severity: "information", "warning" or "error".
        kind: What Lean calls this kind of message, such as "hasSorry"; None for most.
        line: Its first line, from 1.
        column: Its first column, in code points from 0.
        end_line: Its last line; None if Lean does not say.
        end_column: The column after its last; None likewise.
        text: Its text.
    """

    file: str
    severity: str
    kind: str | None
    line: int
    column: int
    end_line: int | None
    end_column: int | None
    text: str


DECLARATIONS: StreamingCommand[Request, Declaration, int] = StreamingCommand(
    "declarations", request=Request, row=Declaration, summary=int
)
"""Each constant of the modules asked for; the summary is their number."""

DEPENDENCIES: StreamingCommand[Request, Dependencies, int] = StreamingCommand(
    "dependencies", request=Request, row=Dependencies, summary=int
)
"""Each constant of the modules asked for with the constants that it names; the summary is their number."""

USES: StreamingCommand[Request, Uses, int] = StreamingCommand("uses", request=Request, row=Uses, summary=int)
"""Each constant of the modules asked for with the constants that it names and their modules, for edges."""

MODULES: StreamingCommand[Request, ModuleRow, Any] = StreamingCommand("modules", request=Request, row=ModuleRow)
"""Each module that is imported, without `size_bytes`, which `extract` adds."""
