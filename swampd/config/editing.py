"""Writing a datastore into `.swamp.yaml`, which its owner keeps by hand.

Keeps true: all that the file says besides, and how it says it, stays (`splicing`); the file is
replaced atomically, and not when somebody else has just changed it.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING
from uuid import uuid4

from swampd.config.datastore import Source
from swampd.config.repo import RepoId, read_repo_file
from swampd.config.source import read_text
from swampd.config.spelling import to_block
from swampd.config.splicing import with_datastore
from swampd.errors import ConfigError, NoRepo
from swampd.locations import REPO_FILE, check_repo_id

if TYPE_CHECKING:
    from pathlib import Path

    from swampd.config.datastore import DatastoreConfig


def write_datastore(repo: Path, datastore: DatastoreConfig, repo_id: str | None = None) -> RepoId:
    """Make `.swamp.yaml` in the directory `repo` name this datastore; the repoId it has then.

    Keys of the former store go; `exclude` and the like stay.  A store that this file itself named
    stays as it is spelt.  A repoId that is there stays; where
    there is none `repo_id` is written, or a fresh one.  Nothing is written when the file says all
    that already.  Raises ConfigError for a file that cannot be edited or is changed by somebody
    else meanwhile, and when `repo_id` is not the one that is there.
    """
    path = repo / REPO_FILE
    try:
        text = read_text(path)
        there = read_repo_file(repo).repo_id
    except NoRepo:
        text, there = "", None
    if repo_id is not None:
        check_repo_id(repo_id)
        if there not in {None, repo_id}:
            raise ConfigError(
                f"{path} has the repoId {there!r}, not {repo_id!r}",
                "leave it as it is: it names the cache",
                path=str(path),
            )
    chosen = RepoId(there or repo_id or str(uuid4()))
    store = None if datastore.source is Source.FILE else to_block(datastore.settings)
    new = with_datastore(text, store, None if there else chosen, path)
    if new != text:
        _replace(path, text, new)
    return chosen


def _replace(path: Path, old: str, new: str) -> None:
    """Put a new file in place of the old, if that still says `old`; synced to disk."""
    target = path.resolve()  # a link stays a link
    draft = target.with_name(f".{REPO_FILE.strip('.')}.{uuid4()}.tmp")
    try:
        mode = stat.S_IMODE(target.stat().st_mode)
    except FileNotFoundError:
        mode = 0o644
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(new.encode())
            os.fchmod(descriptor, mode)
            os.fsync(descriptor)
        if _now(path) != old:
            raise ConfigError(
                f"{path} was changed by somebody else just now", "try again", path=str(path)
            )
        draft.rename(target)
        _sync_directory(target.parent)
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be written: {error}", "see who owns it", path=str(path)
        ) from error
    finally:
        draft.unlink(missing_ok=True)


def _now(path: Path) -> str:
    try:
        return read_text(path)
    except NoRepo:
        return ""


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
