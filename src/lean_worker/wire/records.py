"""Fields of the values that stand for JSON objects: Structs, dataclasses, attrs classes, NamedTuples, pydantic models.

Owns the one list of these kinds of classes and the names that their fields have in JSON. msgspec leaves fields out when
it writes: an attribute of an attrs class whose name begins with an underscore, and a default of a dataclass that the
decoded text did not have. Here each value has all of its fields.
"""

from __future__ import annotations

import functools
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from ..base.deferred import Deferred

if TYPE_CHECKING:
    import dataclasses

    import msgspec.inspect as shapes
else:
    # `dataclasses` comes with `inspect`; few workers need either.
    dataclasses, shapes = Deferred("dataclasses"), Deferred("msgspec.inspect")


def is_pydantic_model(kind: object) -> bool:
    """Whether `kind` is a pydantic model class; asks no import of pydantic."""
    return isinstance(kind, type) and hasattr(kind, "model_validate_json") and hasattr(kind, "model_json_schema")


def record_of(value: Any) -> dict[str, Any] | None:
    """Return the fields of a value by their names in JSON, each as it is; None if the value is no such object.

    A mapping is none: its keys are data. A Struct's tag is a field, and a field that is UNSET is left out. A root model
    of pydantic has the fields of what it stands for.
    """
    value = unwrapped(value)
    read = _reader(type(value))  # type: ignore[arg-type]
    return None if read is None else read(value)


def unwrapped(value: Any) -> Any:
    """Return what a root model of pydantic stands for, and has as its JSON; other values as they are."""
    kind: Any = type(value)
    while is_root_model(kind):
        value = value.root
        kind = type(value)
    return value


def unwrapped_type(kind: Any) -> Any:
    """Return the type that a root model of pydantic stands for; other types as they are."""
    while is_root_model(kind):
        kind = kind.model_fields["root"].annotation
    return kind


def is_root_model(kind: Any) -> bool:
    """Whether a type is a root model of pydantic."""
    return getattr(kind, "__pydantic_root_model__", False) is True and isinstance(kind, type)


@functools.lru_cache(maxsize=512)
def _reader(kind: type) -> Callable[[Any], dict[str, Any]] | None:
    if issubclass(kind, msgspec.Struct):
        return functools.partial(_of_struct, struct_names(kind))
    if is_pydantic_model(kind):
        return functools.partial(_of_model, tuple((written_name(kind, name), name) for name in _model_fields(kind)))
    names = attribute_names(kind)
    return None if names is None else functools.partial(_of_attributes, names)


def struct_names(kind: type[msgspec.Struct]) -> tuple[tuple[str, str], ...]:
    """The name in JSON and the attribute of each field of a Struct."""
    return tuple(zip(kind.__struct_encode_fields__, kind.__struct_fields__, strict=True))


def attribute_names(kind: type) -> tuple[str, ...] | None:
    """The attributes that are the fields of a class; None if it describes none."""
    if issubclass(kind, msgspec.Struct):
        return kind.__struct_fields__
    if is_pydantic_model(kind):
        return _model_fields(kind)
    if dataclasses.is_dataclass(kind):
        return tuple(field.name for field in dataclasses.fields(kind))
    if hasattr(kind, "__attrs_attrs__"):
        return tuple(field.name for field in kind.__attrs_attrs__)
    named: tuple[str, ...] | None = getattr(kind, "_fields", None) if issubclass(kind, tuple) else None
    return named


def _of_struct(names: tuple[tuple[str, str], ...], value: Any) -> dict[str, Any]:
    config = value.__struct_config__
    record = {} if config.tag is None else {config.tag_field: config.tag}
    for written, name in names:
        each = getattr(value, name)
        if each is not msgspec.UNSET:
            record[written] = each
    return record


def _of_model(names: tuple[tuple[str, str], ...], value: Any) -> dict[str, Any]:
    return {written: getattr(value, name) for written, name in names} | (getattr(value, "model_extra", None) or {})


def _of_attributes(names: tuple[str, ...], value: Any) -> dict[str, Any]:
    record = {name: getattr(value, name, msgspec.UNSET) for name in names}
    return {name: each for name, each in record.items() if each is not msgspec.UNSET}


# -- names of pydantic's fields --


def _model_fields(kind: Any) -> tuple[str, ...]:
    return (*kind.model_fields, *getattr(kind, "model_computed_fields", ()))


