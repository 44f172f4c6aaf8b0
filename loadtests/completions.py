"""Text completions, streamed or whole, as the plan says.

Run by `observatory run`, or by hand with Locust's web page:

    locust -f loadtests/completions.py --host http://127.0.0.1:8000/v1 --scenario code-completion
"""

from locust import task

from observatory.load.users import PlannedUser


class CompletionsUser(PlannedUser):
    """An editor that asks for what comes next, again and again."""

    request = "completions"

    @task
    def complete(self) -> None:
        """Every turn is one POST to /completions."""
        for turn in self.turns():
            self.ask(turn)
