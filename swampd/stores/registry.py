"""Opening a store by the name of its type and its configuration.

Limits: `directory` is built.  The other documented types are refused by name, so that nobody takes
an ignored setting for a working one.
"""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from swampd.errors import ConfigError, NotBuilt
from swampd.stores.directory import DirectoryStore

if TYPE_CHECKING:
    from collections.abc import Mapping

    from swampd.ports import ObjectStore, Threads

_DIRECTORY: Final = "directory"
_NOT_BUILT: Final = ("filesystem", "s3", "gcs", "@swamp/s3-datastore", "@swamp/gcs-datastore")
_KNOWN: Final = (_DIRECTORY, *_NOT_BUILT)


class DirectoryConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The configuration of a store in a folder."""

    path: str


def open_store(type_name: str, config: Mapping[str, object], threads: Threads) -> ObjectStore:
    """The store that a configuration names; nothing is read or made yet.

    Raises errors.NotBuilt for a documented type that is not built, errors.ConfigError for an
    unknown type or a configuration that cannot be right.
    """
    if type_name == _DIRECTORY:
        return DirectoryStore(_folder(config), threads)
    if type_name in _NOT_BUILT:
        raise NotBuilt(
            f"the store type {type_name!r} is not built yet",
            hint=f"use {_DIRECTORY!r}",
            type=type_name,
        )
    nearest = get_close_matches(type_name, _KNOWN, n=1)
    raise ConfigError(
        f"there is no store type {type_name!r}",
        hint=f"did you mean {nearest[0]!r}?" if nearest else f"known are {', '.join(_KNOWN)}",
        type=type_name,
    )


def _folder(config: Mapping[str, object]) -> Path:
    try:
        path = msgspec.convert(config, DirectoryConfig).path
    except msgspec.ValidationError as error:
        raise ConfigError(
            f"the configuration of the {_DIRECTORY} store cannot be used: {error}",
            hint="it has one setting, `path`: the folder",
        ) from error
    try:
        folder = Path(path).expanduser()
    except RuntimeError as error:
        raise ConfigError(f"the home of {path!r} is not known", path=path) from error
    if not folder.is_absolute() or "\0" in path:
        raise ConfigError(
            f"the folder of the {_DIRECTORY} store must be an absolute path, not {path!r}",
            hint="write it from `/` or `~` on",
            path=path,
        )
    return folder
