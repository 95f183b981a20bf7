"""What a process runs: versions, and digests of the code and data that a study uses.

`rmqueue.mm.strategy.strategy_digest` tells whether compiled code can be taken from a
cache: it changes with the processor and with the folder of an installation.  Results do
not, and the machines of a cluster differ in both, so here it is the sources that count.
"""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from rmqueue.experiment_file import ExperimentConfig
from rmqueue.registry import default_registry
from rmqueue.study.task import Task

#: What there is to say of a recording that is not there, or a package.
MISSING = "missing"


@dataclass(frozen=True)
class Used:
    """What a study uses.

    Attributes
    ----------
    plugins : tuple of (str, str)
        Kinds and names.
    recordings : tuple of str
        Paths.
    """

    plugins: tuple[tuple[str, str], ...]
    recordings: tuple[str, ...]


def used_by(tasks: Iterable[Task]) -> Used:
    """Return what runs use."""
    plugins: dict[tuple[str, str], None] = {}
    recordings: dict[str, None] = {}
    for config, base in dict.fromkeys((task.config, task.base) for task in tasks):
        checked = ExperimentConfig.model_validate(json.loads(config))
        names = [("strategy", entry.name) for entry in checked.strategies]
        machines = [checked.machine, *(entry.machine for entry in checked.strategies)]
        names += [("machine", name) for name in machines if name]
        if checked.workload is not None:
            names.append(("workload", checked.workload.name))
        if checked.recording is not None:
            recordings[str(Path(base, checked.recording).absolute())] = None
        plugins |= dict.fromkeys(names)
    return Used(tuple(plugins), tuple(recordings))


def identity(used: Used) -> dict[str, str]:
    """Say what this process runs.

    Returns
    -------
    dict of str to str
        Equal dicts: equal results.
    """
    return {
        "Python": platform.python_version().rpartition(".")[0],
        "numpy": version("numpy"),
        "numba": version("numba"),
        "rmqueue": f"{version('rmqueue')}, sources {package_digest('rmqueue')}",
        **{f"{kind} {n}": plugin_identity(kind, n) for kind, n in used.plugins},
        **{f"recording {path}": recording_digest(path) for path in used.recordings},
    }


def plugin_identity(kind: str, name: str) -> str:
    """Who gives a plugin, and the digest of all that is in its package or file."""
    provenance = default_registry().find(kind, name).provenance
    if provenance.is_file:
        return f"file, sources {tree_digest(Path(provenance.module))}"
    package = provenance.module.partition(":")[0].partition(".")[0]
    return f"{provenance.giver}, sources {package_digest(package)}"


@cache
def package_digest(package: str) -> str:
    """Digest of a package, made once: later edits are not what this process runs."""
    spec = find_spec(package)
    if spec is None:
        return MISSING
    if spec.submodule_search_locations:
        return tree_digest(Path(spec.submodule_search_locations[0]))
    return tree_digest(Path(spec.origin)) if spec.origin else MISSING


def recording_digest(path: str) -> str:
    """Digest of a recording."""
    return tree_digest(Path(path)) if Path(path).exists() else MISSING


def tree_digest(path: Path) -> str:
    """Digest of a file, or of all files in a folder that Python has not made."""
    digest = hashlib.sha256()
    for file in sorted(files_in(path)) if path.is_dir() else [path]:
        name = file.relative_to(path).as_posix()
        digest.update(name.encode() + b"\0")
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()[:16]


def files_in(folder: Path) -> Iterator[Path]:
    """Files of a folder, but not what is compiled or hidden."""
    for path in folder.rglob("*"):
        parts = path.relative_to(folder).parts
        if path.is_file() and not any(p[0] == "." or p == "__pycache__" for p in parts):
            yield path


def differences(here: dict[str, str], there: dict[str, str]) -> list[str]:
    """Say what another process runs otherwise."""
    return [
        f"{name} is {there.get(name, MISSING)}, and {here.get(name, MISSING)} here"
        for name in dict.fromkeys([*here, *there])
        if here.get(name) != there.get(name)
    ]
