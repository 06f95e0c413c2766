"""The policies of docs/operations.md allow all that swampd asks for."""

from __future__ import annotations

import json
import re
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs, unquote

import pytest

from tests.e2e.machines import until
from tests.places.choice import bucket_only
from tests.servers.clients import credentials_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.e2e.conftest import Pair
    from tests.e2e.machines import Machine
    from tests.places.bucket import BucketPlace
    from tests.servers.access_log import Logged

TEXT: Final = (Path(__file__).parents[2] / "docs/operations.md").read_text()
pytestmark = pytest.mark.servers

LARGE: Final = 20 * 1024 * 1024
"""Goes out in parts."""
SOME: Final = 100 * 1024
"""Too much for a head: staged when it replaces something."""


class Policy:
    """What one of the policies allows in a place."""

    def __init__(self, heading: str, place: BucketPlace) -> None:
        section = TEXT.partition(f"\n### {heading}\n")[2].partition("\n### ")[0]
        text = re.findall(r"```json\n(.*?)```", section, re.DOTALL)[0]
        filled = text.replace("BUCKET", place.bucket).replace("PREFIX", place.prefix)
        self._statements: list[dict[str, Any]] = json.loads(filled)["Statement"]

    def allows(self, action: str, resource: str, prefix: str = "") -> bool:
        """Does a statement allow it, and none deny it?"""
        found = {
            one["Effect"] for one in self._statements if _is_meant(one, action, resource, prefix)
        }
        return found == {"Allow"}


def _is_meant(statement: dict[str, Any], action: str, resource: str, prefix: str) -> bool:
    prefixes = statement.get("Condition", {}).get("StringLike", {}).get("s3:prefix", "*")
    return (
        action in _listed(statement["Action"])
        and any(_like(f"arn:aws:s3:::{resource}", one) for one in _listed(statement["Resource"]))
        and _like(prefix, prefixes)
    )


def _listed(one: str | list[str]) -> list[str]:
    return [one] if isinstance(one, str) else one


def _like(text: str, pattern: str) -> bool:
    return fnmatchcase(text, pattern.replace("[", "[[]"))


def asked(row: Logged) -> Iterator[tuple[str, str, str]]:
    """What a request needs: actions, each with its resource and the prefix of a listing."""
    on = f"{row.bucket}/{row.key}"
    if not row.key:
        yield "s3:ListBucket", row.bucket, parse_qs(row.query).get("prefix", [""])[0]
    elif row.method in {"GET", "HEAD"}:
        yield "s3:GetObject", on, ""
        if row.status == 404:
            yield "s3:ListBucket", row.bucket, row.key
    elif row.method == "DELETE" and "uploadId" in row.query:
        yield "s3:AbortMultipartUpload", on, ""
    elif row.method == "DELETE":
        yield "s3:DeleteObject", on, ""
        if row.conditions:
            yield "s3:GetObject", on, ""
    else:
        yield "s3:PutObject", on, ""
        if row.copy_source:
            yield "s3:GetObject", unquote(row.copy_source).removeprefix("/"), ""


def refused(policy: Policy, place: BucketPlace, access_key: str) -> set[tuple[str, str, str]]:
    """What this identity asked of this place since `reset`, and may not have."""
    rows = [
        row
        for row in place.server.requests()
        if (row.access_key, row.bucket) == (access_key, place.bucket)
    ]
    assert rows
    needs = {need for row in rows for need in asked(row)}
    return {need for need in needs if not policy.allows(*need)}


def be(machine: Machine, access_key: str) -> None:
    """Speak as somebody else from now on."""
    credentials_file(machine.root / "home" / ".aws", access_key)
    machine.run("daemon", "stop")


def works_on(machine: Machine, scope: str) -> None:
    """New, replaced, deleted, large and many: all that a push does; then settled."""
    machine.write(f"{scope}/f", "1")
    machine.write(f"{scope}/large", b"a" * LARGE)
    machine.write(f"{scope}/some", b"a" * SOME)
    machine.ok("push", scope)
    for number in range(200):
        machine.write(f"{scope}/many/{number}", str(number))
    machine.write(f"{scope}/large", b"b" * LARGE)
    machine.write(f"{scope}/some", b"b" * SOME)
    (machine.cache / scope / "f").unlink()
    edit = f'mkdir -p "$SWAMP_SCOPE_PATH"; echo 1 > "$SWAMP_SCOPE_PATH/n"; swampctl push {scope}'
    assert machine.shell(f"swampctl lock run {scope}/deep -- sh -c '{edit}'").code == 0
    machine.ok("push", scope)
    machine.ok("pull")
    machine.ok("lock", "list")
    machine.ok("datastore", "status")


@pytest.fixture
def bucket(pair: Pair) -> BucketPlace:
    place: Any = pair.place
    found: BucketPlace = place
    found.server.reset()
    return found


@bucket_only
def test_a_member_needs_what_it_is_given(
    pair: Pair, bucket: BucketPlace, machine: Callable[[str], Machine]
) -> None:
    be(pair.a, "member")
    works_on(pair.a, "data")
    empty, another = bucket.another("empty"), machine("c")
    another.equip(bucket)
    be(another, "member")
    another.ok("datastore", "setup", *empty.setup)
    for place in (bucket, empty):
        policy = Policy("A member, who reads and writes", place)
        assert refused(policy, place, "member") == set()
        head = f"{place.bucket}/{place.prefix}/_control/swampd/heads/data.json"
        assert not policy.allows("s3:DeleteObject", head)


@bucket_only
def test_a_reader_needs_what_it_is_given(pair: Pair, bucket: BucketPlace) -> None:
    policy = Policy("A reader", bucket)
    be(pair.b, "reader")
    pair.a.write("data/f", "1")
    pair.a.ok("push")
    pair.b.ok("pull")
    works_on(pair.a, "data")
    pair.b.ok("pull")
    for words in (("status",), ("lock", "list"), ("scope", "list"), ("datastore", "status")):
        pair.b.ok(*words)
    assert pair.b.files() == pair.a.files()
    assert refused(policy, bucket, "reader") == set()


@bucket_only
def test_a_job_needs_what_it_is_given(pair: Pair, bucket: BucketPlace) -> None:
    policy = Policy("A job that writes one part of the tree", bucket)
    pair.a.write("data/f", "1")
    pair.a.write("ci/f", "1")
    pair.a.ok("push")
    locks = [key for key in bucket.keys("_control/swampd/locks/") if "ci" in key]
    until(lambda: all(b'"free"' in bucket.read(key) for key in locks), "its locks are free")
    be(pair.b, "job")
    pair.b.ok("pull")
    works_on(pair.b, "ci")
    assert refused(policy, bucket, "job") == set()
    head = f"{bucket.bucket}/{bucket.prefix}/_control/swampd/heads/data.json"
    assert policy.allows("s3:GetObject", head)
    assert not policy.allows("s3:PutObject", head)
