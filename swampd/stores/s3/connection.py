"""A client of boto3 that sends each request once, as it is told to, and can be cut off.

Keeps true: no retry of its own (section 2: a retry after a lost reply turns success into a false
refusal), no `Expect: 100-continue` (a round trip more for each write), a time-out on everything,
the operation's id in the user agent.  The endpoint is the datastore's own or that of AWS, whatever
the environment says of another one: it is part of which store this is.  TLS is verified; a CA of
one's own comes by AWS_CA_BUNDLE or the configuration file's `ca_bundle`.
"""

from __future__ import annotations

import re
import ssl
from typing import TYPE_CHECKING, Any, Final

import boto3
from botocore.config import Config
from botocore.handlers import add_expect_header

from swampd.errors import ConfigError
from swampd.stores.s3.calls import operation_here
from swampd.stores.s3.wire import use_our_wire

if TYPE_CHECKING:
    from types_boto3_s3 import S3Client

    from swampd.domain.datastores import S3Settings
    from swampd.stores.s3.credentials import Chain

DEFAULT_REGION: Final = "us-east-1"
CONNECT_S: Final = 5.0
PRODUCT: Final = "swampd"

_NOT_XML: Final = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]|&#(?:[0-9]+|x[0-9A-Fa-f]+);")
_FIRST_ERROR: Final = 300


def agent() -> str:
    """The user agent of a request that is sent now."""
    return f"{PRODUCT} op/{operation_here()}"


def region_of(settings: S3Settings, chain: Chain) -> str:
    """Where the bucket is looked for."""
    if settings.region:
        return settings.region
    found = chain.session().get_config_variable("region")
    return str(found) if found else DEFAULT_REGION


def ca_bundle_of(chain: Chain) -> str:
    """The file of certificate authorities to trust; empty: those that the library brings.

    Raises errors.ConfigError for one that is none."""
    found = chain.session().get_config_variable("ca_bundle")
    if not found:
        return ""
    bundle = str(found)
    try:
        ssl.create_default_context(cafile=bundle)
    except OSError as error:  # an SSLError is one
        raise ConfigError(
            f"{bundle} holds no certificates of authorities: {error.strerror or error}",
            "correct `ca_bundle` in ~/.aws/config, or AWS_CA_BUNDLE where the daemon is started",
            path=bundle,
        ) from error
    return bundle


def new_client(settings: S3Settings, chain: Chain, connections: int) -> S3Client:
    """A client for one bucket; safe to use from several threads.  Takes some 100 ms.

    Raises errors.ConfigError like `ca_bundle_of`."""
    style = {None: "auto", True: "path", False: "virtual"}[settings.force_path_style]
    options: dict[str, Any] = {
        "retries": {"total_max_attempts": 1},
        "connect_timeout": min(CONNECT_S, settings.request_timeout_ms / 1000),
        "read_timeout": settings.request_timeout_ms / 1000,
        "max_pool_connections": connections,
        "request_checksum_calculation": "when_required",
        "response_checksum_validation": "when_required",
        "s3": {"addressing_style": style, "payload_signing_enabled": True},
        "ignore_configured_endpoint_urls": True,
        "tcp_keepalive": True,
    }
    session = boto3.Session(botocore_session=chain.session())
    client: Any = session.client(
        "s3",
        region_name=region_of(settings, chain),
        endpoint_url=settings.endpoint or None,
        verify=ca_bundle_of(chain) or None,
        config=Config(**options),
    )
    events = client.meta.events
    events.unregister("before-call.s3", add_expect_header)
    events.register("before-parameter-build.s3", _never_redirect)
    events.register("before-sign.s3", _name_operation)
    events.register("before-parse.s3", _make_readable)
    use_our_wire(client)
    found: S3Client = client
    return found


def _never_redirect(context: Any, **_: object) -> None:
    """A bucket elsewhere is said, not followed: obstore would not follow either."""
    context.setdefault("s3_redirect", {})["redirected"] = True


def _name_operation(request: Any, **_: object) -> None:
    request.headers["User-Agent"] = agent()


def _make_readable(response_dict: Any, **_: object) -> None:
    """An error tells the key, and a key may hold what no parser of XML takes: then its code would
    be lost."""
    body = response_dict.get("body")
    if response_dict["status_code"] >= _FIRST_ERROR and isinstance(body, bytes):
        response_dict["body"] = _NOT_XML.sub(b"?", body)
