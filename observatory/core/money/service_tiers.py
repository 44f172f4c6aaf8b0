"""The tiers of service that providers sell a model at."""

STANDARD_TIERS = frozenset({"standard", "default", "auto", "on_demand", "standard_only"})
"""What providers call the tier without a name of its own: OpenAI default and auto
(platform.openai.com/docs/api-reference/chat/create), Anthropic auto and standard_only
(docs.anthropic.com/en/api/service-tiers), Groq on_demand and auto (console.groq.com/docs/service-tiers)."""
