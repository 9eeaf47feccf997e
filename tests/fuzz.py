"""Mutated files into the readers: nothing may come out but a result or a CaffeError.

    python -m tests.fuzz --cases 20000 --seed 1

Each case is a golden file, or one in an older form, with a few mutations, read in this process
under a memory limit and a time limit. Case ``n`` of a seed is always the same; ``--only n`` runs
it alone. What fails is kept in ``--keep``. The exit status is 1 if anything failed.
"""

import argparse
import logging
import random
import re
import resource
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torchcaffe
from torchcaffe.errors import CaffeError
from torchcaffe.proto import encode, format_text, parse_text, read_net, read_weights_net
from torchcaffe.proto.schema import NetParameter

GOLDENS = Path(__file__).parent / "goldens"
MEMORY = 1 << 30
SECONDS = 10.0

OLD_NETS = (
    """name: "v0" input: "x" input_dim: 1 input_dim: 3 input_dim: 8 input_dim: 8
layers { layer { name: "p" type: "padding" pad: 1 } bottom: "x" top: "p" }
layers { layer { name: "c" type: "conv" num_output: 2 kernelsize: 3 blobs_lr: 1 weight_decay: 0
  weight_filler { type: "gaussian" std: 0.01 } } bottom: "p" top: "c" }
layers { layer { name: "r" type: "relu" } bottom: "c" top: "c" }""",
    """name: "v1" input: "x" input_shape { dim: [1, 3, 8, 8] }
layers { name: "c" type: CONVOLUTION bottom: "x" top: "c" param: "w" param: "b" blobs_lr: 1
  blobs_lr: 2 convolution_param { num_output: 2 kernel_size: 3 pad: 1 } }
layers { name: "d" type: DATA top: "d" data_param { scale: 0.5 source: "db" } }
layers { name: "s" type: SOFTMAX_LOSS bottom: "c" bottom: "d" top: "s" include { phase: TEST } }""",
)
WORDS = (
    *(b"{", b"}", b"<", b">", b"[", b"]", b":", b",", b";", b"#", b'"', b"'", b"\\", b"-", b"\n"),
    *(b"\\x", b"\\377", b"\\u0000", b"0x", b"08", b"1e999", b"nan", b"inf", b"-0", b"\xff", b"\0"),
    *(
        b"layer {",
        b"layers { layer {",
        b"name: ",
        b"dim: ",
        b"99999999999999999999",
        b"-2147483648",
    ),
)
LENGTHS = (0, 1, 127, 128, 2**21, 2**31 - 1, 2**31, 2**32, 2**63, 2**64 - 1)


def read_text_net(path: Path) -> None:
    net = read_net(path)
    assert encode(parse_text(format_text(net), NetParameter)) == encode(net)


def read_binary_net(path: Path) -> None:
    encode(read_weights_net(path))


