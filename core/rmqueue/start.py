"""Where an experiment starts: a recording, or a zone and a synthetic op stream."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from rmqueue.config import StrategyConfig, ZoneConfig
from rmqueue.cost import Costs
from rmqueue.errors import ConfigError, PluginError, RmqueueError, TraceError
from rmqueue.measures import HoldStats
from rmqueue.metrics import added, as_matrix
from rmqueue.ops import Ops, as_ops
from rmqueue.outcomes import outcome_of, refuse_disorder
from rmqueue.results import Matrix, Outcome, Recorded
from rmqueue.samples import Sampler
from rmqueue.types import Recording, TraceReader, Workload, ZoneState
from rmqueue.zone import Zone

#: A quick comparison replays one part in so many.
QUICK_PART = 4
#: Streams kept for the next strategy; further seeds are built again.
KEPT_STREAMS = 4


@dataclass(frozen=True, eq=False)
class ZoneStart:
    """One zone at its start, and what will be asked of it.

    Attributes
    ----------
    name : str
        Name of the zone.
    geometry : ZoneConfig or ZoneState
        What knows start_pfn, pages and pageblock_order.
    ops : ndarray of OPS_DTYPE
        The op stream.
    """

    name: str
    geometry: ZoneConfig | ZoneState
    ops: Ops

    def open(self, strategy: StrategyConfig, kernel: str) -> Zone:
        """Make the zone, ready for the first operation."""
        if isinstance(self.geometry, ZoneState):
            return Zone.from_state(self.geometry, strategy=strategy, kernel=kernel)
        config = self.geometry.model_copy(update={"kernel": kernel})
        return Zone(config, strategy=strategy)


@dataclass(frozen=True)
class Job:
    """One strategy and one seed, on one start.

    Attributes
    ----------
    strategy : StrategyConfig
        The strategy, with all its parameters.
    kernel : str
        Kernel profile.
    seed : int or None
        Seed of the workload; None: there is none.
    costs : Costs
        What work costs.
    orders : tuple of int
        Orders of the fragmentation indices.
    quick : bool
        Do only a part of it.
    on_progress : callable
        Told the share that is done, now and then.
    sampler : Sampler
        Looks at the zones on the way.
    check : bool
        Check every invariant of the zones at the end.
    """

    strategy: StrategyConfig
    kernel: str
    seed: int | None
    costs: Costs
    orders: tuple[int, ...]
    quick: bool = False
    on_progress: Callable[[float], None] = lambda share: None
    sampler: Sampler = field(default_factory=lambda: Sampler(0))
    check: bool = False


class Start(ABC):
    """What every strategy of an experiment begins with."""

    #: Whether the seed changes anything.
    seeded = False
    #: Whether a run takes so long that several are worth threads.
    parallel = False

    @abstractmethod
    def describe(self) -> str:
        """Say in words what is replayed."""

    @property
    @abstractmethod
    def max_page_order(self) -> int:
        """Order of the largest block of any zone."""

    @abstractmethod
    def check(self, seed: int | None) -> None:
        """Refuse what can be refused before anything runs."""

    @abstractmethod
    def outcomes(self, job: Job) -> list[tuple[Outcome, HoldStats]]:
        """Do a job, and measure each zone."""

    @abstractmethod
    def digest(self, seed: int | None) -> str:
        """SHA-256 of what is asked of the zones: equal digests, equal input."""

    def recorded(self) -> Recorded | None:
        """Return what the recorded kernel did, if there is one."""
        return None

    def notes(self) -> tuple[str, ...]:
        """Return what a reader of the results must know."""
        return ()

    def quick_note(self) -> str:
        """Say what a quick comparison leaves out."""
        return "quick: only the first quarter of the operations, and one seed"


class ReplayStart(Start):
    """Op streams that are replayed, one per zone."""

    @abstractmethod
    def zones(self, seed: int | None) -> tuple[ZoneStart, ...]:
        """Return the zones and their op streams."""

    def check(self, seed: int | None) -> None:
        """Build the streams: what a workload objects to shows here."""
        self.zones(seed)

    def outcomes(self, job: Job) -> list[tuple[Outcome, HoldStats]]:
        """Replay the stream of each zone."""
        found = []
        for start in self.zones(job.seed):
            zone = start.open(job.strategy, job.kernel)
            zone.set_weights(job.costs.weights_ps, job.costs.warm_scans)
            last = len(start.ops) // QUICK_PART if job.quick else len(start.ops)
            stops = job.sampler.stops(zone, last)
            result = zone.replay(start.ops[:last], record=False, stops=stops)
            if job.check:
                refuse_disorder(zone)
            outcome = outcome_of(start.geometry, zone, result, job.orders)
            found.append((outcome, result.holds))
        return found

    def digest(self, seed: int | None) -> str:
        """SHA-256 of start state and ops: equal digests, equal input."""
        digest = hashlib.sha256()
        for zone in self.zones(seed):
            digest.update(zone.name.encode())
            feed(digest, zone.geometry)
            feed(digest, zone.ops)
        return digest.hexdigest()


class RecordingStart(ReplayStart):
    """A recording: the exact state of a real kernel, and what was asked of it.

    Parameters
    ----------
    recording : Recording
        What a trace reader returned.
    """

    def __init__(self, recording: Recording) -> None:
        self.recording = recording

    def describe(self) -> str:
        """Say in words what is replayed."""
        names = ", ".join(zone.state.name for zone in self.recording.zones)
        cpus = max((zone.state.cpus for zone in self.recording.zones), default=0)
        return (
            f"recording {self.recording.name}, Linux {self.recording.kernel}, "
            f"{cpus} {'CPU' if cpus == 1 else 'CPUs'}, zones {names}"
        )

    @property
    def max_page_order(self) -> int:
        """Order of the largest block of any zone."""
        zones = self.recording.zones
        return max((zone.state.max_page_order for zone in zones), default=0)

    def zones(self, seed: int | None) -> tuple[ZoneStart, ...]:
        """Return the zones and their op streams; there is nothing to seed."""
        return tuple(
            ZoneStart(zone.state.name, zone.state, as_ops(zone.ops))
            for zone in self.recording.zones
        )

    def recorded(self) -> Recorded | None:
        """Sum what the zones say of the recorded kernel."""
        known = [zone.recorded for zone in self.recording.zones]
        if not any(known):
            return None
        pages = [int(zone["base_pages"]) for zone in known if "base_pages" in zone]
        return Recorded(
            kernel=self.recording.kernel,
            pages=sum(pages) if pages else None,
            claim=summed(known, "claim"),
            steal=summed(known, "steal"),
        )

    def notes(self) -> tuple[str, ...]:
        """Return the reader's notes."""
        return self.recording.notes


