"""What the first bytes of a journal and of its -wal must say, read before SQLite touches them.

SQLite takes an empty file for a new database and silently ignores a -wal whose header it cannot
read, with every commit in it; here both are damage.  Formats: https://sqlite.org/fileformat2.html
(1.3 the database header, 4.1 and 4.2 the -wal header and its checksum).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

APPLICATION_ID: Final = int.from_bytes(b"swpd")
"""Marks a database file as a swampd journal."""

_MAGIC: Final = b"SQLite format 3\x00"
_HEADER_BYTES: Final = 100
_PAGE_SIZE_64K: Final = 1  # 65,536 does not fit into the field's two bytes
_WAL_HEADER_BYTES: Final = 32
_WAL_MAGIC: Final = 0x377F0682  # the lowest bit says: checksums are over big-endian words
_UINT32: Final = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class Damaged:
    """Why a journal cannot be used."""

    reason: str


@dataclass(frozen=True, slots=True)
class Headers:
    """What a sound header says.  The -wal may hold a later `user_version`."""

    user_version: int


def read_headers(path: Path) -> Headers | Damaged:
    """Look at the file and its -wal.  Raises OSError when they cannot be read."""
    with path.open("rb") as file:
        header = file.read(_HEADER_BYTES)
    if len(header) < _HEADER_BYTES or not header.startswith(_MAGIC):
        return Damaged("it is not an SQLite database")
    (page_size,) = struct.unpack_from(">H", header, 16)
    page_size = 65_536 if page_size == _PAGE_SIZE_64K else page_size
    user_version, application_id = struct.unpack_from(">I4xI", header, 60)
    if application_id != APPLICATION_ID:
        return Damaged("it is not a journal of swampd")
    problem = _sizes(path, page_size)
    return Damaged(problem) if problem else Headers(user_version)


def _sizes(path: Path, page_size: int) -> str | None:
    wal = path.with_name(path.name + "-wal")
    try:
        with wal.open("rb") as file:
            header = file.read(_WAL_HEADER_BYTES + 1)
    except FileNotFoundError:
        header = b""
    if len(header) > _WAL_HEADER_BYTES:  # SQLite syncs the header before the first frame
        return _wal_problem(header[:_WAL_HEADER_BYTES], page_size)
    if page_size == 0 or path.stat().st_size % page_size:
        return "it was cut off inside a page"
    return None


def _wal_problem(header: bytes, page_size: int) -> str | None:
    magic, _, wal_page_size = struct.unpack_from(">3I", header)
    if magic & ~1 != _WAL_MAGIC:
        return "its -wal is not one"
    if _checksum(header[:24], ">" if magic & 1 else "<") != struct.unpack_from(">2I", header, 24):
        return "the header of its -wal is damaged"
    if wal_page_size != page_size:
        return f"its -wal has pages of {wal_page_size} bytes, the file has {page_size}"
    return None


def _checksum(data: bytes, order: str) -> tuple[int, int]:
    """SQLite's checksum over pairs of 32-bit words."""
    first = second = 0
    for even, odd in struct.iter_unpack(f"{order}2I", data):
        first = (first + even + second) & _UINT32
        second = (second + odd + first) & _UINT32
    return first, second
