"""A fake of vLLM for tests of its processes, not of its output: a script of the standard library alone.

It takes `serve MODEL` with vLLM's flags, writes lines as vLLM 0.32 does, starts processes as it does (one
in its session without an environment, as setproctitle leaves it; one that leaves the session too), and
returns a fixed text. FAKE_VLLM sets the fault: hang, crash, crash when signalled (SIGUSR1), stubborn,
no-model, refuse, die-listing.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SLEEPER = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
WORDS = ["one ", "two ", "three ", "four "]


def log(text, who="APIServer", level="INFO"):
    """A line as vLLM's logger writes it."""
    print(f"({who} pid={os.getpid()}) {level} 11-27 07:43:36 [fake.py:1] {text}", flush=True)


class Answer(BaseHTTPRequestHandler):
    """The few pages that are requested."""

    protocol_version = "HTTP/1.1"
    names: tuple[str, ...] = ()

    def log_message(self, *_):
        pass

    def do_GET(self):
        if self.path == "/health":
            return self.reply(b"")
        if self.path == "/version":
            return self.tell({"version": "9.9.9"})
        if self.path == "/v1/models":
            if os.environ.get("FAKE_VLLM") == "die-listing":
                os._exit(7)
            listed = [{"id": name, "object": "model", "owned_by": "vllm"} for name in self.names]
            return self.tell({"object": "list", "data": listed})
        if self.path == "/metrics":
            line = 'vllm:cache_config_info{block_size="16",num_gpu_blocks="100"} 1.0\n'
            return self.reply(line.encode(), "text/plain")
        return self.reply(b"{}", status=404)

    def do_POST(self):
        document = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if os.environ.get("FAKE_VLLM") == "refuse":
            return self.tell({"error": {"message": "no template"}}, 400)
        usage = {"prompt_tokens": 3, "completion_tokens": len(WORDS), "total_tokens": 7}
        chat = self.path.endswith("/chat/completions")
        if not document.get("stream"):
            choice = {"index": 0, "text": "one", "finish_reason": "length"}
            return self.tell({"model": document["model"], "choices": [choice], "usage": usage})
        events = []
        for place, word in enumerate(WORDS):
            part = {"delta": {"content": word}} if chat else {"text": word}
            reason = "stop" if place == len(WORDS) - 1 else None
            choice = {"index": 0, **part, "finish_reason": reason}
            events.append({"id": "1", "model": document["model"], "choices": [choice]})
        events.append({"id": "1", "model": document["model"], "choices": [], "usage": usage})
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for event in [*(json.dumps(event) for event in events), "[DONE]"]:
            self.chunk(f"data: {event}\n\n".encode())
            time.sleep(0.005)
        self.chunk(b"")
        return None

    def chunk(self, data):
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()

    def tell(self, value, status=200):
        self.reply(json.dumps(value).encode(), "application/json", status)

    def reply(self, data, media="application/json", status=200):
        self.send_response(status)
        self.send_header("content-type", media)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def start_processes():
    """EngineCore in the session without a readable environment, and one that left the session."""
    core = subprocess.Popen([sys.executable, "-c", SLEEPER, "VLLM::EngineCore"], env={})
    # The one between them ends at once: its own command line must not hold the name that tests look for.
    subprocess.Popen(
        [sys.executable, "-c", f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', "
         f"{SLEEPER!r}, 'VLLM::' + 'Stray'], env={{}}, start_new_session=True)"],
        env={},
    ).wait()  # fmt: skip
    return core


def watch(core):
    """vLLM's API server ends, with exit code 0, when its EngineCore is gone."""
    core.wait()
    log("[shutdown] MPClient: engine core exited unexpectedly; starting cleanup", level="WARNING")
    os._exit(0)


def main():
    """Serve until SIGTERM."""
    parser = argparse.ArgumentParser(prog="vllm serve", allow_abbrev=False)
    parser.add_argument("serve")
    parser.add_argument("model")
    parser.add_argument("--host")
    parser.add_argument("--port", type=int)
    parser.add_argument("--served-model-name")
    parser.add_argument("--disable-uvicorn-access-log", action="store_true")
    parser.add_argument("--enable-lora", action="store_true")
    parser.add_argument("--lora-modules", nargs="+", default=[])
    for name in ("max-loras", "max-lora-rank", "max-num-seqs", "tensor-parallel-size"):
        parser.add_argument(f"--{name}", type=int)
    given = parser.parse_args()
    wrong = os.environ.get("FAKE_VLLM")
    log(f"non-default args: {{'model_tag': {given.model!r}, 'port': {given.port}}}")
    if wrong == "stubborn":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if wrong == "crash when signalled":
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    core = start_processes()
    log("Starting to load model tiny...", "Worker")
    time.sleep(0.3)
    if wrong == "crash when signalled":
        signal.sigwait({signal.SIGUSR1})
    if wrong in ("crash", "crash when signalled"):
        log("WorkerProc failed to start.", "Worker", "ERROR")
        log("ValueError: the weights are of another model", "Worker", "ERROR")
        log("RuntimeError: Engine core initialization failed. See root cause above.", level="ERROR")
        sys.exit(1)
    while wrong == "hang":
        time.sleep(1)
    log("CPU KV cache size: 1,600 tokens, Maximum concurrency for 16 tokens per request: 100.00x")
    Answer.names = (given.served_model_name, *(one.split("=")[0] for one in given.lora_modules))
    if wrong == "no-model":
        Answer.names = ("another",)
    threading.Thread(target=watch, args=(core,), daemon=True).start()
    server = ThreadingHTTPServer((given.host, given.port), Answer)
    log(f"Starting vLLM server on http://{given.host}:{given.port}")
    server.serve_forever()


if __name__ == "__main__":
    main()
