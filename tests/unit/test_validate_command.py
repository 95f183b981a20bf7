"""``rmqueue validate``: its text, its JSON, and what it refuses."""

from __future__ import annotations

import json
import lzma
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from rmqueue.cli import app
from rmqueue.errors import RmqueueError, TraceError, UsageError
from rmqueue.registry import default_registry
from rmqueue.validate import find_evidence, strategies_for
from rmqueue_plugins.readers.evidence import read_evidence
from rmqueue_plugins.readers.files import read_text
from tests.unit.closed_loop import Machine
from tests.unit.recordings import alloc, free

REPORT = """\
double: Linux 6.12.117, 325 events in 0.0 s, 2 CPUs, zones Normal
its strategy is remembered-fallback, its kernel profile 6.14

                            remembered-
                            fallback on
                                   6.14
---------------------------------------
pages predicted exactly             117
of                                  117
[%]                             100.000
first miss [line]                     -
batches without a miss            76/76
fallbacks / recorded              30/30
claims / recorded                   1/1
drains to another type                0
end: lists equal in order         13/13
end: blocks missing                   0
end: blocks extra                     0
end: pageblock types wrong            0

                                                 recorded  remembered-
                                                           fallback on
                                                                  6.14
----------------------------------------------------------------------
movable from unmovable, order 4 of 4, steal             1            1
movable from unmovable, order 4 of 5, steal             1            1
reclaimable from unmovable, order 4 of 7, claim         1            1
reclaimable from unmovable, order 3 of 3, steal         2            2
reclaimable from unmovable, order 4 of 4, steal        14           14
reclaimable from unmovable, order 5 of 5, steal         3            3
reclaimable from movable, order 4 of 4, steal           8            8

                              kernel
                                6.14
------------------------------------
refills of exactly the size      7/7
frees explained                44/44
[%]                          100.000
of those that drained            7/7
hidden flags turned                0
"""

END = {"lists": 13, "equal": 13, "missing": 0, "extra": 0, "types": 0}


def invoke(*arguments: object) -> Any:
    return CliRunner().invoke(app, ["validate", *map(str, arguments), "--quiet"])


def run(*arguments: object) -> str:
    """Standard output of a validation that must succeed."""
    result = invoke(*arguments)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return str(result.output)


def made(folder: Path, kernel: str = "6.12.117", count: int = 12) -> Path:
    """Record a little work of a kernel."""
    _, take = Machine(kernel, seed=1).worked(count)
    return take.write(folder)


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    return made(tmp_path / "recording")


def test_report(recording: Path) -> None:
    assert run(recording).startswith(REPORT)


def test_a_line_for_each_recording(recording: Path, tmp_path: Path) -> None:
    other = made(tmp_path / "other", "7.3.4")
    about = json.loads((other / "recording.json").read_text())
    (other / "recording.json").write_text(json.dumps({**about, "name": "late"}))
    lines = run(recording, other, "--strict").splitlines()
    rows = [line.split() for line in lines[-2:]]
    figures = ["117", "117", "100.000", "30/30", "1/1", "13/13", "7/7", "100.000", "0"]
    assert rows == [
        ["double", "remembered-fallback", *figures],
        ["late", "tight-fallback", *figures],
    ]


def test_strategies_have_a_column_each(recording: Path) -> None:
    words = run(recording, "--strategy", "all")
    (row,) = (line for line in words.splitlines() if line.startswith("pages predicted"))
    names = default_registry().names("strategy")
    assert row.split()[3] == "117"
    assert len(row.split()) == 3 + len(names)
    assert "remembered-fallback explains it best, as it should" in words
    words = run(recording, "--strategy", "claim-whole-block, remembered-fallback")
    (row,) = (line for line in words.splitlines() if line.startswith("pages predicted"))
    assert [int(cell) < 117 for cell in row.split()[3:]] == [True, False]
    assert "missed: another list" in words


def test_own_strategy_comes_first(recording: Path) -> None:
    evidence, registry = read_evidence(recording), default_registry()
    assert strategies_for(evidence, None, registry) == ("remembered-fallback",)
    first, *others = strategies_for(evidence, "all", registry)
    assert first == "remembered-fallback"
    assert sorted(others) == others
    assert {first, *others} == set(registry.names("strategy"))


def test_json(recording: Path, tmp_path: Path) -> None:
    path = tmp_path / "found.json"
    assert run(recording, "--strict", "--json", path) != ""
    (found,) = json.loads(path.read_text())
    assert json.loads(run(recording, "--strict", "--json", "-")) == [found]
    assert found["recording"] == "double"
    assert (found["kernel"], found["own_strategy"]) == (
        "6.12.117",
        "remembered-fallback",
    )
    assert found["events"] == 325
    assert [column["strict"] for column in found["columns"]] == [False, True]
    for column in found["columns"]:
        assert (column["pages"], column["exact"]) == (117, 117)
        assert column["end"] == END
        assert sum(row["recorded"] for row in column["fallbacks"]) == 30
        assert all(row["recorded"] == row["predicted"] for row in column["fallbacks"])
    lists = found["per_cpu_lists"]
    assert (lists["refills"], lists["exact_refills"]) == (7, 7)
    assert lists["notes"]["explained"] == lists["frees"] == 44


def test_without_an_end(recording: Path) -> None:
    (recording / "state-end.json.xz").unlink()
    words = run(recording)
    assert "the end state is not recorded" in words
    assert "end: lists" not in words
    assert "117" in words


def test_without_per_cpu_lists(recording: Path) -> None:
    path = recording / "state-start.json.xz"
    state = json.loads(lzma.decompress(path.read_bytes()))
    state["zones"][0]["pcp"] = []
    path.write_bytes(lzma.compress(json.dumps(state).encode()))
    words = run(recording)
    assert "refills of exactly" not in words
    assert "pages predicted exactly             117" in words


