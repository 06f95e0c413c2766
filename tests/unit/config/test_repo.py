"""A repo's configuration: which store is meant, who said so, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from swampd.config.datastore import Source
from swampd.config.repo import RepoConfig, load_repo, read_repo_file
from swampd.domain.datastores import DirectorySettings
from swampd.errors import EXIT_CONFIG, ConfigError, NoRepo, NotBuilt

if TYPE_CHECKING:
    from swampd.config.datastore import DatastoreConfig

HOME = {"HOME": "/home/ada"}
NAMED = "repoId: r1\ndatastore:\n  type: directory\n  path: /file\n"


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    return tmp_path


def load(
    repo: Path, text: str, variable: str | None = None, option: str | None = None
) -> RepoConfig:
    (repo / ".swamp.yaml").write_text(text)
    return load_repo(repo, HOME, variable=variable, option=option)


def store(
    repo: Path, text: str, variable: str | None = None, option: str | None = None
) -> DatastoreConfig:
    return load(repo, text, variable, option).datastore


def folder(repo: Path, text: str, variable: str | None = None, option: str | None = None) -> Path:
    settings = store(repo, text, variable, option).settings
    assert isinstance(settings, DirectorySettings)
    return settings.path


def block(text: str) -> str:
    return "repoId: r1\ndatastore:\n" + "".join(f"  {line}\n" for line in text.splitlines())


def test_a_repo(repo: Path) -> None:
    found = load(repo, NAMED + "tool:\n  of: others\n")
    assert (found.path, found.repo_id) == (repo, "r1")
    assert found.datastore.type == "directory"
    assert found.datastore.settings == DirectorySettings(Path("/file"))
    assert str(found.datastore) == "directory:/file"


def test_who_named_the_store(repo: Path) -> None:
    both = store(repo, NAMED, variable="directory:/variable", option="directory:/option")
    assert (str(both), both.source) == ("directory:/variable", Source.ENVIRONMENT)
    option = store(repo, NAMED, option="directory:/option")
    assert (str(option), option.source) == ("directory:/option", Source.OPTION)
    file = store(repo, NAMED, variable="", option="")
    assert (str(file), file.source) == ("directory:/file", Source.FILE)
    assert [source.value for source in Source] == [
        "SWAMP_DATASTORE",
        "--datastore",
        ".swamp.yaml",
        "default",
    ]


def test_the_default_is_named_as_not_built(repo: Path) -> None:
    with pytest.raises(NotBuilt, match=f"'filesystem' is not built yet .{repo}/.swamp is the def"):
        load(repo, "repoId: r1\n")


# --- the repoId -------------------------------------------------------------------------------


def test_a_repo_id_is_needed_to_serve_but_not_to_set_up(repo: Path) -> None:
    with pytest.raises(ConfigError, match=r"no repoId.*datastore setup"):
        load(repo, "datastore: {type: directory, path: /x}\n")
    assert read_repo_file(repo).repo_id is None
    assert read_repo_file(repo).datastore == {"type": "directory", "path": "/x"}


@pytest.mark.parametrize("value", ["..", "a/b", "''", ".x"])
def test_a_repo_id_that_is_no_safe_name_is_refused(repo: Path, value: str) -> None:
    with pytest.raises(ConfigError, match="cannot be the name of a directory"):
        load(repo, NAMED.replace("r1", value))


@pytest.mark.parametrize("value", ["12345", "true", "[a]", "2001-01-01"])
def test_a_repo_id_that_yaml_takes_for_something_else_is_refused(repo: Path, value: str) -> None:
    with pytest.raises(ConfigError, match="put it in quotes"):
        load(repo, NAMED.replace("r1", value))


def test_no_file_is_no_repo(repo: Path) -> None:
    with pytest.raises(NoRepo, match="datastore setup"):
        load_repo(repo, HOME, variable=None, option=None)


# --- paths ------------------------------------------------------------------------------------


def test_a_relative_path_counts_from_the_repo_whoever_named_it(repo: Path) -> None:
    assert folder(repo, block("type: directory\npath: store")) == repo / "store"
    assert folder(repo, NAMED, variable="directory:./a") == repo / "a"
    assert folder(repo, NAMED, option="directory:../b") == repo.parent / "b"


def test_a_tilde_is_home(repo: Path) -> None:
    assert folder(repo, block("type: directory\npath: ~/store")) == Path("/home/ada/store")
    assert folder(repo, NAMED, variable="directory:~") == Path("/home/ada")
    assert folder(repo, NAMED, variable="directory:~root/x") == (Path("~root").expanduser() / "x")
    assert folder(repo, NAMED, variable="directory:./~x") == repo / "~x"


def test_the_home_of_nobody_is_refused(repo: Path) -> None:
    with pytest.raises(ConfigError, match="a user who is not known"):
        load(repo, NAMED, variable="directory:~nobody-by-this-name/x")


@pytest.mark.parametrize("path", ["$HOME/x", "/mnt/${TEAM}/x", "/mnt/$team"])
@pytest.mark.parametrize("spelling", ["directory:PATH", 'directory:{"path": "PATH"}'])
def test_a_variable_in_a_path_is_refused(repo: Path, path: str, spelling: str) -> None:
    with pytest.raises(ConfigError, match="variables are not expanded"):
        load(repo, NAMED, variable=spelling.replace("PATH", path))
    with pytest.raises(ConfigError, match="variables are not expanded"):
        load(repo, block(f"type: directory\npath: {path}"))


def test_a_dollar_that_begins_no_name_is_a_dollar(repo: Path) -> None:
    assert folder(repo, NAMED, variable="directory:/a$/b$1") == Path("/a$/b$1")


# --- SWAMP_DATASTORE and --datastore ----------------------------------------------------------


def test_json_spells_a_store_too(repo: Path) -> None:
    assert str(store(repo, NAMED, variable='directory:{"path": "/j"}')) == "directory:/j"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("/mnt/store", "SWAMP_DATASTORE is '/mnt/store', which is not TYPE:PLACE"),
        ("directory", "not TYPE:PLACE"),
        ("directory:", "path of SWAMP_DATASTORE is ''"),
        ("directory:/a\udcff", r"'/a.udcff' of SWAMP_DATASTORE is not UTF-8"),
        ("directory:/a\0b", "path of SWAMP_DATASTORE is"),
        ("directry:/x", "no datastore type 'directry'.* did you mean 'directory'"),
        (":/x", "no datastore type ''"),
        ("ftp:/x", "no datastore type 'ftp'.*known are: @swamp"),
        ("directory:{", "the JSON in SWAMP_DATASTORE cannot be read"),
        ("directory:{" + '"a":{' * 100_000, "the JSON in SWAMP_DATASTORE cannot be read"),
        ("directory:{}", "SWAMP_DATASTORE has no path"),
        ('directory:{"path": 1}', "the path in SWAMP_DATASTORE is no text"),
        ('directory:{"paht": "/x"}', "unknown key 'paht' in SWAMP_DATASTORE; did you mean 'path'"),
    ],
)
def test_what_cannot_be_right_is_refused(repo: Path, text: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        load(repo, NAMED, variable=text)


@pytest.mark.parametrize("name", ["filesystem", "gcs", "@swamp/gcs-datastore"])
def test_a_type_that_is_not_built_is_refused_by_name(repo: Path, name: str) -> None:
    for text in (f"{name}:bucket/prefix", f'{name}:{{"bucket": "b"}}'):
        with pytest.raises(NotBuilt, match=f"'{name}' is not built yet") as caught:
            load(repo, NAMED, option=text)
        assert caught.value.meaning.exit_code == EXIT_CONFIG
    with pytest.raises(NotBuilt, match=f"'{name}' is not built yet"):
        load(repo, block(f"type: '{name}'\nbucket: b"))


# --- the block --------------------------------------------------------------------------------


def test_the_path_may_stand_in_config(repo: Path) -> None:
    assert str(store(repo, block("type: directory\nconfig: {path: /c}"))) == "directory:/c"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("path: /x", "has no type"),
        ("type: 3\npath: /x", "the type in .* is no text"),
        ("type: dir\npath: /x", "no datastore type 'dir'"),
        ("type: directory", "has no path"),
        ("type: directory\npath: 3", "the path in .* is no text"),
        ("type: directory\npath: ''", "the path of .* is ''"),
        ("type: directory\npaht: /x", "unknown key 'paht' in datastore: of .*did you mean 'path'"),
        ("type: directory\n7: /x", "unknown key 7 in"),
        ("type: directory\npath: /x\nbucket: b", "unknown key 'bucket' in .* type directory"),
        ("type: directory\npath: /x\nexclud: [a]", "did you mean 'exclude'"),
        ("type: directory\npath: /x\nconfig: {path: /x}", "both path and config"),
        ("type: directory\nconfig: /x", "config of .* is not a mapping"),
        ("type: directory\nconfig: {}", "config of .* has no path"),
        ("type: directory\nconfig: {type: directory, path: /x}", "unknown key 'type' in config of"),
    ],
)
def test_a_block_that_cannot_be_right_is_refused(repo: Path, text: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        load(repo, block(text))


@pytest.mark.parametrize("value", ["text", "[a]", "42"])
def test_a_block_that_is_none_is_refused(repo: Path, value: str) -> None:
    with pytest.raises(ConfigError, match="not a mapping"):
        load(repo, f"repoId: r1\ndatastore: {value}\n")


def test_an_empty_block_is_as_none(repo: Path) -> None:
    with pytest.raises(NotBuilt, match="filesystem"):
        load(repo, "repoId: r1\ndatastore:\n")
    assert str(store(repo, "repoId: r1\ndatastore:\n", "directory:/x")) == "directory:/x"


@pytest.mark.parametrize("key", ["exclude", "directories", "namespace", "syncTimeoutMs"])
def test_a_key_that_is_not_built_is_refused_by_name_whoever_names_the_store(
    repo: Path, key: str
) -> None:
    text = NAMED + f"  {key}:\n"
    for variable, option in ((None, None), ("directory:/x", None), (None, "directory:/x")):
        with pytest.raises(NotBuilt, match=f"the key '{key}' .* not built") as caught:
            load(repo, text, variable, option)
        assert caught.value.meaning.exit_code == EXIT_CONFIG


def test_a_variable_replaces_a_store_that_is_not_built(repo: Path) -> None:
    text = block("type: gcs\nbucket: b\nprojectId: p")
    assert str(store(repo, text, variable="directory:/x")) == "directory:/x"


def test_a_mistyped_key_is_refused_whoever_names_the_store(repo: Path) -> None:
    with pytest.raises(ConfigError, match="did you mean 'exclude'"):
        load(repo, NAMED + "  exclde: [a]\n", variable="directory:/x")
