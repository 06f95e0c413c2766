"""On which places a test runs: on all, unless it says otherwise by one of these marks.

A run on S3 is for `make test-servers`, but for the tests that are marked `on_each`.
"""

from __future__ import annotations

from typing import Final

import pytest

DIRECTORY: Final = "directory"
S3: Final = "s3"

EACH: Final = (DIRECTORY, pytest.param(S3, marks=pytest.mark.servers))

folder_only = pytest.mark.parametrize("place", [DIRECTORY], indirect=True)
"""About the folder itself (its permissions, links, other programs that write to it), or about
nothing of the store at all."""

on_each = pytest.mark.parametrize("place", [DIRECTORY, S3], indirect=True)
"""Among the few that run on S3 in `make test`, too: quick, and each the first of its kind."""

bucket_only = pytest.mark.parametrize("place", [S3], indirect=True)
"""About S3 itself."""
