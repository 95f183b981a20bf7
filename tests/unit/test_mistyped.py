"""Values of a wrong type: what is refused, and what a model may convert."""

from __future__ import annotations

from typing import Annotated, Any

import pytest
from pydantic import BaseModel, BeforeValidator, Field, field_validator, model_validator

from rmqueue.mistyped import mistyped

Small = Annotated[int, Field(ge=0)]
Size = Annotated[int, BeforeValidator(lambda text: int(str(text).removesuffix("K")))]


class Inner(BaseModel):
    many: tuple[Small, ...] = ()


class Outer(BaseModel):
    """Fields of all forms."""

    whole: int = 0
    share: float | None = None
    choice: bool = False
    either: int | str = 0
    text: str = ""
    costs: dict[str, Small] = {}
    pairs: tuple[tuple[int, float], ...] = ()
    inner: Inner | None = None
    tables: list[Inner] = []
    named: int = Field(default=0, alias="from")
    several: list[int] | int = 0
    size: Size = 0
    sizes: list[Size] = []
    own: int = 0
    anything: dict[str, Any] = {}

    @field_validator("own", mode="before")
    @classmethod
    def _own(cls, value: object) -> object:
        return value


class Free(BaseModel):
    whole: int = 0

    @model_validator(mode="before")
    @classmethod
    def _free(cls, values: object) -> object:
        return values


@pytest.mark.parametrize(
    ("values", "where"),
    [
        ({"whole": "1"}, ("whole",)),
        ({"whole": True}, ("whole",)),
        ({"share": "0.5"}, ("share",)),
        ({"share": False}, ("share",)),
        ({"choice": "yes"}, ("choice",)),
        ({"costs": {"lock": "1"}}, ("costs", "lock")),
        ({"pairs": [[1, 2], [3, "4"]]}, ("pairs", 1, 1)),
        ({"inner": {"many": [1, True]}}, ("inner", "many", 1)),
        ({"tables": [{}, {"many": ["1"]}]}, ("tables", 1, "many", 0)),
        ({"from": "1"}, ("from",)),
        ({"several": "1"}, ("several",)),
        ({"several": [1, "1"]}, ("several", 1)),
    ],
)
def test_what_is_refused(values: dict[str, Any], where: tuple[str | int, ...]) -> None:
    assert [at for at, _ in mistyped(Outer, values)] == [where]


@pytest.mark.parametrize(
    "values",
    [
        {"whole": 1, "share": 1, "choice": True, "either": "1", "text": "1"},
        {"share": None, "inner": None, "anything": {"x": "1", "y": True}},
        {"size": "4K", "sizes": ["4K"], "own": "1"},
        {"unknown": "1", "costs": 5, "pairs": "1", "inner": 3, "tables": {}},
        {"several": 1},
        [],
    ],
)
def test_what_is_left_to_the_model(values: object) -> None:
    assert not list(mistyped(Outer, values))


def test_a_model_that_converts_all_is_left_alone() -> None:
    assert not list(mistyped(Free, {"whole": "1"}))
