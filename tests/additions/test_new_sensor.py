"""A sensor is a file and a line of SENSORS: the sampler reads it, so does a probe, and a run stores both."""

import csv
import io
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.additions.package_copy import PackageCopy

pytestmark = pytest.mark.live

MOON = '''
"""The moon above this machine."""

from observatory.core.sample import Sample
from observatory.telemetry.sensors.sensor import up


class MoonSensor:
    """age_days, of the moon."""

    name = "moon"

    def read(self, now: int) -> list[Sample]:
        """Return a constant: this moon does not move."""
        return [up(self.name, now), Sample(now, self.name, "shared_host", "", "age_days", 27.5)]
'''
LINE = """    SensorEntry("moon", "the moon", "its age", on_host=lambda _: [MoonSensor()]),
"""
SCENARIO = """
name: moonlit
seed: 3
workload: {{kind: tasks, tasks: [support-tickets], max_tokens: 8}}
arrivals: {{kind: closed}}
stages: [{{concurrency: 1}}]
timing: {{warmup: 500ms, steady: 10s, drain: 30s}}
telemetry:
  interval: 500ms
  codecarbon: false
  probes: [{{name: lab, url: "{url}"}}]
targets:
  - kind: emulated
    name: emulated-a
    profile: {{ttft_median: 20ms, ttft_p95: 30ms, inter_token_median: 2ms, inter_token_p95: 3ms}}
    price:
      input_per_million_usd: 1
      output_per_million_usd: 2
      source: round example
      basis: example
"""
TIMES = 4
"""On a busy machine the load may end before its sampler has started."""
QUERY = """SELECT DISTINCT device, metric, value, reason FROM samples
WHERE sensor = 'moon' ORDER BY ALL"""


@contextmanager
def probing(package: PackageCopy) -> Iterator[str]:
    """Serve a probe of the copy; the URL that it listens at."""
    command = [sys.executable, "-m", "observatory", "probe", "--port", "0", "--interval", "100ms"]
    child = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        text=True,
        cwd=package.workspace,
        env=package.environment(),
    )
    try:
        assert child.stdout is not None
        yield child.stdout.readline().split()[2]
    finally:
        child.kill()
        child.communicate()


def test_a_new_sensor_is_sampled_probed_and_stored(package: PackageCopy) -> None:
    table = "observatory/telemetry/sensors/table.py"
    package.add("observatory/telemetry/sensors/moon.py", MOON)
    package.insert(
        table,
        "from observatory.telemetry.sensors.host import",
        "from observatory.telemetry.sensors.moon import MoonSensor\n",
    )
    package.insert(table, "SENSORS: tuple", LINE)
    with probing(package) as url:
        (package.workspace / "moonlit.yaml").write_text(SCENARIO.format(url=url))
        for _ in range(TIMES):
            package.observatory("run", "moonlit.yaml", "--yes")
            table = package.observatory("sql", QUERY, "--format", "csv")
            rows = list(csv.reader(io.StringIO(table)))[1:]
            if len(rows) == 4:
                break
    assert rows == [
        ["", "age_days", "27.5", ""],
        ["", "up", "1.0", ""],
        ["lab", "age_days", "27.5", ""],
        ["lab", "up", "1.0", ""],
    ]
    words = "from observatory.telemetry.sensors.table import sensor_words as w; print(w('moon'))"
    assert package.python("-c", words).strip() == "the moon"
