"""Reading `.swamp.yaml`: what is wrong with it is said with its place."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from swampd.config.source import SIZE_LIMIT_BYTES, parse, read_text
from swampd.errors import ConfigError, NoRepo

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / ".swamp.yaml"


def test_a_mapping_is_read(file: Path) -> None:
    file.write_text("# remark\nrepoId: a\ntool: {list: [1, two]}\n")
    assert parse(read_text(file), file) == {"repoId": "a", "tool": {"list": [1, "two"]}}


@pytest.mark.parametrize("text", ["", "# only a remark\n", "---\n", "null\n"])
def test_nothing_is_an_empty_mapping(file: Path, text: str) -> None:
    assert parse(text, file) == {}


def test_a_byte_order_mark_is_taken_off_and_line_ends_are_kept(file: Path) -> None:
    file.write_bytes(b"\xef\xbb\xbfrepoId: a\r\n")
    assert read_text(file) == "repoId: a\r\n"


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("a: b: c\n", "line 1, column 5"),
        ("repoId: a\n  tool: 1\n", "line 2, column 7"),
        ("a: [1,\nb: 2\n", "line 3, column 1"),
        ("a: 1\na: 2\n", "line 2, column 1"),
        ("\ta: 1\n", "line 1, column 1"),
        ("a: !!python/object:os.system x\n", "line 1, column 4"),
        ("a: *unknown\n", "line 1, column 4"),
        ("a: 1\n---\nb: 2\n", "line 2, column 1"),
    ],
)
def test_malformed_yaml_is_refused_with_line_and_column(file: Path, text: str, place: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(f"{file}, {place}")):
        parse(text, file)


@pytest.mark.parametrize("text", ["- a\n", "text\n", "42\n"])
def test_another_top_level_is_refused(file: Path, text: str) -> None:
    with pytest.raises(ConfigError, match="not a mapping"):
        parse(text, file)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: 2001-99-99\n", "month must be"),
        ("a: \x07\n", "special characters are not allowed"),
        ("a: " + "[" * 5000 + "]" * 5000, "nested too deeply"),
    ],
)
def test_what_has_no_place_is_refused_with_its_reason(file: Path, text: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        parse(text, file)


def test_what_is_no_text_is_refused(file: Path) -> None:
    with pytest.raises(NoRepo, match=re.escape(str(file))):
        read_text(file)
    file.write_bytes(b"repoId: \xff\n")
    with pytest.raises(ConfigError, match="not UTF-8: byte 8 is 0xff"):
        read_text(file)
    file.write_bytes(b"#" * (SIZE_LIMIT_BYTES + 1))
    with pytest.raises(ConfigError, match="more than 1048576 bytes"):
        read_text(file)
    file.unlink()
    file.mkdir()
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        read_text(file)
