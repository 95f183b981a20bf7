"""The conformance kit fails what is wrong, and says what and where."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from textwrap import dedent, indent
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, Field

from rmqueue.check import CHECKS, run
from rmqueue.errors import PluginError, UnknownNameError, UsageError
from rmqueue.loader import KINDS
from rmqueue.mm.jit import ENABLED
from rmqueue.registry import Registry, default_registry
from rmqueue.testing import conformance
from rmqueue.testing.checklist import FAILED, OK, SKIPPED, Result, Subject, perform
from rmqueue.types import (
    Machine,
    NoParameters,
    Reporter,
    Strategy,
    TraceReader,
)
from tests.unit.authors import module_of

IMPORTS = """\
from rmqueue.mm.buddy import page_del_and_expand
from rmqueue.mm.fallback import find_suitable_fallback, first_block
from rmqueue.mm.mmzone import HIGHATOMIC
from rmqueue.mm.buddy import rmqueue_smallest
from rmqueue.mm.pageblock import set_pageblock_type


@jit
def fallback(zone, order, start_mt, flags, batch, st):
"""
#: Finds the smallest block of another type: what a wrong strategy does with it follows.
SEARCH = """\
for high in range(order, zone.max_order + 1):
    mt = find_suitable_fallback(zone, high, start_mt, False)
    if mt >= 0:
        pfn = first_block(zone, high, mt)
