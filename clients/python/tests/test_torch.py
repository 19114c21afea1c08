"""RemoteOptimizer beside the optimizers of torch."""

from __future__ import annotations

import copy
import warnings

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'asktell[torch]'")

from asktell import AsktellError, FailedPrecondition  # noqa: E402
from asktell.torch import RemoteOptimizer  # noqa: E402


@pytest.fixture(autouse=True)
def no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def spiral():
    rng = np.random.default_rng(0)
    t = np.repeat(np.linspace(0.2, 3, 32), 2)
    sign = np.tile([1.0, -1.0], 32)
    x = np.stack([sign * np.cos(2 * t) * t, sign * np.sin(2 * t) * t], 1) + 0.05 * rng.normal(size=(64, 2))
    return torch.tensor(x, dtype=torch.float32), torch.tensor(sign > 0, dtype=torch.long)


def network(dtype=torch.float32):
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(2, 16), torch.nn.Tanh(), torch.nn.Linear(16, 2)).to(dtype)


def train(model, optimizer, steps, scheduler=None, closure=False):
    x, y = spiral()
    x = x.to(next(model.parameters()).dtype)
    losses = []
    for _ in range(steps):

        def evaluate():
            optimizer.zero_grad()
            loss = torch.nn.functional.cross_entropy(model(x).float(), y)
            loss.backward()
            return loss

        if closure:
            losses.append(optimizer.step(evaluate).item())
        else:
            losses.append(evaluate().item())
            optimizer.step()
        if scheduler:
            scheduler.step()
    return losses


def test_adam_trains_to_the_losses_of_torch(client):
    model, twin = network(), network()
    optimizer = RemoteOptimizer(model.named_parameters(), method="adam", lr=0.02, client=client)
    losses = train(model, optimizer, 50)
    expected = train(twin, torch.optim.Adam(twin.parameters(), lr=0.02), 50)
    assert expected[-1] < 0.7 * expected[0]
    np.testing.assert_allclose(losses, expected, atol=1e-5, rtol=0)
    assert optimizer.session.refresh().counts["told"] == 50
    assert set(optimizer.session.space.manifest) == {name for name, _ in model.named_parameters()}
    optimizer.close()


def test_a_closure_changes_nothing_for_methods_of_one_gradient(client):
    model, twin = network(), network()
    with_closure = train(model, RemoteOptimizer(model.parameters(), lr=0.02, client=client), 10, closure=True)
    without = train(twin, RemoteOptimizer(twin.parameters(), lr=0.02, client=client), 10)
    assert with_closure == without


def test_a_scheduler_of_torch_sets_the_rate_of_the_session(client):
    model, twin = network(), network()
    optimizer = RemoteOptimizer(model.parameters(), "sgd", lr=0.5, client=client)
    reference = torch.optim.SGD(twin.parameters(), lr=0.5)
    losses = train(model, optimizer, 20, torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.8))
    expected = train(twin, reference, 20, torch.optim.lr_scheduler.ExponentialLR(reference, 0.8))
    np.testing.assert_allclose(losses, expected, atol=1e-5, rtol=0)
    assert optimizer.session.refresh().config["learningRate"] == pytest.approx(0.5 * 0.8**19)


def test_default_rate_comes_from_the_server(client):
    optimizer = RemoteOptimizer(network().parameters(), "adam", client=client)
    assert optimizer.param_groups[0]["lr"] == optimizer.session.info.config["learningRate"] == 1e-3


def sam_reference(model, steps, lr, rho):
    """Two gradients a step, written out: up to the worst point near by, and down from there."""
    x, y = spiral()
    losses = []
    for _ in range(steps):
        params = list(model.parameters())
        loss = torch.nn.functional.cross_entropy(model(x), y)
        losses.append(loss.item())
        up = torch.autograd.grad(loss, params)
        norm = torch.sqrt(sum((g**2).sum() for g in up))
        at = [p.detach().clone() for p in params]
        with torch.no_grad():
            for p, g in zip(params, up):
                p += rho * g / norm
        down = torch.autograd.grad(torch.nn.functional.cross_entropy(model(x), y), params)
        with torch.no_grad():
            for p, g, x0 in zip(params, down, at):
                p.copy_(x0 - lr * g)
    return losses


