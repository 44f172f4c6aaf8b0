"""Both ways to read a connection, as fixtures."""

import pytest

from observatory.core.workspace import NO_RING_VARIABLE


@pytest.fixture(params=["by the kernel", "polled"])
def either_way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The test runs twice; where a system has no io_uring, both are polled."""
    monkeypatch.delenv(NO_RING_VARIABLE, raising=False)
    if request.param == "polled":
        monkeypatch.setenv(NO_RING_VARIABLE, "1")
