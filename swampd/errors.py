"""The one tree of errors: what happened, to which path, and what to do next.

Imports nothing of the package (and of the standard library only typing), because the thin client
uses it too.  Every error has a stable `code`; `TABLE` maps each code once to the canonical gRPC
status and the exit code of swampctl.  The reason in `google.rpc.ErrorInfo` is the code in capitals.
"""

from __future__ import annotations

from typing import ClassVar, Final, NamedTuple

OK: Final = 0
EXIT_ERROR: Final = 1
EXIT_USAGE: Final = 2
EXIT_PARTIAL: Final = 3
EXIT_NO_DAEMON: Final = 4
EXIT_SKEW: Final = 5
EXIT_HALTED: Final = 6
EXIT_CONFIG: Final = 10
EXIT_LOCK: Final = 11
EXIT_CREDENTIALS: Final = 12
EXIT_LOST: Final = 13
EXIT_INTERRUPTED: Final = 130


class Meaning(NamedTuple):
    """How an error looks from outside: gRPC status name and exit code."""

    status: str
    exit_code: int


class SwampdError(Exception):
    """Base of all errors that a person may see.

    `summary` says what happened and to which path or scope, `hint` what to do next, `fields` the
    same facts for programs.
    """

    code: ClassVar[str] = "internal"

    def __init__(self, summary: str, hint: str = "", **fields: str) -> None:
        """Make the error; `fields` become the metadata of ErrorInfo."""
        super().__init__(summary)
        self.summary = summary
        self.hint = hint
        self.fields = fields

    def __str__(self) -> str:
        """Summary and hint on one line."""
        return f"{self.summary}; {self.hint}" if self.hint else self.summary

    @property
    def meaning(self) -> Meaning:
        """Status and exit code of this error's code."""
        return TABLE[self.code]


# --- what was asked ---------------------------------------------------------------------------


class BadRequest(SwampdError):
    """An argument that cannot be right: a scope, a path, a duration."""

    code = "bad_request"


class AlreadyHeld(SwampdError):
    """The asking owner holds this scope already; `token` is in the fields."""

    code = "already_held"


class NotBuilt(SwampdError):
    """Something that is documented and not built yet: refused by name, never ignored."""

    code = "not_built"


# --- configuration ----------------------------------------------------------------------------


class ConfigError(SwampdError):
    """The repo or its configuration cannot be used as it is."""

    code = "bad_config"


class NoRepo(ConfigError):
    """No `.swamp.yaml` from here upwards."""

    code = "no_repo"


class NoLayout(ConfigError):
    """The store has no swampd layout yet."""

    code = "no_layout"


class NotADatastore(ConfigError):
    """The store is populated and has no swampd layout: it is somebody else's."""

    code = "not_a_swampd_datastore"


class SchemaTooNew(ConfigError):
    """A document with a schema that this version does not know."""

    code = "schema_too_new"


class StoreRefused(ConfigError):
    """The probe found that the store does not keep what the protocol rests on."""

    code = "store_refused"


class NoBucket(ConfigError):
    """The bucket that the configuration names is not there."""

    code = "no_bucket"


class WrongRegion(ConfigError):
    """The bucket is in another region than the one that was asked."""

    code = "wrong_region"


class CacheInUse(ConfigError):
    """Another daemon serves this cache."""

    code = "cache_in_use"


class WorkspaceClash(ConfigError):
    """The cache is already served for another store or namespace."""

    code = "workspace_clash"


class JournalTooNew(ConfigError):
    """The journal was written by a newer daemon."""

    code = "journal_too_new"


class JournalFailed(SwampdError):
    """The journal's file cannot be read or written."""

    code = "journal_failed"


class UnsafeLocation(ConfigError):
    """A directory or socket path that the daemon must not use."""

    code = "unsafe_location"


# --- stores -----------------------------------------------------------------------------------


class StoreUnavailable(SwampdError):
    """The store did not answer, or answered that it cannot now."""

    code = "store_unavailable"
    retry_after_s: float | None = None
    """So long the store asked us to wait."""


class StoreDenied(SwampdError):
    """The store refused our rights."""

    code = "store_denied"


class NoCredentials(StoreDenied):
    """There are none for the store that the daemon may use for this client."""

    code = "no_credentials"


class CredentialsRefused(StoreDenied):
    """The store knows the credentials to be wrong or expired."""

    code = "credentials_refused"


class NotSupported(SwampdError):
    """The store says that it cannot do this at all."""

    code = "not_supported"


class KeyRefused(SwampdError):
    """A key that this store cannot hold, such as one that is also the folder of another."""

    code = "key_refused"


class DamagedObject(SwampdError):
    """A control object that cannot be read as what it should be."""

    code = "damaged_object"


# --- locks ------------------------------------------------------------------------------------


class LockBusy(SwampdError):
    """Held by somebody else, and the caller does not want to wait."""

    code = "lock_busy"


class LockTimeout(SwampdError):
    """Held by somebody else for longer than the caller wanted to wait."""

    code = "lock_timeout"


class LockLost(SwampdError):
    """The lease lapsed, was broken or was taken over; nothing more is sent under it."""

    code = "lock_lost"


