"""What a lost connection, a lost answer or a killed server does to a client: nothing but a delay."""

from __future__ import annotations

import signal
import threading
import time

import grpc
import numpy as np
import pytest

import asktell
from asktell import Float, Retry
from asktell._core import Backoff
from asktell.errors import from_rpc

from .conftest import wait_until

SPACE = {"x": Float(0, 1)}


def test_a_lost_answer_is_fetched_by_the_same_request(server, proxy):
    with asktell.Client(proxy.target, timeout=1.0) as client:
        session = client.create_session("random", SPACE, seed=0)
        query = session.ask().queries[0]
        proxy.deaf.set()
        answers = []
        thread = threading.Thread(target=lambda: answers.append(session.tell(query, 0.5)))
        thread.start()
        # The server takes the tell, and its answer never arrives.
        with asktell.Client(server.target) as direct:
            wait_until(lambda: direct.session(session.name).info.counts["told"] == 1)
        proxy.drop()
        proxy.deaf.clear()
        thread.join(20)
        assert answers[0].repeated
        assert session.refresh().counts["told"] == 1


def test_connections_that_drop_all_the_time(proxy):
    with asktell.Client(proxy.target) as client:
        session = client.create_session("random", SPACE, seed=0)
        done = threading.Event()

        def cut():
            while not done.wait(0.05):
                proxy.drop()

        cutter = threading.Thread(target=cut)
        cutter.start()
        try:
            for _ in range(100):
                session.step([asktell.Observation(q, q.params["x"]) for q in session.ask()], count=0)
        finally:
            done.set()
            cutter.join()
        assert session.refresh().counts == {"asked": 100, "told": 100, "open": 0, "failed": 0, "pruned": 0}


def test_a_stream_goes_on_after_dropped_connections(proxy):
    with asktell.Client(proxy.target) as client:
        session = client.create_session("sgd", np.ones(400_000, np.float32), config={"learningRate": 0.1})
        with session.stream() as stream:
            step = stream.step()
            for t in range(12):
                if t % 3 == 1:
                    proxy.drop()
                (query,) = step.queries
                step = stream.step(query, gradient=query.point["x"])
        assert session.refresh().counts["told"] == 12
        np.testing.assert_allclose(session.estimate().point["x"], np.float32(0.9) ** 12, rtol=1e-5)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_restarted_server_goes_on(durable, how):
    with asktell.Client(durable.target) as client:
        session = client.create_session("random", SPACE, seed=0)
        query = session.ask().queries[0]
        told = session.tell(query, 0.5, request_id="tell-1")
        durable.restart(how)
        repeat = session.tell(query, 0.5, request_id="tell-1")
        assert repeat.repeated and repeat.revision == told.revision
        assert session.refresh().counts["told"] == 1


def test_calls_wait_for_a_server_that_is_away(durable):
    with asktell.Client(durable.target) as client:
        session = client.create_session("adam", np.ones(4), config={"learningRate": 0.1})
        with session.stream() as stream:
            (query,) = stream.step().queries
            events = session.watch(after_revision=0)
            assert next(events).type == "created"
            durable.stop(signal.SIGKILL)
            back = threading.Timer(1.0, durable.start)
            back.start()
            step = stream.step(query, gradient=query.point["x"])
            back.join()
            (query,) = step.queries
            np.testing.assert_allclose(query.point["x"], 0.9, rtol=1e-6)
            assert [next(events).type for _ in range(2)] == ["asked", "told"]


def test_a_wrong_address_shows_soon():
    with asktell.Client("127.0.0.1:1", retry=Retry(connect_limit=0.3)) as client:
        start = time.monotonic()
        with pytest.raises(asktell.Unavailable, match=r"is there a server at 127\.0\.0\.1:1\?"):
            client.session("x")
        assert time.monotonic() - start < 10


class Failure(grpc.RpcError):
    def __init__(self, code):
        self.code = lambda: code
        self.details = lambda: "why"
        self.trailing_metadata = lambda: None


def test_only_what_may_pass_is_sent_again():
    backoff = Backoff(Retry(limit=100, first=0.1, longest=0.4), connected=True)
    waits = [backoff.after(Failure(grpc.StatusCode.UNAVAILABLE)) for _ in range(5)]
    for wait, most in zip(waits, [0.1, 0.2, 0.4, 0.4, 0.4]):
        assert most / 2 <= wait <= most
    for code in set(grpc.StatusCode) - {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED}:
        with pytest.raises(asktell.AsktellError):
            backoff.after(Failure(code))
    with pytest.raises(asktell.Unavailable):
        Backoff(Retry(limit=0), connected=True).after(Failure(grpc.StatusCode.UNAVAILABLE))


def test_an_error_without_details_has_the_code_as_reason():
    error = from_rpc(Failure(grpc.StatusCode.NOT_FOUND))
    assert isinstance(error, asktell.NotFound)
    assert (error.reason, error.message, error.issues, error.retry_after) == ("NOT_FOUND", "why", (), None)
