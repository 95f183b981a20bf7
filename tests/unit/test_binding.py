"""A strategy and its parameters; and what its author is told when it does not work."""

from __future__ import annotations

import enum
import errno
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from pydantic import BaseModel, ConfigDict, Field, create_model

from rmqueue import binding
from rmqueue.binding import BoundStrategy, parameter_type
from rmqueue.config import StrategyConfig, ZoneConfig
from rmqueue.errors import ConfigError, OutputError, PluginError, UsageError
from rmqueue.mm.jit import ENABLED
from rmqueue.registry import Registry
from rmqueue.types import Strategy
from rmqueue.zone import Zone
from tests.unit.authors import module_of, strategy_of

LINE = 6  # of a body's first line: two imports, a blank, the decorator and the def


class Colour(enum.IntEnum):
    RED = 3


class Parameters(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    limit: int = Field(default=7, ge=0, description="Limit [pages].")
    share: float = Field(default=0.5, description="Share [1].")
    keen: bool = Field(default=True, description="Keen [yes/no].")
    mode: Literal[1, 2, 4] = Field(default=2, description="Mode [number].")
    colour: Colour = Field(default=Colour.RED, description="Colour [number].")


def test_parameters_are_no_registry() -> None:
    wrong: Any = {"pages": 4}
    with pytest.raises(UsageError, match=r"registry: .* found \{'pages': 4\}: param"):
        Zone(ZoneConfig(pages=64), "chunked-refill", wrong)


COUNTING = """
st.calls += 1
if st.calls > st.limit:
    return -1
return rmqueue_steal(zone, order, start_mt)
"""


def counting(folder: Path) -> Strategy:
    return strategy_of(
        folder, COUNTING, parameters=Parameters, state=(("calls", "i8"),)
    )


def test_parameters_become_fields_of_the_record(tmp_path: Path) -> None:
    bound = BoundStrategy(counting(tmp_path), "6.14")
    assert bound.state.dtype.names == (*Parameters.model_fields, "calls")
    assert [bound.state.dtype[name].str for name in Parameters.model_fields] == [
        *("<i8", "<f8", "|b1", "<i8", "<i8")
    ]
    assert bound.state[0].tolist() == (7, 0.5, True, 2, 3, 0)
    assert bound.state.flags.aligned


def test_parameters_and_state_reach_the_strategy(tmp_path: Path) -> None:
    strategy = counting(tmp_path)
    zone = Zone(ZoneConfig(pages=1024), strategy)
    assert [zone.alloc() for _ in range(8)] == [*range(7), None]
    assert zone._bound.state["calls"][0] == 8
    other = Zone(ZoneConfig(pages=1024), strategy)
    assert other.alloc() == 0  # a state of its own
    assert zone._bound.state["calls"][0] == 8


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        (int, "i8"),
        (float, "f8"),
        (bool, "?"),
        (Colour, "i8"),
        (Literal[1, 2], "i8"),
        (Literal[1, 2.5], "f8"),
        (Literal[True, False], "?"),
    ],
)
def test_types_of_parameters(annotation: Any, expected: str) -> None:
    assert parameter_type(annotation) == expected


@pytest.mark.parametrize("annotation", [str, int | None, list[int], Literal["a"], Any])
def test_other_types_are_refused(tmp_path: Path, annotation: Any) -> None:
    model = create_model("Model", limit=(annotation, None))
    strategy = strategy_of(tmp_path, "return -1", parameters=model)
    with pytest.raises(PluginError, match=r"'mine': .*parameter 'limit' is of type"):
        BoundStrategy(strategy, "6.14")


@pytest.mark.parametrize(
    "state", [(("calls", "int99"),), (("limit", "i8"),), (("a", "i8"), ("a", "i8"))]
)
def test_impossible_state_is_refused(tmp_path: Path, state: Any) -> None:
    strategy = strategy_of(tmp_path, "return -1", parameters=Parameters, state=state)
    with pytest.raises(PluginError, match=r"'mine': its state .* is no record"):
        BoundStrategy(strategy, "6.14")


def test_a_full_disk_is_no_fault_of_the_strategy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(binding, "compile_strategy", full)
    with pytest.raises(OutputError, match=r"kept there: No space left on device: set"):
        BoundStrategy(strategy_of(tmp_path, "return -1"), "6.14")


