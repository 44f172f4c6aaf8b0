"""A person's own settings for Locust change no run: files in two folders, and variables."""

from pathlib import Path
from typing import Any

import pytest

from tests.load.servers import answer, serve
from tests.load.stages import carry, cold_item, make_handoff

ITEMS = [cold_item(f"item {number}") for number in range(5)]
CLOSED: dict[str, Any] = {"kind": "closed", "concurrency": 4, "steady_s": 2.0, "drain_s": 5.0}
SETTINGS = {
    "run-time": "1s",
    "users": "1",
    "headless": "false",
    "stop-timeout": "99",
    "master-port": "1",
    "logfile": "mine.log",
    "csv": "mine",
    "exclude-tags": "everything",
}


@pytest.mark.parametrize("workers", [1, 2])
def test_files_and_variables_of_a_person_are_not_read(tmp_path: Path, workers: int) -> None:
    home, place = tmp_path / "home", tmp_path / "place"
    home.mkdir()
    place.mkdir()
    lines = "".join(f"{name} = {value}\n" for name, value in SETTINGS.items())
    (home / ".locust.conf").write_text(lines)
    (place / "locust.conf").write_text(lines)
    (place / "pyproject.toml").write_text('[tool.locust]\nrun-time = "1s"\n')
    variables = {f"LOCUST_{name.upper().replace('-', '_')}": v for name, v in SETTINGS.items()}
    with serve({"ok": lambda sock, seen: sock.sendall(answer("yes"))}) as server:
        handoff = make_handoff(
            tmp_path, server.port, ITEMS, stage=CLOSED, workers=workers, cache="cold"
        )
        carried = carry(
            handoff,
            cwd=place,
            environment={"HOME": str(home), "LOCUST_SKIP_LOG_SETUP": "true", **variables},
        )
    assert carried.code == 0, carried.log
    assert [end.reason for end in carried.ends] == ["complete"] * workers
    assert server.connections == 4
    assert sorted(path.name for path in place.iterdir()) == ["locust.conf", "pyproject.toml"]


def test_a_file_that_is_no_settings_of_locust_stops_no_run(tmp_path: Path) -> None:
    (tmp_path / ".locust.conf").write_text("no-such-setting = 1\n[[[\n")
    stage = {**CLOSED, "steady_s": 0.5}
    with serve({"ok": lambda sock, seen: sock.sendall(answer("yes"))}) as server:
        handoff = make_handoff(tmp_path, server.port, ITEMS, stage=stage, cache="cold")
        carried = carry(handoff, environment={"HOME": str(tmp_path)}, fresh=True)
    assert (carried.code, carried.ends[0].reason) == (0, "complete"), carried.log
