"""The shape of the code: imports point down only, no file is opened in the core, files stay small.

What a package may import is said in pyproject.toml, `[tool.importlinter]`; the rest is read off the
syntax trees here.  A package that does not exist yet has no files, and so breaks nothing.
"""

from __future__ import annotations

import ast
from pathlib import Path

from importlinter.cli import lint_imports

ROOT = Path(__file__).parents[2]
GENERATED = ROOT / "swampd" / "v1"
MAX_LINES = 400

WITHOUT_OPEN = ("domain", "locking", "indexing", "syncing")
"""Packages of swampd that reach files through ports only."""


def handwritten(*packages: Path) -> list[Path]:
    """The Python files under `packages`, without the generated ones, in a stable order."""
    return sorted(
        path
        for package in packages
        for path in package.rglob("*.py")
        if GENERATED not in path.parents
    )


def open_calls(source: str) -> list[int]:
    """Line numbers of calls of the builtin `open`."""
    return [
        node.lineno
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "open"
    ]


def test_imports_point_down_only() -> None:
    assert lint_imports(config_filename=str(ROOT / "pyproject.toml"), no_cache=True) == 0


def test_a_call_of_open_is_seen() -> None:
    assert open_calls("x = 1\nwith open('f') as f:\n    f.open()\n") == [2]


def test_core_opens_no_file() -> None:
    packages = [ROOT / "swampd" / name for name in WITHOUT_OPEN]
    calls = [
        f"{path.relative_to(ROOT)}:{line}"
        for path in handwritten(*packages)
        for line in open_calls(path.read_text(encoding="utf-8"))
    ]
    assert calls == []


def test_no_file_is_too_long() -> None:
    long_files = [
        f"{path.relative_to(ROOT)}: {lines} lines"
        for path in handwritten(ROOT / "swampd", ROOT / "swampctl")
        if (lines := len(path.read_text(encoding="utf-8").splitlines())) > MAX_LINES
    ]
    assert long_files == []
