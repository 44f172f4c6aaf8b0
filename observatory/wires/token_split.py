"""How many tokens an answer has and in which events they came. Pure; the rules are in `count_tokens`."""

from collections.abc import Sequence

from observatory.core.record import Tokens, TokensFrom
from observatory.wires.answer_json import Details, Usage

MOST_TOKENS = 1_000_000_000
"""Of one answer or prompt: a hundred times the longest context that any service offers."""
STOP_TOKEN = 1
"""A total may have the token that ended the answer, or began the prompt, where its parts leave it out."""


def count_tokens(
    usage: Usage | None,
    characters: Sequence[int],
    running: Sequence[int],
    *,
    reasoning_streamed: bool,
    split_unknown: bool = False,
    model: str | None = None,
) -> tuple[Tokens, list[int]]:
    """Return an answer's counts, and the tokens of each text event.

    characters: of each text event. running: the output tokens that usage gave in text events
    themselves, of those that had it. split_unknown: usage does not count the tokens of the streamed
    text; then streamed tokens and each event's are None, unless usage is missing.
    model: as the answer names it; Gemini's leaves thinking out of every count but the total.

    Hidden reasoning is usage's reasoning tokens where no reasoning text was streamed, else 0;
    visible = output - hidden. Then, the first that fits:
    - no usable usage: one token an event, streamed = events, from `events`; output likewise;
    - usage in every event: the differences of its running count, from `usage`;
    - as many events as visible tokens, or one fewer (the end-of-sequence token has no text): one
      token an event, streamed = events, from `usage`;
    - else visible tokens are shared out: one for each event where there are enough, the others by
      characters, cumulatively, so that they are whole and sum to visible, from `characters`.
    Text is never tokenised here. Negative counts are not believed, nor any above MOST_TOKENS. Where the total
    has a surplus that nothing explains, the output is None: the stated one only splits the text.
    """
    prompt, output, cached, reasoning, written, uncounted = _reported(usage, model)
    events = len(characters)
    split: list[int] | None = [1] * events
    billed = events or None
    streamed: int | None = events
    billed_from: TokensFrom | None = "events" if events else None
    streamed_from = billed_from
    if output is not None:
        billed, billed_from = (output, "usage") if uncounted is not None else (None, None)
        split, streamed, streamed_from = [], None, None
    if output is not None and not split_unknown:
        hidden = 0 if reasoning_streamed else min(reasoning or 0, output)
        visible, running_from = output - hidden, max(0, hidden - (uncounted or 0))
        streamed_from = "usage"
        split = _by_running(running, running_from) if len(running) == events else None
        if split is None and events and visible in (events, events + 1):
            split = [1] * events
        if split is None and events and visible > 0:
            split, streamed_from = _by_characters(visible, characters), "characters"
        if split is None:  # usage is wrong, or there is no text
            split, streamed_from = [1] * events, "events" if events else "usage"
        streamed = sum(split)
    counts = Tokens(
        prompt=prompt,
        cached=cached,
        output=billed,
        reasoning=reasoning,
        streamed=streamed,
        output_from=billed_from,
        streamed_from=streamed_from,
        cache_write=written,
    )
    return counts, split or []


def _by_running(running: Sequence[int], hidden: int) -> list[int] | None:
    """Return the differences of a count that every event carried and that never fell, hidden ones taken off."""
    split: list[int] = []
    before = hidden
    for count in running:
        if count < before:
            return None
        split.append(count - before)
        before = count
    if len(split) > 1 and running[0] == running[-1]:
        return None  # the total repeated in every event is no running count
    return split or None


def _by_characters(tokens: int, characters: Sequence[int]) -> list[int]:
    """Return whole tokens that sum to `tokens`: one for each event where there are as many, since text takes
    one, and the others in proportion to characters, cumulatively."""
    total = sum(characters)
    least = 1 if tokens >= len(characters) else 0
    spare = tokens - least * len(characters)
    split: list[int] = []
    seen = given = 0
    for count in characters:
        seen += count
        due = (2 * spare * seen + total) // (2 * total)
        split.append(least + due - given)
        given = due
    return split


def _reported(
    usage: Usage | None, model: str | None
) -> tuple[int | None, int | None, int | None, int | None, int | None, int | None]:
    """Return prompt, output, cached, reasoning and cache-written tokens, under any of their names, and the
    reasoning tokens that the server counted outside its output tokens (None: see `_beside`).

    Those are billed as output too, and the total contains them: xAI names them
    (docs.x.ai, "Reasoning": total = prompt + completion + reasoning), Gemini's OpenAI endpoint
    leaves them out of every field but the total (ai.google.dev/gemini-api/docs/thinking: "response
    pricing is the sum of output tokens and thinking tokens").
    """
    if usage is None:
        return None, None, None, None, None, 0
    if _is_plain(usage):
        return usage.prompt_tokens, usage.completion_tokens, None, None, None, 0
    return _reported_in_full(usage, model)


