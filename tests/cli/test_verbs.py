"""The table of verbs agrees with the modules, and `--help` imports none of them."""

import subprocess
import sys

import pytest
import typer.main

from observatory.cli.main import app
from observatory.cli.verbs import VERBS, load_verb


@pytest.mark.parametrize("name", VERBS)
def test_the_tables_help_is_the_first_sentence_of_the_verbs_own(name: str) -> None:
    own = " ".join(load_verb(name).help.split("\n\n")[0].split())
    assert own == VERBS[name].help


def test_every_verb_is_a_command() -> None:
    commands = typer.main.get_group(app).commands
    assert list(commands) == list(VERBS)
    assert all(command.name == name for name, command in commands.items())


def test_help_imports_no_verb() -> None:
    code = (
        "import sys\n"
        "from observatory.cli.main import app\n"
        "app(['--help'], standalone_mode=False)\n"
        "from observatory.cli.verbs import VERBS\n"
        "print([verb.module for verb in VERBS.values() if verb.module in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    assert "  breakeven  Find the volume" in done.stdout


def test_an_unknown_verb_is_answered_with_a_close_one() -> None:
    command = [sys.executable, "-m", "observatory", "rnu"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, "Did you mean 'run'?" in done.stderr) == (2, True)
