"""The outcome of a write that was not plainly done (section 2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from swampd.domain.outcomes import Rejected, Unknown
from swampd.stores.s3.answers import Meaning
from swampd.stores.s3.faults import asked_s

if TYPE_CHECKING:
    from swampd.stores.s3.answers import Answer
    from swampd.stores.s3.faults import Action, Faults


def written(answer: Answer, faults: Faults, action: Action, key: str) -> Rejected | Unknown:
    """Rejected only for what the service said clearly; an error for what clearly did not land and
    is no matter of a condition; else Unknown.

    Raises what `Faults.error` makes.
    """
    match answer.meaning:
        case Meaning.CONDITION_FAILED | Meaning.NOT_THERE:
            return Rejected()
        case Meaning.RACED:
            return Rejected(raced=True)
        case Meaning.BUSY | Meaning.UNCLEAR | Meaning.NOT_CHANGED:
            return Unknown(f"{answer.code}: {answer.detail}", asked_s(answer))
        case (
            Meaning.NO_BUCKET
            | Meaning.DENIED
            | Meaning.BAD_CREDENTIALS
            | Meaning.NO_CREDENTIALS
            | Meaning.SKEWED
            | Meaning.OTHER_REGION
            | Meaning.NOT_SUPPORTED
            | Meaning.BAD_REQUEST
            | Meaning.NOT_SENT
            | Meaning.NOT_TRUSTED
        ):
            raise faults.error(answer, action, key)
        case _:  # pragma: no cover
            assert_never(answer.meaning)
