"""Which experiment is meant: a built-in one, a file, or one with another recording."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rmqueue.errors import UsageError
from rmqueue.experiment_file import ExperimentConfig
from rmqueue.registry import Registry


def another_recording(config: ExperimentConfig, recording: Path) -> dict[str, Any]:
    """Return what changes in an experiment that replays another recording.

    Raises
    ------
    UsageError
        The experiment replays none.
    """
    if config.recording is None:
        raise UsageError(
            f"--recording: {config.name} is an experiment of a workload: name one that "
            "replays a recording, like 'real', or none"
        )
    path = recording.absolute()
    if not path.exists():
        raise UsageError(f"--recording: there is no {path}")
    return {"name": path.name, "description": "", "recording": str(path)}


def experiment_path(name_or_path: str | Path, registry: Registry) -> Path:
    """Path of an experiment: whatever ends in ``.toml`` or holds a slash is one."""
    path = Path(name_or_path)
    if isinstance(name_or_path, Path):
        return path
    if path.suffix != ".toml" and "/" not in name_or_path:
        return registry.experiment(name_or_path).path
    return path
