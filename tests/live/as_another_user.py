"""Run commands as another user: `python -m tests.live.as_another_user UID`, as root.

Standard input holds a JSON list of commands, each a list of words; the answer is a JSON list of
[exit code, standard output, standard error]. Everything is imported first, because the other user may be
kept out of the folder of this interpreter, and once, because that takes seconds.
"""

import encodings
import importlib
import json
import os
import pkgutil
import sys
import tempfile
from contextlib import suppress
from typing import IO

import observatory

KEPT_OUT = ("observatory.load", "observatory.__main__")
"""Locust patches the process that imports it."""


def main() -> None:
    """Answer every command."""
    for name in pkgutil.iter_modules(encodings.__path__):
        with suppress(Exception):
            importlib.import_module(f"encodings.{name.name}")
    for found in pkgutil.walk_packages(observatory.__path__, "observatory."):
        if not found.name.startswith(KEPT_OUT):
            with suppress(ImportError):
                importlib.import_module(found.name)
    json.dump([answer(int(sys.argv[1]), words) for words in json.load(sys.stdin)], sys.stdout)


def answer(user: int, words: list[str]) -> tuple[int, str, str]:
    """Exit code, output and errors of one command in a child that has become the user."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        child = os.fork()
        if not child:
            become(user, words, out, err)
        _, status = os.waitpid(child, 0)
        lines = []
        for stream in (out, err):
            stream.seek(0)
            lines.append(stream.read().decode())
        return os.waitstatus_to_exitcode(status), lines[0], lines[1]


def become(user: int, words: list[str], out: IO[bytes], err: IO[bytes]) -> None:
    """Be the command; does not return."""
    try:
        os.dup2(out.fileno(), 1)
        os.dup2(err.fileno(), 2)
        os.setgroups([])
        os.setgid(user)
        os.setuid(user)
        from observatory.cli.main import main as command

        sys.argv = ["observatory", *words]
        command()
    except SystemExit as ended:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(ended.code if isinstance(ended.code, int) else 1)
    finally:
        os._exit(70)


if __name__ == "__main__":
    main()
