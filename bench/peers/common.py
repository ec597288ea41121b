"""What all peers share: the data, the network's sizes, when the target is reached, what is printed.

Everything here happens outside the time that is measured, except `Target.reached`: a loop that has to stop at a
target has to look whether it is there, and looks as often as Downpour does.
"""

import argparse
import gzip
import json
import os
import signal
import time
from pathlib import Path

PIXELS = 784
# As Downpour: a sample of the test images after so many training samples, and all of them to confirm.
SAMPLE, SAMPLES_BETWEEN = 1000, 4096


def arguments(about, batch, rate, threads):
    """The flags of all peers; the defaults are the best settings that were found for this one."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--data-dir", type=Path, required=True, help="folder with EMNIST's four IDX files")
    parser.add_argument("--target", type=float, default=0.75, help="test accuracy to reach")
    parser.add_argument("--epochs", type=int, default=30, help="give up after so many")
    parser.add_argument("--hidden", type=int, default=100)
    parser.add_argument("--dropout", type=float, default=0.2)
    parser.add_argument("--batch", type=int, default=batch)
    parser.add_argument("--rate", type=float, default=rate)
    parser.add_argument("--threads", type=int, default=threads, help="of the library for linear algebra, a process")
    parser.add_argument("--centre", type=int, default=1, help="1: images less the mean image; not timed")
    parser.add_argument("--seed", type=int, default=1)
    return parser


def limit_threads(count):
    """Must come before the library is loaded."""
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[variable] = str(count)


def limit_time(seconds=200):
    """Ends this process, and not those that it forks, should it take longer: nobody waits for ever."""
    signal.alarm(seconds)


def read(folder, what, names):
    """The unpacked content of the one IDX file of these names; MNIST calls its test images t10k."""
    found = [path for name in names for path in sorted(folder.glob(f"*{name}-{what}*"))]
    if len(found) != 1:
        raise SystemExit(f"{folder} has {len(found)} files *{names[0]}-{what}*; wanted is one")
    raw = found[0].read_bytes()
    return gzip.decompress(raw) if found[0].suffix == ".gz" else raw


def classes(folder):
    """How many classes the data have."""
    return max(read(folder, "labels-idx1", ["train"])[8:]) + 1


def load(folder, dtype="float32", centre=False):
    """Training images (0 to 1, in the order of one shuffled epoch) and labels, test images and labels."""
    import numpy as np

    def split(*names):
        images = np.frombuffer(read(folder, "images-idx3", names)[16:], np.uint8).reshape(-1, PIXELS)
        return images, np.frombuffer(read(folder, "labels-idx1", names)[8:], np.uint8)

    (train, labels), (test, test_labels) = split("train"), split("test", "t10k")
    order = np.random.default_rng(0).permutation(len(train))
    scaled = lambda images: images.astype(dtype) / np.asarray(255, dtype)
    images, tests = scaled(train[order]), scaled(test)
    if centre:
        mean = images.mean(axis=0)
        images -= mean
        tests -= mean
    return images, labels[order].astype(np.int64), tests, test_labels.astype(np.int64)


class Target:
    """Knows when to look whether the target is reached, and whether it is."""

    def __init__(self, goal, tests, labels, correct):
        """`correct(images, labels)` counts those that are classified rightly."""
        step = max(1, len(tests) // SAMPLE)
        self.goal, self.correct = goal, correct
        self.all, self.sample = (tests, labels), (tests[::step].copy(), labels[::step].copy())
        self.since, self.accuracy, self.best = 0, None, 0.0
        self.ended = None

    def reached(self, trained):
        """Counts samples; true once all test images confirm the target."""
        self.since += trained
        if self.since < SAMPLES_BETWEEN:
            return False
        self.since = 0
        if self._share(self.sample) >= self.goal:
            self.accuracy = self._share(self.all)
            if self.accuracy >= self.goal:
                self.ended = time.perf_counter()
        return self.ended is not None

    def _share(self, data):
        share = float(self.correct(*data)) / len(data[1])
        self.best = max(self.best, share)
        return share


def report(peer, begun, samples, target, versions, settings):
    """The line that the benchmark reads. `begun`: `time.perf_counter()` before the first minibatch."""
    line = {"peer": peer, "reached": target.ended is not None, "samples": samples, "settings": settings}
    line["seconds"] = (target.ended or time.perf_counter()) - begun
    line["accuracy"] = target.accuracy if target.ended else target.best
    print(json.dumps(line | {"versions": versions}), flush=True)
