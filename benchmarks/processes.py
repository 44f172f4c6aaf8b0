"""Finds the load-generating processes below a running `observatory run`."""

import psutil

from observatory.load.command import CHILD_MODULE


def load_processes(command: int) -> list[psutil.Process]:
    """Those that run Locust, master and workers; none where they have not started or have ended."""
    try:
        below = psutil.Process(command).children(recursive=True)
    except psutil.NoSuchProcess:
        return []
    found = []
    for process in below:
        try:
            if CHILD_MODULE in process.cmdline():
                found.append(process)
        except psutil.Error:
            continue
    return found
