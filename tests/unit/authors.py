"""Strategies as their authors write them: a module in a file, imported from there."""

from __future__ import annotations

import hashlib
import importlib.util
import itertools
import sys
from collections import Counter
from pathlib import Path
from textwrap import dedent
from types import ModuleType
from typing import Any

from rmqueue.types import Strategy

HEAD = """\
from rmqueue.mm.fallback import rmqueue_claim, rmqueue_steal
from rmqueue.mm.jit import jit

"""
_numbers = itertools.count()
_same = Counter[str]()


def module_of(folder: Path, text: str, name: str = "") -> ModuleType:
    """Write a module and import it, by default under a name that nobody else has."""
    text = HEAD + dedent(text)
    if not name:  # the same in every run of the tests, so that the cache serves
        digest = hashlib.sha256(text.encode()).hexdigest()[:12]
        _same[digest] += 1
        name = f"author_{digest}_{_same[digest]}"
    path = folder / str(next(_numbers)) / f"{name}.py"
    path.parent.mkdir()
    path.write_text(text)
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def strategy_of(folder: Path, body: str, **fields: Any) -> Strategy:
    """Make a strategy of the body of its function."""
    lines = "\n".join("    " + line for line in dedent(body).strip().splitlines())
    text = f"@jit\ndef fallback(zone, order, start_mt, flags, batch, st):\n{lines}\n"
    return Strategy("mine", "Mine.", module_of(folder, text).fallback, **fields)
