"""Whether two names mean the same model: the requested one and the one in an answer. Pure.

Providers answer an alias with a dated name (gpt-4o: gpt-4o-2024-08-06), servers with a path or a file,
gateways with their own prefix. Those are no substitution; another size or version is one.
"""

import re

_DATE = re.compile(
    r"(?<!\d)(?:20\d{2}-?[01]\d-?[0-3]\d|[01]\d-20\d{2}|20\d{2}-[01]\d|\d{6}|\d{4})(?!\d)|(?<=-)\d{3}$"
)
"""2024-08-06, 20241022, 09-2025, 2506, 0709; 001 at the end."""
_REVISION = re.compile(r"-v\d+(?::\d+)?$|[@:].*$")
"""Bedrock's "-v1:0", Vertex' "@20240620", OpenRouter's ":free", Ollama's ":latest"."""
_FILE = re.compile(r"\.(?:gguf|bin|safetensors|pt|onnx)$")
_PARTS = re.compile(r"[a-z]+|\d+")
_UNSPECIFIC = frozenset(
    [
        "latest",
        "preview",
        "exp",
        "experimental",
        "beta",
        "stable",
        "free",
        "instruct",
        "chat",
        "it",
        "hf",
        "gguf",
        "ggml",
        "mlx",
        "awq",
        "gptq",
        "fp",
        "bf",
        "int",
        "nf",
        "nvfp",
        "mxfp",
        "bit",
        "q",
        "k",
        "m",
        "s",
        "l",
        "xl",
        "xs",
        "iq",
        "w",
        "a",
        "quantized",
        "dynamic",
        "default",
        "meta",
        "openai",
        "anthropic",
        "google",
        "mistralai",
        "microsoft",
        "deepseekai",
        "us",
        "eu",
        "apac",
        "global",
        "models",
        "model",
        "publishers",
        "accounts",
    ]
)
"""Words of a name that do not identify a model: its state, its format, its maker, its region."""
_QUANTISED = re.compile(
    r"(?:^|[-_.])(?:i?q\d(?:_[a-z0-9]+)*|(?:fp|bf|int|nf|nvfp|mxfp|w)\d+(?:a\d+)?|\d+bit)(?=$|[-_.])"
)
PLACEHOLDERS = frozenset(
    {
        "default",
        "tgi",
        "local",
        "local-model",
        "model",
        "any",
        "none",
        "auto",
        "router",
        "model-router",
    }
)
"""Names to send to a server that has one model and reads no name, or that chooses the model itself."""


def same_model(requested: str, named: str) -> bool:
    """Return whether the model named in an answer is the requested one."""
    mine, theirs = _bare(requested), _bare(named)
    if mine in PLACEHOLDERS or mine == theirs:
        return True
    first, second = _words(mine), _words(theirs)
    if first == second:
        return True
    # "-latest" is whichever version is the latest: gemini-flash-latest is gemini-2.5-flash.
    return "latest" in mine and [word for word in second if not word.isdigit()] == first


def _bare(name: str) -> str:
    """Return the name without its path, its file's ending and its revision, in lower case."""
    name = _FILE.sub("", name.strip().lower().rstrip("/").rpartition("/")[2])
    return _REVISION.sub("", name)


def _words(name: str) -> list[str]:
    """Return the words and numbers of a name that identify the model."""
    name = _QUANTISED.sub("", _DATE.sub("", name))
    return [word for word in _PARTS.findall(name) if word not in _UNSPECIFIC]
