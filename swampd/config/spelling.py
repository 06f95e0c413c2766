"""Each type of store by its names: from what a person wrote to settings, and back.

A new type is a line in each function here, a module for its settings, and a place in
`stores.registry`.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Final, TypeAlias

from swampd.config import directory, s3
from swampd.config.keys import nearest, refuse_unknown
from swampd.domain.datastores import DirectorySettings
from swampd.errors import ConfigError, NotBuilt

if TYPE_CHECKING:
    from collections.abc import Mapping

    from swampd.config.directory import Whereabouts
    from swampd.domain.datastores import StoreSettings

Block: TypeAlias = "Mapping[str, str | Mapping[str, str | int | bool]]"
"""The keys of `datastore:` that say which store it is."""

GCS_KEYS: Final = frozenset({"bucket", "prefix", "projectId", "apiEndpoint"})
BLOCK_KEYS: Final = frozenset({"type", "path", "config"})
STORE_KEYS: Final = BLOCK_KEYS | s3.KEYS | GCS_KEYS
"""Keys of the block that say which store it is, the legacy ones at block level included."""

_BUILT: Final = (directory.TYPE, s3.TYPE, s3.OTHER_TYPE)
_NOT_BUILT: Final = ("filesystem", "gcs", "@swamp/gcs-datastore")


def from_text(text: str, where: str, whereabouts: Whereabouts) -> StoreSettings:
    """The store that `TYPE:PLACE` or `TYPE:{json}` spells.  Raises ConfigError, NotBuilt."""
    type_name, colon, rest = text.partition(":")
    if not colon:
        raise ConfigError(
            f"{where} is {text!r}, which is not TYPE:PLACE",
            "write for example directory:/mnt/team/store or s3:bucket/prefix",
        )
    check_type(type_name, where)
    if rest.startswith("{"):
        return from_config(type_name, _json(rest, where), where, whereabouts)
    if type_name == directory.TYPE:
        return directory.at(rest, where, whereabouts)
    return s3.at(rest, where)


def from_config(
    type_name: str, config: object, where: str, whereabouts: Whereabouts
) -> StoreSettings:
    """The store of a built type that a mapping of settings names.  Raises ConfigError."""
    if type_name == directory.TYPE:
        return directory.read_directory(config, where, whereabouts)
    return s3.read_s3(config, where)


def from_block(
    block: Mapping[object, object], where: str, whereabouts: Whereabouts
) -> StoreSettings:
    """The store that a `datastore:` block names, in either form.  Raises ConfigError, NotBuilt."""
    type_name = block.get("type")
    if not isinstance(type_name, str):
        raise ConfigError(
            f"{where} has no type" if type_name is None else f"the type in {where} is no text",
            f"add `type: {directory.TYPE}` and `path:`, or `type: {s3.TYPE}` and `config:`",
        )
    check_type(type_name, where)
    legacy = {directory.TYPE: frozenset({"path"}), s3.TYPE: s3.LEGACY_KEYS}
    own = legacy.get(type_name, frozenset())
    refuse_unknown(block, {"type", "config"} | own, f"{where}, for type {type_name}")
    flat = {key: value for key, value in block.items() if key in own}
    if "config" not in block:
        return from_config(type_name, flat, where, whereabouts)
    for key in flat:
        raise ConfigError(f"{where} has both {key} and config", "keep one of them", key=str(key))
    return from_config(type_name, block["config"], f"config of {where}", whereabouts)


def check_type(type_name: str, where: str) -> None:
    """Raises NotBuilt for a type that is documented only, ConfigError for one that is not."""
    if type_name in _NOT_BUILT:
        raise not_built(type_name, f"named by {where}")
    if type_name not in _BUILT:
        raise ConfigError(
            f"there is no datastore type {type_name!r} (named by {where})",
            nearest(type_name, _BUILT + _NOT_BUILT),
            type=type_name,
        )


def not_built(type_name: str, because: str) -> NotBuilt:
    """The refusal of a type that is documented only."""
    return NotBuilt(
        f"the datastore type {type_name!r} is not built yet ({because})",
        "use a store in a folder or in S3: `swampctl datastore setup directory --path PATH`, or"
        " `swampctl datastore setup s3 --bucket BUCKET`",
        type=type_name,
    )


def _json(text: str, where: str) -> object:
    try:
        found: object = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ConfigError(
            f"the JSON in {where} cannot be read: {error}",
            'write for example directory:{"path": "/mnt/team/store"}',
        ) from error
    return found


# --- and back ---------------------------------------------------------------------------------


def type_of(settings: StoreSettings) -> str:
    """The name of its type."""
    return directory.TYPE if isinstance(settings, DirectorySettings) else s3.TYPE


def to_text(settings: StoreSettings) -> str:
    """As SWAMP_DATASTORE spells it."""
    if isinstance(settings, DirectorySettings):
        return f"{directory.TYPE}:{settings.path}"
    given = s3.given(settings)
    if given.keys() - {"bucket", "prefix"}:
        return f"{s3.TYPE}:{json.dumps(given, ensure_ascii=False)}"
    return f"{s3.TYPE}:{settings.bucket}" + (f"/{settings.prefix}" if settings.prefix else "")


def to_block(settings: StoreSettings) -> Block:
    """As `datastore:` of `.swamp.yaml` has it; what is as by default is left out."""
    if isinstance(settings, DirectorySettings):
        return {"type": directory.TYPE, "path": str(settings.path)}
    return {"type": s3.TYPE, "config": s3.given(settings)}


def place_of(settings: StoreSettings) -> str:
    """What tells one store from another: a folder with every link resolved, a bucket with prefix
    and endpoint.  Asks the file system."""
    if isinstance(settings, DirectorySettings):
        return f"{directory.TYPE}:{os.path.realpath(settings.path)}"
    return s3.place(settings)
