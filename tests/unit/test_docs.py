"""What the documents point at is there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
DOCUMENTS: Final = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
LINK: Final = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
TEST: Final = re.compile(r"`(?:tests/)?((?:[a-z0-9_]+/)*test_[a-z0-9_]+\.py)`")
RULE: Final = re.compile(r"^\| ([LS]\d+) \|", re.MULTILINE)
NAMED: Final = re.compile(r"\b([LS]\d{1,2})\b")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_its_links_lead_somewhere(document: Path) -> None:
    links = [found for found in LINK.findall(document.read_text()) if "://" not in found]
    assert [link for link in links if not (document.parent / link).exists()] == []


def test_each_promise_is_held_by_tests_that_are_there() -> None:
    named = set(TEST.findall((ROOT / "docs/guarantees.md").read_text()))
    assert len(named) > 20
    there = {str(path.relative_to(ROOT / "tests")) for path in (ROOT / "tests").rglob("test_*.py")}
    names = {path.rpartition("/")[2] for path in there}
    assert [name for name in sorted(named) if name not in (there if "/" in name else names)] == []


def test_each_invariant_that_the_code_names_is_one_of_the_protocol() -> None:
    rules = set(RULE.findall((ROOT / "docs/protocols.md").read_text()))
    assert len(rules) == 28
    used = {
        name
        for path in (ROOT / "swampd").rglob("*.py")
        if path.parent.name != "v1"
        for name in NAMED.findall(path.read_text())
    }
    assert used <= rules
