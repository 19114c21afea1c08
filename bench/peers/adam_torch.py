"""torch.optim.Adam for the kernel row. Arguments: fused or foreach, the number of threads, and the device (cpu if not given).

Answers lines on stdin: "alloc n" | "run k" (k steps) | "check input output n steps", each with seconds.
"""
import sys
import time

import numpy as np
import torch

mode, threads = sys.argv[1], int(sys.argv[2])
device = sys.argv[3] if len(sys.argv) > 3 else "cpu"
torch.set_num_threads(threads)
optimizer = x = None


def allocate(n):
    global optimizer, x
    optimizer = x = None
    x = torch.zeros(n, requires_grad=True, device=device)
    x.grad = 1e-3 * ((torch.arange(n, device=device) % 2003) - 1001).float()
    optimizer = torch.optim.Adam([x], lr=1e-3, fused=mode == "fused", foreach=mode == "foreach")
    optimizer.step()  # makes its state


def check(source, target, n, steps):
    global optimizer, x
    data = np.fromfile(source, dtype="<f4").reshape(steps + 1, n)
    x = torch.tensor(data[0], requires_grad=True)
    optimizer = torch.optim.Adam([x], lr=1e-3, fused=mode == "fused", foreach=mode == "foreach")
    for gradient in data[1:]:
        x.grad = torch.from_numpy(gradient)
        optimizer.step()
    x.detach().numpy().tofile(target)


print(f'{{"torch": "{torch.__version__.split("+")[0]}"}}', flush=True)
for line in sys.stdin:
    command, *rest = line.split()
    begun = time.perf_counter()
    if command == "alloc":
        allocate(int(rest[0]))
    elif command == "run":
        for _ in range(int(rest[0])):
            optimizer.step()
        if device != "cpu":
            torch.cuda.synchronize()
    else:
        check(rest[0], rest[1], int(rest[2]), int(rest[3]))
    print(time.perf_counter() - begun, flush=True)
