"""The intake of load.c through grpcio, the client of most users: its core in C++ has flow control of its own.

Answers lines on stdin: "port path session elements" with the seconds from the first chunk to the answer after the last.
"""
import queue
import sys
import time
import uuid

import grpc

MIB = 1 << 20
CANCELLED = 5


def varint(n):
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    out.append(n)
    return bytes(out)


def field(number, value):
    if isinstance(value, int):
        return varint(number << 3) + varint(value % (1 << 64))
    value = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(value)) + value


def find(message, number):
    """The first occurrence of a length-delimited field; empty when there is none."""
    at = 0

    def read():
        nonlocal at
        n = shift = 0
        while True:
            byte = message[at]
            at += 1
            n |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return n

    while at < len(message):
        tag = read()
        size = 0
        if tag & 7 == 0:
            read()
        else:
            size = {1: 8, 5: 4}.get(tag & 7) or read()
        if tag >> 3 == number and tag & 7 == 2:
            return message[at : at + size]
        at += size
    return b""


def step(session, observation=b"", count=1):
    """OptimizeRequest with a StepRequest: no tensors in the answer."""
    told = field(2, observation) if observation else b""
    return field(1, field(1, session) + told + field(3, count) + field(4, str(uuid.uuid4())) + field(6, 1))


def chunks(query, elements):
    data = bytes(MIB)
    for at in range(0, 4 * elements, MIB):
        tensor = field(1, "w") + field(4, at // 4) + field(3, data[: min(MIB, 4 * elements - at)])
        yield field(2, field(1, query) + field(3, tensor))


def intake(port, path, session, elements):
    with grpc.insecure_channel(f"127.0.0.1:{port}", [("grpc.max_receive_message_length", -1)]) as channel:
        requests = queue.SimpleQueue()
        answers = channel.stream_stream(path)(iter(requests.get, None))
        requests.put(step(session))
        query = find(find(next(answers), 2), 1)
        messages = list(chunks(query, elements))
        begun = time.perf_counter()
        for message in messages:
            requests.put(message)
        requests.put(step(session, field(1, query) + field(2, CANCELLED), -1))
        next(answers)
        seconds = time.perf_counter() - begun
        requests.put(None)
        return seconds


print(f'{{"grpcio": "{grpc.__version__}"}}', flush=True)
for line in sys.stdin:
    port, path, session, elements = line.split()
    print(intake(int(port), path, session, int(elements)), flush=True)
