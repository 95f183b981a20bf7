"""What is tracked, and what a wheel and an sdist hold."""

from __future__ import annotations

import configparser
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from tests.meta.sources import OURS, ROOT, shown, tracked_files

MIB = 1 << 20
PROJECT: dict[str, Any] = tomllib.loads(
    (ROOT / "pyproject.toml").read_text(encoding="utf-8")
)
#: Hosts of package indexes, and folders of somebody's machine; in pieces, so that this
#: file does not find itself.
#: In pieces, or this file would hold them itself.
NAMES = ("py" + "pi", "python" + "hosted", "ana" + "conda", "dev" + "pi")
HOSTS = re.compile(rf"({'|'.join(NAMES)})\.(org|com)|index[-_]url")
FOLDERS = re.compile(r"(?<![\w.~$})-])/(work|root|home|Users|tmp|opt|mnt|data)/[\w.-]+")
#: Paths that exist on every Linux, or that a text only makes up.
GENERIC = ("/tmp/rmqueue",)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with a wheel and an sdist."""
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-d", str(folder)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    return folder


def wheel_of(folder: Path) -> zipfile.ZipFile:
    return zipfile.ZipFile(next(folder.glob("*.whl")))


def test_the_wheel_holds_all_tracked_files_of_the_three_packages(built: Path) -> None:
    with wheel_of(built) as wheel:
        names = {name for name in wheel.namelist() if ".dist-info/" not in name}
    tracked = {
        path.relative_to(ROOT / folder).as_posix(): folder
        for folder in ("core", "strategies", "plugins")
        for path in tracked_files()
        if shown(path).startswith(tuple(f"{ours}/" for ours in OURS))
        and path.is_relative_to(ROOT / folder)
    }
    missing = sorted(tracked.keys() - names)
    assert not missing, "tracked, but not in the wheel"
    packages = {Path(folder).name for folder in OURS}
    assert {name.split("/")[0] for name in names} == packages


def test_the_wheel_holds_types_schema_and_data(built: Path) -> None:
    with wheel_of(built) as wheel:
        names = set(wheel.namelist())
    expected = {f"{Path(folder).name}/py.typed" for folder in OURS}
    expected |= {"rmqueue/experiment.schema.json"}
    expected |= {f"rmqueue_plugins/data/{name}.toml" for name in ("real", "synthetic")}
    assert expected <= names
    assert any(name.startswith("rmqueue_plugins/data/steal-7.3/") for name in names)


def test_the_wheel_declares_the_entry_points(built: Path) -> None:
    with wheel_of(built) as wheel:
        name = next(n for n in wheel.namelist() if n.endswith("/entry_points.txt"))
        text = wheel.read(name).decode()
    declared = configparser.ConfigParser(delimiters=("=",))
    declared.read_string(text)
    project = PROJECT["project"]
    assert dict(declared["rmqueue"]) == project["entry-points"]["rmqueue"]
    assert dict(declared["console_scripts"]) == project["scripts"]


def test_the_sdist_holds_what_is_needed_to_work_on_it(built: Path) -> None:
    with tarfile.open(next(built.glob("*.tar.gz"))) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}
    assert {
        "pyproject.toml",
        "constraints.txt",
        "Makefile",
        "README.md",
        "LICENSE",
        "tests/meta/test_packaging.py",
        "core/rmqueue/cli.py",
    } <= names


def test_one_version_everywhere(built: Path) -> None:
    stated = PROJECT["project"]["version"]
    assert version("rmqueue") == stated
    assert {path.name.split("-")[1] for path in built.glob("*.whl")} == {stated}
    changes = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"## [{stated}]" in changes


def test_entry_points_of_the_installation_are_those_of_the_project() -> None:
    from importlib.metadata import entry_points

    installed = {
        point.name: point.value
        for point in entry_points(group="rmqueue")
        if point.dist and point.dist.name == "rmqueue"
    }
    assert installed == PROJECT["project"]["entry-points"]["rmqueue"], (
        "install again: pip install -e ."
    )


def test_no_tracked_file_is_large() -> None:
    large = [shown(p) for p in tracked_files() if p.stat().st_size > 3 * MIB]
    assert not large


def test_no_tracked_file_names_an_index_or_a_machine() -> None:
    found = []
    for path in tracked_files():
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        for pattern in (HOSTS, FOLDERS):
            for match in pattern.finditer(text):
                if path.samefile(__file__) or match[0].startswith(GENERIC):
                    continue
                line = text.count("\n", 0, match.start()) + 1
                found.append(f"{shown(path)}:{line}: {match[0]}")
    assert not found, "\n".join(found)


def test_constraints_pin_every_requirement_exactly() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[a-z0-9-]+==[0-9][\w.]*", pin) for pin in pins)
    pinned = {pin.partition("==")[0] for pin in pins}
    project = PROJECT["project"]
    lists = [project["dependencies"], *project["optional-dependencies"].values()]
    needed = {
        match[0].lower().replace("_", "-")
        for requirements in lists
        for requirement in requirements
        if (match := re.match(r"[\w.-]+", requirement)) and match[0] != "rmqueue"
    }
    assert needed <= pinned
