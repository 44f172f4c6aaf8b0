"""Responses with odd framing: read where HTTP defines it, else refused with an error text."""

import pytest

from observatory.wires.streams.http_response import ResponseReader

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"
HELLO = b"5\r\nhello\r\n0\r\n\r\n"


def read(data: bytes, size: int | None = None) -> ResponseReader:
    """All of it at once, or in reads of that size."""
    response = ResponseReader()
    for start in range(0, len(data), size or len(data)):
        if response.feed(data[start : start + (size or len(data))], start + 1):
            break
    return response


@pytest.mark.parametrize("size", [None, 1, 7, 40])
@pytest.mark.parametrize(
    "head",
    [
        b"Content-Length: 0\r\n" + CHUNKED,
        CHUNKED + b"Content-Length: 12\r\n",
        b"Content-Length: 3\r\nContent-Length: 4\r\n" + CHUNKED,
        b"content-length: none\r\nTRANSFER-ENCODING: Chunked\r\n",
        b"Content-Length: 99999999999999999999\r\nTransfer-Encoding: gzip, chunked\r\n",
    ],
)
def test_a_length_beside_chunked_is_passed_over_and_the_connection_closed(
    head: bytes, size: int | None
) -> None:
    response = read(OK + b"X-Before: 1\r\n" + head + b"X-After: 2\r\n\r\n" + HELLO, size)
    assert (response.fault, response.complete, response.keep_alive) == (None, True, False)
    assert b"".join(response.pieces) == b"hello"
    assert response.chunked and response.status == 200
    assert response.header("x-before") == "1" and response.header("x-after") == "2"


@pytest.mark.parametrize("size", [None, 1, 30])
@pytest.mark.parametrize(
    "head",
    [
        b"Content-Length: 5\r\nContent-Length: 5\r\n",
        b"Content-Length: 5, 5\r\n",
        b"Content-Length: 5\r\nDate: now\r\ncontent-length: 05\r\nContent-Length: 5,5\r\n",
    ],
)
def test_equal_lengths_are_one(head: bytes, size: int | None) -> None:
    response = read(OK + head + b"\r\nhello", size)
    assert (response.fault, response.complete, response.keep_alive) == (None, True, True)
    assert b"".join(response.pieces) == b"hello"


@pytest.mark.parametrize("size", [None, 1])
@pytest.mark.parametrize(
    ("head", "words"),
    [
        (
            b"Content-Length: 5\r\nContent-Length: 6",
            "two different lengths: Content-Length 5 and 6",
        ),
        (b"Content-Length: 5, 7", "two different lengths: Content-Length 5 and 7"),
        (b"Content-Length: -5", "Content-Length is no number: '-5'"),
        (b"Content-Length: 5\r\nContent-Length: five", "Content-Length is no number: 'five'"),
        (b"Content-Length: 99999999999999999999", "Content-Length is too large"),
    ],
)
def test_lengths_that_leave_the_end_unknown_are_refused_in_words(
    head: bytes, words: str, size: int | None
) -> None:
    response = read(OK + head + b"\r\n\r\nhello", size)
    assert response.fault is not None and words in response.fault
    assert response.pieces == []


@pytest.mark.parametrize("size", [None, 1])
def test_an_interim_response_before_such_a_head_changes_nothing(size: int | None) -> None:
    response = read(
        b"HTTP/1.1 100 Continue\r\n\r\n"
        + OK
        + b"Content-Length: 9\r\n"
        + CHUNKED
        + b"\r\n"
        + HELLO,
        size,
    )
    assert (response.status, response.fault, b"".join(response.pieces)) == (200, None, b"hello")


@pytest.mark.parametrize("size", [None, 1, 7, 30])
@pytest.mark.parametrize(
    ("head", "value"),
    [
        (b"X-A: one\r\n two\r\nContent-Length: 5\r\n", "one two"),
        (b"X-A: one \r\n\t  two\r\n three\r\nContent-Length: 5\r\n", "one two three"),
        (b"X-A:\r\n one\r\nContent-Length: 5\r\n", "one"),
        (b"X-A: one\r\nContent-Length:\r\n 5\r\n", "one"),
        (b"Content-Length: 5\r\nX-A: one\r\n \r\n", "one"),
        (b"X-A: one\r\n two\r\nContent-Length: 5\r\nContent-Length: 5\r\n", "one two"),
        (b"X-A: one\r\n two\r\n", "one two"),
        (b"X-A: one\r\n two\r\nTransfer-Encoding:\r\n chunked\r\n", "one two"),
    ],
)
def test_a_header_that_goes_on_in_the_next_line_is_one(
    head: bytes, value: str, size: int | None
) -> None:
    """RFC 9112, 5.2: a user agent replaces the fold by a space."""
    response = read(OK + head + b"\r\n" + (HELLO if b"chunked" in head else b"hello"), size)
    assert response.fault is None
    assert response.complete or response.finish()
    assert response.header("x-a") == value
    assert b"".join(response.pieces) == b"hello"


