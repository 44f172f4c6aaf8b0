"""Hides the secrets that the sensors send in what the pages they read repeat: labels, names, reasons."""

from collections.abc import Iterator
from contextlib import suppress
from urllib.parse import parse_qsl, urlsplit

import msgspec

from observatory.connect.masking import Masker
from observatory.connect.sent_secrets import secrets_in, secrets_of
from observatory.core.errors import ObservatoryError
from observatory.core.sample import Sample
from observatory.telemetry.instructions import SamplerConfig

_MOST_KEPT = 10_000
"""Texts whose masked form is kept; readings repeat the same names every second."""


class SampleMasker:
    """Called with each sample before it is written."""

    def __init__(self, config: SamplerConfig) -> None:
        secrets = list(_secrets(config))
        self._masker = Masker(secrets)
        self._idle = not secrets
        self._known: dict[str, str] = {}

    def __call__(self, sample: Sample) -> Sample:
        """Return the sample itself where nothing in it is secret."""
        if self._idle:
            return sample
        device, metric = self._hidden(sample.device), self._hidden(sample.metric)
        reason = None if sample.reason is None else self._hidden(sample.reason)
        if (device, metric, reason) == (sample.device, sample.metric, sample.reason):
            return sample
        return msgspec.structs.replace(sample, device=device, metric=metric, reason=reason)

    def _hidden(self, text: str) -> str:
        known = self._known.get(text)
        if known is None:
            if len(self._known) >= _MOST_KEPT:
                self._known.clear()
            known = self._known[text] = self._masker.exact(text)
        return known


def _secrets(config: SamplerConfig) -> Iterator[str]:
    """Yield what any sensor sends. What cannot be read is not sent either: its sensor is down with the reason."""
    for connection in (*config.engines.values(), *(probe.connection for probe in config.probes)):
        with suppress(ObservatoryError):
            yield from secrets_of(connection)
    for page in config.prometheus:
        for name, value in page.headers.items():
            with suppress(ObservatoryError):
                yield from secrets_in(name, value)
    urls = [page.url for page in config.prometheus] + list(config.engine_pages.values())
    for url in (*urls, *([config.dcgm] if config.dcgm is not None else [])):
        for name, value in parse_qsl(urlsplit(url).query):
            with suppress(ObservatoryError):
                yield from secrets_in(name, value)
