"""Studies on a Dask cluster of real processes, one of which is killed."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from rmqueue.errors import UsageError
from rmqueue.mm.jit import ENABLED
from rmqueue.registry import default_registry
from rmqueue.study import cluster_client, need
from rmqueue.study.cluster import MOST_STARTS, Crew, run_tasks
from rmqueue.study.cluster_client import check_address, client_of
from rmqueue.study.dataset import Place
from rmqueue.study.file import variants
from rmqueue.study.flight import ClusterError, Flight, Member
from rmqueue.study.identity import Used, differences, identity, used_by
from rmqueue.study.member import Terms, placed
from rmqueue.study.run import Wanted, run
from rmqueue.study.run_command import STOPPED
from rmqueue.study.schedule import Limits
from rmqueue.study.study import manifest_of
from rmqueue.study.task import Task, tasks_of
from rmqueue.study.work import Done
from tests.unit.processes import in_session
from tests.unit.test_study import DEADLY, SWEEP
from tests.unit.test_study_design import BASE, study
from tests.unit.test_study_files import figures

pytest.importorskip("distributed")
MIB = 1 << 20
jitted = pytest.mark.skipif(not ENABLED, reason="workers are jitted")


@pytest.fixture(scope="module")
def client() -> Iterator[Any]:
    """Two workers of one thread; the tests here share them."""
    with client_of("local:2", Limits(2, 1 << 40)) as found:
        yield found


@pytest.fixture
def address(client: Any) -> str:
    return str(client.scheduler.address)


def told(client: Any, tasks: list[Task], root: Path, limits: Limits) -> dict[str, Any]:
    """Run tasks, and return what was told."""
    Place(root).write_manifest(manifest_of("small", "", tasks, {}))
    found: dict[str, Any] = {}

    def tell(what: str, about: Any) -> None:
        found.setdefault(what, []).append(about)

    run_tasks(client, tasks, root, limits, tell)
    return found


@jitted
def test_a_cluster_keeps_what_one_machine_keeps(
    tmp_path: Path, address: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(study(tmp_path, SWEEP))
    run(Wanted(path, folder=tmp_path / "here", quiet=True, jobs=1))
    url = f"file://{tmp_path}/there"
    run(Wanted(path, folder=url, quiet=True, cluster=address))
    assert "8 of 8 runs done" in capsys.readouterr().out
    assert figures(tmp_path / "there") == figures(tmp_path / "here")
    wheres = {str(r.provenance["where"]["cpus"]) for r in Place(url).runs()}
    assert wheres == {str(os.cpu_count())}


@jitted
@pytest.mark.parametrize("name", ["deadly-once", "deadly-always"])
def test_a_worker_that_is_killed(
    tmp_path: Path, client: Any, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With kill -9, in the middle of a run."""
    monkeypatch.setattr("rmqueue.study.cluster.MOST_DEATHS", 2)
    mark = tmp_path / ("mark" if name == "deadly-once" else "no/folder/mark")
    plugin = tmp_path / f"{name.replace('-', '_')}.py"
    plugin.write_text(DEADLY.replace("MARK", str(mark)).replace("NAME", name))
    default_registry().add_file(plugin)
    base = BASE.replace('"mix"', f'"{name}"')
    tasks = tasks_of(variants(study(tmp_path, SWEEP, base)))
    found = told(client, tasks, tmp_path / "there", Limits(2, 1 << 40, (plugin,)))
    dones: list[Done] = found["done"]
    assert sorted(d.key for d in dones) == sorted(task.key for task in tasks)
    deaths = [words for words in found["note"] if "has died: its " in words]
    assert all(words in deaths or "waiting for one" in words for words in found["note"])
    failed = {done.key for done in dones if done.failed}
    if name == "deadly-once":
        assert not failed
        told_here = Wanted(str(tmp_path / "small.toml"), quiet=True, jobs=1)
        run(replace(told_here, folder=tmp_path / "here"))
        assert figures(tmp_path / "there") == figures(tmp_path / "here")
        return
    deadly = {t.key for t in tasks if t.seed == 2 and "2048" in t.point}
    assert failed == deadly
    assert len(deaths) >= len(deadly)
    words = [done.words for done in dones if done.failed]
    assert all("its worker died, 2 times, the last" in w for w in words)
    assert Place(tmp_path / "there").keys() == {t.key for t in tasks} - deadly


