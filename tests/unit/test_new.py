"""``rmqueue new``: what it writes works; what it refuses leaves nothing behind."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path

import pytest

from rmqueue.errors import OutputError, UsageError
from rmqueue.new import KINDS, LONGEST, next_steps, write_plugin
from rmqueue.registry import Registry
from tests.meta.lint_templates import lint


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A distribution of each kind."""
    folder = tmp_path_factory.mktemp("new")
    return {what: write_plugin(what, f"a-{what}", folder / what) for what in KINDS}


@pytest.mark.parametrize("what", KINDS)
def test_everything_is_there(written: dict[str, Path], what: str) -> None:
    folder = written[what]
    files = {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}
    module = f"rmqueue_a_{what}"
    assert files == {
        *("README.md", "pyproject.toml", f"{module}.py", f"tests/test_a_{what}.py")
    }
    assert not any("$" in (folder / f).read_text() for f in files - {"README.md"})
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    assert project["name"] == f"rmqueue-a-{what}"
    assert project["entry-points"] == {"rmqueue": {f"a-{what}": module}}
    said = next_steps(what, f"a-{what}", folder)
    assert all(f"  {name}\n" in said for name in files)
    assert f"  rmqueue check a-{what}\n" in said
    assert f"  pip install -e '{folder}[test]'\n" in said


@pytest.mark.parametrize("what", KINDS)
def test_it_works_as_a_single_file_too(written: dict[str, Path], what: str) -> None:
    entries = Registry().add_file(written[what] / f"rmqueue_a_{what}.py")
    assert [(e.kind, e.name) for e in entries] == [(KINDS[what].kind, f"a-{what}")]


def test_the_strategy_is_short(written: dict[str, Path]) -> None:
    text = (written["strategy"] / "rmqueue_a_strategy.py").read_text()
    body = next(
        node.body
        for node in ast.parse(text).body
        if isinstance(node, ast.FunctionDef) and node.name == "fallback"
    )
    assert (body[-1].end_lineno or 0) - body[1].lineno + 1 <= 15  # body[0] documents


@pytest.mark.slow
def test_all_can_be_installed_and_pass_their_tests(
    written: dict[str, Path], tmp_path: Path
) -> None:
    pip = (sys.executable, "-m", "pip", "install", "--quiet", "--no-build-isolation")
    folders = map(str, written.values())
    options = ("--no-deps", "--no-index", "--target", str(tmp_path))
    subprocess.run([*pip, *options, *folders], check=True, capture_output=True)
    tests = [str(path) for folder in written.values() for path in folder.glob("tests")]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *tests],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert re.search(r"^3\d passed, 6 skipped", done.stdout, re.MULTILINE)


@pytest.mark.slow
@pytest.mark.skipif(
    not (find_spec("ruff") and find_spec("mypy")), reason="'make lint' does it"
)
def test_what_is_written_passes_the_linters(tmp_path: Path) -> None:
    assert lint(tmp_path) == []


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("My Idea", "my-idea"),
        ("my_idea", "my-idea"),
        ("my--idea", "my-idea"),
        ("2nd-idea", "nd-idea"),
        ("idea.py", "idea-py"),
        ("../idea", "idea"),
        ("x" * (LONGEST + 1), "x" * LONGEST),
        ("", ""),
        ("é", ""),
    ],
)
def test_names_that_cannot_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, near: str
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="use lower-case letters, digits and") as said:
        write_plugin("strategy", name)
    assert ("did you mean" in str(said.value)) == bool(near)
    assert repr(near) in str(said.value) or not near
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("what", "name", "words"),
    [
        ("strategy", "none", r"strategy 'none' is installed already, by rmqueue "),
        ("reader", "tracefs", r"trace reader 'tracefs' is installed already"),
        ("strategy", "plugins", r"a module rmqueue_plugins is installed already"),
    ],
)
def test_names_that_are_installed(
    tmp_path: Path, what: str, name: str, words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        write_plugin(what, name, tmp_path / "made")
    assert not list(tmp_path.iterdir())


def test_a_folder_that_exists(tmp_path: Path) -> None:
    file, link = tmp_path / "file", tmp_path / "link"
    file.touch()
    link.symlink_to(tmp_path / "nowhere")
    for folder in (tmp_path, file, link):
        with pytest.raises(OutputError, match="exists already"):
            write_plugin("strategy", "my-idea", folder)
    with pytest.raises(OutputError, match="cannot be made in"):
        write_plugin("strategy", "my-idea", tmp_path / "not" / "there")
    assert sorted(tmp_path.iterdir()) == [file, link]


def test_half_a_folder_is_never_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OutputError, match="made: cannot be written: No space left"):
        write_plugin("strategy", "my-idea", tmp_path / "made")
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_the_command(tmp_path: Path) -> None:
    def rmqueue(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "rmqueue.cli", *arguments]
        return subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, check=False
        )

    assert rmqueue("new", "machine", "lab").returncode == 0
    made = tmp_path / "rmqueue-lab" / "rmqueue_lab.py"
    done = rmqueue("check", "lab", "--plugin", str(made))
    assert done.returncode == 0
    assert done.stdout.count("  ok  ") == 3
    again = rmqueue("new", "machine", "lab")
    assert again.returncode == 1
    assert again.stderr.startswith("rmqueue: rmqueue-lab: exists already")
    made.write_text(made.read_text().replace('"lock"', '"lok"'))
    done = rmqueue("check", "--plugin", str(made))
    assert done.returncode == 3
    assert (
        "  FAILED   its costs are those of known counters\n    machine" in done.stdout
    )
    assert done.stderr == "rmqueue: machine 'lab': 1 of 3 checks failed\n"
