"""The golden vectors: traces and what the kernel's own code answered to them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tests.naive import OPS_DTYPE, NaiveConfig

DATA = Path(__file__).parent / "data"
TRACES = tuple(sorted(p.stem.removeprefix("trace_") for p in DATA.glob("trace_*.npz")))
VARIANTS = {
    "greedy": ("6.9", "greedy-steal"),
    "hygiene": ("6.14", "claim-whole-block"),
    "smallest": ("6.14", "steal-smallest-buddy"),
    "remembered": ("6.14", "remembered-fallback"),
    "latest": ("7.3", "tight-fallback"),
}


@dataclass(frozen=True)
class Trace:
    """One op stream with the geometry of its zone (kernel and strategy still open)."""

    name: str
    fields: dict[str, Any]
    slots: int
    ops: npt.NDArray[Any]

    def config(self, variant: str) -> NaiveConfig:
        kernel, strategy = VARIANTS[variant]
        return NaiveConfig(kernel=kernel, strategy=strategy, **self.fields)


def load_trace(name: str) -> Trace:
    with np.load(DATA / f"trace_{name}.npz") as data:
        meta = json.loads(str(data["meta"]))
        cfg = [int(x) for x in data["cfg"]]
        ops = np.zeros(len(data["code"]), OPS_DTYPE)
        for field in ("code", "a", "b", "c"):
            ops[field] = data[field]
    fields = {
        "start_pfn": cfg[0],
        "pages": cfg[1],
        "cpus": cfg[2],
        "min_free_kbytes": cfg[3],
        "watermark_boost_factor": cfg[4],
        "watermark_scale_factor": cfg[5],
        "cma": bool(meta["cma"]),
        "cma_pageblocks": cfg[6],
        "pcp_free_high_batch": bool(cfg[7]),
        "page_group_by_mobility_disabled": bool(cfg[8]),
        "percpu_pagelist_high_fraction": cfg[9],
        "pageblock_order": meta["pageblock_order"],
        "reserved": tuple(zip(cfg[12::2], cfg[13::2], strict=True)),
    }
    return Trace(name, fields, cfg[10], ops)


def load_result(variant: str, name: str) -> dict[str, npt.NDArray[Any]]:
    with np.load(DATA / f"{variant}__{name}.npz") as data:
        return {key: data[key] for key in data.files}
