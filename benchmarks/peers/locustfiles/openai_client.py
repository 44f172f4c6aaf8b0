"""A Locust user with the openai client: how most people's first load test of a model looks."""

import time
from typing import Any

from locust import User, task
from openai import OpenAI

from benchmarks.peers.locustfiles.counting import (
    BASE_URL,
    MESSAGES,
    MODEL,
    OUTPUT_TOKENS,
    take,
    tell,
)


class Person(User):
    """Sends requests until all are used up."""

    def on_start(self) -> None:
        """A client for each user, with connections of its own."""
        self.openai = OpenAI(base_url=BASE_URL, api_key="none", max_retries=0)

    @task
    def ask(self) -> None:
        """One streamed answer; its first text counts as the request "ttft"."""
        take()
        began, reported, failure = time.perf_counter(), False, None
        try:
            chunks: Any = self.openai.chat.completions.create(
                model=MODEL, messages=MESSAGES, max_tokens=OUTPUT_TOKENS, stream=True
            )
            for chunk in chunks:
                if not reported and chunk.choices and chunk.choices[0].delta.content:
                    reported = True
                    tell(self, "ttft", began)
        except Exception as error:
            failure = error
        tell(self, "answer", began, failure)
