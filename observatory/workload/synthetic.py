"""Prompts of drawn lengths, made of common words; pure in the seed.

A length counts words and full stops. words.txt has only words that are one token after a space in
four unrelated tokenizers (docs/workloads.md has the figures), so a text of n is within 3 % of n
tokens from 128 on and within 2 tokens below; the chat template comes on top.
"""

import math
from pathlib import Path
from statistics import NormalDist
from typing import assert_never

import numpy as np

from observatory.core.errors import BadInput
from observatory.core.scenario import Fixed, LogNormal, SyntheticWorkload, Uniform
from observatory.workload.draws import UniformStream
from observatory.workload.prompt_items import PromptItem

MAX_PROMPT_TOKENS = 20_000_000
"""Over all items together, about 110 MB of text; workers hold all of it."""
_SENTENCE = 13
"""Words and full stop of one sentence."""
_P95 = NormalDist().inv_cdf(0.95)
_SMALLEST = 2.0**-53


def synthetic_prompt_items(workload: SyntheticWorkload, seed: int) -> list[PromptItem]:
    """Return `workload.items` prompts; raise BadInput where they would be more than MAX_PROMPT_TOKENS together."""
    prompts = lengths(workload.prompt_tokens, workload.items, UniformStream(seed, "prompt lengths"))
    outputs = lengths(workload.output_tokens, workload.items, UniformStream(seed, "output lengths"))
    if sum(prompts) > MAX_PROMPT_TOKENS:
        raise BadInput(
            f"the synthetic prompts have {sum(prompts):,} tokens together, "
            f"the most is {MAX_PROMPT_TOKENS:,}",
            where="workload.items",
            fix="draw fewer items or shorter prompts",
        )
    words = _words()
    prompt_items = []
    for number, (prompt_tokens, output_tokens) in enumerate(zip(prompts, outputs, strict=True)):
        prompt_items.append(
            PromptItem(
                prompt_id=f"synthetic-{seed}-{number:05d}",
                where=f"synthetic item {number}",
                prompt=text_of(prompt_tokens, words, UniformStream(seed, "words", number)),
                max_tokens=output_tokens,
                prompt_tokens=prompt_tokens,
                task="synthetic",
            )
        )
    return prompt_items


def lengths(
    distribution: Uniform | Fixed | LogNormal, count: int, draws: UniformStream
) -> list[int]:
    """Return `count` whole token counts of at least 1, by inverse transform."""
    match distribution:
        case Fixed():
            return [distribution.tokens] * count
        case Uniform():
            steps = draws.integers(count, distribution.high - distribution.low + 1)
            return [distribution.low + int(step) for step in steps]
        case LogNormal():
            location = math.log(distribution.median)
            spread = math.log(distribution.p95 / distribution.median) / _P95
            high = distribution.high or math.inf
            normal = NormalDist()
            return [
                round(min(high, max(1.0, math.exp(location + spread * normal.inv_cdf(draw)))))
                for draw in np.maximum(draws.uniforms(count), _SMALLEST).tolist()
            ]
        case _:
            assert_never(distribution)


def text_of(tokens: int, words: list[str], draws: UniformStream) -> str:
    """Sentences whose words and full stops number `tokens`; a text of one is a bare word."""
    chosen = [words[place] for place in draws.integers(tokens, len(words))]
    sentences = []
    for start in range(0, tokens, _SENTENCE):
        part = chosen[start : start + _SENTENCE]
        part[0] = part[0].capitalize()
        sentences.append(" ".join(part[:-1]) + "." if len(part) > 1 else part[0])
    return " ".join(sentences)


def _words() -> list[str]:
    return (Path(__file__).parent / "words.txt").read_text(encoding="utf-8").split()
