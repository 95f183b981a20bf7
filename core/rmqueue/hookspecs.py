"""The hooks through which everything that core does not know enters.

A plugin is a module named by an entry point of the group ``rmqueue``; it implements any
of these functions, marked with `hookimpl`, and returns a list of frozen records of
`rmqueue.types`.  pluggy asks them when an experiment is built, never per page.
"""

from __future__ import annotations

import pluggy

from rmqueue.types import (
    BuiltinExperiment,
    Machine,
    Reporter,
    StepWorkload,
    Strategy,
    TraceReader,
    Workload,
)

#: Name of the pluggy project and of the entry-point group.
GROUP = "rmqueue"

hookspec = pluggy.HookspecMarker(GROUP)
hookimpl = pluggy.HookimplMarker(GROUP)


@hookspec
def rmqueue_strategies() -> list[Strategy]:
    """Fallback strategies.

    Returns
    -------
    list of Strategy
        The entry point of a module with a single strategy is best named like it: core
        then loads nothing else to find it.

    Examples
    --------
    >>> from rmqueue.hookspecs import hookimpl
    >>> from rmqueue.types import Strategy
    >>> def give_up(zone, order, start_mt, flags, batch, st):
    ...     return -1
    >>> @hookimpl
    ... def rmqueue_strategies():
    ...     return [Strategy("give-up", "Never falls back.", give_up)]
    >>> [strategy.name for strategy in rmqueue_strategies()]
    ['give-up']
    """
    raise NotImplementedError


@hookspec
def rmqueue_machines() -> list[Machine]:
    """Machines: what a unit of each work counter costs.

    Examples
    --------
    >>> from rmqueue.hookspecs import hookimpl
    >>> from rmqueue.types import Machine
    >>> @hookimpl
    ... def rmqueue_machines():
    ...     return [Machine("slow-scan", "Scans hurt.", {"scan_page": 33_000})]
    >>> rmqueue_machines()[0].weights_ps["scan_page"]
    33000
    """
    raise NotImplementedError


@hookspec
def rmqueue_workloads() -> list[Workload | StepWorkload]:
    """Workloads: synthetic op streams, and steps on the multi-CPU loop.

    Returns
    -------
    list of Workload or StepWorkload
        A `Workload` builds an op stream, which is replayed.  The steps of a
        `StepWorkload` run on the multi-CPU loop of `rmqueue.mm.smp`.

    Examples
    --------
    >>> import numpy as np
    >>> from rmqueue import OPS_DTYPE, ZoneConfig
    >>> from rmqueue.hookspecs import hookimpl
    >>> from rmqueue.types import NoParameters, Workload
    >>> def one_page(zone_config, parameters, seed):
    ...     return np.array([(1, 0, 0, 0)], OPS_DTYPE)  # ALLOC order 0 into slot 0
    >>> @hookimpl
    ... def rmqueue_workloads():
    ...     return [Workload("one-page", "A single page.", NoParameters, one_page)]
    >>> workload = rmqueue_workloads()[0]
    >>> len(workload.build(ZoneConfig(pages=1024), NoParameters(), 1))
    1
    """
    raise NotImplementedError


@hookspec
def rmqueue_trace_readers() -> list[TraceReader]:
    """Readers of recordings.

    Examples
    --------
    >>> from rmqueue.hookspecs import hookimpl
    >>> from rmqueue.types import Recording, TraceReader
    >>> def read(path):
    ...     return Recording(path.name, str(path), "7.3.4", zones=())
    >>> @hookimpl
    ... def rmqueue_trace_readers():
    ...     accepts = lambda path: path.suffix == ".mine"
    ...     return [TraceReader("mine", "My own format.", accepts, read)]
    >>> from pathlib import Path
    >>> rmqueue_trace_readers()[0].accepts(Path("a.mine"))
    True
    """
    raise NotImplementedError


@hookspec
def rmqueue_reporters() -> list[Reporter]:
    r"""Forms in which a comparison can be written.

    Examples
    --------
    >>> from rmqueue.hookspecs import hookimpl
    >>> from rmqueue.types import Reporter
    >>> def names(comparison):
    ...     return "".join(f"{row.strategy}\n" for row in comparison.rows)
    >>> @hookimpl
    ... def rmqueue_reporters():
    ...     return [Reporter("names", "Names only.", ".txt", names)]
    >>> rmqueue_reporters()[0].suffix
    '.txt'
    """
    raise NotImplementedError


@hookspec
def rmqueue_experiments() -> list[BuiltinExperiment]:
    """Experiments that come with the plugin, as TOML files.

    Examples
    --------
    >>> from pathlib import Path
    >>> from rmqueue.hookspecs import hookimpl
    >>> from rmqueue.types import BuiltinExperiment
    >>> @hookimpl
    ... def rmqueue_experiments():
    ...     return [BuiltinExperiment("mine", "What I run.", Path("mine.toml"))]
    >>> rmqueue_experiments()[0].name
    'mine'
    """
    raise NotImplementedError
