"""What the daemon is told of our environment, so that a cloud store knows who asks.

Keeps true: of the environment go names and paths only, never a secret; that there are secrets is
all that is said of them.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from swampctl import owner

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from swampd.v1 import common_pb2

_PROFILE: Final = ("AWS_PROFILE", "AWS_DEFAULT_PROFILE")
_REGION: Final = ("AWS_REGION", "AWS_DEFAULT_REGION")
_CONFIG: Final = "AWS_CONFIG_FILE"
_CREDENTIALS: Final = "AWS_SHARED_CREDENTIALS_FILE"
_GOOGLE: Final = "GOOGLE_APPLICATION_CREDENTIALS"

VARIABLES: Final = frozenset({*_PROFILE, *_REGION, _CONFIG, _CREDENTIALS, _GOOGLE})
"""All that is told, with the second names that the SDKs know."""
SECRETS: Final = frozenset({"AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN"})
"""What makes an environment hold secrets."""


def environment(environ: Mapping[str, str], cwd: Path) -> common_pb2.CloudEnvironment:
    """Our environment, as the daemon wants it; paths are made absolute."""
    from swampd.v1 import common_pb2  # noqa: PLC0415 - only commands that ask load it

    def first(names: tuple[str, ...]) -> str:
        return next((environ[name] for name in names if environ.get(name)), "")

    def path(name: str) -> str:
        found = environ.get(name)
        # As the SDKs expand it, while the home is that of this environment.
        return str(cwd / os.path.expanduser(found)) if found else ""  # noqa: PTH111

    return common_pb2.CloudEnvironment(
        profile=first(_PROFILE),
        region=first(_REGION),
        config_file=path(_CONFIG),
        shared_credentials_file=path(_CREDENTIALS),
        google_credentials=path(_GOOGLE),
        holds_secrets=any(environ.get(name) for name in SECRETS),
        session=owner.session(owner.collect()),
    )