def unsendable_fields(model: Any) -> Iterator[tuple[str, str, str, str]]:
    """The fields of a pydantic model that it does not read as it writes them: expected, name, reason, hint."""
    whole = "fields that are sent as they are"
    forms = [str(model.model_config.get(key, "utf8")) for key in ("ser_json_bytes", "val_json_bytes")]
    for name, field in model.model_fields.items():
        written, read = written_name(model, name), read_names(model, name)
        if is_secret(field.annotation) and not _has_serializers(model):
            yield (
                whole,
                name,
                "of which pydantic writes asterisks",
                "Declare str, or give the model a field_serializer.",
            )
        elif written not in read:
            alias = f"Give the field alias={(read or (name,))[0]!r}, which is its name in both directions."
            others = " or ".join(map(repr, read)) or "part of another field"
            yield "one name for both directions", name, f"which is written as {written!r} and read as {others}", alias
        elif forms[0] != forms[1] and _has_bytes(field.annotation):
            why = f"whose bytes are written as {forms[0]} and read as {forms[1]}"
            yield "one form of bytes", name, why, "Give ser_json_bytes and val_json_bytes the same value."
        elif field.exclude and field.is_required():
            yield (
                whole,
                name,
                "which is required and never written (exclude=True)",
                "Give it a default, or remove exclude.",
            )
        elif any(
            getattr(each, "__name__", type(each).__name__) == "Json" for each in (field.annotation, *field.metadata)
        ):
            yield (
                whole,
                name,
                "which is read from a text and written as a value (Json)",
                "Declare the type of the value.",
            )
    if model.model_config.get("extra") == "forbid" and not _has_serializers(model):
        for name in getattr(model, "model_computed_fields", ()):
            yield whole, name, "which is computed and not read (extra='forbid')", "Make it a plain property."


def _has_bytes(annotation: Any) -> bool:
    return annotation in (bytes, bytearray) or any(map(_has_bytes, typing.get_args(annotation)))


def is_secret(annotation: Any) -> bool:
    """Whether pydantic writes asterisks for values of a type, such as a SecretStr, or for values in them."""
    return hasattr(annotation, "get_secret_value") or any(map(is_secret, typing.get_args(annotation)))


def written_name(model: Any, name: str) -> str:
    """The name under which a pydantic model writes a field."""
    field = model.model_fields.get(name)
    if field is None:
        return str(model.model_computed_fields[name].alias or name)
    return str(field.serialization_alias or field.alias or name)


def read_names(model: Any, name: str) -> tuple[str, ...]:
    """The names under which a pydantic model reads a field."""
    field = model.model_fields[name]
    alias = field.validation_alias
    if alias is None:
        return (name,)
    choices = getattr(alias, "choices", (alias,))
    found = [choice for choice in choices if isinstance(choice, str)]
    config = model.model_config
    if config.get("validate_by_alias") is False:
        found = []
    if config.get("populate_by_name") or config.get("validate_by_name"):
        found.append(name)
    return tuple(found)


def union_members(annotation: object) -> tuple[object, ...]:
    """The members of a union, or the annotation itself."""
    if isinstance(annotation, types.UnionType) or typing.get_origin(annotation) is typing.Union:
        return typing.get_args(annotation)
    return (annotation,)


# -- to JSON --


def jsonable(value: Any, check_keys: Callable[[Mapping[Any, Any]], None]) -> Any:
    """Return a value that msgspec writes whole, with the same JSON, and the same in each process: sets are sorted.

    Args:
        value: Any value.
        check_keys: Called with each mapping in it whose keys may not all be texts.
    """
    if isinstance(value, (str, bytes, int, float, type(None), msgspec.Raw)) or _is_written_whole(type(value)):  # type: ignore[arg-type]
        return value
    # Loops, and no comprehensions, which take a second frame for each level before Python 3.12: 512 levels are legal.
    if isinstance(value, Mapping):
        check_keys(value)
        fields: dict[Any, Any] = {}
        for key, each in value.items():
            fields[key] = jsonable(each, check_keys)
        return fields
    if isinstance(value, (list, tuple, set, frozenset)):
        items: list[Any] = []
        for each in value:
            items.append(jsonable(each, check_keys))
        if isinstance(value, (set, frozenset)):
            items.sort(key=repr)  # the order of texts in a set is another one in each process
        return items
    if is_pydantic_model(type(value)):
        return value  # which writes itself
    record = record_of(value)
    if record is None:
        return value
    if isinstance(value, msgspec.Struct):
        if value.__struct_config__.array_like:
            return _as_array(value, check_keys)  # whose items are told by their place: none may be left out
        if value.__struct_config__.omit_defaults:
            record = dict(_without_defaults(value, record))
    return {name: jsonable(each, check_keys) for name, each in record.items()}


def _as_array(value: msgspec.Struct, check_keys: Callable[[Mapping[Any, Any]], None]) -> list[Any]:
    config = value.__struct_config__
    items: list[Any] = [] if config.tag is None else [config.tag]
    for name in value.__struct_fields__:
        items.append(jsonable(getattr(value, name), check_keys))
    return items