@jitted
def test_plugin_files_are_sent(tmp_path: Path, client: Any) -> None:
    """And a changed file takes the place of the old one, in the same workers."""
    for operations in (5, 7):
        folder = tmp_path / str(operations)
        folder.mkdir()
        plugin = folder / "calm.py"
        text = DEADLY.replace("kill_once(Path", "len(str").replace("NAME", "calm")
        plugin.write_text(text.replace("range(9)", f"range({operations})"))
        default_registry.cache_clear()
        default_registry().add_file(plugin)
        base = BASE.replace('"mix"', '"calm"')
        tasks = tasks_of(variants(study(folder, "", base)))
        found = told(client, tasks, folder / "kept", Limits(2, 1 << 40, (plugin,)))
        assert not any(done.failed for done in found["done"])
        runs = list(Place(folder / "kept").runs())
        assert {r.row.total.ops for r in runs} == {operations}
    default_registry.cache_clear()


def test_a_plugin_file_where_there_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RMQUEUE_CACHE_DIR", str(tmp_path / "cache"))
    here = tmp_path / "mine.py"
    here.write_bytes(b"a = 1\n")
    assert placed(here, b"a = 1\n") == here
    copy = placed(here, b"a = 2\n")
    assert copy.is_relative_to(tmp_path / "cache")
    assert (copy.name, copy.read_bytes()) == ("mine.py", b"a = 2\n")
    assert placed(tmp_path / "no" / "mine.py", b"a = 2\n") == copy


