"""Client and daemon of different versions."""

from __future__ import annotations

import pytest

from swampctl.client import error_of
from swampctl.output import Output
from swampctl.skew import check_versions
from swampd.errors import LockLost, SwampdError, VersionSkew


def test_the_same_minor_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    check_versions("1.2.3", Output(as_json=False), "1.2.9")
    assert capsys.readouterr().err == ""


def test_another_minor_goes_on_with_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    check_versions("1.3.0", Output(as_json=False), "1.2.9")
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize(
    ("daemon", "client", "older"),
    [("1.0.0", "2.0.0", "the daemon"), ("2.0.0", "1.0.0", "swampctl")],
)
def test_another_major_is_refused_naming_the_older_side(
    daemon: str, client: str, older: str
) -> None:
    with pytest.raises(VersionSkew, match=f"{older} is too old") as caught:
        check_versions(daemon, Output(as_json=False), client)
    assert caught.value.meaning.exit_code == 5


def test_an_error_is_rebuilt_by_its_code() -> None:
    found = error_of("lock_lost", "gone", "act afresh", {"scope": "data"})
    assert isinstance(found, LockLost)
    assert (found.summary, found.hint, found.fields) == ("gone", "act afresh", {"scope": "data"})


def test_a_code_of_a_later_version_is_an_internal_error() -> None:
    assert type(error_of("never_heard_of", "x", "", {})) is SwampdError
