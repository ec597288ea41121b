"""The algorithm that Downpour goes back to, with its store traffic: NumPy in f64, one worker.

Written from a description of it. After every minibatch it puts all weights into the store (not a gradient), and
takes them from there again every `--n-fetch` minibatches, each matrix and its version by a call of its own; the
gradient's sum is divided by the square of the batch size; the mask of the backward pass has nothing to do with
that of the forward pass; there are no biases; after each epoch the test images are classified one at a time.

With one worker the store changes nothing in what is computed. So at most `--measured` epochs are run with
everything, and timed; how many epochs the target takes is counted by the same arithmetic without a store.
"""

import json
import time

import common

parser = common.arguments(__doc__, batch=16, rate=0.1, threads=1)
parser.add_argument("--store", help="redis://HOST:PORT", required=True)
parser.add_argument("--n-fetch", type=int, default=10)
parser.add_argument("--measured", type=int, default=3)
parser.set_defaults(epochs=400)
args = parser.parse_args()
common.limit_threads(args.threads)
CLASSES = common.classes(args.data_dir)

import numpy as np  # noqa: E402 (the number of threads comes first)
import redis  # noqa: E402

SHAPES = {"weights_0_1": (common.PIXELS, args.hidden), "weights_1_2": (args.hidden, CLASSES)}


class Weights:
    """Both matrices, and where they are in the store."""

    def __init__(self, store):
        random, self.store = np.random.default_rng(args.seed), store
        self.first = 0.02 * random.random(SHAPES["weights_0_1"]) - 0.01
        self.second = 0.2 * random.random(SHAPES["weights_1_2"]) - 0.1

    def push(self):
        for name, array in zip(SHAPES, (self.first, self.second)):
            self.store.set(f"peer:{name}", array.tobytes())
            self.store.incr(f"peer:{name}_t")

    def fetch(self):
        def get(name):
            self.store.get(f"peer:{name}_t")
            return np.frombuffer(self.store.get(f"peer:{name}")).reshape(SHAPES[name]).copy()

        self.first, self.second = map(get, SHAPES)


def step(weights, images, labels, random):
    count = len(labels)
    mask = lambda: random.random((count, args.hidden)) >= args.dropout
    hidden = np.tanh(images @ weights.first)
    hidden *= mask() / (1 - args.dropout)
    scores = hidden @ weights.second
    scores = np.exp(scores - scores.max(axis=1, keepdims=True))
    scores /= scores.sum(axis=1, keepdims=True)
    scores[np.arange(count), labels] -= 1
    scores /= count * count
    back = (scores @ weights.second.T) * (1 - hidden**2) * mask()
    weights.second -= args.rate * (hidden.T @ scores)
    weights.first -= args.rate * (images.T @ back)


def epoch(weights, data, random, with_store):
    images, labels = data
    for number, first in enumerate(range(0, len(labels) - args.batch + 1, args.batch)):
        if with_store and number % args.n_fetch == 0:
            weights.fetch()
        step(weights, images[first : first + args.batch], labels[first : first + args.batch], random)
        if with_store:
            weights.push()


def one_at_a_time(weights, images, labels):
    classify = lambda image: np.argmax(np.tanh(image @ weights.first) @ weights.second)
    return sum(int(classify(image) == label) for image, label in zip(images, labels)) / len(labels)


def at_once(weights, images, labels):
    return np.mean((np.tanh(images @ weights.first) @ weights.second).argmax(axis=1) == labels)


def main():
    common.limit_time(600)
    images, labels, *tests = common.load(args.data_dir, "float64")
    data, store = (images, labels), redis.Redis.from_url(args.store)
    weights, random = Weights(store), np.random.default_rng(args.seed)
    weights.push()
    seconds, epochs, accuracy = [], 0, 0.0
    while accuracy < args.target and epochs < args.epochs:
        begun = time.perf_counter()
        with_store = epochs < args.measured
        epoch(weights, data, random, with_store)
        accuracy = (one_at_a_time if with_store else at_once)(weights, *tests)
        epochs += 1
        if with_store:
            seconds.append(time.perf_counter() - begun)
    store.delete(*(f"peer:{name}{end}" for name in SHAPES for end in ("", "_t")))
    report(seconds, epochs, float(accuracy), len(labels) // args.batch * args.batch)


def report(seconds, epochs, accuracy, samples):
    line = {"peer": "original", "reached": accuracy >= args.target, "samples": epochs * samples}
    line["settings"] = {"batch": args.batch, "rate": args.rate, "n_fetch": args.n_fetch, "threads": args.threads}
    line |= {"seconds": sum(seconds) / len(seconds) * epochs, "accuracy": accuracy}
    line |= {"epochs": epochs, "measured_epochs": len(seconds), "measured_s": sum(seconds)}
    line["versions"] = {"numpy": np.__version__, "redis": redis.__version__}
    print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
