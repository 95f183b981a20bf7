"""Machines: what a unit of each work counter costs, and the geometry of a node."""

from __future__ import annotations

from rmqueue.hookspecs import hookimpl
from rmqueue.types import Machine

NS, US = 1_000, 1_000_000

#: Table C of the model of LKP's server.  Fitted: a step of a warm scan to the published
#: throughput of steal-smallest-buddy; list_del and pcp_flush_pages, by one factor, to
#: the share of time that remembered-fallback spins.
_SERVER_PS = {
    "lock": 50 * NS,
    "list_del": 125 * NS,
    "split": 30 * NS,
    "area": 4 * NS,
    "head": 2 * NS,
    "claim_try": 30 * NS,
    "list_move": 20 * NS,
    "move_page": 6 * NS,
    "scan_page": 10 * NS,
    "pcp_flush_pages": 200 * NS,
}
_LKP_MAIL = "lkml 202505191442.830abdbd-lkp@intel.com"
_BOARD_MAIL = "lkml 20250407180154.63348-1-hannes@cmpxchg.org"

GENERIC = Machine(
    name="generic",
    summary="A server CPU: struct pages cold in the cache, scans at 10 ns a page.",
    weights_ps=_SERVER_PS,
    references=(_LKP_MAIL,),
)

LKP = Machine(
    name="lkp-cpl-4sp2",
    summary="LKP's Xeon Platinum 8380H: 224 CPUs, 4 nodes of 48 GB; one node.",
    weights_ps={**_SERVER_PS, "scan_page_warm": 4 * NS},
    warm_scans=32,  # 1 MB of L2, 32 KB of struct page per pageblock
    handover_ps=300 * NS,
    nodes=4,
    zone={
        "pages": 12_582_912,
        "cpus": 57,  # 56 of tasks, and kswapd's
        "min_free_kbytes": 33_792,  # khugepaged's value, for one of four nodes
    },
    references=(_LKP_MAIL,),
)

ZEN3 = Machine(
    name="amd-zen3-2s",
    summary="AMD Zen 3, 2 x 64 CPUs as one node; the patch's second server.",
    weights_ps={
        **_SERVER_PS,
        "list_del": 50 * NS,
        "pcp_flush_pages": 80 * NS,
        "scan_page_warm": 2_500,
    },
    warm_scans=16,  # 512 KB of L2
    handover_ps=300 * NS,
    nodes=1,
    zone={"pages": 12_582_912, "cpus": 129, "min_free_kbytes": 135_168},
    references=(_LKP_MAIL,),
)

#: A call that the function tracer sees.
_TRACED = 1_600 * NS
_BOARD_ZONE = {
    "pages": 194_560,
    "cpus": 2,
    "max_page_order": 11,
    "pageblock_order": 11,
}
#: Untraced: a page, a free area looked at, a step of a warm and of a cold scan.
_PAGE, _AREA, _WARM, _COLD = 300 * NS, 100 * NS, 25 * NS, 50 * NS

IMX7D_TRACED = Machine(
    name="imx7d-sdb",
    summary="i.MX7D SDB board, 2 Cortex-A7 at 1 GHz, with the function tracer on.",
    weights_ps={
        "bulk": 5 * US,
        "list_del": _PAGE + _TRACED,
        "area": _AREA + _TRACED,
        "claim_try": _TRACED,
        "scan_page": _WARM,
    },
    # what the tracer sees depends on what the compiler of that kernel has inlined
    strategy_weights_ps={
        "greedy-steal": {
            "list_del": _PAGE,
            "claim_try": 2 * _TRACED,
            "scan_page": _COLD,  # each block is scanned once
        },
        "tight-fallback": {"area": _AREA},
    },
    zone=_BOARD_ZONE,
    references=(_BOARD_MAIL,),
)

IMX7D = Machine(
    name="imx7d-sdb-untraced",
    summary="i.MX7D SDB board without the tracer: a prediction, nobody measured it.",
    weights_ps={"list_del": _PAGE, "area": _AREA, "scan_page": _WARM},
    strategy_weights_ps={"greedy-steal": {"scan_page": _COLD}},
    zone=_BOARD_ZONE,
    references=(_BOARD_MAIL,),
)


@hookimpl
def rmqueue_machines() -> list[Machine]:
    """Register the machines of this module."""
    return [GENERIC, LKP, ZEN3, IMX7D_TRACED, IMX7D]
