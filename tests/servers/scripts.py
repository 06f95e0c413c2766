"""Calls to a server and what a client sees of the answers; two servers that are S3 answer alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tests.servers.clients import BUCKET, refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from types_boto3_s3 import S3Client

    Script = Callable[[S3Client], Iterable[object]]

PART: Final = bytes(range(256)) * (5 << 12)  # 5 MiB, the least
META: Final = {"swampd": "1 w 7 d", "swampd-sha256": "f" * 64}
STALE: Final = '"00000000000000000000000000000000"'
ODD: Final = (
    *("a//b", "a/../b", "./c", "sp ace+plus%percent", "ü/é/漢", "~!*'()", 'q"uote&<amp>', "tab\tx"),
    "x" * 1024,
)


def writing(client: S3Client) -> Iterable[object]:
    """Create, replace and delete, with conditions that hold and that do not."""
    at: dict[str, Any] = {"Bucket": BUCKET, "Key": "data/a.yaml"}
    first = client.put_object(**at, Body=b"1", IfNoneMatch="*", Metadata=META)
    yield first["ETag"]
    yield refusal(lambda: client.put_object(**at, Body=b"2", IfNoneMatch="*"))
    yield refusal(lambda: client.put_object(**at, Body=b"2", IfMatch=STALE))
    yield client.get_object(**at)["Body"].read()
    second = client.put_object(**at, Body=b"2", IfMatch=first["ETag"])
    yield second["ETag"], first["ETag"] == second["ETag"]
    yield client.put_object(**at, Body=b"3")["ETag"]
    yield refusal(lambda: client.put_object(**at, Body=b"4", IfMatch=second["ETag"]))
    yield refusal(lambda: client.delete_object(**at, IfMatch=second["ETag"]))
    found = client.get_object(**at)
    yield found["Body"].read(), found["Metadata"]
    client.delete_object(**at, IfMatch=found["ETag"])
    yield refusal(lambda: client.get_object(**at))
    yield refusal(lambda: client.put_object(**at, Body=b"5", IfMatch=found["ETag"]))
    yield refusal(lambda: client.delete_object(**at, IfMatch=found["ETag"]))
    yield client.delete_object(**at)["ResponseMetadata"]["HTTPStatusCode"]


def reading(client: S3Client) -> Iterable[object]:
    """GET and HEAD, whole, in ranges, under conditions, of what is not there."""
    at: dict[str, Any] = {"Bucket": BUCKET, "Key": "data/b"}
    body = PART[:200_000]
    etag = client.put_object(**at, Body=body, Metadata=META, ContentType="text/yaml")["ETag"]
    found = client.get_object(**at)
    yield found["ETag"], found["ContentLength"], found["ContentType"], found["Metadata"]
    yield found["Body"].read() == body
    head = client.head_object(**at)
    yield head["ETag"], head["ContentLength"], head["ContentType"], head["Metadata"]
    for span in ("bytes=0-0", "bytes=10-99", "bytes=199990-", "bytes=-5", "bytes=100000-999999"):
        part = client.get_object(**at, Range=span)
        yield part["ContentRange"], part["Body"].read()
        yield part["ResponseMetadata"]["HTTPStatusCode"]
    yield refusal(lambda: client.get_object(**at, Range="bytes=200000-"))
    yield client.get_object(**at, IfMatch=etag)["ETag"]
    yield refusal(lambda: client.get_object(**at, IfMatch=STALE))
    yield refusal(lambda: client.get_object(**at, IfNoneMatch=etag))[0]
    yield client.get_object(**at, IfNoneMatch=STALE)["ETag"]
    yield refusal(lambda: client.head_object(**at, IfMatch=STALE))[0]
    yield refusal(lambda: client.head_object(**at, IfNoneMatch=etag))[0]
    yield refusal(lambda: client.get_object(Bucket=BUCKET, Key="none"))
    yield refusal(lambda: client.head_object(Bucket=BUCKET, Key="none"))[0]
    client.put_object(Bucket=BUCKET, Key="empty", Body=b"")
    empty = client.get_object(Bucket=BUCKET, Key="empty")
    yield empty["ETag"], empty["Body"].read(), empty["Metadata"]


def buckets(client: S3Client) -> Iterable[object]:
    """What there is of buckets."""
    yield client.head_bucket(Bucket=BUCKET)["ResponseMetadata"]["HTTPStatusCode"]
    yield refusal(lambda: client.head_bucket(Bucket="no-such-bucket"))[0]
    yield refusal(lambda: client.get_object(Bucket="no-such-bucket", Key="k"))
    yield refusal(lambda: client.put_object(Bucket="no-such-bucket", Key="k", Body=b"1"))
    yield refusal(lambda: client.list_objects_v2(Bucket="no-such-bucket"))
    client.create_bucket(Bucket="another")
    client.put_object(Bucket="another", Key="k", Body=b"1")
    yield refusal(lambda: client.delete_bucket(Bucket="another"))
    client.delete_object(Bucket="another", Key="k")
    client.delete_bucket(Bucket="another")
    yield refusal(lambda: client.head_bucket(Bucket="another"))[0]


def listing(client: S3Client) -> Iterable[object]:
    """Pages, prefixes, delimiters, where to begin, and odd keys."""
    for key in (*ODD, *(f"data/{n:02}/{m}" for n in range(4) for m in range(3)), "data", "data0"):
        client.put_object(Bucket=BUCKET, Key=key, Body=key.encode())

    def page(**asked: Any) -> object:
        found = client.list_objects_v2(Bucket=BUCKET, **asked)
        rows = [(row["Key"], row["ETag"], row["Size"]) for row in found.get("Contents", [])]
        groups = [one["Prefix"] for one in found.get("CommonPrefixes", [])]
        return rows, groups, found["KeyCount"], found["IsTruncated"]

    yield page()
    yield page(Prefix="data/")
    yield page(Prefix="data/01/", StartAfter="data/01/1")
    yield page(StartAfter="data/02/0", MaxKeys=2)
    yield page(Prefix="none/")
    yield page(Prefix="data/", Delimiter="/")
    yield page(Delimiter="/")
    pages = client.get_paginator("list_objects_v2").paginate(
        Bucket=BUCKET, Prefix="data/", PaginationConfig={"PageSize": 5}
    )
    yield [[row["Key"] for row in one["Contents"]] for one in pages]
    pages = client.get_paginator("list_objects_v2").paginate(
        Bucket=BUCKET, Prefix="data/", Delimiter="/", PaginationConfig={"PageSize": 3}
    )
    yield [[group["Prefix"] for group in one["CommonPrefixes"]] for one in pages]
    for key in ODD:
        yield client.get_object(Bucket=BUCKET, Key=key)["Body"].read()
    gone = client.delete_objects(
        Bucket=BUCKET, Delete={"Objects": [{"Key": key} for key in (*ODD[:4], 'q"uote&<amp>')]}
    )
    yield sorted(one["Key"] for one in gone["Deleted"])
    yield page()


def copying(client: S3Client) -> Iterable[object]:
    """Copies, with the old metadata and with new, under conditions."""
    source: Any = {"Bucket": BUCKET, "Key": "staged/ü 1"}
    at: dict[str, Any] = {"Bucket": BUCKET, "Key": "data/c", "CopySource": source}
    to: dict[str, Any] = {"Bucket": BUCKET, "Key": "data/c"}
    etag = client.put_object(**source, Body=b"1", Metadata=META)["ETag"]
    copied = client.copy_object(**at)
    yield copied["CopyObjectResult"]["ETag"] == etag
    yield client.get_object(**to)["Metadata"]
    client.copy_object(**at, Metadata={"new": "1"}, MetadataDirective="REPLACE")
    found = client.get_object(**to)
    yield found["Metadata"], found["Body"].read()
    yield refusal(lambda: client.copy_object(**at, CopySourceIfMatch=STALE))
    yield refusal(lambda: client.copy_object(**at, CopySourceIfMatch=etag))
    missing: Any = {**at, "CopySource": {"Bucket": BUCKET, "Key": "none"}}
    yield refusal(lambda: client.copy_object(**missing))
    itself: Any = {**at, "Key": source["Key"]}
    yield refusal(lambda: client.copy_object(**itself))
    client.copy_object(**itself, Metadata={"new": "2"}, MetadataDirective="REPLACE")
    yield client.head_object(**source)["Metadata"]


def conditional_copying(client: S3Client) -> Iterable[object]:
    """Copies with conditions on what they replace."""
    client.put_object(Bucket=BUCKET, Key="staged", Body=b"1")
    at: dict[str, Any] = {
        "Bucket": BUCKET,
        "Key": "copy",
        "CopySource": {"Bucket": BUCKET, "Key": "staged"},
    }
    yield refusal(lambda: client.copy_object(**at, IfMatch=STALE))
    yield refusal(lambda: client.copy_object(**at, IfNoneMatch="*"))
    yield refusal(lambda: client.copy_object(**at, IfNoneMatch="*"))
    yield refusal(lambda: client.copy_object(**at, IfMatch=STALE))
    etag = client.head_object(Bucket=BUCKET, Key="copy")["ETag"]
    yield refusal(lambda: client.copy_object(**at, IfMatch=etag))


def multipart(client: S3Client) -> Iterable[object]:
    """An upload in parts, what can be wrong with it, and its end."""
    at: dict[str, Any] = {"Bucket": BUCKET, "Key": "data/large"}
    upload = client.create_multipart_upload(**at, Metadata=META)
    yield upload["Bucket"], upload["Key"]
    named: dict[str, Any] = {**at, "UploadId": upload["UploadId"]}
    parts: list[Any] = [
        {
            "PartNumber": number,
            "ETag": client.upload_part(**named, PartNumber=number, Body=body)["ETag"],
        }
        for number, body in enumerate((PART, PART, b"end"), start=1)
    ]
    yield parts
    yield [(one["PartNumber"], one["Size"]) for one in client.list_parts(**named)["Parts"]]
    yield refusal(lambda: client.head_object(**at))[0]

    def complete(these: list[Any]) -> tuple[int, str]:
        return refusal(
            lambda: client.complete_multipart_upload(**named, MultipartUpload={"Parts": these})
        )

    yield complete([{"PartNumber": 9, "ETag": parts[0]["ETag"]}])
    yield complete([parts[2], {**parts[0], "PartNumber": 4}])
    yield complete(parts)
    found = client.get_object(**at)
    yield found["ETag"], found["ContentLength"], found["Metadata"]
    yield found["Body"].read() == PART + PART + b"end"
    yield client.get_object(**at, Range=f"bytes={len(PART) - 2}-{len(PART) + 1}")["Body"].read()
    copied = client.copy_object(
        Bucket=BUCKET, Key="copy", CopySource={"Bucket": BUCKET, "Key": "data/large"}
    )
    yield copied["CopyObjectResult"]["ETag"]

    aborted: dict[str, Any] = {
        **at,
        "UploadId": client.create_multipart_upload(**at)["UploadId"],
    }
    client.upload_part(**aborted, PartNumber=1, Body=b"1")
    client.abort_multipart_upload(**aborted)
    yield refusal(lambda: client.abort_multipart_upload(**aborted))


def conditional_multipart(client: S3Client) -> Iterable[object]:
    """Uploads in parts with conditions on what they replace."""
    at: dict[str, Any] = {"Bucket": BUCKET, "Key": "data/large"}

    def upload(body: bytes, **conditions: Any) -> tuple[int, str]:
        named: Any = {**at, "UploadId": client.create_multipart_upload(**at)["UploadId"]}
        etag = client.upload_part(**named, PartNumber=1, Body=body)["ETag"]
        parts: Any = {"Parts": [{"PartNumber": 1, "ETag": etag}]}
        answer = refusal(
            lambda: client.complete_multipart_upload(**named, MultipartUpload=parts, **conditions)
        )
        if answer[0] != 200:
            client.abort_multipart_upload(**named)
        return answer

    yield upload(b"1", IfMatch=STALE)
    yield upload(b"1", IfNoneMatch="*")
    yield upload(b"2", IfNoneMatch="*")
    yield upload(b"2", IfMatch=STALE)
    found = client.get_object(**at)
    yield found["ETag"], found["Body"].read()
    yield upload(b"2", IfMatch=found["ETag"])
    yield client.get_object(**at)["Body"].read()


SCRIPTS: Final[tuple[Script, ...]] = (
    writing,
    reading,
    buckets,
    listing,
    copying,
    conditional_copying,
    multipart,
    conditional_multipart,
)