def build_net(path: Path) -> None:
    """The whole way to a module; what only warns is no failure."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torchcaffe.load(path, phase=None)


@dataclass
class Target:
    """One kind of file: what it grows from, and all that is done with it."""

    suffix: str
    seeds: list[bytes]
    actions: list[Callable[[Path], None]]


def targets() -> list[Target]:
    """The kinds of files; to try more on the same files, add to ``actions``."""
    texts = [text.encode() for text in OLD_NETS]
    prototxts = sorted(GOLDENS.rglob("*.prototxt"))
    texts += [path.read_bytes() for path in prototxts if path.name != "solver.prototxt"]
    binaries = [encode(parse_text(text.decode(), NetParameter)) for text in texts]
    paths = sorted(GOLDENS.rglob("*.caffemodel"))
    binaries += [path.read_bytes() for path in paths if path.stat().st_size < 1 << 16]
    texts += [text.encode() for text in OLD_NETS] * 20
    return [
        Target(".prototxt", texts, [read_text_net, build_net]),
        Target(".caffemodel", binaries, [read_binary_net]),
    ]


def flip_bit(rng: random.Random, data: bytearray, _: bytes) -> None:
    if data:
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)


def set_byte(rng: random.Random, data: bytearray, _: bytes) -> None:
    if data:
        data[rng.randrange(len(data))] = rng.randrange(256)


def truncate(rng: random.Random, data: bytearray, _: bytes) -> None:
    del data[rng.randint(0, len(data)) :]


def delete(rng: random.Random, data: bytearray, _: bytes) -> None:
    start = rng.randint(0, len(data))
    del data[start : start + rng.randint(1, 64)]


def duplicate(rng: random.Random, data: bytearray, _: bytes) -> None:
    start = rng.randint(0, len(data))
    piece = data[start : start + rng.randint(1, 512)]
    data[start:start] = piece * rng.choice((1, 1, 1, 2, 50))


def splice(rng: random.Random, data: bytearray, other: bytes) -> None:
    start = rng.randint(0, len(other))
    at = rng.randint(0, len(data))
    data[at : at + rng.choice((0, 0, 64))] = other[start : start + rng.randint(1, 2048)]


def insert_word(rng: random.Random, data: bytearray, _: bytes) -> None:
    at = rng.randint(0, len(data))
    data[at:at] = rng.choice(WORDS) * rng.choice((1, 1, 1, 200))


def lie_about_length(rng: random.Random, data: bytearray, _: bytes) -> None:
    """Put another number where one is: after a tag of a binary file, or among the digits."""
    pattern = rb"[0-9]+" if data[:1].isalnum() else rb"[\x0a\x12\x1a\x22\x2a\x3a\x42]|\xa2\x06"
    found = list(re.finditer(pattern, data))
    if not found:
        return
    match = rng.choice(found)
    value = rng.choice((*LENGTHS, rng.randrange(1 << 20)))
    if data[:1].isalnum():
        data[match.start() : match.end()] = str(value).encode()
    else:
        data[match.end() : match.end() + rng.randint(1, 3)] = varint(value)


def swap_words(rng: random.Random, data: bytearray, other: bytes) -> None:
    """Put a word or number of another file, or a line of it, in place of one here."""
    pattern = rng.choice((rb"[^ \n{}:]+", rb"[^ \n{}:]+", rb"[^\n]+", rb"[0-9.]+"))
    here, there = (list(re.finditer(pattern, text[:20000])) for text in (data, other))
    if here and there:
        match = rng.choice(here)
        data[match.start() : match.end()] = rng.choice(there)[0]


def varint(value: int) -> bytes:
    low = [value >> shift & 0x7F for shift in range(0, max(value.bit_length(), 1), 7)]
    return bytes([*(part | 0x80 for part in low[:-1]), low[-1]])


MUTATIONS = (
    *(flip_bit, set_byte, truncate, delete, duplicate, splice, insert_word),
    *(lie_about_length, lie_about_length, swap_words, swap_words, swap_words),
)


def mutated(seed: int, case: int, target: Target) -> bytes:
    """The file of one case."""
    rng = random.Random(f"{seed}:{case}")
    data = bytearray(rng.choice(target.seeds))
    for _ in range(rng.choice((1, 1, 1, 2, 3, 8))):
        rng.choice(MUTATIONS)(rng, data, rng.choice(target.seeds))
    return bytes(data)


def outcome(target: Target, path: Path) -> str:
    """What came of the file: ``"read"``, the name of a CaffeError, or words that begin with !."""
    try:
        with limited_time():
            for action in target.actions:
                action(path)
    except CaffeError as error:
        name = type(error).__name__
        return name if str(error).strip() else f"!{name} without words"
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        return "!" + "".join(traceback.format_exception(error)[-3:])
    return "read"


@contextmanager
def limited_time() -> Iterator[None]:
    def stop(*_: object) -> None:
        raise TimeoutError(f"took more than {SECONDS:g} seconds")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def limit_memory() -> None:
    """Let the process take ``MEMORY`` bytes of address space more than it has now."""
    statm = Path("/proc/self/statm")
    if not statm.exists():
        print("this system does not tell how much memory is in use; memory is not limited")
        return
    pages = int(statm.read_text().split()[0])
    limit = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, resource.getrlimit(resource.RLIMIT_AS)[1]))


def run(cases: range, seed: int, keep: Path) -> Counter[str]:
    """Run the cases, and count their outcomes; failures begin with ``!``."""
    counts: Counter[str] = Counter()
    kinds = targets()
    slowest = (0.0, 0)
    with tempfile.TemporaryDirectory() as folder:
        for done, case in enumerate(cases, 1):
            target = kinds[case % len(kinds)]
            path = Path(folder) / f"case{target.suffix}"
            path.write_bytes(mutated(seed, case, target))
            start = time.perf_counter()
            result = outcome(target, path)
            slowest = max(slowest, (time.perf_counter() - start, case))
            counts[f"{target.suffix} {result}" if result[0] != "!" else f"! case {case}"] += 1
            if result[0] == "!":
                keep.mkdir(parents=True, exist_ok=True)
                kept = keep / f"seed{seed}-case{case}{target.suffix}"
                kept.write_bytes(path.read_bytes())
                print(f"\ncase {case} of seed {seed}, kept as {kept}:\n{result[1:]}", flush=True)
            if done % max(1, len(cases) // 20) == 0:
                print(f"\r{done} of {len(cases)} cases", end="", flush=True)
    print(f"\nslowest: case {slowest[1]}, {slowest[0]:.2f} s")
    return counts


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--cases", type=int, default=20000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", type=int, help="run this one case")
    parser.add_argument("--keep", type=Path, default=Path("out/fuzz"))
    options = parser.parse_args()
    limit_memory()
    logging.getLogger("torchcaffe").setLevel(logging.CRITICAL)
    only = options.only
    cases = range(options.cases) if only is None else range(only, only + 1)
    counts = run(cases, options.seed, options.keep)
    for name, count in sorted(counts.items()):
        print(f"{count:8d}  {name}")
    failed = sum(count for name, count in counts.items() if name[0] == "!")
    print(f"{len(cases)} files, seed {options.seed}: {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
