"""What a repo's configuration says of its store, and what a client's environment says of its user.

Plain values: `config/` makes them, `stores/` opens what they name.  No secret is ever in one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from swampd.domain.layout import Keys

if TYPE_CHECKING:
    from pathlib import Path

MOST_CONCURRENCY: Final = 1000
LEAST_TIMEOUT_MS: Final = 1_000
MOST_TIMEOUT_MS: Final = 600_000


@dataclass(frozen=True, slots=True)
class DirectorySettings:
    """A store in a folder: the layout of a bucket, on a disk or a share."""

    path: Path
    """Absolute."""


@dataclass(frozen=True, slots=True)
class S3Settings:
    """A store in an S3 bucket, with the names and bounds of its configuration checked."""

    bucket: str
    prefix: str = ""
    """Before every key, verbatim, with a slash between; empty: nothing is."""
    region: str = ""
    """Empty: the one of the environment."""
    endpoint: str = ""
    """An http or https URL; empty: that of AWS."""
    force_path_style: bool | None = None
    """True: the bucket is in the path of URLs, False: in the host; None: as fits the endpoint."""
    pull_concurrency: int = 50
    push_concurrency: int = 50
    request_timeout_ms: int = 60_000


StoreSettings: TypeAlias = DirectorySettings | S3Settings


def keys_of(settings: StoreSettings) -> Keys:
    """The keys of a store: under its prefix, where it has one."""
    return Keys(settings.prefix) if isinstance(settings, S3Settings) else Keys()


# --- whose environment ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CloudEnvironment:
    """What a client's environment says of who it is to a cloud store.  Secrets are never in it.

    Empty: the variable is not set there, and not in a daemon that was started by hand either.
    """

    profile: str = ""
    """AWS_PROFILE."""
    region: str = ""
    """AWS_REGION."""
    config_file: str = ""
    """AWS_CONFIG_FILE."""
    shared_credentials_file: str = ""
    """AWS_SHARED_CREDENTIALS_FILE."""
    google_credentials: str = ""
    """GOOGLE_APPLICATION_CREDENTIALS."""
    holds_secrets: bool = False
    """The client's environment has secret keys, which it does not send."""
    own_secrets: bool = False
    """The daemon may use the secret keys in its own environment for this client."""


def identity(settings: StoreSettings, environment: CloudEnvironment) -> str:
    """Who the client is to this store, for comparing and for messages: the variables that decide
    it; empty where they decide nothing (a folder)."""
    if isinstance(settings, DirectorySettings):
        return ""
    said = {
        "AWS_PROFILE": environment.profile,
        "AWS_CONFIG_FILE": environment.config_file,
        "AWS_SHARED_CREDENTIALS_FILE": environment.shared_credentials_file,
    }
    given = [f"{name}={value}" for name, value in said.items() if value]
    return " ".join(given) or "no AWS_PROFILE"


def hint_for(environment: CloudEnvironment) -> str:
    """What to do when a store finds no credentials for this client."""
    if environment.holds_secrets and not environment.own_secrets:
        return (
            "your shell has secret keys in its environment, and they are never sent to the daemon:"
            " put them into a profile in ~/.aws/credentials and set AWS_PROFILE, or start the"
            " daemon from this shell: `swampctl daemon stop`, then `swampctl daemon start`"
        )
    if environment.profile:
        return f"see what the profile {environment.profile!r} says, or log in to it again"
    return (
        "set AWS_PROFILE to a profile in ~/.aws/config or ~/.aws/credentials, or give the daemon's"
        " machine a role"
    )
