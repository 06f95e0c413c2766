"""Names in S3: which strings are buckets, and which prefixes can be served.

The rules for buckets are those of general purpose buckets in the S3 user guide ("General purpose
bucket naming rules"); other servers take the same names.

A prefix is used verbatim, so that a bucket that is in use keeps its keys: `proj/` means keys that
begin with `proj//`.  Odd is allowed (a slash at either end, two in a row, a backslash); refused is
only what cannot work.
"""

from __future__ import annotations

import re
import unicodedata
from enum import Enum
from typing import TYPE_CHECKING, Final

from swampd.domain.layout import CONTROL, Keys
from swampd.domain.paths import KEY_LIMIT
from swampd.domain.scopes import ESCAPED_LIMIT

if TYPE_CHECKING:
    from collections.abc import Callable

LEAST_CHARACTERS: Final = 3
MOST_CHARACTERS: Final = 63
MOST_PREFIX_BYTES: Final = KEY_LIMIT - len(f"/{Keys().locks}") - ESCAPED_LIMIT - len(".json")
"""With a longer prefix some scopes would have no lock."""


class BucketRule(Enum):
    """The rule that a name of a bucket breaks."""

    LENGTH = "length"
    CHARACTERS = "characters"
    ENDS = "begin_and_end"
    ADJACENT_DOTS = "adjacent_dots"
    IP_ADDRESS = "ip_address"
    RESERVED_PREFIX = "reserved_prefix"
    RESERVED_SUFFIX = "reserved_suffix"
    DIRECTORY_BUCKET = "directory_bucket"

    @property
    def summary(self) -> str:
        """What the rule says."""
        return _BUCKET_RULES[self]


RESERVED_PREFIXES: Final = ("xn--", "sthree-", "amzn-s3-demo-")
RESERVED_SUFFIXES: Final = ("-s3alias", "--ol-s3", ".mrap", "--table-s3")
DIRECTORY_SUFFIX: Final = "--x-s3"

_BUCKET_RULES: Final = {
    BucketRule.LENGTH: f"a name has {LEAST_CHARACTERS} to {MOST_CHARACTERS} characters",
    BucketRule.CHARACTERS: "a name has lower-case letters, digits, dots and hyphens only",
    BucketRule.ENDS: "a name begins and ends with a letter or a digit",
    BucketRule.ADJACENT_DOTS: "a name has no two dots in a row",
    BucketRule.IP_ADDRESS: "a name does not look like an IP address",
    BucketRule.RESERVED_PREFIX: f"no name begins with {', '.join(RESERVED_PREFIXES)}",
    BucketRule.RESERVED_SUFFIX: f"no name of a bucket ends with {', '.join(RESERVED_SUFFIXES)}",
    BucketRule.DIRECTORY_BUCKET: (
        f"{DIRECTORY_SUFFIX} is the end of a directory bucket's name, and those are not supported:"
        " they list keys in no order, and whole folders only"
    ),
}


def bucket_rule_broken(name: str) -> BucketRule | None:
    """The first rule that a name breaks; None for a bucket that can be served."""
    return next((rule for rule, broken in _BROKEN if broken(name)), None)


_BROKEN: Final[tuple[tuple[BucketRule, Callable[[str], object]], ...]] = (
    (BucketRule.LENGTH, lambda name: not LEAST_CHARACTERS <= len(name) <= MOST_CHARACTERS),
    (BucketRule.CHARACTERS, re.compile(r"[^a-z0-9.-]").search),
    (BucketRule.ENDS, re.compile(r"\A[.-]|[.-]\Z").search),
    (BucketRule.ADJACENT_DOTS, lambda name: ".." in name),
    (BucketRule.IP_ADDRESS, re.compile(r"[0-9]+(?:\.[0-9]+){3}").fullmatch),
    (BucketRule.RESERVED_PREFIX, lambda name: name.startswith(RESERVED_PREFIXES)),
    (BucketRule.RESERVED_SUFFIX, lambda name: name.endswith(RESERVED_SUFFIXES)),
    (BucketRule.DIRECTORY_BUCKET, lambda name: name.endswith(DIRECTORY_SUFFIX)),
)


# --- prefixes ---------------------------------------------------------------------------------


class PrefixProblem(Enum):
    """Why nothing can be kept under a prefix."""

    NOT_UTF8 = "not_utf8"
    CONTROL_CHARACTER = "control_character"
    DOT_SEGMENT = "dot_segment"
    CONTROL_AREA = "control_area"
    TOO_LONG = "too_long"

    @property
    def summary(self) -> str:
        """For a person."""
        return _PREFIX_PROBLEMS[self]


_CONTROL_SEGMENT: Final = CONTROL.partition("/")[0]
_PREFIX_PROBLEMS: Final = {
    PrefixProblem.NOT_UTF8: "it is not UTF-8",
    PrefixProblem.CONTROL_CHARACTER: "it has a control character",
    PrefixProblem.DOT_SEGMENT: (
        "a part of it is `.` or `..`, which servers and proxies on the way fold into another key"
    ),
    PrefixProblem.CONTROL_AREA: (
        f"a part of it is `{_CONTROL_SEGMENT}`: files would lie among the locks of the datastore"
        " above it"
    ),
    PrefixProblem.TOO_LONG: (
        f"it has more than {MOST_PREFIX_BYTES} bytes: with the names of locks behind it keys would"
        f" be longer than {KEY_LIMIT}"
    ),
}


def prefix_problem(prefix: str) -> PrefixProblem | None:
    """Why a prefix cannot be served; None for one that can, the empty one included."""
    try:
        length = len(prefix.encode())
    except UnicodeEncodeError:
        return PrefixProblem.NOT_UTF8
    if any(unicodedata.category(character) == "Cc" for character in prefix):
        return PrefixProblem.CONTROL_CHARACTER
    segments = prefix.split("/")
    if not {".", ".."}.isdisjoint(segments):
        return PrefixProblem.DOT_SEGMENT
    if _CONTROL_SEGMENT in segments:
        return PrefixProblem.CONTROL_AREA
    return PrefixProblem.TOO_LONG if length > MOST_PREFIX_BYTES else None