class OnlyOne(Registry):
    """A registry with one strategy."""

    def __init__(self, record: Strategy) -> None:
        super().__init__(points=())
        self.record = record

    def strategy(self, name: str) -> Strategy:
        return self.record


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"limit": -1}, "params.limit: should be greater than or equal to 0 (found -1"),
        ({"limt": 1}, "params.limt: no field is called 'limt': did you mean 'limit'?"),
        ({"keen": "maybe"}, "params.keen: "),
    ],
)
def test_wrong_parameters_are_a_users_mistake(
    tmp_path: Path, params: dict[str, Any], words: str
) -> None:
    config = StrategyConfig(name="mine", params=params)
    with pytest.raises(ConfigError) as caught:
        BoundStrategy(config, "6.14", OnlyOne(counting(tmp_path)))
    assert str(caught.value).startswith(f"strategy 'mine': {words}")
    assert caught.value.exit_status == 2


def test_given_parameters_replace_the_defaults(tmp_path: Path) -> None:
    config = StrategyConfig(name="mine", params={"limit": 2, "colour": 3})
    bound = BoundStrategy(config, "6.14", OnlyOne(counting(tmp_path)))
    assert bound.state[0].tolist() == (2, 0.5, True, 2, 3, 0)


def test_parameters_of_a_configuration_are_used() -> None:
    with pytest.raises(ConfigError, match=r"params\.nonsense"):
        BoundStrategy(StrategyConfig(name="none", params={"nonsense": 1}), "6.14")


def test_mixed_lists_need_a_kernel_that_has_them() -> None:
    for kernel in ("6.1", "6.8", "6.9"):
        BoundStrategy("greedy-steal", kernel)
    for kernel in ("6.14", "6.18", "7.3"):
        with pytest.raises(UsageError, match=r"kernel .* does not allow"):
            BoundStrategy("greedy-steal", kernel)


def test_a_variable_may_be_called_like_a_field(tmp_path: Path) -> None:
    body = "calls = st.calls + zone.boost\nboost = calls\nreturn min(boost, 0) - 1"
    strategy = strategy_of(tmp_path, body, state=(("calls", "i8"),))
    assert Zone(ZoneConfig(pages=64, pageblock_order=4), strategy).alloc() is None


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    body = "a = zone.fre\nb = st.cals\nreturn -1"
    with pytest.raises(PluginError) as caught:
        BoundStrategy(strategy_of(tmp_path, body, state=(("calls", "i8"),)), "6.14")
    assert len(str(caught.value).splitlines()) == 2


def test_a_mistake_in_a_function_that_it_calls(tmp_path: Path) -> None:
    module = module_of(
        tmp_path,
        """
        @jit
        def inner(zone):
            return zone.nr_fre

        @jit
        def fallback(zone, order, start_mt, flags, batch, st):
            return inner(zone)
        """,
    )
    with pytest.raises(PluginError, match=r"line \d+: zone has no field 'nr_fre'"):
        BoundStrategy(Strategy("mine", "Mine.", module.fallback), "6.14")


def test_a_wrong_number_of_parameters(tmp_path: Path) -> None:
    module = module_of(tmp_path, "@jit\ndef fallback(zone, order):\n    return -1\n")
    with pytest.raises(PluginError, match="takes 2 parameters: it is called with 6"):
        BoundStrategy(Strategy("mine", "Mine.", module.fallback), "6.14")


def test_a_missing_decorator(tmp_path: Path) -> None:
    text = "def plain(zone, order, start_mt, flags, batch, st):\n    return -1\n"
    strategy = Strategy("mine", "Mine.", module_of(tmp_path, text).plain)
    if ENABLED:
        with pytest.raises(PluginError, match="'plain' is not decorated: put @jit"):
            BoundStrategy(strategy, "6.14")
    else:  # a debugger steps through plain functions
        assert Zone(ZoneConfig(pages=64, pageblock_order=4), strategy).alloc() is None


def test_the_record_is_the_address_that_the_zone_knows(tmp_path: Path) -> None:
    zone = Zone(ZoneConfig(pages=64, pageblock_order=4), counting(tmp_path))
    assert int(zone._record["strategy_state"]) == zone._bound.state.ctypes.data
    assert isinstance(zone._bound.state, np.ndarray)
