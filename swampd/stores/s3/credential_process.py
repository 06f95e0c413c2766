"""`credential_process`: the command of a profile that gives credentials.

Keeps true: of what the command prints, nothing but credentials gets any further, neither into an
error nor into botocore's log, for it may hold secrets; a command that does not end is killed, with
all that it has started, so that it can be run anew.

Limits: this rests on where botocore keeps and makes its providers; a test pins it.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from botocore.credentials import ProcessProvider, RefreshableCredentials
from botocore.exceptions import CredentialRetrievalError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from botocore.credentials import CredentialResolver

LIMIT_S: Final = 120.0
"""So long a command may run.  Who waits for its credentials gives up before, but a person who logs
in meanwhile need not be quicker."""


_when: Final[Any] = RefreshableCredentials._expiry_datetime  # type: ignore[attr-defined]  # noqa: SLF001
"""How botocore reads an expiration: it raises for what is none."""


def run_as_ours(chain: CredentialResolver) -> None:
    """Let the commands of this chain be run by this module, those of a role's source as well."""
    providers: list[Any] = chain.providers
    for number, provider in enumerate(providers):
        if isinstance(provider, ProcessProvider):
            found: Any = provider
            providers[number] = _Command(found._profile_name, found._load_config)  # noqa: SLF001
        builder = getattr(provider, "_profile_provider_builder", None)
        if builder is not None:
            builder._create_process_provider = _maker(builder._session)  # noqa: SLF001


def _maker(session: Any) -> Any:
    return lambda profile_name: _Command(profile_name, lambda: session.full_config)


class _Command(ProcessProvider):
    def __init__(self, profile_name: str, load_config: Any) -> None:
        super().__init__(profile_name, load_config, popen=_Run)

    def _retrieve_credentials_using(self, credential_process: str) -> Any:
        try:
            given: Any = super()._retrieve_credentials_using(credential_process)  # type: ignore[misc]
            if given["expiry_time"] is not None:
                _when(given["expiry_time"])
        except _NoAnswer as error:
            why = str(error)
        except OSError as error:
            why = f"cannot be started: {error.strerror}"
        except Exception:  # noqa: BLE001 - whatever it is may quote what the command has printed
            why = "printed what is no credentials"
        else:
            return given
        # Raised out here, where it does not drag along what it comes from.
        raise CredentialRetrievalError(
            provider=self.METHOD, error_msg=f"the command {_program(credential_process)!r} {why}"
        )


class _NoAnswer(Exception):
    """The command gave nothing; the text says why."""


class _Run:
    """A run of a command, as far as botocore uses a `Popen`."""

    returncode = 0

    def __init__(self, command: Sequence[str], **_: object) -> None:
        if not command:
            raise _NoAnswer("is not named in the profile")
        self._printed = _printed_by(command)

    def communicate(self) -> tuple[bytes, bytes]:
        """What it printed, and no errors."""
        return self._printed, b""


def _printed_by(command: Sequence[str]) -> bytes:
    with subprocess.Popen(  # noqa: S603 - the user's own
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as process:
        try:
            printed, _ = process.communicate(timeout=LIMIT_S)
        except subprocess.TimeoutExpired:
            with suppress(OSError):
                os.killpg(process.pid, signal.SIGKILL)
            raise _NoAnswer(f"did not end within {LIMIT_S:.0f} s") from None
    if process.returncode != 0:
        raise _NoAnswer(f"ended with status {process.returncode}")
    return printed


def _program(command: str) -> str:
    """Its name alone: an argument may be a secret."""
    try:
        words = shlex.split(command)
    except ValueError:  # a quote that does not end
        return ""
    return words[0] if words else ""
