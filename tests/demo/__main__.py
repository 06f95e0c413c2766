"""The main job on real processes: two daemons as two machines, one folder as the datastore.

Prints what happens so that a person can follow, checks each step, and cleans up behind itself.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from tests.e2e.machines import Machine, finished, tree, until

MANY = 1500
"""Files of the push that is killed."""


class Demo:
    """The steps, in order."""

    def __init__(self, root: Path) -> None:
        self.store = root / "team-store"
        self.a = Machine(root, "a")
        self.b = Machine(root, "b")
        self._number = 0

    def say(self, title: str) -> None:
        """Head a step."""
        self._number += 1
        print(f"\n{self._number}. {title}", flush=True)

    def run(self, machine: Machine, *words: str, code: int = 0) -> str:
        """Run a command, show it with its answer, and insist on how it ends."""
        result = machine.run(*words)
        print(f"   {machine.name}$ swampctl {' '.join(words)}")
        for line in (result.out + result.err).splitlines()[:8]:
            print(f"      {line}")
        if result.code != code:
            raise AssertionError(f"exit {result.code}, expected {code}: {result}")
        return result.out

    @staticmethod
    def check(what: str, holds: bool) -> None:  # noqa: FBT001 - a statement and its truth
        """A step's claim."""
        if not holds:
            raise AssertionError(what)
        print(f"   ok: {what}", flush=True)

    # --- steps --------------------------------------------------------------------------------

    def set_up(self) -> None:
        """A store is made once; the second machine needs no set-up."""
        self.say("Machine a sets up a datastore in a folder; b has the same repo and just works")
        self.run(self.a, "datastore", "setup", "directory", "--path", str(self.store))
        self.b.join(self.a)
        self.run(self.b, "datastore", "status")

    def push_and_pull(self) -> None:
        """Edits of a reach b."""
        self.say("a writes a few files and pushes; b pulls them")
        for i in range(5):
            self.a.write(f"data/aws-ec2/x/{i}/raw", f"version {i}\n")
        self.a.write("data/aws-ec2/x/latest", "4")
        self.run(self.a, "push")
        self.run(self.b, "pull")
        self.check("the caches are identical", tree(self.a.cache) == tree(self.b.cache))
        plain = {k: v[0] for k, v in tree(self.store).items()}
        self.check(
            "the folder holds the same files, readable without swampd",
            plain == {k: v[0] for k, v in tree(self.a.cache).items()},
        )

    def contend(self) -> None:
        """A lock keeps the other machine out, and says who holds it."""
        self.say("a works under a lock; b asks for it meanwhile")
        mark = self.a.cache.parent / "working"
        script = (
            f'touch {mark}; while [ -e {mark} ]; do sleep 0.1; done; echo 5 > "$SWAMP_SCOPE_PATH/n"'
        )
        working = self.a.start("lock", "run", "data/aws-ec2/x", "--", "sh", "-c", script)
        until(mark.exists, "a works")
        self.run(self.b, "lock", "acquire", "data/aws-ec2/x", "--no-wait", code=11)
        mark.unlink()
        self.check("a's command ends well and its edit is pushed", finished(working).code == 0)
        script = 'n=$(cat "$SWAMP_SCOPE_PATH/n"); echo $((n+1)) > "$SWAMP_SCOPE_PATH/n"'
        self.run(self.b, "lock", "run", "data/aws-ec2/x", "--", "sh", "-c", script)
        self.run(self.a, "pull")
        here = (self.a.cache / "data/aws-ec2/x/n").read_text().strip()
        self.check("b's command saw a's edit, and a now sees b's: 6", here == "6")

    def disagree(self) -> None:
        """A conflict keeps both, until a person decides."""
        self.say("Both edit one file without a lock: nothing is overwritten")
        self.a.write("notes.txt", "from a\n")
        self.run(self.a, "push", ".")
        self.b.write("notes.txt", "from b\n")
        self.run(self.b, "pull", ".", code=3)
        self.run(self.b, "conflicts", "list")
        self.check("b's file is untouched", (self.b.cache / "notes.txt").read_text() == "from b\n")
        self.run(self.b, "conflicts", "resolve", "notes.txt", "--ours")
        self.run(self.b, "push", ".")
        self.run(self.a, "pull", ".")
        here = (self.a.cache / "notes.txt").read_text()
        self.check("b chose its own, and a has it now", here == "from b\n")

    def kill(self) -> None:
        """A daemon dies in mid-push, and nobody notices but the log."""
        self.say(f"a's daemon is killed with -9 in the middle of a push of {MANY} files")
        cache = self.a.cache
        for i in range(MANY):
            target = cache / "outputs" / str(i % 30) / f"{i}.yaml"
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(f"output: {i}\n")
        pushing = self.a.start("push", "outputs")

        def sent() -> int:
            return sum(1 for p in (self.store / "outputs").rglob("*") if p.is_file())

        until(lambda: sent() > MANY // 4, "a part of it is sent")
        self.a.kill()
        print(f"   killed after {sent()} files; the command says: {finished(pushing).err.strip()}")
        self.run(self.a, "push", "outputs")
        self.run(self.b, "pull")
        self.check("after one more push, every byte is there", tree(cache) == tree(self.b.cache))
        self.run(self.a, "status")

    def close(self) -> None:
        """End the daemons."""
        self.a.close()
        self.b.close()


def main() -> int:
    """Run all steps; 1 when one of them does not hold."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="swampd-demo-") as folder:
        demo = Demo(Path(folder))
        try:
            for step in (demo.set_up, demo.push_and_pull, demo.contend, demo.disagree, demo.kill):
                step()
        except AssertionError as error:
            print(f"\nthe demo failed: {error}", file=sys.stderr)
            return 1
        finally:
            demo.close()
    print(f"\nAll steps hold; it took {time.monotonic() - began:.0f} s.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
