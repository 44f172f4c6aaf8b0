"""Figures over several devices do not depend on the order in which threads add them up."""

import numpy as np
import polars as pl
import pytest

from observatory.analysis.energy.energy_metrics import over_devices


def _readings(apart_ns: int) -> pl.DataFrame:
    """8 devices, 4,000 instants; apart_ns: how far apart the devices are read."""
    draws, instants, devices = np.random.default_rng(1), 4000, 8
    at = np.repeat(np.arange(instants) * 1_000_000, devices)
    return pl.DataFrame(
        {
            "at_ns": at + np.tile(np.arange(devices) * apart_ns, instants),
            "device": np.tile([f"gpu{place}" for place in range(devices)], instants),
            "value": draws.random(devices * instants) * 300,
        }
    )


@pytest.mark.parametrize("apart_ns", [0, 1000])
@pytest.mark.parametrize("combined", [pl.col("value").mean(), pl.col("value").sum()])
def test_the_same_readings_give_the_same_bits(apart_ns: int, combined: pl.Expr) -> None:
    rows = _readings(apart_ns)
    found = set()
    for seed in range(20):
        shuffled = rows.sample(fraction=1.0, shuffle=True, seed=seed)
        readings = over_devices(shuffled, combined, 1_000_000)
        assert len(readings) == 4000
        found.add(float(readings.to_numpy().mean()).hex())
    assert len(found) == 1
