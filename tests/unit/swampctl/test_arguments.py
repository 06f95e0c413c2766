"""Command lines: which command is meant, and what is refused."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest

from swampctl import durations
from swampctl.arguments import new_parser, split_command, wait_s
from swampctl.commands import COMMANDS, find_command, help_text
from swampctl.commands.cache_path import below
from swampctl.commands.lock_run import parse as parse_lock_run
from swampctl.commands.push import parse as parse_push
from swampd.errors import BadRequest


@pytest.mark.parametrize(
    ("line", "name", "rest"),
    [
        ("push data", ("push",), ["data"]),
        ("lock run x -- lock list", ("lock", "run"), ["x", "--", "lock", "list"]),
        ("--json --repo /r status", ("status",), ["--json", "--repo", "/r"]),
        ("cache path", ("cache", "path"), []),
    ],
)
def test_a_command_is_found_by_its_words(line: str, name: tuple[str, ...], rest: list[str]) -> None:
    assert find_command(line.split()) == (name, rest)


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("psuh", "did you mean `swampctl push`?"),
        ("lock acquir", "see `swampctl --help`"),
        ("--json", "see `swampctl --help`"),
        ("zzz", "see `swampctl --help`"),
    ],
)
def test_an_unknown_command_names_the_nearest(line: str, hint: str) -> None:
    with pytest.raises(BadRequest) as caught:
        find_command(line.split())
    assert caught.value.hint == hint


@pytest.mark.parametrize("name", COMMANDS, ids=" ".join)
def test_every_command_is_there_and_has_help(
    name: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    module = import_module(f"swampctl.commands.{COMMANDS[name].module}")
    with pytest.raises(SystemExit) as ended:
        module.parse(f"swampctl {' '.join(name)}", COMMANDS[name].summary, ["--help"])
    assert ended.value.code == 0
    assert "--json" in capsys.readouterr().out
    assert " ".join(name) in help_text()


def test_a_complaint_of_the_parser_is_an_error() -> None:
    with pytest.raises(BadRequest, match="unrecognized arguments: --nonsense"):
        new_parser("swampctl x", "").parse_args(["--nonsense"])
    with pytest.raises(BadRequest):
        new_parser("swampctl x", "").parse_args(["--jso"])


def test_the_command_stands_behind_two_dashes() -> None:
    assert split_command(["a", "--", "b", "--", "c"]) == (["a"], ["b", "--", "c"])
    assert split_command(["a"]) == (["a"], [])
    args = parse_lock_run("swampctl lock run", "", ["x", "y", "--json", "--", "sh", "-c", "true"])
    assert (args.scope, args.json, args.command) == (["x", "y"], True, ["sh", "-c", "true"])
    with pytest.raises(BadRequest, match="no command was given"):
        parse_lock_run("swampctl lock run", "", ["x", "--"])


@pytest.mark.parametrize(
    ("words", "expected"), [([], None), (["--no-wait"], 0.0), (["--wait", "500ms"], 0.5)]
)
def test_waiting(words: list[str], expected: float | None) -> None:
    assert wait_s(parse_push("swampctl push", "", words)) == expected


def test_waiting_and_not_waiting_exclude_each_other() -> None:
    with pytest.raises(BadRequest, match="not allowed with"):
        parse_push("swampctl push", "", ["--wait", "5s", "--no-wait"])


@pytest.mark.parametrize(
    ("text", "expected"), [("500ms", 0.5), ("30s", 30), ("5m", 300), ("1h", 3600), ("2d", 172_800)]
)
def test_durations(text: str, expected: float) -> None:
    assert durations.seconds(text) == expected


@pytest.mark.parametrize("text", ["", "5", "s", "-5s", "1.5s", "5 s", "9999999999s", "٣s"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="is no duration"):
        durations.seconds(text)


def test_a_path_below_the_cache() -> None:
    cache = Path("/c")
    assert below(cache, None) == cache
    assert below(cache, ".") == cache
    assert below(cache, "./data/x/") == Path("/c/data/x")
    assert below(cache, "/c/data") == Path("/c/data")
    for outside in ("../x", "/etc", "data/../../x"):
        with pytest.raises(BadRequest, match="is not in the cache"):
            below(cache, outside)
