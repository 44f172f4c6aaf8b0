"""`python -m observatory` is the `observatory` command."""

import os
import sys


def main() -> None:
    """Run the command. Ctrl-C while its modules are still loading is one line and 130 as well."""
    try:
        from observatory.cli.main import main as command
    except KeyboardInterrupt:
        if sys.stderr is not None:
            print("observatory: stopped (Ctrl-C)", file=sys.stderr, flush=True)
        os._exit(130)
    command()


if __name__ == "__main__":
    main()
