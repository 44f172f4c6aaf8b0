"""The emulator's prompt cache: which tokens of a prompt were there already. Pure; a token is a word."""

from collections import OrderedDict

from observatory.core.emulation.profile import PromptCache


class CachedPrompts:
    """How many of a prompt's tokens come out of the emulated prefix cache."""

    def __init__(self, cache: PromptCache) -> None:
        self._cache = cache
        self._kept: OrderedDict[int, None] = OrderedDict()

    def cached(self, tokens: list[str]) -> int:
        """Return the cached tokens of this prompt, which is cached from now on.

        kind prefix: whole blocks that an earlier prompt began with, never the prompt's last token
        (as vLLM, which must compute at least one); a block's key covers all text before it.
        """
        cache = self._cache
        if cache.kind == "none" or not tokens:
            return 0
        if cache.kind == "fraction":
            return int(cache.fraction * len(tokens))
        found, key, unbroken = 0, 0, True
        for start in range(0, len(tokens) - cache.block + 1, cache.block):
            key = hash((key, *tokens[start : start + cache.block]))
            unbroken = unbroken and key in self._kept
            found += cache.block if unbroken else 0
            self._kept[key] = None
            self._kept.move_to_end(key)
        while len(self._kept) > cache.blocks:
            self._kept.popitem(last=False)
        return min(found, (len(tokens) - 1) // cache.block * cache.block)