"""
#: What a strategy does wrong -> its body, a check that fails, words of the message.
WRONG = {
    "takes nothing off the lists": (
        SEARCH + "        return pfn\nreturn -1",
        "invariants_6_14",
        "returned a page that is still free or in use elsewhere",
    ),
    "counts nothing": (
        SEARCH
        + "        page_del_and_expand(zone, pfn, order, high, mt)\n"
        + "        return pfn\nreturn -1",
        "books_6_14",
        "neither zone.claims nor zone.steals has it",
    ),
    "counts a steal as a claim": (
        SEARCH
        + "        page_del_and_expand(zone, pfn, order, high, mt)\n"
        + "        zone.claims[start_mt, mt] += 1\n"
        + "        return pfn\nreturn -1",
        "books_6_14",
        "changed their type, and zone.claims counts 1 claims of such",
    ),
    "counts in the wrong row": (
        SEARCH
        + "        page_del_and_expand(zone, pfn, order, high, mt)\n"
        + "        zone.steals[start_mt, mt] += 1\n"
        + "        zone.steals[mt, start_mt] += 1\n"
        + "        return pfn\nreturn -1",
        "books_6_9",
        "fallbacks of other types were counted",
    ),
    "loses pages": (
        SEARCH
        + "        page_del_and_expand(zone, pfn, order, high, mt)\n"
        + "        return -1\nreturn -1",
        "invariants_7_3",
        "after operation ",
    ),
    "leaves free pages on lists of another type": (
        "pfn = rmqueue_steal(zone, order, start_mt)\n"
        "if pfn >= 0:\n    set_pageblock_type(zone, pfn, start_mt)\n"
        "return pfn",
        "invariants_7_3",
        "invariant list_types is broken at pfn",
    ),
    "takes the reserve": (
        "pfn = rmqueue_steal(zone, order, start_mt)\n"
        "if pfn < 0:\n    pfn = rmqueue_smallest(zone, order, HIGHATOMIC)\n"
        "return pfn",
        "highatomic",
        "of the HIGHATOMIC reserve",
    ),
}


def strategy_of(folder: Path, body: str, **fields: Any) -> Strategy:
    text = IMPORTS + indent(dedent(body), "    ") + "\n"
    return Strategy("mine", "Mine.", module_of(folder, text).fallback, **fields)


def result_of(kind: str, record: Any, name: str) -> Result:
    check = next(check for check in CHECKS[kind] if check.name == name)
    return perform(check, Subject(kind, record, default_registry(), "my file"))


@pytest.mark.parametrize("wrong", WRONG)
def test_what_a_strategy_does_wrong(tmp_path: Path, wrong: str) -> None:
    body, check, words = WRONG[wrong]
    result = result_of("strategy", strategy_of(tmp_path, body), check)
    assert result.status == FAILED
    assert words in result.message
    assert "strategy 'mine'" in result.message
    assert str(tmp_path) in result.message
    assert ", line 11" in result.message


@pytest.mark.slow
def test_a_slow_strategy(tmp_path: Path) -> None:
    body = """\
    for pfn in range(zone.start, zone.end):
        if load_u8(zone.pages, pfn) == 255:
            return -1
    return rmqueue_steal(zone, order, start_mt)
    """
    text = (
        "from rmqueue.mm.mmzone import page_state\n"
        + IMPORTS
        + indent(
            dedent(body).replace("load_u8(zone.pages, pfn)", "page_state(zone, pfn)"),
            "    ",
        )
    )
    record = Strategy("mine", "Mine.", module_of(tmp_path, text).fallback)
    result = result_of("strategy", record, "speed")
    assert result.status == FAILED
    assert "times the time of remembered-fallback" in result.message


def test_what_does_not_compile(tmp_path: Path) -> None:
    record = strategy_of(tmp_path, "return rmqueue_stael(zone, order, start_mt)")
    result = result_of("strategy", record, "compiles")
    assert result.status == FAILED
    assert result.message.count("strategy 'mine'") == 1
    assert "line 13: name 'rmqueue_stael' is not defined" in result.message


class Undocumented(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    tries: int = Field(default=3, description="How often.")


class Loose(BaseModel):
    tries: int = Field(default=3, description="How often [tries].")


class Missing(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    tries: int = Field(description="How often [tries].")


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (Undocumented, "parameter 'tries' is described by 'How often.'"),
        (Loose, "Loose lets itself be changed"),
        (Missing, "tries: there is no default"),
    ],
)
def test_wrong_parameters(tmp_path: Path, model: type[BaseModel], words: str) -> None:
    record = strategy_of(tmp_path, "return -1", parameters=model)
    result = result_of("strategy", record, "parameters")
    assert result.status == FAILED
    assert words in result.message
    assert f"{__file__}, line " in result.message


class Ranged(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    tries: int = Field(default=3, gt=0, le=7, description="How often [tries].")


def test_the_ends_of_a_range(tmp_path: Path) -> None:
    body = "return 0 if st.tries == 7 else -1"
    record = strategy_of(tmp_path, body, parameters=Ranged)
    assert result_of("strategy", record, "invariants_6_14").status == OK
    result = result_of("strategy", record, "ranges")
    assert result.status == FAILED
    assert "parameters {'tries': 7}" in result.message
    record = replace(record, parameters=NoParameters)
    assert result_of("strategy", record, "ranges").status == SKIPPED


def test_rules_of_the_kernel_are_remarked_on(tmp_path: Path) -> None:
    record = strategy_of(tmp_path, "return rmqueue_steal(zone, order, start_mt)")
    for name, words in (("nofragment", "ALLOC_NOFRAGMENT"), ("cma", "CMA pages")):
        result = result_of("strategy", record, name)
        assert result.status == OK
        assert words in result.message


def test_lists_that_a_kernel_does_not_have() -> None:
    greedy = default_registry().strategy("greedy-steal")
    result = result_of("strategy", greedy, "invariants_7_3")
    assert result.status == SKIPPED
    assert "which this kernel forbids" in result.message


# Other kinds -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "check", "words"),
    [
        ({"weights_ps": {"lok": 1}}, "costs", "did you mean 'lock'"),
        ({"weights_ps": {"lock": -1}}, "costs", "cannot be negative"),
        ({"weights_ps": {"lock": 0.5}}, "costs", "whole picoseconds"),
        ({"strategy_weights_ps": {"none": {"lok": 1}}}, "costs", "['none']"),
        ({"nodes": 0}, "numbers", "nodes is 0"),
        ({"zone": {"pages": 0}}, "numbers", "zone.pages"),
        ({"summary": "Two\nlines."}, "summary", "one line"),
    ],
)
def test_wrong_machines(fields: dict[str, Any], check: str, words: str) -> None:
    values: dict[str, Any] = {"weights_ps": {"lock": 1}, "summary": "Mine."}
    result = result_of("machine", Machine("mine", **{**values, **fields}), check)
    assert result.status == FAILED
    assert words in result.message
    assert result.message.startswith("machine 'mine' (my file): ")


def test_wrong_readers() -> None:
    def accepts(path: Path) -> Any:
        return b"trace" in path.read_bytes()

    def read(path: Path) -> Any:
        return path.read_text()

    record = TraceReader("mine", "Mine.", accepts, read)
    result = result_of("trace reader", record, "accepts")
    assert result.status == FAILED
    assert "accepts() raised FileNotFoundError on a path that does" in result.message
    result = result_of("trace reader", record, "refuses")
    assert "read() raised FileNotFoundError" in result.message
    assert "TraceError" in result.message
    record = replace(record, accepts=lambda path: None)  # type: ignore[arg-type,return-value]
    result = result_of("trace reader", record, "accepts")
    assert "accepts() returned None" in result.message


@pytest.mark.parametrize(
    ("rendered", "words"),
    [
        (b"", "returned bytes"),
        ("x", "does not end in a newline"),
        (None, "KeyError: 'x' (raised in"),
    ],
)
def test_wrong_reporters(rendered: Any, words: str) -> None:
    def render(comparison: object) -> Any:
        return vars(comparison)["x"] if rendered is None else rendered

    record = Reporter("mine", "Mine.", "txt", render)
    result = result_of("reporter", record, "text")
    assert result.status == FAILED
    assert words in result.message
    assert "'txt'" in result_of("reporter", record, "suffix").message


def test_a_binary_reporter_makes_bytes() -> None:
    good = Reporter("mine", "Mine.", ".bin", lambda found: b"PAR1", binary=True)
    assert result_of("reporter", good, "text").status == OK
    text = replace(good, render=lambda found: "text\n")
    result = result_of("reporter", text, "text")
    assert result.status == FAILED
    assert "returned str" in result.message
    assert "it says it is binary" in result.message


# The command and the classes ---------------------------------------------------------


def test_every_kind_has_checks() -> None:
    assert CHECKS.keys() == KINDS.keys()


def test_the_list_of_a_name_of_two_kinds(capsys: pytest.CaptureFixture[str]) -> None:
    run("lkp")
    printed = capsys.readouterr().out
    assert "reporter lkp: rmqueue " in printed
    assert "experiment lkp: rmqueue " in printed
    assert "  ok       render() returns text" in printed
    assert FAILED not in printed


IDEA = """\
from rmqueue.hookspecs import hookimpl
from rmqueue.types import Machine


