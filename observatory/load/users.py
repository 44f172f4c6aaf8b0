"""The Locust side of a load test: simulated users that send the plan's requests at the plan's instants.

Under the observatory the plan comes by hand-off (OBSERVATORY_HANDOFF). Under plain `locust -f` it is
made when the test is started (plain.py). Either way Locust spawns, counts and stops the users.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from locust import User, events
from locust.exception import StopTest, StopUser

from observatory.load import plain, session
from observatory.load.handoff import HANDOFF_VARIABLE
from observatory.load.in_flight import InFlight
from observatory.load.stage import StageRun
from observatory.load.virtual_user import VirtualUser


class PlannedUser(User):
    """A simulated user with a connection of its own.

    A task loops over `turns`, each a request that is due, and sends it.
    """

    abstract = True
    request: Literal["chat", "completions"] = "chat"
    """What its plan must be of."""
    _virtual_user: VirtualUser | None = None
    _stage: StageRun | None = None

    def on_start(self) -> None:
        """Take a place in the stage."""
        carrier = getattr(self.environment, "observatory", None)
        stage = carrier.stage if carrier is not None else None
        if stage is None:
            raise StopTest(getattr(carrier, "problem", None) or "there is no plan to carry out")
        if stage.handoff.request != self.request:
            raise StopTest(f"the plan is of {stage.handoff.request} requests, not {self.request}")
        self._stage = stage
        self._virtual_user = stage.virtual_user()

    def turns(self) -> Iterator[InFlight]:
        """Yield every request this user is to send, each when it is due; then the user leaves."""
        stage, virtual_user = self._stage, self._virtual_user
        assert stage is not None and virtual_user is not None
        while (in_flight := stage.next_turn(virtual_user)) is not None:
            yield in_flight
        raise StopUser

    def ask(self, in_flight: InFlight) -> None:
        """Send it and wait for the whole answer; what happened is recorded, nothing is raised."""
        assert self._stage is not None and self._virtual_user is not None
        self._stage.send(self._virtual_user, in_flight)

    def on_stop(self) -> None:
        """Give the place back."""
        if self._stage is not None and self._virtual_user is not None:
            self._stage.leave(self._virtual_user)


session.bind_to_runner()


@events.init.add_listener  # type: ignore[untyped-decorator]
def _on_init(environment: Any, runner: Any, **_: Any) -> None:
    path = os.environ.get(HANDOFF_VARIABLE)
    if path:
        session.start(environment, runner, Path(path))
    else:
        plain.start(environment, runner)


@events.init_command_line_parser.add_listener  # type: ignore[untyped-decorator]
def _on_parser(parser: Any, **_: Any) -> None:
    plain.add_arguments(parser)
