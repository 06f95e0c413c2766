"""The steps of the demo, each checked."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final

from tests.e2e.machines import Machine, Result, finished, tree, until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SCOPE: Final = "data/aws-ec2/web-1"
MANY: Final = 600
_SHOWN: Final = 12


class Story:
    """Two machines and a store, and what is said of them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.store = root / "store"
        self.a = Machine(root, "a")
        self.b = Machine(root, "b")
        self.token = ""

    def close(self) -> None:
        """End both daemons."""
        self.a.close()
        self.b.close()

    def run(self, machine: Machine, *words: str, code: int = 0) -> Result:
        """Run swampctl, print what is seen, and check how it ends."""
        self.show(machine, f"swampctl {' '.join(words)}")
        result = machine.run(*words)
        self._print(result)
        check(result.code == code, f"it ends with exit code {code}", f"it ended with {result.code}")
        return result

    def script(self, machine: Machine, text: str, code: int = 0) -> Result:
        """Run a shell script on a machine."""
        for line in text.splitlines():
            self.show(machine, line.strip())
        result = machine.shell(text)
        self._print(result)
        check(result.code == code, f"it ends with exit code {code}", f"it ended with {result.code}")
        return result

    def show(self, machine: Machine, text: str) -> None:
        """A line that somebody types."""
        print(f"   {machine.name}$ {self._short(text)}", flush=True)

    def _print(self, result: Result) -> None:
        lines = [*result.out.splitlines(), *result.err.splitlines()]
        for line in lines[:_SHOWN]:
            print(f"      {self._short(line)}")
        if len(lines) > _SHOWN:
            print(f"      ... {len(lines) - _SHOWN} more lines")

    def _short(self, text: str) -> str:
        return text.replace(str(self.root), "...")


def check(holds: bool, promise: str, instead: str = "") -> None:  # noqa: FBT001 - it reads well
    """Say that a promise holds, or stop the demo."""
    if not holds:
        raise AssertionError(f"{promise}: {instead or 'no'}")
    print(f"   ok: {promise}", flush=True)


def same(story: Story, promise: str) -> None:
    """Both caches hold the same files, down to bits and times."""
    check(story.a.files() == story.b.files(), promise, "the caches differ")


# --- the steps --------------------------------------------------------------------------------


def set_up(story: Story) -> None:
    """Machine a makes a datastore in a folder; machine b has the same repo, and that is enough."""
    story.run(story.a, "datastore", "setup", "directory", "--path", str(story.store))
    story.b.join(story.a)
    story.run(story.b, "datastore", "status")


def push_and_pull(story: Story) -> None:
    """Files written on a arrive on b as they are: content, execute bit, time of change."""
    story.a.write(f"{SCOPE}/resource.yaml", "size: small\n")
    story.a.write(f"{SCOPE}/check.sh", "#!/bin/sh\nexit 0\n", executable=True)
    story.a.write("data/aws-ec2/web-2/resource.yaml", "size: large\n")
    story.a.write("README", "the swamp\n")
    story.run(story.a, "push")
    story.run(story.b, "pull")
    same(story, "b has exactly the files of a")
    plain = {name: row[0] for name, row in tree(story.store).items()}
    check(
        plain == {name: row[0] for name, row in story.a.files().items()},
        "the store is a plain folder with the same files",
    )


def edit_and_delete(story: Story) -> None:
    """Edits, renames and deletes on b go back to a."""
    story.b.write(f"{SCOPE}/resource.yaml", "size: medium\n")
    (story.b.cache / "README").rename(story.b.cache / "README.md")
    (story.b.cache / "data/aws-ec2/web-2/resource.yaml").unlink()
    story.run(story.b, "push")
    story.run(story.a, "pull")
    same(story, "a has exactly the files of b")
    check("README" not in story.a.files(), "what was deleted is gone on both")


