"""A single file as a plugin: found, named in messages, compiled once."""

from __future__ import annotations

import csv
import io
import re
import subprocess
import sys
from pathlib import Path
from textwrap import dedent
from uuid import uuid4

import pytest

from rmqueue.binding import BoundStrategy
from rmqueue.config import ZoneConfig
from rmqueue.errors import PluginError, UnknownNameError
from rmqueue.mm.jit import code_folder
from rmqueue.mm.strategy import strategy_digest
from rmqueue.plugin_file import module_name
from rmqueue.registry import Registry
from rmqueue.zone import Zone
from tests.unit.experiments import small_file

IDEA = """\
from rmqueue.hookspecs import hookimpl
from rmqueue.mm.fallback import rmqueue_steal
from rmqueue.mm.jit import jit
from rmqueue.types import Machine, Strategy


@jit
def fallback(zone, order, start_mt, flags, batch, st):
    return rmqueue_steal(zone, order, start_mt)


@hookimpl
def rmqueue_strategies():
    return [Strategy("my-idea", "Steals.", fallback)]


@hookimpl
def rmqueue_machines():
    return [Machine("my-machine", "Locks hurt.", {"lock": 1000})]
"""


def write(folder: Path, text: str, name: str = "my_idea.py") -> Path:
    path = folder / name
    path.write_text(dedent(text))
    return path


def test_every_hook_of_a_file_is_asked(tmp_path: Path) -> None:
    registry, path = Registry(), write(tmp_path, IDEA)
    entries = registry.add_file(path)
    assert {(e.kind, e.name) for e in entries} == {
        *(("strategy", "my-idea"), ("machine", "my-machine"))
    }
    assert registry.add_file(path) == entries == registry.of_files  # once is enough
    assert registry.machine("my-machine").weights_ps == {"lock": 1000}
    assert str(registry.find("strategy", "my-idea").provenance) == f"file {path}"
    zone = Zone(ZoneConfig(pages=512, pageblock_order=5), "my-idea", registry)
    assert zone.alloc() == 0
    assert zone.alloc(migratetype="movable") is not None
    zone.check()


def test_nothing_is_written_beside_it(tmp_path: Path) -> None:
    path = write(tmp_path, IDEA)
    Registry().add_file(path)
    assert list(tmp_path.iterdir()) == [path]


def test_an_edit_within_a_second_is_seen(tmp_path: Path) -> None:
    for name in ("idea-a", "idea-b"):
        path = write(tmp_path, IDEA.replace("my-idea", name))
        assert Registry().add_file(path)[0].name in (name, "my-machine")
        assert Registry().add_file(path)[1].name in (name, "my-machine")


def test_the_module_is_named_after_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = write(tmp_path, IDEA)
    assert module_name(path) == module_name(Path("my_idea.py"))
    assert module_name(path) != module_name(Path("other/my_idea.py"))


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("def f(:\n    pass\n", 1, "SyntaxError: invalid syntax"),
        ("x = 1\nimport not_installed\n", 2, "No module named 'not_installed'"),
        (
            "from rmqueue.mm.fallback import steal_blok\n",
            1,
            "cannot import name 'steal_blok' from 'rmqueue.mm.fallback': did you mean "
            "'steal_block'?",
        ),
        (
            "from rmqueue.mm.free_list import steal_block\n",
            1,
            "from 'rmqueue.mm.free_list': it is in rmqueue.mm.fallback",
        ),
        (
            "from rmqueue.mm.vmstat import MOVABLE\n",
            1,
            "from 'rmqueue.mm.vmstat': it is in rmqueue.mm.mmzone",
        ),
        (
            "\nfrom rmqueue.mm.falback import steal_block\n",
            2,
            "No module named 'rmqueue.mm.falback': did you mean 'rmqueue.mm.fallback'?",
        ),
        ("\n\nraise SystemExit(3)\n", 3, "SystemExit: 3"),
        ("x = (1 +\n", 1, "'(' was never closed"),
        ("def f():\n    return 1 / 0\n\nf()\n", 2, "ZeroDivisionError"),
        (IDEA.replace("@hookimpl\ndef rmqueue_s", "def rmqueue_s"), 12, "@hookimpl"),
        (
            IDEA.replace("rmqueue_strategies", "rmqueue_strategy"),
            12,
            "did you mean 'rmqueue_strategies'",
        ),
        (
            IDEA.replace("Strategy(", "Strateg("),
            14,
            "NameError: name 'Strateg' is not defined",
        ),
        (IDEA.replace('"my-idea"', '"My Idea"'), 0, "cannot name a strategy"),
        (IDEA.replace("return [Strategy", "return [] or [0 and Str"), 0, "list of"),
        (
            IDEA.replace('[Strategy("my-idea", "Steals.", fallback)]', "None"),
            12,
            "rmqueue_strategies must return a list of Strategy, found None: return "
            "one, in brackets",
        ),
        (
            IDEA.replace("return [Machine", "return (Machine").replace("})]", "}))"),
            17,
            "rmqueue_machines must return a list of Machine, found a Machine: put it "
            "in brackets",
        ),
        ("x = 1\n", 0, "there is no hook in it"),
        ("x = '\0'\n", 0, "null bytes"),
    ],
)
def test_a_broken_file_is_named_with_its_line(
    tmp_path: Path, text: str, line: int, words: str
) -> None:
    path, registry = write(tmp_path, text), Registry()
    with pytest.raises(PluginError) as raised:
        registry.add_file(path)
    place = f"{path}, line {line}: " if line else f"{path}: "
    assert str(raised.value).startswith(place)
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)
    assert registry.of_files == ()
    assert module_name(path) not in sys.modules or line in (0, 12, 14, 17)


