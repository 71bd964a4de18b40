"""The values in a `lakefile.lean` that can be known without running it.

Understands literals (strings, paths joined by `/`, names, globs, numbers, options), arrays and lists of them, `++` of
these, `map` in each of its spellings with a glob's constructor or with a function that prefixes option names, and names
that the lakefile defines as such values. Everything else is computed, and an error that says where.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePosixPath

from ..errors import LakefileError
from ..toolchains import module_names
from .declarations import BUILD_TYPES, OptionValue
from .lakefile_tokens import CLOSING, OPENING, Token
from .library import LakeGlob

Computed = Callable[["Sequence[Token]", str], LakefileError]
_GLOBS = {"one": (True, False), "submodules": (False, True), "andSubmodules": (True, True)}
_MAPS = ("Array.map", "List.map")
_PATHS = ("FilePath.mk", "System.FilePath.mk")
_PATH_TYPES = ("FilePath", "System.FilePath")
# What a function that is mapped may say of its parameter.
_PARAMETER_TYPES = ("Name", "Lean.Name", "LeanOption", "Lean.LeanOption")
_DEEPEST = 20


class Values:
    """Works out values.

    Args:
        definitions: The lakefile's `def` and `abbrev`, as tokens by name; None for a name that is defined twice or
            under a condition.
        computed: Makes the error for tokens that are a computed value of a field.
    """

    def __init__(self, definitions: Mapping[str, Sequence[Token] | None], computed: Computed) -> None:
        self._definitions = definitions
        self._computed = computed

    def path(self, value: Sequence[Token], field: str) -> str:
        """Return a string, or strings joined by `/`; each may be wrapped as a `FilePath`."""
        found = self._defined(value)
        parts = _split(found, "/") or [list(found)]
        return str(PurePosixPath(*(self._path_part(part, value, field) for part in parts)))

    def _path_part(self, part: Sequence[Token], value: Sequence[Token], field: str) -> str:
        found = unwrapped(part)
        if len(found) == 3 and found[1].is_symbol(":") and found[2].text in _PATH_TYPES:
            found = found[:1]
        elif len(found) > 1 and found[0].kind == "identifier" and found[0].text in _PATHS:
            found = unwrapped(found[1:])
        if len(found) != 1 or found[0].kind != "string":
            raise self._computed(value, field)
        return found[0].value

    def name(self, value: Sequence[Token], field: str) -> str:
        """Return a quoted name, or a string's `toName`."""
        found = self._defined(value)
        if len(found) == 1 and found[0].kind == "name":
            return found[0].value
        if len(found) == 3 and found[0].kind == "string" and found[1].is_symbol(".") and found[2].is_keyword("toName"):
            return module_names.canonical(found[0].value)
        raise self._computed(value, field)

    def truth(self, value: Sequence[Token], field: str) -> bool:
        """Return `true` or `false`."""
        found = self._defined(value)
        if len(found) == 1 and found[0].kind == "identifier" and found[0].text in ("true", "false"):
            return found[0].text == "true"
        raise self._computed(value, field)

    def build_type(self, value: Sequence[Token]) -> str:
        """Return one of `BUILD_TYPES`."""
        text = "".join(token.text for token in self._defined(value))
        found = text.removeprefix("Lake.").removeprefix("BuildType").removeprefix(".")
        if found in BUILD_TYPES:
            return found
        raise self._computed(value, "buildType")

    def names(self, value: Sequence[Token], field: str) -> list[str]:
        """Return the names of an array, or a single one."""
        return [self.name(self._plain(item, field), field) for item in self._items_or_one(value, field)]

    def globs(self, value: Sequence[Token], field: str) -> list[LakeGlob]:
        """Return the globs of an array, or a single one."""
        return [self._glob(item, field) for item in self._items_or_one(value, field)]

    def texts(self, value: Sequence[Token], field: str) -> list[str]:
        """Return the strings of an array."""
        found = []
        for item in self._items(value, field):
            text = self._defined(self._plain(item, field))
            if len(text) != 1 or text[0].kind != "string":
                raise self._computed(text or value, field)
            found.append(text[0].value)
        return found

    def options(self, value: Sequence[Token], field: str) -> list[tuple[str, OptionValue]]:
        """Return the options of an array, as pairs of a name and a value."""
        return [self._option(item, field) for item in self._items(value, field)]

    def count(self, value: Sequence[Token], field: str) -> int:
        """Return the number of items of an array, whatever they are."""
        return len(self._items(value, field))

    # -- arrays --

    def _items_or_one(self, value: Sequence[Token], field: str) -> list[_Item]:
        found = self._array(value, field, 0)
        return [_Item(unwrapped(value))] if found is None else found

    def _items(self, value: Sequence[Token], field: str) -> list[_Item]:
        found = self._array(value, field, 0)
        if found is None:
            raise self._computed(value, field)
        return found

    def _array(self, value: Sequence[Token], field: str, depth: int) -> list[_Item] | None:
        """Return the items; None for what is no array in plain sight."""
        value = unwrapped(value)
        if not value or depth > _DEEPEST:
            return None
        if value[0].is_keyword("if"):
            return self._array(_without_configuration(value), field, depth + 1)
        if applied := _split(value, "<|"):
            # The rest is the argument, with all its `|>` and `++`.
            rest = value[len(applied[0]) + 1 :]
            return self._map(applied[0], rest, field, depth)
        if pipes := _split(value, "|>"):
            before = value[: len(value) - len(pipes[-1]) - 1]
            return _followed(self._array(before, field, depth + 1), pipes[-1])
        if parts := _split(value, "++"):
            arrays = [self._array(part, field, depth + 1) for part in parts]
            if any(array is None for array in arrays):
                raise self._computed(value, "the array" if value[0].is_symbol("#[") else field)
            return [item for array in arrays if array is not None for item in array]
        if mapped := _split(value, "<$>"):
            items = self._array(mapped[-1], field, depth + 1)
            for function in reversed(mapped[:-1]):
                items = _mapped(items, function)
            return items
        if value[0].kind == "identifier":
            return self._named_array(value, field, depth)
        if not any(value[0].is_symbol(opening) for opening in ("#[", "[", "(")):
            return None
        end = _closing(value)
        rest = value[end + 1 :]
        if value[0].is_symbol("("):
            return _followed(self._array(value[: end + 1], field, depth + 1), rest) if rest else None
        found = _followed([_Item(item) for item in _by_commas(value[1:end])], rest)
        if found is None:
            raise self._computed(value, "the array")
        return found

    def _named_array(self, value: Sequence[Token], field: str, depth: int) -> list[_Item] | None:
        """Return the items of `name`, `name.map f`, `name.toArray`, or `Array.map f array`."""
        name, ending = value[0].value, ""
        if name in _MAPS and name not in self._definitions:
            function = _argument(value[1:])
            return self._map(value[: 1 + len(function)], value[1 + len(function) :], field, depth, is_argument=True)
        while name not in self._definitions and name.endswith((".map", ".toArray")):
            name, _, last = name.rpartition(".")
            ending = f".{last}{ending}"
        items = self._array(self._definitions.get(name) or (), field, depth + 1)
        return _followed_by(items, ending, value[1:])

    def _map(
        self,
        head: Sequence[Token],
        value: Sequence[Token],
        field: str,
        depth: int,
        *,
        is_argument: bool = False,
    ) -> list[_Item] | None:
        """Return the items of `head value`, where the head is `Array.map f`; None for any other."""
        head = unwrapped(head)
        if len(head) < 2 or head[0].text not in _MAPS or head[0].value in self._definitions:
            return None
        # A word more is another argument, such as a bound.
        if len(_argument(head[1:])) != len(head) - 1 or (is_argument and len(_argument(value)) != len(value)):
            return None
        return _mapped(self._array(value, field, depth + 1), head[1:])

    def _plain(self, item: _Item, field: str) -> Sequence[Token]:
        if item.functions:
            raise self._computed(item.functions[0], field)
        return item.tokens

    def _defined(self, value: Sequence[Token]) -> Sequence[Token]:
        """Return what a name stands for, if the lakefile defines it, or the value itself."""
        value = unwrapped(value)
        for _ in range(_DEEPEST):
            if len(value) != 1 or value[0].kind != "identifier":
                break
            meaning = self._definitions.get(value[0].value)
            if meaning is None:
                break
            value = unwrapped(meaning)
        return value

    # -- items --

    def _glob(self, item: _Item, field: str) -> LakeGlob:
        """Return `` `Foo ``, `` `Foo.* ``, `` `Foo.+ ``, `.one`, `.submodules` or `.andSubmodules` of a name."""
        if item.functions:
            return self._glob_of_name(item, field)
        value = self._defined(item.tokens)
        if value and value[0].kind == "name":
            ending = "".join(token.text for token in value[1:] if token.glued)
            if len(value) == 1 or (len(value) == 3 and ending in (".*", ".+")):
                return LakeGlob.parse(value[0].value + ending)
        constructor, argument = _application(value)
        if constructor not in _GLOBS or value[0].value in self._definitions:
            raise self._computed(item.tokens, field)
        itself, submodules = _GLOBS[constructor]
        return LakeGlob(self.name(argument, field), itself=itself, submodules=submodules)

    def _glob_of_name(self, item: _Item, field: str) -> LakeGlob:
        (function, *more) = item.functions
        parameter, body = _function(function)
        body = unwrapped(body)
        constructor, argument = _application(body)
        if parameter is None:
            body = unwrapped(function)
            constructor, argument = _application([*body, *item.tokens])
        elif [token.text for token in unwrapped(argument)] == [parameter]:
            argument = list(item.tokens)
        elif any(token.text.split(".")[0] == parameter for token in argument):
            raise self._computed(function, field)
        if more or constructor not in _GLOBS or not body or body[0].value in self._definitions:
            raise self._computed(function, field)
        itself, submodules = _GLOBS[constructor]
        return LakeGlob(self.name(argument, field), itself=itself, submodules=submodules)

    def _option(self, item: _Item, field: str) -> tuple[str, OptionValue]:
        name, value = self._pair(item.tokens, field)
        option = ".".join(module_names.parse(self.name(name, field))), self._option_value(value, field)
        for function in item.functions:
            option = self._changed(option, function, field)
        return option

    def _pair(self, value: Sequence[Token], field: str) -> tuple[Sequence[Token], Sequence[Token]]:
        """Return the name and the value of `⟨name, value⟩` or `{ name := …, value := … }`."""
        value = self._defined(value)
        parts = _by_commas(value[1:-1])
        if len(parts) == 2 and value[0].is_symbol("⟨") and value[-1].is_symbol("⟩"):
            return parts[0], parts[1]
        if len(parts) == 2 and value[0].is_symbol("{") and value[-1].is_symbol("}"):
            fields = {part[0].text: part[2:] for part in parts if len(part) > 2 and part[1].is_symbol(":=")}
            if fields.keys() == {"name", "value"}:
                return fields["name"], fields["value"]
        raise self._computed(value, field)

    def _option_value(self, value: Sequence[Token], field: str) -> OptionValue:
        value = self._defined(value)
        constructor, argument = _application(value)
        if constructor is not None and constructor.removeprefix("LeanOptionValue.") in ("ofNat", "ofBool", "ofString"):
            value = unwrapped(argument)
        if len(value) == 1:
            (token,) = value
            if token.kind == "string":
                return token.value
            if token.kind == "identifier" and token.text in ("true", "false"):
                return token.text == "true"
            if token.kind == "number" and token.text.isdecimal():
                return int(token.text)
        raise self._computed(value, field)

    def _changed(
        self, option: tuple[str, OptionValue], function: Sequence[Token], field: str
    ) -> tuple[str, OptionValue]:
        """Apply `fun s => { s with name := `prefix ++ s.name }`, or the same as a pair."""
        parameter, body = _function(function)
        body = unwrapped(body)
        if parameter is None or len(body) < 3:
            raise self._computed(function, field)
        if body[0].is_symbol("{") and [token.text for token in body[1:5]] == [parameter, "with", "name", ":="]:
            name = body[5:-1]
        else:
            name, value = self._pair(body, field)
            if [token.text for token in value] != [f"{parameter}.value"]:
                raise self._computed(function, field)
        parts = []
        for part in _split(name, "++") or [list(name)]:
            if len(part) == 1 and part[0].kind == "name":
                parts.append(".".join(module_names.parse(part[0].value)))
            elif [token.text for token in part] == [f"{parameter}.name"]:
                parts.append(option[0])
            else:
                raise self._computed(function, field)
        return ".".join(parts), option[1]


