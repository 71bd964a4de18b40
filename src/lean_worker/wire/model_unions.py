"""Types with unions of pydantic models, which msgspec does not read: pydantic reads the whole, in msgspec's way.

Outside of models, pydantic would take `"yes"` for a bool, write bytes in another form than msgspec, and guess which
member of a union a text is. Its schema of such a type is made strict there; models read as they always do.
"""

from __future__ import annotations

import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import msgspec

from . import key_types
from .records import is_pydantic_model
from .type_checks import Unreadable, hints_of

_AS_MSGSPEC = {"strict": True, "val_json_bytes": "base64"}
_OF_CLASSES = ("dataclass", "typed-dict")
_NO_VALUES = ("generator", "callable", "is-instance", "is-subclass", "complex")
_CONSTRAINTS = ("gt", "ge", "lt", "le", "multiple_of", "pattern", "min_length", "max_length", "tz")
_UNION_HINT = "Declare one of them, or a class for each."
_MODEL_HINT = "Make each of them a pydantic model, with a Literal field that tells which one it is."
_FIELD_HINT = "Use pydantic's, as in Annotated[int, pydantic.Field(gt=0)], or give the union a model of its own."
_INIT_HINT = "Make it an argument of __init__, or give the union a model of its own."


def union_decoder(kind: Any, classes: Iterable[type]) -> Callable[[bytes], Any] | None:
    """Return a function from JSON text to a value of a type with unions of models; None if pydantic has none.

    Args:
        kind: The type.
        classes: All classes in it.

    Raises:
        Unreadable: A part outside of models has constraints that pydantic does not check, or members of a union that
            JSON cannot tell apart.
    """
    import pydantic
    import pydantic_core

    try:
        schema: Any = pydantic.TypeAdapter(kind).core_schema
    except pydantic.PydanticSchemaGenerationError:
        return None
    except pydantic.PydanticUserError as error:
        raise Unreadable(str(error).partition("\n")[0], "Give the union a model or a dataclass of its own.") from None
    found = [one for one in classes if not is_pydantic_model(one)]
    for annotation in (kind, *(hint for one in found for hint in hints_of(one))):
        _check_meta(annotation)
    for one in found:
        _check_fields(one)
    settings: Any = _AS_MSGSPEC
    definitions = {one["ref"]: one for one in schema.get("definitions", ())}
    return pydantic_core.SchemaValidator(_strict(schema, definitions), settings).validate_json


def _strict(schema: Any, definitions: Mapping[str, Any]) -> Any:
    """A schema whose parts outside of models are read as msgspec does."""
    if isinstance(schema, (list, tuple)):
        return type(schema)(_strict(part, definitions) for part in schema)
    if not isinstance(schema, dict):
        return schema
    name = schema.get("type")
    made = {
        key: part if name == "model" or key == "metadata" else _strict(part, definitions)
        for key, part in schema.items()
    }
    # A class may be in a model too, and is another one there.
    for key in ("ref", "schema_ref"):
        if isinstance(schema.get(key), str):
            made[key] = f"{schema[key]} outside of models"
    if name == "definitions":
        made["definitions"] = [*schema["definitions"], *made["definitions"]]
    elif name in _OF_CLASSES:
        made["config"] = {**(schema.get("config") or {}), **_AS_MSGSPEC}
    elif name in ("union", "nullable"):
        _check_union(schema, definitions)
    elif name == "dict":
        _check_keys(schema, definitions)
    elif name in _NO_VALUES:
        raise Unreadable(f"pydantic reads no {name} from JSON", "Use a dataclass or plain types.")
    return made


# -- what is refused --


def _check_union(schema: Any, definitions: Mapping[str, Any]) -> None:
    found: list[tuple[str, tuple[str, ...]]] = []
    for name, forms in _members(schema, definitions):
        for other, others in found:
            if not set(forms).isdisjoint(others) and frozenset((name, other)) not in _TOLD_APART:
                raise Unreadable(
                    f"JSON cannot tell {other} and {name} apart, members of a union",
                    _MODEL_HINT if "model" in (other, name) else _UNION_HINT,
                )
        found.append((name, forms))


_TOLD_APART = [
    *(
        frozenset(names)
        for names in (("int", "float"), ("literal", "str"), ("literal", "int"), ("literal",), ("none",))
    ),
    # Between models pydantic decides.
    *(frozenset(names) for names in (("model",), ("root model",), ("model", "root model"))),
]


def _members(schema: Any, definitions: Mapping[str, Any]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The names of a union's members, or of what is no union, and the forms of their values in JSON."""
    name = schema.get("type")
    if name == "union":
        for choice in schema["choices"]:
            yield from _members(choice[0] if isinstance(choice, tuple) else choice, definitions)
    elif name == "tagged-union":
        for choice in schema["choices"].values():
            yield from _members(choice, definitions)
    elif name == "definition-ref":
        yield from _members(definitions[schema["schema_ref"]], definitions)
    elif name == "nullable":
        yield from _members(schema["schema"], definitions)
        yield "none", ("null",)
    elif name.startswith("function-"):
        # A validator of its own, around what it validates.
        yield from _members(schema["schema"], definitions) if "schema" in schema else ()
    elif name == "model" and schema.get("root_model"):
        for _, forms in _members(schema["schema"], definitions):
            yield "root model", forms
    else:
        yield name, _forms(schema)


_FORMS = {
    "null": ("none",),
    "text": ("str", "bytes", "date", "time", "datetime", "timedelta", "uuid", "decimal"),
    "number": ("int", "float", "decimal"),
    "array": ("list", "tuple", "set", "frozenset", "call", "named-tuple"),
    "object": ("dict", "typed-dict", "dataclass", "model"),
}
_NO_KEYS = ("bool", *_FORMS["array"], *_FORMS["object"])


def _forms(schema: Any) -> tuple[str, ...]:
    """The forms in JSON of a type's values; none if it does not tell."""
    name = schema["type"]
    if name in ("enum", "literal"):
        values = schema["expected"] if name == "literal" else [member.value for member in schema["members"]]
        kinds = {str: "text", int: "number", float: "number"}
        return tuple({kinds[kind] for kind in kinds if any(isinstance(value, kind) for value in values)})
    return tuple(form for form, names in _FORMS.items() if name in names)


def _check_keys(schema: Any, definitions: Mapping[str, Any]) -> None:
    keys = schema.get("keys_schema")
    if keys is None:
        return
    names = {name for name, _ in _members(keys, definitions)} - {"none"}
    if not names or not names.isdisjoint(_NO_KEYS):
        raise Unreadable(*key_types.NO_TEXTS)
    problem = key_types.problem_of_model(keys)
    if problem is not None:
        raise Unreadable(*problem)


def _check_fields(kind: Any) -> None:
    for field in getattr(kind, "__dataclass_fields__", {}).values():
        if not field.init:
            raise Unreadable(f"pydantic reads no {field.name!r} of {kind.__qualname__}: it has init=False", _INIT_HINT)


def _check_meta(annotation: Any) -> None:
    if isinstance(annotation, msgspec.Meta):
        if any(getattr(annotation, name) is not None for name in _CONSTRAINTS):
            raise Unreadable(f"beside a union of pydantic models, nothing checks {annotation!r}", _FIELD_HINT)
        return
    inner = [getattr(annotation, name, None) for name in ("__supertype__", "__value__")]
    for part in (*typing.get_args(annotation), *inner):
        if part is not None:
            _check_meta(part)
