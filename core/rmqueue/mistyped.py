"""Values of a file that are of the wrong type, though they could be converted.

Pydantic takes the text ``"8"`` and the truth ``true`` for a number, which words of a
command line need and a TOML file does not: there they are slips of the pen.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import UnionType
from typing import Annotated, Any, TypeAlias, Union, get_args, get_origin

from pydantic import BaseModel, BeforeValidator, PlainValidator, WrapValidator

#: Where a value is, by fields and numbers.
Location: TypeAlias = "tuple[str | int, ...]"
#: What pydantic says of other values that a type does not take.
WANTED = {
    int: "should be a valid integer",
    float: "should be a valid number",
    bool: "should be a valid boolean",
}
#: Kinds of validators that see a value as it stands in the file.
EARLY = (BeforeValidator, PlainValidator, WrapValidator)


def mistyped(
    model: type[BaseModel], values: Any, at: Location = ()
) -> Iterator[tuple[Location, str]]:
    """Yield text and truths where a model has numbers, and text where it has truths.

    Parameters
    ----------
    model : type of pydantic.BaseModel
        What the values are for.
    values : object
        The values, as TOML has them.
    at : tuple of (str or int)
        Where they are.

    Yields
    ------
    tuple of (tuple, str)
        Where a wrong value is, and what is wrong with it.

    Examples
    --------
    >>> from rmqueue.config import ZoneConfig
    >>> list(mistyped(ZoneConfig, {"pages": "8", "cpus": True, "cma": True}))
    [(('cpus',), 'should be a valid integer (found true)'), \
(('pages',), "should be a valid integer (found '8')")]
    """
    if not isinstance(values, Mapping):
        return
    converted = converted_by(model)
    for name, info in model.model_fields.items():
        key = info.alias if info.alias in values else name
        early = name in converted or any(isinstance(m, EARLY) for m in info.metadata)
        if key in values and not early:
            yield from mistyped_as(info.annotation, values[key], (*at, str(key)))


def mistyped_as(
    annotation: Any, value: Any, at: Location
) -> Iterator[tuple[Location, str]]:
    """Yield what is wrong with the value of an annotation."""
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        if not any(isinstance(part, EARLY) for part in parts[1:]):
            yield from mistyped_as(parts[0], value, at)
    elif origin in (Union, UnionType):
        wrong = [list(mistyped_as(p, value, at)) for p in parts if fits(p, value)]
        if wrong and all(wrong):
            yield from wrong[0]
    elif isinstance(annotation, type) and annotation in WANTED:
        if isinstance(value, (str, bool)) and type(value) is not annotation:
            found = repr(value) if isinstance(value, str) else str(value).lower()
            yield at, f"{WANTED[annotation]} (found {found})"
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield from mistyped(annotation, value, at)
    elif isinstance(value, Mapping):
        for key, one in value.items() if len(parts) == 2 else ():
            yield from mistyped_as(parts[1], one, (*at, key))
    elif isinstance(value, (list, tuple)) and parts:
        each = parts if origin is tuple and parts[-1] is not ... else parts[:1]
        for number, one in enumerate(value):
            part = each[min(number, len(each) - 1)]
            yield from mistyped_as(part, one, (*at, number))


def fits(annotation: Any, value: Any) -> bool:
    """Whether a value has the form of an annotation: a table, a list, or neither."""
    if get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    kind = get_origin(annotation) or annotation
    if kind is Any:
        return True
    is_table = isinstance(kind, type) and issubclass(kind, (Mapping, BaseModel))
    if isinstance(value, Mapping):
        return is_table
    is_list = kind in (list, tuple)
    if isinstance(value, (list, tuple)):
        return is_list
    return not is_table and not is_list and kind is not type(None)


def converted_by(model: type[BaseModel]) -> set[str]:
    """Names of the fields that a model's own functions may convert from anything."""
    own = model.__pydantic_decorators__
    if any(one.info.mode != "after" for one in own.model_validators.values()):
        return set(model.model_fields)
    early = (v for v in own.field_validators.values() if v.info.mode != "after")
    names = {name for validator in early for name in validator.info.fields}
    return set(model.model_fields) if "*" in names else names
