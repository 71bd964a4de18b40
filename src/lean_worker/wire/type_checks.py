"""Parts of declared types that no reader honours: classes without fields, keys, items of sets, foreign constraints.

msgspec takes such a type, and fails at its first value or reads another one: it has a hook for classes that it does
not know, and skips the constraints of pydantic and annotated_types. Here they are found when a command is declared.
"""

from __future__ import annotations

import collections.abc
import functools
import types
import typing
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

import msgspec

from ..base.deferred import Deferred
from . import key_types
from .records import attribute_names, is_pydantic_model

if TYPE_CHECKING:
    import dataclasses

    import msgspec.inspect as shapes
else:
    # `dataclasses` comes with `inspect`; few workers need either.
    dataclasses, shapes = Deferred("dataclasses"), Deferred("msgspec.inspect")

_KINDS = "Use a dataclass, msgspec Struct, TypedDict, NamedTuple, attrs class, pydantic model or plain type."
_CONSTRAINTS = "Use msgspec.Meta, as in Annotated[int, msgspec.Meta(ge=0)], or put it into a pydantic BaseModel."
_TUPLES = "Use list[T] or tuple[T, ...], or a NamedTuple."
_TEXTS = "Give the text a class with a field of its own, or no pattern."
_CONTAINERS = (
    *(list, dict, set, frozenset, tuple),
    *(collections.abc.Collection, collections.abc.Sequence, collections.abc.MutableSequence),
    *(collections.abc.Set, collections.abc.MutableSet, collections.abc.Mapping, collections.abc.MutableMapping),
)
_RAW_ALONE = "Use msgspec.Raw by itself, which takes every value, null too."
_RAW_FIELDS = "Use NotRequired[msgspec.Raw], which is read also where it is there, or a Struct or dataclass."
_BOUNDS = ("gt", "ge", "lt", "le", "multiple_of", "pattern", "min_length", "max_length")
_ANNOTATE = "Annotate it, as in `count: int = attrs.field()`."
_ITEMS = "Use list, or items that have a hash: plain values, tuples, frozen classes."


class Unreadable(TypeError):
    """A declared type that no reader honours.

    Attributes:
        hint: A type that one does.
    """

    def __init__(self, text: str, hint: str) -> None:
        super().__init__(text)
        self.hint = hint


def check_readable(kind: Any, classes: Iterable[type]) -> None:
    """Refuse a type of which msgspec would read some values never, or without what they are declared to be.

    Args:
        kind: The type.
        classes: All classes in it, without those in the fields of pydantic models.

    Raises:
        Unreadable: It is such a type.
        TypeError: msgspec does not take it, such as an enumeration of texts and numbers.
        NameError: A name in it is not defined yet.
    """
    found = list(classes)
    for one in found:
        _check_defaults(one)
    check_models(found)
    for annotation in (kind, *(hint for one in found if not is_pydantic_model(one) for hint in hints_of(one))):
        _check_constraints(annotation)
    _check_shape(shapes.type_info(kind), set())


# -- what ends the process --


def check_annotated(classes: Iterable[type]) -> None:
    """Refuse attrs classes with a field whose type is not in an annotation, of which msgspec says a name and no more.

    Raises:
        Unreadable: One of the classes is such a class.
    """
    for one in classes:
        fields = getattr(one, "__attrs_attrs__", ())
        annotations = _annotations_of(one) if fields else None
        for field in fields:
            if annotations is not None and field.name not in annotations:
                raise Unreadable(f"the field {field.name!r} of {one.__qualname__} has no annotation", _ANNOTATE)


def check_unions(kind: Any, classes: Iterable[type]) -> None:
    """Refuse a type that makes msgspec (0.22 at least) use memory that is not its own, before msgspec sees it.

    These are unions of a tuple of fixed length with anything that has a constraint of `msgspec.Meta`, and of a text
    that has a pattern with a list, a set, a dict or a tuple.

    Args:
        kind: The type.
        classes: All classes in it.

    Raises:
        Unreadable: It has such a union.
    """
    for annotation in (kind, *(hint for one in classes if not is_pydantic_model(one) for hint in hints_of(one))):
        _check_unions(annotation)


