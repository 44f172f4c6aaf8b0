"""Runs the transport alone, in a child process under gevent as Locust patches it.

`python -m tests.load.asking CASES` reads a list of Case (JSON) and prints a list of lists of Told.
"""

import os
import socket
import sys
from pathlib import Path
from typing import Any

import msgspec

from observatory.core.connection import Connection
from observatory.core.record import Attempt
from tests import forked


class Case(msgspec.Struct):
    """These texts, one after another, by one user; stall_s: the loop is blocked for so long while it waits.

    body: more fields of each request. give_up_s: each is given up after that time. ports: the name that is
    connected to has so many addresses, all on this host.
    """

    connection: Connection
    texts: list[str]
    stall_s: float = 0.0
    body: dict[str, Any] = {}
    stream: bool = True
    give_up_s: float | None = None
    ports: list[int] = []


class RequestOutcome(msgspec.Struct):
    """What came of one request."""

    attempt: Attempt
    text: str
    sent_unix_ns: int


def ask(
    folder: Path, cases: list[Case], environment: dict[str, str] | None = None
) -> list[list[RequestOutcome]]:
    """All cases at once, each with a connection of its own, in a child process."""
    path = folder / "cases.json"
    path.write_bytes(msgspec.json.encode(cases))
    words = ["tests.load.asking", str(path)]
    child = forked.start(forked.LOAD, words, forked.ROOT, environment or os.environ)
    out, err = child.communicate(timeout=60)
    assert child.returncode == 0, err
    return msgspec.json.decode(out, type=list[list[RequestOutcome]])


def main() -> None:
    """The child."""
    from gevent import monkey

    monkey.patch_all()
    import gevent
    import gevent.socket

    from observatory.core.clock import new_anchor
    from observatory.core.plan import PlanItem
    from observatory.load.connections.endpoint import make_endpoint
    from observatory.load.connections.sdk_transport import SdkTransport, SdkTransportFactory
    from observatory.load.connections.tails import Tails
    from observatory.load.connections.transport import Transport
    from observatory.load.connections.watchdog import Watchdog
    from observatory.load.reading import kernel_stamps
    from observatory.load.reading.ring import open_ring
    from observatory.wires.http_attempt import Fault, HttpAttempt
    from observatory.wires.requests_body import render
    from observatory.wires.wire import decode

    anchor = new_anchor()
    holder = kernel_stamps.prime()
    gevent.sleep(2 * kernel_stamps.PRIMING_S)

    def addresses_of(case: Case) -> Any:
        info = [(socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", p)) for p in case.ports]
        return lambda *_, **__: info

    cases = msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=list[Case])
    ring = open_ring(len(cases))
    for case in cases:
        if case.ports:
            gevent.socket.getaddrinfo = socket.getaddrinfo = addresses_of(case)

    def run(case: Case) -> list[RequestOutcome]:
        endpoint = make_endpoint(case.connection, anchor, request="chat", stream=case.stream)
        watchdog = Watchdog(case.connection)
        transport: Any = Transport(endpoint, watchdog, Tails(case.connection.wire), ring)
        if case.connection.transport == "sdk":
            transport = SdkTransport(endpoint, watchdog, SdkTransportFactory(endpoint, "chat"))
        reports = []
        for text in case.texts:
            http_attempt = HttpAttempt(streaming=case.stream)
            messages = [{"role": "user", "content": text}]
            requested = {"messages": messages, "model": "m", "stream": case.stream, **case.body}
            body, wire = msgspec.json.encode(requested), case.connection.wire
            if wire != "openai":
                item = PlanItem("p", "", {"messages": messages}, 32, 1)
                body, _ = render(
                    item, case.connection, request="chat", stream=case.stream, cache="natural"
                )
            if case.stall_s:
                gevent.spawn_later(0.1, monkey.get_original("time", "sleep"), case.stall_s)
            if case.give_up_s is not None:
                fault = Fault("stream", "timeout", "given up", "timeout")
                gevent.spawn_later(case.give_up_s, transport.give_up, fault)
            transport.send([body], http_attempt)
            answer = decode(
                http_attempt, anchor_unix_ns=anchor.realtime_ns, masker=endpoint.masker, wire=wire
            )
            sent = (answer.attempt.sent or 0) + anchor.realtime_ns
            reports.append(RequestOutcome(answer.attempt, answer.text, sent))
        transport.close()
        return reports

    tasks = [gevent.spawn(run, case) for case in cases]
    gevent.joinall(tasks, raise_error=True)
    sys.stdout.buffer.write(msgspec.json.encode([task.value for task in tasks]))
    holder.close()


if __name__ == "__main__":
    main()
