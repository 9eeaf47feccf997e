"""A training run as Caffe logs it: a solver's events as lines.

Caffe: ``src/caffe/solver.cpp``, ``src/caffe/solvers/sgd_solver.cpp``, ``src/caffe/net.cpp``; the
numbers after the files' names are the lines of Caffe 1.0 (9b89154).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from torchcaffe.logs.glog import Line, LogWriter, dump, number
from torchcaffe.logs.net_lines import built_lines, filtered_lines
from torchcaffe.solvers import events
from torchcaffe.solvers._single import single
from torchcaffe.solvers.clip import Clipped
from torchcaffe.solvers.events import Event, Output

Write = Callable[[Line], None]


class CaffeLog:
    """A listener that writes Caffe's lines.

    write
        takes each line; a LogWriter writes it to standard error.
    """

    def __init__(self, write: Write | None = None) -> None:
        self.write = write or LogWriter()
        self.display = 0

    def __call__(self, event: Event) -> None:
        """Write the lines of an event."""
        for line in self._lines(event):
            self.write(line)

    def _lines(self, event: Event) -> Iterator[Line]:
        match event:
            case events.Initializing(param):
                self.display = param.display
                text = f"Initializing solver from parameters: \n{dump(param)}"
                yield Line("solver.cpp:45", text)
            case events.Displayed():
                yield from _displayed(event, self.display)
            case events.CreatingNet():
                yield _creating(event)
                yield from filtered_lines(event.param)
            case events.CreatedNet(net=net):
                yield from built_lines(net)
            case events.Finetuning(file, ignored):
                yield Line("solver.cpp:72", f"Finetuning from {file}")
                place = "net.cpp:801" if file.endswith(".h5") else "net.cpp:746"
                yield from (Line(place, f"Ignoring source layer {name}") for name in ignored)
            case events.DebugForward() | events.DebugBackward() | events.DebugNorms():
                yield _debug(event)
            case _:
                yield from _others(event)


def _others(event: Event) -> Iterator[Line]:
    match event:
        case events.Scaffolded():
            yield Line("solver.cpp:57", "Solver scaffolding done.")
        case events.Solving(net, policy):
            yield Line("solver.cpp:289", f"Solving {net}")
            yield Line("solver.cpp:290", f"Learning Rate Policy: {policy}")
        case events.Restoring(file):
            yield Line("solver.cpp:296", f"Restoring previous solver status from {file}")
        case events.Restored(path) if not path.name.endswith(".h5"):
            yield Line("sgd_solver.cpp:336", "SGDSolver: restoring history")
        case events.Testing(iteration, test, ignored):
            yield Line("solver.cpp:347", f"Iteration {iteration}, Testing net (#{test})")
            yield from (Line("net.cpp:678", f"Ignoring source layer {name}") for name in ignored)
        case events.Tested(_, _, loss, outputs):
            if loss is not None:
                yield Line("solver.cpp:401", f"Test loss: {number(loss)}")
            yield from _outputs("solver.cpp:414", "Test", outputs)
        case events.TestInterrupted():
            yield Line("solver.cpp:396", "Test interrupted.")
        case events.Stepped(iteration, step):
            words = f"MultiStep Status: Iteration {iteration}, step = {step}"
            yield Line("sgd_solver.cpp:50", words)
        case events.Rated(iteration, lr):
            yield Line("sgd_solver.cpp:112", f"Iteration {iteration}, lr = {number(lr)}")
        case Clipped(norm, threshold, scale):
            words = f"(L2 norm {number(norm)} > {number(threshold)}) by scale factor"
            text = f"Gradient clipping: scaling down gradients {words} {number(scale)}"
            yield Line("sgd_solver.cpp:99", text)
        case events.Snapshotting():
            yield _snapshotting(event)
        case events.FinalLoss(iteration, loss):
            yield Line("solver.cpp:327", f"Iteration {iteration}, loss = {number(loss)}")
        case events.Stopped(reason):
            place = "solver.cpp:332" if reason is events.Stop.FINISHED else "solver.cpp:311"
            yield Line(place, reason.value)


def _creating(event: events.CreatingNet) -> Line:
    inline = event.file is None
    source = event.source if inline else f"{event.source} file: {event.file}"
    if event.test is not None:
        text = f"Creating test net (#{event.test}) specified by {source}"
        return Line("solver.cpp:190", text)
    places = {"train_net_param": 88, "train_net": 92, "net_param": 97, "net": 102}
    text = f"specified in {source}." if inline else f"from {source}"
    return Line(f"solver.cpp:{places[event.source]}", f"Creating training net {text}")


def _displayed(event: events.Displayed, display: int) -> Iterator[Line]:
    # Caffe's clock has whole milliseconds.
    seconds = int(event.seconds * 1000) / 1000
    speed = f"{number(event.iterations / (seconds or 1))} iter/s"
    words = f"Iteration {event.iteration} ({speed}, {number(seconds)}s/{display} iters)"
    yield Line("solver.cpp:239", f"{words}, loss = {number(event.loss)}")
    yield from _outputs("solver.cpp:258", "Train", event.outputs)


def _outputs(place: str, kind: str, outputs: Sequence[Output]) -> Iterator[Line]:
    for index, output in enumerate(outputs):
        yield Line(place, f"    {kind} net output #{index}: {output_text(output)}")


def output_text(output: Output) -> str:
    """A number of an output: ``loss = 1.385 (* 1 = 1.385 loss)``; the loss only if it is one."""
    text = f"{output.blob} = {number(output.value)}"
    if output.weight:
        loss = number(single(output.weight * output.value))
        text += f" (* {number(output.weight)} = {loss} loss)"
    return text


def _snapshotting(event: events.Snapshotting) -> Line:
    hdf5 = event.path.name.endswith(".h5")
    kind = "HDF5 file" if hdf5 else "binary proto file"
    if event.kind == "model":
        place = "solver.cpp:474" if hdf5 else "solver.cpp:464"
        return Line(place, f"Snapshotting to {kind} {event.path}")
    if event.kind == "torch":
        return Line("solver.cpp:464", f"Snapshotting to torchcaffe's state {event.path}")
    place = "sgd_solver.cpp:296" if hdf5 else "sgd_solver.cpp:284"
    return Line(place, f"Snapshotting solver state to {kind} {event.path}")


def _debug(event: events.DebugForward | events.DebugBackward | events.DebugNorms) -> Line:
    if isinstance(event, events.DebugNorms):
        data = [number(value) for value in (event.l1_data, event.l1_diff)]
        norms = [number(value) for value in (event.l2_data, event.l2_diff)]
        text = f"L1 norm = ({', '.join(data)}); L2 norm = ({', '.join(norms)})"
        words = "    [Backward] All net params (data, diff): "
        return Line("net.cpp:721", words + text, "E")
    what = f"Layer {event.layer}, {event.kind} blob {event.blob}"
    if isinstance(event, events.DebugForward):
        place = {"top": 593, "param": 605}[event.kind]
        return Line(f"net.cpp:{place}", f"    [Forward] {what} data: {number(event.value)}")
    place = {"bottom": 621, "param": 632}[event.kind]
    return Line(f"net.cpp:{place}", f"    [Backward] {what} diff: {number(event.value)}")
