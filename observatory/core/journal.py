"""The journal's bytes: frames that can be cut anywhere and read up to the last whole one.

Pure: bytes in, bytes out. A frame is a little-endian length and CRC-32 of the payload, four bytes
each, then the payload: msgpack of a JournalEntry, or of a Sample in a samples journal. A length of
zero is no frame: a power loss can leave zeros at a file's end, and zeros would check out.
"""

import struct
import zlib
from collections.abc import Iterator

import msgspec

from observatory.core.record import JournalEntry
from observatory.core.sample import Sample

_HEAD = struct.Struct("<II")
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(JournalEntry)
_sample_decoder = msgspec.msgpack.Decoder(Sample)


def encode_entry(entry: JournalEntry | Sample) -> bytes:
    """Return one entry, or one sample, as a frame."""
    payload = _encoder.encode(entry)
    return _HEAD.pack(len(payload), zlib.crc32(payload)) + payload


def decode_entries(data: bytes) -> Iterator[JournalEntry]:
    """Return every whole entry from the start of a journal's bytes; ends at the first cut or torn frame."""
    return map(_decoder.decode, _payloads(data))


def decode_samples(data: bytes) -> Iterator[Sample]:
    """Return every whole sample from the start of a samples journal's bytes, as decode_entries."""
    return map(_sample_decoder.decode, _payloads(data))


def _payloads(data: bytes) -> Iterator[bytes]:
    at = 0
    while at + _HEAD.size <= len(data):
        length, checksum = _HEAD.unpack_from(data, at)
        payload = data[at + _HEAD.size : at + _HEAD.size + length]
        if not length or len(payload) < length or zlib.crc32(payload) != checksum:
            return
        yield payload
        at += _HEAD.size + length


def intact_length(data: bytes) -> int:
    """Return how many leading bytes of a journal belong to whole frames."""
    at = 0
    while at + _HEAD.size <= len(data):
        length, checksum = _HEAD.unpack_from(data, at)
        end = at + _HEAD.size + length
        if not length or end > len(data) or zlib.crc32(data[at + _HEAD.size : end]) != checksum:
            return at
        at = end
    return at
