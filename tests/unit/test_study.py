"""Studies that are run and kept: nothing is lost, nothing is done twice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from dataclasses import asdict, replace
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import numpy as np
import pyarrow.dataset as pads
import pytest

from rmqueue.errors import ConfigError, OutputError, UsageError
from rmqueue.experiment import Experiment
from rmqueue.export import as_json
from rmqueue.mm.jit import ENABLED
from rmqueue.registry import Registry
from rmqueue.report import text
from rmqueue.results import Comparison
from rmqueue.study.dataset import Place
from rmqueue.study.file import variants
from rmqueue.study.run import Wanted, run
from rmqueue.study.schedule import Batch, Limits, Pool, batches, run_tasks
from rmqueue.study.study import read_study
from rmqueue.study.task import Task, tasks_of
from rmqueue.study.work import Done, work
from tests.unit.test_study_design import BASE, study

SWEEP = '[[sweep]]\nover = { "zone.pages" = [2048, 4096] }\n[keep]\nsamples = 4\n'


def kept(folder: Path, more: str = "", **wanted: Any) -> Path:
    """Run a study and say where it is kept."""
    path, out = study(folder, more), folder / "kept"
    run(Wanted(str(path), folder=out, quiet=True, **wanted))
    return out


def timeless(values: Any) -> Any:
    """Values without times, which differ from run to run."""
    if isinstance(values, dict):
        kept = {k: v for k, v in values.items() if k not in ("seconds", "where")}
        return {k: timeless(v) for k, v in kept.items()}
    return [timeless(v) for v in values] if isinstance(values, list) else values


def words_of(table: Comparison) -> list[list[str]]:
    """Words of a printed table, but for its times and the widths that they make."""
    lines = [line for line in text(table).splitlines() if "[ms/million" not in line]
    return [line.split() for line in lines if not line.startswith("---")]


def test_what_is_kept_is_what_compare_prints(tmp_path: Path) -> None:
    found = read_study(kept(tmp_path, jobs=1))
    assert list(found.comparisons) == [("small", "")]
    table = found.comparisons[("small", "")]
    compared = Experiment.load(tmp_path / "small.toml").compare()
    assert timeless(json.loads(as_json(table))) == timeless(
        json.loads(as_json(compared))
    )
    numbers = [words_of(one) for one in (table, compared)]
    assert numbers[0] == numbers[1]
    assert (found.missing, found.failed) == (0, {})


def test_a_run_comes_back_as_it_was(tmp_path: Path) -> None:
    task = tasks_of(variants(study(tmp_path, SWEEP)))[0]
    place = Place(tmp_path / "kept")
    assert not work(task, place.root).failed
    (one,) = place.runs()
    again = Place(tmp_path / "again")
    again.write(one)
    (two,) = again.runs()
    assert asdict(two.row) == asdict(one.row)
    assert np.array_equal(two.histogram, one.histogram)
    assert [vars(s) for s in two.samples] == [vars(s) for s in one.samples]
    assert two.point == one.point == {"zone.pages": 2048}
    assert two.provenance == one.provenance
    assert one.row.total.holds.count == one.histogram.sum()
    assert [sample.done for sample in one.samples] == pytest.approx(
        [0.25, 0.5, 0.75, 1]
    )
    assert one.provenance["where"]["cpus"] == os.cpu_count()


def test_points_have_tables_of_their_own(tmp_path: Path) -> None:
    more = SWEEP + '[[sweep]]\nover = { "strategies.capped.params.batches" = [1, 2] }\n'
    found = read_study(kept(tmp_path, more, jobs=2))
    assert len(found.runs) == 2 * (2 + 2 * 2)
    assert len(found.comparisons) == 4
    for (name, point), table in found.comparisons.items():
        assert name == "small"
        assert "zone.pages = " in point
        assert Counter(row.label for row in table.rows) == {
            "remembered-fallback": 2,
            "capped": 2,
        }


def test_it_is_open_to_others(tmp_path: Path) -> None:
    """As it lies, by the columns of its partitions."""
    found = pads.dataset(
        kept(tmp_path, SWEEP, jobs=1), partitioning="hive", exclude_invalid_files=True
    ).to_table(columns=["experiment", "strategy", "seed", "zone.pages", "work_lock"])
    rows = found.to_pylist()
    assert len(rows) == 8
    assert {row["strategy"] for row in rows} == {"remembered-fallback", "capped"}
    assert {row["zone.pages"] for row in rows} == {2048.0, 4096.0}
    assert all(row["work_lock"] > 0 for row in rows)


def test_resume_runs_what_is_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = kept(tmp_path, jobs=1)
    with pytest.raises(UsageError, match="is kept there already: --resume"):
        kept(tmp_path)
    files = Place(folder).files()
    times = {path: path.stat().st_mtime_ns for path in files[1:]}
    files[0].unlink()
    capsys.readouterr()
    kept(tmp_path, resume=True, dry_run=True)
    planned = capsys.readouterr().out.splitlines()
    assert planned[-2:] == [
        f"1 of 4 runs, to be kept in {folder}",
        "3 are there already",
    ]
    assert not files[0].exists()
    kept(tmp_path, resume=True)
    assert "1 of 4 runs done, 3 were there" in capsys.readouterr().out
    assert files[0].exists()
    assert {path: path.stat().st_mtime_ns for path in files[1:]} == times


def test_a_run_that_fails_is_said_and_tried_again(tmp_path: Path) -> None:
    base = BASE.replace('"mix"', '"moody"')
    plugin = tmp_path / "moody.py"
    plugin.write_text(
        "from pathlib import Path\n"
        "from rmqueue.hookspecs import hookimpl\n"
        "from rmqueue.types import NoParameters, Workload\n"
        "from pydantic import create_model\n\n"
        "MODEL = create_model('M', __base__=NoParameters, operations=(int, 1))\n\n"
        "def build(zone, params, seed):\n"
        f"    if seed == 2 and not Path({str(tmp_path / 'well')!r}).exists():\n"
        "        raise OSError('bad mood')\n"
        "    return [(1, 0, slot, 0) for slot in range(params.operations)]\n\n"
        "@hookimpl\ndef rmqueue_workloads():\n"
        "    return [Workload('moody', 'Fails.', MODEL, build)]\n"
    )
    path = study(tmp_path, base=base)
    words = [
        *(sys.executable, "-m", "rmqueue.cli", "run", str(path), "-o", "kept"),
        *("--plugin", str(plugin), "--quiet"),
    ]
    first = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True)
    assert first.returncode == 1
    assert first.stdout == "2 of 4 runs done: kept in kept\n"
    lines = first.stderr.splitlines()
    assert lines[-1] == "rmqueue: 2 of 4 runs failed; --resume tries again"
    failure = "small: capped, seed 2: workload 'moody' failed: OSError: bad mood"
    assert f"rmqueue: {failure}" in lines
    found = read_study(tmp_path / "kept")
    assert (len(found.runs), found.missing, len(found.failed)) == (2, 2, 2)
    (tmp_path / "well").touch()
    again = subprocess.run(
        [*words, "--resume"], cwd=tmp_path, capture_output=True, text=True
    )
    assert (again.returncode, again.stderr) == (0, "")
    found = read_study(tmp_path / "kept")
    assert (len(found.runs), found.missing, found.failed) == (4, 0, {})


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    folder = kept(tmp_path, jobs=1)
    path = Place(folder).files()[0]
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(OutputError, match="remove it, and run the study again"):
        read_study(folder)


def test_a_damaged_run_is_run_again(tmp_path: Path) -> None:
    folder = kept(tmp_path, jobs=1)
    first, second, *_ = Place(folder).files()
    whole = first.read_bytes()
    first.write_bytes(whole[:-20])
    second.write_bytes(b"")
    kept(tmp_path, jobs=1, resume=True)
    assert read_study(folder).missing == 0
    assert len(first.read_bytes()) > len(whole) // 2


def test_runs_of_another_request_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    kept(tmp_path, SWEEP)
    assert "does not ask for" not in capsys.readouterr().out
    kept(tmp_path, resume=True)
    assert "8 runs that the study does not ask for lie there" in capsys.readouterr().out


def test_one_bracket_too_few(tmp_path: Path) -> None:
    text = SWEEP.replace("[[sweep]]", "[sweep]")
    with pytest.raises(ConfigError, match=r"write \[\[sweep\]\]"):
        kept(tmp_path, text)


def test_what_is_no_study(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no study is kept there"):
        read_study(tmp_path)
    (tmp_path / "study.json").write_text("{")
    with pytest.raises(UsageError, match=r"study\.json: cannot be read"):
        read_study(tmp_path)


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("")
    with pytest.raises(OutputError, match="cannot be made"):
        kept(tmp_path)


def test_compare_sends_a_study_to_run(tmp_path: Path) -> None:
    path = study(tmp_path, SWEEP)
    with pytest.raises(UsageError, match=f"rmqueue run {path}"):
        Experiment.load(path)
    words = "^batch-size: is a study: rmqueue run batch-size$"
    with pytest.raises(UsageError, match=words):
        Experiment.load("batch-size")


# The schedule ------------------------------------------------------------------------


def tasks(folder: Path, more: str = SWEEP) -> list[Task]:
    return tasks_of(variants(study(folder, more)))


def test_seeds_share_a_process_and_zones_do_not(tmp_path: Path) -> None:
    one = tasks(tmp_path, "")
    processes, parts = batches(one, Limits(4, 1 << 40))
    assert processes == 0  # threads of this process
    assert all(part.threads == 4 for part in parts)
    processes, parts = batches(tasks(tmp_path), Limits(2, 1 << 40))
    assert processes == 2
    assert all(part.threads == 1 for part in parts)
    assert all(len({task.config for task in part.tasks}) == 1 for part in parts)


def test_memory_is_never_overcommitted(tmp_path: Path) -> None:
    need = tasks(tmp_path, "")[0].need_bytes
    _, parts = batches(tasks(tmp_path, ""), Limits(4, need * 2))
    assert all(part.threads == 2 for part in parts)
    assert all(part.need_bytes <= need * 2 for part in parts)
    _, parts = batches(tasks(tmp_path, ""), Limits(4, need // 2))
    assert all(part.threads == 1 for part in parts)  # too large: alone


def test_a_batch_waits_for_memory(tmp_path: Path) -> None:
    task = replace(tasks(tmp_path)[0], need_bytes=600)
    pool = Pool(3, tmp_path, Limits(3, 1000), lambda what, about: None)
    assert pool._fits(Batch([replace(task, need_bytes=9000)], 1))
    pool.running[None] = Batch([task], 1)  # type: ignore[index]
    assert not pool._fits(Batch([task], 1))
    assert pool._fits(Batch([replace(task, need_bytes=400)], 1))


def test_suspects_run_alone(tmp_path: Path) -> None:
    """What a process's death may be the fault of is tried again with none beside it."""
    first, second, third, fourth = tasks(tmp_path)[:4]
    told: list[tuple[str, Any]] = []
    pool = Pool(2, tmp_path, Limits(2, 1000), lambda *event: told.append(event))
    pool.running[None] = Batch([first, second, third], 1)  # type: ignore[index]
    events: SimpleQueue[tuple[str, Any]] = SimpleQueue()
    for event in (
        ("begin", first.key),
        ("begin", second.key),
        ("done", Done(first.key, "")),
    ):
        events.put(event)
    suspect, rest = pool._left(events)
    assert (suspect.tasks, suspect.suspect) == ([second], True)
    assert (rest.tasks, rest.suspect) == ([third], False)
    pool.running[None] = rest  # type: ignore[index]
    assert not pool._fits(suspect)
    pool.running[None] = suspect  # type: ignore[index]
    assert not pool._fits(Batch([fourth], 1))
    assert list(pool._left(events)) == []
    assert told[-1][1].key == second.key
    assert told[-1][1].failed
    # nothing had begun: all are suspects, so that it ends
    pool.running[None] = Batch([third, fourth], 1)  # type: ignore[index]
    assert [part.suspect for part in pool._left(events)] == [True, True]


