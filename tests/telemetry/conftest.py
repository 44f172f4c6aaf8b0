"""A fake driver library, and a child process that real pynvml finds it in."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SOURCE = Path(__file__).with_name("fake_nvml.c")
RunWithGpus = Callable[..., Any]

PREAMBLE = """
import json, os
from observatory.telemetry.sensors.nvml import NvmlSensor
def rows(samples):
    return [[s.subject, s.device, s.metric, s.value, s.reason] for s in samples]
"""


@pytest.fixture(scope="session")
def build_nvml(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Build the fake driver library; answers the folder it lies in."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler: the fake NVML library cannot be built")

    def build(*flags: str) -> Path:
        folder = tmp_path_factory.mktemp("nvml")
        subprocess.run(
            [
                *(compiler, "-shared", "-fPIC", "-Wl,-soname,libnvidia-ml.so.1", *flags),
                *("-o", str(folder / "libnvidia-ml.so.1"), str(SOURCE)),
            ],
            check=True,
            capture_output=True,
        )
        return folder

    return build


@pytest.fixture(scope="session")
def nvml_folder(build_nvml: Callable[..., Path]) -> Path:
    return build_nvml()


@pytest.fixture
def with_gpus(nvml_folder: Path) -> RunWithGpus:
    """Run Python code in a child whose driver library is the fake; answers the JSON it prints."""

    def run(code: str, library: Path = nvml_folder, **variables: str) -> Any:
        environment = {**os.environ, "LD_LIBRARY_PATH": str(library), **variables}
        done = subprocess.run(
            [sys.executable, "-c", PREAMBLE + code],
            capture_output=True,
            text=True,
            env=environment,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run
