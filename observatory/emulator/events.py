"""One emulated answer as bytes: its stream's events in the profile's shape, or whole.

Pure; when each leaves is emulator_script's.
"""

from dataclasses import dataclass
from typing import Any

import msgspec

from observatory.core.emulation.profile import Profile, Reasoning
from observatory.emulator.draws import DrawnAnswer
from observatory.emulator.requests import ParsedRequest

STREAM_END = b"0\r\n\r\n"
BIG_EVENT_BYTES = 1 << 20
SWAPPED = "-swapped"
"""What a model_swap appends to the model's name."""
_encode = msgspec.json.Encoder().encode
_ERROR = {
    "error": {
        "message": "The server had an error in the middle of the answer (emulated).",
        "type": "server_error",
        "param": None,
        "code": None,
    }
}


@dataclass(frozen=True, slots=True)
class TokenCounts:
    """An answer's tokens, as usage reports them. output includes reasoning."""

    prompt: int
    cached: int
    reasoning: int
    output: int

    def usage(self, output: int, factor: float = 1.0) -> dict[str, Any]:
        """Return OpenAI's usage object with this many output tokens; factor falsifies it."""
        prompt, output = round(self.prompt * factor), round(output * factor)
        return {
            "prompt_tokens": prompt,
            "completion_tokens": output,
            "total_tokens": prompt + output,
            "prompt_tokens_details": {"cached_tokens": self.cached},
            "completion_tokens_details": {"reasoning_tokens": min(self.reasoning, output)},
        }


