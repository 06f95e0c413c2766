"""Which store is meant: SWAMP_DATASTORE, else --datastore, else `.swamp.yaml`, else the default.

Keeps true: no key and no type is silently ignored.  What is documented and not built is refused by
name (an ignored `exclude` publishes secrets), also while a variable replaces the store: the
variable replaces where the files go, not which.

A path: `~` and `~user` are expanded as a shell does; a relative one counts from the repo, whoever
named it (the daemon does not stand in the caller's directory).  `$NAME` is refused: the daemon has
not the environment of whoever wrote it, and a directory called `$HOME` is never what is meant.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Final

from swampd.config.keys import nearest, refuse_unknown
from swampd.errors import ConfigError, NotBuilt
from swampd.locations import home

if TYPE_CHECKING:
    from collections.abc import Mapping

DIRECTORY: Final = "directory"

COMMON_KEYS: Final = frozenset({"directories", "exclude", "namespace", "syncTimeoutMs"})
"""Keys of the block that say what is synced and how, not where to."""

_BLOCK_KEYS: Final = frozenset({"type", "path", "config"})
_S3_KEYS: Final = frozenset(
    {
        "bucket",
        "prefix",
        "region",
        "endpoint",
        "forcePathStyle",
        "pullConcurrency",
        "pushConcurrency",
        "requestTimeoutMs",
    }
)
_GCS_KEYS: Final = frozenset({"bucket", "prefix", "projectId", "apiEndpoint"})
_TYPES_NOT_BUILT: Final = (
    "filesystem",
    "s3",
    "gcs",
    "@swamp/s3-datastore",
    "@swamp/gcs-datastore",
)
_TYPES: Final = (DIRECTORY, *_TYPES_NOT_BUILT)
_VARIABLE: Final = re.compile(r"\$(\{|[A-Za-z_])")

STORE_KEYS: Final = _BLOCK_KEYS | _S3_KEYS | _GCS_KEYS
"""Keys of the block that say which store it is, the legacy ones at block level included."""


class Source(Enum):
    """Who named the store."""

    ENVIRONMENT = "SWAMP_DATASTORE"
    OPTION = "--datastore"
    FILE = ".swamp.yaml"
    DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class DirectorySettings:
    """A store in a folder: the layout of a bucket, on a disk or a share."""

    path: Path
    """Absolute."""


@dataclass(frozen=True, slots=True)
class DatastoreConfig:
    """A store, and who named it."""

    type: str
    settings: DirectorySettings
    source: Source

    @property
    def config(self) -> dict[str, object]:
        """The settings by their names in `.swamp.yaml`, as `stores.registry.open_store` takes
        them."""
        return {"path": str(self.settings.path)}

    def __str__(self) -> str:
        """As SWAMP_DATASTORE spells it."""
        return f"{self.type}:{self.settings.path}"


def directory(path: Path, source: Source) -> DatastoreConfig:
    """The store in the folder `path` (absolute).

    Raises ConfigError for one that is not UTF-8: neither a message nor a file could name it.
    """
    try:
        str(path).encode()
    except UnicodeEncodeError:
        raise ConfigError(
            f"the path {str(path)!r} of {source.value} is not UTF-8", "name another folder"
        ) from None
    return DatastoreConfig(DIRECTORY, DirectorySettings(path), source)


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """What a path in a configuration is read against: the repo, and the user's environment."""

    repo: Path
    environ: Mapping[str, str]


def resolve(
    block: Mapping[object, object] | None,
    *,
    variable: str | None,
    option: str | None,
    whereabouts: Whereabouts,
) -> DatastoreConfig:
    """The store that is meant.

    `block` is the value of `datastore:`, None where there is none; `variable` and `option` are
    SWAMP_DATASTORE and --datastore of whoever asks (empty: not given).  Raises ConfigError for
    what cannot be right, NotBuilt for what is documented and not built.
    """
    where = f"datastore: of {whereabouts.repo / Source.FILE.value}"
    if block is not None:
        refuse_unknown(block, STORE_KEYS | COMMON_KEYS, where)
        for key in sorted(COMMON_KEYS.intersection(map(str, block))):
            raise NotBuilt(
                f"the key {key!r} in {where} is not built yet",
                "remove it if the store may do without",
                key=key,
            )
    for source, text in ((Source.ENVIRONMENT, variable), (Source.OPTION, option)):
        if text:
            return parse_spelling(text, source, whereabouts)
    if block is not None:
        return _from_block(block, where, whereabouts)
    raise _not_built(
        "filesystem",
        f"{whereabouts.repo / '.swamp'} is the default, as nothing names a datastore",
    )


