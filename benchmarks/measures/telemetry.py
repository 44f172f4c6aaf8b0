"""The cost of the sensors: a scrape of a real engine's page, the sampler's processor time, and a load with it.

The GPUs are a stand-in (the tests' fake driver library, where a C compiler is), so NVML's own time is not
in it; the pages are real, recorded ones, served on loopback.
"""

import contextlib
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from statistics import median

from prometheus_client.parser import text_string_to_metric_families

from benchmarks.bench import Bench, loaded
from benchmarks.client import Load
from benchmarks.joining import join
from benchmarks.measures.truth import SCHEDULE, TOKENS, errors
from benchmarks.results import Check, Measurement
from observatory.core.clock import new_anchor
from observatory.core.connection import Connection
from observatory.core.journal import decode_samples
from observatory.core.sensor_config import Telemetry
from observatory.telemetry.sampler_process import start_sampler
from observatory.telemetry.scraping.exposition import read_page
from observatory.telemetry.scraping.scrape import Scrape, address_of
from observatory.telemetry.sensors.engine_names import NAMES, of_target, translate

TESTS = Path(__file__).resolve().parents[2] / "tests" / "telemetry"
PAGES = {
    "vLLM": TESTS / "pages" / "vllm-0.32.0.prom",
    "llama.cpp": TESTS / "pages" / "llamacpp-2026.10.prom",
}
INTERVALS_S = (1.0, 0.1)
REPEATS = 200


def measure(bench: Bench) -> Measurement:
    """Milliseconds a scrape, parsing apart from transport; the sampler's share of a core by interval."""
    found = Measurement("telemetry", values={})
    for engine, path in PAGES.items():
        found.rows.append({"engine": engine, **_scrape(path.read_text())})
    gpus = _fake_driver(bench.folder())
    found.values["gpus"] = "a stand-in of the driver" if gpus else "none: no C compiler here"
    for interval in INTERVALS_S:
        share, readings, sensors = _sampler_share(bench, interval, gpus)
        found.values["sensors"] = ", ".join(sensors)
        found.values[f"sampler_cpu_share_at_{interval:g}_s"] = share
        found.values[f"readings_at_{interval:g}_s"] = readings
    found.values |= _load_beside(bench)
    vllm = found.rows[0]
    found.checks = [
        Check("parsing vLLM's page", vllm["parse_ms"], high=1, unit="ms"),
        Check(
            "the reference reader's time over ours",
            vllm["reference_ms"] / vllm["parse_ms"],
            low=5,
            unit="x",
        ),
        Check(
            "the sampler's share of a core at 1 s, all sensors",
            found.values["sampler_cpu_share_at_1_s"] * 100,
            high=5,
            unit="%",
        ),
        Check(
            "the client's processor time, sensors at 0.1 s over none",
            found.values["client_cpu_ratio"],
            high=1.1,
            unit="x",
        ),
    ]
    return found


def _scrape(page: str) -> dict[str, float]:
    with _serving(page) as port:
        scrape = Scrape(address_of(f"http://127.0.0.1:{port}/metrics"), {})
        transport = _best_of(scrape.page)
        scrape.close()
    return {
        "bytes": len(page.encode()),
        "lines": page.count("\n"),
        "transport_ms": transport,
        "parse_ms": _best_of(
            lambda: translate(of_target(read_page(page, NAMES.__contains__), "smol"))
        ),
        "reference_ms": _best_of(lambda: list(text_string_to_metric_families(page))),
    }


def _best_of(work: Callable[[], object]) -> float:
    """The median of many, in milliseconds."""
    took = []
    for _ in range(REPEATS):
        begun = time.perf_counter()
        work()
        took.append(time.perf_counter() - begun)
    return median(took) * 1e3


def _sampler_share(
    bench: Bench, interval_s: float, gpus: Path | None
) -> tuple[float, int, list[str]]:
    """Mean of the sampler's own samples: host, processes, GPUs, RAPL, engine, DCGM and a page."""
    page = PAGES["vLLM"].read_text() + 'DCGM_FI_PROF_SM_ACTIVE{gpu="0"} 0.5\nnode_load1 1\n'
    folder = bench.folder()
    with _serving(page) as port, _driver(gpus):
        url = f"http://127.0.0.1:{port}/metrics"
        telemetry = Telemetry.model_validate(
            {
                "interval": f"{interval_s:g}s",
                "codecarbon": False,
                "dcgm": url,
                "prometheus": [{"name": "node", "url": url, "series": ["node_load1"]}],
            }
        )
        connection = Connection("http", "127.0.0.1", port, "/v1", "smol")
        handle = start_sampler(folder, new_anchor(), telemetry, {"engine:t": connection})
        handle.watch("client", os.getpid())
        time.sleep(bench.window_s(20))
        handle.stop()
    samples = list(decode_samples(handle.journal.read_bytes()))
    shares = [
        sample.value
        for sample in samples
        if sample.metric == "cpu_fraction"
        and sample.sensor == "sampler"
        and sample.value is not None
    ]
    sensors = sorted({sample.sensor for sample in samples} - {"sampler"})
    return sum(shares) / len(shares), len(shares), sensors


def _load_beside(bench: Bench) -> dict[str, float]:
    """64 streams with sensors ten times a second and once a minute, which is none but for the ends."""
    figures: list[dict[str, float]] = []
    for interval in ("100ms", "60s"):
        load = Load(
            tokens=TOKENS,
            users=64,
            steady_s=bench.window_s(12),
            telemetry={"interval": interval, "codecarbon": False},
        )
        run, log = bench.observe(SCHEDULE, load)
        joined = join(log, run.requests, run.attempts, run.anchor_ns, TOKENS)
        cost = loaded(run, log)
        figures.append(
            {
                "ttft_error_p50_ms": errors(joined)["ttft"]["p50_ms"],
                "worker_cpu_s_per_1000": cost["worker_cpu_s_per_1000"],
            }
        )
    on, off = figures
    return {
        **{f"{name}_with": value for name, value in on.items()},
        **{f"{name}_without": value for name, value in off.items()},
        "ttft_error_ratio": on["ttft_error_p50_ms"] / off["ttft_error_p50_ms"],
        "client_cpu_ratio": on["worker_cpu_s_per_1000"] / off["worker_cpu_s_per_1000"],
    }


@contextlib.contextmanager
def _driver(gpus: Path | None) -> Iterator[None]:
    before = os.environ.get("LD_LIBRARY_PATH")
    if gpus is not None:
        os.environ["LD_LIBRARY_PATH"] = str(gpus)
    try:
        yield
    finally:
        if before is None:
            os.environ.pop("LD_LIBRARY_PATH", None)
        else:
            os.environ["LD_LIBRARY_PATH"] = before


def _fake_driver(folder: Path) -> Path | None:
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        return None
    flags = ("-shared", "-fPIC", "-Wl,-soname,libnvidia-ml.so.1")
    library = folder / "libnvidia-ml.so.1"
    source = TESTS / "fake_nvml.c"
    subprocess.run([compiler, *flags, "-o", str(library), str(source)], check=True)
    return folder


@contextlib.contextmanager
def _serving(page: str) -> Iterator[int]:
    """The page on loopback, by this process: its own time is in transport_ms and in no share."""
    body = page.encode()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = 1 << 20  # head and body in one write, or Nagle's algorithm adds 40 ms

        def do_GET(self) -> None:
            """The page."""
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        server.server_close()
