"""What plain boto3 takes: `python -m bench.boto_peer push|pull URL BUCKET PREFIX FOLDER`.

Sixteen threads, as people write it.  Prints CPU and wall seconds; start-up is not in them.
"""

from __future__ import annotations

import json
import sys
import time
from multiprocessing.pool import ThreadPool
from pathlib import Path
from typing import Final

from tests.servers.clients import s3_client

THREADS: Final = 16


def main() -> None:
    """Copy a folder to a prefix, or a prefix to a folder."""
    way, url, bucket, prefix, folder = sys.argv[1:]
    client, root = s3_client(url), Path(folder)

    def push(path: Path) -> None:
        key = f"{prefix}/{path.relative_to(root)}"
        client.put_object(Bucket=bucket, Key=key, Body=path.read_bytes())

    def pull(key: str) -> None:
        path = root / key.removeprefix(f"{prefix}/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(client.get_object(Bucket=bucket, Key=key)["Body"].read())

    cpu, wall = time.process_time(), time.monotonic()
    with ThreadPool(THREADS) as pool:
        if way == "push":
            pool.map(push, [path for path in root.rglob("*") if path.is_file()])
        else:
            pages = client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
            pool.map(pull, [row["Key"] for page in pages for row in page["Contents"]])
    print(json.dumps([time.process_time() - cpu, time.monotonic() - wall]))


main()
