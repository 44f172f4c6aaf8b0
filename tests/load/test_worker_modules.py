"""What a load worker has imported: it forks, so nothing that starts threads of its own."""

from pathlib import Path

import pytest

from tests.load.servers import serve
from tests.load.stages import carry, cold_item, make_handoff

FORBIDDEN = ("numpy", "polars", "duckdb", "pandas", "scipy", "openai", "altair")
LOCUSTFILE = """
import os, sys
from pathlib import Path
from observatory.load import records
from loadtests.chat import ChatUser

make = records.request_record

def listed(*arguments, **more):
    names = sorted({{name.partition(".")[0] for name in sys.modules}})
    Path({folder!r}, f"modules-{{os.getpid()}}").write_text("\\n".join(names))
    return make(*arguments, **more)

records.request_record = listed
"""


@pytest.mark.parametrize("workers", [1, 2])
def test_a_worker_has_not_imported_what_must_not_be_forked(tmp_path: Path, workers: int) -> None:
    (tmp_path / "chat.py").write_text(LOCUSTFILE.format(folder=str(tmp_path)))
    stage = {"kind": "closed", "concurrency": 4, "steady_s": 0.5, "drain_s": 5.0}
    with serve() as server:
        handoff = make_handoff(
            tmp_path, server.port, [cold_item("x")], stage=stage, cache="cold", workers=workers
        )
        carried = carry(handoff, loadtests=tmp_path, fresh=True)
    assert carried.code == 0 and {record.outcome for record in carried.records} == {"ok"}
    lists = list(tmp_path.glob("modules-*"))
    assert len(lists) == workers
    for path in lists:
        names = set(path.read_text().split("\n"))
        assert {"gevent", "locust", "observatory", "httptools"} <= names
        assert names.isdisjoint(FORBIDDEN), names.intersection(FORBIDDEN)
