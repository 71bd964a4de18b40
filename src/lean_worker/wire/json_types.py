"""The types that a command may declare, and their way from and to JSON text.

Owns which types are understood: dataclasses, msgspec Structs, TypedDicts, NamedTuples, attrs classes, pydantic models
and plain types, each anywhere within another. msgspec reads them straight from the text; pydantic models are left to
pydantic's own validator. A type that cannot be read is refused when its command is declared. No value changes on its
way: a value that JSON cannot hold is refused. orjson writes plain values; msgspec reads and writes all others.
"""

from __future__ import annotations

import functools
import typing
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import msgspec

from ..base.arguments import attribute_of, shortened, shown
from ..base.deferred import Deferred
from ..base.patterns import compiled
from ..errors import DecodeError, UsageError
from .exact_numbers import Rounded, exact
from .frames import is_json
from .model_texts import model_text, stored_text
from .model_unions import union_decoder
from .records import is_pydantic_model, jsonable, unsendable_fields
from .type_checks import Unreadable, check_annotated, check_models, check_readable, check_unions, guarded, runs_code
from .unwritable import Unwritable, check_keys, check_numbers, check_offsets, check_texts, unwritten

if TYPE_CHECKING:
    import orjson
else:
    orjson = Deferred("orjson")

_PATH = r" - at `(?P<path>[^`]*)`$"
_LONE_SURROGATE = rb"\\u[dD](?:[89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])|(?<!\\u[dD][89abAB]..\\u[dD])[c-fC-F])"
_COMPARE_REQUEST = "Send a value of the declared request type, or declare another."
_COMPARE = "Compare the declared type with the values that the hosted code emits."
_DECLARING = "declaring a type: "
_HINT = "Use a dataclass, msgspec Struct, TypedDict, NamedTuple, attrs class, pydantic model or plain type."


def text_decoder(kind: Any) -> Callable[[bytes], Any]:
    """A function from JSON text to a value of type `kind` (None: plain Python values).

    Raises:
        UsageError: `kind` is a type that has no JSON form here, or a name in it is not defined.
    """
    try:
        return _decoder_of(kind)
    except NameError as error:
        raise undefined_name(kind, error) from error


def undefined_name(kind: Any, error: NameError) -> UsageError:
    """The error for a type with a name in it that is not defined when its first value comes."""
    hint = (
        "Define the class at the top of its module: with `from __future__ import annotations` no other is found, nor "
        "one that is imported for checkers only (`if TYPE_CHECKING`)."
    )
    return UsageError(f"reading a value: {shown(kind)} cannot be read from JSON: {error}", hint=hint)


def _decoder_of(kind: Any) -> Callable[[bytes], Any]:
    try:
        return _cached_decoder(kind)
    except TypeError:
        return _make_decoder(kind)  # an annotation that cannot be hashed cannot be remembered


def decode_text(kind: Any, text: bytes, what: str, **facts: object) -> Any:
    """Decode `text` as `kind`.

    Raises:
        DecodeError: The text is not JSON, or not of that type; `path` says where in the value.
    """
    decoder = text_decoder(kind)
    try:
        return decoder(text)
    except (ValueError, RecursionError) as error:  # so are msgspec's and pydantic's, and those of a type's own check
        raise refusal(what, kind, text, error, **facts) from error


def refusal(what: str, kind: Any, text: bytes, error: Exception, **facts: object) -> DecodeError:
    """The error for a `text` that is no `kind`."""
    said, path = _explain(error)
    if type(error) is msgspec.DecodeError and compiled(_LONE_SURROGATE).search(text):
        said = f"{said} (a surrogate in it is none of a pair, and no text has one)"
    expected = "a JSON value" if kind is None else shown_type(kind)
    starts = text[:80].decode("utf-8", "backslashreplace") + ("…" if len(text) > 80 else "") if text else "no text"
    return DecodeError(
        f"decoding {'an' if what[0] in 'aeiou' else 'a'} {what}: expected {expected}: {shortened(said)}; got {starts}",
        hint=error.hint if isinstance(error, Rounded) else _COMPARE_REQUEST if what == "request" else _COMPARE,
        path=path,
        **facts,
    )


