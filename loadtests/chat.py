"""Chat completions, streamed or whole, as the plan says.

Run by `observatory run`, or by hand with Locust's web page:

    locust -f loadtests/chat.py --host http://127.0.0.1:8000/v1 --scenario chat-steady
"""

from locust import task

from observatory.load.users import PlannedUser


class ChatUser(PlannedUser):
    """Someone who asks, reads the whole answer, and asks again."""

    @task
    def converse(self) -> None:
        """Every turn is one POST to /chat/completions."""
        for turn in self.turns():
            self.ask(turn)
