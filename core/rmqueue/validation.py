"""Checked values, and mistakes in plain words: source, dotted field, what was found."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError

from rmqueue.errors import ConfigError, PluginError, UnknownNameError
from rmqueue.mistyped import mistyped

AnyModel = TypeVar("AnyModel", bound=BaseModel)
#: What pydantic calls by the names of Python, and a file by its own.
IN_TOML = {
    r"a valid dictionary( or instance of \w+)?": "a table",
    "a valid (tuple|list)": "a list",
}


def validated(
    model: type[AnyModel],
    values: Any,
    source: str,
    prefix: str = "",
    *,
    from_words: bool = False,
) -> AnyModel:
    """Make a model of plain values, or say in plain words what is wrong with them.

    Parameters
    ----------
    model : type of pydantic.BaseModel
        What to make.
    values : object
        The values.
    source : str
        Where they come from; begins every line of the message.
    prefix : str
        Dotted path of the values within the source.
    from_words : bool
        Whether they come from a command line, where numbers are text too.

    Raises
    ------
    ConfigError
        One line per mistake: source, dotted field, what is wrong, what was found.
    """
    wrong = {} if from_words else dict(mistyped(model, values))
    before = (prefix,) if prefix else ()
    lines = [f"{dotted((*before, *at))}: {what}" for at, what in wrong.items()]
    try:
        made = model.model_validate(values)
    except ValidationError as error:
        lines += [
            explain(model, detail, prefix)
            for detail in own_mistakes(error)
            if fields_of(detail["loc"]) not in wrong
        ]
    if lines:
        raise ConfigError("\n".join(f"{source}: {line}" for line in lines))
    return made


@cache
def check_defaults(model: type[BaseModel], owner: str) -> None:
    """Refuse defaults that a model would not take: pydantic does not look at them.

    Parameters
    ----------
    model : type of pydantic.BaseModel
        Parameters of a plugin.
    owner : str
        How messages call the plugin.

    Raises
    ------
    PluginError
        One line per mistake: file and line of the field, what is wrong.
    """
    defaults = {
        name: info.get_default(call_default_factory=True)
        for name, info in model.model_fields.items()
        if not info.is_required() and info.validation_alias is None
    }
    try:
        model.model_validate(defaults)
    except ValidationError as error:
        lines = [
            f"{owner}: {place_of_field(model, str(detail['loc'][0]))}: default of "
            f"{explain(model, detail, '')}"
            for detail in error.errors()
            if detail["loc"] and detail["loc"][0] in defaults
        ]
        if lines:
            raise PluginError("\n".join(lines)) from None


def place_of_field(model: type[BaseModel], name: str) -> str:
    """File and line of a field of a model; its module if there is no source."""
    for base in model.__mro__:
        if name not in vars(base).get("__annotations__", {}):
            continue
        try:
            lines, first = inspect.getsourcelines(base)
        except (OSError, TypeError):
            break
        at = (n for n, line in enumerate(lines) if re.match(rf"\s+{name}\s*:", line))
        return f"{inspect.getsourcefile(base)}, line {first + next(at, 0)}"
    return f"module {model.__module__}"


def own_mistakes(error: ValidationError) -> list[Any]:
    """Mistakes without those that only follow: a list is not short of a wrong item."""
    found = error.errors()
    places = [detail["loc"] for detail in found]
    return [
        detail
        for detail in found
        if detail["type"] != "too_short"
        or not any(p[: len(detail["loc"])] == detail["loc"] != p for p in places)
    ]


def explain(model: type[BaseModel], detail: Any, prefix: str) -> str:
    """One mistake in one line."""
    where = dotted([prefix, *detail["loc"]] if prefix else detail["loc"])
    kind, message = detail["type"], str(detail["msg"])
    if kind == "missing":
        return f"{where}: is missing: add it"
    if kind == "extra_forbidden":
        known = fields_at(model, detail["loc"][:-1])
        if not known:
            name = detail["loc"][-1]
            return (
                f"{where}: no field is called {name!r}: there are no parameters: "
                "leave it out"
            )
        return f"{where}: {UnknownNameError('field', detail['loc'][-1], known)}"
    if kind == "too_short" and detail["ctx"]["min_length"] == 1:
        message = "at least one is needed"
    message = message.removeprefix("Value error, ").replace("Input should", "should")
    for theirs, ours in IN_TOML.items():
        message = re.sub(theirs, ours, message)
    found = repr(detail["input"])
    if len(found) > 60:
        found = found[:57] + "..."
    return f"{where}: {message} (found {found})"


def dotted(location: Iterable[str | int]) -> str:
    """Dotted path of a field.

    Examples
    --------
    >>> dotted(("strategies", 2, "params", "limit"))
    'strategies[2].params.limit'
    """
    path = ""
    for step in fields_of(location):
        path += f"[{step}]" if isinstance(step, int) else f".{step}"
    return path.removeprefix(".") or "(top level)"


def fields_of(location: Iterable[str | int]) -> tuple[str | int, ...]:
    """Location without the names of alternatives, which are in parentheses.

    Examples
    --------
    >>> fields_of(("over", "zone.cpus", "(range)", "count"))
    ('over', 'zone.cpus', 'count')
    """
    return tuple(s for s in location if isinstance(s, int) or s[:1] != "(")


def fields_at(model: type[BaseModel], location: Iterable[str | int]) -> set[str]:
    """Names of the fields that the model at a location has."""
    for step in location:
        if isinstance(step, str) and step in model.model_fields:
            model = next(models_in(model.model_fields[step].annotation), model)
    return {info.alias or name for name, info in model.model_fields.items()}


def models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """Models that an annotation mentions."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from models_in(part)
