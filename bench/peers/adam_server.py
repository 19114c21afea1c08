"""A remote Adam as one would write it in Python: grpcio with torch's fused Adam behind it.

One stream per session: the gradient's bytes up, the parameters' bytes down. No protobuf, no copy that can be spared,
nothing stored. Argument: threads of torch. The number of elements is that of the first gradient.
"""
import sys
from concurrent import futures

import grpc
import torch

torch.set_num_threads(int(sys.argv[1]))


def optimize(requests, context):
    x = optimizer = None
    for request in requests:
        gradient = torch.frombuffer(request, dtype=torch.float32)
        if x is None:
            x = torch.zeros(gradient.numel(), requires_grad=True)
            optimizer = torch.optim.Adam([x], lr=1e-3, fused=True)
            view = x.detach().numpy()
        x.grad = gradient
        optimizer.step()
        yield view.tobytes()


handlers = grpc.method_handlers_generic_handler("peer.Adam", {"Optimize": grpc.stream_stream_rpc_method_handler(optimize)})
limits = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
server = grpc.server(futures.ThreadPoolExecutor(4), handlers=[handlers], options=limits)
port = server.add_insecure_port("127.0.0.1:0")
server.start()
print(f'{{"port": {port}, "grpcio": "{grpc.__version__}", "torch": "{torch.__version__.split("+")[0]}"}}', flush=True)
sys.stdin.read()
server.stop(0)
