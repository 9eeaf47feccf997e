"""The README beside a printed module: what the files are and how to use them."""

from __future__ import annotations

from collections.abc import Iterable

from torchcaffe.codegen.module import Printed
from torchcaffe.codegen.names import safe_text
from torchcaffe.layers._call import Call
from torchcaffe.layers._registry import Shape
from torchcaffe.layers.python import PythonLayer
from torchcaffe.net import CaffeNet

_TEXT = """\
# {title}

{subject} as PyTorch source, converted from Caffe by torchcaffe. It needs {needs}.
{own}
- `model.py`: the network, class `{title}`
- `model.safetensors`: its {count:,} parameters and statistics

From this folder:

```python
{example}
```

{inputs}

{outputs}
"""

_SEVERAL = """
The outputs come as a dict, under the names of Caffe's blobs.
"""

_IMAGES = """
Caffe's image networks were trained on images in BGR order, as OpenCV reads them, with values from
0 to 255 and usually a mean subtracted. The network does none of that itself.
"""

_TRANSFORM = """
The layer that fed `{name}` says: {values}.
"""

_PHASE = {
    "TEST": """
This is the net of phase TEST: call `model.eval()` before use.
""",
    "TRAIN": """
This is the net of phase TRAIN: keep it in `model.train()`.
""",
}

_LOSS = """
Caffe trains it on the loss {terms}.
"""


def readme(net: CaffeNet, printed: Printed) -> str:
    """The whole text."""
    own = "".join(_own_modules(net))
    lent = "torchcaffe" in printed.packages and not own
    text = _TEXT.format(
        title=printed.class_name,
        needs="torch, safetensors and torchcaffe" if lent else "torch and safetensors",
        subject=safe_text(net.name) if net.name else "A network",
        own=own,
        count=sum(tensor.numel() for tensor in printed.state.tensors.values()),
        example=example(net, printed),
        inputs=_table(
            "Input", ((arg, printed.takes[name]) for name, arg in printed.inputs.items())
        ),
        outputs=_table("Output", printed.outputs.items()),
    )
    if len(printed.outputs) != 1:
        text += _SEVERAL
    if any(len(shape) == 4 and shape[1] == 3 for shape in printed.takes.values()):
        text += _IMAGES
    return text + "".join(_transforms(net)) + _PHASE[net.phase] + _loss(net, printed)


def _own_modules(net: CaffeNet) -> Iterable[str]:
    """The modules of a person's own that model.py imports."""
    found: dict[str, str] = {}
    for step in net.steps:
        if step.plan.module is not None and isinstance(step.plan.call, Call):
            module = step.plan.call.target.rpartition(".")[0]
            if step.kind.name == "Python":
                module = step.param.python_param.module
            found.setdefault(module, step.kind.name)
    if found:
        listed = ", ".join(f"`{module}` ({kind})" for module, kind in found.items())
        yield f"It also imports {listed}, which must be on Python's path"
        python = any(isinstance(module, PythonLayer) for module in net.modules())
        yield ", and torchcaffe, which runs Python layers.\n" if python else ".\n"


def example(net: CaffeNet, printed: Printed) -> str:
    """The lines that load the network and run it once."""
    lines = ["import torch"] if printed.inputs else []
    lines += ["from safetensors.torch import load_model", ""]
    lines += [f"from model import {printed.class_name}", "", f"model = {printed.class_name}()"]
    lines += ['load_model(model, "model.safetensors")', f"model.{_mode(net)}()", ""]
    for name, argument in printed.inputs.items():
        lines.append(f"{argument} = torch.zeros{printed.takes[name]}")
    result = f"model({', '.join(printed.inputs.values())})"
    if len(printed.outputs) == 1:
        lines += [f"output = {result}", "print(output.shape)"]
    else:
        lines += [f"outputs = {result}", "for name, value in outputs.items():"]
        lines += ["    print(name, value.shape)"]
    return "\n".join(lines)


def _mode(net: CaffeNet) -> str:
    return "train" if net.phase == "TRAIN" else "eval"


def _table(title: str, rows: Iterable[tuple[str, Shape]]) -> str:
    lines = [f"| {title} | Shape |", "|---|---|"]
    return "\n".join([*lines, *(f"| `{safe_text(name)}` | {shape} |" for name, shape in rows)])


def _transforms(net: CaffeNet) -> list[str]:
    """What data layers did to images before the net saw them."""
    found = []
    for step in net.steps:
        if step.param.has("transform_param"):
            param = step.param.transform_param
            values = [
                f"{name} {safe_text(str(getattr(param, name)))}"
                for name in ("scale", "mean_value", "mean_file", "crop_size", "mirror")
                if param.has(name)
            ]
            if values and step.tops:
                name = safe_text(step.tops[0])
                found.append(_TRANSFORM.format(name=name, values=", ".join(values)))
    return found


def _loss(net: CaffeNet, printed: Printed) -> str:
    terms = [
        f"{weight:g} * {safe_text(name)}"
        for step in net.steps
        for name, weight in zip(step.tops, step.loss_weights, strict=True)
        if weight and name in printed.outputs
    ]
    return _LOSS.format(terms=" + ".join(f"`{term}`" for term in terms)) if terms else ""
