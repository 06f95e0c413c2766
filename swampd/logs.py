"""The daemon's log: one JSON object a line in `logs/swampd.log`, rotated, without secrets.

Writing is done by a thread: the loop never waits for the disk.
"""

from __future__ import annotations

import logging
import re
from contextlib import contextmanager
from logging.handlers import QueueHandler, QueueListener, RotatingFileHandler
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Final

import structlog

if TYPE_CHECKING:
    from collections.abc import Iterator, MutableMapping
    from pathlib import Path

SIZE_LIMIT_BYTES: Final = 5 * 1024 * 1024
KEPT: Final = 3
LEVELS: Final = ("debug", "info", "warning", "error")

_SECRET: Final = re.compile(r"secret|password|passwd|credential|authorization|token", re.IGNORECASE)
REDACTED: Final = "[redacted]"


def redact(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Put a mark in place of every value, however deep, whose name sounds like a secret."""
    return {key: _redacted(key, value) for key, value in event.items()}


def _redacted(key: object, value: Any) -> Any:
    if isinstance(key, str) and _SECRET.search(key):
        return REDACTED
    if isinstance(value, dict):
        return {inner: _redacted(inner, found) for inner, found in value.items()}
    if isinstance(value, list | tuple):
        return [_redacted(None, found) for found in value]
    return value


LIBRARIES: Final = ("botocore", "boto3", "urllib3")
"""They tell at length what they do, some of it in the clear."""


class _Lines(QueueHandler):
    """Hands lines over as they are."""

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        """Nothing to format: the line is rendered already."""
        return record


@contextmanager
def logging_to(folder: Path, level: str = "info") -> Iterator[None]:
    """Log to `folder` inside the block."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = RotatingFileHandler(
        folder / "swampd.log", maxBytes=SIZE_LIMIT_BYTES, backupCount=KEPT, encoding="utf-8"
    )
    queue: SimpleQueue[logging.LogRecord] = SimpleQueue()
    listener = QueueListener(queue, file)
    handler = _Lines(queue)
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(level.upper())
    for name in LIBRARIES:
        logging.getLogger(name).setLevel(logging.WARNING)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.stdlib.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            redact,
            structlog.processors.JSONRenderer(default=str),
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
    )
    listener.start()
    try:
        yield
    finally:
        root.removeHandler(handler)
        listener.stop()
        file.close()
        structlog.reset_defaults()


def set_level(level: str) -> str:
    """Log from this level on; the level before."""
    root = logging.getLogger()
    before = logging.getLevelName(root.level).lower()
    root.setLevel(level.upper())
    return before
