"""What the operating system says, in the words of `errors`."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Final

from swampd.errors import KeyRefused, StoreDenied, StoreUnavailable

if TYPE_CHECKING:
    from swampd.errors import SwampdError

_DENIED: Final = frozenset({errno.EACCES, errno.EPERM})
_NAME: Final = frozenset({errno.ENAMETOOLONG, errno.EILSEQ, errno.EINVAL})

SURELY_UNDONE: Final = (
    _DENIED
    | _NAME
    | frozenset(
        {
            errno.EDQUOT,
            errno.EEXIST,
            errno.EISDIR,
            errno.EMLINK,
            errno.ENOSPC,
            errno.ENOTDIR,
            errno.ENOTEMPTY,
            errno.EOPNOTSUPP,
            errno.EROFS,
            errno.EXDEV,
        }
    )
)
"""A rename, link or unlink that fails with one of these has changed nothing.  Of others (EIO, a
share that went away in the middle) nobody can tell."""


def translate(error: OSError, store: str, doing: str) -> SwampdError:
    """The error for a person, from one that certainly left no change behind."""
    summary = f"{store}: cannot {doing}: {error.strerror or error}"
    if error.errno in _DENIED:
        return StoreDenied(summary, hint="check owner and mode of the folder", store=store)
    if error.errno in _NAME:
        return KeyRefused(summary, hint="the file system cannot have this name", store=store)
    if error.errno == errno.ENOSPC:
        return StoreUnavailable(summary, hint="free some space there", store=store)
    return StoreUnavailable(summary, store=store)
