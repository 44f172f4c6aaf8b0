"""A folder is whole, old or new, at every moment, and a killed build leaves no other file."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from observatory.site.replaced_folder import replaced_folder, sweep


def _names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def test_the_new_folder_takes_the_old_ones_place(tmp_path: Path) -> None:
    target = tmp_path / "dist"
    for text in ("one", "two"):
        with replaced_folder(target) as fresh:
            (fresh / "index.html").write_text(text)
            assert not target.exists() or (target / "index.html").read_text() == "one"
        assert (target / "index.html").read_text() == text
        assert _names(tmp_path) == ["dist"]
        assert target.stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_an_error_leaves_the_old_one(error: type[BaseException], tmp_path: Path) -> None:
    target = tmp_path / "dist"
    target.mkdir()
    (target / "index.html").write_text("old")
    with pytest.raises(error), replaced_folder(target) as fresh:
        (fresh / "index.html").write_text("new")
        raise error
    assert (target / "index.html").read_text() == "old"
    assert _names(tmp_path) == ["dist"]


def test_one_that_is_under_way_is_not_swept_and_a_dead_ones_is(tmp_path: Path) -> None:
    target = tmp_path / "dist"
    left = tmp_path / ".dist-abcd1234"
    left.mkdir()
    (left / "index.html").write_text("half")
    mine = tmp_path / ".district"
    mine.mkdir()
    with replaced_folder(target) as fresh:
        assert not left.exists()
        assert sweep(target) == []
        assert fresh.is_dir()
    assert mine.is_dir()


def test_a_killed_build_leaves_nothing(tmp_path: Path) -> None:
    code = (
        "import sys, time\nfrom pathlib import Path\n"
        "from observatory.site.replaced_folder import replaced_folder\n"
        "with replaced_folder(Path(sys.argv[1])) as fresh:\n"
        "    (fresh / 'index.html').write_text('half')\n    print('there', flush=True)\n"
        "    time.sleep(60)\n"
    )
    target = tmp_path / "a 'b' $(c)" / "dist"
    target.parent.mkdir()
    child = subprocess.Popen(
        [sys.executable, "-c", code, str(target)], stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "there\n"
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()
    end = time.monotonic() + 60
    while _names(target.parent) and time.monotonic() < end:
        time.sleep(0.02)
    assert _names(target.parent) == []