class _Item:
    """An item of an array, and the functions that are mapped over it, the first first."""

    def __init__(self, tokens: Sequence[Token], functions: tuple[Sequence[Token], ...] = ()) -> None:
        self.tokens = tokens
        self.functions = functions


def _mapped(items: list[_Item] | None, function: Sequence[Token]) -> list[_Item] | None:
    if items is None or not function:
        return None
    return [_Item(item.tokens, (*item.functions, function)) for item in items]


def _followed(items: list[_Item] | None, rest: Sequence[Token]) -> list[_Item] | None:
    """Return what `.map f` or `.toArray` after an array or list makes of it; None for anything else."""
    if not rest:
        return items
    if len(rest) < 2 or not rest[0].is_symbol(".") or rest[1].kind != "identifier":
        return None
    return _followed_by(items, f".{rest[1].text}", rest[2:])


def _followed_by(items: list[_Item] | None, ending: str, rest: Sequence[Token]) -> list[_Item] | None:
    while ending.startswith(".toArray"):
        ending = ending.removeprefix(".toArray")
    if ending == ".map":
        return _mapped(items, rest)
    return None if ending else _followed(items, rest)


def _argument(value: Sequence[Token]) -> Sequence[Token]:
    """Return the first argument in the rest of an application, with what is glued to it; empty if there is none."""
    if not value or value[0].is_keyword("fun"):
        return ()
    if value[0].is_symbol("."):
        end = 2 if len(value) > 1 and value[1].kind == "identifier" and value[1].glued else 0
    elif value[0].kind == "identifier":
        end = 1
    else:
        end = _closing(value) + 1 if any(value[0].is_symbol(opening) for opening in ("(", "[", "#[")) else 0
    while 0 < end < len(value) - 1 and value[end].is_symbol(".") and value[end].glued and value[end + 1].glued:
        end += 2
    return value[:end]