class NotHolder(SwampdError):
    """No such hold, or not one that the caller may use."""

    code = "not_holder"


class LockChanged(SwampdError):
    """The lock is no longer the one that was meant (epoch or nonce differ)."""

    code = "lock_changed"


# --- sync -------------------------------------------------------------------------------------


class Halted(SwampdError):
    """A scope or workspace stopped for safety; the field `halt` names why."""

    code = "halted"


class Partial(SwampdError):
    """Some paths or scopes were left out; the rest is through."""

    code = "partial"


class PushFailed(SwampdError):
    """Nothing was committed; the marks stay."""

    code = "push_failed"


class OutcomeUnknown(SwampdError):
    """A commit was sent and no answer came; the daemon goes on finding out."""

    code = "outcome_unknown"


class LowSpace(SwampdError):
    """The disk of the cache is full or nearly so."""

    code = "low_space"


# --- the daemon -------------------------------------------------------------------------------


class DaemonUnreachable(SwampdError):
    """No daemon answers on the socket."""

    code = "daemon_unreachable"


class DaemonRunning(SwampdError):
    """A second daemon for the same state directory."""

    code = "daemon_running"


class VersionSkew(SwampdError):
    """Client and daemon are of different major versions."""

    code = "version_skew"


class Stopping(SwampdError):
    """The daemon is going down."""

    code = "stopping"


class Interrupted(SwampdError):
    """The person at the keyboard stopped it."""

    code = "interrupted"


TABLE: Final[dict[str, Meaning]] = {
    "internal": Meaning("INTERNAL", EXIT_ERROR),
    "bad_request": Meaning("INVALID_ARGUMENT", EXIT_USAGE),
    "already_held": Meaning("ALREADY_EXISTS", EXIT_USAGE),
    "not_built": Meaning("UNIMPLEMENTED", EXIT_CONFIG),
    "bad_config": Meaning("FAILED_PRECONDITION", EXIT_CONFIG),
    "no_repo": Meaning("FAILED_PRECONDITION", EXIT_CONFIG),
    "no_layout": Meaning("FAILED_PRECONDITION", EXIT_CONFIG),
    "not_a_swampd_datastore": Meaning("FAILED_PRECONDITION", EXIT_CONFIG),
    "schema_too_new": Meaning("FAILED_PRECONDITION", EXIT_CONFIG),
    "store_refused": Meaning("FAILED_PRECONDITION", EXIT_CONFIG),
    "no_bucket": Meaning("FAILED_PRECONDITION", EXIT_CONFIG),
    "wrong_region": Meaning("FAILED_PRECONDITION", EXIT_CONFIG),
    "cache_in_use": Meaning("FAILED_PRECONDITION", EXIT_CONFIG),
    "workspace_clash": Meaning("FAILED_PRECONDITION", EXIT_CONFIG),
    "journal_too_new": Meaning("FAILED_PRECONDITION", EXIT_CONFIG),
    "journal_failed": Meaning("INTERNAL", EXIT_ERROR),
    "unsafe_location": Meaning("FAILED_PRECONDITION", EXIT_CONFIG),
    "store_unavailable": Meaning("UNAVAILABLE", EXIT_ERROR),
    "store_denied": Meaning("PERMISSION_DENIED", EXIT_CREDENTIALS),
    "no_credentials": Meaning("UNAUTHENTICATED", EXIT_CREDENTIALS),
    "credentials_refused": Meaning("UNAUTHENTICATED", EXIT_CREDENTIALS),
    "not_supported": Meaning("FAILED_PRECONDITION", EXIT_ERROR),
    "key_refused": Meaning("FAILED_PRECONDITION", EXIT_ERROR),
    "damaged_object": Meaning("DATA_LOSS", EXIT_ERROR),
    "lock_busy": Meaning("ABORTED", EXIT_LOCK),
    "lock_timeout": Meaning("DEADLINE_EXCEEDED", EXIT_LOCK),
    "lock_lost": Meaning("FAILED_PRECONDITION", EXIT_LOST),
    "not_holder": Meaning("FAILED_PRECONDITION", EXIT_ERROR),
    "lock_changed": Meaning("ABORTED", EXIT_ERROR),
    "halted": Meaning("FAILED_PRECONDITION", EXIT_HALTED),
    "partial": Meaning("FAILED_PRECONDITION", EXIT_PARTIAL),
    "push_failed": Meaning("FAILED_PRECONDITION", EXIT_ERROR),
    "outcome_unknown": Meaning("FAILED_PRECONDITION", EXIT_ERROR),
    "low_space": Meaning("RESOURCE_EXHAUSTED", EXIT_HALTED),
    "daemon_unreachable": Meaning("UNAVAILABLE", EXIT_NO_DAEMON),
    "daemon_running": Meaning("FAILED_PRECONDITION", EXIT_ERROR),
    "version_skew": Meaning("FAILED_PRECONDITION", EXIT_SKEW),
    "stopping": Meaning("UNAVAILABLE", EXIT_NO_DAEMON),
    "interrupted": Meaning("CANCELLED", EXIT_INTERRUPTED),
}