def contend(story: Story) -> None:
    """A lock that a holds is refused to b, naming the holder; then four clients count together."""
    taken = story.script(story.a, f"swampctl lock acquire {SCOPE} --purpose deploy")
    token = taken.out.strip()
    until(
        lambda: len(story.a.ok("lock", "list", "--json").json["locks"]) == 1,
        "only the scope itself is locked",
    )
    refused = story.run(story.b, "lock", "acquire", SCOPE, "--no-wait", code=11)
    check(str(story.a.daemon_pid) in refused.err, "b is told who holds it")
    story.run(story.a, "lock", "release", "--token", token)
    story.a.write(f"{SCOPE}/counter", "0\n")
    story.run(story.a, "push", SCOPE)
    add = 'n=$(cat "$SWAMP_SCOPE_PATH/counter"); echo $((n + 1)) > "$SWAMP_SCOPE_PATH/counter"'
    story.show(story.a, f"swampctl lock run {SCOPE} -- sh -c '{add}'")
    story.show(story.b, "the same, and both at once from two clients each, five times")
    loop = f"for i in 1 2 3 4 5; do swampctl lock run {SCOPE} -- sh -c '{add}' || exit 1; done"
    clients = [m.spawn(["sh", "-c", loop]) for m in (story.a, story.b) for _ in range(2)]
    check(all(finished(client).code == 0 for client in clients), "all four clients succeed")
    story.run(story.a, "pull", SCOPE)
    found = (story.a.cache / SCOPE / "counter").read_text().strip()
    check(found == "20", "the counter ends at 20: no step was lost", f"it is {found}")


def disagree(story: Story) -> None:
    """Both edit one file without a lock: nothing is overwritten, a person decides."""
    story.run(story.b, "pull")
    path = f"{SCOPE}/resource.yaml"
    story.a.write(path, "size: from a\n")
    story.b.write(path, "size: from b\n")
    story.run(story.a, "push")
    story.run(story.b, "push", code=3)
    (found,) = story.b.ok("conflicts", "list", "--json").json["conflicts"]
    check((story.b.cache / path).read_text() == "size: from b\n", "b keeps its own bytes")
    copy = (story.b.cache / found["copy"]).read_text()
    check(copy == "size: from a\n", "those of a are beside it, as a conflict copy")
    story.run(story.b, "conflicts", "list")
    story.run(story.b, "conflicts", "resolve", path, "--ours")
    story.run(story.b, "push")
    story.run(story.a, "pull")
    same(story, "both have what b decided")


def crash(story: Story) -> None:
    """The daemon of a is killed with -9 in the middle of a push; the next command carries on."""
    chance = random.Random(1)
    folder = story.a.write("bulk/f0000", chance.randbytes(2000)).parent
    for number in range(1, MANY):
        (folder / f"f{number:04}").write_bytes(chance.randbytes(2000))
    story.show(story.a, f"swampctl push        # {MANY} new files")
    pushing = story.a.start("push")
    bulk = story.store / "bulk"

    def sent() -> int:
        return len(list(bulk.iterdir())) if bulk.exists() else 0

    until(lambda: sent() >= MANY // 4, "a quarter of the files is in the store")
    story.a.kill()
    out, err = pushing.communicate(timeout=30)
    there = sent()
    print(f"      kill -9: {there} of {MANY} files are in the store, none of them committed")
    check(pushing.returncode != 0, "the push says that it did not succeed", f"{out} {err}")
    story.run(story.b, "pull")
    check(not (story.b.cache / "bulk").exists(), "b sees nothing of what is not committed")
    story.run(story.a, "push")
    story.run(story.b, "pull")
    same(story, "after the restart everything is there, on both")


def tidy(story: Story) -> None:
    """Both daemons end; no lock is left behind."""
    story.run(story.a, "daemon", "stop")
    story.run(story.b, "status")
    listed = story.run(story.b, "lock", "list")
    check(listed.out == "no lock is held\n", "no lock is left behind")
    story.run(story.b, "daemon", "stop")


STEPS: Final[tuple[Callable[[Story], None], ...]] = (
    set_up,
    push_and_pull,
    edit_and_delete,
    contend,
    disagree,
    crash,
    tidy,
)