def test_sam_asks_twice_through_a_closure(client):
    config = {"learningRate": 0.5, "driver": {"id": "sam", "rho": 0.1}}
    model, twin = network(), network()
    optimizer = RemoteOptimizer(model.parameters(), "sgd", config, client=client)
    losses = train(model, optimizer, 20, closure=True)
    np.testing.assert_allclose(losses, sam_reference(twin, 20, 0.5, 0.1), atol=1e-4, rtol=0)
    assert optimizer.session.refresh().counts["told"] == 40
    for mine, other in zip(model.parameters(), twin.parameters()):
        torch.testing.assert_close(mine, other, atol=1e-4, rtol=0)


def test_without_a_closure_the_second_gradient_is_refused_and_nothing_moves(client):
    config = {"learningRate": 0.5, "driver": {"id": "sam", "rho": 0.1}}
    model, twin = network(), network()
    optimizer = RemoteOptimizer(model.parameters(), "sgd", config, client=client)
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(RuntimeError, match=r"call step\(closure\)"):
        train(model, optimizer, 1)
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name])
    # The step under way is finished by the closure.
    train(model, optimizer, 5, closure=True)
    sam_reference(twin, 5, 0.5, 0.1)
    for mine, other in zip(model.parameters(), twin.parameters()):
        torch.testing.assert_close(mine, other, atol=1e-4, rtol=0)


