"""The experiment file: what it may say, and what is said about one that is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from rmqueue.errors import ConfigError
from rmqueue.experiment_file import experiment_schema, load_experiment
from tests.unit.experiments import small_file


def test_a_file_is_read(tmp_path: Path) -> None:
    config = load_experiment(small_file(tmp_path))
    assert config.seeds == (1, 2)
    assert config.zone is not None
    assert config.zone.pages == 1500
    assert [entry.heading for entry in config.strategies] == [
        *("greedy-steal", "now", "none")
    ]


WRONG: dict[str, tuple[tuple[str, str], str]] = {
    "syntax": (("seeds = [1, 2]", "seeds = [1, 2"), "small.toml: "),
    "field": (
        ('name = "small"', 'name = "small"\nsedes = [1]'),
        "small.toml: sedes: no field is called 'sedes': did you mean 'seeds'?",
    ),
    "nested field": (
        ("pages = 1500", "pagse = 1500"),
        "small.toml: zone.pagse: no field is called 'pagse': did you mean 'pages'?",
    ),
    "value": (
        ("pages = 1500", "pages = -1"),
        "small.toml: zone.pages: should be greater than or equal to 1 (found -1)",
    ),
    "no name": (('name = "small"\n', ""), "small.toml: name: is missing: add it"),
    "twice": (
        ('label = "now"', 'label = "none"'),
        "strategies: 'none' occurs twice: give one a label",
    ),
    "seeds": (("[1, 2]", "[1, 1]"), "seeds: a number occurs twice"),
    "no seeds": (("[1, 2]", "[]"), "seeds: "),
    "kernel": (
        ('label = "now"', 'kernel = "7.03"'),
        "strategies[1].kernel: no kernel is called '7.03': did you mean '7.3'?",
    ),
    "both starts": (
        ('machine = "generic"', 'machine = "generic"\nrecording = "x"'),
        "a recording brings its own zones: remove one of the two",
    ),
    "no cost": (('machine = "generic"\n', ""), "give a machine, or costs of your own"),
    "negative cost": (
        ('machine = "generic"', "weights_ps = { lock = -1 }"),
        "weights_ps.lock: should be greater than or equal to 0",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_mistakes_are_told_with_file_and_field(tmp_path: Path, case: str) -> None:
    change, words = WRONG[case]
    with pytest.raises(ConfigError) as caught:
        load_experiment(small_file(tmp_path, change))
    assert words in str(caught.value)
    assert str(tmp_path / "small.toml") in str(caught.value)
    assert caught.value.exit_status == 2


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"missing\.toml"):
        load_experiment(tmp_path / "missing.toml")
    with pytest.raises(ConfigError, match=str(tmp_path)):
        load_experiment(tmp_path)
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match=r"binary\.toml"):
        load_experiment(tmp_path / "binary.toml")


def test_the_schema_describes_every_field() -> None:
    schema = experiment_schema()
    assert {"name", "zone", "workload", "strategies"} <= set(schema["properties"])
    assert schema["additionalProperties"] is False
    for model in (schema, *schema["$defs"].values()):
        for name, field in model["properties"].items():
            assert field.get("description", "").endswith("]."), name