def shown_type(kind: Any) -> str:
    """A type as error texts show it."""
    return kind.__qualname__ if isinstance(kind, type) and not typing.get_args(kind) else str(kind)


def _explain(error: Exception) -> tuple[str, str]:
    if isinstance(error, Rounded):
        return str(error), error.path
    errors = getattr(error, "errors", None)
    if callable(errors):
        described: Any = errors()
        first = described[0]
        location = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"])
        return str(first["msg"]), f"${location}"
    said = str(error)
    match = compiled(_PATH).search(said)
    if match is None:
        return said, "$"
    return said[: match.start()], match["path"]


def check_type(what: str, kind: Any) -> None:
    """Refuse a type that cannot be read from JSON; a name in it that is not defined yet is left for its first use.

    Raises:
        UsageError: `kind` is such a type; the text begins with `what`.
    """
    if kind is None or kind is bytes:
        return
    try:
        _decoder_of(kind)
    except NameError:
        return
    except UsageError as error:
        raise UsageError(f"{what}: {error.text.removeprefix(_DECLARING)}", hint=error.hint) from error
    except Exception as error:  # of code of the type's own, such as its metaclass
        raise UsageError(
            f"{what}: {shown(kind)} cannot be read from JSON: {type(error).__name__}: {error}", hint=_HINT
        ) from error


def check_request_type(what: str, kind: Any) -> None:
    """Refuse what `check_type` refuses, and a pydantic model that does not read what it writes.

    Raises:
        UsageError: `kind` is such a type; the text begins with `what`.
    """
    check_type(what, kind)
    for model in _classes_in(kind, of_models=True):
        for expected, name, why, hint in unsendable_fields(model) if is_pydantic_model(model) else ():
            raise UsageError(
                f"{what}: expected {expected}, got the field {name!r} of {_named(model)}, {why}",
                hint=hint,
            )


def _make_decoder(kind: Any) -> Callable[[bytes], Any]:
    classes = list(_classes_in(kind, of_models=True))
    decode = exact(_make_plain_decoder(kind), classes)
    return guarded(decode) if runs_code(classes) else decode


def _make_plain_decoder(kind: Any) -> Callable[[bytes], Any]:
    if is_pydantic_model(kind):
        _check_classes(kind)
        return _strict_json(kind.model_validate_json)
    try:
        check_annotated(_classes_in(kind))
        check_unions(kind, _classes_in(kind))
    except Unreadable as error:
        raise _unreadable(kind, error) from error
    try:
        decoder = msgspec.json.Decoder(Any if kind is None else kind, dec_hook=_read_model)
        if kind is not None:
            _check_classes(kind)
        return decoder.decode
    except TypeError as error:
        # Unions of several models are beyond msgspec; pydantic knows them, and nothing of Structs and attrs classes.
        validate = _union_decoder(kind) if any(map(is_pydantic_model, _classes_in(kind))) else None
        if validate is None:
            raise UsageError(
                f"{_DECLARING}{_named(kind)} cannot be read from JSON: {_reason(error)}", hint=_HINT
            ) from error
        return _strict_json(validate)


def _read_model(kind: type, value: Any) -> Any:
    """Decode a value for a class that msgspec does not support (msgspec's `dec_hook`)."""
    if is_pydantic_model(kind):
        # From JSON, as a model by itself: a strict one takes no text for a date otherwise.
        return kind.model_validate_json(msgspec.json.encode(value))  # type: ignore[attr-defined]
    raise TypeError(f"{_named(kind)} does not describe its fields")


