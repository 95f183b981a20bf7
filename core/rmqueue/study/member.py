"""What a worker of a cluster does: say what it runs, and do runs.

Whoever calls sends `call`, which needs no rmqueue to be unpacked: a worker, or a
scheduler, that has another one or none can say so.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rmqueue.errors import PluginError
from rmqueue.mm.jit import cache_root
from rmqueue.registry import default_registry
from rmqueue.study.dataset import Place
from rmqueue.study.identity import Used, identity
from rmqueue.study.root import Root
from rmqueue.study.schedule import free_memory
from rmqueue.study.task import Task, experiment_of
from rmqueue.study.work import work

#: Least time between two shares of a run that are told [s].
SHARE_SECONDS = 0.25


@dataclass(frozen=True)
class Terms:
    """What a worker must know, and show, before its first run.

    Attributes
    ----------
    used : Used
        What the study uses.
    files : tuple of (str, bytes)
        Plugin files: paths where they come from, and what is in them.
    root : Path or str
        Place of the study.
    manifest : str
        Digest of the manifest there: whether both mean the same place.
    """

    used: Used
    files: tuple[tuple[str, bytes], ...]
    root: Root
    manifest: str


@dataclass(frozen=True)
class Answer:
    """What a worker says of itself.

    Attributes
    ----------
    identity : dict of str to str
        What it runs.
    sees_place : bool
        Whether it sees the study's place.
    used_bytes, free_bytes : int
        Memory of its process, and what is free on its machine [bytes].
    """

    identity: dict[str, str]
    sees_place: bool
    used_bytes: int
    free_bytes: int


def sent() -> Callable[[bytes], Any]:
    """Return a function that unpacks a call where it is to be done, and does it."""

    def call(packed: bytes) -> Any:
        import pickle

        function, arguments = pickle.loads(packed)
        return function(*arguments)

    call.__module__ = "__main__"  # so that it is sent whole, not by name
    return call


def packed(function: Callable[..., Any], *arguments: Any) -> bytes:
    """Pack a call."""
    return pickle.dumps((function, arguments))


def manifest_digest(root: Root) -> str:
    """Digest of the manifest at a place; empty if there is none."""
    try:
        values = Place(root).manifest()
    except Exception:  # whatever a file system says, it is not seen
        return ""
    return hashlib.sha256(repr(values).encode()).hexdigest()


def introduce(terms: Terms) -> Answer:
    """Load plugin files, and say what this worker runs.

    Raises
    ------
    PluginError
        A plugin file cannot be loaded here.
    """
    import psutil

    load_files(terms.files)
    return Answer(
        identity=identity(terms.used),
        sees_place=manifest_digest(terms.root) == terms.manifest,
        used_bytes=psutil.Process().memory_info().rss,
        free_bytes=free_memory(),
    )


_loaded: list[tuple[tuple[str, bytes], ...]] = [()]


def load_files(files: tuple[tuple[str, bytes], ...]) -> None:
    """Have exactly these plugin files loaded; a worker serves one study after another.

    Raises
    ------
    PluginError
        One cannot be loaded.
    """
    if files == _loaded[0]:
        return
    default_registry.cache_clear()
    experiment_of.cache_clear()
    _loaded[0] = ()
    for path, content in files:
        default_registry().add_file(placed(Path(path), content))
    _loaded[0] = files


def placed(path: Path, content: bytes) -> Path:
    """Path of a plugin file here: its own if that is the same file, or a copy's."""
    try:
        if path.read_bytes() == content:
            return path
    except OSError:
        pass
    digest = hashlib.sha256(content).hexdigest()[:16]
    copy = cache_root() / "plugins" / digest / path.name
    temporary = copy.with_name(f".{copy.name}.{os.getpid()}.{threading.get_ident()}")
    try:
        copy.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(content)
        os.replace(temporary, copy)
    except OSError as error:
        raise PluginError(f"{copy}: cannot be written: {error.strerror}") from None
    return copy


def do(task: Task, root: Root, topic: str, attempt: str) -> None:
    """Do a run; tell when it begins, how far it is, and what came of it.

    Parameters
    ----------
    task : Task
        The run.
    root : Path or str
        Place of the study.
    topic, attempt : str
        Where to tell it, and under which name.
    """
    from distributed import get_worker

    worker: Any = get_worker()
    told = 0.0

    def tell(key: str, share: float) -> None:
        nonlocal told
        if time.monotonic() - told > SHARE_SECONDS:
            told = time.monotonic()
            worker.log_event(topic, [attempt, "share", share])

    worker.log_event(topic, [attempt, "share", 0.0])
    done = work(task, root, tell)
    worker.log_event(topic, [attempt, "done", [done.words, done.failed]])
