"""Shared memory: used by itself where the server offers it, and without a copy; done without where it is not there."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import stat
from pathlib import Path

import numpy as np
import pytest

import asktell
from asktell import shared
from asktell._gen import service_pb2

from .conftest import Server

N = 20_000


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    return tmp_path_factory.mktemp("shared")


@pytest.fixture(scope="module")
def sharing(tmp_path_factory, directory):
    server = Server("memory", tmp_path_factory.mktemp("sharing") / "data", "--shared-directory", str(directory))
    yield server
    server.stop()
    assert list(directory.iterdir()) == []


def started(client, **options):
    space = {"w": np.zeros((100, N // 100), np.float32), "b": np.zeros(3000)}
    return client.create_session("adam", space, seed=1, **options)


def gradient(point):
    return {name: array - np.sin(np.arange(array.size)).reshape(array.shape) for name, array in point.items()}


def run(client, streamed, encoding=None, each=lambda i: None):
    """What a few steps come to."""
    session = started(client, encodings=encoding)
    points = []
    with session.stream(encoding) as stream:
        take = stream.step if streamed else session.step
        (query,) = take().queries
        for i in range(6):
            each(i)
            (query,) = take(query, gradient=gradient(query.point)).queries
            points.append({name: array.copy() for name, array in query.point.items()})
    return points, session.refresh().state_hash


@pytest.mark.parametrize(
    ("streamed", "encoding"), [(False, None), (True, None), (True, "bf16"), (True, "block-int8")], ids=str
)
def test_steps_come_to_the_same_with_and_without(sharing, client, streamed, encoding):
    with asktell.Client(sharing.target) as other:
        found, found_hash = run(other, streamed, encoding)
        assert other._core.memory is not None
    assert client._core.memory is None
    expected, expected_hash = run(client, streamed, encoding)
    assert found_hash == expected_hash
    for a, b in zip(found, expected):
        for name in ("w", "b"):
            np.testing.assert_array_equal(a[name], b[name])


def test_arrays_lie_in_the_memory_and_keep_their_values(sharing):
    with asktell.Client(sharing.target) as client:
        session = started(client)
        kept, copies = [], []
        with session.stream() as stream:
            (query,) = stream.step().queries
            for _ in range(12):
                (query,) = stream.step(query, gradient=gradient(query.point)).queries
                kept.append(query.point)
                copies.append({name: array.copy() for name, array in query.point.items()})
        memory = client._core.memory
        lies = [np.shares_memory(point["w"], memory.bytes) for point in kept]
        # As many as there are slots but the one to tell in; the others came with their messages.
        assert sum(lies) >= 2 and not all(lies)
        for point, copy in zip(kept, copies):
            assert not point["w"].flags.writeable
            for name, array in point.items():
                np.testing.assert_array_equal(array, copy[name])
        slots = len(memory._free) + sum(lies)
        del point, array, query
        kept.clear()
        gc.collect()
        assert len(memory._free) == slots == len(set(memory._free))


def test_what_the_server_no_longer_has_is_sent_again(sharing, client):
    for streamed in (False, True):
        with asktell.Client(sharing.target) as other:

            def lose(i, other=other):
                if i == 3:
                    other._core.memory.name = "f" * 32

            found = run(other, streamed, each=lose)
            assert other._core.memory.name != "f" * 32
        assert found[1] == run(client, streamed)[1]


def test_a_restart_in_the_middle(tmp_path):
    server = Server("lmdb", tmp_path / "data", "--shared-directory", str(tmp_path))
    try:
        with asktell.Client(server.target) as client:

            def restart(i):
                if i == 3:
                    server.restart(signal.SIGKILL)

            _, found = run(client, True, each=restart)
            assert client._core.memory is not None
            _, expected = run(client, True)
            assert found == expected
        # The name of a file is gone when it is in use: one that is killed leaves none.
        assert [p for p in tmp_path.iterdir() if p.name.startswith("asktell-")] == []
    finally:
        server.stop()


def test_a_directory_out_of_reach_is_done_without(sharing, client, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 4321)
    with asktell.Client(sharing.target) as other:
        assert run(other, True)[1] == run(client, True)[1]
        assert other._core.memory is None and not other._core.shares


def test_the_asyncio_client_shares_too(sharing):
    async def go():
        async with asktell.AsyncClient(sharing.target) as client:
            session = await started(client)
            async with session.stream() as stream:
                step = await stream.step()
                for _ in range(3):
                    (query,) = step.queries
                    step = await stream.step(query, gradient=gradient(query.point))
            assert np.shares_memory(step.queries[0].point["w"], client._core.memory.bytes)
            np.testing.assert_array_equal(step.queries[0].point["w"], (await session.estimate()).point["w"])

    asyncio.run(go())


def test_only_a_file_that_was_made_for_it_is_written_to(tmp_path):
    name = "a" * 32
    path = tmp_path / f"asktell-{name}"

    def open_it(**changes):
        fields = {"memory": name, "path": str(path), "slot_bytes": 4032, "slots": 1} | changes
        return shared.SharedMemory(service_pb2.SharedMemory(**fields))

    with pytest.raises(FileNotFoundError):
        open_it()
    with pytest.raises(ValueError, match="expected a file"):
        open_it(path="/etc/passwd")
    with pytest.raises(ValueError, match="expected a file"):
        open_it(memory="../x", path=str(tmp_path / "asktell-../x"))
    path.write_bytes(b"b" * 8192)
    path.chmod(stat.S_IRUSR | stat.S_IWUSR)
    with pytest.raises(ValueError, match="does not begin with its name"):
        open_it()
    with pytest.raises(ValueError, match="is not a file of"):
        open_it(slots=2)
    path.write_bytes(name.encode() + bytes(8192 - 32))
    open_it()
    path.chmod(0o640)
    with pytest.raises(ValueError, match="is not a file of"):
        open_it()
    other = "c" * 32
    (tmp_path / f"asktell-{other}").symlink_to(path)
    with pytest.raises(OSError):
        open_it(memory=other, path=str(tmp_path / f"asktell-{other}"))
    assert Path(path).read_bytes() == name.encode() + bytes(8192 - 32)
