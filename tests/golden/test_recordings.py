"""The public set of recordings of real kernels, against what is known to be possible.

The set is not part of the project: it is looked for beside the repository, and each
test says that it was skipped where it is not.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from rmqueue.registry import default_registry
from rmqueue.trace.score import claims_of
from rmqueue.validate import find_evidence, validate

RECORDINGS = Path(__file__).parents[2].parent / "shared" / "recordings"


@dataclass(frozen=True)
class Bar:
    """What another implementation of the same rules reached."""

    pages: int
    exact: int
    strict: float  # [%]
    fallbacks: tuple[int, int]  # predicted, recorded
    claims: tuple[int, int]
    lists: tuple[int, int]  # equal at the end, of
    refills: tuple[int, int]  # of exactly the size, of
    frees: float  # explained [%]


BARS = {
    "steal-7.3": Bar(
        *(118426, 118422, 90.23, (84053, 84053), (15, 17)),
        *((16, 16), (5319, 5319), 99.66),
    ),
    "thp-7.3": Bar(
        *(52689, 52689, 99.96, (0, 0), (0, 0)),
        *((40, 40), (161, 161), 99.98),
    ),
    "mmapread-7.3": Bar(
        *(174629, 174540, 96.26, (85034, 85046), (12, 12)),
        *((14, 20), (6385, 6458), 99.23),
    ),
    "tartree-6.18": Bar(
        *(38479, 38479, 100.0, (8, 8), (8, 8)),
        *((48, 48), (2506, 2506), 99.67),
    ),
    "tracecmd-6.18": Bar(
        *(62455, 62152, 82.09, (4943, 4943), (39, 40)),
        *((27, 27), (1961, 1970), 99.68),
    ),
    "steal-6.12": Bar(
        *(128403, 128402, 100.0, (69679, 69679), (15, 16)),
        *((18, 18), (1622, 1622), 100.0),
    ),
    "mmapread-6.12": Bar(
        *(169357, 169349, 96.42, (60087, 60087), (10, 10)),
        *((23, 23), (2561, 2567), 99.91),
    ),
    "mix-6.12": Bar(
        *(121750, 121749, 99.97, (9377, 9377), (2, 2)),
        *((45, 45), (1133, 1167), 99.99),
    ),
    "boot-6.12": Bar(
        *(42357, 42357, 100.0, (0, 0), (0, 0)),
        *((26, 26), (1209, 1209), 100.0),
    ),
    "steal-6.1": Bar(
        *(94411, 94411, 99.84, (34154, 34154), (21, 21)),
        *((20, 20), (18815, 18815), 100.0),
    ),
    "frag-6.1": Bar(
        *(110930, 110893, 95.76, (107, 107), (54, 54)),
        *((24, 24), (17473, 17473), 99.84),
    ),
    "forkstorm-6.1": Bar(
        *(32843, 32843, 100.0, (1, 1), (1, 1)),
        *((28, 28), (2428, 2428), 100.0),
    ),
}


def at_least(part: int, whole: int, bar: tuple[int, int]) -> bool:
    """Whether a share is not below another, exactly."""
    return part * bar[1] >= bar[0] * whole


def as_near(found: tuple[int, int], bar: tuple[int, int]) -> bool:
    """Whether as many were recorded, and no worse a number predicted."""
    return found[1] == bar[1] and abs(found[0] - found[1]) <= abs(bar[0] - bar[1])


@pytest.mark.slow
@pytest.mark.parametrize("name", BARS)
def test_recording_is_explained(name: str) -> None:
    folder, bar = RECORDINGS / name, BARS[name]
    if not folder.is_dir():
        pytest.skip(f"no shared/recordings/{name} beside the repository")
    evidence = find_evidence(str(folder), default_registry())
    found = validate(evidence, (evidence.strategy,), strict=True)
    column, strict = found.columns
    score, end, pcp = column.score, column.ending, found.pcp
    assert end is not None
    assert pcp is not None
    assert score.pages == strict.score.pages == bar.pages
    assert score.exact >= bar.exact
    assert round(strict.score.exact_percent, 2) >= bar.strict
    fallbacks = score.predicted.total(), score.recorded.total()
    claims = claims_of(score.predicted), claims_of(score.recorded)
    assert as_near(fallbacks, bar.fallbacks)
    assert as_near(claims, bar.claims)
    assert (end.lists, end.types) == (bar.lists[1], 0)
    assert end.equal >= bar.lists[0]
    assert at_least(pcp.exact_refills, pcp.refills, bar.refills)
    assert round(pcp.explained_percent, 2) >= bar.frees
