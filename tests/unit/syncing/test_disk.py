"""What the disk of the cache does to us is told as that, and a full one by its name."""

from __future__ import annotations

import errno

import pytest

from swampd.domain.states import Halt
from swampd.errors import Halted, LowSpace
from swampd.syncing.disk import working_in_the_cache


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_low_space(code: int) -> None:
    with pytest.raises(LowSpace, match="data: the disk"), working_in_the_cache("data"):
        raise OSError(code, "full")


@pytest.mark.parametrize("code", [errno.EACCES, errno.ENOENT, errno.EIO])
def test_any_other_trouble_is_a_halt(code: int) -> None:
    with pytest.raises(Halted) as told, working_in_the_cache("data"):
        raise OSError(code, "no")
    assert told.value.fields["halt"] == Halt.CACHE_MISSING.value


def test_what_is_no_trouble_of_the_disk_passes() -> None:
    with pytest.raises(ValueError, match="a bug"), working_in_the_cache("data"):
        raise ValueError("a bug")