class AnswerBytes:
    """One answer's bytes, of a chat or a completion; other wires override the differences.

    number (of the request) makes its id. Faults of its fate: wrong_usage falsifies usage, model_swap the
    model's name, and with fingerprint_swap it names another system fingerprint than all other answers.
    """

    def __init__(
        self,
        request: ParsedRequest,
        fate: DrawnAnswer,
        counts: TokenCounts,
        profile: Profile,
        model: str,
        *,
        number: int,
        created: int,
    ) -> None:
        shape = profile.shape
        self._chat = request.kind != "completions"
        self._shape = shape
        self._counts = counts
        self._finished = fate.finished
        wrong = fate.fault == "wrong_usage"
        self._factor = profile.faults.wrong_usage_factor if wrong else 1.0
        self._names = _reasoning_names(profile.reasoning) if self._chat else ()
        self._include_usage = request.include_usage
        self._eol = b"\r\n" if shape.line_end == "crlf" else b"\n"
        self._number = number
        self._templates: dict[str, tuple[bytes, bytes, int]] = {}
        self._role_due = self._chat and shape.role == "with_content"
        self._head: dict[str, Any] = {
            "id": f"{'chatcmpl' if self._chat else 'cmpl'}-emulated-{number:08d}",
            "object": "chat.completion.chunk" if self._chat else "text_completion",
            "created": created,
            "model": model + (SWAPPED if fate.fault == "model_swap" else ""),
            "system_fingerprint": "fp_emulated",
        }
        if fate.fault == "fingerprint_swap":
            self._head["system_fingerprint"] = "fp_emulated_other"
        if shape.padding_bytes:
            self._head["padding"] = "x" * shape.padding_bytes

    @property
    def reasons_aloud(self) -> bool:
        """Return whether reasoning has a field to be streamed in."""
        return bool(self._names)

    def opening(self) -> bytes:
        """Return the role-only event that opens a chat stream; nothing where the shape has none."""
        if not self._chat or self._shape.role != "own_event":
            return b""
        return self._event({"role": "assistant", "content": ""}, None, 0)

    def content(self, text: str, running: int) -> bytes:
        """Return the event of a piece of the answer; running: output tokens up to and with it."""
        return self._text("content", ("content",), text, running)

    def reasoning(self, text: str, running: int) -> bytes:
        """Return the event of a piece of reasoning, under the profile's name or names."""
        return self._text("reasoning", self._names, text, running)

    def meeting(self, reasoning: str, text: str, running: int) -> bytes:
        """Return the event with the last of the reasoning and the first of the answer."""
        delta = {**dict.fromkeys(self._names, reasoning), "content": text}
        return self._event(self._with_role(delta), None, running)

    def tool_name(self, running: int) -> bytes:
        """Return the event that opens a tool call: its id and its function's name."""
        function = {"name": "look_up", "arguments": ""}
        call = {"index": 0, "id": self._call_id(), "type": "function", "function": function}
        return self._event(self._with_role({"tool_calls": [call]}), None, running)

    def tool_arguments(self, piece: str, running: int) -> bytes:
        """Return a piece of the call's arguments."""
        call = {"index": 0, "function": {"arguments": piece}}
        return self._event({"tool_calls": [call]}, None, running)

    def closing(self, *, done: bool = True) -> bytes:
        """Return finish_reason, usage where it is due, [DONE], and the end of the chunks."""
        usage, output = self._shape.usage, self._counts.output
        parts = [self._event({}, self._finish_reason(), output)]
        if usage in ("always", "every_event") or (usage == "asked" and self._include_usage):
            counts = self._counts.usage(output, self._factor)
            parts.append(self._laid({**self._head, "choices": [], "usage": counts}))
        if done and self._shape.done:
            parts.append(_chunk(b"data: [DONE]" + self._eol * 2))
        return b"".join((*parts, STREAM_END))

    def keep_alive(self) -> bytes:
        """Return a comment that only keeps the connection alive."""
        return _chunk(b": keep-alive" + self._eol * 2)

    def error_event(self) -> bytes:
        """Return an error object where an event is expected, and the end of the chunks."""
        return self._laid(_ERROR) + STREAM_END

    def garbage_event(self) -> bytes:
        """Return an event whose JSON stops in the middle."""
        return _chunk(b'data: {"id":"chatcmpl-emulated","choices":[{"ind' + self._eol * 2)

    def big_event(self, running: int) -> bytes:
        """Return an event with BIG_EVENT_BYTES of text."""
        return self.content(" " + "big " * (BIG_EVENT_BYTES // 4 - 1) + "end", running)

    def complete_body(self, reasoning: str, text: str) -> bytes:
        """Return the JSON body of an answer that is not streamed."""
        choice: dict[str, Any] = {
            "index": 0,
            "logprobs": None,
            "finish_reason": self._finish_reason(),
        }
        if not self._chat:
            choice["text"] = text
        elif self._shape.answer == "tool_call":
            function = {"name": "look_up", "arguments": text}
            call = {"id": self._call_id(), "type": "function", "function": function}
            choice["message"] = {"role": "assistant", "content": None, "tool_calls": [call]}
        else:
            choice["message"] = {"role": "assistant", "content": text, "refusal": None}
        if self._chat and self._names and reasoning:
            choice["message"].update(dict.fromkeys(self._names, reasoning))
        head = {**self._head, "object": "chat.completion"} if self._chat else self._head
        answer: dict[str, Any] = {**head, "choices": [choice]}
        if self._shape.usage != "never":
            answer["usage"] = self._counts.usage(self._counts.output, self._factor)
        return _encode(answer)

    def error_body(self) -> bytes:
        """Return an error object as a 200 answer's body."""
        return _encode(_ERROR)

    def _finish_reason(self) -> str:
        calls = self._chat and self._shape.answer == "tool_call" and self._finished == "stop"
        return "tool_calls" if calls else self._finished

    def _call_id(self) -> str:
        return f"call_emulated_{self._number:08d}"

    def _with_role(self, delta: dict[str, Any]) -> dict[str, Any]:
        if not self._role_due:
            return delta
        self._role_due = False
        return {"role": "assistant", **delta}

    def _text(self, kind: str, names: tuple[str, ...], text: str, running: int) -> bytes:
        """Return an event of text, rendered around it, because most of its bytes are always the same."""
        if self._role_due or self._shape.usage == "every_event" or len(names) != 1:
            return self._event(self._with_role(dict.fromkeys(names, text)), None, running)
        template = self._templates.get(kind)
        if template is None:
            before, _, after = self._body({names[0]: "\0"}, None, 0).partition(b"\\u0000")
            template = self._templates[kind] = (before, after, len(before) + len(after))
        before, after, around = template
        literal = _encode(text)[1:-1]
        return b"%x\r\n%b%b%b\r\n" % (around + len(literal), before, literal, after)

    def _event(self, delta: dict[str, Any], finished: str | None, running: int) -> bytes:
        return _chunk(self._body(delta, finished, running))

    def _body(self, delta: dict[str, Any], finished: str | None, running: int) -> bytes:
        choice: dict[str, Any] = {"index": 0, "logprobs": None, "finish_reason": finished}
        if self._chat:
            choice["delta"] = delta
        else:
            choice["text"] = delta.get("content", "")
        event = {**self._head, "choices": [choice]}
        usage = self._shape.usage
        if usage == "every_event" or (usage == "with_finish" and finished is not None):
            event["usage"] = self._counts.usage(running, self._factor)
        elif usage == "asked" and self._include_usage:
            event["usage"] = None  # as OpenAI does in every event but the last
        return self._lines(event)

    def _named(self, kind: str, event: dict[str, Any]) -> bytes:
        """Return an event with its type as its name, and the padding that every event has."""
        padding = {"padding": self._head["padding"]} if "padding" in self._head else {}
        lines = b"event: " + kind.encode() + self._eol + self._lines({**event, **padding})
        return _chunk(lines)

    def _laid(self, event: dict[str, Any]) -> bytes:
        return _chunk(self._lines(event))

    def _lines(self, event: dict[str, Any]) -> bytes:
        comment = b": emulated" + self._eol if self._shape.comments else b""
        return comment + b"data: " + _encode(event) + self._eol * 2


def _reasoning_names(reasoning: Reasoning) -> tuple[str, ...]:
    match reasoning.stream:
        case "hidden":
            return ()
        case "both":
            return ("reasoning_content", "reasoning")
        case name:
            return (name,)


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)
