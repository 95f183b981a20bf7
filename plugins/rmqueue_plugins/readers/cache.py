"""Recordings that were converted before, so that the next run need not parse.

A file is named by the digest of everything that it was made from: the recording's files
and the source of all that reads them.  It is a cache, so whatever goes wrong with it
(unwritable folder, truncated or foreign file) means only that the recording is
converted again.

A recording may also bring its converted form along (`SHIPPED`), with the digest of the
files that it was made of: then a first start neither parses them nor compiles what
would.
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
from rmqueue.ops import OPS_DTYPE
from rmqueue.types import RecordedZone, Recording, ZoneState

#: Name of the converted form that a recording brings along.
SHIPPED = "converted.npz"
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
    made_of = _digest(files, how)
    shipped = files[0].parent / SHIPPED if files else Path(SHIPPED)
    found = _try_load(shipped, made_of) if shipped.exists() else None
    if found is not None:
        return replace(found, source=source)
    path = cache_folder() / f"{_digest((*_sources(), *files), how)}.npz"
    found = _try_load(path, made_of)
    if found is not None:
        return replace(found, source=source)
    recording = make()
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        _store(recording, path, made_of)
    return recording


def ship(files: tuple[Path, ...], recording: Recording) -> Path:
    """Put the converted form of a recording beside its files; where it is."""
    path = files[0].parent / SHIPPED
    _store(recording, path, _digest(files, ""), np.savez_compressed)
    path.chmod(0o644)
    return path


def _try_load(path: Path, made_of: str) -> Recording | None:
    """Read a converted recording that was made of these files, if it is one."""
    try:
        return _load(path, made_of)
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile):
        return None
    except zlib.error:  # not a ValueError
        return None


def cache_folder() -> Path:
    """Folder of converted recordings."""
    # Imported here: it loads numba, which listing the plugins must not.
    from rmqueue.mm.jit import cache_root

    return cache_root() / "recordings"


def _sources() -> tuple[Path, ...]:
    """Everything that reads recordings."""
    folders = (Path(__file__).parent, Path(trace.__file__).parent)
    return tuple(path for folder in folders for path in sorted(folder.glob("*.py")))


def _digest(files: tuple[Path, ...], how: str) -> str:
    digest = hashlib.sha256(how.encode())
    for path in files:
        with contextlib.suppress(OSError):  # `make` will say it better
            content = path.read_bytes()
            digest.update(f"{path.name} {len(content)}\n".encode() + content)
    return digest.hexdigest()


def _store(
    recording: Recording,
    path: Path,
    made_of: str,
    save: Callable[..., None] = np.savez,
) -> None:
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
        for name in OPS_DTYPE.names or ():
            arrays[f"{index} ops {name}"] = zone.ops[name]
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
        json.dumps({**about, "made of": made_of, "zones": zones}).encode(), np.uint8
    )
    handle, name = tempfile.mkstemp(suffix=".npz", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            save(file, **arrays)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _load(path: Path, made_of: str) -> Recording:
    with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
        about = json.loads(arrays["about"].tobytes())
        if about["made of"] != made_of:
            raise ValueError("made of other files")
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
            names = OPS_DTYPE.names or ()
            ops = np.zeros(len(arrays[f"{index} ops code"]), OPS_DTYPE)
            for name in names:
                ops[name] = arrays[f"{index} ops {name}"]
            zones.append(RecordedZone(state, ops, record["slots"], record["recorded"]))
    return Recording(
        about["name"], "", about["kernel"], tuple(zones), tuple(about["notes"])
    )