def _check_unions(annotation: Any) -> None:
    members = list(_alternatives(annotation, frozenset()))
    bounds = frozenset().union(*(bound for _, bound in members))
    if len(members) > 1 and bounds:
        if any(_is_fixed_tuple(member) for member, _ in members):
            raise Unreadable("a union has a tuple of fixed length and a member with a constraint", _TUPLES)
        if "pattern" in bounds and any(_class_of(member) in _CONTAINERS for member, _ in members):
            raise Unreadable("a union has a list, set, dict or tuple and a text with a pattern", _TEXTS)
    for member, _ in members:
        for part in typing.get_args(member):
            _check_unions(part)


def _alternatives(annotation: Any, bounds: frozenset[str]) -> Iterator[tuple[Any, frozenset[str]]]:
    """The members of what may be a union, and the constraints of each."""
    for each in getattr(annotation, "__metadata__", ()):
        if isinstance(each, msgspec.Meta):
            bounds |= {name for name in _BOUNDS if getattr(each, name) is not None}
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        for member in typing.get_args(annotation):
            yield from _alternatives(member, bounds)
        return
    names = ("__origin__",) if hasattr(annotation, "__metadata__") else ("__supertype__", "__value__")
    inner = next((getattr(annotation, name) for name in names if hasattr(annotation, name)), None)
    if inner is None or isinstance(annotation, type):
        yield annotation, bounds
    else:
        yield from _alternatives(inner, bounds)


def _class_of(kind: Any) -> Any:
    return typing.get_origin(kind) or kind


def _is_fixed_tuple(kind: Any) -> bool:
    return typing.get_origin(kind) is tuple and typing.get_args(kind)[-1:] != (...,)


# -- shapes --


def _check_shape(shape: Any, seen: set[Any]) -> None:
    if isinstance(shape, shapes.CustomType):
        if shape.cls is not msgspec.UnsetType and not is_pydantic_model(shape.cls):
            raise Unreadable(f"the class {shape.cls.__qualname__} does not describe its fields", _KINDS)
    elif isinstance(shape, shapes.DictType):
        _check_key(shape.key_type)
    elif isinstance(shape, (shapes.SetType, shapes.FrozenSetType)):
        _check_item(shape.item_type)
    elif isinstance(shape, shapes.UnionType):
        _check_raw_union(shape)
    elif isinstance(shape, shapes.TypedDictType):
        _check_raw_fields(shape)
    elif getattr(shape, "cls", None) is msgspec.Struct:
        raise Unreadable("msgspec.Struct itself has no fields", _KINDS)
    cls = getattr(shape, "cls", None)
    if cls is not None:
        if cls in seen:
            return
        seen.add(cls)
    for part in _parts(shape):
        _check_shape(part, seen)


def _parts(shape: Any) -> Iterator[Any]:
    """The shapes within a shape."""
    for name in ("type", "item_type", "key_type", "value_type"):
        if isinstance(part := getattr(shape, name, None), shapes.Type):
            yield part
    for name in ("types", "item_types"):
        yield from getattr(shape, name, ())
    for field in getattr(shape, "fields", ()):
        yield field.type


def _check_raw_union(shape: Any) -> None:
    """Refuse a union with `msgspec.Raw`: only the values of the other members are read, but for that of a field."""
    kinds = {type(member) for member in _members(shape)}
    if shapes.RawType in kinds and shapes.AnyType not in kinds:
        raise Unreadable("a union has msgspec.Raw and another type", _RAW_ALONE)


def _check_raw_fields(shape: Any) -> None:
    for field in shape.fields:
        if field.required and any(isinstance(member, shapes.RawType) for member in _members(field.type)):
            raise Unreadable(f"the field {field.name!r} of {shape.cls.__qualname__} is a msgspec.Raw", _RAW_FIELDS)


def _members(shape: Any) -> list[Any]:
    while isinstance(shape, shapes.Metadata):
        shape = shape.type
    return [each for part in shape.types for each in _members(part)] if isinstance(shape, shapes.UnionType) else [shape]


def _check_key(shape: Any) -> None:
    problem = key_types.problem_of(_members(shape))
    if problem is not None:
        raise Unreadable(*problem)


