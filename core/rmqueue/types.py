"""The frozen records that plugins hand over, and those that readers produce.

A hook (`rmqueue.hookspecs`) returns a list of these.  They carry data and functions,
never behaviour of the framework, so a plugin can be read without knowing core.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from rmqueue.trace.records import Evidence as Evidence
from rmqueue.trace.records import Ops as Ops
from rmqueue.trace.records import PcpState as PcpState
from rmqueue.trace.records import RecordedZone as RecordedZone
from rmqueue.trace.records import Recording as Recording
from rmqueue.trace.records import ZoneCounts as ZoneCounts
from rmqueue.trace.records import ZoneState as ZoneState

if TYPE_CHECKING:
    from rmqueue.config import ZoneConfig
    from rmqueue.results import Comparison
    from rmqueue.trace.chunks import Chunk

#: Longer than any run [ps].
ENDLESS_PS = 1 << 60


class NoParameters(BaseModel):
    """Parameters of a plugin that has none."""

    model_config = ConfigDict(frozen=True, extra="forbid")


@dataclass(frozen=True)
class Strategy:
    """A fallback strategy: what to do when the lists of the requested type are empty.

    Attributes
    ----------
    name : str
        How an experiment or the command line calls it, in lower case with dashes.
    summary : str
        One line for listings.
    fallback : callable
        The jitted ``fallback(zone, order, start_mt, flags, batch, st) -> pfn or -1``.
    parameters : type of pydantic.BaseModel
        Model of its parameters, each with a description that ends in its unit.
    state : tuple of (str, str)
        Fields of its own record beside the parameters: name and numpy dtype.
    references : tuple of str
        Papers and mails that describe it.
    linux : str
        Commits of Linux that it reproduces, empty if none.
    kernel : str
        Kernel profile of the Linux versions that it reproduces: what it runs on when an
        experiment names no kernel.  Empty: the newest profile.
    refill : callable or None
        The jitted ``refill(zone, cpu, order, start_mt, wanted, st) -> blocks``: how
        many blocks an empty per-CPU list is refilled with, where the kernel would take
        `wanted`; None: as the kernel does.
    mixed_lists : bool
        It leaves blocks on lists of another type than their pageblock's, which only
        some kernel profiles allow.
    """

    name: str
    summary: str
    fallback: Callable[..., Any]
    parameters: type[BaseModel] = NoParameters
    state: tuple[tuple[str, str], ...] = ()
    references: tuple[str, ...] = ()
    linux: str = ""
    kernel: str = ""
    mixed_lists: bool = False
    refill: Callable[..., Any] | None = None


@dataclass(frozen=True)
class Machine:
    """What the work counters cost on some machine.

    Attributes
    ----------
    name, summary : str
        As of `Strategy`.
    weights_ps : mapping of str to int
        Cost [ps] of one unit of a work counter, by its name in `zone.counters`; a
        counter that is not named costs nothing.  ``scan_page_warm`` is the cost of a
        step of a warm scan, if it differs from that of ``scan_page``.
    strategy_weights_ps : mapping of str to mapping
        Costs that differ in the kernels of some strategies, by name of the strategy.
    warm_scans : int
        Scans in one lock hold that a pageblock stays in the cache for; 0: no scan is
        warm [scans].
    handover_ps : int
        Cost of handing a busy zone lock to the next CPU [ps].
    nodes : int
        Nodes of the machine, all alike; one of them is simulated [nodes].
    zone : mapping of str to object
        Fields of `ZoneConfig` that describe the zone of a node; empty: the machine is
        only a table of costs.
    references : tuple of str
        Where the numbers come from.
    """

    name: str
    summary: str
    weights_ps: Mapping[str, int]
    references: tuple[str, ...] = ()
    strategy_weights_ps: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    warm_scans: int = 0
    handover_ps: int = 0
    nodes: int = 1
    zone: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Workload:
    """A synthetic op stream.

    Attributes
    ----------
    name, summary : str
        As of `Strategy`.
    parameters : type of pydantic.BaseModel
        Model of its parameters.
    build : callable
        ``build(zone_config, parameters, seed) -> ops``; equal arguments give equal ops.
    references : tuple of str
        What it is modelled on.
    """

    name: str
    summary: str
    parameters: type[BaseModel]
    build: Callable[[ZoneConfig, Any, int], Ops]
    references: tuple[str, ...] = ()


@dataclass(frozen=True)
class StepWorkload:
    """A workload that runs on the multi-CPU loop: jitted steps (`rmqueue.mm.smp`).

    Attributes
    ----------
    name, summary : str
        As of `Strategy`.
    parameters : type of pydantic.BaseModel
        Model of its parameters.
    numbers : callable
        ``numbers(parameters, zone_config) -> mapping of str to int``: what the steps
        read, as fields of their record ``st``.
    start : callable
        Jitted ``start(smp, cpu, node, st, fallback)``: makes the state that the
        workload begins with; called once, and not measured.
    step : callable
        Jitted, of the same form: what a CPU does next; moves ``cpu.t_ps``.
    state : tuple of (str, str)
        Further fields of ``st``: name and numpy dtype.
    pages : callable
        ``pages(parameters) -> int``: pages after which a node is done [pages].
    limit_ps : callable
        ``limit_ps(parameters) -> int``: time after which the run is over [ps].
    skip_pages : callable
        ``skip_pages(parameters) -> int``: pages of a node before statistics begin
        [pages].
    measures : callable
        ``measures(simulation) -> mapping of str to float``: what is reported of a run,
        by names that end in a unit, beside what is reported of every run.
    task_cpus : callable
        ``task_cpus(zone_config) -> int``: CPUs that run steps, lists 0 and up of the
        zone [CPUs].
    kswapd_cpu : bool
        Whether kswapd runs steps of its own, with the zone's last per-CPU lists.
    references : tuple of str
        What it is modelled on.
    """

    name: str
    summary: str
    parameters: type[BaseModel]
    numbers: Callable[[Any, ZoneConfig], Mapping[str, int]]
    start: Callable[..., Any]
    step: Callable[..., Any]
    pages: Callable[[Any], int]
    state: tuple[tuple[str, str], ...] = ()
    limit_ps: Callable[[Any], int] = lambda parameters: ENDLESS_PS
    skip_pages: Callable[[Any], int] = lambda parameters: 0
    measures: Callable[[Any], Mapping[str, float]] = lambda simulation: {}
    task_cpus: Callable[[ZoneConfig], int] = lambda zone: 1
    kswapd_cpu: bool = False
    references: tuple[str, ...] = ()


@dataclass(frozen=True)
class TraceReader:
    """Reads one format of recordings.

    Attributes
    ----------
    name, summary : str
        As of `Strategy`.
    accepts : callable
        ``accepts(path) -> bool``: whether it can read this; looks, never parses.
    read : callable
        ``read(path) -> Recording``; raises `rmqueue.errors.TraceError`.
    evidence : callable or None
        ``evidence(path) -> Evidence``; raises as `read`.  None: the format does not say
        enough to follow a recording event by event.
    chunks : callable or None
        ``chunks(path) -> iterator of Chunk``: the trace in pieces, however long it is;
        raises as `read`.  None: only whole recordings can be read.
    seeded : bool
        `read` and `evidence` take a keyword ``seed``: where a recording has no exact
        state at its start, it decides the one that is made up.
    """

    name: str
    summary: str
    accepts: Callable[[Path], bool]
    read: Callable[..., Recording]
    evidence: Callable[..., Evidence] | None = None
    chunks: Callable[[Path], Iterator[Chunk]] | None = None
    seeded: bool = False


@dataclass(frozen=True)
class Reporter:
    """Writes a comparison in some form.

    Attributes
    ----------
    name, summary : str
        As of `Strategy`.
    suffix : str
        Suffix of files in that form, with the dot.
    render : callable
        ``render(comparison) -> str``, ending in a newline; or ``-> bytes`` if it is
        `binary`.
    binary : bool
        It makes bytes, which no terminal shows.
    check : callable or None
        ``check(seeds)``: raises `rmqueue.errors.UsageError` before anything runs if it
        will not be able to report on that many seeds; None: it always is.
    """

    name: str
    summary: str
    suffix: str
    render: Callable[[Comparison], str | bytes]
    binary: bool = False
    check: Callable[[int], None] | None = None


@dataclass(frozen=True)
class BuiltinExperiment:
    """An experiment that comes with a package.

    Attributes
    ----------
    name, summary : str
        As of `Strategy`.
    path : pathlib.Path
        The TOML file; a recording named in it is relative to it.
    """

    name: str
    summary: str
    path: Path
