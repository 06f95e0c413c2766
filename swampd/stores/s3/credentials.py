"""Who we are to the store: botocore's chain for one client's environment, for both libraries.

Keeps true: boto3 and obstore sign with the same credentials, and both are refreshed here.  What a
service has refused is looked up anew, so that work goes on once a person has logged in again.  The
daemon's own secret keys are used only for whom `CloudEnvironment.own_secrets` allows it.  Telling
whose the credentials are asks nobody and waits for nothing.

The daemon's own keys are asked first, where they may be used and the client names no profile; then
files, assumed roles, SSO, processes, container and instance, as botocore orders them.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import botocore.session
from botocore.credentials import CredentialProvider, CredentialResolver, Credentials
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    NoCredentialsError,
)
from botocore.loaders import create_loader

from swampd.stores.s3.credential_process import run_as_ours

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
FIRST: Final = 1
"""The generation of the first credentials."""


class Chain:
    """The credentials of one client's environment.  Every method may be called from any thread."""

    def __init__(self, environment: CloudEnvironment) -> None:
        self._environment = environment
        self._lock = threading.Lock()
        self._found: Any = None
        self._looked_up = datetime.min.replace(tzinfo=UTC)
        self._tried: tuple[str, ...] = ()
        self._last: ReadOnlyCredentials | None = None
        self._identity = "", ""
        self.generation = 0
        """Goes up whenever there are other credentials than before."""

    def session(self) -> Session:
        """A session with the environment's files, region and profile; its credentials are ours."""
        session = self._new_session()
        session.register_component("credential_provider", CredentialResolver([_Ours(self)]))
        return session

    def frozen(self) -> ReadOnlyCredentials:
        """What to sign with now, refreshed if it is due.  Raises BotoCoreError, in particular
        NoCredentialsError and CredentialRetrievalError."""
        with self._lock:
            if self._found is None:
                self._look_up()
            found = self._found
        frozen = _frozen(found)
        if frozen != self._last:
            with self._lock:
                self._note(frozen)
        return frozen

    def look_again(self, refused: int) -> bool:
        """The service refused what we had in this generation: look the chain up anew, unless that
        was done meanwhile.  True: there is something else to try."""
        with self._lock:
            if self.generation > max(refused, FIRST):
                return True
            if datetime.now(UTC) - self._looked_up < LEAST_BETWEEN:
                return False
            generation = self.generation
            with suppress(BotoCoreError):
                self._look_up()
            return self.generation > generation

    def identity(self) -> tuple[str, str]:
        """Which link of the chain gave the credentials, and whose they are (a key's last letters);
        empty while none are known."""
        return self._identity

    def tried(self) -> str:
        """The links that were asked, for a message."""
        return ", ".join(self._tried)

    def for_obstore(self) -> S3Credential:
        """A `CredentialProvider` of obstore."""
        frozen = self.frozen()
        until = datetime.now(UTC) + ASK_AGAIN
        expiry: datetime | None = getattr(self._found, "_expiry_time", None)
        return {
            "access_key_id": frozen.access_key or "",
            "secret_access_key": frozen.secret_key or "",
            "token": frozen.token,
            "expires_at": min(until, expiry) if expiry else until,
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
        run_as_ours(resolver)
        if not self._environment.own_secrets:
            resolver.remove("env")
        self._tried = tuple(str(provider.METHOD) for provider in resolver.providers)
        try:
            found = resolver.load_credentials()
        except ClientError as error:
            raise _not_given(error) from error
        if found is None:
            raise NoCredentialsError
        frozen = _frozen(found)
        self._found = found
        if frozen != self._last:
            self._note(frozen)

    def _note(self, frozen: ReadOnlyCredentials) -> None:
        """These are ours from now on; the lock is held."""
        self._last = frozen
        self.generation += 1
        profile = f" (profile {self._environment.profile})" if self._environment.profile else ""
        key = str(frozen.access_key)
        self._identity = f"{self._found.method}{profile}", f"access key ...{key[-_SHOWN:]}"


@cache
def _loader() -> Loader:
    """botocore's descriptions of services, parsed once in the process."""
    return create_loader()


def _frozen(found: Any) -> ReadOnlyCredentials:
    try:
        frozen: ReadOnlyCredentials = found.get_frozen_credentials()
    except ClientError as error:
        raise _not_given(error) from error
    return frozen


def _not_given(error: ClientError) -> CredentialRetrievalError:
    """A service that gives credentials has refused, and not the store."""
    return CredentialRetrievalError(provider=error.operation_name, error_msg=str(error))


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
