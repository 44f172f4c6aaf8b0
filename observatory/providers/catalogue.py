"""The providers of kind api, one line each. A new one is a file in this folder, and a line here."""

from collections.abc import Mapping

from observatory.providers.anthropic import ANTHROPIC
from observatory.providers.azure import AZURE
from observatory.providers.deepseek import DEEPSEEK
from observatory.providers.fireworks import FIREWORKS
from observatory.providers.google import GOOGLE
from observatory.providers.groq import GROQ
from observatory.providers.mistral import MISTRAL
from observatory.providers.openai import OPENAI
from observatory.providers.openrouter import OPENROUTER
from observatory.providers.provider import Provider
from observatory.providers.together import TOGETHER
from observatory.providers.xai import XAI

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
