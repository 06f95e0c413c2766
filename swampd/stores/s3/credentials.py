"""Who we are to the store: botocore's chain for one client's environment, for both libraries.

Keeps true: boto3 and obstore sign with the same credentials, and both are refreshed here.  What a
service has refused is looked up anew, so that work goes on once a person has logged in again.  The
daemon's own secret keys are used only for whom `CloudEnvironment.own_secrets` allows it.

A profile that the client names is asked first, then the daemon's own keys (where they may be used),
then the rest of the chain: assumed roles, SSO, processes, container and instance.
"""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import botocore.session
from botocore.credentials import CredentialProvider, CredentialResolver, Credentials
from botocore.exceptions import BotoCoreError, NoCredentialsError
from botocore.loaders import create_loader

if TYPE_CHECKING:
    from botocore.credentials import ReadOnlyCredentials
    from botocore.loaders import Loader
    from botocore.session import Session
    from obstore.store import S3Credential

    from swampd.domain.datastores import CloudEnvironment

ASK_AGAIN: Final = timedelta(minutes=10)
"""So long obstore signs with what it was given."""
LEAST_BETWEEN: Final = timedelta(seconds=1)
"""The chain is not looked up more often because of refusals."""
_SHOWN: Final = 4


class Chain:
    """The credentials of one client's environment.  Every method may be called from any thread."""

    def __init__(self, environment: CloudEnvironment) -> None:
        self._environment = environment
        self._lock = threading.Lock()
        self._found: Any = None
        self._looked_up = datetime.min.replace(tzinfo=UTC)
        self._tried: tuple[str, ...] = ()
        self.generation = 0
        """Goes up whenever other credentials are found than before."""

    def session(self) -> Session:
        """A session with the environment's files, region and profile; its credentials are ours."""
        session = self._new_session()
        session.register_component("credential_provider", CredentialResolver([_Ours(self)]))
        return session

    def frozen(self) -> ReadOnlyCredentials:
        """What to sign with now, refreshed if it is due.  Raises botocore's errors, among them
        NoCredentialsError."""
        with self._lock:
            if self._found is None:
                self._look_up()
            found = self._found
        frozen: ReadOnlyCredentials = found.get_frozen_credentials()
        return frozen

    def look_again(self) -> bool:
        """The service refused what we had: look the chain up anew.  True: there is something else
        to try."""
        with self._lock:
            if datetime.now(UTC) - self._looked_up < LEAST_BETWEEN:
                return False
            before = self._found
            try:
                self._look_up()
            except BotoCoreError:
                self._found = before
                return False
            if before is not None and _same(before, self._found):
                self._found = before
                return False
            return True

    def identity(self) -> tuple[str, str]:
        """Which link of the chain gave the credentials, and whose they are (a key's last letters);
        empty while none are known."""
        with self._lock:
            found = self._found
        if found is None:
            return "", ""
        profile = f" (profile {self._environment.profile})" if self._environment.profile else ""
        key = str(found.access_key)
        return f"{found.method}{profile}", f"access key ...{key[-_SHOWN:]}"

    def tried(self) -> str:
        """The links that were asked, for a message."""
        return ", ".join(self._tried)

    def for_obstore(self) -> S3Credential:
        """A `CredentialProvider` of obstore."""
        frozen = self.frozen()
        return {
            "access_key_id": frozen.access_key or "",
            "secret_access_key": frozen.secret_key or "",
            "token": frozen.token,
            "expires_at": datetime.now(UTC) + ASK_AGAIN,
        }

    def _new_session(self) -> Session:
        session = botocore.session.Session(profile=self._environment.profile or None)
        session.register_component("data_loader", _loader())
        for name, value in (
            ("config_file", self._environment.config_file),
            ("credentials_file", self._environment.shared_credentials_file),
            ("region", self._environment.region),
        ):
            if value:
                session.set_config_variable(name, value)
        return session

    def _look_up(self) -> None:
        """Ask the chain; the lock is held."""
        self._looked_up = datetime.now(UTC)
        resolver = self._new_session().get_component("credential_provider")
        if not self._environment.own_secrets:
            resolver.remove("env")
        self._tried = tuple(str(provider.METHOD) for provider in resolver.providers)
        found = resolver.load_credentials()
        if found is None:
            raise NoCredentialsError
        if self._found is None or not _same(self._found, found):
            self.generation += 1
        self._found = found


@cache
def _loader() -> Loader:
    """botocore's descriptions of services, parsed once in the process."""
    return create_loader()


def _same(one: Any, other: Any) -> bool:
    before, now = one.get_frozen_credentials(), other.get_frozen_credentials()
    return bool(before == now)


class _Ours(CredentialProvider):
    """The chain as the one link of a session that signs requests."""

    METHOD = "swampd"

    def __init__(self, chain: Chain) -> None:
        super().__init__()
        self._chain = chain

    def load(self) -> Credentials:
        """Credentials that are asked for anew at each signature."""
        return _Delegate(self._chain)


class _Delegate(Credentials):
    def __init__(self, chain: Chain) -> None:
        super().__init__("", "", method="swampd")
        self._chain = chain

    def get_frozen_credentials(self) -> ReadOnlyCredentials:
        """What the chain has now."""
        return self._chain.frozen()
