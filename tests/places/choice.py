"""On which places a test runs: on all, unless it says otherwise by one of these marks.

A run on S3 is for `make test-servers`, but for the tests that are marked `on_each`.
"""

from __future__ import annotations

from typing import Final

import pytest

DIRECTORY: Final = "directory"
KINDS: Final = (DIRECTORY,)

folder_only = pytest.mark.parametrize("place", [DIRECTORY], indirect=True)
"""About the folder itself: its permissions, links, other programs that write to it."""
