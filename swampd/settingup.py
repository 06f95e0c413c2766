"""Set-up: a repo gets a store, and the store a layout.

Keeps true: `.swamp.yaml` names a store only once that store has its layout; a cache that is open
for another store keeps it.
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import structlog

from swampd import locations
from swampd.config import directory, s3
from swampd.config.datastore import DatastoreConfig, Source, resolve
from swampd.config.directory import Whereabouts
from swampd.config.editing import write_datastore
from swampd.config.repo import RepoConfig, RepoFile, read_repo_file
from swampd.domain.datastores import DirectorySettings, S3Settings
from swampd.environments import completed
from swampd.errors import BadRequest, ConfigError, NoRepo
from swampd.layouts import set_up
from swampd.opening import Choice, Located, locate, shown_in_time
from swampd.stores.registry import open_store

if TYPE_CHECKING:
    from swampd.domain.datastores import StoreSettings
    from swampd.layouts import Made
    from swampd.opening import World
    from swampd.serving import Workspaces

_REQUEST: Final = "the request"
log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class SetUp:
    """What set-up did."""

    located: Located
    made: Made


async def set_up_repo(
    workspaces: Workspaces, choice: Choice, named: str | S3Settings | None
) -> SetUp:
    """Set up the named store (a folder by its path, a bucket), else that of `.swamp.yaml`.

    Raises ConfigError, NotBuilt, NoRepo, NotADatastore, StoreRefused, StoreUnavailable,
    StoreDenied, NoCredentials, WorkspaceClash.
    """
    world, repo = workspaces.world, Path(choice.repo)
    if not repo.is_absolute():
        raise BadRequest(f"the repo {repo} is not an absolute path", "name it from / on")
    file = await world.threads.io(lambda: _read(repo))
    chosen = _chosen(world, repo, file, named)
    environment = completed(choice.environment, choice.session, world.environ)
    if file.repo_id is not None:
        cache = locations.repo_cache(file.repo_id, world.environ).resolve()
        config = RepoConfig(repo, file.repo_id, chosen)
        workspaces.at(Located(config, cache, environment, choice.environment is not None))
    await world.threads.io(lambda: _prepare(chosen.settings))
    async with AsyncExitStack() as stack:
        first = open_store(chosen.settings, environment, world.store_threads)
        stack.push_async_callback(first.close)
        second = open_store(chosen.settings, environment, world.store_threads)
        stack.push_async_callback(second.close)
        async with shown_in_time(first.name, "run this again"):
            made = await set_up(first, second, chosen.keys, world.rng)
    await world.threads.io(lambda: write_datastore(repo, chosen))
    log.info("datastore_set_up", store=str(chosen), created=made.created, repo=str(repo))
    return SetUp(await locate(world, Choice(str(repo))), made)


def _read(repo: Path) -> RepoFile:
    try:
        return read_repo_file(repo)
    except NoRepo:
        return RepoFile(repo, None, None)


def _chosen(
    world: World, repo: Path, file: RepoFile, named: str | S3Settings | None
) -> DatastoreConfig:
    whereabouts = Whereabouts(repo, world.environ)
    if isinstance(named, S3Settings):
        return DatastoreConfig(s3.checked(named, _REQUEST), Source.OPTION)
    if named is not None:
        return DatastoreConfig(directory.at(named, _REQUEST, whereabouts), Source.OPTION)
    if file.datastore is None:
        raise ConfigError(
            f"{repo / locations.REPO_FILE} names no datastore, and none was given",
            "run `swampctl datastore setup directory --path PATH`, or"
            " `swampctl datastore setup s3 --bucket BUCKET`",
            path=str(repo / locations.REPO_FILE),
        )
    return resolve(file.datastore, variable=None, option=None, whereabouts=whereabouts)


def _prepare(settings: StoreSettings) -> None:
    """What has to be there before the store is opened."""
    if isinstance(settings, DirectorySettings):
        _make_folder(settings.path)


def _make_folder(folder: Path) -> None:
    """The store's own folder may be missing, what it is in may not: it may be an unmounted disk."""
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"the folder {folder} cannot be made: {error.strerror}",
            "make it, or mount what it is on, then run this again",
            path=str(folder),
        ) from error
