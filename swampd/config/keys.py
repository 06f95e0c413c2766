"""Refusing keys that nobody reads: a mistyped key must not pass for a setting."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

from swampd.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable


def refuse_unknown(found: Iterable[object], known: Collection[str], where: str) -> None:
    """Raise ConfigError for the first key that is not known, with the nearest that is.

    `where` says the place, such as `datastore: of /repo/.swamp.yaml`.
    """
    for key in found:
        if key not in known:
            raise ConfigError(
                f"unknown key {key!r} in {where}", nearest(str(key), known), key=str(key)
            )


def nearest(word: str, known: Collection[str]) -> str:
    """A hint: the known word that was probably meant, else all of them."""
    matches = get_close_matches(word, sorted(known), n=1)
    return f"did you mean {matches[0]!r}?" if matches else f"known are: {', '.join(sorted(known))}"
