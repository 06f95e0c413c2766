"""Opening the store that settings name."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from swampd.domain.datastores import DirectorySettings, S3Settings
from swampd.errors import NotBuilt
from swampd.stores.directory import DirectoryStore

if TYPE_CHECKING:
    from swampd.domain.datastores import CloudEnvironment, StoreSettings
    from swampd.ports import ObjectStore, Threads


def open_store(
    settings: StoreSettings,
    environment: CloudEnvironment,  # noqa: ARG001 - for the stores that need to know who asks
    threads: Threads,
) -> ObjectStore:
    """The store, for the user that the environment speaks of; nothing is read or made yet.

    Raises errors.NotBuilt for one that is not built.
    """
    match settings:
        case DirectorySettings():
            return DirectoryStore(settings.path, threads)
        case S3Settings():
            raise NotBuilt("the datastore type 's3' is not built yet", "use 'directory'", type="s3")
        case _:
            assert_never(settings)
