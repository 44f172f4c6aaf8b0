"""The providers of kind api, one line each. A new one is a file beside this one, and a line here."""

from collections.abc import Mapping

from observatory.endpoints.providers.anthropic import ANTHROPIC
from observatory.endpoints.providers.azure import AZURE
from observatory.endpoints.providers.deepseek import DEEPSEEK
from observatory.endpoints.providers.fireworks import FIREWORKS
from observatory.endpoints.providers.google import GOOGLE
from observatory.endpoints.providers.groq import GROQ
from observatory.endpoints.providers.mistral import MISTRAL
from observatory.endpoints.providers.openai import OPENAI
from observatory.endpoints.providers.openrouter import OPENROUTER
from observatory.endpoints.providers.provider import Provider
from observatory.endpoints.providers.together import TOGETHER
from observatory.endpoints.providers.xai import XAI

PROVIDERS: Mapping[str, Provider] = {
    "openai": OPENAI,
    "anthropic": ANTHROPIC,
    "google": GOOGLE,
    "mistral": MISTRAL,
    "deepseek": DEEPSEEK,
    "xai": XAI,
    "azure": AZURE,
    "together": TOGETHER,
    "fireworks": FIREWORKS,
    "groq": GROQ,
    "openrouter": OPENROUTER,
}
