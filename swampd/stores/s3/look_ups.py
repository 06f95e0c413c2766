"""Looking credentials up: it may hang, so it has a thread of its own, and who waits has a deadline.

Keeps true: what fails is an error about credentials that names the link of the chain, whatever a
link raises: no request was signed, and the endpoint of the store has no part in it.
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future
from typing import TYPE_CHECKING, Final

from botocore.exceptions import BotoCoreError, ClientError, CredentialRetrievalError

from swampd.stores.s3.answers import ABOUT_CREDENTIALS

if TYPE_CHECKING:
    from collections.abc import Callable

    from botocore.credentials import ReadOnlyCredentials

DEADLINE_S: Final = 30.0
"""So long after its begin a look-up is waited for, by whomever; what it finds later is taken."""


class LookUp:
    """One look-up under way."""

    def __init__(self, ask: Callable[[LookUp], ReadOnlyCredentials], link: str) -> None:
        self.link = link
        """The link of the chain that is asked now; whoever asks keeps it up."""
        self._ask = ask
        self._deadline = _now() + DEADLINE_S
        self._answer: Future[ReadOnlyCredentials] = Future()

    def begin(self) -> None:
        """Ask, in a thread that never keeps the process from ending."""
        threading.Thread(target=self._run, name="credentials", daemon=True).start()

    def result(self) -> ReadOnlyCredentials:
        """What was found.  Raises BotoCoreErrors about credentials, at the deadline too."""
        try:
            return self._answer.result(max(0.0, self._deadline - _now()))
        except TimeoutError:
            why = f"no answer within {DEADLINE_S:.0f} s"
        raise CredentialRetrievalError(provider=self.link, error_msg=why)

    def _run(self) -> None:
        try:
            found = self._ask(self)
        except Exception as error:  # noqa: BLE001 - each belongs to who waits
            self._answer.set_exception(_about_credentials(error, self.link))
        else:
            self._answer.set_result(found)


def _about_credentials(error: Exception, link: str) -> BotoCoreError:
    if isinstance(error, ABOUT_CREDENTIALS):
        return error
    if isinstance(error, ClientError):  # a service that gives credentials has refused
        return CredentialRetrievalError(
            provider=f"{link}, {error.operation_name}", error_msg=str(error)
        )
    why = f"{type(error).__name__}: {error}"
    return CredentialRetrievalError(provider=link, error_msg=why)


def _now() -> float:
    return time.monotonic()  # noqa: TID251 - threads that wait for whatever a link asks
