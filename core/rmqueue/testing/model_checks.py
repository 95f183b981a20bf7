"""Checks of what all kinds of plugins have: a summary, and a model of parameters."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from rmqueue.testing.checklist import Check, CheckError, Subject, require

#: How a description ends: a unit in brackets, and a full stop.
UNIT = re.compile(r"\S \[[^\[\]]+\]\.$")


def summary_is_a_sentence(subject: Subject) -> str:
    """Look at its line for listings."""
    summary = str(subject.record.summary)
    require(
        summary.endswith(".") and "\n" not in summary,
        f"its summary is {summary!r}: make it one line that ends in a full stop",
    )
    return ""


def parameters_are_documented(subject: Subject) -> str:
    """Look at its parameters: each has a default and a unit; no other is taken."""
    model: type[BaseModel] = subject.record.parameters
    where = place_of(model)
    config = model.model_config
    require(
        config.get("frozen") is True and config.get("extra") == "forbid",
        f"{where}: {model.__name__} lets itself be changed, or takes any name: give it "
        'model_config = ConfigDict(frozen=True, extra="forbid")',
    )
    for name, info in model.model_fields.items():
        words = info.description or ""
        require(
            UNIT.search(words),
            f"{where}: parameter {name!r} is described by {words!r}, which does not "
            "end in its unit, like '[pages].'",
        )
    try:
        model()
    except ValidationError as error:
        missing = ", ".join(str(e["loc"][0]) for e in error.errors() if e["loc"])
        raise CheckError(
            f"{where}: {missing or model.__name__}: there is no default that is valid"
        ) from None
    return ""


def place_of(model: type[BaseModel]) -> str:
    """File and line of a model."""
    try:
        line = inspect.getsourcelines(model)[1]
        return f"{inspect.getsourcefile(model)}, line {line}"
    except (OSError, TypeError):
        return f"module {model.__module__}"


def ends_of_ranges(model: type[BaseModel]) -> Iterator[dict[str, Any]]:
    """Yield parameters at the least and at the greatest value that they may have."""
    for name, info in model.model_fields.items():
        for value in bounds(info):
            try:
                model(**{name: value})
            except ValidationError:
                continue  # it does not go together with the defaults of others
            yield {name: value}


def bounds(info: FieldInfo) -> Iterator[Any]:
    """Yield the ends of the range of a parameter, as far as it has any."""
    step = 1 if info.annotation is int else 0
    for word, distance in (("ge", 0), ("gt", step), ("le", 0), ("lt", -step)):
        for constraint in info.metadata:
            bound = getattr(constraint, word, None)
            if bound is not None and (distance or word in ("ge", "le")):
                yield bound + distance


SUMMARY = Check("summary", "its summary is a sentence", summary_is_a_sentence)
PARAMETERS = Check(
    "parameters",
    "its parameters are described with their units, and have defaults",
    parameters_are_documented,
)
