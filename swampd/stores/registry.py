"""Opening the store that settings name."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from swampd.domain.datastores import DirectorySettings, S3Settings
from swampd.stores.directory import DirectoryStore

if TYPE_CHECKING:
    from swampd.domain.datastores import CloudEnvironment, StoreSettings
    from swampd.ports import ObjectStore, Threads


def open_store(
    settings: StoreSettings,
    environment: CloudEnvironment,
    threads: Threads,
) -> ObjectStore:
    """The store, for the user that the environment speaks of; nothing is read or made yet."""
    match settings:
        case DirectorySettings():
            return DirectoryStore(settings.path, threads)
        case S3Settings():
            # The libraries of clouds take half a second to load.
            from swampd.stores.s3.store import S3Store  # noqa: PLC0415

            return S3Store(settings, environment)
        case _:
            assert_never(settings)
