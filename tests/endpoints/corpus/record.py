"""Keep one response of a running server exactly as its bytes came.

Usage: record.py HOST:PORT PATH NAME [JSON]
Example: python tests/endpoints/corpus/record.py 127.0.0.1:8000 /v1/chat/completions vllm-chat '{"stream": true}'
"""

import socket
import sys
from pathlib import Path


def record(address: str, path: str, name: str, body: str | None) -> Path:
    """Send one request, on a connection that closes after the response; write the response to NAME.http."""
    host, _, port = address.rpartition(":")
    text = (body or "").encode()
    head = [
        f"{'POST' if body else 'GET'} {path} HTTP/1.1",
        f"Host: {address}",
        "Content-Type: application/json",
        f"Content-Length: {len(text)}",
        "Connection: close",
    ]
    with socket.create_connection((host, int(port)), timeout=120) as connection:
        connection.sendall("\r\n".join([*head, "", ""]).encode() + text)
        read = b"".join(iter(lambda: connection.recv(65536), b""))
    file = Path(__file__).with_name(f"{name}.http")
    file.write_bytes(read)
    return file


if __name__ == "__main__":
    print(record(*sys.argv[1:4], sys.argv[4] if len(sys.argv) > 4 else None))
