"""Any other Prometheus page: the series that a person listed, under their own names, and no others.

What they mean is the reader's knowledge, so nothing is converted and the subject is the shared host.
"""

import http.client
import math

from observatory.core.connection import resolve
from observatory.core.errors import ObservatoryError
from observatory.core.sample import Sample
from observatory.core.series import selector
from observatory.telemetry.instructions import ScrapedPage
from observatory.telemetry.scraping.exposition import ExposedSeries, read_page
from observatory.telemetry.scraping.scrape import Scrape, address_of
from observatory.telemetry.sensors.sensor import down, up

MOST_SERIES = 200
"""Kept of one page and reading: a selector that fits more is a mistake, and would fill the disk."""
_EARLY = 0.5
"""Of the sampler's interval at most: a reading that is due within it is not put off by one more."""


class PrometheusSensor:
    """One page. device is its name and, where a series has labels, those: `node{cpu="0"}`."""

    name = "prometheus"

    def __init__(self, page: ScrapedPage) -> None:
        self._page = page
        self._selectors = [(text, selector(text)) for text in page.series]
        self._names = {chosen.name for _, chosen in self._selectors}
        self._scrape: Scrape | None = None
        self._due: int | None = None
        self._last: int | None = None
        self._missing: set[str] = set()

    def read(self, now: int) -> list[Sample]:
        """Return its samples where a reading is due, else none; `up` = 0 where the page cannot be had."""
        if not self._is_due(now):
            return []
        device = self._page.name
        try:
            self._scrape = self._scrape or self._opened()
            page = list(read_page(self._scrape.page(), self._names.__contains__))
        except (OSError, http.client.HTTPException, ValueError, ObservatoryError) as error:
            reason = str(error) or type(error).__name__
            return [down(self.name, now, reason, device=device)]
        kept = {
            _device(device, series) + series.name: series
            for series in page
            if any(chosen.fits(series.name, series.labels) for _, chosen in self._selectors)
        }
        if len(kept) > MOST_SERIES:
            reason = f"{len(kept)} series fit, more than {MOST_SERIES}: choose by label"
            return [down(self.name, now, reason, device=device)]
        samples = [up(self.name, now, device=device)]
        for series in kept.values():
            finite = math.isfinite(series.value)
            value = series.value if finite else None
            why = None if finite else f"the page has {series.value}"
            place = _device(device, series)
            samples.append(self._sample(now, place, series.name, value, why))
        return [*samples, *self._newly_missing(now, page)]

    def _is_due(self, now: int) -> bool:
        """Return whether a reading is due, every every_s from the first one on; a slot that was missed is not made up for."""
        step = now - self._last if self._last is not None else 0
        self._last = now
        if self._due is not None and now < self._due - _EARLY * step:
            return False
        every = round(self._page.every_s * 1e9)
        self._due = now + every if self._due is None else self._due + every
        if self._due <= now:
            self._due = now + every
        return True

    def _sample(
        self, now: int, device: str, metric: str, value: float | None, reason: str | None
    ) -> Sample:
        return Sample(now, self.name, "shared_host", device, metric, value, reason)

    def _newly_missing(self, now: int, page: list[ExposedSeries]) -> list[Sample]:
        """Return a null for each listed series that was there, or never yet; once, until it is back."""
        gone = {
            text
            for text, chosen in self._selectors
            if not any(chosen.fits(series.name, series.labels) for series in page)
        }
        fresh, self._missing = gone - self._missing, gone
        return [
            self._sample(now, self._page.name, chosen.name, None, f"{text} is not on the page")
            for text, chosen in self._selectors
            if text in fresh
        ]

    def _opened(self) -> Scrape:
        headers = {
            name: resolve(value, f"header {name}") for name, value in self._page.headers.items()
        }
        return Scrape(address_of(self._page.url), headers)


def _device(page: str, series: ExposedSeries) -> str:
    if not series.labels:
        return page
    pairs = ",".join(f'{label}="{value}"' for label, value in sorted(series.labels.items()))
    return f"{page}{{{pairs}}}"
