"""A sensor is a file and a line of SENSORS, and a setting of it a field of Telemetry: the sampler reads it, a probe
reads one of any host, and a run stores both."""

import subprocess

import pytest

from tests.live.harness import Workspace
from tests.live.product import add_line, copy_product

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
TIDE = '''
"""The tide, as high as the scenario sets it."""

from observatory.core.sample import Sample
from observatory.telemetry.sensors.sensor import up


class TideSensor:
    """height_m, above the mean."""

    name = "tide"

    def __init__(self, height_m: float) -> None:
        self._height_m = height_m

    def read(self, now: int) -> list[Sample]:
        """Return the setting."""
        height = Sample(now, self.name, "shared_host", "", "height_m", self._height_m)
        return [up(self.name, now), height]
'''
SCENARIO = """
name: moonlit
seed: 3
workload: {kind: tasks, tasks: [support-tickets], max_tokens: 8}
arrivals: {kind: closed}
stages: [{concurrency: 1}]
timing: {warmup: 500ms, steady: 10s, drain: 30s}
telemetry:
  interval: 500ms
  codecarbon: false
  tide_m: 3.25
  probes: [{name: lab, url: "URL"}]
targets:
  - kind: emulated
    name: emulated-a
    profile: {ttft_median: 20ms, ttft_p95: 30ms, inter_token_median: 2ms, inter_token_p95: 3ms}
    price:
      input_per_million_usd: 1
      output_per_million_usd: 2
      source: round example
      basis: example
"""
TIMES = 4
"""On a busy machine the load may end before its sampler has started."""
QUERY = """select distinct sensor, device, metric, value, reason from samples
where sensor in ('moon', 'tide') order by all"""


def add_sensors(workspace: Workspace) -> None:
    """The moon above any host, and the tide of a run, which has a setting."""
    product = copy_product(workspace)
    sensors = product / "telemetry" / "sensors"
    (sensors / "moon.py").write_text(MOON)
    (sensors / "tide.py").write_text(TIDE)
    table = sensors / "table.py"
    line = 'SensorEntry("moon", "the moon", "its age", on_host=lambda _: [MoonSensor()]),'
    add_line(table, 'SensorEntry("sampler", "the sampler itself", "what sampling costs"),', line)
    opened = 'in_run=lambda run: [TideSensor(run.setting("tide_m", float))]'
    add_line(table, line, f'SensorEntry("tide", "the tide", "its height", {opened}),')
    host = "from observatory.telemetry.sensors.host import HostSensor"
    add_line(table, host, "from observatory.telemetry.sensors.moon import MoonSensor")
    add_line(table, host, "from observatory.telemetry.sensors.tide import TideSensor")
    add_line(
        product / "core" / "sensor_config.py", "codecarbon: bool = True", "tide_m: float = 0.0"
    )


def test_a_new_sensor_is_sampled_probed_and_stored(workspace: Workspace) -> None:
    add_sensors(workspace)
    probe = workspace.start("probe", "--port", "0", "--interval", "100ms")
    assert isinstance(probe, subprocess.Popen)
    assert probe.stdout is not None
    url = probe.stdout.readline().split()[2]
    workspace.write("moonlit", SCENARIO.replace("URL", url))
    stored = []
    for _ in range(TIMES):
        workspace.measure("moonlit")
        stored = workspace.sql(QUERY)
        if len(stored) == 6:
            break
    assert [tuple(row.values()) for row in stored] == [
        ("moon", "", "age_days", 27.5, None),
        ("moon", "", "up", 1.0, None),
        ("moon", "lab", "age_days", 27.5, None),
        ("moon", "lab", "up", 1.0, None),
        ("tide", "", "height_m", 3.25, None),
        ("tide", "", "up", 1.0, None),
    ]
