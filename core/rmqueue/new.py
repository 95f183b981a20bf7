"""What ``rmqueue new`` does: write a distribution with a plugin that works."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution, version
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from string import Template

from rmqueue.errors import OutputError, UsageError
from rmqueue.output import PartialFolder
from rmqueue.registry import Registry, default_registry

#: What a plugin may be called: also a part of a distribution's and a module's name.
NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
#: Lines of what is written stay short.
LONGEST = 40


@dataclass(frozen=True)
class Kind:
    """How a kind of plugin is written.

    Attributes
    ----------
    kind : str
        A key of `rmqueue.loader.KINDS`.
    base, attribute : str
        Class of `rmqueue.testing.conformance`, and its attribute with the name.
    use : str
        How it is used, for the README.
    test : str
        Template of its tests.
    """

    kind: str
    base: str
    attribute: str
    use: str
    test: str = "test.py.txt"


KINDS = {
    "strategy": Kind(
        "strategy",
        "StrategyConformance",
        "strategy",
        "Compare it: `rmqueue compare --strategies $name,tight-fallback,none`.",
        "strategy_test.py.txt",
    ),
    "workload": Kind(
        "workload",
        "WorkloadConformance",
        "workload",
        'An experiment runs it with `[workload]` and `name = "$name"`.',
    ),
    "machine": Kind(
        "machine",
        "MachineConformance",
        "machine",
        'An experiment weighs work with it: `machine = "$name"`.',
    ),
    "reader": Kind(
        "trace reader",
        "ReaderConformance",
        "reader",
        'An experiment replays what it reads: `recording = "FILE.$name"`.',
    ),
    "reporter": Kind(
        "reporter",
        "ReporterConformance",
        "reporter",
        "Write with it: `rmqueue compare --report $name=FILE`.",
    ),
}


def write_plugin(
    what: str, name: str, folder: Path | None = None, registry: Registry | None = None
) -> Path:
    """Write a distribution with one plugin, whole or not at all.

    Parameters
    ----------
    what : str
        A key of `KINDS`.
    name : str
        Name of the plugin, like ``my-idea``.
    folder : Path or None
        Folder to make; None: ``rmqueue-NAME`` here.
    registry : Registry or None
        What is installed.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    UsageError
        The name cannot be used, or is installed already.
    OutputError
        The folder exists, or cannot be made.
    """
    check_name(name)
    check_free(what, name, registry or default_registry())
    folder = folder or Path(f"rmqueue-{name}")
    if folder.exists() or folder.is_symlink():
        raise OutputError(f"{folder}: exists already: remove it, or choose another")
    with PartialFolder(folder) as partial:
        try:
            for path, text in contents(what, name).items():
                file = partial.path / path
                file.parent.mkdir(exist_ok=True)
                file.write_text(text, encoding="utf-8")
        except OSError as error:
            raise OutputError(
                f"{folder}: cannot be written: {error.strerror}"
            ) from None
        partial.keep()
    return folder


def check_name(name: str) -> None:
    """Refuse what cannot name a plugin, a distribution and a module."""
    if NAME.fullmatch(name) and len(name) <= LONGEST:
        return
    near = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-0123456789")[:LONGEST]
    near = near.strip("-")
    advice = f": did you mean {near!r}?" if NAME.fullmatch(near) else ""
    raise UsageError(
        f"{name!r} cannot name a plugin: use lower-case letters, digits and single "
        f"dashes, begin with a letter, and write at most {LONGEST}{advice}"
    )


def check_free(what: str, name: str, registry: Registry) -> None:
    """Refuse a name that a plugin, a distribution or a module has already."""
    kind = KINDS[what].kind
    if name in registry.names(kind):
        giver = registry.find(kind, name).provenance
        raise UsageError(
            f"{kind} {name!r} is installed already, by {giver}: choose another name"
        )
    try:
        found = f"rmqueue-{name} {distribution(f'rmqueue-{name}').version}"
    except PackageNotFoundError:
        if find_spec(module_of(name)) is None:
            return
        found = f"a module {module_of(name)}"
    raise UsageError(f"{found} is installed already: choose another name than {name!r}")


def module_of(name: str) -> str:
    """Name of the module that a plugin is in.

    Examples
    --------
    >>> module_of("my-idea")
    'rmqueue_my_idea'
    """
    return f"rmqueue_{name.replace('-', '_')}"


def contents(what: str, name: str) -> dict[str, str]:
    """Text of every file, by its path in the folder."""
    kind, module = KINDS[what], module_of(name)
    words = {
        "name": name,
        "module": module,
        "kind": kind.kind,
        "title": "".join(part.capitalize() for part in name.split("-")),
        "base": kind.base,
        "attribute": kind.attribute,
        "version": version("rmqueue"),
        "use": Template(kind.use).substitute(name=name),
    }
    templates = {
        "pyproject.toml": "pyproject.toml.txt",
        "README.md": "README.md.txt",
        f"{module}.py": f"{what}.py.txt",
        f"tests/test_{module.removeprefix('rmqueue_')}.py": kind.test,
    }
    return {
        path: Template(template_text(template)).substitute(words)
        for path, template in templates.items()
    }


def template_text(name: str) -> str:
    """Read a template that comes with rmqueue."""
    return (files("rmqueue") / "templates" / name).read_text(encoding="utf-8")


def next_steps(what: str, name: str, folder: Path) -> str:
    """Say what was written, and what to do with it."""
    lines = [f"{folder}: a distribution with the {KINDS[what].kind} {name}"]
    lines += [f"  {path}" for path in contents(what, name)]
    lines += [
        "next:",
        f"  pip install -e {shlex.quote(f'{folder}[test]')}",
        f"  rmqueue check {name}",
        f"  pytest {shlex.quote(str(folder))}",
    ]
    return "\n".join(lines) + "\n"
