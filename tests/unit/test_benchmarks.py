"""Benchmarks are found with any version of rmqueue, even one that has nothing."""

from __future__ import annotations

import json
import subprocess
import sys

from tests.meta.sources import ROOT

#: asv imports every module of the folder; `rmqueue` is there and empty.
PROGRAM = """
import importlib, json, pkgutil, sys, types
sys.modules["rmqueue"] = types.ModuleType("rmqueue")
sys.modules["rmqueue_plugins"] = types.ModuleType("rmqueue_plugins")
import benchmarks
names = [name for _, name, _ in pkgutil.iter_modules(benchmarks.__path__)]
for name in names:
    importlib.import_module(f"benchmarks.{name}")
print(json.dumps(names))
"""


def test_every_module_can_be_imported_without_anything_of_rmqueue() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert {"bench_mm", "bench_results", "expected"} <= set(json.loads(done.stdout))


def test_what_a_version_lacks_is_skipped_visibly() -> None:
    program = PROGRAM + (
        "from benchmarks import bench_results, bench_strategies\n"
        "assert bench_results.Replayed().setup_cache() == {}\n"
        "for run in (\n"
        "    lambda: bench_results.Replayed().setup({}, 'none', 'real'),\n"
        "    lambda: bench_strategies.Strategies().setup('none', 'bulkfrag'),\n"
        "):\n"
        "    try:\n"
        "        run()\n"
        "    except NotImplementedError as error:\n"
        "        print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 3
