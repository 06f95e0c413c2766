"""ListObjectsV2."""

from __future__ import annotations

import base64
import re
from bisect import bisect_left, bisect_right
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.servers.responder.buckets import Bucket, Stored

MAX_KEYS: Final = 1000
PREAMBLE: Final = '<?xml version="1.0" encoding="UTF-8"?>\n'
NAMESPACE: Final = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'

_LAST: Final = chr(0x10FFFF)
_MARKUP: Final = re.compile(r"[&<>\x00-\x1f]")


def list_objects(bucket: Bucket, name: str, arguments: Mapping[str, str]) -> bytes:
    """The answer to a listing."""
    prefix, delimiter = arguments.get("prefix", ""), arguments.get("delimiter", "")
    limit = min(int(arguments.get("max-keys", MAX_KEYS)), MAX_KEYS)
    as_url = arguments.get("encoding-type") == "url"
    show = (lambda text: quote(text, safe="/")) if as_url else as_xml
    page = _Page(bucket, prefix, delimiter)
    page.fill(_start(bucket, arguments), limit)

    head = f"<Name>{name}</Name><Prefix>{show(prefix)}</Prefix><MaxKeys>{limit}</MaxKeys>"
    head += f"<KeyCount>{len(page.keys) + len(page.groups)}</KeyCount>"
    if delimiter:
        head += f"<Delimiter>{show(delimiter)}</Delimiter>"
    if as_url:
        head += "<EncodingType>url</EncodingType>"
    if page.next:
        token = base64.urlsafe_b64encode(page.next.encode()).decode()
        head += f"<NextContinuationToken>{token}</NextContinuationToken>"
    head += f"<IsTruncated>{'true' if page.next else 'false'}</IsTruncated>"
    rows = [_contents(show(key), bucket.objects[key]) for key in page.keys]
    groups = [
        f"<CommonPrefixes><Prefix>{show(group)}</Prefix></CommonPrefixes>" for group in page.groups
    ]
    inner = f"{head}{''.join(rows)}{''.join(groups)}"
    return f"{PREAMBLE}<ListBucketResult {NAMESPACE}>{inner}</ListBucketResult>".encode()


class _Page:
    """The keys, and what they share up to the delimiter; `next` says where the next page begins."""

    def __init__(self, bucket: Bucket, prefix: str, delimiter: str) -> None:
        self._all = bucket.keys
        self._prefix = prefix
        self._delimiter = delimiter
        self.keys: list[str] = []
        self.groups: list[str] = []
        self.next = ""

    def fill(self, at: int, limit: int) -> None:
        at = max(at, bisect_left(self._all, self._prefix))
        last = ""
        while at < len(self._all) and self._all[at].startswith(self._prefix):
            if len(self.keys) + len(self.groups) >= limit:
                self.next = last
                return
            key = self._all[at]
            group = self._group(key)
            if group:
                self.groups.append(group)
                last = group + _LAST
                at = bisect_right(self._all, last)
            else:
                self.keys.append(key)
                last = key
                at += 1

    def _group(self, key: str) -> str:
        if not self._delimiter:
            return ""
        end = key.find(self._delimiter, len(self._prefix))
        return "" if end < 0 else key[: end + len(self._delimiter)]


def _start(bucket: Bucket, arguments: Mapping[str, str]) -> int:
    after = arguments.get("start-after", "")
    if token := arguments.get("continuation-token"):
        after = base64.urlsafe_b64decode(token).decode()
    return bisect_right(bucket.keys, after) if after else 0


def _contents(key: str, stored: Stored) -> str:
    return (
        f"<Contents><Key>{key}</Key><LastModified>{iso(stored.modified_s)}</LastModified>"
        f"<ETag>{as_xml(stored.etag)}</ETag><Size>{stored.size}</Size>"
        "<StorageClass>STANDARD</StorageClass></Contents>"
    )


def iso(time_s: float) -> str:
    """A time as S3's XML has it."""
    at = datetime.fromtimestamp(time_s, UTC)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03}Z"


def as_xml(text: str) -> str:
    """Text within an element."""
    return _MARKUP.sub(lambda found: f"&#{ord(found[0])};", text)
