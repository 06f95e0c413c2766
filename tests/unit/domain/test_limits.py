"""The limit on deletes: more than half, and at least twenty."""

from __future__ import annotations

import pytest

from swampd.domain.limits import too_many_deletes


@pytest.mark.parametrize(
    ("deletes", "known", "too_many"),
    [
        (0, 0, False),
        (19, 19, False),
        (20, 20, True),
        (20, 39, True),
        (20, 40, False),
        (21, 41, True),
        (50, 100, False),
        (51, 100, True),
        (20, 0, True),
    ],
)
def test_many_deletes_are_too_many_from_half_of_a_scope_on(
    deletes: int,
    known: int,
    too_many: bool,  # noqa: FBT001
) -> None:
    assert too_many_deletes(deletes, known) is too_many
