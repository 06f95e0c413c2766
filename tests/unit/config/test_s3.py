"""An S3 store, as `.swamp.yaml`, SWAMP_DATASTORE and --datastore spell it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swampd.config.datastore import DatastoreConfig, Source, parse_spelling, resolve
from swampd.config.directory import Whereabouts
from swampd.domain.buckets import bucket_rule_broken, prefix_problem
from swampd.domain.datastores import S3Settings
from swampd.domain.layout import Keys
from swampd.errors import EXIT_CONFIG, ConfigError

HERE = Whereabouts(Path("/repo"), {"HOME": "/home/ada"})
ALL = S3Settings("team", "p/q", "eu-west-1", "https://s3.example.org:9000", True, 1, 1000, 1000)  # noqa: FBT003
ALL_KEYS = {
    "bucket": "team",
    "prefix": "p/q",
    "region": "eu-west-1",
    "endpoint": "https://s3.example.org:9000",
    "forcePathStyle": True,
    "pullConcurrency": 1,
    "pushConcurrency": 1000,
    "requestTimeoutMs": 1000,
}


def from_text(text: str) -> DatastoreConfig:
    return parse_spelling(text, Source.ENVIRONMENT, HERE)


def from_block(block: dict[object, Any]) -> DatastoreConfig:
    return resolve(block, variable=None, option=None, whereabouts=HERE)


def from_config(**config: object) -> DatastoreConfig:
    return from_block({"type": "s3", "config": config})


# --- what it may say --------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["s3", "@swamp/s3-datastore"])
def test_config_says_everything(name: str) -> None:
    found = from_block({"type": name, "config": ALL_KEYS})
    assert (found.settings, found.type, found.source) == (ALL, "s3", Source.FILE)
    assert found.keys == Keys("p/q")
    assert from_text(f"{name}:{json.dumps(ALL_KEYS)}").settings == ALL


def test_the_defaults() -> None:
    assert from_config(bucket="team").settings == S3Settings(
        "team", "", "", "", None, 50, 50, 60_000
    )


def test_the_legacy_form_has_its_keys_in_the_block() -> None:
    keys: dict[object, Any] = {key: ALL_KEYS[key] for key in list(ALL_KEYS)[:5]}
    assert from_block({"type": "s3"} | keys).settings == S3Settings(
        "team",
        "p/q",
        "eu-west-1",
        "https://s3.example.org:9000",
        True,  # noqa: FBT003
    )


@pytest.mark.parametrize(
    ("text", "bucket", "prefix"),
    [
        ("s3:team", "team", ""),
        ("s3:team/", "team", ""),
        ("s3:team/p", "team", "p"),
        ("s3:team/p/q", "team", "p/q"),
        ("s3:team/p/", "team", "p/"),
        ("s3:team//p", "team", "/p"),
        ("@swamp/s3-datastore:team/p", "team", "p"),
        ("s3:team/a:{b}", "team", "a:{b}"),
    ],
)
def test_the_first_slash_is_between_bucket_and_prefix(text: str, bucket: str, prefix: str) -> None:
    assert from_text(text).settings == S3Settings(bucket, prefix)


# --- what it may not --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("s3:", "'' in SWAMP_DATASTORE is no bucket's name .length."),
        ("s3:Team/x", "'Team' in SWAMP_DATASTORE is no bucket's name .characters.: .* lower-case"),
        ("s3://team/p", "// before the bucket; write s3:bucket/prefix"),
        ("s3:team/../p", r"the prefix '\.\./p' in SWAMP_DATASTORE cannot be used .dot_segment."),
        ("s3:team/a\udcff", r"the prefix 'a\\udcff' in SWAMP_DATASTORE cannot be used .not_utf8."),
        ("s3:team/" + "a" * 1000, r"the prefix 'a{99}\.\.\. in .* .too_long."),
        ("s3:{", "the JSON in SWAMP_DATASTORE cannot be read"),
        ("s3:{}", "SWAMP_DATASTORE has no bucket"),
        ('s3:{"buckt": "team"}', "unknown key 'buckt' in SWAMP_DATASTORE; did you mean 'bucket'"),
    ],
)
def test_a_spelling_that_cannot_be_right(text: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem) as caught:
        from_text(text)
    assert caught.value.meaning.exit_code == EXIT_CONFIG


@pytest.mark.parametrize(
    ("config", "problem"),
    [
        ({"bucket": 1}, "bucket in config of .* Expected `str`, got `int`"),
        ({"bucket": "team", "prefix": None}, "prefix in .* Expected `str`, got `null`"),
        ({"bucket": "team", "forcePathStyle": "yes"}, "forcePathStyle .* Expected `bool`"),
        ({"bucket": "team", "pullConcurrency": 0}, "pullConcurrency .* >= 1"),
        ({"bucket": "team", "pushConcurrency": 1001}, "pushConcurrency .* <= 1000"),
        ({"bucket": "team", "pushConcurrency": True}, "pushConcurrency .* got `bool`"),
        ({"bucket": "team", "requestTimeoutMs": 999}, "requestTimeoutMs .* >= 1000"),
        ({"bucket": "team", "requestTimeoutMs": 600_001}, "requestTimeoutMs .* <= 600000"),
        ({"bucket": "team", "path": "/x"}, "unknown key 'path' in config of datastore: of"),
        ({"bucket": "team", "projectId": "p"}, "unknown key 'projectId' in config of"),
        ({"bucket": "team", "pushConcurency": 1}, "did you mean 'pushConcurrency'"),
        ({"bucket": "team", "region": "eu west"}, "'eu west' in .* is not the name of a region"),
        ({"bucket": "team", "region": "x.evil.org/"}, "is not the name of a region"),
        ({"prefix": "team"}, "has no bucket"),
    ],
)
def test_a_config_that_cannot_be_right(config: dict[str, object], problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        from_config(**config)


@pytest.mark.parametrize(
    ("block", "problem"),
    [
        ({"type": "s3"}, "has no bucket"),
        ({"type": "s3", "config": "team"}, "config of .* is not a mapping .*needs `bucket`"),
        ({"type": "s3", "bucket": "team", "config": {}}, "both bucket and config"),
        ({"type": "s3", "bucket": "team", "path": "/x"}, "unknown key 'path' in .* for type s3"),
        ({"type": "s3", "bucket": "team", "pullConcurrency": 5}, "unknown key 'pullConcurrency'"),
        (
            {"type": "@swamp/s3-datastore", "bucket": "team"},
            "unknown key 'bucket' in .*known are: config",
        ),
        ({"type": "s3x", "bucket": "team"}, "no datastore type 's3x'.*did you mean 's3'"),
    ],
)
def test_a_block_that_cannot_be_right(block: dict[object, Any], problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        from_block(block)


@pytest.mark.parametrize("key", ["accessKeyId", "secretAccessKey", "sessionToken", "profile"])
def test_credentials_are_not_read_from_a_repo(key: str) -> None:
    with pytest.raises(ConfigError, match=f"{key} is in config of .*AWS_PROFILE") as caught:
        from_config(bucket="team", **{key: "hunter2"})
    assert "hunter2" not in str(caught.value)


# --- endpoints --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "endpoint",
    [
        "https://s3.example.org",
        "https://s3.example.org/",
        "http://127.0.0.1:9000",
        "http://minio_1:9000",
        "http://[::1]:9000/",
        "HTTPS://S3.Example.org",
        "https://x.example.org/storage/v1/s3",
    ],
)
def test_an_endpoint(endpoint: str) -> None:
    settings = from_config(bucket="team", endpoint=endpoint).settings
    assert settings == S3Settings("team", endpoint=endpoint)


@pytest.mark.parametrize(
    ("endpoint", "problem"),
    [
        ("s3.example.org", "does not begin with https://"),
        ("localhost:9000", "does not begin with https://"),
        ("ftp://s3.example.org", "does not begin with https://"),
        ("https://ada:hunter2@s3.example.org", "has a user or a password"),
        ("https://@s3.example.org", "has a user or a password"),
        ("https://s3.example.org?x=hunter2", "a query or a fragment"),
        ("https://s3.example.org#", "a query or a fragment"),
        ("https://", "not a URL of a host"),
        ("https:///x", "not a URL of a host"),
        ("https://s3..example.org", "not a URL of a host"),
        ("https://s3.example.org:0", "not a URL of a host"),
        ("https://s3.example.org:99999", "not a URL"),
        ("https://s3.example.org:x", "not a URL"),
        ("https://[::1", "not a URL"),
        ("https://s3.exa mple.org", "not a URL of a host"),
        ("https://s3.example.org/a b", "not a URL of a host"),
        ("https://s3.example.org/\n", "not a URL of a host"),
        ("https://s3.example.org/../x?", "a query or a fragment"),
        ("https://s3.example.org//x", "not a URL of a host"),
        ("https://$HOST", "not a URL of a host"),
        ("https://\u0455\u0437.example.org", "not a URL of a host"),
    ],
)
def test_an_endpoint_that_cannot_be_right(endpoint: str, problem: str) -> None:
    with pytest.raises(
        ConfigError, match=f"endpoint in config of .*cannot be used: .*{problem}"
    ) as caught:
        from_config(bucket="team", endpoint=endpoint)
    assert "hunter2" not in str(caught.value)


# --- and back ---------------------------------------------------------------------------------


BUCKETS = st.from_regex(r"[a-z0-9.-]{3,63}", fullmatch=True).filter(
    lambda name: bucket_rule_broken(name) is None
)
PREFIXES = st.text(max_size=12).filter(lambda prefix: prefix_problem(prefix) is None)
SETTINGS = st.builds(
    S3Settings,
    bucket=BUCKETS,
    prefix=PREFIXES,
    region=st.sampled_from(["", "eu-west-1"]),
    endpoint=st.sampled_from(["", "https://s3.example.org"]),
    force_path_style=st.sampled_from([None, True, False]),
    pull_concurrency=st.integers(1, 1000),
    request_timeout_ms=st.integers(1000, 600_000),
)


@given(SETTINGS)
def test_a_spelling_is_read_back_as_the_same_store(settings: S3Settings) -> None:
    there = DatastoreConfig(settings, Source.ENVIRONMENT)
    assert from_text(str(there)) == there


def test_a_spelling_is_short_where_it_can_be() -> None:
    assert str(from_text("s3:team/p/")) == "s3:team/p/"
    assert str(from_text("s3:team")) == "s3:team"
    assert str(from_config(bucket="team", region="r", requestTimeoutMs=60_000)) == (
        's3:{"bucket": "team", "region": "r"}'
    )


# --- one store or another ---------------------------------------------------------------------


def test_bucket_prefix_and_endpoint_make_the_place() -> None:
    place = from_config(bucket="team", prefix="p").place
    assert from_config(bucket="team", prefix="p", region="r", pushConcurrency=7).place == place
    assert from_text("s3:team/p").place == place
    for other in (
        {"bucket": "team"},
        {"bucket": "team", "prefix": "p/"},
        {"bucket": "other", "prefix": "p"},
        {"bucket": "team", "prefix": "p", "endpoint": "https://s3.example.org"},
    ):
        assert from_config(**other).place != place


def test_an_endpoint_is_one_place_however_it_is_spelt() -> None:
    one, *others = (
        from_config(bucket="team", endpoint=endpoint).place
        for endpoint in (
            "https://s3.example.org",
            "https://s3.example.org/",
            "HTTPS://S3.example.org:443",
            "http://s3.example.org",
            "https://s3.example.org:444",
        )
    )
    assert [other == one for other in others] == [True, True, False, False]