def parse_spelling(text: str, source: Source, whereabouts: Whereabouts) -> DatastoreConfig:
    """The store that `directory:/path` or `NAME:{json}` spells.

    Raises ConfigError and NotBuilt as `resolve` does.
    """
    type_name, colon, rest = text.partition(":")
    if not colon:
        raise ConfigError(
            f"{source.value} is {text!r}, which is not TYPE:PLACE",
            "write for example directory:/mnt/team/store",
        )
    _check_type(type_name, source.value)
    if not rest.startswith("{"):
        return directory(_folder(rest, source.value, whereabouts), source)
    try:
        config = json.loads(rest)
    except (ValueError, RecursionError) as error:
        raise ConfigError(
            f"the JSON in {source.value} cannot be read: {error}",
            'write for example directory:{"path": "/mnt/team/store"}',
        ) from error
    return directory(_path_in(config, source.value, whereabouts), source)


def _from_block(
    block: Mapping[object, object], where: str, whereabouts: Whereabouts
) -> DatastoreConfig:
    type_name = block.get("type")
    if not isinstance(type_name, str):
        raise ConfigError(
            f"{where} has no type" if type_name is None else f"the type in {where} is no text",
            f"add `type: {DIRECTORY}` and `path:`",
        )
    _check_type(type_name, where)
    refuse_unknown(block, _BLOCK_KEYS, f"{where}, for type {type_name}")
    if "config" not in block:
        path = _path_in({"path": block.get("path")}, where, whereabouts)
    elif "path" in block:
        raise ConfigError(f"{where} has both path and config", "keep one of them")
    else:
        path = _path_in(block["config"], f"config of {where}", whereabouts)
    return directory(path, Source.FILE)


def _check_type(type_name: str, where: str) -> None:
    if type_name in _TYPES_NOT_BUILT:
        raise _not_built(type_name, f"named by {where}")
    if type_name != DIRECTORY:
        raise ConfigError(
            f"there is no datastore type {type_name!r} (named by {where})",
            nearest(type_name, _TYPES),
            type=type_name,
        )


def _not_built(type_name: str, because: str) -> NotBuilt:
    return NotBuilt(
        f"the datastore type {type_name!r} is not built yet ({because})",
        f"use a store in a folder: `swampctl datastore setup {DIRECTORY} --path PATH`, or"
        f" SWAMP_DATASTORE={DIRECTORY}:/path",
        type=type_name,
    )


def _path_in(config: object, where: str, whereabouts: Whereabouts) -> Path:
    """The path of a `directory` store's settings."""
    if not isinstance(config, dict):
        raise ConfigError(f"{where} is not a mapping of keys to values", "it needs `path`")
    refuse_unknown(config, {"path"}, where)
    path = config.get("path")
    if not isinstance(path, str):
        raise ConfigError(
            f"{where} has no path" if path is None else f"the path in {where} is no text",
            "name the folder of the store: `path: /mnt/team/store`",
        )
    return _folder(path, where, whereabouts)


def _folder(text: str, where: str, whereabouts: Whereabouts) -> Path:
    """An absolute path, from what a person wrote."""
    if not text or "\0" in text:
        raise ConfigError(f"the path of {where} is {text!r}", "name a folder")
    if _VARIABLE.search(text):
        raise ConfigError(
            f"the path {text!r} of {where} has a variable, and variables are not expanded here",
            "write the path out, begin it with ~, or let your shell expand it",
            path=text,
        )
    path = whereabouts.repo / _with_home(text, where, whereabouts.environ)
    return path.resolve() if ".." in path.parts else path


def _with_home(text: str, where: str, environ: Mapping[str, str]) -> Path:
    if not text.startswith("~"):
        return Path(text)
    first, _, rest = text.partition("/")
    if first == "~":
        return home(environ) / rest
    found = os.path.expanduser(first)  # noqa: PTH111 - Path.expanduser says less when it fails
    if found == first:
        raise ConfigError(
            f"the path {text!r} of {where} names the home of a user who is not known",
            "write the path out, or ./~... for a folder with such a name",
            path=text,
        )
    return Path(found) / rest
