"""User metadata of an object, on its way through HTTP headers.

What is plain ASCII travels as it is.  Anything else, and what begins or ends with a space, is an
encoded word of RFC 2047, as S3 itself writes it.
"""

from __future__ import annotations

from email.errors import HeaderParseError
from email.header import decode_header
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

from base64 import b64encode


def to_headers(metadata: Mapping[str, str]) -> dict[str, str]:
    """The values as headers can carry them."""
    return {name: _encoded(value) for name, value in metadata.items()}


def from_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """The values as they were meant; what is no encoded word of ours stays as it is."""
    return {name.lower(): _decoded(value) for name, value in headers.items()}


def _encoded(value: str) -> str:
    if value.isascii() and value.isprintable() and value == value.strip() and "=?" not in value:
        return value
    return f"=?UTF-8?B?{b64encode(value.encode()).decode()}?="


def _decoded(value: str) -> str:
    if not value.startswith("=?"):
        return value
    try:
        return "".join(
            part.decode(charset or "ascii") if isinstance(part, bytes) else part
            for part, charset in decode_header(value)
        )
    except (HeaderParseError, LookupError, UnicodeDecodeError):
        return value
