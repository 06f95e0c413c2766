"""Run the demo: `python -m tests.demo`.  Everything happens in a temporary folder."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from tests.demo.story import STEPS, Story


def main() -> int:
    """Tell all steps; 1 when one does not hold."""
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="swampd-demo-") as folder:
        story = Story(Path(folder))
        try:
            for number, step in enumerate(STEPS, 1):
                print(f"\n{number}. {step.__doc__}", flush=True)
                step(story)
        except AssertionError as error:
            print(f"\nFAILED: {error}", file=sys.stderr)
            return 1
        finally:
            story.close()
    print(f"\nAll {len(STEPS)} steps hold; {time.monotonic() - begun:.0f} s.")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
