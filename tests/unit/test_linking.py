"""What an entry point links: everything that it reaches, users before what they use."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from rmqueue.mm.linking import users_first


@dataclass(eq=False)
class Library:
    """What stands for the code of a brick."""

    name: int
    _linking_libraries: list[Library] = field(default_factory=list)


@given(st.lists(st.lists(st.integers(0, 11), max_size=6), min_size=1, max_size=12))
def test_a_library_stands_behind_all_that_use_it(calls: list[list[int]]) -> None:
    """LLVM would leave out one that nothing before it calls."""
    libraries = [Library(name) for name in range(len(calls))]
    for library, used in zip(libraries, calls, strict=True):
        names = {name for name in used if library.name < name < len(calls)}
        library._linking_libraries = [libraries[name] for name in sorted(names)]
    found = users_first(libraries[:1])
    reached = {0}
    for library in libraries:
        if library.name in reached:
            reached |= {used.name for used in library._linking_libraries}
    assert [library.name for library in found].count(0) == 1
    assert {library.name for library in found} == reached
    assert len(found) == len(reached)
    place = {library.name: at for at, library in enumerate(found)}
    for library in found:
        for used in library._linking_libraries:
            assert place[library.name] < place[used.name]
