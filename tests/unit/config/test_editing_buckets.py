"""Writing a bucket into a file that its owner keeps by hand."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from textwrap import dedent

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from swampd.config.datastore import DatastoreConfig, Source, resolve
from swampd.config.directory import Whereabouts
from swampd.config.editing import write_datastore
from swampd.config.repo import load_repo, read_repo_file
from swampd.domain.buckets import prefix_problem
from swampd.domain.datastores import S3Settings
from swampd.errors import ConfigError


def edit_s3(repo: Path, before: str, store: S3Settings) -> str:
    file = repo / ".swamp.yaml"
    file.write_text(dedent(before), newline="")
    write_datastore(repo, DatastoreConfig(store, Source.OPTION), "r1")
    found = load_repo(repo, {}, variable=None, option=None)
    assert (found.repo_id, found.datastore.settings) == ("r1", store)
    return file.read_bytes().decode()


EVERY = S3Settings("team", "p/", "eu-west-1", "http://127.0.0.1:9", False, 1, 2, 3000)  # noqa: FBT003


def test_a_bucket_is_written_with_the_keys_that_were_given(tmp_path: Path) -> None:
    head = "repoId: r1\ndatastore:\n  type: s3\n  config:\n"
    assert edit_s3(tmp_path, "", S3Settings("team")) == head + "    bucket: team\n"
    assert edit_s3(tmp_path, "", EVERY) == (
        head + "    bucket: team\n"
        "    prefix: p/\n"
        "    region: eu-west-1\n"
        '    endpoint: "http://127.0.0.1:9"\n'
        "    forcePathStyle: false\n"
        "    pullConcurrency: 1\n"
        "    pushConcurrency: 2\n"
        "    requestTimeoutMs: 3000\n"
    )


def test_a_config_is_edited_in_place_and_its_comments_stay(tmp_path: Path) -> None:
    assert edit_s3(
        tmp_path,
        """\
        repoId: r1
        datastore:
            # ours
            config:   # what it is
                # the old one
                bucket: old   # until spring
                endpoint: http://x   # gone with its key
                pullConcurrency: "1"   # a text
                pushConcurrency: 2   # as it was
                requestTimeoutMs: 0x0bb8

                # behind it
            type: "@swamp/s3-datastore"   # an alias
        tool: 1
        """,
        S3Settings("team", "p", pull_concurrency=1, push_concurrency=2, request_timeout_ms=3000),
    ) == dedent(
        """\
        repoId: r1
        datastore:
            # ours
            config:   # what it is
                # the old one
                bucket: team   # until spring
                prefix: p
                pullConcurrency: 1   # a text
                pushConcurrency: 2   # as it was
                requestTimeoutMs: 3000

                # behind it
            type: s3   # an alias
        tool: 1
        """
    )


@pytest.mark.parametrize(
    "before",
    [
        "datastore:\n  type: directory # here\n  path: /x\n# t\nt: 1\n",
        "datastore: {type: directory, path: /x} # here\n",
        "datastore:\n  type: s3\n  bucket: b # gone\n  # here\n  region: r\n",
        "datastore:\n  type: s3\n  config: {bucket: b} # here\n",
        "datastore:\n  type: s3\n  config: # here\nt: 1\n",
        "datastore:\n  type: s3\n  config: ~ # here\nt: 1\n",
        "datastore:\n  config:\n    bucket: b\n  # here\nt: 1\n",
        "datastore:\n  type: s3\n  config:\n    prefix:\n    # here\n    bucket: true\n",
        "datastore:\n  type: s3\n  config:\n    bucket: b",
        "datastore:\r\n  type: s3 # here\r\n  path: /x\r\n",
        "datastore:\n",
        "# here\n",
    ],
)
@pytest.mark.parametrize("store", [S3Settings("team"), S3Settings("team", "true", "0x1"), EVERY])
def test_every_shape_of_a_file_takes_a_bucket(
    tmp_path: Path, before: str, store: S3Settings
) -> None:
    text = edit_s3(tmp_path, before, store)
    assert ("# here" in text) == ("# here" in before)
    assert edit_s3(tmp_path, text, store) == text


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=10).filter(lambda prefix: prefix_problem(prefix) is None))
@example("\u2028")
@example("\ufeff\ufffe")
@example("\U0001f980\u00a0")
def test_a_prefix_is_read_back_as_it_is(prefix: str) -> None:
    with TemporaryDirectory() as folder:
        edit_s3(Path(folder), "", S3Settings("team", prefix))
        edit_s3(Path(folder), "datastore: {type: s3}\n", S3Settings("team", prefix))


@pytest.mark.parametrize(
    "block",
    [
        "  type: directory\n  path: store # beside us\n",
        "  type: s3\n  bucket: team # legacy\n",
        "  type: '@swamp/s3-datastore'\n  config: {bucket: team, pullConcurrency: 50}\n",
    ],
)
def test_a_store_that_the_file_names_stays_as_it_is_spelt(tmp_path: Path, block: str) -> None:
    file = tmp_path / ".swamp.yaml"
    for before, after in (
        (f"datastore:\n{block}", f"repoId: r1\ndatastore:\n{block}"),
        (f"repoId: r1\ndatastore:\n{block}", f"repoId: r1\ndatastore:\n{block}"),
    ):
        file.write_text(before)
        named = resolve(
            read_repo_file(tmp_path).datastore,
            variable=None,
            option=None,
            whereabouts=Whereabouts(tmp_path, {}),
        )
        write_datastore(tmp_path, named, "r1")
        assert file.read_text() == after


def test_an_id_that_cannot_be_added_is_told(tmp_path: Path) -> None:
    text = "{datastore: {type: s3, bucket: team}}\n"
    (tmp_path / ".swamp.yaml").write_text(text)
    named = DatastoreConfig(S3Settings("team"), Source.FILE)
    with pytest.raises(ConfigError, match=r"by hand:\nrepoId: r1$"):
        write_datastore(tmp_path, named, "r1")
    assert (tmp_path / ".swamp.yaml").read_text() == text
