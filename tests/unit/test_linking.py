"""What an entry point links: everything that it reaches, users before what they use."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st
from llvmlite import ir

from rmqueue.mm import linking
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


def test_only_the_slots_of_cold_calls_stay_unset(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A callee that LLVM copies in needs the zero, or its last result would live on."""
    monkeypatch.setattr(linking, "COLD", {"cold"})
    module, word = ir.Module(), ir.IntType(64)
    form = ir.FunctionType(word, [ir.PointerType(), ir.PointerType(), word])
    caller = ir.Function(module, ir.FunctionType(word, [word]), "caller")
    builder = ir.IRBuilder(caller.append_basic_block())
    slots = [builder.alloca(word) for _ in range(5)]
    for slot in slots:
        builder.store(word(0), slot)
    own = builder.store(caller.args[0], slots[0])
    for name, at in (("cold", 0), ("copied", 2)):
        callee = ir.Function(module, form, name)
        builder.call(callee, [slots[at], slots[at + 1], word(1)])
    builder.ret(caller.args[0])
    linking.leave_slots_unset(module)
    stores = [s for s in caller.blocks[0].instructions if s.opname == "store"]
    assert [s.operands[1] for s in stores] == [*slots[2:], slots[0]]
    assert own in stores
