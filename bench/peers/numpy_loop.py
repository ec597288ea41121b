"""Mini-batch SGD in NumPy, f32: one process, or several on shared parameters without locks (Hogwild).

The defaults are the best settings that were found for time to 75 % on EMNIST ByMerge. The gradient is written
into buffers that are there, and the data lie in the order in which they are used.
"""

import multiprocessing
import time
from multiprocessing import shared_memory

import common

parser = common.arguments(__doc__, batch=128, rate=1.0, threads=1)
parser.add_argument("--processes", type=int, default=1)
parser.add_argument("--momentum", type=float, default=0.0)
args = parser.parse_args()
common.limit_threads(args.threads)
CLASSES = common.classes(args.data_dir)

import numpy as np  # noqa: E402 (the number of threads comes first)

SHAPES = [(common.PIXELS, args.hidden), (args.hidden,), (args.hidden, CLASSES), (CLASSES,)]
SIZES = [int(np.prod(shape)) for shape in SHAPES]


def views(flat):
    """The arrays of the network within one vector."""
    parts = np.split(flat, np.cumsum(SIZES)[:-1])
    return [part.reshape(shape) for part, shape in zip(parts, SHAPES)]


def initialise(flat):
    """Glorot and Bengio's uniform distribution; biases 0."""
    random = np.random.default_rng(args.seed)
    for array in views(flat):
        limit = np.sqrt(6 / sum(array.shape)) if array.ndim == 2 else 0
        array[...] = random.uniform(-limit, limit, array.shape)


def hidden_layer(network, images):
    hidden = images @ network[0]
    hidden += network[1]
    return np.tanh(hidden, out=hidden)


def correct(network, images, labels):
    scores = hidden_layer(network, images) @ network[2] + network[3]
    return np.count_nonzero(scores.argmax(axis=1) == labels)


class Trainer:
    """The buffers of one process."""

    def __init__(self, flat, seed):
        self.flat, self.network = flat, views(flat)
        self.gradient, self.velocity = np.empty_like(flat), np.zeros_like(flat)
        self.parts = views(self.gradient)
        self.random = np.random.default_rng(seed)

    def step(self, images, labels):
        count = len(labels)
        hidden = hidden_layer(self.network, images)
        slope = 1 - hidden * hidden
        if args.dropout:
            mask = (self.random.random(hidden.shape, np.float32) >= args.dropout) * np.float32(1 / (1 - args.dropout))
            hidden *= mask
            slope *= mask
        scores = hidden @ self.network[2]
        scores += self.network[3]
        scores -= scores.max(axis=1, keepdims=True)
        np.exp(scores, out=scores)
        scores /= scores.sum(axis=1, keepdims=True)
        scores[np.arange(count), labels] -= 1
        # The learning rate and the mean over the minibatch, where there is least to multiply.
        scores *= np.float32(args.rate / count)
        slope *= scores @ self.network[2].T
        np.matmul(images.T, slope, out=self.parts[0])
        slope.sum(axis=0, out=self.parts[1])
        np.matmul(hidden.T, scores, out=self.parts[2])
        scores.sum(axis=0, out=self.parts[3])
        if args.momentum:
            self.velocity *= np.float32(args.momentum)
            self.velocity += self.gradient
        self.flat -= self.velocity if args.momentum else self.gradient


def train(flat, number, data, counts, stop, target):
    """Every `processes`-th minibatch, from the `number`-th on; the first process looks for the target."""
    images, labels = data
    trainer = Trainer(flat, (args.seed, number))
    for _ in range(args.epochs):
        for first in range(number * args.batch, len(labels) - args.batch + 1, args.processes * args.batch):
            trainer.step(images[first : first + args.batch], labels[first : first + args.batch])
            counts[number] += args.batch
            if target and target.reached(args.batch):
                stop.value = 1
            if stop.value:
                return


def main():
    common.limit_time()
    images, labels, tests, test_labels = common.load(args.data_dir, centre=args.centre)
    shared = shared_memory.SharedMemory(create=True, size=4 * sum(SIZES))
    flat = np.ndarray(sum(SIZES), np.float32, shared.buf)
    initialise(flat)
    counts = multiprocessing.RawArray("q", args.processes)
    stop, ready = multiprocessing.RawValue("i", 0), multiprocessing.Barrier(args.processes)
    target = common.Target(args.target, tests, test_labels, lambda *data: correct(views(flat), *data))

    def run(number):
        common.limit_time()
        Trainer(flat.copy(), 0).step(images[: args.batch], labels[: args.batch])  # Starts what starts late.
        ready.wait()
        begun = time.perf_counter()
        train(flat, number, (images, labels), counts, stop, None if number else target)
        return begun

    # Forked: the data are there, and are not copied.
    context = multiprocessing.get_context("fork")
    others = [context.Process(target=run, args=(number,)) for number in range(1, args.processes)]
    for other in others:
        other.start()
    begun = run(0)
    versions = {"numpy": np.__version__}
    settings = {"batch": args.batch, "rate": args.rate, "processes": args.processes, "threads": args.threads}
    common.report("numpy", begun, sum(counts), target, versions, settings)
    for other in others:
        other.join()
    del target, flat
    shared.close()
    shared.unlink()


if __name__ == "__main__":
    main()
