"""Every command that a hint or a way out names is one that there is, and can be typed so."""

from __future__ import annotations

import ast
import re
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from swampctl.commands import COMMANDS, find_command
from swampd.errors import BadRequest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[3]
LINE = re.compile(r"`swampctl ([^`]+)`")
PLACEHOLDER = "x"
"""What a person fills in."""


def texts(source: str) -> Iterator[str]:
    """The strings of a module; what is formatted in is a placeholder."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.JoinedStr):
            yield "".join(
                str(part.value) if isinstance(part, ast.Constant) else PLACEHOLDER
                for part in node.values
            )
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def named() -> list[str]:
    found: set[str] = set()
    for package in ("swampd", "swampctl"):
        for path in sorted((ROOT / package).rglob("*.py")):
            if "v1" not in path.parts:
                for text in texts(path.read_text()):
                    found.update(LINE.findall(text))
    return sorted(found - {PLACEHOLDER, "--help"})


def alternatives(line: str) -> Iterator[list[str]]:
    """The command lines that `--ours|--theirs|--both` stands for."""
    words = line.split()
    for at, word in enumerate(words):
        if "|" in word:
            for one in word.split("|"):
                yield from alternatives(" ".join([*words[:at], one, *words[at + 1 :]]))
            return
    yield words


def test_hints_name_commands() -> None:
    assert len(named()) > 15


@pytest.mark.parametrize("line", named())
def test_a_command_that_a_hint_names_can_be_typed(line: str) -> None:
    for words in alternatives(line):
        name, rest = find_command(words)
        module = import_module(f"swampctl.commands.{COMMANDS[name].module}")
        try:
            module.parse(f"swampctl {' '.join(name)}", COMMANDS[name].summary, rest)
        except BadRequest:
            # A command may be named without its arguments, never with wrong ones.
            if rest:
                raise


def test_no_text_promises_what_is_not_built() -> None:
    promised = re.compile(r"swampctl (doctor|conflicts show|daemon restart|lock wait|sync|flush)")
    for package in ("swampd", "swampctl"):
        for path in (ROOT / package).rglob("*.py"):
            assert not promised.search(path.read_text()), path
