"""What a study varies: values of any field, as a grid, a zip or a sampled design.

.. code-block:: toml

    [[sweep]]
    [sweep.over]
    "zone.cpus" = [1, 8, 56]
    "workload.params.fill" = { from = 0.7, to = 1.0, count = 4 }

    [[sweep]]
    design = "zip"
    [sweep.over]
    "zone.pages" = [65_536, 262_144]
    "workload.params.operations" = [50_000, 200_000]

Sweeps are crossed with each other.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, TypeAlias

import numpy as np
from pydantic import (
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationInfo,
    field_validator,
)

from rmqueue.config import Model
from rmqueue.errors import ConfigError, UsageError

#: What a run is given, by dotted field.
Point: TypeAlias = "dict[str, Any]"
#: Points of a sweep, at the most: more is a slip of the pen.
MOST_POINTS = 100_000
#: Values of a range, at the most.
MOST_VALUES = 10_000


class Range(Model):
    """Numbers between two ends, both included."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    start: float = Field(
        alias="from",
        allow_inf_nan=False,
        description="First value [the field's own].",
    )
    end: float = Field(
        alias="to", allow_inf_nan=False, description="Last value [the field's own]."
    )
    count: int = Field(default=2, ge=2, le=MOST_VALUES, description="Values [numbers].")
    scale: Literal["linear", "log"] = Field(
        default="linear", description="Equal steps or equal factors [name]."
    )

    @field_validator("end")
    @classmethod
    def _within_reach(cls, value: float, info: ValidationInfo) -> float:
        start = info.data.get("start", value)
        if not math.isfinite(value - start):
            raise ValueError(f"is too far from {start}")
        return value

    @field_validator("scale")
    @classmethod
    def _log_of_positive(cls, value: str, info: ValidationInfo) -> str:
        start, end = (info.data.get(name, 1.0) for name in ("start", "end"))
        if value == "log" and min(start, end) <= 0:
            raise ValueError("equal factors need ends above 0")
        if value == "log" and not math.isfinite(end / start):
            raise ValueError(f"{end} is too far from {start}")
        return value

    def at(self, share: float) -> float | int:
        """Value at a share of the way; whole if both ends are."""
        if self.scale == "log":
            value = float(self.start * (self.end / self.start) ** share)
        else:
            value = self.start + (self.end - self.start) * share
        whole = self.start == int(self.start) and self.end == int(self.end)
        return round(value) if whole else value

    def values(self) -> list[float | int]:
        """All values, each once."""
        shares = np.linspace(0, 1, self.count)
        return list(dict.fromkeys(self.at(float(share)) for share in shares))


def alternative(value: Any) -> str | None:
    """Name of what a value is checked as; `rmqueue.validation` leaves it out."""
    if isinstance(value, (Mapping, Range)):
        return "(range)"
    return "(list)" if isinstance(value, (list, tuple)) else None


#: Values that a field takes: told apart first, so that a mistake is told once.
Values: TypeAlias = Annotated[
    Annotated[list[Any], Tag("(list)")] | Annotated[Range, Tag("(range)")],
    Discriminator(
        alternative,
        custom_error_type="neither_list_nor_range",
        custom_error_message="should be a list, or a range like { from = 1, to = 8 }",
    ),
]


class Sweep(Model):
    """Fields that are varied together."""

    over: dict[str, Values] = Field(
        min_length=1, description="Values or a range, by dotted field [own units]."
    )
    design: Literal["grid", "zip", "sample"] = Field(
        default="grid",
        description="Each with each, side by side, or drawn from all [name].",
    )
    samples: int | None = Field(
        default=None,
        ge=1,
        le=MOST_POINTS,
        description="Points that are drawn [points].",
    )
    seed: int = Field(default=1, ge=0, description="Seed of the drawing [number].")

    @field_validator("over")
    @classmethod
    def _some_values(cls, value: dict[str, Any]) -> dict[str, Any]:
        for path, values in value.items():
            if not all(path.split(".")):
                raise ValueError(f"{path!r} names no field: write one like zone.cpus")
            if values == []:
                raise ValueError(f"{path!r} has no values")
        return value

    @field_validator("samples")
    @classmethod
    def _samples_are_drawn(cls, value: int | None, info: ValidationInfo) -> int | None:
        if value is not None and info.data.get("design") != "sample":
            raise ValueError('only design = "sample" draws: remove one of the two')
        return value

    def points(self) -> Iterator[Point]:
        """Every point, in order.

        Raises
        ------
        ConfigError
            Lists of a zip differ in length.
        """
        if self.design == "sample":
            yield from self._drawn()
            return
        lists = {
            path: values.values() if isinstance(values, Range) else values
            for path, values in self.over.items()
        }
        if self.design == "zip":
            lengths = {path: len(values) for path, values in lists.items()}
            if len(set(lengths.values())) > 1:
                said = ", ".join(f"{path!r} has {n}" for path, n in lengths.items())
                raise ConfigError(f"lists of a zip must be equally long: {said}")
            rows: Any = zip(*lists.values(), strict=True)
        else:
            rows = itertools.product(*lists.values())
        for row in rows:
            yield dict(zip(lists, row, strict=True))

    def _drawn(self) -> Iterator[Point]:
        """Points of a Latin hypercube: each part of each range once."""
        try:
            from scipy.stats import qmc
        except ImportError:
            raise UsageError(
                'design = "sample" needs SciPy: pip install "rmqueue[study]"'
            ) from None
        count = self.samples or 10
        cube = qmc.LatinHypercube(len(self.over), rng=self.seed).random(count)
        for shares in cube:
            yield {
                path: drawn(values, float(share))
                for (path, values), share in zip(self.over.items(), shares, strict=True)
            }


