"""What a failed system call means for a placement step.

Keeps true: a placement that did not happen is a value (`PlaceProblem`), so that one bad name never
fails the rest (section 8).  What says nothing about the path (EIO, EMFILE, a stale mount) stays an
exception: to call it a problem of the path would hide that the disk is ill.
"""

from __future__ import annotations

import errno
from typing import Final

from swampd.ports import PlaceProblem

_MEANING: Final = {
    errno.EEXIST: PlaceProblem.OCCUPIED,
    errno.ENOENT: PlaceProblem.ABSENT,
    # A parent is a file or a link, or not ours to write to; or a directory is at the name.
    errno.ENOTDIR: PlaceProblem.BLOCKED,
    errno.ELOOP: PlaceProblem.BLOCKED,
    errno.EISDIR: PlaceProblem.BLOCKED,
    errno.ENOTEMPTY: PlaceProblem.BLOCKED,
    errno.EACCES: PlaceProblem.BLOCKED,
    errno.EPERM: PlaceProblem.BLOCKED,
    errno.EROFS: PlaceProblem.BLOCKED,
    # A mount point below the root, or in its way; a directory that is full of directories.
    errno.EXDEV: PlaceProblem.BLOCKED,
    errno.EBUSY: PlaceProblem.BLOCKED,
    errno.EMLINK: PlaceProblem.BLOCKED,
    # vfat and ntfs answer EINVAL for `a:b`, zfs with utf8only EILSEQ.
    errno.ENAMETOOLONG: PlaceProblem.NAME_REFUSED,
    errno.EINVAL: PlaceProblem.NAME_REFUSED,
    errno.EILSEQ: PlaceProblem.NAME_REFUSED,
    errno.ENOSPC: PlaceProblem.NO_SPACE,
    errno.EDQUOT: PlaceProblem.NO_SPACE,
}


def place_problem(error: OSError) -> PlaceProblem:
    """The problem that this error is for a placement; raises the error where it is none."""
    problem = _MEANING.get(error.errno or 0)
    if problem is None:
        raise error
    return problem
