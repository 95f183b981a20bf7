"""The study file: an experiment file with sweeps, and what is kept of each run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field

from rmqueue.config import Model
from rmqueue.errors import ConfigError, UsageError
from rmqueue.experiment_file import (
    ExperimentConfig,
    SuiteConfig,
    experiment_schema,
    parts_of,
    read_toml,
)
from rmqueue.samples import MOST_CELLS
from rmqueue.study.design import (
    MOST_VALUES,
    Point,
    Range,
    Sweep,
    crossed,
    with_point,
)
from rmqueue.validation import validated


class Keep(Model):
    """What is kept of each run beside its row."""

    samples: int = Field(
        default=32,
        ge=0,
        le=10_000,
        description="Looks at the zones on the way [looks].",
    )
    cells: int = Field(
        default=MOST_CELLS,
        ge=1,
        le=1 << 16,
        description="Cells of the map of pageblocks, at the most [cells].",
    )


class StudyTables(Model):
    """What a study file says beside the experiment."""

    sweep: tuple[Sweep, ...] = Field(
        default=(), description="What is varied, crossed with each other [tables]."
    )
    keep: Keep = Field(default=Keep(), description="What is kept of each run [table].")


def file_schema() -> dict[str, Any]:
    """Return the JSON schema of what ``rmqueue run`` takes.

    Experiment files, the same with the tables of a study, and suites.
    """
    schema = experiment_schema()
    properties, definitions = schema["properties"], schema["$defs"]
    for model in (StudyTables, SuiteConfig):
        own = model.model_json_schema()
        definitions |= own.get("$defs", {})
        properties |= {n: v for n, v in own["properties"].items() if n != "name"}
    seeds = properties["seeds"]
    whole = {key: seeds.pop(key) for key in ("items", "minItems", "type")}
    one = {**whole["items"], "description": "One seed [number]."}
    seeds["anyOf"] = [whole, one, {"$ref": "#/$defs/Range"}]
    schema["required"] = ["name"]
    schema["anyOf"] = [{"required": ["strategies"]}, {"required": ["parts"]}]
    schema["title"] = "Experiment, study or suite"
    return schema


@dataclass(frozen=True)
class Variant:
    """An experiment at one point of a study.

    Attributes
    ----------
    config : ExperimentConfig
        The experiment.
    values : mapping of str to object
        What makes it: `config` before it was checked, as TOML has it.
    point : Point
        What is varied, by dotted field.
    base : Path
        Folder that a recording is relative to.
    source : str
        What messages call it.
    keep : Keep
        What is kept of its runs.
    """

    config: ExperimentConfig
    values: dict[str, Any]
    point: Point
    base: Path
    source: str
    keep: Keep


def variants(path: Path, kernel: str | None = None) -> Iterator[Variant]:
    """Read a study file, an experiment file or a suite; yield its experiments.

    Parameters
    ----------
    path : Path
        The file.
    kernel : str or None
        Kernel profile of all strategies, whatever the file says.

    Raises
    ------
    ConfigError
        One of the files is wrong; the message names file, point and field.
    """
    for part in parts_of(path):
        yield from variants_of(part, kernel)


def variants_of(path: Path, kernel: str | None = None) -> Iterator[Variant]:
    """Experiments of one file, in the order of its points."""
    values = read_toml(path)
    own = {name: values.pop(name) for name in ("sweep", "keep") if name in values}
    if isinstance(own.get("sweep"), dict):
        raise ConfigError(f"{path}: sweep: is a list of tables: write [[sweep]]")
    tables = validated(StudyTables, own, str(path))
    values["seeds"] = seeds_of(values.get("seeds", [1]), str(path))
    if kernel is not None:
        values = on_kernel(values, tables.sweep, kernel, str(path))
    try:
        points = list(crossed(tables.sweep))
    except ConfigError as error:
        raise ConfigError(f"{path}: sweep: {error}") from None
    for point in points:
        source = f"{path} at {in_words(point)}" if point else str(path)
        try:
            changed = with_point(values, point)
        except ConfigError as error:
            raise ConfigError(f"{path}: sweep: {error}") from None
        changed["seeds"] = seeds_of(changed["seeds"], source)
        config = validated(ExperimentConfig, changed, source)
        yield Variant(config, changed, point, path.parent, source, tables.keep)


def on_kernel(
    values: dict[str, Any], sweeps: tuple[Sweep, ...], kernel: str, source: str
) -> dict[str, Any]:
    """Values of a file whose strategies all run on one kernel profile.

    Raises
    ------
    UsageError
        The file varies the kernel.
    """
    varied = [path for s in sweeps for path in s.over if path.endswith("kernel")]
    if varied:
        raise UsageError(f"{source}: varies {varied[0]!r}: leave out --kernel")
    entries = values.get("strategies", ())
    if not all(isinstance(entry, dict) for entry in entries):
        return values  # what is wrong with it is said when it is checked
    return {**values, "strategies": [{**e, "kernel": kernel} for e in entries]}


def seeds_of(given: Any, source: str) -> Any:
    """Seeds as a list: a list as it is, one number, or a range of numbers."""
    if not isinstance(given, dict):
        return [given] if isinstance(given, int) else given
    found = validated(Range, given, source, "seeds")
    if "count" in given:
        return found.values()
    first, last = found.start, found.end
    if last < first:
        raise ConfigError(
            f"{source}: seeds.to: must not be below from, which is {first:.17g} "
            f"(found {last:.17g})"
        )
    if last - first >= MOST_VALUES:
        raise ConfigError(
            f"{source}: seeds.to: is more than {MOST_VALUES:,} seeds from {first:.17g} "
            f"on (found {last:.17g}): take fewer"
        )
    return found.model_copy(update={"count": int(last - first) + 1}).values()


def in_words(point: Point) -> str:
    """Say a point in words.

    Examples
    --------
    >>> in_words({"zone.cpus": 8, "machine": "generic"})
    'zone.cpus = 8, machine = generic'
    """
    return ", ".join(f"{path} = {value}" for path, value in point.items())
