"""The experiment file: what it may say, how it is read, and its JSON schema.

A start (a recording, or a zone and a workload), strategies, seeds, and what work costs:

.. code-block:: toml

    name = "small"
    machine = "generic"
    seeds = [1, 2]

    [zone]
    pages = 65_536

    [workload]
    name = "mix"
    params = { operations = 100_000 }

    [[strategies]]
    name = "remembered-fallback"
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationInfo, field_validator

from rmqueue.config import Model, StrategyConfig, ZoneConfig, check_kernel
from rmqueue.errors import ConfigError, UsageError
from rmqueue.validation import validated

#: Cost [ps] of a unit of a work counter: at most a millisecond.
Picoseconds = Annotated[int, Field(ge=0, le=10**9)]
#: Seeds are kept as 64-bit integers.
MOST_SEED = (1 << 63) - 1
Seed = Annotated[int, Field(ge=0, lt=1 << 63)]
Order = Annotated[int, Field(ge=0, le=13)]


class WorkloadConfig(Model):
    """A synthetic op stream and its parameters."""

    name: str = Field(description="Name of an installed workload [name].")
    params: dict[str, Any] = Field(
        default_factory=dict,
        description="Its parameters, by name [each in its own unit].",
    )


class StrategyEntry(StrategyConfig):
    """A strategy as an experiment names it."""

    kernel: str | None = Field(
        default=None,
        description="Kernel profile; none: the experiment's, or its own [name].",
    )
    label: str | None = Field(
        default=None, min_length=1, description="Heading in tables; none: name [text]."
    )

    machine: str | None = Field(
        default=None,
        description="Machine that weighs its work; none: the experiment's [name].",
    )

    @field_validator("kernel")
    @classmethod
    def _kernel_exists(cls, value: str | None) -> str | None:
        return None if value is None else check_kernel(value)

    @property
    def heading(self) -> str:
        """What tables call it."""
        return self.label or self.name


class Variation(Model):
    """A change of an experiment, to see how far its results depend on a choice."""

    label: str = Field(min_length=1, description="What tables call it [text].")
    params: dict[str, Any] = Field(
        default_factory=dict, description="Parameters of the workload [own units]."
    )
    zone: dict[str, Any] = Field(
        default_factory=dict, description="Fields of the zone [own units]."
    )
    weights_ps: dict[str, Picoseconds] = Field(
        default_factory=dict, description="Costs per counter [ps]."
    )
    seeds: tuple[Seed, ...] = Field(
        default=(), description="Seeds; none: those of all variations [numbers]."
    )


class Sensitivity(Model):
    """One parameter changed at a time: what `compare --sensitivity` runs."""

    measures: tuple[str, ...] = Field(
        min_length=1, description="What is measured, of `Outcome.measures` [names]."
    )
    variations: tuple[Variation, ...] = Field(
        min_length=1, description="What is changed, one row each [tables]."
    )
    strategies: tuple[str, ...] = Field(
        default=(), description="Headings to run; none: all [names]."
    )
    seeds: tuple[Seed, ...] = Field(
        default=(), description="Seeds; none: those of the experiment [numbers]."
    )
    params: dict[str, Any] = Field(
        default_factory=dict, description="Parameters in all variations [own units]."
    )


class SuiteConfig(Model):
    """Several experiments that belong together."""

    name: str = Field(min_length=1, description="What messages call it [name].")
    parts: tuple[str, ...] = Field(
        min_length=1, description="Experiment files, relative to this one [paths]."
    )


class ExperimentConfig(Model):
    """The same requests, from the same start, on every strategy."""

    name: str = Field(min_length=1, description="What reports call it [name].")
    description: str = Field(default="", description="A sentence for reports [text].")
    recording: str | None = Field(
        default=None,
        description="Folder or file of a recording, relative to this file [path].",
    )
    zone: ZoneConfig | None = Field(
        default=None, description="The zone that a workload runs on [table]."
    )
    workload: WorkloadConfig | None = Field(
        default=None,
        validate_default=True,
        description="The op stream for the zone [table].",
    )
    machine: str | None = Field(
        default=None, description="Machine whose costs weigh the work [name]."
    )
    weights_ps: dict[str, Picoseconds] = Field(
        default_factory=dict,
        validate_default=True,
        description="Costs per counter, before those of the machine [ps].",
    )
    kernel: str | None = Field(
        default=None,
        description="Kernel profile for all; none: each strategy's own [name].",
    )
    strategies: tuple[StrategyEntry, ...] = Field(
        min_length=1, description="What to compare, in order [tables]."
    )
    seeds: tuple[Seed, ...] = Field(
        default=(1,), min_length=1, description="Seeds of the workload [numbers]."
    )
    full_seeds: tuple[Seed, ...] = Field(
        default=(), description="Seeds with --full; none: the same [numbers]."
    )
    published: dict[str, dict[str, float | str]] = Field(
        default_factory=dict,
        description="Published figures to compare with, by heading [own units].",
    )
    notes: tuple[str, ...] = Field(
        default=(), description="What a reader of the results must know [sentences]."
    )
    report: str = Field(
        default="terminal", description="Reporter of the table on stdout [name]."
    )
    sensitivity: Sensitivity | None = Field(
        default=None, description="What --sensitivity runs [table]."
    )
    unusable_orders: tuple[Order, ...] = Field(
        default=(4, 9), description="Orders of the fragmentation indices [orders]."
    )

    @field_validator("zone")
    @classmethod
    def _zone_or_recording(
        cls, value: ZoneConfig | None, info: ValidationInfo
    ) -> ZoneConfig | None:
        if value is not None and info.data.get("recording") is not None:
            raise ValueError("a recording brings its own zones: remove one of the two")
        return value

    @field_validator("workload")
    @classmethod
    def _has_a_start(
        cls, value: WorkloadConfig | None, info: ValidationInfo
    ) -> WorkloadConfig | None:
        if not {"recording", "zone"} <= info.data.keys():
            return value
        recording = info.data["recording"]
        if value is None and recording is None:
            raise ValueError("give a recording, or a zone and a workload")
        if value is not None and recording is not None:
            raise ValueError("a recording brings its own requests: remove one of both")
        return value

    @field_validator("weights_ps")
    @classmethod
    def _work_has_a_cost(
        cls, value: dict[str, int], info: ValidationInfo
    ) -> dict[str, int]:
        if not value and info.data.get("machine", "") is None:
            raise ValueError("give a machine, or costs of your own")
        return value

    @field_validator("kernel")
    @classmethod
    def _one_kernel(cls, value: str | None, info: ValidationInfo) -> str | None:
        zone = info.data.get("zone")
        if value is not None and zone is not None and "kernel" in zone.model_fields_set:
            raise ValueError("zone.kernel says it already: remove one of the two")
        return None if value is None else check_kernel(value)

    @field_validator("strategies")
    @classmethod
    def _headings_differ(
        cls, value: tuple[StrategyEntry, ...]
    ) -> tuple[StrategyEntry, ...]:
        seen: set[str] = set()
        for entry in value:
            if entry.heading in seen:
                raise ValueError(f"{entry.heading!r} occurs twice: give one a label")
            seen.add(entry.heading)
        return value

    @field_validator("seeds", "full_seeds", "unusable_orders")
    @classmethod
    def _no_repeats(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if len(set(value)) < len(value):
            raise ValueError("a number occurs twice")
        return value

    @property
    def fixed_kernel(self) -> str | None:
        """Kernel profile that the file fixes for all strategies, if it does."""
        if self.zone is not None and "kernel" in self.zone.model_fields_set:
            return self.zone.kernel
        return self.kernel


def load_experiment(path: Path, called: str = "") -> ExperimentConfig:
    """Read an experiment file.

    Parameters
    ----------
    path : Path
        The file.
    called : str
        How the user calls it; nothing: by its path.

    Raises
    ------
    UsageError
        It is a study, which other commands run.
    ConfigError
        It cannot be read, is not TOML, or says something wrong; the message names the
        file and the field.
    """
    values = read_toml(path)
    many_seeds = isinstance(values.get("seeds"), (dict, int))
    if "sweep" in values or "keep" in values or many_seeds:
        name = called or path
        raise UsageError(f"{name}: is a study: rmqueue run {name}")
    return validated(ExperimentConfig, values, str(path))


def parts_of(path: Path) -> tuple[Path, ...]:
    """Files of the experiments that a file stands for: itself, or its parts.

    Raises
    ------
    ConfigError
        It cannot be read, or its list of parts is wrong.
    """
    values = read_toml(path)
    if "parts" not in values:
        return (path,)
    suite = validated(SuiteConfig, values, str(path))
    return tuple(path.parent / part for part in suite.parts)


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file; the message of an error names it."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise ConfigError(f"{path}: there is no such file") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 text: {error.reason}") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: not TOML: {error}") from None


def experiment_schema() -> dict[str, Any]:
    """Return the JSON schema of experiment files."""
    schema = ExperimentConfig.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