def kill_once(path: Path) -> None:
    """Die like a process that the system kills; only the first time."""
    if not path.exists():
        if path.parent.exists():
            path.touch()
        os.kill(os.getpid(), signal.SIGKILL)


DEADLY = """\
from pathlib import Path

from pydantic import create_model

from rmqueue.hookspecs import hookimpl
from rmqueue.types import NoParameters, Workload
from tests.unit.test_study import kill_once

MODEL = create_model("M", __base__=NoParameters, operations=(int, 1))


def build(zone, params, seed):
    if zone.pages == 2048 and seed == 2:
        kill_once(Path("MARK"))
    return [(1, 0, slot, 0) for slot in range(9)]


@hookimpl
def rmqueue_workloads():
    return [Workload("NAME", "Kills.", MODEL, build)]
"""


@pytest.mark.skipif(not ENABLED, reason="workers are jitted")
@pytest.mark.parametrize("name", ["deadly-once", "deadly-always"])
def test_a_worker_that_is_killed(
    tmp_path: Path, name: str, own_registry: Registry
) -> None:
    """Its runs are done by another one; if that dies too, they are given up."""
    mark = tmp_path / ("mark" if name == "deadly-once" else "no/folder/mark")
    plugin = tmp_path / "deadly.py"
    plugin.write_text(DEADLY.replace("MARK", str(mark)).replace("NAME", name))
    own_registry.add_file(plugin)
    wanted = tasks_of(
        variants(study(tmp_path, SWEEP, BASE.replace('"mix"', f'"{name}"')))
    )
    dones: list[Done] = []
    run_tasks(
        wanted,
        tmp_path / "kept",
        Limits(2, 1 << 40, (plugin,)),
        lambda what, about: dones.append(about) if what == "done" else None,
    )
    assert {done.key for done in dones} == {task.key for task in wanted}
    failed = [done for done in dones if done.failed]
    assert all("was killed twice" in done.words for done in failed)
    guilty = {
        task.key
        for task in wanted
        if task.seed == 2 and json.loads(task.point)["zone.pages"] == 2048
    }
    assert {done.key for done in failed} == (guilty if "always" in name else set())
    assert Place(tmp_path / "kept").keys() == {task.key for task in wanted} - {
        done.key for done in failed
    }
