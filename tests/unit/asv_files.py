"""Files as asv writes them: results of commits, and the list of benchmarks."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

STEALS, RATIO = "bench_results.Board.track_steals", "bench_replay.AgainstC.track_ratio"
OPEN, IMPORT = "bench_mm.Open.time_open", "bench_startup.Startup.timeraw_import"
UNITS = {STEALS: "blocks", RATIO: "ratio", OPEN: "seconds", IMPORT: "seconds"}
COMMITS = tuple(digit * 40 for digit in "abc")
#: Two strategies, the second of which does not run everywhere.
PARAMS = [["'one'", "'two'"]]


def write_benchmarks(folder: Path) -> None:
    """Write the list of benchmarks."""
    listed: dict[str, Any] = {
        name: {"name": name, "unit": unit, "params": [], "version": "1"}
        for name, unit in UNITS.items()
    }
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps({**listed, "version": 2})
    (folder / "benchmarks.json").write_text(text, encoding="utf-8")


def write_result(
    folder: Path,
    commit: str,
    figures: Mapping[str, list[float | None]],
    date: int = 1,
    machine: str = "here",
) -> Path:
    """Write what was measured of a commit; two figures are those of PARAMS."""
    place = folder / machine
    place.mkdir(parents=True, exist_ok=True)
    about = {"machine": machine, "os": "Linux", "arch": "", "cpu": "", "num_cpu": "2"}
    machine_text = json.dumps({**about, "ram": "", "version": 1})
    (place / "machine.json").write_text(machine_text, encoding="utf-8")
    columns = ["result", "params", "version"]
    results = {
        name: [values, PARAMS if len(values) == 2 else [], "1"]
        for name, values in figures.items()
    }
    stored = {
        "commit_hash": commit,
        "env_name": "env",
        "date": date,
        "params": about,
        "python": "3.11",
        "requirements": {},
        "env_vars": {},
        "result_columns": columns,
        "results": results,
        "durations": {},
        "version": 2,
    }
    path = place / f"{commit[:8]}-env.json"
    path.write_text(json.dumps(stored), encoding="utf-8")
    return path


def three_commits(folder: Path) -> Path:
    """Write three commits: the second steals more, the third is slow."""
    write_benchmarks(folder)
    for at, (steals, ratio) in enumerate([(5, 0.9), (7, 0.8), (7, 1.6)]):
        figures: dict[str, list[float | None]] = {
            STEALS: [float(steals), None if at == 0 else 3.0],
            RATIO: [ratio],
            OPEN: [0.0015],
        }
        write_result(folder, COMMITS[at], figures, date=1000 + at)
    return folder