@jitted
def test_a_worker_that_differs(
    tmp_path: Path, client: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    tasks = tasks_of(variants(study(tmp_path)))
    other = {**identity(used_by(tasks)), "numba": "0.1", "strategy capped-claim": "odd"}
    monkeypatch.setattr("rmqueue.study.cluster.identity", lambda used: other)
    with pytest.raises(ClusterError) as caught:
        told(client, tasks, tmp_path / "kept", Limits(2, 1 << 40))
    message = str(caught.value)
    assert re.match(r"worker tcp://127\.0\.0\.1:\d+ would give other ", message)
    assert re.search(r"numba is \d\S+, and 0\.1 here", message)
    assert re.search(r"strategy capped-claim is rmqueue .*, and odd here", message)
    assert Place(tmp_path / "kept").keys() == set()


@jitted
def test_a_place_that_workers_do_not_see(tmp_path: Path, address: str) -> None:
    path = str(study(tmp_path))
    with pytest.raises(ClusterError, match=r"does not see the study at memory://one"):
        run(Wanted(path, folder="memory://one", quiet=True, cluster=address))


def test_what_differs_is_said() -> None:
    used = Used((("strategy", "capped-claim"), ("machine", "generic")), ("no/where",))
    mine = identity(used)
    assert set(mine) == {
        *("Python", "numpy", "numba", "rmqueue", "strategy capped-claim"),
        *("machine generic", "recording no/where"),
    }
    assert mine["recording no/where"] == "missing"
    assert differences(mine, dict(mine)) == []
    assert differences(mine, {**mine, "numpy": "1.0"}) == [
        f"numpy is 1.0, and {mine['numpy']} here"
    ]


# Who gets what -----------------------------------------------------------------------


class NoClient:
    """Takes what is sent."""

    status = "running"

    def submit(self, *_: Any, **__: Any) -> NoClient:
        return self

    def add_done_callback(self, callback: Any) -> None:
        pass

    def release(self) -> None:
        pass


def crew(tasks: list[Task], rooms: list[int], limits: Limits) -> tuple[Crew, list[Any]]:
    """Return workers of two threads with this room, without processes."""
    events: list[Any] = []
    terms = Terms(Used((), ()), (), Path(), "")
    found = Crew(NoClient(), terms, limits, lambda *event: events.append(event))
    for number, room in enumerate(rooms):
        name = f"tcp://{number}:1"
        found.members[name] = Member(name, 2, 0, room * MIB)
    found._waiting.extend(tasks)
    return found, events


def sized(folder: Path, *sizes: int) -> list[Task]:
    task = tasks_of(variants(study(folder)))[0]
    return [
        replace(task, key=f"{n}", need_bytes=size * MIB) for n, size in enumerate(sizes)
    ]


def handed(found: Crew) -> list[tuple[str, str]]:
    found._hand_out()
    flights = found.flights.values()
    return [(f.task.key, f.member.address[6]) for f in flights if f.task]


def test_memory_is_never_overcommitted(tmp_path: Path) -> None:
    tasks = sized(tmp_path, 60, 60, 30, 30)
    found, _ = crew(tasks, [100, 50], Limits(9, 1 << 40))
    assert handed(found) == [("0", "0"), ("2", "1")]  # 1 waits for worker 0
    found, _ = crew(tasks, [100, 100], Limits(9, 100 * MIB))
    assert handed(found) == [("0", "0")]  # all together: no more than 100
    found, _ = crew(tasks, [1000, 1000], Limits(3, 1 << 40))
    assert [key for key, _ in handed(found)] == ["0", "1", "2"]


def test_a_run_that_no_worker_has_room_for(tmp_path: Path) -> None:
    found, events = crew(sized(tmp_path, 900), [100, 50], Limits(9, 1 << 40))
    assert handed(found) == []
    ((what, done),) = events
    assert (what, done.failed) == ("done", True)
    assert done.words == (
        "it needs about 900 MiB, and no worker has more than 100 MiB for runs"
    )


def test_who_has_not_begun_is_not_to_blame(tmp_path: Path) -> None:
    found, events = crew(sized(tmp_path, 1, 1), [100], Limits(9, 1 << 40))
    handed(found)
    first, second = found.flights.values()
    first.begun = 1.0
    found._lose(first.member.address)
    assert found.deaths == {"0": 1, "1": 0}
    assert [task.key for task in found._waiting] == ["0", "1"]
    assert events == [("note", "worker tcp://0:1 has died: its 2 runs are done again")]
    found._again(Flight(second.member, NoClient(), second.task), to_blame=False)
    assert found.deaths["1"] == 0


def test_workers_that_never_live_to_begin(tmp_path: Path) -> None:
    found, _ = crew([], [], Limits(9, 1 << 40))
    with pytest.raises(ClusterError, match="died while loading rmqueue"):  # noqa: PT012
        for port in range(MOST_STARTS):
            member = Member(f"tcp://0:{port}", 1, 0)
            found.members[member.address] = member
            found._send(member, None)
            found._lose(member.address)


# The command line --------------------------------------------------------------------


@pytest.mark.parametrize("address", ["local:0", "local", "8786", "here"])
def test_what_is_no_cluster(address: str) -> None:
    with pytest.raises(UsageError, match="write tcp://HOST:PORT"):
        check_address(address)


def test_without_dask(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(need, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"needs distributed: .*rmqueue\[cluster\]"):
        check_address("local:2")


def test_nobody_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_client, "ANSWER_SECONDS", 0.3)
    wanted = Wanted(
        str(study(tmp_path)), folder=tmp_path / "kept", cluster="tcp://127.0.0.1:9"
    )
    with pytest.raises(ClusterError, match=r"tcp://127\.0\.0\.1:9: no scheduler"):
        run(wanted)


@jitted
def test_ctrl_c_leaves_nobody_behind(tmp_path: Path) -> None:
    path = study(tmp_path, "", BASE.replace("= 2000", "= 50_000_000"))
    words = [sys.executable, "-m", "rmqueue.cli", "run", str(path), "-q"]
    command = subprocess.Popen(
        [*words, "--memory", "20", "--cluster", "local:2"],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        while len(in_session(command.pid)) < 3:
            assert command.poll() is None
            time.sleep(0.05)
        time.sleep(1)
        os.killpg(command.pid, signal.SIGINT)  # as a terminal does
        _, said = command.communicate(timeout=60)
        end = time.monotonic() + 30
        while in_session(command.pid) and time.monotonic() < end:
            time.sleep(0.05)  # what watches over shared memory ends by itself
    finally:
        left = in_session(command.pid)
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        command.wait()
    assert (said, command.returncode) == (f"rmqueue: {STOPPED}\n", 130)
    assert left == []
