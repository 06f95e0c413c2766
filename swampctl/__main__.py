"""`swampctl`: find the command, load it alone, run it, and end with its exit code."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Final

from swampctl.commands import COMMANDS, find_command, help_text
from swampctl.output import Output
from swampd import __version__
from swampd.errors import EXIT_ERROR, EXIT_INTERRUPTED, Interrupted, SwampdError

if TYPE_CHECKING:
    from collections.abc import Sequence

_BROKEN_PIPE: Final = 141


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line; its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    before_command = words[: words.index("--")] if "--" in words else words
    output = Output(as_json="--json" in before_command)
    try:
        return _run(words, output)
    except SwampdError as error:
        output.error(error)
        return error.meaning.exit_code
    except KeyboardInterrupt:
        output.error(Interrupted("interrupted"))
        return EXIT_INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _BROKEN_PIPE
    except OSError as error:
        output.error(SwampdError(f"the system refused: {error}", "see the file or socket it names"))
        return EXIT_ERROR


def _run(words: list[str], output: Output) -> int:
    if sys.platform == "win32":
        raise SwampdError("swampctl does not run on Windows", "use WSL 2")
    if "--version" in words and not set(words) - {"--json", "--version"}:
        output.result({"version": __version__}, [f"swampctl {__version__}"])
        return 0
    if not words or words[0] in {"-h", "--help", "help"}:
        output.result({"commands": [" ".join(name) for name in COMMANDS]}, help_text().splitlines())
        return 0
    name, rest = find_command(words)
    module = import_module(f"swampctl.commands.{COMMANDS[name].module}")
    from swampctl.context import Context  # noqa: PLC0415 - not for --version and --help

    args = module.parse(f"swampctl {' '.join(name)}", COMMANDS[name].summary, rest)
    code: int = module.run(Context(args, os.environ, _cwd(), output))
    return code


def _cwd() -> Path:
    try:
        return Path.cwd()
    except FileNotFoundError:
        raise SwampdError("the current directory is gone", "go to another one") from None


if __name__ == "__main__":
    raise SystemExit(main())
