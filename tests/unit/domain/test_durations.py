"""Durations as people write them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from swampd.domain.durations import parse_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("500ms", 0.5), ("0s", 0), ("30s", 30), ("5m", 300), ("1h", 3600), ("90d", 7_776_000)],
)
def test_number_and_unit(text: str, seconds: float) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text",
    ["", "30", "s", "-1s", "1.5s", "1 s", " 1s", "1s ", "1S", "1w", "1h30m", "\u0663s", "1s\n"],
)
def test_anything_else_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="such as 500ms, 30s or 5m"):
        parse_duration(text)


@pytest.mark.parametrize("digits", [20, 5000])
def test_more_than_a_life_time_is_refused(digits: int) -> None:
    with pytest.raises(ValueError, match="too long"):
        parse_duration("9" * digits + "d")
