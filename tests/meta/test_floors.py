"""Imports point down: a module imports only its own floor or lower ones.

Give a new module a floor in the commit that adds it.
"""

from __future__ import annotations

import ast
from graphlib import CycleError, TopologicalSorter

import pytest

from tests.meta.sources import core_modules, imports, python_files, shown, tree

#: Modules of rmqueue by floor; `.` is the facade.
FLOORS = {
    0: "mm mm.alone mm.crossing mm.inference mm.jit mm.linking mm.plain mm.profile "
    "mm.steps",
    1: "mm.mmzone mm.queue mm.random mm.run mm.vmstat",
    2: "mm.free_list mm.hold mm.watermark",
    3: "mm.buddy mm.pageblock",
    4: "mm.fallback mm.highatomic mm.look_ahead mm.lru",
    5: "mm.address_order mm.page_alloc",
    6: "mm.pcp",
    7: "mm.boot mm.check mm.check_lists mm.check_pages mm.checkpoint mm.pageset "
    "mm.replay mm.surgery",
    8: "mm.direct mm.follow mm.population mm.reclaim mm.smp mm.strategy",
    9: "errors interrupt mistyped mm.free_run procfs results trace trace.chunks "
    "trace.compaction trace.events trace.records types",
    10: "diagnosis hookspecs output plugin_file record_settings record_wakeups "
    "trace.score trace.takes tracefs validation",
    11: "loader options record_drain record_scan record_script registry "
    "trace.columns trace.lookahead trace.merge trace.survey",
    12: "config cost experiment_file measures metrics ops record_about "
    "record_child request runner storage trace.requests trace_source",
    13: "binding bootstrap faults figures record restore samples trace.twin zone "
    "zone_view",
    14: "experiment experiment_source outcomes runs sensitivity simulation start "
    "statistics step_start study study.design study.file study.identity "
    "study.kept study.need study.root study.task testing testing.bookkeeping "
    "testing.checklist testing.conformance testing.golden testing.model_checks "
    "testing.plugin_checks testing.speed testing.step_checks testing.step_watch "
    "testing.strategy_checks testing.streams testing.trials "
    "testing.workload_checks trace.ending trace.free_run trace.pcp_follow "
    "trace.pcp_law trace.plan trace.predict trace.resync trace.verdict",
    15: "bench bench_asv bench_checkout bench_command bench_compare bench_tracks check "
    "check_command compare export grid history history_command history_lines "
    "history_page listing new new_command progress record_command report "
    "statistics_report study.against study.cluster study.cluster_client study.columns "
    "study.dataset study.files study.flight study.member study.page "
    "study.page.browser study.page.chapters study.page.figures study.page.maps "
    "study.page.need study.page.numbers study.page.page study.page.report "
    "study.page.series study.page.sweeps "
    "study.page.table study.page.verdict study.progress study.report_command "
    "study.results "
    "study.results_command study.run study.run_command study.schedule study.study "
    "study.work trace.statistics trace_command trace_import trace_report validate "
    "validate_report verify watch watch_board watch_command",
    16: ". cli",
}
FLOOR_OF = {
    "rmqueue" if name == "." else f"rmqueue.{name}": floor
    for floor, names in FLOORS.items()
    for name in names.split()
}
#: The one door to numba, and its other parts.
DOOR = {
    f"core/rmqueue/mm/{name}.py"
    for name in ("jit", "linking", "inference", "steps", "crossing", "direct")
}
PLUG_INS = ("strategies/rmqueue_strategies", "plugins/rmqueue_plugins")


def test_every_module_has_a_floor() -> None:
    homeless = sorted(core_modules().keys() - FLOOR_OF.keys())
    assert not homeless, f"give these a floor in {__file__}"
    gone = sorted(FLOOR_OF.keys() - core_modules().keys())
    assert not gone, f"these do not exist any more: remove them from {__file__}"


def test_imports_are_absolute() -> None:
    """A relative one would slip through the tests below."""
    found = [
        f"{shown(path)}:{line}: {name}"
        for path in python_files("core/rmqueue", *PLUG_INS)
        for line, name in imports(path)
        if name.startswith(".")
    ]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("module", sorted(core_modules()))
def test_imports_point_down(module: str) -> None:
    path = core_modules()[module]
    floor = FLOOR_OF.get(module, -1)
    breaches = [
        f"{shown(path)}:{line}: floor {floor} imports {name}, floor {FLOOR_OF[name]}"
        for line, name in imports(path)
        if FLOOR_OF.get(name, -1) > floor
    ]
    assert not breaches, "\n".join(breaches)


def test_no_import_goes_round_in_a_circle() -> None:
    graph = {
        module: {name for _, name in imports(path)} & core_modules().keys()
        for module, path in core_modules().items()
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


def test_core_knows_no_plugin() -> None:
    """By import or by name; a hook may be called like one of our packages."""
    found = []
    for path in python_files("core/rmqueue"):
        for line, name in imports(path):
            if name.partition(".")[0] in ("rmqueue_strategies", "rmqueue_plugins"):
                found.append(f"{shown(path)}:{line}: imports {name}")
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                text = node.value
                if "rmqueue_strategies." in text or "rmqueue_plugins" in text:
                    found.append(f"{shown(path)}:{node.lineno}: names {text!r}")
    assert not found, "\n".join(found)


def test_plug_ins_stay_away_from_the_command_line() -> None:
    found = [
        f"{shown(path)}:{line}: imports {name}"
        for path in python_files(*PLUG_INS)
        for line, name in imports(path)
        if name == "rmqueue.cli" or name.startswith("rmqueue.cli.")
    ]
    assert not found, "\n".join(found)


def test_one_door_to_numba() -> None:
    found = [
        f"{shown(path)}:{line}: imports {name}"
        for path in python_files("core/rmqueue", *PLUG_INS)
        if shown(path) not in DOOR
        for line, name in imports(path)
        if name.partition(".")[0] in ("numba", "llvmlite")
    ]
    assert not found, "\n".join(found)
