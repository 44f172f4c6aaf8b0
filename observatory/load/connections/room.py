"""How many bytes of large answers a process holds: no server may take its memory, nor many of them together."""

from typing import Protocol

from observatory.connect.bounds import ANSWER, mib
from observatory.wires.http_attempt import Fault

STEP = 1 << 20
"""Answers are counted once they have grown by so many bytes."""


class Holder(Protocol):
    """A connection with an answer in progress."""

    def give_up(self, fault: Fault) -> None:
        """End the HTTP attempt and the connection."""


class Room:
    """One for all connections of a worker. most: bytes of all their large answers."""

    def __init__(self, most: int = ANSWER) -> None:
        self._most = most
        self._held: dict[Holder, int] = {}

    def grows(self, holder: Holder, size: int) -> None:
        """Called when its answer has so many bytes now. Where all have too many, the largest is ended."""
        self._held[holder] = size
        if sum(self._held.values()) > self._most:
            largest = max(self._held, key=self._held.__getitem__)
            words = f"the answers being received have more than {mib(self._most)}"
            largest.give_up(Fault("stream", "too_large", words))

    def leaves(self, holder: Holder) -> None:
        """Called when its answer is over."""
        self._held.pop(holder, None)
