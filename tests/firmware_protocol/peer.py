"""A program for `frame-validator vectors --check`: the Python codec, or one that errs in the way its argument names."""

from __future__ import annotations

import os
import sys
import time
from typing import Any

from firmware_protocol import Type, seal
from firmware_protocol.exchange import found_in, line_of
from firmware_protocol.layout import PACKETS


def main(way: str) -> int:
    source, target = sys.stdin.buffer, sys.stdout.buffer
    while len(prefix := source.read(4)) == 4:
        request = source.read(int.from_bytes(prefix, "little"))
        if way == "crashes" or (way == "crashes-on-log" and b"supply low" in text_of(request)):
            return 3
        if way == "prints":
            print("hello", flush=True)
        if way == "silent":
            time.sleep(60)
        if way == "closes":
            os.close(1)
            time.sleep(60)
        answer = decoded(request[1:], way) if request[:1] == b"D" else encoded(request[1:].decode(), way)
        target.write(len(answer).to_bytes(4, "little") + answer[: -1 if way == "half" else None])
        target.flush()
    return 0


def text_of(request: bytes) -> bytes:
    """The bytes of a request, hexadecimal payload undone."""
    if request[:1] == b"D":
        return request
    payload = request.decode().rpartition("payload=")[2]
    return bytes.fromhex(payload) if "payload=" in request.decode() else b""


def decoded(wire: bytes, way: str) -> bytes:
    found = found_in(wire)
    if way == "swapped":
        for fields in found:
            if "sample_index" in fields:
                fields["sample_index"] = int.from_bytes(fields["sample_index"].to_bytes(8, "little")[:4])
    if way == "misses":
        found = [fields for fields in found if fields.get("fault") != "missing-delimiter"]
    if way == "bytes":
        return b"\xff\xfe"
    return "".join(line_of(fields) + "\n" for fields in found).encode()


def encoded(line: str, way: str) -> bytes:
    name, *words = line.split(" ")
    values: dict[str, Any] = dict(word.split("=") for word in words)
    payload = bytes.fromhex(values.pop("payload", ""))
    if way == "refuses":
        return b""
    if way == "payload":
        payload = payload[::-1]
    if name == "UNKNOWN":
        head = bytes([0x10 | int(values["number"]), int(values["flags"])]) + int(values["link_seq"]).to_bytes(
            2, "little"
        )
        return seal(head + payload)
    layout = PACKETS[Type[name]]
    fields = [f for f in layout.fields[1:] if not f.code.endswith("x")]
    numbers = [bytes.fromhex(values[f.name]) if f.code.endswith("s") else int(values[f.name]) for f in fields]
    packet = layout.struct.pack(0x10 | layout.type, *numbers) + payload
    if way == "big-endian-crc":
        from firmware_protocol.cobs import cobs_encode
        from firmware_protocol.crc import crc32c

        return cobs_encode(packet + crc32c(packet).to_bytes(4, "big")) + b"\x00"
    return seal(packet)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
