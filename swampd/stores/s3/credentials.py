"""Who we are to the store: botocore's chain for one client's environment, for both libraries.

Keeps true: boto3 and obstore sign with the same credentials, and both are refreshed here.  What a
service has refused is looked up anew, so that work goes on once a person has logged in again.  The
daemon's own secret keys are used only for whom `CloudEnvironment.own_secrets` allows it.  Telling
whose the credentials are asks nobody and waits for nothing.  At most one look-up is under way, and
who needs it waits for that one, until its deadline; who has credentials that last waits for none.

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
from botocore.exceptions import BotoCoreError, NoCredentialsError
from botocore.loaders import create_loader

from swampd.stores.s3.credential_process import run_as_ours
from swampd.stores.s3.look_ups import LookUp

if TYPE_CHECKING:
    from botocore.credentials import ReadOnlyCredentials
    from botocore.loaders import Loader
    from botocore.session import Session
    from obstore.store import S3Credential

    from swampd.domain.datastores import CloudEnvironment

ASK_AGAIN: Final = timedelta(minutes=10)
"""So long obstore signs with what it was given."""
LEAST_BETWEEN: Final = timedelta(seconds=1)
"""The chain is not looked up more often because of refusals, nor ahead of time."""
_SHOWN: Final = 4
FIRST: Final = 1
"""The generation of the first credentials."""


class Chain:
    """The credentials of one client's environment.  Every method may be called from any thread."""

    def __init__(self, environment: CloudEnvironment) -> None:
        self._environment = environment
        self._lock = threading.Lock()
        self._found: Any = None
        self._under_way: LookUp | None = None
        self._looked_up = self._refreshed = datetime.min.replace(tzinfo=UTC)
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
        """What to sign with now, refreshed if it is due; at once where nothing is to be looked up.

        Raises BotoCoreErrors about credentials, in particular NoCredentialsError and
        CredentialRetrievalError."""
        with self._lock:
            if self._last is not None and not _is_due(self._found):
                return self._last
            if self._last is not None and not _is_urgent(self._found):
                if not _is_too_soon(self._refreshed):
                    self._begin(self._found)
                return self._last
            look_up = self._begin(self._found)
        return look_up.result()

    def look_again(self, refused: int) -> bool:
        """The service refused what we had in this generation: look the chain up anew, unless that
        was done meanwhile.  True: there is something else to try."""
        with self._lock:
            generation = self.generation
            if generation > max(refused, FIRST):
                return True
            if self._under_way is None and _is_too_soon(self._looked_up):
                return False
            look_up = self._begin(None)
        with suppress(BotoCoreError):
            look_up.result()
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

    def _begin(self, found: Any) -> LookUp:
        """Refresh what was found, or ask the chain for None; or else the look-up that is already
        under way.  The lock is held."""
        if self._under_way is None:
            if found is None:
                link, self._looked_up = "the chain", datetime.now(UTC)
            else:
                link, self._refreshed = str(found.method), datetime.now(UTC)
            look_up = LookUp(lambda look_up: self._look_up(look_up, found), link)
            look_up.begin()
            self._under_way = look_up
        return self._under_way

    def _look_up(self, look_up: LookUp, found: Any) -> ReadOnlyCredentials:
        try:
            if found is None:
                found = self._ask_chain(look_up)
            frozen: ReadOnlyCredentials = found.get_frozen_credentials()
            with self._lock:
                self._found = found
                if frozen != self._last:
                    self._note(frozen)
            return frozen
        finally:
            with self._lock:
                self._under_way = None

    def _ask_chain(self, look_up: LookUp) -> Credentials:
        resolver = self._new_session().get_component("credential_provider")
        run_as_ours(resolver)
        if not self._environment.own_secrets:
            resolver.remove("env")
        self._tried = tuple(str(provider.METHOD) for provider in resolver.providers)
        for provider in resolver.providers:
            look_up.link = str(provider.METHOD)
            found: Credentials | None = provider.load()
            if found is not None:
                return found
        raise NoCredentialsError

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


def _is_too_soon(last: datetime) -> bool:
    return datetime.now(UTC) - last < LEAST_BETWEEN


def _is_due(found: Any) -> bool:
    """Do they end soon enough to refresh them?"""
    needed = getattr(found, "refresh_needed", None)
    return needed is not None and bool(needed())


def _is_urgent(found: Any) -> bool:
    """Do they end so soon that nothing is to be signed with them before they are refreshed?"""
    return bool(found.refresh_needed(found._mandatory_refresh_timeout))  # noqa: SLF001 - its own limit


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
