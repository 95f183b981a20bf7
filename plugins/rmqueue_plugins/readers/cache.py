"""Recordings that were converted before, so that the next run need not parse.

A file is named by the digest of everything that it was made from: the recording's files
and the source of all that reads them.  It is a cache, so whatever goes wrong with it
(unwritable folder, truncated or foreign file) means only that the recording is
converted again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from rmqueue import trace
from rmqueue.ops import OPS_DTYPE, as_ops
from rmqueue.types import RecordedZone, Recording, ZoneState

_ARRAYS = ("pageblock_types", "blocks", "lru")
_PLAIN = tuple(
    field.name
    for field in fields(ZoneState)
    if field.name not in (*_ARRAYS, "free_lists", "pcps")
)


def through(
    files: tuple[Path, ...], make: Callable[[], Recording], source: str, how: str = ""
) -> Recording:
    """Return the recording that `make` makes of some files, from the cache if it can.

    Parameters
    ----------
    files : tuple of Path
        Everything that `make` reads.
    make : callable
        Makes the recording; errors pass through.
    source : str
        Where it is read from this time.
    how : str
        What else decides the result.
    """
    path = cache_folder() / f"{_digest(files, how)}.npz"
    try:
        return replace(_load(path), source=source)
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile):
        pass
    except zlib.error:  # not a ValueError
        pass
    recording = make()
    with contextlib.suppress(OSError):
        _store(recording, path)
    return recording


def cache_folder() -> Path:
    """Folder of converted recordings."""
    # Imported here: it loads numba, which listing the plugins must not.
    from rmqueue.mm.jit import cache_root

    return cache_root() / "recordings"


def _digest(files: tuple[Path, ...], how: str) -> str:
    digest = hashlib.sha256(how.encode())
    folders = (Path(__file__).parent, Path(trace.__file__).parent)
    sources = [path for folder in folders for path in sorted(folder.glob("*.py"))]
    for path in (*sources, *files):
        with contextlib.suppress(OSError):  # `make` will say it better
            content = path.read_bytes()
            digest.update(f"{path.name} {len(content)}\n".encode() + content)
    return digest.hexdigest()


def _store(recording: Recording, path: Path) -> None:
    """Write a file whole or not at all."""
    arrays: dict[str, Any] = {}
    zones = []
    for index, zone in enumerate(recording.zones):
        state = zone.state
        lists = sorted(state.free_lists)
        for name in _ARRAYS:
            arrays[f"{index} {name}"] = getattr(state, name)
        for order, mt in lists:
            arrays[f"{index} free {order},{mt}"] = state.free_lists[order, mt]
        columns = [zone.ops[name].astype(np.int32) for name in OPS_DTYPE.names or ()]
        arrays[f"{index} ops"] = np.stack(columns, axis=1)
        zones.append(
            {
                "state": {name: getattr(state, name) for name in _PLAIN},
                "free_lists": lists,
                "slots": zone.slots,
                "recorded": dict(zone.recorded),
            }
        )
    about = {name: getattr(recording, name) for name in ("name", "kernel", "notes")}
    arrays["about"] = np.frombuffer(
        json.dumps({**about, "zones": zones}).encode(), np.uint8
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(suffix=".npz", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            np.savez(file, **arrays)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _load(path: Path) -> Recording:
    with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
        about = json.loads(arrays["about"].tobytes())
        zones = []
        for index, record in enumerate(about["zones"]):
            plain = record["state"]
            plain["watermarks"] = tuple(plain["watermarks"])
            state = ZoneState(
                **plain,
                **{name: arrays[f"{index} {name}"] for name in _ARRAYS},
                free_lists={
                    (order, mt): arrays[f"{index} free {order},{mt}"]
                    for order, mt in record["free_lists"]
                },
            )
            ops = as_ops(arrays[f"{index} ops"])
            zones.append(RecordedZone(state, ops, record["slots"], record["recorded"]))
    return Recording(
        about["name"], "", about["kernel"], tuple(zones), tuple(about["notes"])
    )