def unwrapped(value: Sequence[Token]) -> Sequence[Token]:
    """Return a value without parentheses around all of it."""
    while len(value) > 2 and value[0].is_symbol("(") and _closing(value) == len(value) - 1:
        value = value[1:-1]
    return value


def _closing(value: Sequence[Token]) -> int:
    """Return the index of the bracket that closes the first token, or of the last token."""
    depth = 0
    for index, token in enumerate(value):
        depth += _change(token)
        if depth == 0:
            return index
    return len(value) - 1


def _change(token: Token) -> int:
    if token.kind != "symbol":
        return 0
    return 1 if token.text in OPENING else -1 if token.text in CLOSING else 0


def _split(value: Sequence[Token], operator: str) -> list[list[Token]]:
    """Return the operands of an operator outside of brackets; empty without one. A function takes the rest."""
    parts: list[list[Token]] = [[]]
    depth = 0
    takes_rest = False
    for token in value:
        depth += _change(token)
        takes_rest = takes_rest or (depth == 0 and (token.is_keyword("fun") or token.is_symbol("λ")))
        if depth == 0 and not takes_rest and token.is_symbol(operator):
            parts.append([])
        else:
            parts[-1].append(token)
    return parts if len(parts) > 1 else []


def _without_configuration(value: Sequence[Token]) -> Sequence[Token]:
    """Return the last part of `if get_config? x |>.isSome then … else …`: nobody gives our Lake `-K` options."""
    depth, then, otherwise = 0, 0, 0
    for index, token in enumerate(value):
        depth += _change(token)
        if depth == 0 and token.is_keyword("then"):
            then = then or index
        elif depth == 0 and token.is_keyword("else"):
            otherwise = otherwise or index
    condition = [token.text for token in value[1:then] if token.text not in ("(", ")")]
    asks = condition[:1] == ["get_config?"] and len(condition) > 2
    is_set = condition[2:] in (["|>", ".", "isSome"], [".", "isSome"])
    is_equal = condition[2:-1] in (["=", "some"], ["=", "=", "some"]) and value[then - 1].kind == "string"
    return value[otherwise + 1 :] if asks and otherwise and (is_set or is_equal) else ()