def _reported_in_full(
    usage: Usage, model: str | None
) -> tuple[int | None, int | None, int | None, int | None, int | None, int | None]:
    """Return the same of any usage."""
    prompt_parts = usage.prompt_tokens_details or usage.input_tokens_details
    output_parts = usage.completion_tokens_details or usage.output_tokens_details
    prompt = _first(usage.prompt_tokens, usage.input_tokens)
    if not prompt:
        prompt = _first_above_zero(prompt, usage.input_tokens)
    output = running_output(usage)
    reasoning = _first_above_zero(
        output_parts.reasoning_tokens if output_parts else None, usage.reasoning_tokens
    )
    cached = _first_above_zero(
        prompt_parts.cached_tokens if prompt_parts else None,
        usage.prompt_cache_hit_tokens,
        usage.cache_read_input_tokens,
        usage.cached_tokens,
    )
    written = _first_above_zero(
        usage.cache_creation_input_tokens,
        prompt_parts.cache_creation_tokens if prompt_parts else None,
        # Alibaba Cloud Model Studio, "Context cache": parts of prompt_tokens.
        prompt_parts.cache_creation_input_tokens if prompt_parts else None,
        prompt_parts.cache_write_tokens if prompt_parts else None,
    )
    total = usage.total_tokens
    if prompt and not total and not usage.prompt_tokens:
        prompt = _with_cache(prompt, usage)
    if prompt is not None and total and total > prompt + (output or 0):
        missing = total - prompt - (output or 0)
        prompt += _prompt_apart(missing, prompt, reasoning, cached, written, prompt_parts)
    if prompt is not None and (cached or 0) + (written or 0) > prompt:
        total = None  # the counts contradict each other: a surplus of theirs is no output
    uncounted = _uncounted(prompt, output, reasoning, total, model)
    if uncounted:
        output = (output or 0) + uncounted
        reasoning = reasoning or uncounted
    return prompt, output, cached, reasoning, written, uncounted


def _is_plain(usage: Usage) -> bool:
    """Return whether it has a prompt, an output and at most their sum, and nothing that would change what they mean.

    Most servers send just that with every answer, and the rules for the others cost several times as much.
    """
    prompt, output, total = usage.prompt_tokens, usage.completion_tokens, usage.total_tokens
    if not prompt or not output or usage != Usage(prompt, output, total):
        return False
    return (
        0 < prompt <= MOST_TOKENS
        and 0 < output <= MOST_TOKENS
        and (total is None or total == prompt + output)
    )


def _with_cache(prompt: int, usage: Usage) -> int | None:
    """Return the prompt where only Anthropic's names are given, and no total: None where it is not known whether the
    cached tokens are part of `input_tokens`.

    Anthropic counts them apart (platform.claude.com/docs/en/build-with-claude/prompt-caching), and some gateways
    give the same names and include them (github.com/github/copilot-sdk/issues/1160). More cached than input
    tokens can only be apart.
    """
    cache = (_first(usage.cache_read_input_tokens) or 0) + (
        _first(usage.cache_creation_input_tokens) or 0
    )
    if not cache:
        return prompt
    return prompt + cache if cache > prompt else None


def _prompt_apart(
    missing: int,
    prompt: int,
    reasoning: int | None,
    cached: int | None,
    written: int | None,
    parts: Details | None,
) -> int:
    """Return the prompt tokens that the server left out of its prompt tokens: from or to the cache, or of media.

    They are the surplus of the total over the other counts, alone or with reasoning tokens counted apart
    from the output. Some gateways pass Anthropic's counts on like this (BerriAI/litellm,
    "cache_read_input_tokens" apart from `prompt_tokens`); as output they would be billed ten times over.
    """
    cache = (cached or 0) + (written or 0)
    media = []
    if parts is not None:
        media = [
            count or 0 for count in (parts.image_tokens, parts.audio_tokens, parts.video_tokens)
        ]
    if reasoning and missing == reasoning and cache + sum(media) <= prompt:
        return 0  # as xAI counts: both would explain it, and these fit into the prompt
    for apart in (cache, cached, written, sum(media), *media, cache + sum(media)):
        if apart and (missing == apart or (reasoning and missing == apart + reasoning)):
            return apart
    return 0


def _uncounted(
    prompt: int | None,
    output: int | None,
    reasoning: int | None,
    total: int | None,
    model: str | None,
) -> int | None:
    """Return the output tokens that the server's count leaves out; None where the total has more tokens than
    the counts explain, beyond STOP_TOKEN.

    A total without room for them excludes them, for any number of reasoning tokens. Without a total,
    more reasoning than output tokens were counted apart.
    """
    total = _first(total)
    if not total:
        return reasoning if reasoning and output is not None and reasoning > output else 0
    if prompt is None:
        return 0
    missing = total - prompt - (output or 0)
    if missing <= 0:
        return 0
    if missing == reasoning or (model is not None and "gemini" in model.lower()):
        return missing
    return 0 if output is None or missing <= STOP_TOKEN else None


def joined(earlier: Usage, later: Usage) -> Usage:
    """Return the counts of an answer whose usage came twice: the later ones, where they count anything.

    A later zero or null never replaces an earlier count: some servers count the prompt at the start
    and send 0 for it at the end.
    """
    for name in _COUNTS:
        if not getattr(later, name) and getattr(earlier, name):
            setattr(later, name, getattr(earlier, name))
    for name in _PARTS:
        before, after = getattr(earlier, name), getattr(later, name)
        if before is not None and before is not after:
            if after is None:
                setattr(later, name, before)
                continue
            for part in Details.__struct_fields__:
                if not getattr(after, part) and getattr(before, part):
                    setattr(after, part, getattr(before, part))
    return later


_PARTS = tuple(name for name in Usage.__struct_fields__ if name.endswith("_details"))
_COUNTS = tuple(name for name in Usage.__struct_fields__ if name not in _PARTS)


def running_output(usage: Usage) -> int | None:
    """Return the output tokens so far, as this usage gives them."""
    output = _first(usage.completion_tokens, usage.output_tokens)
    return output or _first_above_zero(output, usage.output_tokens)


def _first_above_zero(*counts: int | None) -> int | None:
    """Return the first count that is more than zero, else a zero: a gateway that fills in a field of its own API
    with 0 leaves the count under the provider's name (LiteLLM, issue 11789)."""
    return _first(*(count for count in counts if count)) or _first(*counts)


def _first(*counts: int | None) -> int | None:
    for count in counts:
        if count is not None and 0 <= count <= MOST_TOKENS:
            return count
    return None
