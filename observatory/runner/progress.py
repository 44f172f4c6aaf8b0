"""What a person may want to know while a campaign runs; how it is drawn is the CLI's part."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class LegProgress:
    """One moment of one stage on one target. Times in seconds since the stage's child started."""

    target: str
    emulated: bool
    stage: int
    stages: int
    level: str
    part: str
    elapsed_s: float
    length_s: float
    campaign_left_s: float
    done: int
    in_flight: int
    errors: int
    ttft_s: float | None
    tokens_per_s: float | None


class Observer(Protocol):
    """Told of every step; must answer quickly, because the runner waits for it."""

    def say(self, text: str) -> None:
        """One line about what happens now."""

    def leg(self, progress: LegProgress) -> None:
        """The state of the stage that is running, a few times a second."""


class Silent:
    """An observer that shows nothing."""

    def say(self, text: str) -> None:
        """Ignore it."""

    def leg(self, progress: LegProgress) -> None:
        """Ignore it."""
