"""A laboratory for the Linux page allocator's fallback path.

Names only: each is imported from its module at first use, so that ``import rmqueue``
costs neither numba nor pydantic.

>>> import rmqueue as rq
>>> rq.ZoneConfig(pages=262_144).kernel
'6.14'
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rmqueue.config import StrategyConfig, ZoneConfig
    from rmqueue.errors import RmqueueError
    from rmqueue.experiment import Experiment
    from rmqueue.mm.direct import strategy
    from rmqueue.ops import OPS_DTYPE
    from rmqueue.results import Comparison
    from rmqueue.types import Strategy
    from rmqueue.zone import Zone

    __version__: str

__all__ = [
    "OPS_DTYPE",
    "Comparison",
    "Experiment",
    "RmqueueError",
    "Strategy",
    "StrategyConfig",
    "Zone",
    "ZoneConfig",
    "__version__",
    "strategy",
]

_HOMES = {
    "OPS_DTYPE": "ops",
    "Comparison": "results",
    "Experiment": "experiment",
    "RmqueueError": "errors",
    "Strategy": "types",
    "StrategyConfig": "config",
    "Zone": "zone",
    "ZoneConfig": "config",
    "strategy": "mm.direct",
}


def __getattr__(name: str) -> object:
    if name == "__version__":
        from importlib.metadata import version

        value: object = version("rmqueue")
    elif name in _HOMES:
        from importlib import import_module

        value = getattr(import_module(f"rmqueue.{_HOMES[name]}"), name)
    else:
        raise AttributeError(f"module 'rmqueue' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
