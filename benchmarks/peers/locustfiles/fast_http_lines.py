"""Locust's FastHttpUser reading the stream's lines: the fastest that Locust brings along."""

import json
import time

from locust import FastHttpUser, task

from benchmarks.peers.locustfiles.counting import (
    BASE_URL,
    MESSAGES,
    MODEL,
    OUTPUT_TOKENS,
    take,
    tell,
)

BODY = {"model": MODEL, "messages": MESSAGES, "max_tokens": OUTPUT_TOKENS, "stream": True}


class Person(FastHttpUser):
    """Sends requests until all are used up."""

    host = BASE_URL

    @task
    def ask(self) -> None:
        """One streamed answer; its first text counts as the request "ttft"."""
        take()
        began, reported, failure = time.perf_counter(), False, None
        try:
            for line in self.client.iter_lines("/chat/completions", method="POST", json=BODY):
                if not reported and line.startswith("data: {"):
                    choices = json.loads(line[6:])["choices"]
                    if choices and choices[0]["delta"].get("content"):
                        reported = True
                        tell(self, "ttft", began)
        except Exception as error:
            failure = error
        tell(self, "answer", began, failure)
