"""Names of buckets, each refused by its rule; prefixes, refused only where they cannot work."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swampd.domain import scopes
from swampd.domain.buckets import (
    MOST_PREFIX_BYTES,
    BucketRule,
    PrefixProblem,
    bucket_rule_broken,
    prefix_problem,
)
from swampd.domain.layout import Keys
from swampd.domain.paths import KEY_LIMIT
from swampd.domain.values import Scope, Wid


@pytest.mark.parametrize(
    "name",
    ["abc", "a" * 63, "my.bucket", "1-2", "0.0.0.0.0", "1.2.3", "a-.b", "xn-a", "x--x-s3-y"],
)
def test_a_bucket(name: str) -> None:
    assert bucket_rule_broken(name) is None


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("", BucketRule.LENGTH),
        ("ab", BucketRule.LENGTH),
        ("a" * 64, BucketRule.LENGTH),
        ("Team", BucketRule.CHARACTERS),
        ("a_b", BucketRule.CHARACTERS),
        ("b\u00fccher", BucketRule.CHARACTERS),
        ("a/b", BucketRule.CHARACTERS),
        ("abc\n", BucketRule.CHARACTERS),
        ("abc\udcff", BucketRule.CHARACTERS),
        ("-abc", BucketRule.ENDS),
        ("abc-", BucketRule.ENDS),
        (".abc", BucketRule.ENDS),
        ("abc.", BucketRule.ENDS),
        ("a..b", BucketRule.ADJACENT_DOTS),
        ("192.168.5.4", BucketRule.IP_ADDRESS),
        ("xn--team", BucketRule.RESERVED_PREFIX),
        ("sthree-team", BucketRule.RESERVED_PREFIX),
        ("amzn-s3-demo-bucket", BucketRule.RESERVED_PREFIX),
        ("team-s3alias", BucketRule.RESERVED_SUFFIX),
        ("team--ol-s3", BucketRule.RESERVED_SUFFIX),
        ("team.mrap", BucketRule.RESERVED_SUFFIX),
        ("team--table-s3", BucketRule.RESERVED_SUFFIX),
        ("team--use1-az4--x-s3", BucketRule.DIRECTORY_BUCKET),
    ],
)
def test_a_name_is_refused_by_its_rule(name: str, rule: BucketRule) -> None:
    assert bucket_rule_broken(name) is rule


def test_every_rule_has_a_name_and_a_sentence() -> None:
    for rule in (*BucketRule, *PrefixProblem):
        assert re.fullmatch("[a-z0-9_]+", rule.value)
        assert rule.summary
    assert "not supported" in BucketRule.DIRECTORY_BUCKET.summary


@given(st.text(st.sampled_from("abcZ019.-_/ "), max_size=70))
def test_a_name_that_passes_is_one_that_the_sdk_takes(name: str) -> None:
    if bucket_rule_broken(name) is None:
        assert re.fullmatch(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", name)


# --- prefixes ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "prefix",
    [
        "",
        "team",
        "team/x",
        "/team",
        "team/",
        "team//x",
        "/",
        " ",
        "a\\b",
        "\u00e4\U0001f980",
        "...",
        ".a",
        "control/_controls",
        "_index",
        "%2e%2e",
        "a" * MOST_PREFIX_BYTES,
    ],
)
def test_a_prefix_that_is_only_odd_is_kept(prefix: str) -> None:
    assert prefix_problem(prefix) is None


@pytest.mark.parametrize(
    ("prefix", "problem"),
    [
        ("a\udcff", PrefixProblem.NOT_UTF8),
        ("a\nb", PrefixProblem.CONTROL_CHARACTER),
        ("a\0", PrefixProblem.CONTROL_CHARACTER),
        ("\x7f", PrefixProblem.CONTROL_CHARACTER),
        ("\x85", PrefixProblem.CONTROL_CHARACTER),
        (".", PrefixProblem.DOT_SEGMENT),
        ("..", PrefixProblem.DOT_SEGMENT),
        ("a/../b", PrefixProblem.DOT_SEGMENT),
        ("a/.", PrefixProblem.DOT_SEGMENT),
        ("_control", PrefixProblem.CONTROL_AREA),
        ("team/_control/swampd", PrefixProblem.CONTROL_AREA),
        ("a" * (MOST_PREFIX_BYTES + 1), PrefixProblem.TOO_LONG),
        ("\u00e4" * (MOST_PREFIX_BYTES // 2 + 1), PrefixProblem.TOO_LONG),
    ],
)
def test_a_prefix_that_cannot_work_is_refused(prefix: str, problem: PrefixProblem) -> None:
    assert prefix_problem(prefix) is problem


def test_every_control_key_fits_behind_the_longest_prefix() -> None:
    keys = Keys("a" * MOST_PREFIX_BYTES)
    scope = Scope("a" * scopes.ESCAPED_LIMIT)
    wid = Wid("0" * 32)
    longest = max(
        len(key)
        for key in (keys.lock(scope), keys.head(scope), keys.manifest(wid), keys.staged(wid))
    )
    assert longest == KEY_LIMIT