def _check_item(shape: Any) -> None:
    without_hash = (shapes.RawType, shapes.ListType, shapes.SetType, shapes.DictType, shapes.TypedDictType)
    for member in _members(shape):
        cls = getattr(member, "cls", None)
        if isinstance(member, without_hash) or (cls is not None and not _has_hash(cls)):
            name = cls.__qualname__ if cls is not None else type(member).__name__.removesuffix("Type").lower()
            raise Unreadable(f"a set has items without a hash: {name}", _ITEMS)
        for part in _parts(member) if isinstance(member, (shapes.TupleType, shapes.VarTupleType)) else ():
            _check_item(part)


def _has_hash(kind: type) -> bool:
    if issubclass(kind, msgspec.Struct):
        config = kind.__struct_config__
        return config.frozen or not config.eq
    return kind.__hash__ is not None


# -- what only pydantic reads --


def hints_of(kind: type) -> list[Any]:
    """Return the annotations of a class's fields; none if a name in them is not defined yet."""
    return list((_annotations_of(kind) or {}).values())


def _annotations_of(kind: type) -> dict[str, Any] | None:
    """The annotations of a class by name; None if a name in them is not defined yet."""
    if kind.__module__ == "builtins":
        return {}
    try:
        return typing.get_type_hints(kind, include_extras=True)
    except (NameError, TypeError):
        return None


def _check_constraints(annotation: Any) -> None:
    """Refuse what pydantic and annotated_types say about a type that msgspec reads."""
    for each in getattr(annotation, "__metadata__", ()):
        if _says_something(each):
            raise Unreadable(f"nothing outside of pydantic models checks {_short(each)}", _CONSTRAINTS)
    inner = [getattr(annotation, name, None) for name in ("__origin__", "__supertype__", "__value__")]
    for part in (*typing.get_args(annotation), *inner):
        if typing.get_args(part) or hasattr(part, "__supertype__") or hasattr(part, "__value__"):
            _check_constraints(part)


def _says_something(metadata: Any) -> bool:
    kind = type(metadata) if not isinstance(metadata, type) else metadata
    library = kind.__module__.partition(".")[0]
    if library == "annotated_types":
        return not hasattr(metadata, "documentation")
    if library not in ("pydantic", "pydantic_core") or kind.__module__ == "pydantic.json_schema":
        return False
    return not hasattr(metadata, "annotation") or bool(_field_rules(metadata))


_FIELD_RULES = ("metadata", "alias", "validation_alias", "serialization_alias", "discriminator", "exclude")


def _field_rules(field: Any) -> list[str]:
    """The names of what a field of pydantic says that changes how its value is read or written."""
    return [name for name in _FIELD_RULES if getattr(field, name, None)]


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 100 else f"{text[:100]}…"


def _check_defaults(kind: type) -> None:
    """Refuse a class with fields of pydantic that is no model of pydantic: msgspec reads and makes it by itself."""
    if is_pydantic_model(kind):
        return
    where = f"the class {kind.__qualname__}"
    for name, field in getattr(kind, "__pydantic_fields__", {}).items():
        if rules := _field_rules(field):
            raise Unreadable(
                f"{where} is no pydantic model, so that nothing honours {rules[0]} of {name!r}", _CONSTRAINTS
            )
    decorators = getattr(kind, "__pydantic_decorators__", None)
    if decorators is not None and any(getattr(decorators, part.name) for part in dataclasses.fields(decorators)):
        raise Unreadable(f"{where} is no pydantic model, so that nothing calls its validators", _CONSTRAINTS)
    for name in attribute_names(kind) or ():
        default = _default_of(kind, name)
        if type(default).__module__.partition(".")[0] == "pydantic" and hasattr(default, "annotation"):
            raise Unreadable(
                f"{where} is no pydantic model, and the default of {name!r} is a pydantic.Field", _CONSTRAINTS
            )


def _default_of(kind: type, name: str) -> Any:
    if dataclasses.is_dataclass(kind):
        return kind.__dataclass_fields__[name].default
    if hasattr(kind, "__attrs_attrs__"):
        return next((field.default for field in kind.__attrs_attrs__ if field.name == name), None)
    if issubclass(kind, msgspec.Struct):
        return next((field.default for field in msgspec.structs.fields(kind) if field.name == name), None)
    return getattr(kind, "_field_defaults", {}).get(name)


