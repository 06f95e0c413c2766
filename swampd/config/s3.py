"""A store in an S3 bucket, as a configuration spells it.

Keeps true: a repo never holds credentials, and a URL that has some is refused without being
printed.  An `http` endpoint is taken as it is, since somebody wrote it out; with `https` the
server's certificate is always verified.
"""

from __future__ import annotations

import re
from dataclasses import fields
from typing import TYPE_CHECKING, Annotated, Any, Final
from urllib.parse import urlsplit

import msgspec

from swampd.config.keys import refuse_unknown
from swampd.domain.buckets import bucket_rule_broken, prefix_problem
from swampd.domain.datastores import (
    LEAST_TIMEOUT_MS,
    MOST_CONCURRENCY,
    MOST_TIMEOUT_MS,
    S3Settings,
)
from swampd.errors import ConfigError

if TYPE_CHECKING:
    from urllib.parse import SplitResult

TYPE: Final = "s3"
OTHER_TYPE: Final = "@swamp/s3-datastore"
"""What existing clients call the same."""
LEGACY_KEYS: Final = frozenset({"bucket", "prefix", "region", "endpoint", "forcePathStyle"})
"""Of these a block without `config:` is made up."""

_CONCURRENCY: Final = Annotated[int, msgspec.Meta(ge=1, le=MOST_CONCURRENCY)]
_TIMEOUT: Final = Annotated[int, msgspec.Meta(ge=LEAST_TIMEOUT_MS, le=MOST_TIMEOUT_MS)]
_FIELDS: Final[dict[str, tuple[str, Any]]] = {
    "bucket": ("bucket", str),
    "prefix": ("prefix", str),
    "region": ("region", str),
    "endpoint": ("endpoint", str),
    "forcePathStyle": ("force_path_style", bool),
    "pullConcurrency": ("pull_concurrency", _CONCURRENCY),
    "pushConcurrency": ("push_concurrency", _CONCURRENCY),
    "requestTimeoutMs": ("request_timeout_ms", _TIMEOUT),
}
"""Each key of the configuration, the setting that it is, and what it may be."""
KEYS: Final = frozenset(_FIELDS)
_SECRETS: Final = frozenset({"accessKeyId", "secretAccessKey", "sessionToken", "profile"})
_REGION: Final = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)")
_HOST: Final = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*|[0-9A-Fa-f]*:[0-9A-Fa-f:.]+")
_SHOWN_MOST: Final = 100
_PATH: Final = re.compile(r"(?:/[A-Za-z0-9._~-]+)*/?")


def read_s3(config: object, where: str) -> S3Settings:
    """The store that a mapping of settings names.  Raises ConfigError."""
    if not isinstance(config, dict):
        raise ConfigError(f"{where} is not a mapping of keys to values", "it needs `bucket`")
    for key in sorted(_SECRETS.intersection(map(str, config))):
        raise ConfigError(
            f"{key} is in {where}, and credentials are never read from there",
            "put them into a profile in ~/.aws/credentials and set AWS_PROFILE",
            key=key,
        )
    refuse_unknown(config, KEYS, where)
    if "bucket" not in config:
        raise ConfigError(f"{where} has no bucket", "name it: `bucket: my-bucket`")
    settings: dict[str, Any] = {}
    for key, value in config.items():
        name, kind = _FIELDS[key]
        try:
            settings[name] = msgspec.convert(value, kind)
        except msgspec.ValidationError as error:
            raise ConfigError(f"{key} in {where} cannot be right: {error}", key=key) from error
    return checked(S3Settings(**settings), where)


def at(text: str, where: str) -> S3Settings:
    """The store that `bucket/prefix` spells; the first slash is the one between them.

    Raises ConfigError.
    """
    if text.startswith("//"):
        raise ConfigError(f"{where} has // before the bucket", "write s3:bucket/prefix")
    bucket, _, prefix = text.partition("/")
    return checked(S3Settings(bucket, prefix), where)


def checked(settings: S3Settings, where: str) -> S3Settings:
    """The same settings.  Raises ConfigError for what no store can have, by the rule's name."""
    rule = bucket_rule_broken(settings.bucket)
    if rule is not None:
        raise ConfigError(
            f"{_short(settings.bucket)} in {where} is no bucket's name ({rule.value}):"
            f" {rule.summary}",
            "name a general purpose bucket, without `s3://`",
            rule=rule.value,
        )
    problem = prefix_problem(settings.prefix)
    if problem is not None:
        raise ConfigError(
            f"the prefix {_short(settings.prefix)} in {where} cannot be used ({problem.value}):"
            f" {problem.summary}",
            "choose another; it is used as it is written, and no slash is added or taken away",
            rule=problem.value,
        )
    if settings.region and not _REGION.fullmatch(settings.region):
        raise ConfigError(
            f"the region {settings.region!r} in {where} is not the name of a region",
            "write for example eu-west-1",
            rule="region",
        )
    if settings.endpoint:
        _check_endpoint(settings.endpoint, where)
    return settings


def given(settings: S3Settings) -> dict[str, str | int | bool]:
    """The settings that differ from the defaults, by their names in `config:`."""
    default = {field.name: field.default for field in fields(S3Settings)}
    found = {key: getattr(settings, name) for key, (name, _) in _FIELDS.items()}
    return {key: found[key] for key in found if found[key] != default[_FIELDS[key][0]]}


def place(settings: S3Settings) -> str:
    """What tells this store from another, whatever the region and the tuning say.

    (An endpoint of AWS that is written out counts as another place: a refusal too many is safe.)
    """
    endpoint = "AWS"
    if settings.endpoint:
        url = urlsplit(settings.endpoint.rstrip("/"))
        port = url.port or {"http": 80, "https": 443}[url.scheme]
        endpoint = f"{url.scheme}://{url.hostname}:{port}{url.path}"
    return f"{TYPE}:{settings.bucket}/{settings.prefix} at {endpoint}"


# --- endpoints --------------------------------------------------------------------------------


def _check_endpoint(endpoint: str, where: str) -> None:
    problem = _endpoint_problem(endpoint)
    if problem:
        # The URL itself may hold a password.
        raise ConfigError(
            f"the endpoint in {where} cannot be used: {problem}",
            "write for example https://s3.example.org:9000",
            rule="endpoint",
        )


def _endpoint_problem(endpoint: str) -> str:
    """What is wrong with the URL; empty: nothing is."""
    try:
        url = urlsplit(endpoint)
        port = url.port
    except ValueError:
        return "it is not a URL"
    if url.scheme not in {"http", "https"}:
        return "it does not begin with https:// or http://"
    if "@" in url.netloc:
        return "it has a user or a password; credentials come from profiles only"
    if "?" in endpoint or "#" in endpoint:
        return "it has a query or a fragment"
    return "" if _is_well_spelt(endpoint, url, port) else "it is not a URL of a host"


def _is_well_spelt(endpoint: str, url: SplitResult, port: int | None) -> bool:
    """True when the URL is just scheme, host, port and path, with nothing that had to be fixed."""
    return (
        port != 0
        and endpoint.isascii()
        and endpoint.isprintable()
        and " " not in endpoint
        and _HOST.fullmatch(url.hostname or "") is not None
        and _PATH.fullmatch(url.path) is not None
    )


# --- in messages ------------------------------------------------------------------------------


def _short(text: str) -> str:
    shown = ascii(text)
    return shown if len(shown) <= _SHOWN_MOST else f"{shown[:_SHOWN_MOST]}..."
