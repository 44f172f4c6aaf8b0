"""A GPU machine that is not ours: a probe there, a run here, and the joules of its GPU in the ledger.

The GPUs are a library that plays a recording at the driver's boundary; the probe, the sampler, the load and
the run are real.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.live.harness import Workspace
from tests.telemetry.conftest import SOURCE

pytestmark = pytest.mark.live

TOKEN = "a-token-of-the-test"
SECONDS, STEP_S = 600, 0.2
POWERS_W = (249.0, 250.0, 251.0)
SERVICE = Path(__file__).parents[2] / "tools" / "small_service.py"
SCENARIO = """
name: hosted
workload: {{kind: tasks, tasks: [support-tickets], max_tokens: 8, cache: natural}}
arrivals: {{kind: closed}}
stages: [{{concurrency: 2}}]
timing: {{warmup: 1s, steady: 31s, drain: 30s}}
telemetry:
  interval: 500ms
  codecarbon: false
  idle: 4s
  probes: [{{name: lab, url: "{probe}", token_env: PROBE_TOKEN, subject: target, gpus: [0]}}]
targets: [{{kind: url, name: service, url: "{service}", model: small}}]
"""


def recording(path: Path) -> Path:
    """GPU 0 draws 250 W on the mean and counts it; GPU 1 draws 90 W."""
    lines, joules = ["0 1 power_mw 90000"], 0.0
    for step in range(round(SECONDS / STEP_S)):
        power = POWERS_W[step % len(POWERS_W)]
        lines.append(f"{step * STEP_S:.1f} 0 power_mw {power * 1e3:.0f}")
        lines.append(f"{step * STEP_S:.1f} 0 energy_mj {joules * 1e3:.0f}")
        lines.append(f"{step * STEP_S:.1f} 1 energy_mj {90 * step * STEP_S * 1e3:.0f}")
        joules += power * STEP_S
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def driver(tmp_path: Path) -> Path:
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler: the library that plays the recording cannot be built")
    library = tmp_path / "driver" / "libnvidia-ml.so.1"
    library.parent.mkdir()
    link = ("-shared", "-fPIC", "-Wl,-soname,libnvidia-ml.so.1")
    subprocess.run([compiler, *link, "-o", str(library), str(SOURCE)], check=True)
    return library.parent


@contextmanager
def speaking(command: list[str], **variables: str) -> Iterator[str]:
    """Start a child; yield the address that it prints; end it with the block."""
    child = subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, **variables}
    )
    try:
        assert child.stdout is not None
        words = child.stdout.readline().split()
        yield next(word for word in words if word.startswith("http"))
    finally:
        child.kill()
        child.wait()


def test_the_joules_of_a_gpu_elsewhere_are_the_targets(workspace: Workspace, driver: Path) -> None:
    probe = [sys.executable, "-m", "observatory", "probe", "--port", "0", "--interval", "200ms"]
    played = {
        "LD_LIBRARY_PATH": str(driver),
        "NVML_RECORDING": str(recording(driver / "gpus.txt")),
        "GPUS": "2",
        "PROBE_TOKEN": TOKEN,
    }
    with (
        speaking([*probe, "--token-env", "PROBE_TOKEN"], **played) as lab,
        speaking([sys.executable, str(SERVICE)]) as service,
    ):
        workspace.write("hosted", SCENARIO.format(probe=lab, service=service))
        workspace.measure("hosted", PROBE_TOKEN=TOKEN)
    rows = workspace.sql(
        "select stage, subject, method, counts, energy_j, "
        "(window_end_ns - window_start_ns) / 1e9 as window_s "
        "from energy where scope = 'gpu' and energy_j is not null order by stage nulls first, method"
    )
    powers = {
        (row["stage"], row["subject"], row["method"]): row["energy_j"] / row["window_s"]
        for row in rows
    }
    for stage in (None, 0):
        assert powers[stage, "target", "nvml_counter"] == pytest.approx(250, rel=0.02)
        assert powers[stage, "target", "nvml_power_trapezoid"] == pytest.approx(250, rel=0.02)
    assert [row["counts"] for row in rows if row["method"] == "nvml_power_trapezoid"] == [False] * (
        len([row for row in rows if row["method"] == "nvml_power_trapezoid"])
    )
    (figures,) = workspace.sql(
        "select gpu_energy_j, gpu_j_per_output_token, gpu_util_fraction, output_tps, window_s "
        "from stage_summary"
    )
    assert figures["gpu_energy_j"] == pytest.approx(250 * figures["window_s"], rel=0.02)
    assert figures["gpu_j_per_output_token"] == pytest.approx(250 / figures["output_tps"], rel=0.05)
    assert figures["gpu_util_fraction"] == pytest.approx(0.42), "of GPU 0; GPU 1 says 0.43"
    (clock,) = workspace.sql(
        "select max(abs(value)) filter (where metric = 'clock_offset_s') as offset_s, "
        "max(value) filter (where metric = 'clock_offset_uncertainty_s') as uncertainty_s from samples"
    )
    assert clock["offset_s"] <= clock["uncertainty_s"], "one machine: its clock is its clock"
    codes = {finding["code"] for finding in workspace.manifest()["findings"]}
    assert not codes & {"energy_disagrees", "energy_power", "sensor_lies", "sensor_down"}
    for path in workspace.results.rglob("*"):
        if path.is_file():
            assert TOKEN.encode() not in path.read_bytes(), path
