"""A `torch.optim.Optimizer` whose state and arithmetic live on an asktell server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Callable

import numpy as np

from .client import Client, Session, Stream
from .feedback import Encoding
from .models import HvpWant, Observation, Query, Step
from .spaces import TensorSpace

try:
    import torch
except ImportError as error:
    raise ImportError("asktell.torch needs PyTorch: pip install 'asktell[torch]'") from error

_DTYPES = {torch.float32: "f32", torch.float64: "f64", torch.bfloat16: "bf16", torch.float16: "f16"}

Closure = Callable[[], Any]


class RemoteOptimizer(torch.optim.Optimizer):
    """Sends gradients to a session and receives parameters in place.

        optimizer = RemoteOptimizer(model.named_parameters(), method="adam", config={"learningRate": 1e-3})
        for x, y in batches:
            optimizer.zero_grad()
            loss(model(x), y).backward()
            optimizer.step()
        optimizer.close()

    The session starts at the parameters' values, which travel in one message: the server's setting `maxMessageBytes`,
    64 MiB by default, limits their size. They may be f32, f64, bf16 or f16, all in memory of the CPU; the
    session computes in f32, or in f64 if one of them is f64. A parameter without a gradient counts as one with a
    gradient of zeros.

    The learning rate of the parameter groups is the session's `learningRate`: a change of ``param_groups[i]["lr"]``, by
    hand or by a scheduler of torch, is sent ahead of the next step. It must be the same in all groups.

    Methods that ask for several gradients per step ("sam", "extragradient") need ``step(closure)``. Those that ask for
    products with the Hessian need gradients that can be differentiated: ``loss.backward(create_graph=True)``.

    Args:
        params: parameters, (name, parameter) pairs, or dicts of a group as torch knows them.
        method: id of a gradient method.
        config: of the method.
        lr: short for ``config={"learningRate": lr}``.
        encoding: how gradients and parameters travel, or a pair of both: a dtype, their own when None. Or "block-int8",
            "sign" or "top-k": gradients with error feedback, parameters as deltas against a copy of them that is kept
            here. A session that is given must have been created with these.
        session: id for the session, or an existing session of these parameters to go on with.
        session_options: more arguments for `Client.create_session`: durability, seed, labels.
        client, target: which server; see Client.

    Raises:
        ValueError: parameters on a device, of another dtype, or of the same name.
        asktell.InvalidArgument: the server refused the method or its config.
    """

    def __init__(
        self,
        params: Any,
        method: str = "adam",
        config: Mapping[str, Any] | None = None,
        *,
        lr: float | None = None,
        encoding: Encoding = None,
        session: str | Session = "",
        session_options: Mapping[str, Any] | None = None,
        client: Client | None = None,
        target: str | None = None,
    ) -> None:
        settings = dict(config or {})
        if lr is not None:
            settings["learningRate"] = lr
        super().__init__(_grouped(params), {"lr": settings.get("learningRate")})
        self._params = self._by_name()
        self._encoding = encoding
        self._owns_client = client is None and not isinstance(session, Session)
        self._stream: Stream | None = None
        #: Purposes of the queries answered in the step under way, in order.
        self._asked: list[str] = []
        if isinstance(session, Session):
            self._attach(session)
            self._accept(self._send([]))
            self._load()
        else:
            initial = {name: _to_numpy(p) for name, p in self._params.items()}
            dtypes = {name: _DTYPES[p.dtype] for name, p in self._params.items()}
            groups = {name: f"group{i}" for i, group in enumerate(self.param_groups) for name in group["names"]}
            space = TensorSpace(initial, dtypes=dtypes, groups=groups if len(self.param_groups) > 1 else None)
            created = (client or Client(target)).create_session(
                method,
                space,
                config=settings,
                name=session,
                offers=("gradient", "value", "hvp"),
                **{"encodings": encoding, **(session_options or {})},
            )
            self._attach(created)
            # The parameters hold the first point already.
            self._accept(self._send([], omit_tensors=True))
            self._loaded = True

    @property
    def session(self) -> Session:
        return self._session

    @torch.no_grad()
    def step(self, closure: Closure | None = None) -> Any:
        """One step of the optimizer.

        Args:
            closure: zeroes the gradients, computes the loss, calls `backward` and returns the loss. It is called once
                for each query of the session. Without one, the gradients that are there are taken.

        Returns:
            What the first call of the closure returned; None without one.

        Raises:
            RuntimeError: the session asks for another gradient within the step, or for the loss, and there is no
                closure; the parameters are unchanged then, and ``step(closure)`` goes on. Or the session is done. Or it
                asks for products with the Hessian, and the gradients have no graph; or with another matrix.
        """
        self._push_learning_rate()
        first: Any = None
        while True:
            query = self._query
            if query is None:
                raise RuntimeError(f"{self._session.name} is done: {self._session.refresh().status_message}")
            if closure is None and (self._asked or not self._loaded or query.kinds != {"gradient"}):
                raise RuntimeError(
                    f"{self._session.info.method} asks for more than the gradient at the parameters in a step"
                    f" (now for {query.purpose!r}): call step(closure)"
                )
            if not self._loaded:
                self._load()
            value = None
            if closure is not None:
                with torch.enable_grad():
                    loss = closure()
                first = loss if first is None else first
                # Directions have no loss.
                if len(query.points) == 1:
                    value = float(loss.detach() if isinstance(loss, torch.Tensor) else loss)
            products = [w for w in query.wants if isinstance(w, HvpWant)]
            told = Observation(
                query,
                value=value,
                products=self._products(products[0], query.points[1:]) if products else None,
                gradient=self._gradients() if "gradient" in query.kinds else None,
            )
            self._accept(self._send([told]))
            self._asked.append(query.purpose)
            if self._query is None or self._begins(self._query, query.sample_key):
                break
        self._asked.clear()
        self._load()
        return first

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Refused: the tensors of a session are declared when it is created."""
        if hasattr(self, "_session"):
            raise RuntimeError("a session takes no more parameters: make another RemoteOptimizer")
        super().add_param_group(param_group)

    def load_estimate(self) -> None:
        """Puts the session's estimate into the parameters: where a method averages iterates, the average."""
        estimate = self._session.estimate()
        with torch.no_grad():
            self._copy(estimate.point)

    def state_dict(self) -> dict[str, Any]:
        """The session's name and revision, and the parameter groups. The state itself stays on the server."""
        groups = [{k: v for k, v in group.items() if k != "params"} for group in self.param_groups]
        return {
            "session": self._session.name,
            "revision": self._session.refresh().revision,
            "query": self._query.id if self._query else None,
            "param_groups": groups,
        }

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Goes on from a `state_dict`, between steps: with its session, or with a fork if that has moved on since. The
        parameters are set too.

        Raises:
            asktell.NotFound: the session is gone.
            ValueError: its tensors are not those of the parameters.
        """
        session = self._session.client.session(state_dict["session"])
        if session.info.revision != state_dict["revision"]:
            session = session.fork(revision=state_dict["revision"])
        self._attach(session)
        for group, saved in zip(self.param_groups, state_dict["param_groups"]):
            group.update(saved)
        # The query that was open belongs to whoever saved. Given up, it is asked anew, now with its point.
        opened = state_dict["query"]
        self._accept(self._send([Observation(opened, status="cancelled")] if opened else []))
        self._asked.clear()
        self._load()

    def close(self) -> None:
        """Closes the stream, and the client unless it was given. The session stays on the server."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None
        if self._owns_client:
            self._session.client.close()

    def _attach(self, session: Session) -> None:
        if not isinstance(session.space, TensorSpace):
            raise ValueError(f"{session.name} optimizes no tensors")
        expected = {name: tuple(p.shape) for name, p in self._params.items()}
        found = {name: t.shape for name, t in session.space.manifest.items()}
        if expected != found:
            raise ValueError(f"{session.name} has the tensors {found}, expected {expected}")
        if self._stream is not None:
            self._stream.close()
        self._session, self._stream = session, session.stream(self._encoding)
        self._rate = session.info.config.get("learningRate")
        for group in self.param_groups:
            group["lr"] = self._rate if group["lr"] is None else group["lr"]

    def _send(self, told: list[Observation], omit_tensors: bool = False) -> Step:
        if self._stream is None:
            raise RuntimeError("the optimizer is closed")
        return self._stream.step(told, omit_tensors=omit_tensors)

    def _accept(self, step: Step) -> None:
        """Takes the next query, if the session is not done; the parameters do not hold its point yet."""
        if not step.queries and step.state == "running":
            raise RuntimeError(f"{self._session.name} has no query: {step.short.reason if step.short else ''}")
        self._query: Query | None = step.queries[0] if step.queries else None
        self._loaded = False

    def _load(self) -> None:
        """Puts the point of the open query into the parameters; of a session that is done, its estimate."""
        if self._query is None:
            self.load_estimate()
        else:
            self._copy(self._query.points[0])
        self._loaded = True

    @torch.no_grad()
    def _copy(self, point: Mapping[str, Any]) -> None:
        for name, p in self._params.items():
            if p.dtype is torch.bfloat16:
                p.copy_(torch.from_numpy(np.array(point[name])))
            else:
                # Straight from the received bytes, which torch could not hold: they are read-only.
                np.copyto(p.numpy(), point[name], casting="same_kind")
                torch.autograd.graph.increment_version(p)

    def _begins(self, query: Query, last: str) -> bool:
        """Whether a query is of another step: it has the first purpose of this one, or one of its on another sample."""
        return query.purpose == self._asked[0] or (query.purpose in self._asked and query.sample_key != last)

    def _products(self, want: HvpWant, directions: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """The Hessian times each direction, from the gradients that the closure left."""
        if want.curvature != "hessian":
            raise RuntimeError(f"products with the {want.curvature} matrix cannot be computed from a loss alone")
        known = {name: p.grad for name, p in self._params.items() if p.grad is not None and p.grad.requires_grad}
        if not known:
            raise RuntimeError(
                "the session asks for products with the Hessian: call loss.backward(create_graph=True) in the closure"
            )
        products = []
        for direction in directions:
            along = [torch.from_numpy(np.array(direction[name])).to(g.dtype) for name, g in known.items()]
            # A gradient that does not depend on a parameter has a product of zeros.
            found = torch.autograd.grad(
                list(known.values()), list(self._params.values()), along, retain_graph=True, allow_unused=True
            )
            shapes = zip(self._params.items(), found)
            products.append(
                {name: np.zeros(tuple(p.shape), np.float32) if h is None else _to_numpy(h) for (name, p), h in shapes}
            )
        # A gradient and its graph hold each other.
        for p in self._params.values():
            p.grad = None if p.grad is None else p.grad.detach()
        return products

    def _gradients(self) -> dict[str, Any]:
        return {
            name: np.zeros(tuple(p.shape), np.float32) if p.grad is None else _to_numpy(p.grad)
            for name, p in self._params.items()
        }

    def _push_learning_rate(self) -> None:
        rates = {None if group["lr"] is None else float(group["lr"]) for group in self.param_groups}
        if len(rates) > 1:
            raise ValueError(f"expected one learning rate for all parameter groups, got {sorted(rates, key=str)}")
        (rate,) = rates
        if rate is not None and rate != self._rate:
            self._session.update(config={"learningRate": rate})
            self._rate = rate

    def _by_name(self) -> dict[str, torch.Tensor]:
        named: dict[str, torch.Tensor] = {}
        for group in self.param_groups:
            for name, p in zip(group["names"], group["params"]):
                if name in named:
                    raise ValueError(f"two parameters have the name {name!r}")
                if p.device.type != "cpu" or p.dtype not in _DTYPES:
                    raise ValueError(
                        f"{name!r}: expected f32, f64, bf16 or f16 on the CPU, got {p.dtype} on {p.device}"
                    )
                named[name] = p
        return named


def _grouped(params: Any) -> list[dict[str, Any]]:
    """Parameter groups with the names of their parameters under "names"."""
    given = [params] if isinstance(params, torch.Tensor) else list(params)
    groups: Any = given if given and isinstance(given[0], dict) else [{"params": given}]
    named, count = [], 0
    for group in groups:
        items: Any = group["params"]
        items = [items] if isinstance(items, torch.Tensor) else list(items)
        pairs = [item if isinstance(item, tuple) else (f"p{count + i}", item) for i, item in enumerate(items)]
        count += len(items)
        named.append({**group, "params": [p for _, p in pairs], "names": [name for name, _ in pairs]})
    return named


def _to_numpy(tensor: torch.Tensor) -> Any:
    """The tensor's own memory, but for bf16, which numpy has not."""
    tensor = tensor.detach()
    return (tensor.float() if tensor.dtype is torch.bfloat16 else tensor).numpy()
