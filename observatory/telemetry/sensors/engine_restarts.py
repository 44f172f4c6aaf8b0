"""Finds counters of an engine that restarted between two readings, before several of them are added up.

A sum over cores or ranks may grow although one of them was restarted. What gives it away: a series that went
back, a `_created` of OpenMetrics' counters that changed, another start of the process, or a series that is
gone.
"""

import math
from collections.abc import Iterable

from observatory.core.sample import RESTARTED
from observatory.telemetry.scraping.exposition import ExposedSeries
from observatory.telemetry.sensors.engine_names import COUNTERS, TERMS, Key, Read, key_of

PROCESS_START = "process_start_time_seconds"
_ENDINGS = ("_total", "_sum", "_count")


def _stem(name: str) -> str:
    return next((name.removesuffix(end) for end in _ENDINGS if name.endswith(end)), name)


_CREATED = {f"{_stem(name)}_created" for name in COUNTERS}
EVIDENCE = frozenset({PROCESS_START, *_CREATED})
"""Names of series that give the time at which counting began."""


class Restarts:
    """Remembers the last reading of one page."""

    def __init__(self) -> None:
        self._last: dict[Key, float] = {}
        self._began: dict[Key, float] = {}

    def found(self, read: Read, series: Iterable[ExposedSeries]) -> dict[str, str]:
        """Return our metrics whose counters are not a continuation of the last reading, each with the reason.

        The reading after it goes on from the new values.
        """
        fresh = {
            key: value
            for name, own in read.items()
            if name in COUNTERS
            for key, value in own.items()
            if math.isfinite(value)
        }
        began = {key_of(one): one.value for one in series if one.name in EVIDENCE}
        reasons: dict[str, str] = {}
        for key, before in self._last.items():
            now = fresh.get(key)
            if now is None and key[0] in read and key not in read[key[0]]:
                reasons[key[0]] = f"{RESTARTED}a series of {key[0]} is gone"
            elif now is not None and now < before:
                reasons[key[0]] = f"{RESTARTED}{key[0]} went back from {before:.6g} to {now:.6g}"
        for key, start in began.items():
            if self._began.get(key, start) != start:
                for name in COUNTERS:
                    if key[0] in (PROCESS_START, f"{_stem(name)}_created"):
                        reasons.setdefault(name, f"{RESTARTED}{key[0]} changed")
        absent = {key: value for key, value in self._last.items() if key[0] not in read}
        self._last, self._began = absent | fresh, began
        return {
            metric: reasons[name]
            for name in sorted(reasons)
            if name in read
            for metric in TERMS[name]
        }