def test_pages_on_a_list_that_the_kernel_has_not(recording: Path) -> None:
    path = recording / "state-start.json.xz"
    state = json.loads(lzma.decompress(path.read_bytes()))
    state["zones"][0]["pcp"][1]["lists"]["14"] = [777]
    path.write_bytes(lzma.compress(json.dumps(state).encode()))
    with pytest.raises(TraceError, match="CPU 1 has pages on per-CPU list 14"):
        run(recording)


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ("clam", "no strategy is called 'clam'"),
        ("remembered-fallback,clam", "no strategy is called 'clam'"),
        (" , ", "give a name"),
        ("", "give a name"),
    ],
)
def test_strategies_that_do_not_exist(recording: Path, names: str, words: str) -> None:
    result = invoke(recording, "--strategy", names)
    assert isinstance(result.exception, UsageError)
    assert words in str(result.exception)
    assert result.exception.exit_status == 2


def test_a_bare_trace_has_no_state(tmp_path: Path) -> None:
    path = tmp_path / "trace.txt"
    path.write_text("# tracer: nop\n" + alloc(5) + free(5))
    with pytest.raises(UsageError, match="has no state to begin from") as caught:
        run(path)
    assert "recording folder" in str(caught.value)


def test_the_last_recording_is_looked_for_before_the_first_is_followed(
    recording: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rmqueue.validate.validate", pytest.fail)
    with pytest.raises(RmqueueError, match="no such file"):
        run(recording, tmp_path / "nothing")


def test_what_is_refused_is_said(recording: Path, tmp_path: Path) -> None:
    with pytest.raises(RmqueueError, match="no such file"):
        run(tmp_path / "nothing")
    with pytest.raises(RmqueueError, match="cannot be written"):
        run(recording, "--json", tmp_path / "nowhere" / "found.json")
    (recording / "pages-start.npz").unlink()
    with pytest.raises(TraceError, match=r"no pages-start\.npz"):
        run(recording)


def test_damaged_files_end_in_words(recording: Path) -> None:
    for name in ("state-end.json.xz", "state-start.json.xz", "trace.txt"):
        path = recording / name
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
        with pytest.raises(TraceError, match=name.partition(".")[0]):
            run(recording)
        path.write_bytes(whole)
    assert "117" in run(recording)


# The reader ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kernel", "strategy", "profile"),
    [
        ("6.1.192", "greedy-steal", "6.1"),
        ("6.9.12", "greedy-steal", "6.8"),
        ("6.10.14", "claim-whole-block", "6.14"),
        ("6.12.117", "remembered-fallback", "6.14"),
        ("6.18.15", "remembered-fallback", "6.18"),
        ("7.3.4", "tight-fallback", "7.3"),
    ],
)
def test_what_a_kernel_is(
    kernel: str, strategy: str, profile: str, tmp_path: Path
) -> None:
    evidence = read_evidence(made(tmp_path / "recording", kernel, 2))
    assert (evidence.strategy, evidence.start[0].kernel) == (strategy, profile)
    assert evidence.kernel == kernel
    assert evidence.version == tuple(int(part) for part in kernel.split(".")[:2])


def test_evidence_is_the_window(recording: Path) -> None:
    evidence = find_evidence(str(recording), default_registry())
    lines = (recording / "trace.txt").read_text().splitlines()
    # without the comment and the two marks
    assert len(evidence.events) == len(lines) - 3
    assert evidence.name == "double"
    (start,), (end,) = evidence.start, evidence.end
    assert (start.name, start.start_pfn, start.pages) == ("Normal", 512, 4096)
    assert len(end.lru) == 0
    assert len(start.lru) > 0
    assert end.free_lists.keys() == start.free_lists.keys()


def test_a_part_of_a_recording_has_no_end(recording: Path) -> None:
    path = recording / "recording.json"
    about = json.loads(path.read_text())
    about["window"] = {"of": "whole", "lines": 327}
    path.write_text(json.dumps(about))
    evidence = read_evidence(recording)
    assert evidence.end == ()
    assert evidence.notes == ("a window: the first 327 lines of whole",)


def with_cpu_list(recording: Path, pfns: list[int]) -> Path:
    """Put pages on the first CPU's list of single unmovable pages."""
    path = recording / "state-start.json.xz"
    state = json.loads(lzma.decompress(path.read_bytes()))
    state["zones"][0]["pcp"][0]["lists"]["0"] = pfns
    path.write_bytes(lzma.compress(json.dumps(state).encode()))
    return recording


@pytest.mark.parametrize(
    ("pfns", "says"),
    [
        ([10**9], "outside the zone or not aligned"),
        ([700, 700], "on two per-CPU lists"),
    ],
)
def test_pages_on_a_list_that_cannot_be_there(
    recording: Path, pfns: list[int], says: str
) -> None:
    """They would be written to memory that is not ours, or be walked for ever."""
    with pytest.raises(TraceError, match=says):
        read_evidence(with_cpu_list(recording, pfns))


def test_marks_in_the_wrong_order(recording: Path) -> None:
    path = next(recording.glob("trace.txt*"))
    text = read_text(path).decode()
    for mark in ("start", "end"):
        text = text.replace(f"RMQ SNAP_{mark}", f"RMQ was_{mark}")
    text = text.replace("RMQ was_start", "RMQ SNAP_end")
    text = text.replace("RMQ was_end", "RMQ SNAP_start")
    path.unlink()
    (recording / "trace.txt").write_text(text)
    with pytest.raises(TraceError, match="no event between"):
        read_evidence(recording)
