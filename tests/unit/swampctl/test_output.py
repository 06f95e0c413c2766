"""What is printed where."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from swampctl.documents import document
from swampctl.durations import spell
from swampctl.locks import hold_row, lock_row
from swampctl.output import Output, table
from swampd.errors import LockBusy, SwampdError
from swampd.v1 import lock_pb2, sync_pb2

if TYPE_CHECKING:
    import pytest

BUSY = LockBusy("data is locked by ann", "wait longer", scope="data")


def test_data_goes_to_stdout_and_talk_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    output = Output(as_json=False)
    output.result({"a": 1}, ["one", "two"])
    output.say("hello")
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("one\ntwo\n", "hello\n")


def test_json_is_one_object_with_a_schema_version(capsys: pytest.CaptureFixture[str]) -> None:
    Output(as_json=True).result({"a": 1}, ["one"])
    assert json.loads(capsys.readouterr().out) == {"a": 1, "schema_version": 1}


def test_an_error_is_two_lines(capsys: pytest.CaptureFixture[str]) -> None:
    Output(as_json=False).error(BUSY)
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == "error: data is locked by ann\nhint: wait longer\n"


def test_an_error_is_an_object_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    Output(as_json=True).error(BUSY)
    assert json.loads(capsys.readouterr().out)["error"] == {
        "code": "lock_busy",
        "summary": "data is locked by ann",
        "hint": "wait longer",
        "exit_code": 11,
        "fields": {"scope": "data"},
    }


def test_no_progress_without_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    output = Output(as_json=False)
    output.progress("half")
    output.end_progress()
    output.warn("look out")
    assert capsys.readouterr().err == "warning: look out\n"


def test_a_table_aligns_its_columns() -> None:
    assert table(["A", "LONG"], [["wide one", "x"]]) == ["A         LONG", "wide one  x"]
    assert table(["A"], []) == []


def test_a_document_has_numbers_and_every_field() -> None:
    message = lock_pb2.LockInfo(scope="data", epoch=2**40)
    message.ttl.FromMilliseconds(1500)
    message.acquired_at.FromMilliseconds(0)
    found = document(message)
    assert found["epoch"] == 2**40
    assert found["ttl"] == 1.5
    assert found["acquired_at"] == "1970-01-01T00:00:00.000+00:00"
    assert found["mine"] is False
    assert document(lock_pb2.LockInfo())["ttl"] is None
    nested = document(sync_pb2.PushResult(done=[sync_pb2.PushedScope(scope="data")]))
    assert nested["done"][0]["scope"] == "data"


def test_lengths_of_time_are_spelt_short() -> None:
    assert [spell(value) for value in (0.2, 90, 600, 7300, 200_000)] == [
        "0s",
        "90s",
        "10m",
        "2h",
        "2d",
    ]


def test_rows_of_locks_and_holds() -> None:
    lock = lock_pb2.LockInfo(scope="data", state="held", covers="tree", epoch=3, mine=True)
    lock.holder, lock.hostname, lock.pid = "ann", "box", 7
    assert lock_row(lock)[:4] == ["data", "held", "tree", "3"]
    assert lock_row(lock)[5] == "ann@box (pid 7, here)"
    hold = lock_pb2.HoldInfo(scopes=["a", "b"], owner="session 7", ends_with="release", lost=True)
    assert hold_row(hold) == ["a, b", "session 7", "-", "LOST", "-"]


def test_no_control_character_of_a_name_reaches_the_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    name = "a\0b\x1b[2Jc\nd\x9be\u202ef"
    output = Output(as_json=False)
    output.result({}, [name])
    output.say(name)
    output.warn(name)
    output.error(SwampdError(name, name))
    said = capsys.readouterr()
    assert said.out == "a\\x00b\\x1b[2Jc\\nd\\x9be\\u202ef\n"
    assert not set(said.err) & {"\0", "\x1b", "\x9b", "\u202e"}
    assert said.err.count("\n") == 4
