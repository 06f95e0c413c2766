"""One repo's configuration: its id, and where its datastore is.

`.swamp.yaml` belongs to several tools: of its top level only `repoId` and `datastore` are read
here, and only inside `datastore:` an unknown key is an error.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NewType

from swampd.config.datastore import resolve
from swampd.config.directory import Whereabouts
from swampd.config.source import parse, read_text
from swampd.errors import ConfigError
from swampd.locations import REPO_FILE, check_repo_id

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from swampd.config.datastore import DatastoreConfig

RepoId = NewType("RepoId", str)
"""Names the cache of a repo; safe as the name of a directory."""


@dataclass(frozen=True, slots=True)
class RepoFile:
    """What `.swamp.yaml` says, before anybody has decided which store is meant."""

    path: Path
    """The repo: the directory that the file is in."""
    repo_id: RepoId | None
    datastore: Mapping[object, object] | None


@dataclass(frozen=True, slots=True)
class RepoConfig:
    """A repo that can be served."""

    path: Path
    repo_id: RepoId
    datastore: DatastoreConfig


def read_repo_file(repo: Path) -> RepoFile:
    """What the `.swamp.yaml` in the directory `repo` says.

    For set-up, which may find neither id nor datastore.  Raises NoRepo when there is no such file,
    ConfigError with line and column for a malformed one.
    """
    path = repo / REPO_FILE
    found = parse(read_text(path), path)
    block = found.get("datastore")
    if block is not None and not isinstance(block, dict):
        raise ConfigError(
            f"datastore: of {path} is not a mapping of keys to values",
            "it needs `type`, and `path` or `config`",
            path=str(path),
        )
    return RepoFile(repo, _repo_id(found.get("repoId"), path), block)


def load_repo(
    repo: Path, environ: Mapping[str, str], *, variable: str | None, option: str | None
) -> RepoConfig:
    """The configuration of the repo in the directory `repo`.

    `environ` says where `~` is; `variable` and `option` are SWAMP_DATASTORE and --datastore of
    whoever asks.  Raises NoRepo, ConfigError, and NotBuilt for what is documented and not built.
    """
    file = read_repo_file(repo)
    datastore = resolve(
        file.datastore,
        variable=variable,
        option=option,
        whereabouts=Whereabouts(repo, environ),
    )
    if file.repo_id is None:
        raise ConfigError(
            f"{repo / REPO_FILE} has no repoId, which names the cache of this repo",
            "run `swampctl datastore setup`, which adds one",
            path=str(repo / REPO_FILE),
        )
    return RepoConfig(repo, file.repo_id, datastore)


def _repo_id(found: object, path: Path) -> RepoId | None:
    if found is None:
        return None
    if not isinstance(found, str):
        raise ConfigError(
            f"the repoId of {path} is not a text but {found!r}",
            "put it in quotes",
            path=str(path),
        )
    check_repo_id(found)
    return RepoId(found)
