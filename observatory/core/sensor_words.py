"""What each sensor is, and what is missing while it gives no reading, in words for people."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SensorWords:
    """title: what it reads. gives: the figures that lack it, as the end of a sentence."""

    title: str
    gives: str


SENSORS: dict[str, SensorWords] = {
    "nvml": SensorWords("GPU (NVML)", "the GPU's power, energy, utilisation and memory"),
    "dcgm": SensorWords("GPU (DCGM exporter)", "the GPU's utilisation, power and energy by DCGM"),
    "engine": SensorWords(
        "engine's /metrics", "the engine's own counts (running requests, KV cache, queue, tokens)"
    ),
    "rapl": SensorWords("processor energy (RAPL)", "energy of processors and memory"),
    "codecarbon": SensorWords("energy model (codecarbon)", "estimated energy"),
    "host": SensorWords("host", "this machine's processors, memory and network"),
    "own": SensorWords(
        "CPU time of the run's own processes", "the share of other work on the cores (foreign_cpu)"
    ),
    "cgroup": SensorWords("CPU quota of the control group", "the CPU time that a quota withheld"),
    "process": SensorWords("process", "CPU and memory of the load generator and the engine"),
    "prometheus": SensorWords("Prometheus", "the series of that page"),
    "probe": SensorWords("probe on another host", "all readings of that host"),
    "sampler": SensorWords("the sampler itself", "what sampling costs"),
}


def sensor_words(name: str) -> str:
    """Return what the sensor reads; its name where it has no entry."""
    return SENSORS[name].title if name in SENSORS else name


def missing_words(name: str) -> str:
    """Return what is missing while the sensor gives no reading."""
    return SENSORS[name].gives if name in SENSORS else f"the readings of {name}"
