"""A small streaming service on loopback that is not the emulator: `python tools/small_service.py [LOOPS [FAULT]]`.

It prints its base URL and serves until it is ended; LOOPS processes of its own compute all the while.
tools/provoke.py measures it where a code is not about emulated targets. FAULT is one of:

- `whole`: it ignores `stream: true` and answers with one JSON document;
- `burst`: it writes its events at once, at the end, as through a proxy that buffers;
- `odd`: it wraps a keep-alive comment in `data:`;
- `empty`: it ends every answer without text.
"""

import ctypes
import json
import multiprocessing
import os
import signal
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Service(BaseHTTPRequestHandler):
    """A small service that is not the emulator: eight tokens, 50 ms apart, after half a second."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Its one model."""
        self._whole({"object": "list", "data": [{"id": "small", "object": "model"}]})

    def do_POST(self) -> None:
        """A chat completion, streamed or whole."""
        document = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        time.sleep(0.5)
        if not document.get("stream") or FAULT == "whole":
            message = {"role": "assistant", "content": "word " * 8}
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            self._whole({"id": "1", "object": "chat.completion", "choices": [choice]})
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        held = b""
        events = [self._word(place) for place in range(8)]
        for event in ([": PROCESSING"] if FAULT == "odd" else []) + events:
            held += self._chunk(event)
            time.sleep(0.05)
            if FAULT != "burst":
                self.wfile.write(held)
                held = b""
        self.wfile.write(held + self._chunk("[DONE]") + b"0\r\n\r\n")

    def _word(self, place: int) -> str:
        reason = "stop" if place == 7 else None
        text = "" if FAULT == "empty" else "word "
        choice = {"index": 0, "delta": {"content": text}, "finish_reason": reason}
        return json.dumps({"id": "1", "model": "small", "choices": [choice]})

    def _chunk(self, data: str) -> bytes:
        event = f"data: {data}\n\n".encode()
        return b"%x\r\n%s\r\n" % (len(event), event)

    def _whole(self, value: object) -> None:
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing."""


def compute() -> None:
    """Use a core at the lowest priority, and end with the service (PR_SET_PDEATHSIG)."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL, 0, 0, 0)
    os.nice(19)
    while True:
        pass


FAULT = sys.argv[2] if len(sys.argv) > 2 else ""

if __name__ == "__main__":
    for _ in range(int(sys.argv[1]) if len(sys.argv) > 1 else 0):
        multiprocessing.get_context("fork").Process(target=compute, daemon=True).start()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Service)
    server.daemon_threads = True
    print(f"http://127.0.0.1:{server.server_address[1]}/v1", flush=True)
    server.serve_forever()
