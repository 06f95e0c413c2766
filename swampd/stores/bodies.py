"""The bytes of a body, in chunks, whether they are in memory or in a sealed file.

Limits: a sealed file that is shorter or longer than it says, or gone, is refused: what was hashed
is not what would be sent.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from swampd.errors import BadRequest
from swampd.ports import SealedFile

if TYPE_CHECKING:
    from collections.abc import Iterator

    from swampd.ports import Body

CHUNK: Final = 1 << 20


def chunks(body: Body) -> Iterator[bytes]:
    """The body's bytes in order, at most 1 MiB at a time.

    Raises errors.BadRequest when a sealed file is not what it says.
    """
    if isinstance(body, SealedFile):
        yield from _sealed_chunks(body)
    elif body:
        yield body


def whole(body: Body) -> bytes:
    """All bytes of the body.  Raises errors.BadRequest like `chunks`."""
    return body if isinstance(body, bytes) else b"".join(chunks(body))


def _sealed_chunks(sealed: SealedFile) -> Iterator[bytes]:
    sent = 0
    try:
        with Path(sealed.location).open("rb", buffering=0) as file:
            while chunk := file.read(CHUNK):
                sent += len(chunk)
                yield chunk
    except OSError as error:
        raise BadRequest(
            f"the sealed copy {sealed.location} cannot be read: {error.strerror}",
            path=sealed.location,
        ) from error
    if sent != sealed.size:
        raise BadRequest(
            f"the sealed copy {sealed.location} has {sent} bytes, not the {sealed.size} it had",
            path=sealed.location,
        )
