"""`datastore setup`: which options belong to which type, and what is asked of the daemon."""

from __future__ import annotations

from pathlib import Path

import pytest

from swampctl.commands.datastore_setup import _name_store, parse
from swampctl.context import Context
from swampctl.output import Output
from swampd.errors import BadRequest, NotBuilt
from swampd.v1 import datastore_pb2


def request(line: str) -> datastore_pb2.SetupRequest:
    args = parse("swampctl datastore setup", "", line.split())
    found = datastore_pb2.SetupRequest()
    _name_store(found, Context(args, {}, Path("/work/x"), Output(as_json=False)))
    return found


def test_a_folder_is_named_from_where_we_stand() -> None:
    assert request("directory --path ../store").directory.path == "/work/store"


@pytest.mark.parametrize("name", ["s3", "@swamp/s3-datastore"])
def test_a_bucket(name: str) -> None:
    assert request(f"{name} --bucket team").s3 == datastore_pb2.S3Store(bucket="team")
    every = "--bucket team --prefix /p/ --region r --endpoint http://127.0.0.1:9000 --path-style"
    assert request(f"{name} {every}").s3 == datastore_pb2.S3Store(
        bucket="team",
        prefix="/p/",
        region="r",
        endpoint="http://127.0.0.1:9000",
        force_path_style=True,
    )


def test_without_a_type_it_is_the_store_of_the_repo() -> None:
    assert request("") == datastore_pb2.SetupRequest()


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("directory", "`directory` and --path belong together"),
        ("--path /x", "`directory` and --path belong together"),
        ("s3", "`s3` and --bucket belong together.* setup s3 --bucket BUCKET"),
        ("s3 --prefix p", "`s3` and --bucket belong together"),
        ("--bucket b", "`s3` and --bucket belong together"),
        ("--path-style", "`s3` and --path-style belong together"),
        ("s3 --bucket b --path /x", "`directory` and --path belong together"),
        ("directory --path /x --region r", "`s3` and --region belong together"),
        ("s4 --bucket b", "no datastore type 's4'; known are: directory, s3"),
    ],
)
def test_options_of_another_type_are_refused(line: str, problem: str) -> None:
    with pytest.raises(BadRequest, match=problem):
        request(line)


@pytest.mark.parametrize("name", ["filesystem", "gcs", "@swamp/gcs-datastore"])
def test_a_type_that_is_not_built_is_refused_by_name(name: str) -> None:
    with pytest.raises(NotBuilt, match=f"'{name}' is not built"):
        request(f"{name} --whatever x")
