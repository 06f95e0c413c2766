"""The marker `.swampd/cache-id`: which datastore a directory is a cache of (section 7).

Keeps S4: a missing, damaged or foreign marker means join mode, in which no delete goes out; so
whatever cannot be read exactly is None, never a guess.
"""

from __future__ import annotations

from typing import Final

import msgspec

# msgspec reads the annotations when the class is made, so the names must be there then.
from swampd.domain.values import Count, DatastoreId  # noqa: TC001


class Marker(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The three facts that must fit the journal before a missing file counts as deleted."""

    datastore_id: DatastoreId
    workspace: str
    generation: Count
    """Raised with each transaction that changes base: here first, then in the journal."""


_decoder: Final = msgspec.json.Decoder(Marker)


def encode_marker(marker: Marker) -> bytes:
    """The marker as a line of JSON."""
    return msgspec.json.encode(marker) + b"\n"


def decode_marker(content: bytes) -> Marker | None:
    """The marker, or None when these bytes are not exactly one."""
    try:
        return _decoder.decode(content)
    except (ValueError, RecursionError):
        return None