@pytest.mark.parametrize("size", [None, 1, 7, 30])
@pytest.mark.parametrize(
    "head",
    [
        b"HTTP/1.1 200 OK\nX-A: one\nContent-Length: 5\n\n",
        b"HTTP/1.1 200\nContent-Length: 5\nX-A: one\n\n",
        b"HTTP/1.1 200 OK\nX-A: one\nTransfer-Encoding: chunked\n\n",
        b"HTTP/1.1 200 OK\nX-A: one\nContent-Length: 5\nTransfer-Encoding: chunked\n\n",
        b"HTTP/1.1 200 OK\nX-A: one\nContent-Length: 5\nContent-Length: 5\n\n",
        b"HTTP/1.0 200 OK\nX-A: one\n\n",
    ],
)
def test_a_head_whose_lines_end_in_lf_is_read(head: bytes, size: int | None) -> None:
    """RFC 9112, 2.2: a recipient may recognise a single LF as a line terminator."""
    response = read(head + (HELLO if b"chunked" in head else b"hello"), size)
    assert response.fault is None
    assert response.complete or response.finish()
    assert (response.status, response.header("x-a")) == (200, "one")
    assert b"".join(response.pieces) == b"hello"


@pytest.mark.parametrize("size", [None, 1])
@pytest.mark.parametrize(
    "head", [b"HTTP/1.1 200 OK\nX-A: one\r\n", b"HTTP/1.1 200 OK\nX-A: o\rne\n"]
)
def test_a_head_of_two_sorts_of_line_ends_is_refused(head: bytes, size: int | None) -> None:
    response = read(head + b"Content-Length: 5\r\n\r\nhello", size)
    assert response.fault is not None
    assert response.pieces == []


@pytest.mark.parametrize("size", [None, 1])
@pytest.mark.parametrize(
    "head",
    [
        b" X-A: one\r\n",
        b"X-A: o\x00ne\r\n",
        b"X-A : one\r\n",
        b"X-A: o\x00ne\r\n two\r\n",
        b"X-A: a\n b\r\n",
    ],
)
def test_another_bad_header_is_still_refused(head: bytes, size: int | None) -> None:
    response = read(OK + head + b"Content-Length: 5\r\n\r\nhello", size)
    assert response.fault is not None
    assert response.pieces == []


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"\x15\x03\x01\x00\x02\x02\x46", "the server speaks TLS, not plain HTTP"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "no HTTP response: it begins with 'SSH-2.0-OpenSSH_9.2"),
        (b"<html>no</html>", "no HTTP response: it begins with '<html>no</html>'"),
    ],
)
def test_what_is_no_http_is_named(data: bytes, words: str) -> None:
    response = read(data)
    assert response.fault is not None and words in response.fault


def test_nothing_of_a_second_response_is_kept() -> None:
    one = OK + CHUNKED + b"\r\n" + HELLO
    two = read(one + one.replace(b"hello", b"world"))
    assert (two.complete, two.surplus, b"".join(two.pieces)) == (True, True, b"hello")


LAST_CHUNK = OK + CHUNKED + b"\r\n5\r\nhello\r\n0\r\n"


@pytest.mark.parametrize(
    "trailers",
    [
        b"X-A: 1\r\n  2\r\n\r\n",
        b"X-A: 1\r\n\t2\r\nX-B: 3\r\n\r\n",
        b"  2\r\n\r\n",
        b"no colon\r\n\r\n",
        b"X-A : 1\r\n\r\n",
        b"X-A: \x01\r\n\r\n",
        b"X-A: 1\nX-B: 2\n\n",
        b"Content-Length: 5\r\n\r\n",
    ],
)
def test_a_bad_trailer_costs_the_connection_and_not_the_body(trailers: bytes) -> None:
    data = LAST_CHUNK + trailers
    for cut in (len(data), len(LAST_CHUNK), len(LAST_CHUNK) - 2, len(LAST_CHUNK) + 5):
        response = ResponseReader()
        over = response.feed(data[:cut], 1)
        if not over:
            over = response.feed(data[cut:], 2)
        assert (over, response.fault, response.complete) == (True, None, True)
        assert (b"".join(response.pieces), response.keep_alive) == (b"hello", False)


@pytest.mark.parametrize("chunk", [b"xyz\r\n", b"5;a\x01\r\nhello\r\n", b"5 5\r\nhello\r\n"])
def test_a_bad_chunk_is_still_a_fault(chunk: bytes) -> None:
    response = ResponseReader()
    assert response.feed(LAST_CHUNK[:-3] + chunk, 1)
    assert response.fault is not None and not response.complete
