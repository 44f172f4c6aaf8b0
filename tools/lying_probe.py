"""A probe whose GPU returns impossible values: 95 kW under a limit of 700 W. Used by tools/provoke.py.

It serves the protocol of `observatory probe` on loopback and prints its address; no value is real.
"""

import threading
import time

from observatory.core.clock import read_both
from observatory.core.sample import Sample
from observatory.telemetry.probe.buffer import SampleBuffer
from observatory.telemetry.probe.server import ProbeServer
from observatory.telemetry.remote.wire import PROTOCOL, Batch, ClockReading, ProbeAbout
from observatory.telemetry.sensors.sensor import up

READINGS = {"gpu_power_w": 95_000.0, "gpu_power_limit_w": 700.0, "gpu_util_fraction": 0.5}
EVERY_S = 0.5


class LyingHost:
    """One GPU; all values of its sensors are made up."""

    def __init__(self) -> None:
        self._buffer = SampleBuffer()

    def about(self) -> ProbeAbout:
        """The page /about."""
        return ProbeAbout(PROTOCOL, "lying", "0", EVERY_S, ["nvml"], self._buffer.next, [])

    def clock(self) -> ClockReading:
        """The page /clock."""
        return ClockReading(*read_both())

    def batch(self, since: int) -> Batch:
        """The page /samples?since=N."""
        return Batch("lying", *self._buffer.since(since))

    def publish(self) -> None:
        """One reading of each sensor."""
        now = time.time_ns()
        stated = [
            Sample(now, "nvml", "shared_host", "gpu0", metric, value)
            for metric, value in READINGS.items()
        ]
        self._buffer.add([up("nvml", now, device="gpu0"), *stated])


def main() -> None:
    """Serve until killed."""
    host = LyingHost()
    server = ProbeServer(("127.0.0.1", 0), host, None)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"probe at http://127.0.0.1:{server.server_port}", flush=True)
    while True:
        host.publish()
        time.sleep(EVERY_S)


if __name__ == "__main__":
    main()
