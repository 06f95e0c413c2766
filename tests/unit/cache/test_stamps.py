"""What a stamp says fits the journal, whatever the file system says."""

from __future__ import annotations

import os
import stat

import pytest

from swampd.cache.stamps import stamp_of

LAST = 2**63 - 1


def found(*, ino: int = 1, dev: int = 2, times: int = 5) -> os.stat_result:
    """What lstat might say of an executable file of 7 bytes."""
    mode = stat.S_IFREG | 0o755
    numbers = (mode, ino, dev, 1, 0, 0, 7, times // 10**9, times // 10**9, times // 10**9)
    return os.stat_result(
        numbers, {"st_atime_ns": times, "st_mtime_ns": times, "st_ctime_ns": times}
    )


def test_a_stamp_is_what_lstat_says() -> None:
    stamp = stamp_of(found())
    assert (stamp.dev, stamp.ino, stamp.size, stamp.x) == (2, 1, 7, True)
    assert (stamp.mtime_ns, stamp.ctime_ns) == (5, 5)


@pytest.mark.parametrize(("times", "kept"), [(10**20, LAST), (-(10**20), -LAST), (LAST, LAST)])
def test_times_are_kept_within_what_the_journal_keeps(times: int, kept: int) -> None:
    stamp = stamp_of(found(times=times))
    assert (stamp.mtime_ns, stamp.ctime_ns) == (kept, kept)


def test_large_numbers_of_inodes_and_devices_stay_apart() -> None:
    stamps = [stamp_of(found(ino=ino, dev=ino)) for ino in (2**64 - 1, 2**63, LAST)]
    assert len({stamp.ino for stamp in stamps}) == 3
    assert all(-(2**63) <= number <= LAST for s in stamps for number in (s.ino, s.dev))