# -- what pydantic cannot read --

_BRANCHES: dict[str, tuple[str, ...]] = {
    # Of a type with several forms, what is read from JSON.
    "json-or-python": ("json_schema",),
    "lax-or-strict": ("lax_schema",),
    # A value may take another way.
    "nullable": (),
    "union": (),
    "tagged-union": (),
    "default": (),
    # Code of the model's own makes the value.
    "function-before": (),
    "function-wrap": (),
    "function-plain": (),
    "chain": (),
    # Written and not read.
    "computed-field": (),
}
_MAKES_VALUE = ("function-after", "function-wrap")
_NOT_READ = ("serialization", "metadata")


def check_models(classes: Iterable[type]) -> None:
    """Refuse pydantic models that read no JSON: the base of all models, those with a class unknown to it.

    Raises:
        Unreadable: One of the classes is such a model.
    """
    for one in classes:
        if is_pydantic_model(one):
            _check_model(one)


def _check_model(model: Any) -> None:
    _check_base(model)
    schema = getattr(model, "__pydantic_core_schema__", None)
    if not isinstance(schema, dict):  # not built yet
        return
    todo: list[Any] = [schema]
    while todo:
        part = todo.pop()
        if isinstance(part, (list, tuple)):
            todo += part
        elif isinstance(part, dict):
            name = part.get("type")
            if name == "model":
                _check_base(part["cls"])
            if name in ("is-instance", "is-subclass", "callable"):
                named = getattr(part.get("cls"), "__qualname__", name)
                named = f"type[{named}]" if name == "is-subclass" else named
                raise Unreadable(f"pydantic reads no {named}, of which {model.__qualname__} has a field", _KINDS)
            if name == "dict" and isinstance(keys := part.get("keys_schema"), dict):
                problem = key_types.problem_of_model(keys)
                if problem is not None:
                    raise Unreadable(f"in {model.__qualname__}, {problem[0]}", problem[1])
            branches = _BRANCHES.get(name) if isinstance(name, str) else None
            todo += [part[key] for key in (part if branches is None else branches) if key not in _NOT_READ]
    if is_read_once(model):
        raise Unreadable(f"pydantic reads an Iterable once, and {model.__qualname__} has a field of it", NOT_ONCE)


NOT_ONCE = "Declare list[…] or tuple[…, …]."
"""The hint for a type that `is_read_once`."""


@functools.lru_cache(maxsize=512)
def is_read_once(model: Any) -> bool:
    """Whether a value of a pydantic model can have an iterator that is empty after its first use."""
    schema = getattr(model, "__pydantic_core_schema__", None)
    todo: list[Any] = [schema] if isinstance(schema, dict) else []  # else it is not built yet
    while todo:
        part = todo.pop()
        if isinstance(part, (list, tuple)):
            todo += part
        elif isinstance(part, dict):
            if part.get("type") == "generator":
                return True
            inner = part.get("schema")
            if part.get("type") in _MAKES_VALUE and isinstance(inner, dict) and inner.get("type") == "generator":
                continue  # code of the model's own may make a list of it
            todo += [each for key, each in part.items() if key not in _NOT_READ]
    return False


def _check_base(model: Any) -> None:
    if model.__module__.partition(".")[0] == "pydantic" and not model.model_fields:
        raise Unreadable(f"{model.__qualname__} itself has no fields", _KINDS)


# -- code of the type's own --


class Failed(ValueError):
    """An exception in the code of a type, such as its `__post_init__`."""


def runs_code(classes: Iterable[type]) -> bool:
    """Whether reading a value may call code of a type that raises anything: validators, `__post_init__`, hashes."""
    names = ("__post_init__", "__attrs_attrs__")
    return any(
        is_pydantic_model(one) or one in (set, frozenset) or any(hasattr(one, name) for name in names)
        for one in classes
    )


def guarded(decode: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
    """Return `decode`, which raises `Failed` for what the type's own code raises."""

    def decode_guarded(text: bytes) -> Any:
        try:
            return decode(text)
        except (ValueError, RecursionError, MemoryError):
            raise
        except Exception as error:
            raise Failed(f"{type(error).__name__}: {error}") from error

    return decode_guarded
