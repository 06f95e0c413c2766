"""The tree of errors: every code is in the table once, with the exit codes that are documented."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import grpc
import pytest

from swampd import errors
from swampd.errors import TABLE, SwampdError

if TYPE_CHECKING:
    from collections.abc import Iterator


def tree(root: type[SwampdError] = SwampdError) -> Iterator[type[SwampdError]]:
    yield root
    for child in root.__subclasses__():
        yield from tree(child)


def test_every_code_is_in_the_table_and_the_other_way_round() -> None:
    assert {kind.code for kind in tree()} == set(TABLE)


def test_no_two_errors_share_a_code() -> None:
    codes = [kind.code for kind in tree()]
    assert len(codes) == len(set(codes))


def test_codes_are_spelt_so_that_a_reason_can_be_made_of_them() -> None:
    assert all(re.fullmatch("[a-z][a-z0-9_]*", code) for code in TABLE)


def test_every_status_is_one_of_grpc() -> None:
    assert {meaning.status for meaning in TABLE.values()} <= {code.name for code in grpc.StatusCode}


DOCUMENTED: dict[int, set[type[SwampdError]]] = {
    errors.EXIT_ERROR: {
        errors.SwampdError,
        errors.JournalFailed,
        errors.StoreUnavailable,
        errors.KeyRefused,
        errors.NotSupported,
        errors.DamagedObject,
        errors.NotHolder,
        errors.LockChanged,
        errors.PushFailed,
        errors.OutcomeUnknown,
        errors.DaemonRunning,
    },
    errors.EXIT_USAGE: {errors.BadRequest, errors.AlreadyHeld},
    errors.EXIT_PARTIAL: {errors.Partial},
    errors.EXIT_NO_DAEMON: {errors.DaemonUnreachable, errors.Stopping},
    errors.EXIT_SKEW: {errors.VersionSkew},
    errors.EXIT_HALTED: {errors.Halted, errors.LowSpace},
    errors.EXIT_CONFIG: {errors.NotBuilt, *tree(errors.ConfigError)},
    errors.EXIT_LOCK: {errors.LockBusy, errors.LockTimeout},
    errors.EXIT_CREDENTIALS: set(tree(errors.StoreDenied)),
    errors.EXIT_LOST: {errors.LockLost},
    errors.EXIT_INTERRUPTED: {errors.Interrupted},
}


def test_exit_codes_are_those_of_the_documentation() -> None:
    assert sorted({errors.OK, *DOCUMENTED}) == [0, 1, 2, 3, 4, 5, 6, 10, 11, 12, 13, 130]
    for exit_code, kinds in DOCUMENTED.items():
        for kind in kinds:
            assert kind("what").meaning.exit_code == exit_code, kind
    assert set().union(*DOCUMENTED.values()) == set(tree())


@pytest.mark.parametrize(("hint", "text"), [("", "what"), ("do this", "what; do this")])
def test_an_error_says_what_and_what_next(hint: str, text: str) -> None:
    error = errors.ConfigError("what", hint, path="/x")
    assert str(error) == text
    assert error.args == ("what",)
    assert error.fields == {"path": "/x"}
