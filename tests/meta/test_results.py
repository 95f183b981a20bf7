"""Results of benchmarks that are kept: few, small, of this history, telling nothing."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest

from tests.meta.sources import ROOT, shown, tracked_files

KEPT = [p for p in tracked_files() if shown(p).startswith("benchmarks/results/")]
RESULTS = [p for p in KEPT if p.name not in ("benchmarks.json", "machine.json")]


def load(path: Any) -> dict[str, Any]:
    return dict(json.loads(path.read_text(encoding="utf-8")))


def test_they_are_json_and_less_than_a_megabyte() -> None:
    assert {path.suffix for path in KEPT} == {".json"}
    assert sum(path.stat().st_size for path in KEPT) < 1 << 20


def test_there_is_a_history() -> None:
    assert len({load(path)["commit_hash"] for path in RESULTS}) >= 5


@pytest.mark.parametrize("path", RESULTS, ids=shown)
def test_they_are_of_commits_of_this_history(path: Any) -> None:
    commit = load(path)["commit_hash"]
    words = ["git", "merge-base", "--is-ancestor", commit, "HEAD"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr or f"{commit} is not in it"


def test_machines_tell_nothing_of_a_network() -> None:
    machines = [load(path) for path in KEPT if path.name == "machine.json"]
    assert [(one["machine"], one["os"]) for one in machines] == [("reference", "Linux")]
