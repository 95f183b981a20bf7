"""Whatever a user can name is documented."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Any, get_args

import pytest
import typer.main
from pydantic import BaseModel

from rmqueue import hookspecs
from rmqueue.cli import app
from rmqueue.config import ZoneConfig
from rmqueue.experiment_file import ExperimentConfig
from rmqueue.mm.profile import PROFILES
from rmqueue.mm.vmstat import COUNTERS
from rmqueue.registry import default_registry
from tests.meta.sources import OURS, ROOT, python_files

README = (ROOT / "README.md").read_text(encoding="utf-8")
PLUGINS = (ROOT / "plugins" / "README.md").read_text(encoding="utf-8")
HOOKS = [
    name
    for name, value in vars(hookspecs).items()
    if name.startswith("rmqueue_") and inspect.isfunction(value)
]
COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]


def models(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """A model, and the models of its fields."""
    yield model
    for field in model.model_fields.values():
        for part in inner_types(field.annotation):
            if isinstance(part, type) and issubclass(part, BaseModel):
                yield from models(part)


def inner_types(annotation: Any) -> Iterator[Any]:
    yield annotation
    for part in get_args(annotation):
        yield from inner_types(part)


def every_model() -> dict[str, type[BaseModel]]:
    found = {m.__name__: m for m in models(ExperimentConfig)}
    for entry in default_registry().load_all():
        if entry.kind in ("strategy", "workload"):
            for model in models(entry.record.parameters):
                found[f"{entry.name} {model.__name__}"] = model
    return found


@pytest.mark.parametrize("hook", HOOKS)
def test_hooks_are_documented(hook: str) -> None:
    assert f"| `{hook}` |" in PLUGINS, "add it to the table of plugins/README.md"
    assert ">>>" in (getattr(hookspecs, hook).__doc__ or ""), "give it an example"


@pytest.mark.parametrize("counter", COUNTERS)
def test_work_counters_are_documented(counter: str) -> None:
    assert f"| `{counter}` |" in PLUGINS, "add it to the table of plugins/README.md"


def test_the_tables_name_nothing_that_is_gone() -> None:
    hooks = re.findall(r"^\| `(rmqueue_\w+)` \|", PLUGINS, re.MULTILINE)
    assert sorted(hooks) == sorted(HOOKS)
    counters = re.findall(r"^\| `([a-z_]+)` \| each", PLUGINS, re.MULTILINE)
    assert tuple(counters) == COUNTERS


@pytest.mark.parametrize("name", sorted(every_model()))
def test_fields_say_what_they_mean_and_in_which_unit(name: str) -> None:
    for field, info in every_model()[name].model_fields.items():
        words = info.description or ""
        assert re.search(r"\S \[[^\[\]]+\]\.$", words), (
            f"{name}.{field}: {words!r} does not end in its unit, like '[pages].'"
        )


def test_every_model_is_reached() -> None:
    assert {"ExperimentConfig", "ZoneConfig", "StrategyEntry"} <= every_model().keys()
    assert every_model()["ZoneConfig"] is ZoneConfig


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_commands_and_options_have_help(command: str) -> None:
    assert COMMANDS[command].help, "give it a docstring"
    assert f"`rmqueue {command}" in README, "name it in README.md"
    for parameter in COMMANDS[command].params:
        assert getattr(parameter, "help", None), f"{parameter.name} has no help"


def test_environment_variables_are_documented() -> None:
    named = {
        name
        for path in python_files(*OURS)
        for name in re.findall(
            r"""environ\S*["'](RMQUEUE_\w+)["']""", path.read_text(encoding="utf-8")
        )
    }
    assert named
    missing = [name for name in sorted(named) if f"`{name}`" not in README]
    assert not missing, "add them to README.md"


def test_kernel_profiles_are_in_the_table() -> None:
    rows = re.findall(r"^\| `([\d.]+)` \| (.+?) \| .*\|$", README, re.MULTILINE)
    assert rows == [(name, profile.linux) for name, profile in PROFILES.items()]


def test_strategies_are_in_the_table_as_the_registry_has_them() -> None:
    rows = re.findall(
        r"^\| `([a-z0-9-]+)` \| (.+) \| (.+) \| (.+) \|$", README, re.MULTILINE
    )
    registry = default_registry()
    expected = []
    for name in registry.names("strategy"):
        if registry.find("strategy", name).provenance.distribution != "rmqueue":
            continue  # somebody has installed another one, perhaps best-fit
        strategy = registry.strategy(name)
        kernel = strategy.kernel or "the newest"
        expected.append((name, strategy.summary, strategy.linux or "—", kernel))
    assert sorted(rows) == expected


def test_reporters_are_in_the_table_as_the_registry_has_them() -> None:
    part = README.partition("### Reports\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `([a-z-]+)` \| (.+) \|$", part, re.MULTILINE)
    registry = default_registry()
    expected = [
        (name, registry.reporter(name).summary)
        for name in registry.names("reporter")
        if registry.find("reporter", name).provenance.distribution == "rmqueue"
    ]
    assert sorted(rows) == expected
