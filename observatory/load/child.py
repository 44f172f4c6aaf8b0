"""Locust as the runner starts it: `python -m observatory.load.child`, with Locust's own arguments.

Locust also reads ~/.locust.conf, locust.conf and pyproject.toml of its folder, and LOCUST_* variables. A
person's settings for other tests would change a run's users, length, ports or log, so here the command
line alone counts. A start by hand (`locust -f`) reads them as ever.
"""

import os
from typing import Any


def main() -> None:
    """Run Locust's own main; it ends the process."""
    # Some are read while Locust is imported.
    for name in [name for name in os.environ if name.startswith("LOCUST_")]:
        del os.environ[name]
    from locust import argument_parser
    from locust.main import main as locust_main

    class CommandLineOnly(argument_parser.LocustArgumentParser):
        """Locust's parser without its default files."""

        def __init__(self, *positional: Any, **settings: Any) -> None:
            super().__init__(*positional, **{**settings, "default_config_files": []})

    argument_parser.LocustArgumentParser = CommandLineOnly  # type: ignore[misc]
    locust_main()  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    main()