@pytest.mark.parametrize("moved_on", [False, True])
def test_state_dict_resumes(client, tmp_path, moved_on):
    model = network()
    optimizer = RemoteOptimizer(model.parameters(), lr=0.02, client=client)
    train(model, optimizer, 10)
    torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, tmp_path / "saved.pt")
    expected = None
    if moved_on:
        expected = train(model, optimizer, 10)
    else:
        twin = network()
        expected = train(twin, torch.optim.Adam(twin.parameters(), lr=0.02), 20)[10:]
    saved = torch.load(tmp_path / "saved.pt")
    fresh = network()
    other = RemoteOptimizer(fresh.parameters(), lr=0.02, client=client)
    other.load_state_dict(saved["optimizer"])
    for name, value in fresh.state_dict().items():
        assert torch.equal(value, saved["model"][name])
    assert (other.session.name == optimizer.session.name) is not moved_on
    np.testing.assert_allclose(train(fresh, other, 10), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_other_dtypes(client, dtype):
    model = network(dtype)
    optimizer = RemoteOptimizer(model.parameters(), lr=0.05, client=client)
    losses = train(model, optimizer, 40)
    assert losses[-1] < 0.85 * losses[0]
    for p, value in zip(model.parameters(), optimizer.session.estimate().point.values()):
        torch.testing.assert_close(p.detach().double(), torch.tensor(value, dtype=torch.float64), atol=0, rtol=0)


def test_parameters_may_travel_as_bf16(client):
    model = network()
    losses = train(model, RemoteOptimizer(model.parameters(), lr=0.05, encoding="bf16", client=client), 40)
    assert losses[-1] < 0.8 * losses[0]


def test_groups_have_names_and_one_rate(client):
    model = network()
    groups = [{"params": model[0].parameters()}, {"params": list(model[2].named_parameters())}]
    optimizer = RemoteOptimizer(groups, lr=0.01, client=client)
    manifest = optimizer.session.space.manifest
    assert {name: t.group for name, t in manifest.items()} == {
        "p0": "group0",
        "p1": "group0",
        "weight": "group1",
        "bias": "group1",
    }
    optimizer.param_groups[1]["lr"] = 0.1
    with pytest.raises(ValueError, match="one learning rate"):
        train(model, optimizer, 1)


@pytest.mark.parametrize(("variant", "gradients"), [("eg", 20), ("peg", 11), ("rg", 10)])
def test_a_step_takes_as_many_gradients_as_its_driver(client, variant, gradients):
    config = {"learningRate": 0.2, "driver": {"id": "extragradient", "variant": variant}}
    p = torch.nn.Parameter(torch.ones(3))
    optimizer = RemoteOptimizer([p], "sgd", config, client=client)

    def evaluate():
        optimizer.zero_grad()
        loss = (p**2).sum()
        loss.backward()
        return loss

    for _ in range(10):
        optimizer.step(evaluate)
    assert optimizer.session.refresh().counts["told"] == gradients
    assert optimizer.session.estimate().step == 10
    optimizer.load_estimate()
    assert 0 < p.detach().abs().max() < 0.2
    with pytest.raises(RuntimeError, match="no more parameters"):
        optimizer.add_param_group({"params": [torch.zeros(1)]})


def test_what_cannot_be_optimized_is_refused(client):
    with pytest.raises(ValueError, match="expected f32, f64, bf16 or f16 on the CPU"):
        RemoteOptimizer([torch.zeros(2, device="meta")], client=client)
    with pytest.raises(ValueError, match="two parameters have the name 'w'"):
        RemoteOptimizer([("w", torch.zeros(2)), ("w", torch.zeros(3))], client=client)
    with pytest.raises(AsktellError):
        RemoteOptimizer([torch.zeros(2)], method="tpe", client=client)
    optimizer = RemoteOptimizer([torch.zeros(2, requires_grad=True)], "dog", client=client)
    optimizer.close()
    with pytest.raises(RuntimeError, match="closed"):
        optimizer.step()


def test_a_session_that_is_done_says_so(client):
    p = torch.ones(2, requires_grad=True)
    optimizer = RemoteOptimizer([p], "sgd", lr=0.5, client=client, session_options={"budget": 2})
    for _ in range(2):
        p.grad = torch.ones(2)
        optimizer.step()
    assert torch.equal(p.detach(), torch.zeros(2))
    with pytest.raises((RuntimeError, FailedPrecondition), match="done"):
        optimizer.step()


def flat(x):
    """A convex function of three numbers."""
    return torch.log1p(torch.exp(x[0] + x[1] + 2 * x[2])) + (x[:2] ** 2).sum() + (x[0] - x[2]) ** 2


def convex():
    """The same of two tensors, and these."""
    a = torch.tensor([1.0, -2.0], dtype=torch.float64, requires_grad=True)
    b = torch.tensor([3.0], dtype=torch.float64, requires_grad=True)
    return [("a", a), ("b", b)], lambda: flat(torch.cat([a, b]))


def differentiable(optimizer, params, loss):
    """A closure whose gradients keep their graph, as ``backward(create_graph=True)`` leaves them."""

    def closure():
        optimizer.zero_grad()
        value = loss()
        tensors = [p for _, p in params]
        for p, g in zip(tensors, torch.autograd.grad(value, tensors, create_graph=True)):
            p.grad = g
        return value

    return closure


@pytest.mark.parametrize("hessian", ["products", "cg"])
def test_products_with_the_hessian_come_from_the_graph(client, hessian):
    params, loss = convex()
    config = {"M": 1e-30, "hessian": hessian}
    optimizer = RemoteOptimizer(params, method="root-newton", config=config, client=client)
    closure = differentiable(optimizer, params, loss)
    x = torch.cat([p.detach() for _, p in params])
    for _ in range(6):
        # One step of the optimizer is one of Newton, however many queries it takes.
        x = x - torch.linalg.solve(
            torch.autograd.functional.hessian(flat, x), torch.autograd.functional.jacobian(flat, x)
        )
        optimizer.step(closure)
        torch.testing.assert_close(torch.cat([p.detach() for _, p in params]), x, rtol=1e-7, atol=1e-9)
    optimizer.close()


def test_products_need_a_graph_and_a_closure(client):
    params, loss = convex()
    optimizer = RemoteOptimizer(params, method="root-newton", config={"hessian": "products"}, client=client)

    def closure():
        optimizer.zero_grad()
        value = loss()
        value.backward()
        return value

    with pytest.raises(RuntimeError, match="create_graph=True"):
        optimizer.step(closure)
    with pytest.raises(RuntimeError, match="curvature"):
        optimizer.step()
    optimizer.step(differentiable(optimizer, params, loss))
    optimizer.close()
