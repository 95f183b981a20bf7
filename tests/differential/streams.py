"""The random zones and streams of `rmqueue.testing`, for the plain allocator too."""

from __future__ import annotations

from rmqueue.testing.streams import random_ops, random_zone
from tests.naive import NaiveConfig

__all__ = ["PAIRS", "random_config", "random_ops"]

KERNELS = ("6.1", "6.8", "6.9", "6.14", "6.18", "7.3")
STRATEGIES = (
    "none",
    "greedy-steal",
    "claim-whole-block",
    "steal-smallest-buddy",
    "remembered-fallback",
    "tight-fallback",
)
PAIRS = tuple(
    (kernel, strategy)
    for kernel in KERNELS
    for strategy in STRATEGIES
    if kernel in ("6.1", "6.8", "6.9") or strategy != "greedy-steal"
)


def random_config(
    seed: int, kernel: str = "6.14", strategy: str = "remembered-fallback"
) -> NaiveConfig:
    zone = random_zone(seed, kernel)
    return NaiveConfig(**zone.model_dump(), strategy=strategy)
