"""A net as the source of one module: imports, copied layers, blocks, and the net's class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torchcaffe.codegen.blocks import Block
from torchcaffe.codegen.expressions import walk
from torchcaffe.codegen.graph import Graph, Node, Value, net_graph
from torchcaffe.codegen.layout import function_head, paragraphs
from torchcaffe.codegen.names import Names, class_name, safe_text
from torchcaffe.codegen.repeats import find_blocks
from torchcaffe.codegen.sources import Sources
from torchcaffe.codegen.statements import Body, Writer, name_attributes
from torchcaffe.codegen.weights import State, module_state, tie_lines, view_lines
from torchcaffe.layers._call import Call
from torchcaffe.layers._registry import Shape
from torchcaffe.net import CaffeNet


@dataclass(frozen=True)
class Printed:
    """The source of a net and what goes with it.

    ``inputs`` gives forward's argument for each input blob; ``takes`` and ``outputs`` give the
    shape of each input and output blob; ``layers`` says where the module of each layer stands, by
    the layer's name; ``packages`` is what the source imports beside torch.
    """

    source: str
    class_name: str
    inputs: dict[str, str]
    takes: dict[str, Shape]
    outputs: dict[str, Shape]
    layers: dict[str, str]
    state: State
    packages: list[str]


def print_net(net: CaffeNet, name: str | None = None, *, blocks: bool = True) -> Printed:
    """The source of ``net``; with ``blocks``, repeated parts become classes of their own."""
    graph = net_graph(net)
    sources = _sources(graph)
    names = Names(sources.names)
    title = names.unique(name or class_name(net.name))
    found = find_blocks(graph, names) if blocks else []
    for part in (graph, *(block.graph for block in found)):
        _drop_lost_twins(part)
        name_attributes(part.nodes)
    where = places(graph.nodes)
    state = module_state(net, where)
    body = Writer(graph, sources, names.taken, Shapes(graph)).body()
    init = paragraphs([body.init, tie_lines(state)])
    main = Body(init, view_lines(state) + body.forward, body.inputs)
    classes = [
        *(_block_class(block, sources, names) for block in found),
        [f"class {title}(nn.Module):", *_docstring(net, graph, main), *_methods(main, graph)],
    ]
    head = [_module_docstring(net.name or title, sources), sources.header()]
    parts = [*sources.copied.values(), *("\n".join(lines) for lines in classes)]
    return Printed(
        source="\n\n\n".join(["\n".join(paragraphs(head)), *parts]) + "\n",
        class_name=title,
        inputs={v.blob: arg for v, arg in zip(graph.inputs, body.inputs, strict=True)},
        takes={value.blob: value.shape for value in graph.inputs},
        outputs={blob: value.shape for blob, value in graph.outputs.items()},
        layers={node.layer: place for place, node in where.items()},
        state=state,
        packages=sources.packages,
    )


def _sources(graph: Graph) -> Sources:
    """The imports and copied layers that the graph's calls need."""
    sources = Sources()
    sources.member("torch", "Tensor")
    sources.member("torch", "nn")
    for node in graph.nodes:
        for found in walk(Call(node.target, *node.args, **node.kwargs)):
            if not found.target.startswith("operator."):
                sources.name(found.target)
    return sources


def _module_docstring(name: str, sources: Sources) -> list[str]:
    first = f'"""{safe_text(name)}, as PyTorch source.'
    if not sources.rounded:
        return [f'{first}"""']
    notes = [
        f"{number} is {short} as float32 has it: Caffe computes with that."
        for number, short in sources.rounded.items()
    ]
    return [first, "", *notes, '"""']


def _drop_lost_twins(graph: Graph) -> None:
    """A module that went into a block cannot be used again; its parameters are tied instead."""
    for node in graph.nodes:
        if node.twin is not None and node.twin not in graph.nodes:
            node.twin = None


