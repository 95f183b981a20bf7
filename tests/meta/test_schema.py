"""The JSON schema of experiment files is stored, and the stored copy is fresh."""

from __future__ import annotations

import json

from rmqueue.experiment_file import experiment_schema
from tests.meta.sources import CORE, shown

STORED = CORE / "experiment.schema.json"


def test_stored_schema_is_fresh() -> None:
    stored = json.loads(STORED.read_text(encoding="utf-8"))
    assert stored == experiment_schema(), (
        f"run: rmqueue schema > {shown(STORED)}, and commit it"
    )


def test_stored_schema_is_laid_out_as_the_command_prints_it() -> None:
    text = STORED.read_text(encoding="utf-8")
    assert text == json.dumps(json.loads(text), indent=2) + "\n"
