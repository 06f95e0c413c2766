"""Which store is meant: SWAMP_DATASTORE, else --datastore, else `.swamp.yaml`, else the default.

Keeps true: no key and no type is silently ignored.  What is documented and not built is refused by
name (an ignored `exclude` publishes secrets), also while a variable replaces the store: the
variable replaces where the files go, not which.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final

from swampd.config import spelling
from swampd.config.directory import in_folder
from swampd.config.keys import refuse_unknown
from swampd.domain.datastores import keys_of
from swampd.errors import NotBuilt

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from swampd.config.directory import Whereabouts
    from swampd.domain.datastores import StoreSettings
    from swampd.domain.layout import Keys

COMMON_KEYS: Final = frozenset({"directories", "exclude", "namespace", "syncTimeoutMs"})
"""Keys of the block that say what is synced and how, not where to."""


class Source(Enum):
    """Who named the store."""

    ENVIRONMENT = "SWAMP_DATASTORE"
    OPTION = "--datastore"
    FILE = ".swamp.yaml"
    DEFAULT = "default"


@dataclass(frozen=True, slots=True)
class DatastoreConfig:
    """A store, and who named it."""

    settings: StoreSettings
    source: Source

    @property
    def type(self) -> str:
        """The name of its type."""
        return spelling.type_of(self.settings)

    @property
    def keys(self) -> Keys:
        """The keys in it, its prefix included."""
        return keys_of(self.settings)

    @property
    def place(self) -> str:
        """What tells one store from another.  Asks the file system."""
        return spelling.place_of(self.settings)

    def __str__(self) -> str:
        """As SWAMP_DATASTORE spells it."""
        return spelling.to_text(self.settings)


def directory(path: Path, source: Source) -> DatastoreConfig:
    """The store in the folder `path` (absolute).  Raises ConfigError for one that is not UTF-8."""
    return DatastoreConfig(in_folder(path, source.value), source)


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
        refuse_unknown(block, spelling.STORE_KEYS | COMMON_KEYS, where)
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
        return DatastoreConfig(spelling.from_block(block, where, whereabouts), Source.FILE)
    raise spelling.not_built(
        "filesystem",
        f"{whereabouts.repo / '.swamp'} is the default, as nothing names a datastore",
    )


def parse_spelling(text: str, source: Source, whereabouts: Whereabouts) -> DatastoreConfig:
    """The store that SWAMP_DATASTORE or --datastore spells.

    Raises ConfigError and NotBuilt as `resolve` does.
    """
    return DatastoreConfig(spelling.from_text(text, source.value, whereabouts), source)
