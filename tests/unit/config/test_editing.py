"""Writing a datastore into a file that its owner keeps by hand."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING
from uuid import UUID

import pytest

from swampd.config.datastore import Source, directory
from swampd.config.editing import write_datastore
from swampd.config.repo import load_repo
from swampd.config.splicing import with_datastore
from swampd.domain.datastores import DirectorySettings
from swampd.errors import ConfigError

if TYPE_CHECKING:
    from swampd.config.spelling import Block

STORE = directory(Path("/mnt/team"), Source.OPTION)


def edit(repo: Path, before: str, store: str = "/mnt/team") -> str:
    file = repo / ".swamp.yaml"
    file.write_text(dedent(before), newline="")
    write_datastore(repo, directory(Path(store), Source.OPTION), "r1")
    return file.read_bytes().decode()


def check(repo: Path, before: str, after: str) -> None:
    assert edit(repo, before) == dedent(after)
    assert str(load_repo(repo, {}, variable=None, option=None).datastore) == "directory:/mnt/team"
    assert edit(repo, after) == dedent(after)
    assert [member.name for member in repo.iterdir()] == [".swamp.yaml"]


# --- a new file -------------------------------------------------------------------------------


def test_a_file_is_made_with_a_fresh_repo_id(tmp_path: Path) -> None:
    repo_id = write_datastore(tmp_path, STORE)
    assert str(UUID(repo_id)) == repo_id
    assert (tmp_path / ".swamp.yaml").read_text() == (
        f"repoId: {repo_id}\ndatastore:\n  type: directory\n  path: /mnt/team\n"
    )
    found = load_repo(tmp_path, {}, variable=None, option=None)
    assert (found.repo_id, found.datastore.settings) == (repo_id, STORE.settings)
    assert write_datastore(tmp_path, STORE) == repo_id


def test_a_given_repo_id_is_written(tmp_path: Path) -> None:
    assert write_datastore(tmp_path, STORE, "mine") == "mine"
    assert (tmp_path / ".swamp.yaml").read_text().startswith("repoId: mine\n")


@pytest.mark.parametrize("repo_id", ["12345", "true", "null", "1e3", "0x1f", "2001-01-01"])
def test_a_repo_id_is_read_back_as_the_text_it_is(tmp_path: Path, repo_id: str) -> None:
    write_datastore(tmp_path, STORE, repo_id)
    assert load_repo(tmp_path, {}, variable=None, option=None).repo_id == repo_id


@pytest.mark.parametrize(
    "path", ["/a b", "/a: b", "/a #b", '/a"b', "/a\\b", "/\u00e4\U0001f980", "/a\tb", "/~", "/-"]
)
def test_a_path_is_read_back_as_it_is(tmp_path: Path, path: str) -> None:
    write_datastore(tmp_path, directory(Path(path), Source.OPTION))
    found = load_repo(tmp_path, {}, variable=None, option=None)
    assert found.datastore.settings == DirectorySettings(Path(path))


# --- a file that is there ---------------------------------------------------------------------


def test_everything_else_stays_byte_for_byte(tmp_path: Path) -> None:
    check(
        tmp_path,
        """\
        # Our repo.

        repoId:   "r1"   # never change
        tools:
            - name:  'a'
              args: [ 1,2 ]

        datastore:   # where files go
            # in use since spring
            type: directory   # a share
            path: "/old"   # mounted by ops

        # The linter's own.
        lint: {strict:   yes}
        """,
        """\
        # Our repo.

        repoId:   "r1"   # never change
        tools:
            - name:  'a'
              args: [ 1,2 ]

        datastore:   # where files go
            # in use since spring
            type: directory   # a share
            path: /mnt/team   # mounted by ops

        # The linter's own.
        lint: {strict:   yes}
        """,
    )


def test_the_keys_of_the_former_store_go_and_comments_behind_them_stay(tmp_path: Path) -> None:
    check(
        tmp_path,
        """\
        repoId: r1
        datastore:
          bucket: b   # gone with its key
          type: s3
          # kept: about the region
          region: r
          config:
            endpoint: |
              http://x

            # inside
            headers:
            - a
            - b: {c: d}

        # about the tool
        tool: 1
        """,
        """\
        repoId: r1
        datastore:
          type: directory
          path: /mnt/team
          # kept: about the region

        # about the tool
        tool: 1
        """,
    )


def test_keys_that_say_what_is_synced_stay(tmp_path: Path) -> None:
    text = edit(tmp_path, "repoId: r1\ndatastore:\n  exclude: ['*.key']\n  type: s3\n  bucket: b\n")
    assert text == (
        "repoId: r1\ndatastore:\n  exclude: ['*.key']\n  type: directory\n  path: /mnt/team\n"
    )


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("repoId: r1", "repoId: r1\nDATASTORE"),
        ("repoId: r1\n# end", "repoId: r1\n# end\nDATASTORE"),
        ("", "repoId: r1\nDATASTORE"),
        ("# only this", "# only this\nrepoId: r1\nDATASTORE"),
        ("---\n", "---\nrepoId: r1\nDATASTORE"),
        ("---\n# top\ntool: 1\n", "---\n# top\nrepoId: r1\ntool: 1\nDATASTORE"),
        ("repoId: # soon\n\n# tool\ntool: 1\n", "repoId: r1 # soon\n\n# tool\ntool: 1\nDATASTORE"),
        ("repoId: r1\ndatastore: # s\n\n# t\nt: 1\n", None),
        ("repoId: r1\ndatastore:\n  type: s3\n  bucket:\n  # kept\n  prefix:\n# t\nt: 1\n", None),
        ("repoId: r1\ndatastore:\n  type: s3\n  config:\n  - a\n  -\n  # kept\nt: 1\n", None),
        ("repoId:\ntool: 1\n", "repoId: r1\ntool: 1\nDATASTORE"),
        ("repoId: ~ # none yet\n", "repoId: r1 # none yet\nDATASTORE"),
        ("datastore:\nrepoId: r1\n", "DATASTORErepoId: r1\n"),
        ("datastore: null # soon\nrepoId: r1\n", None),
        ("repoId: r1\ndatastore:", "repoId: r1\nDATASTORE"),
        ("repoId: r1\ndatastore: {}\n", None),
        ("repoId: r1\ndatastore: {type: s3, bucket: b} # x\n", None),
        ("datastore:\n  path: /mnt/team\nrepoId: r1\n", "DATASTORErepoId: r1\n"),
        ("repoId: r1\ndatastore:\n  type: s3", "repoId: r1\nDATASTORE"),
        ("repoId: r1\ndatastore:\n  type:\n", "repoId: r1\nDATASTORE"),
        ("repoId: r1\ndatastore:\n  type: s3\n  path: >-\n    /old\n", "repoId: r1\nDATASTORE"),
        ("repoId: r1\ndatastore:\n  config: {a: b}\n", "repoId: r1\nDATASTORE"),
    ],
)
def test_every_shape_of_a_file_is_edited(tmp_path: Path, before: str, after: str | None) -> None:
    block = "datastore:\n  type: directory\n  path: /mnt/team\n"
    found = edit(tmp_path, before)
    if after is not None:
        assert found == after.replace("DATASTORE", block)
    loaded = load_repo(tmp_path, {}, variable=None, option=None)
    assert (loaded.repo_id, str(loaded.datastore)) == ("r1", "directory:/mnt/team")
    for remark in re.findall("#.*", before):
        assert remark in found


def test_windows_line_ends_stay(tmp_path: Path) -> None:
    text = edit(tmp_path, "repoId: r1\r\ndatastore:\r\n  type: s3\r\n  bucket: b\r\ntool: 1\r\n")
    assert text == (
        "repoId: r1\r\ndatastore:\r\n  type: directory\r\n  path: /mnt/team\r\ntool: 1\r\n"
    )


def test_what_is_there_already_is_not_written_again(tmp_path: Path) -> None:
    edit(tmp_path, "repoId: r1\ndatastore: {path: /mnt/team, type: directory}\n")
    file = tmp_path / ".swamp.yaml"
    before = file.stat()
    write_datastore(tmp_path, STORE)
    assert file.stat() == before


@pytest.mark.parametrize(
    "text",
    [
        "{tool: 1}\n",
        "base: &b {type: s3}\ndatastore: *b\nrepoId: r1\n",
        "repoId: r1\ndatastore: {type: s3, exclude: [a]}\n",
        "tool: 1\n...\n",
        "repoId: r1\ndatastore:\n  type: s3\n  config: &c\n    bucket: b\nother: *c\n",
    ],
)
def test_a_form_that_cannot_be_edited_is_left_alone_and_the_lines_are_told(
    tmp_path: Path, text: str
) -> None:
    with pytest.raises(
        ConfigError, match=r"by hand:\n(.*\n)?datastore:\n  type: directory\n  path"
    ):
        edit(tmp_path, text)
    assert (tmp_path / ".swamp.yaml").read_text() == text


def test_a_malformed_file_is_left_alone(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="line 1, column 5"):
        edit(tmp_path, "a: b: c\n")
    assert (tmp_path / ".swamp.yaml").read_text() == "a: b: c\n"


def test_another_repo_id_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="has the repoId 'r2', not 'r1'"):
        edit(tmp_path, "repoId: r2\n")
    with pytest.raises(ConfigError, match="name of a directory"):
        write_datastore(tmp_path, STORE, "../x")


# --- the file ---------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [0o600, 0o664])
def test_its_mode_stays(tmp_path: Path, mode: int) -> None:
    file = tmp_path / ".swamp.yaml"
    file.write_text("repoId: r1\n")
    file.chmod(mode)
    write_datastore(tmp_path, STORE)
    assert stat.S_IMODE(file.stat().st_mode) == mode


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "repo").mkdir()
    real = tmp_path / "real.yaml"
    real.write_text("repoId: r1\n")
    (tmp_path / "repo" / ".swamp.yaml").symlink_to(real)
    write_datastore(tmp_path / "repo", STORE)
    assert (tmp_path / "repo" / ".swamp.yaml").is_symlink()
    assert "/mnt/team" in real.read_text()


def test_a_write_that_fails_leaves_the_file_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    file = tmp_path / ".swamp.yaml"
    file.write_text("repoId: r1\n")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ConfigError, match=r"cannot be written: .*No space"):
        write_datastore(tmp_path, STORE)
    assert file.read_text() == "repoId: r1\n"
    assert [member.name for member in tmp_path.iterdir()] == [".swamp.yaml"]


@pytest.mark.parametrize("before", [None, "repoId: r1\n"])
def test_a_change_by_somebody_else_meanwhile_is_not_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: str | None
) -> None:
    file = tmp_path / ".swamp.yaml"
    if before is not None:
        file.write_text(before)

    def slow(text: str, store: Block | None, repo_id: str | None, path: Path) -> str:
        file.write_text("repoId: r1\nnew: 1\n")
        return with_datastore(text, store, repo_id, path)

    monkeypatch.setattr("swampd.config.editing.with_datastore", slow)
    with pytest.raises(ConfigError, match=r"changed by somebody else just now; try again"):
        write_datastore(tmp_path, STORE)
    assert file.read_text() == "repoId: r1\nnew: 1\n"