def places(nodes: Sequence[Node]) -> dict[str, Node]:
    """Where the module of each layer stands in the printed class."""
    result: dict[str, Node] = {}

    def visit(part: Node | None, place: str, stands_for: Mapping[Node, Node | None]) -> None:
        node = stands_for.get(part, part) if part is not None else None
        if node is None or node.twin is not None or not node.module:
            return
        if isinstance(node.target, Block):
            inner = [stands_for.get(one, one) if one else None for one in node.inner]
            inside = dict(zip(node.target.slots, inner, strict=True))
            for one in node.target.graph.nodes:
                visit(one, f"{place}.{one.attribute}", inside)
        elif node.inner:
            for index, member in enumerate(node.inner):
                visit(member, f"{place}.{index}", stands_for)
        elif node.step is not None:
            result[place] = node

    for node in nodes:
        visit(node, node.attribute, {})
    return result


class Shapes:
    """The shape of a value as a comment, N in the place of the batch."""

    def __init__(self, graph: Graph) -> None:
        sizes = {value.shape[0] for value in graph.inputs if value.shape}
        images = any(len(value.shape) > 2 for value in graph.inputs)
        self.batch = sizes.pop() if len(sizes) == 1 and images else None

    def __call__(self, value: Value) -> str:
        return _sizes(value, self.batch)


def _sizes(value: Value, batch: int | None) -> str:
    sizes = [str(size) for size in value.shape]
    if sizes and value.shape[0] == batch:
        sizes[0] = "N"
    return f"({', '.join(sizes)}{',' if len(sizes) == 1 else ''})"


def _block_class(block: Block, sources: Sources, names: Names) -> list[str]:
    batch = block.ends[0].shape[:1]

    def comment(value: Value) -> str:
        return _sizes(value, batch[0] if batch else None)

    comments = comment if block.uniform else None
    body = Writer(block.graph, sources, names.taken, comments).body()
    parameters = [str(parameter) for parameter in block.parameters]
    return [
        f"class {block.name}(nn.Module):",
        *_summary(block),
        *_methods(body, block.graph, parameters),
    ]


def _summary(block: Block) -> list[str]:
    """The docstring: how often the net has the block, and where."""
    entry, exit_ = (_sizes(value, value.shape[0]) for value in block.ends)
    named = [safe_text(label) for label in block.labels if label.strip()]
    where = f": {named[0]} to {named[-1]}" if len(named) > 2 else ""
    first = f"One of {block.count} parts of the net that are alike{where}."
    if block.shared:
        first = f"A part that the net applies {block.count} times, with the same parameters."
    return [
        f'    """{first}',
        "",
        f"    {'It' if block.uniform else 'The first'} takes {entry} and gives {exit_}.",
        '    """',
        "",
    ]


def _methods(body: Body, graph: Graph, parameters: Sequence[str] = ()) -> list[str]:
    """``__init__``, where there is something to make, and ``forward``."""
    init: list[str] = []
    if body.init:
        head = function_head("__init__", ["self", *parameters], "None")
        init = [*head, "        super().__init__()", *body.init]
    inputs = [f"{name}: Tensor" for name in body.inputs]
    result = "Tensor" if len(graph.outputs) == 1 else "dict[str, Tensor]"
    forward = [*function_head("forward", ["self", *inputs], result), *body.forward]
    return paragraphs([init, forward])


def _docstring(net: CaffeNet, graph: Graph, body: Body) -> list[str]:
    shapes = Shapes(graph)
    listed = [(name, shapes(value)) for name, value in zip(body.inputs, graph.inputs, strict=True)]
    outputs = [(safe_text(name), shapes(value)) for name, value in graph.outputs.items()]
    width = max((len(name) for name, _ in (*listed, *outputs)), default=0)
    lines = [
        f'    """{safe_text(net.name or "A net")}, as Caffe computes it in phase {net.phase}.',
        "",
    ]
    for title, rows in (("input", listed), ("output", outputs)):
        for row, (name, shape) in enumerate(rows):
            lines.append(f"    {title if not row else '':8}{name:{width}}  {shape}")
    if graph.left_out:
        names = ", ".join(map(safe_text, graph.left_out))
        lines += ["", f"    Left out, as no output depends on them: {names}."]
    return [*(line.rstrip() for line in lines), '    """', ""]
