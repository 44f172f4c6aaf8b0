"""Seeded draws that stay the same over numpy versions: raw PCG64 words, turned into uniforms here.

NumPy promises a bit generator's stream for ever, but not what Generator's distributions make of it
(NEP 19), so every distribution is an inverse transform of these uniforms.
"""

import hashlib

import numpy as np
import numpy.typing as npt


class UniformStream:
    """One stream of uniforms, keyed by a seed, what it is for, and a number such as the stage."""

    def __init__(self, seed: int, purpose: str, number: int = 0) -> None:
        key = hashlib.blake2b(f"{purpose}/{seed}/{number}".encode(), digest_size=16).digest()
        self._bits = np.random.PCG64(int.from_bytes(key, "little"))

    def uniforms(self, count: int) -> npt.NDArray[np.float64]:
        """Return the next `count` numbers in [0, 1), 53 bits each."""
        words = self._bits.random_raw(count).astype(np.uint64)
        return (words >> np.uint64(11)).astype(np.float64) * 2.0**-53

    def integers(self, count: int, below: int) -> npt.NDArray[np.int64]:
        """Return the next `count` whole numbers from 0 to below - 1."""
        return np.floor(self.uniforms(count) * below).astype(np.int64)

    def choice(self, population: int, count: int) -> list[int]:
        """Return `count` different places of 0 .. population - 1, ascending; all of them if there are fewer."""
        if count >= population:
            return list(range(population))
        order = np.argsort(self.uniforms(population), kind="stable")
        return sorted(int(place) for place in order[:count])