def _by_commas(value: Sequence[Token]) -> list[list[Token]]:
    parts: list[list[Token]] = [[]]
    depth = 0
    for token in value:
        depth += _change(token)
        if depth == 0 and token.is_symbol(","):
            parts.append([])
        else:
            parts[-1].append(token)
    return [part for part in parts if part]


def _function(value: Sequence[Token]) -> tuple[str | None, Sequence[Token]]:
    """Return parameter and body of `fun x => body`, or of `(body)` with one `·`."""
    inner = unwrapped(value)
    if len(inner) > 3 and (inner[0].is_keyword("fun") or inner[0].is_symbol("λ")):
        arrow = next((index for index, token in enumerate(inner) if token.text in ("=>", "↦")), len(inner))
        binder = unwrapped(inner[1:arrow])
        is_typed = len(binder) == 3 and binder[1].is_symbol(":") and binder[2].text in _PARAMETER_TYPES
        if binder and binder[0].kind == "identifier" and (len(binder) == 1 or is_typed):
            return binder[0].text, inner[arrow + 1 :]
    if len(inner) < len(value) and any(token.is_symbol("·") for token in inner):
        return "·", inner
    return None, inner


def _application(value: Sequence[Token]) -> tuple[str | None, list[Token]]:
    """Return a constructor and its argument, whichever way it is written."""
    at = 2 if value and value[0].is_symbol(".") else 1
    if len(value) > at + 1 and value[at].is_symbol("<|"):
        value = [*value[:at], *value[at + 1 :]]
    if len(value) >= 3 and value[0].is_symbol(".") and value[1].kind == "identifier":
        return value[1].value, list(value[2:])
    if len(value) >= 2 and value[0].kind == "identifier":
        name = value[0].value.removeprefix("Lake.").removeprefix("Lean.")
        return name.removeprefix("Glob.").removeprefix("LeanOptionValue."), list(value[1:])
    return None, []