def test_what_is_no_file(tmp_path: Path) -> None:
    for path, words in (
        (tmp_path, "Is a directory"),
        (tmp_path / "gone.py", "No such file"),
    ):
        with pytest.raises(PluginError, match=words):
            Registry().add_file(path)


def test_a_name_that_is_installed(tmp_path: Path) -> None:
    """Also one whose entry point is called otherwise, and is loaded late."""
    for name, point in (("greedy-steal", "greedy-steal"), ("capped-claim", "capped-")):
        path = write(tmp_path, IDEA.replace("my-idea", name))
        registry = Registry()
        registry.add_file(path)
        with pytest.raises(PluginError) as raised:
            registry.strategy(name)
        assert f"file {path}" in str(raised.value)
        assert "another name in the file, or block" in str(raised.value)
        assert point in str(raised.value)
    assert Registry(blocked=("capped-strategies",)).add_file(path)
    other = write(tmp_path, IDEA.replace("my-idea", name), "other.py")
    registry = Registry(points=())
    registry.add_file(path)
    registry.add_file(other)
    with pytest.raises(PluginError, match=r"call it by another name in the file$"):
        registry.strategy(name)


def test_an_unknown_name_is_still_unknown(tmp_path: Path) -> None:
    registry = Registry()
    registry.add_file(write(tmp_path, IDEA))
    with pytest.raises(UnknownNameError, match="did you mean 'my-idea'"):
        registry.strategy("my-ide")


def rmqueue(*arguments: object, status: int = 0) -> str:
    """Run the command in a process of its own; what it prints, wherever."""
    done = subprocess.run(
        [sys.executable, "-m", "rmqueue.cli", *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == status, done.stderr
    return done.stdout + done.stderr


def digest_of(path: Path) -> str:
    registry = Registry()
    registry.add_file(path)
    bound = BoundStrategy("my-idea", "7.3", registry)
    return strategy_digest(bound.strategy.fallback, bound.state.dtype)


def compiled(*digests: str) -> dict[Path, int]:
    """Compiled code of strategies, and when it was written."""
    folder = code_folder() / "strategies"
    found = [path for digest in digests for path in folder.rglob(f"*{digest}*")]
    return {path: path.stat().st_mtime_ns for path in found if path.is_file()}


@pytest.mark.slow
def test_commands_take_it_and_it_is_compiled_once(tmp_path: Path) -> None:
    path, small = write(tmp_path, IDEA, f"{uuid4().hex}.py"), small_file(tmp_path)
    compare = ("compare", small, "--plugin", path, "-q", "--strategies", "my-idea")
    assert "my-idea" in rmqueue(*compare)
    digest = digest_of(path)
    before = compiled(digest)
    assert before
    rmqueue(*compare)
    assert compiled(digest) == before
    path.write_text(IDEA.replace("return rmqueue_steal", "return 0 * rmqueue_steal"))
    rmqueue(*compare, status=3)  # page 0 is in use: the edit is seen
    edited = digest_of(path)
    assert edited != digest
    for file in compiled(digest, edited):
        file.unlink()


@pytest.mark.slow
def test_strategies_of_files_join_those_of_the_experiment(tmp_path: Path) -> None:
    path, small = write(tmp_path, IDEA), small_file(tmp_path)
    printed = rmqueue("compare", small, "--plugin", path, "-q", "--csv", "-")
    rows = list(csv.DictReader(io.StringIO(printed)))
    labels = [row["label"] for row in rows]
    assert list(dict.fromkeys(labels)) == ["greedy-steal", "now", "none", "my-idea"]
    listed = rmqueue("plugins", "--plugin", path)
    assert re.search(rf"^strategy +my-idea +file +{path} +Steals\.$", listed, re.M)
    broken = rmqueue("plugins", "--plugin", small, status=3)
    assert broken.startswith(f"rmqueue: {small}, line ")
    assert "SyntaxError: " in broken
