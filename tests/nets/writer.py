"""Prototxt text, a few lines a layer, for nets that repeat themselves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

WIDTH = 100


class Writer:
    """A net under construction; each method adds layers and returns the name of the last top.

    ``learn`` is the text of the ``param`` entries that every convolution and inner product takes,
    ``filler`` that of their fillers.
    """

    def __init__(self, name: str, about: str, learn: str = "", filler: str = "") -> None:
        self.parts = [f"# {line}\n" for line in about.strip().splitlines()]
        self.parts.append(f'name: "{name}"\n')
        self.learn, self.filler = learn, filler
        self.rule = ""

    @property
    def text(self) -> str:
        """The prototxt."""
        return "".join(self.parts)

    def add(
        self, name: str, kind: str, bottoms: str | Sequence[str], body: str = "", top: str = ""
    ) -> str:
        """A layer; ``body`` holds its further fields, ``top`` is its name unless given."""
        sources = [bottoms] if isinstance(bottoms, str) else list(bottoms)
        fields = [f'name: "{name}"', f'type: "{kind}"']
        fields += [f'bottom: "{source}"' for source in sources]
        fields += [f'top: "{top or name}"', self.rule]
        self.parts += [f"{line}\n" for line in laid_out(f"layer {{ {' '.join(fields)} {body} }}")]
        return top or name

    @contextmanager
    def only(self, phase: str) -> Iterator[None]:
        """The layers added meanwhile are of one phase."""
        self.rule = f"include {{ phase: {phase} }}"
        yield
        self.rule = ""

    def input(self, name: str, shape: Sequence[int]) -> str:
        """An input of a fixed shape."""
        dims = " ".join(f"dim: {size}" for size in shape)
        return self.add(name, "Input", [], f"input_param {{ shape {{ {dims} }} }}")

    def convolution(
        self,
        name: str,
        bottom: str,
        filters: int,
        kernel: int | tuple[int, int],
        *,
        stride: int = 1,
        pad: int | tuple[int, int] = 0,
        group: int = 1,
        bias: bool = True,
        kind: str = "Convolution",
    ) -> str:
        """A convolution; a kernel or pad of two is given as height and width."""
        fields = [f"num_output: {filters}", *_sizes("kernel", kernel)]
        fields += _sizes("pad", pad) if pad else []
        fields += [f"stride: {stride}"] if stride != 1 else []
        fields += [f"group: {group}"] if group != 1 else []
        fields += [] if bias else ["bias_term: false"]
        body = f"{self.learn} convolution_param {{ {' '.join(fields)} {self.filler} }}"
        return self.add(name, kind, bottom, body)

    def inner_product(self, name: str, bottom: str, outputs: int) -> str:
        """A fully connected layer."""
        body = f"{self.learn} inner_product_param {{ num_output: {outputs} {self.filler} }}"
        return self.add(name, "InnerProduct", bottom, body)

    def relu(self, name: str, blob: str) -> str:
        """A ReLU in place."""
        return self.add(name, "ReLU", blob, top=blob)

    def dropout(self, name: str, blob: str, ratio: float = 0.5) -> str:
        """Dropout in place."""
        body = f"dropout_param {{ dropout_ratio: {ratio} }}"
        return self.add(name, "Dropout", blob, body, blob)

    def batch_norm(self, name: str, blob: str, scale: str, eps: float = 1e-5) -> str:
        """BatchNorm and the Scale that Caffe keeps apart from it, both in place."""
        body = f"batch_norm_param {{ eps: {eps:g} }}" if eps != 1e-5 else ""
        self.add(name, "BatchNorm", blob, body, blob)
        return self.add(scale, "Scale", blob, "scale_param { bias_term: true }", blob)

    def pool(
        self, name: str, bottom: str, method: str, kernel: int, stride: int, pad: int = 0
    ) -> str:
        """MAX or AVE pooling."""
        fields = f"pool: {method} kernel_size: {kernel} stride: {stride}"
        fields += f" pad: {pad}" if pad else ""
        return self.add(name, "Pooling", bottom, f"pooling_param {{ {fields} }}")

    def global_pool(self, name: str, bottom: str) -> str:
        """The mean of each channel."""
        return self.add(name, "Pooling", bottom, "pooling_param { pool: AVE global_pooling: true }")

    def concat(self, name: str, bottoms: Sequence[str]) -> str:
        """The channels of all bottoms."""
        return self.add(name, "Concat", bottoms)

    def eltwise_sum(self, name: str, bottoms: Sequence[str]) -> str:
        """The sum of the bottoms."""
        return self.add(name, "Eltwise", bottoms, "eltwise_param { operation: SUM }")

    def classify(self, scores: str) -> None:
        """The end of a classifier: a loss in TRAIN, probabilities in TEST."""
        with self.only("TRAIN"):
            self.add("loss", "SoftmaxWithLoss", [scores, "label"])
        with self.only("TEST"):
            self.add("prob", "Softmax", scores)


def laid_out(text: str, width: int = WIDTH) -> list[str]:
    """Fields in lines of up to ``width``; a message that is longer has its own lines, indented."""
    lines = [""]
    for field in _fields(text.split()):
        whole = " ".join(field)
        if len(lines[-1]) + len(whole) < width and not lines[-1].endswith("}"):
            lines[-1] = f"{lines[-1]} {whole}".strip()
        elif len(whole) <= width:
            lines.append(whole)
        else:
            inner = laid_out(" ".join(field[2:-1]), width - 2)
            lines += [" ".join(field[:2]), *(f"  {line}" for line in inner), "}"]
    return [line for line in lines if line]


def _fields(words: Sequence[str]) -> Iterator[Sequence[str]]:
    """``name: value`` or ``name { ... }``, one after the other."""
    start = 0
    while start < len(words):
        end, depth = start + 2, int(words[start + 1] == "{")
        while depth:
            depth += {"{": 1, "}": -1}.get(words[end], 0)
            end += 1
        yield words[start:end]
        start = end


def _sizes(field: str, size: int | tuple[int, int]) -> list[str]:
    if isinstance(size, int):
        return [f"{field}: {size}" if field == "pad" else f"{field}_size: {size}"]
    return [f"{field}_h: {size[0]}", f"{field}_w: {size[1]}"]


def image_net(name: str, about: str, size: int, *, learn: str = "", filler: str = "") -> Writer:
    """A classifier's beginning: one image of ``size``, in TRAIN its label."""
    net = Writer(name, about, learn, filler)
    net.input("data", (1, 3, size, size))
    with net.only("TRAIN"):
        net.input("label", (1,))
    return net