class WorkloadStart(ReplayStart):
    """An empty zone and a synthetic op stream.

    Parameters
    ----------
    zone : ZoneConfig
        The zone.
    workload : Workload
        What builds the stream.
    params : pydantic.BaseModel
        Its parameters.
    source : str
        What messages call the experiment.
    """

    seeded = True

    def __init__(
        self, zone: ZoneConfig, workload: Workload, params: Any, source: str
    ) -> None:
        self.zone, self.workload, self.params = zone, workload, params
        self.source = source
        self._stream = lru_cache(KEPT_STREAMS)(self._build)

    def describe(self) -> str:
        """Say in words what is replayed."""
        mib = self.zone.pages >> 8
        cpus = self.zone.cpus
        return (
            f"workload {self.workload.name} on an empty zone of {mib:,} MiB, "
            f"{cpus} {'CPU' if cpus == 1 else 'CPUs'}"
        )

    @property
    def max_page_order(self) -> int:
        """Order of the largest block of the zone."""
        return self.zone.max_page_order

    def zones(self, seed: int | None) -> tuple[ZoneStart, ...]:
        """Return the zone and the stream of a seed."""
        return (ZoneStart("Normal", self.zone, self._stream(int(seed or 0))),)

    def _build(self, seed: int) -> Ops:
        """Build a stream; a workload that fails in a way of its own is named."""
        try:
            return as_ops(self.workload.build(self.zone, self.params, seed))
        except ConfigError as error:
            raise ConfigError(f"{self.source}: {error}") from None
        except (RmqueueError, MemoryError):
            raise
        except Exception as error:
            raise PluginError(
                f"workload {self.workload.name!r} failed: "
                f"{type(error).__name__}: {error}"
            ) from error


def summed(recorded: list[Mapping[str, Any]], key: str) -> Matrix | None:
    """Sum of a matrix over zones, None if no zone has it."""
    found = [as_matrix(zone[key]) for zone in recorded if zone.get(key) is not None]
    return added(found) if found else None


def feed(digest: Any, value: Any) -> None:
    """Feed a value to a digest, field by field, in an order that never varies."""
    if isinstance(value, np.ndarray):
        if value.dtype.names:  # padding bytes are no part of the value
            for name in value.dtype.names:
                feed(digest, value[name])
        else:
            digest.update(np.ascontiguousarray(value).tobytes())
    elif isinstance(value, ZoneState):
        for field in fields(value):
            digest.update(field.name.encode())
            feed(digest, getattr(value, field.name))
    elif isinstance(value, ZoneConfig):
        digest.update(value.model_dump_json(exclude={"kernel"}).encode())
    elif isinstance(value, Mapping):
        for key in sorted(value):
            digest.update(repr(key).encode())
            feed(digest, value[key])
    else:
        digest.update(repr(value).encode())


def read_recording(
    reader: TraceReader, path: Path, seed: int | None = None
) -> Recording:
    """Read a recording; a reader that fails in a way of its own is named.

    Parameters
    ----------
    reader : TraceReader
        Who reads it.
    path : Path
        The recording.
    seed : int or None
        Seed of a start state that is made up; None: the reader's own choice.

    Raises
    ------
    TraceError
        The recording cannot be read, or holds no zone.
    """
    try:
        seeds = {"seed": seed} if reader.seeded and seed is not None else {}
        recording = reader.read(path, **seeds)
    except (RmqueueError, OSError, MemoryError):
        raise
    except Exception as error:
        raise TraceError(
            f"{path}: reader {reader.name!r} failed: {type(error).__name__}: {error}"
        ) from error
    if not recording.zones:
        raise TraceError(f"{path}: no zone of this recording was asked for anything")
    return recording
