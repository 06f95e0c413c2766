"""Whose environment a store is opened with.

A client says who it is to a cloud store; secrets it never sends.  Where it says nothing, what the
daemon itself was given counts.  The daemon's own secret keys serve whoever asks when somebody
started it on purpose; when a client started it in passing they are that client's, and serve the
workspaces that its session opens, and no others.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from swampd.domain.datastores import CloudEnvironment
from swampd.locations import STARTED_BY

if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping

_WHO: Final = {
    "profile": ("AWS_PROFILE", "AWS_DEFAULT_PROFILE"),
    "config_file": ("AWS_CONFIG_FILE",),
    "shared_credentials_file": ("AWS_SHARED_CREDENTIALS_FILE",),
}
"""These belong together: a profile means something in its own files only."""
_REGION: Final = {"region": ("AWS_REGION", "AWS_DEFAULT_REGION")}
_GOOGLE: Final = {"google_credentials": ("GOOGLE_APPLICATION_CREDENTIALS",)}
_NAMES: Final = frozenset(
    name for group in (_WHO, _REGION, _GOOGLE) for names in group.values() for name in names
)


def taken_from(environ: MutableMapping[str, str]) -> dict[str, str]:
    """The daemon's environment.  What says who it is to a cloud store is taken out of the process's
    own: no library may find that by itself when a client means somebody else."""
    found = dict(environ)
    for name in _NAMES & found.keys():
        del environ[name]
    return found


def completed(
    said: CloudEnvironment | None, session: str, own: Mapping[str, str]
) -> CloudEnvironment:
    """What a client said (None: nothing), with the daemon's own environment behind it.

    `session` names the client's session; empty: nobody knows it.
    """
    said = said or CloudEnvironment()
    for group in (_WHO, _REGION, _GOOGLE):
        if not any(getattr(said, field) for field in group):
            here: dict[str, Any] = {field: _first(own, names) for field, names in group.items()}
            said = replace(said, **here)
    started_by = own.get(STARTED_BY)
    return replace(
        said, own_secrets=started_by is None or (session != "" and session == started_by)
    )


def _first(own: Mapping[str, str], names: tuple[str, ...]) -> str:
    return next((own[name] for name in names if own.get(name)), "")
