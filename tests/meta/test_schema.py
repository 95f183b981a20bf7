"""The JSON schema of experiment and study files is stored, fresh, and true."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from rmqueue.study.file import file_schema, variants
from tests.meta.documents import blocks
from tests.meta.sources import CORE, ROOT, shown

STORED = CORE / "experiment.schema.json"
BUILT_IN = sorted((ROOT / "plugins/rmqueue_plugins/data").glob("*.toml"))
SHOWN = [b for b in blocks("README.md") if (b.file or "").endswith(".toml")]
SMALL = """\
name = "small"
machine = "generic"
seeds = { from = 1, to = 3 }
[zone]
pages = 4096
[workload]
name = "mix"
[[strategies]]
name = "none"
[[sweep]]
design = "sample"
samples = 3
over = { "zone.cpus" = [1, 2], "zone.pages" = { from = 64, to = 4096, scale = "log" } }
[keep]
samples = 4
"""


def complaints(text: str) -> list[str]:
    checker = jsonschema.Draft202012Validator(json.loads(STORED.read_text("utf-8")))
    found: Any = checker.iter_errors(tomllib.loads(text))
    return [error.json_path for error in found]


def test_stored_schema_is_fresh() -> None:
    stored = json.loads(STORED.read_text(encoding="utf-8"))
    assert stored == file_schema(), (
        f"run: rmqueue schema > {shown(STORED)}, and commit it"
    )


def test_stored_schema_is_laid_out_as_the_command_prints_it() -> None:
    text = STORED.read_text(encoding="utf-8")
    assert text == json.dumps(json.loads(text), indent=2) + "\n"


@pytest.mark.parametrize("path", BUILT_IN, ids=shown)
def test_what_is_built_in_keeps_to_it(path: Path) -> None:
    assert complaints(path.read_text("utf-8")) == []


def test_what_is_shown_keeps_to_it() -> None:
    assert {b.file: complaints(b.body) for b in SHOWN} == {b.file: [] for b in SHOWN}


def test_a_study_keeps_to_it(tmp_path: Path) -> None:
    """In both: what it takes is read, and what it refuses is refused."""
    path = tmp_path / "small.toml"
    path.write_text(SMALL)
    assert complaints(SMALL) == []
    assert len(list(variants(path))) == 3


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ("samples = 4", "samples = -1", "$.keep.samples"),
        ("samples = 4", "sample = 4", "$.keep"),
        ('"sample"', '"samples"', "$.sweep[0].design"),
        ("over =", "ower =", "$.sweep[0]"),
        ("to = 3", "until = 3", "$.seeds"),
        ("[[strategies]]", "[[strategy]]", "$"),
    ],
)
def test_mistakes_are_found(old: str, new: str, place: str) -> None:
    assert place in complaints(SMALL.replace(old, new))
