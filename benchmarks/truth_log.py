"""Read the truth server's binary log (truth_server.c defines its records).

Pure: bytes in, arrays out. Instants are CLOCK_REALTIME in nanoseconds.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

READ, TOKEN, WHOLE, END, LEFT = 1, 2, 3, 4, 5
RECORD = np.dtype(
    [
        ("at_ns", "<i8"),
        ("late_ns", "<i8"),
        ("request", "<u4"),
        ("kind", "<u2"),
        ("token", "<u2"),
    ]
)
"""struct record of truth_server.c."""
_ID = "truth-"


@dataclass(frozen=True, slots=True)
class TruthLog:
    """What the server did.

    requests: their numbers, ascending, n of them. read_ns: (n,) when each was fully read. arrived_ns:
    (n,) the kernel's stamp of its last segment, the reading instant where there was none. writes:
    the records of tokens (or whole answers), ordered by request, then token.
    """

    requests: NDArray[np.int64]
    read_ns: NDArray[np.int64]
    arrived_ns: NDArray[np.int64]
    writes: NDArray[np.void]
    unfinished: int

    def lateness_ns(self) -> NDArray[np.int64]:
        """How long after its deadline each write began: the server's own fault."""
        return self.writes["late_ns"].astype(np.int64)

    def reading_lateness_ns(self) -> NDArray[np.int64]:
        """How long each request lay in the kernel before the server had read it."""
        return self.read_ns - self.arrived_ns


def parse(data: bytes) -> TruthLog:
    """The log out of its bytes; a record that was cut off at the end is left out."""
    whole = len(data) - len(data) % RECORD.itemsize
    log = np.frombuffer(data[:whole], dtype=RECORD)
    reads = log[log["kind"] == READ]
    reads = reads[np.argsort(reads["request"], kind="stable")]
    late = np.where(reads["late_ns"] < 0, 0, reads["late_ns"])
    writes = log[np.isin(log["kind"], (TOKEN, WHOLE))]
    writes = writes[np.lexsort((writes["token"], writes["request"]))]
    return TruthLog(
        requests=reads["request"].astype(np.int64),
        read_ns=reads["at_ns"].astype(np.int64),
        arrived_ns=(reads["at_ns"] - late).astype(np.int64),
        writes=writes,
        unfinished=int(np.count_nonzero(log["kind"] == LEFT)),
    )


def read_log(path: Path) -> TruthLog:
    """The log of a server that has ended."""
    return parse(path.read_bytes())


def number_of(request_id: str | None) -> int:
    """The request's number out of its x-request-id; -1 for anything else."""
    if request_id is None or not request_id.startswith(_ID):
        return -1
    digits = request_id[len(_ID) :]
    return int(digits) if digits.isdecimal() else -1
