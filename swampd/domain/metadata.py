"""The user metadata that marks a payload object as ours, and for which path (section 1)."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Final

import msgspec

from swampd.domain.values import HEX_32, HEX_64, CachePath, Epoch, Sha256, Wid

if TYPE_CHECKING:
    from collections.abc import Mapping

MARK: Final = "swampd"
DIGEST: Final = "swampd-sha256"
_VERSION: Final = "1"
_MARK: Final = re.compile(
    rf"{_VERSION} (?P<wid>{HEX_32}) (?P<epoch>[0-9]{{1,18}}) (?P<path>[0-9a-f]{{16}})"
)
_DIGEST: Final = re.compile(HEX_64)
_WID: Final = re.compile(HEX_32)


class PayloadMark(msgspec.Struct, frozen=True, gc=False):
    """Who wrote a payload object: the wid of its entry, the epoch that sent it, its digest."""

    wid: Wid
    epoch: Epoch
    sha256: Sha256


def is_wid(text: str) -> bool:
    """Is this spelt as a wid is: 32 hex digits?  Wids from a store become parts of keys (S9)."""
    return _WID.fullmatch(text) is not None


def path_digest(path: CachePath) -> str:
    """The first 16 hex digits of sha256 of the path: ties an object to the path it was made for."""
    return hashlib.sha256(path.encode()).hexdigest()[:16]


def payload_metadata(path: CachePath, mark: PayloadMark) -> dict[str, str]:
    """The metadata of a payload object for `path`."""
    return {
        MARK: f"{_VERSION} {mark.wid} {mark.epoch} {path_digest(path)}",
        DIGEST: mark.sha256,
    }


def read_mark(path: CachePath, metadata: Mapping[str, str]) -> PayloadMark | None:
    """The mark of an object at `path`, or None where the object is *foreign*.

    Foreign is what carries no mark, an unreadable one, or one made for another path (an object
    somebody copied here): such an object is never overwritten or deleted by a push.
    """
    mark = _MARK.fullmatch(metadata.get(MARK, ""))
    digest = metadata.get(DIGEST, "")
    if mark is None or _DIGEST.fullmatch(digest) is None or mark["path"] != path_digest(path):
        return None
    return PayloadMark(Wid(mark["wid"]), Epoch(int(mark["epoch"])), Sha256(digest))