@hookimpl
def rmqueue_machines():
    return [Machine("mine", "No full stop", {"lok": 1})]
"""


def test_a_file_that_fails(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text(IDEA)
    for name in (None, "mine"):
        registry = Registry()
        registry.add_file(path)
        with pytest.raises(
            PluginError, match=r"^machine 'mine': 2 of 3 checks failed$"
        ):
            run(name, registry)
        printed = capsys.readouterr().out.splitlines()
        assert printed[0] == f"machine mine: file {path}"
        assert printed[1] == "  FAILED   its summary is a sentence"
        assert printed[2].startswith(f"    machine 'mine' (file {path}): its summary ")


def test_nothing_to_check() -> None:
    with pytest.raises(UsageError, match="name a plugin, or a file"):
        run(None, Registry())
    with pytest.raises(UnknownNameError, match="did you mean 'generic'"):
        run("generik")


def test_records_are_taken_too(tmp_path: Path) -> None:
    class TestMine(conformance.StrategyConformance):
        strategy = strategy_of(tmp_path, "return -1")

    tests: Any = TestMine()
    tests.test_conservation()
    tests.test_isolation()
    with pytest.raises(pytest.skip.Exception, match="no parameter has a range"):
        tests.test_ranges()
    TestMine.strategy = strategy_of(tmp_path, WRONG["counts nothing"][0])
    with pytest.raises(pytest.fail.Exception, match=r"neither zone\.claims nor"):
        tests.test_books_6_14()


@pytest.mark.skipif(not ENABLED, reason="says the same twice")
def test_only_the_classes_need_pytest() -> None:
    code = "import sys, rmqueue.check, rmqueue.new; assert 'pytest' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