def _without_defaults(value: msgspec.Struct, record: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    defaults: dict[str, Any] = {}
    for field in msgspec.structs.fields(type(value)):
        if field.default is not msgspec.NODEFAULT:
            defaults[field.encode_name] = field.default
        elif field.default_factory in (list, dict, set):
            defaults[field.encode_name] = field.default_factory()
    for name, each in record.items():
        default = defaults.get(name, msgspec.NODEFAULT)
        if type(each) is not type(default) or each != default:
            yield name, each


@functools.lru_cache(maxsize=512)
def _is_written_whole(kind: type) -> bool:
    """Whether msgspec writes every value of a Struct class whole: no field can hold what it would cut, or a set."""
    if not issubclass(kind, msgspec.Struct):
        return False
    try:
        return _is_whole(shapes.type_info(kind), set())
    except (TypeError, NameError, NotImplementedError):
        return False


@functools.cache
def _leaves() -> tuple[type, ...]:
    """The shapes of values that hold no others."""
    return (
        shapes.NoneType,
        shapes.BoolType,
        shapes.IntType,
        shapes.FloatType,
        shapes.StrType,
        shapes.BytesType,
        shapes.DateTimeType,
        shapes.DateType,
        shapes.TimeType,
        shapes.TimeDeltaType,
        shapes.DecimalType,
        shapes.UUIDType,
        shapes.LiteralType,
        shapes.EnumType,
        shapes.RawType,
    )


# Classes of values that hold no others, in fields of pydantic models.
_LEAF_MODULES = frozenset(("pydantic.types", "pydantic.networks", "pydantic_core", "pathlib", "ipaddress"))


@functools.lru_cache(maxsize=512)
def has_distinct_keys(model: Any) -> bool:
    """Whether no mapping in a value of a pydantic model class can have two keys of the same text."""
    try:
        return _is_whole(shapes.type_info(model), set(), of_models=True)
    except (TypeError, NameError, NotImplementedError):
        return False


def _is_whole(shape: Any, seen: set[Any], of_models: bool = False) -> bool:
    """Whether no mapping in a value of a type can have two keys of the same text, and no other thing that msgspec cuts.

    Args:
        shape: The type, as msgspec describes it.
        seen: The classes that were looked at before.
        of_models: Whether pydantic writes the value, which leaves nothing out of dataclasses.
    """
    if isinstance(shape, _leaves()):
        return True
    if isinstance(shape, shapes.CustomType):
        return of_models and _is_whole_model(shape.cls, seen)
    if isinstance(shape, shapes.Metadata):
        return _is_whole(shape.type, seen, of_models)
    if isinstance(shape, shapes.UnionType):
        return all(_is_whole(part, seen, of_models) for part in shape.types)
    if isinstance(shape, shapes.DictType):
        # Keys of which no two have the same text.
        distinct = isinstance(shape.key_type, (shapes.StrType, shapes.IntType, shapes.UUIDType, shapes.EnumType))
        return distinct and _is_whole(shape.value_type, seen, of_models)
    if isinstance(shape, shapes.TupleType):
        return all(_is_whole(part, seen, of_models) for part in shape.item_types)
    if isinstance(shape, (shapes.SetType, shapes.FrozenSetType)) and not of_models:
        return False  # pydantic does not sort them either
    if hasattr(shape, "item_type"):
        return _is_whole(shape.item_type, seen, of_models)
    whole = (shapes.StructType, shapes.TypedDictType, shapes.NamedTupleType)
    if isinstance(shape, whole) or (of_models and isinstance(shape, shapes.DataclassType)):
        if shape.cls in seen:
            return True
        seen.add(shape.cls)
        return all(_is_whole(field.type, seen, of_models) for field in shape.fields)
    return False  # such as a dataclass, an attrs class, a model, Any


def _is_whole_model(kind: Any, seen: set[Any]) -> bool:
    if not is_pydantic_model(kind):
        return kind.__module__ in _LEAF_MODULES
    if kind in seen:
        return True
    seen.add(kind)
    if kind.model_config.get("extra") == "allow":
        return False
    # A computed field may have any value, and so may a field with a serializer of its own.
    made = getattr(kind, "model_computed_fields", None) or _has_serializers(kind)
    return not made and all(
        _is_whole(shapes.type_info(part), seen, of_models=True)
        for field in kind.model_fields.values()
        for part in union_members(field.annotation)  # of which msgspec describes some unions only
    )


def _has_serializers(model: Any) -> bool:
    decorators = model.__pydantic_decorators__
    return bool(decorators.field_serializers or decorators.model_serializers)
