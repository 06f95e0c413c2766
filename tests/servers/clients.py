"""Clients of a server under test, with no retries and nothing of this machine's settings."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
from obstore.exceptions import BaseError
from obstore.store import S3Store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from types_boto3_s3 import S3Client

BUCKET: Final = "bucket"
REGION: Final = "us-east-1"
SECRET: Final = "not-secret"  # noqa: S105 (nobody checks it)


def s3_client(url: str, access_key: str = "tester", agent: str = "") -> S3Client:
    """A boto3 client of the server at `url`, which says `agent` in its user agent."""
    config = Config(
        retries={"total_max_attempts": 1},
        s3={"addressing_style": "path"},
        user_agent_extra=agent,
        connect_timeout=10,
        read_timeout=30,
        max_pool_connections=64,
    )
    return _session().client(
        "s3",
        endpoint_url=url,
        config=config,
        region_name=REGION,
        aws_access_key_id=access_key,
        aws_secret_access_key=SECRET,
    )


@cache
def _session() -> boto3.session.Session:
    """One for all: it keeps the model of the API, which takes a while to read."""
    return boto3.session.Session()


def credentials_file(home: Path, access_key: str = "tester") -> Path:
    """A shared credentials file with one key, in this folder."""
    file = home / "credentials"
    file.write_text(
        f"[default]\naws_access_key_id = {access_key}\naws_secret_access_key = {SECRET}\n"
    )
    return file


def refusal(call: Callable[[], object]) -> tuple[int, str]:
    """The status and the code of the error that `call` meets; (200, "") without one."""
    try:
        call()
    except ClientError as error:
        answer = error.response
        return answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"]
    return 200, ""


def obstore_client(url: str) -> S3Store:
    """An obstore client of the server at `url`."""
    return S3Store(
        BUCKET,
        endpoint=url,
        access_key_id="tester",
        secret_access_key=SECRET,
        region=REGION,
        virtual_hosted_style_request=False,
        client_options={"allow_http": True, "timeout": "30s"},
        retry_config={"max_retries": 0},
    )


def failure(call: Callable[[], object]) -> str:
    """The kind of error that a call of obstore meets; empty without one."""
    try:
        call()
    except (BaseError, FileNotFoundError) as error:
        return type(error).__name__
    return ""
