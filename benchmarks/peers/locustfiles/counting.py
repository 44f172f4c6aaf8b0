"""What both Locust peers share: a number of requests to share out, and the end when all are answered."""

import os
import time
from typing import Any

import gevent
from locust import User
from locust.exception import StopUser

MODEL = os.environ.get("PEER_MODEL", "")
BASE_URL = os.environ.get("PEER_BASE_URL", "")
OUTPUT_TOKENS = int(os.environ.get("PEER_OUTPUT_TOKENS", "1"))
MESSAGES: Any = [{"role": "user", "content": "Say a number in words."}]

_left = _open = int(os.environ.get("PEER_REQUESTS", "0"))


def take() -> None:
    """One request of those that are left; StopUser when there is none."""
    global _left
    if _left <= 0:
        raise StopUser
    _left -= 1


def tell(user: User, name: str, began: float, failure: Exception | None = None) -> None:
    """Into Locust's statistics; the last "answer" ends the run."""
    global _open
    user.environment.events.request.fire(
        request_type="sse",
        name=name,
        response_time=(time.perf_counter() - began) * 1e3,
        response_length=0,
        exception=failure,
    )
    if name == "answer":
        _open -= 1
        runner: Any = user.environment.runner
        if _open == 0:
            gevent.spawn(runner.quit)
