"""Which requests go ahead, by their conditional headers; and which promise is not kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from swampd.stores.probe import Check
from tests.servers.refusals import Refusal, Refused

if TYPE_CHECKING:
    from collections.abc import Mapping

NO_SUCH_KEY: Final = Refusal(404, "NoSuchKey", "The specified key does not exist.")
PRECONDITION_FAILED: Final = Refusal(
    412, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold"
)
NOT_IMPLEMENTED: Final = Refusal(
    501, "NotImplemented", "A header you provided implies functionality that is not implemented"
)


class Promises:
    """All are kept but `broken`; what the store then does is said by the check that finds it out.

    With CREATE, what was created is seen through the connection that did it, and no other one; with
    REPLACE, a write by the right token is refused.  `found` is the ETag of what is there, if any.
    """

    def __init__(self, broken: Check | None = None) -> None:
        self._broken = broken

    def allow_write(self, headers: Mapping[str, str], found: str | None) -> None:
        """Raise Refused for a write that is not to be done."""
        if (unwanted := headers.get("if-none-match")) is not None:
            if unwanted != "*":
                raise Refused(NOT_IMPLEMENTED)
            if found and self._broken is not Check.CREATE_AGAIN:
                raise Refused(PRECONDITION_FAILED)
        if (wanted := headers.get("if-match")) is None:
            return
        if not found:
            self._refuse_unless(Check.REPLACE_MISSING, NO_SUCH_KEY)
        elif not same_tag(wanted, found):
            self._refuse_unless(Check.REPLACE_STALE, PRECONDITION_FAILED)
        elif self._broken is Check.REPLACE:
            raise Refused(PRECONDITION_FAILED)

    def allow_delete(self, headers: Mapping[str, str], found: str | None) -> None:
        """Raise Refused for a delete that is not to be done."""
        wanted = headers.get("if-match")
        if wanted is None:
            return
        if not found:
            raise Refused(NO_SUCH_KEY)
        if not same_tag(wanted, found):
            self._refuse_unless(Check.DELETE_STALE, PRECONDITION_FAILED)

    def seen_only_by(self, connection: object, found: str | None) -> object:
        """The one connection that will see what this one writes; None: all will."""
        return connection if self._broken is Check.CREATE and not found else None

    def _refuse_unless(self, check: Check, refusal: Refusal) -> None:
        if self._broken is not check:
            raise Refused(refusal)


def allow_copy(headers: Mapping[str, str], source: str) -> None:
    """Raise Refused for a copy whose conditions on the source's ETag do not hold."""
    wanted = headers.get("x-amz-copy-source-if-match")
    unwanted = headers.get("x-amz-copy-source-if-none-match")
    if wanted is not None and not same_tag(wanted, source):
        raise Refused(PRECONDITION_FAILED)
    if unwanted is not None and same_tag(unwanted, source):
        raise Refused(PRECONDITION_FAILED)


def same_tag(wanted: str, found: str) -> bool:
    """Whether a condition's tag, quoted or not, is that of the object."""
    return wanted == "*" or wanted.strip('"') == found.strip('"')
