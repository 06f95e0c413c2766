"""Side files: token and metadata of each object, and of the write in flight.

A side file is written before the rename that it announces, so at any instant the version of the
payload file that is in place is one of the two that the side file names; size and mtime say which.
A payload file that fits neither is *foreign*: it has no metadata, and its token is made of its
stat.  Inode and ctime play no part for our own, so a store copied with `cp -a` stays ours.

Limits: a foreign program that rewrites one of our files with equal size and sets its mtime back
is not noticed.  A side file that cannot be parsed makes its object foreign, which is the safe side.
"""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

from swampd.domain.values import Token
from swampd.errors import SchemaTooNew
from swampd.stores.folder.paths import META_FOLDERS, made, open_path, opened, side_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from swampd.stores.folder.calls import Calls

SCHEMA: Final = 1
_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_MOST_BYTES: Final = 1 << 20


class Version(msgspec.Struct, frozen=True):
    """One write of one key."""

    token: Token
    size: int
    mtime_ns: int
    metadata: dict[str, str]

    def fits(self, stat: os.stat_result) -> bool:
        """Is the payload file that has this stat the one that this write made?"""
        return self.size == stat.st_size and self.mtime_ns == stat.st_mtime_ns


class SideFile(msgspec.Struct, frozen=True):
    """What a side file holds; `pending` is the write in flight, or the last one."""

    schema: int
    key: str
    current: Version | None
    pending: Version | None


class _Schema(msgspec.Struct):
    schema: int


_DECODER: Final = msgspec.json.Decoder(SideFile)
_UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


@dataclass(frozen=True, slots=True)
class Held:
    """An object that is there: its stat, and the version of ours that it is (None: foreign)."""

    stat: os.stat_result
    version: Version | None

    @property
    def token(self) -> Token:
        """Ours, or one that changes with whatever a foreign program does to the file."""
        if self.version:
            return self.version.token
        s = self.stat
        return Token(f"stat-{s.st_ino:x}-{s.st_size:x}-{s.st_mtime_ns:x}-{s.st_ctime_ns:x}")

    @property
    def metadata(self) -> Mapping[str, str]:
        """Ours, or none."""
        return self.version.metadata if self.version else {}


class SideFiles:
    """The side files of the store at an open root, for one operation."""

    __slots__ = ("_meta", "_root")

    def __init__(self, root: int) -> None:
        self._root = root
        self._meta: int | None = None

    def read(self, key: str) -> SideFile | None:
        """The side file of a key; None where there is none, or a damaged one.

        Raises OSError, and errors.SchemaTooNew.
        """
        content = self._content(*side_of(key))
        if content is None:
            return None
        try:
            side = _DECODER.decode(content)
        except _UNREADABLE:
            _check_schema(content, key)
            return None
        if side.schema != SCHEMA:
            _check_schema(content, key)
            return None
        return side if side.key == key else None

    def held(self, key: str, stat: os.stat_result) -> Held:
        """Whose the payload file with this stat is, as its side file says now."""
        return Held(stat, fitting(self.read(key), stat))

    def close(self) -> None:
        """Let go of the descriptor."""
        if self._meta is not None:
            os.close(self._meta)

    def _content(self, bucket: str, name: str) -> bytes | None:
        try:
            # Not before the payload file was seen: its writer may just have made the folder.
            if self._meta is None:
                self._meta = open_path(self._root, META_FOLDERS)
            with opened(self._meta, (bucket,)) as folder:
                file = os.open(name, _READ, dir_fd=folder)
        except FileNotFoundError:
            return None
        try:
            return os.read(file, _MOST_BYTES)
        finally:
            os.close(file)


def fitting(side: SideFile | None, stat: os.stat_result) -> Version | None:
    """The version that a payload file is, None for a foreign one."""
    for version in (side.pending, side.current) if side else ():
        if version is not None and version.fits(stat):
            return version
    return None


def write_side(side: SideFile, tmp: int, meta: int, calls: Calls) -> None:
    """Put a side file in place of the one before, whole or not at all.  Raises OSError."""
    bucket, name = side_of(side.key)
    temporary = f"{secrets.token_hex(16)}.side"
    try:
        file = calls.make(temporary, tmp)
        try:
            calls.write(file, msgspec.json.encode(side))
            if not calls.syncs_all:
                calls.sync(file)
        finally:
            os.close(file)
        with made(meta, (bucket,), calls) as folder:
            calls.rename(temporary, tmp, name, folder)
    except OSError:
        with suppress(OSError):
            calls.unlink(temporary, tmp)
        raise


def drop_side(key: str, meta: int, calls: Calls) -> None:
    """Remove the side file of a key that has no object any more, if it is there."""
    bucket, name = side_of(key)
    with suppress(OSError), opened(meta, (bucket,)) as folder:
        calls.unlink(name, folder)


def _check_schema(content: bytes, key: str) -> None:
    """Raise errors.SchemaTooNew if that is why a side file says nothing to us."""
    with suppress(*_UNREADABLE):
        schema = msgspec.json.decode(content, type=_Schema).schema
        if schema > SCHEMA:
            raise SchemaTooNew(
                f"the side file of {key!r} has schema {schema}, this version knows {SCHEMA}",
                hint="use the newer swampd that wrote it",
                key=key,
            )