def _strict_json(validate: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
    """`validate` without what pydantic reads beyond JSON: NaN and infinities."""

    def decode(text: bytes) -> Any:
        if (b"NaN" in text or b"Infinity" in text) and not is_json(text):
            raise ValueError("not JSON: a NaN or an infinity has no JSON form")
        return validate(text)

    return decode


_cached_decoder = functools.lru_cache(maxsize=512)(_make_decoder)


def _classes_in(kind: Any, *, of_models: bool = False) -> Iterator[type]:
    """All classes in an annotation, also in the fields of other classes; `of_models`: of pydantic models too."""
    seen: set[int] = set()
    todo = [kind]
    while todo:
        one = todo.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        todo += typing.get_args(one)
        if (origin := typing.get_origin(one)) is not None:
            todo.append(origin)  # the class of a generic one has fields too
        if not isinstance(one, type):  # perhaps a NewType, a `type` statement, or a TypeVar
            named = [attribute_of(one, name) for name in ("__supertype__", "__value__", "__bound__")]
            todo += [each for each in named if each is not None]
        if isinstance(one, type):
            yield one
            if is_pydantic_model(one):
                todo += [field.annotation for field in one.model_fields.values() if of_models]  # type: ignore[attr-defined]
            elif one.__module__ != "builtins":
                try:
                    todo += typing.get_type_hints(one).values()
                except (NameError, TypeError):
                    continue


def _check_classes(kind: Any) -> None:
    """Refuse what msgspec would only refuse at its first value, or read as something else."""
    try:
        check_readable(kind, _classes_in(kind))
    except Unreadable as error:
        raise _unreadable(kind, error) from error


def _union_decoder(kind: Any) -> Callable[[bytes], Any] | None:
    try:
        found = union_decoder(kind, _classes_in(kind))
        check_models(_classes_in(kind) if found is not None else ())
        return found
    except Unreadable as error:
        raise _unreadable(kind, error) from error


def _unreadable(kind: Any, error: Unreadable) -> UsageError:
    return UsageError(f"{_DECLARING}{_named(kind)} cannot be read from JSON: {error}", hint=error.hint)


def _named(kind: Any) -> str:
    name = attribute_of(kind, "__qualname__") if isinstance(kind, type) else None
    return name if isinstance(name, str) else shown(kind)


def _reason(error: TypeError) -> str:
    return shortened(" ".join(str(error).split()))


# -- to JSON text --


def encode_value(value: object) -> bytes:
    """The JSON text of a value.

    pydantic models are written by alias, as they are read.

    Raises:
        Unwritable: A number in it is NaN or infinite, a text has a surrogate, a UTC offset has seconds, two keys of a
            mapping have the same JSON text, a memoryview is not contiguous, or a pydantic model is written as another
            value.
        TypeError: It holds something without a JSON form; says what and where.
    """
    try:
        if is_pydantic_model(type(value)):
            return model_text(value)
        text = _encoded(value)
    except Unwritable:
        raise
    except BufferError as error:
        raise Unwritable(str(error), "Send bytes, as with bytes(view).") from error
    except ValueError as error:
        check_texts(value, error)
        raise
    except TypeError:
        said = unwritten(value, _encoded)
        if said is None:
            raise
        raise TypeError(said) from None
    check_numbers(value, text)
    return text


_BUILT_IN = (dict, list, str, int, float, bool, type(None))


@functools.cache
def _plain_encoder() -> tuple[Callable[..., bytes], type[Exception], int]:
    options = orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_SUBCLASS
    return orjson.dumps, orjson.JSONEncodeError, options


def _encoded(value: object) -> bytes:
    """The value as both libraries write it: orjson is twice as fast, and declines what only msgspec writes."""
    plain = _plain_text(value)
    if plain is not None:
        return plain
    text = msgspec.json.encode(jsonable(value, check_keys), enc_hook=_write_model)
    check_offsets(value, text)
    return text


def _plain_text(value: object) -> bytes | None:
    if type(value) in _BUILT_IN:
        dumps, refused, options = _plain_encoder()
        try:
            return dumps(value, None, options)
        except refused:
            pass  # an integer of more than 64 bits, a date, a Struct, a key that is no text, …
    return None


def encode_stored(value: object) -> bytes:
    """The JSON text of a value in a row, with all fields of the pydantic models in it.

    Raises:
        Unwritable, TypeError: As `encode_value`; also for a secret, which pydantic writes as asterisks.
    """
    plain = _plain_text(value)
    if plain is None:
        return stored_text(value)
    check_numbers(value, plain)
    return plain


def _write_model(value: Any) -> Any:
    if is_pydantic_model(type(value)):
        return msgspec.Raw(model_text(value))
    raise TypeError(f"{type(value).__qualname__} has no JSON form")
