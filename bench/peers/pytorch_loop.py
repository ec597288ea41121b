"""Mini-batch SGD in PyTorch on the CPU: one process, two with DistributedDataParallel over gloo, or two on shared
parameters (Hogwild).

The defaults are the best settings that were found for time to 75 % on EMNIST ByMerge.
"""

import os
import socket
import time

import common

parser = common.arguments(__doc__, batch=128, rate=1.0, threads=1)
parser.add_argument("--how", choices=["one", "ddp", "hogwild"], default="one")
parser.add_argument("--processes", type=int, default=2, help="of ddp and hogwild")
args = parser.parse_args()
common.limit_threads(args.threads)
CLASSES = common.classes(args.data_dir)

import numpy  # noqa: E402 (the number of threads comes first)
import torch  # noqa: E402
import torch.distributed  # noqa: E402
import torch.multiprocessing as multiprocessing  # noqa: E402
from torch import nn  # noqa: E402
from torch.nn.functional import cross_entropy  # noqa: E402


def network():
    torch.manual_seed(args.seed)
    first, second = nn.Linear(common.PIXELS, args.hidden), nn.Linear(args.hidden, CLASSES)
    for layer in (first, second):
        nn.init.xavier_uniform_(layer.weight)
        nn.init.zeros_(layer.bias)
    return nn.Sequential(first, nn.Tanh(), nn.Dropout(args.dropout), second)


def correct(model, images, labels):
    model.eval()
    with torch.no_grad():
        found = model(images).argmax(dim=1).eq(labels).sum()
    model.train()
    return found


def minibatches(data, number, processes):
    """Every `processes`-th minibatch, from the `number`-th on; the data are shuffled already."""
    images, labels = data
    for _ in range(args.epochs):
        for first in range(number * args.batch, len(labels) - args.batch * processes + 1, processes * args.batch):
            yield images[first : first + args.batch], labels[first : first + args.batch]


def step(model, optimizer, images, labels):
    optimizer.zero_grad(set_to_none=True)
    cross_entropy(model(images), labels).backward()
    optimizer.step()


def work(number, processes, model, data, tests, shared):
    """One process; the first looks for the target, and tells the others."""
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed + number)
    images, labels = data
    if args.how == "ddp":
        model = nn.parallel.DistributedDataParallel(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=args.rate)
    # Starts what starts late, and changes nothing.
    cross_entropy(model(images[: args.batch]), labels[: args.batch]).backward()
    target = None
    if number == 0:
        inner = model.module if args.how == "ddp" else model
        target = common.Target(args.target, *tests, lambda *some: correct(inner, *map(torch.as_tensor, some)))
    shared.ready.wait()
    begun = time.perf_counter()
    for some in minibatches(data, number, processes):
        step(model, optimizer, *some)
        shared.counts[number] += args.batch
        if target and not target.ended and target.reached(args.batch * (processes if args.how == "ddp" else 1)):
            # With DDP the others are in the middle of their next minibatch, and need this process for it.
            shared.stop.value = shared.counts[number] + (args.batch if args.how == "ddp" else 0)
        if shared.stop.value and (args.how != "ddp" or shared.counts[number] >= shared.stop.value):
            break
    if target:
        finish(begun, sum(shared.counts), target)


def finish(begun, samples, target):
    versions = {"torch": torch.__version__, "numpy": numpy.__version__}
    settings = {"batch": args.batch, "rate": args.rate, "how": args.how, "threads": args.threads}
    common.report("pytorch", begun, samples, target, versions, settings)


class Shared:
    """What the processes have in common beside the parameters."""

    def __init__(self, context, processes):
        self.counts = context.Array("q", processes, lock=False)
        self.stop = context.Value("q", 0, lock=False)
        self.ready = context.Barrier(processes)


def join_group(number, processes, port):
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port), GLOO_SOCKET_IFNAME="lo")
    torch.distributed.init_process_group("gloo", rank=number, world_size=processes)


def process(number, processes, port, model, data, tests, shared):
    common.limit_time()
    if args.how == "ddp":
        join_group(number, processes, port)
    work(number, processes, model, data, tests, shared)


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def main():
    common.limit_time()
    images, labels, *tests = common.load(args.data_dir, centre=args.centre)
    data = (torch.from_numpy(images).share_memory_(), torch.from_numpy(labels).share_memory_())
    processes = 1 if args.how == "one" else args.processes
    context = multiprocessing.get_context("fork")
    shared, model = Shared(context, processes), network()
    if args.how == "hogwild":
        model.share_memory()
    port = free_port()
    rest = (processes, port, model, data, tests, shared)
    others = [context.Process(target=process, args=(number, *rest)) for number in range(1, processes)]
    for other in others:
        other.start()
    process(0, *rest)
    for other in others:
        other.join()


if __name__ == "__main__":
    main()