def drawn(values: list[Any] | Range, share: float) -> Any:
    """Value at a share of a range, or of a list."""
    if isinstance(values, Range):
        return values.at(share)
    return values[min(int(share * len(values)), len(values) - 1)]


def crossed(sweeps: tuple[Sweep, ...]) -> Iterator[Point]:
    """Points of all sweeps with each other; one empty point if there is no sweep.

    Raises
    ------
    ConfigError
        A field is varied twice, or there are too many points.
    """
    paths = [path for sweep in sweeps for path in sweep.over]
    for path in paths:
        if paths.count(path) > 1:
            raise ConfigError(f"{path!r} is varied by two sweeps: remove it from one")
    lists = [list(itertools.islice(s.points(), MOST_POINTS + 1)) for s in sweeps]
    if np.prod([len(one) for one in lists], dtype=float) > MOST_POINTS:
        raise ConfigError(f"more than {MOST_POINTS:,} points: vary less")
    for parts in itertools.product(*lists):
        yield {path: value for part in parts for path, value in part.items()}


def with_point(values: Mapping[str, Any], point: Point) -> dict[str, Any]:
    """Values of an experiment file with those of a point put in.

    Parameters
    ----------
    values : mapping of str to object
        As TOML has them.
    point : mapping of str to object
        By dotted field; ``strategies.NAME`` is the entry of that label or name, and
        ``strategies.*`` every entry.

    Raises
    ------
    ConfigError
        A part of the path is not there, or is no table.
    """
    changed: dict[str, Any] = copied(values)
    for path, value in point.items():
        for place, name in places(changed, path):
            place[name] = value
    return changed


def places(values: dict[str, Any], path: str) -> Iterator[tuple[dict[str, Any], str]]:
    """Tables and names in them that a dotted field stands for."""
    first, *rest = path.split(".")
    if first != "strategies" or not rest:
        yield table_at(values, path.split(".")[:-1], path), path.split(".")[-1]
        return
    entries = values.get("strategies", [])
    chosen = [e for e in entries if rest[0] in ("*", e.get("label") or e.get("name"))]
    if not chosen or len(rest) < 2:
        known = ", ".join(str(e.get("label") or e.get("name")) for e in entries)
        raise ConfigError(
            f"{path!r}: no strategy is called {rest[0]!r}: write "
            f"strategies.NAME.params.FIELD with one of {known}, or *"
        )
    for entry in chosen:
        yield table_at(entry, rest[1:-1], path), rest[-1]


def table_at(values: dict[str, Any], names: list[str], path: str) -> dict[str, Any]:
    """Table at a path, made where there is none."""
    for name in names:
        values = values.setdefault(name, {})
        if not isinstance(values, dict):
            raise ConfigError(f"{path!r}: {name!r} is no table")
    return values


def copied(value: Any) -> Any:
    """Copy tables and lists, so that one point does not change another."""
    if isinstance(value, Mapping):
        return {name: copied(one) for name, one in value.items()}
    return [copied(one) for one in value] if isinstance(value, list) else value


def is_number(value: object) -> bool:
    """Whether a value is a number: what TOML calls true is none."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def concerns(path: str, label: str) -> bool:
    """Whether a field of a point changes what a strategy does."""
    first, _, rest = path.partition(".")
    return first != "strategies" or rest.partition(".")[0] in ("*", label)
