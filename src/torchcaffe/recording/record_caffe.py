#!/usr/bin/env python
"""Record what Caffe does with a net, so that another program can be held against it.

    python record_caffe.py deploy.prototxt weights.caffemodel -o recording/

Runs wherever that Caffe's own Python module runs: it imports caffe, numpy and Python's library
(2.7 or 3) and nothing else. It sends nothing anywhere. The folder it writes holds

    recording.json   what was run, layer by layer, and with which versions
    arrays.npz       inputs, parameters and every blob; also gradients if asked for
    net.prototxt     the net as it was given

Copy the folder to where torchcaffe is installed, and run

    torchcaffe verify deploy.prototxt weights.caffemodel recording/
"""

from __future__ import print_function

import argparse
import datetime
import hashlib
import io
import json
import os
import platform
import shutil
import sys
import zipfile

import numpy as np

FORMAT = 1

# Bottoms that hold labels, indices or switches. "classes": whole numbers below the number of
# predictions a label; a number: whole numbers below it; else the axis size that limits them.
LABELS = {
    ("SoftmaxWithLoss", 1): "classes",
    ("MultinomialLogisticLoss", 1): "classes",
    ("InfogainLoss", 1): "classes",
    ("HingeLoss", 1): "classes",
    ("Accuracy", 1): "classes",
    ("SigmoidCrossEntropyLoss", 1): 2,
    ("ContrastiveLoss", 2): 2,
    ("RNN", 1): 2,
    ("LSTM", 1): 2,
    ("LSTMUnit", 2): 2,
    ("BatchReindex", 1): "rows",
    ("Embed", 0): "words",
}

DATA_LAYERS = ("Data", "HDF5Data", "ImageData", "WindowData")


class Refusal(Exception):
    """Something that the person can put right; printed as one line."""


class Store(object):
    """arrays.npz while it is being written; equal arrays are kept once."""

    def __init__(self, path):
        self.file = zipfile.ZipFile(path, "w", zipfile.ZIP_STORED, True)
        self.known = {}

    def keep(self, values):
        """Write an array; its entry in recording.json."""
        entry, values = described(values)
        known = (entry["sha256"], tuple(entry["shape"]))
        if known not in self.known:
            self.known[known] = "%05d" % len(self.known)
            buffer = io.BytesIO()
            np.save(buffer, values)
            # A fixed date: the same run gives the same bytes.
            info = zipfile.ZipInfo(self.known[known] + ".npy", (1980, 1, 1, 0, 0, 0))
            info.external_attr = 0o644 << 16
            self.file.writestr(info, buffer.getvalue())
        entry["array"] = self.known[known]
        return entry


def described(values):
    """Shape and checksum of an array, and the array as float32 of its own."""
    values = np.array(values, dtype="<f4", order="C")
    digest = hashlib.sha256(values.tobytes()).hexdigest()
    return {"shape": [int(size) for size in values.shape], "sha256": digest}, values


def text(name):
    """A name as Unicode, also under Python 2."""
    return name.decode("utf-8", "replace") if isinstance(name, bytes) else name


class Layer(object):
    """One layer of a caffe.Net. Before August 2015, pycaffe did not tell bottoms and tops."""

    def __init__(self, net, index):
        self.index = index
        self.name = net._layer_names[index]
        self.type = getattr(net.layers[index], "type", "")
        self.blobs = net.layers[index].blobs
        known = hasattr(net, "_top_ids")
        self.bottoms = list(net._bottom_ids(index)) if known else None
        self.tops = list(net._top_ids(index)) if known else None


def layers_of(net):
    """All layers in the order they run."""
    return [Layer(net, index) for index in range(len(net.layers))]


def build_net(caffe, args, phase, seed):
    """The net with its weights; layers without weights keep what the seeded fillers drew."""
    set_seed(caffe, seed)
    net = caffe.Net(args.net, phase)
    if args.weights:
        net.copy_from(args.weights)
    fed = [layer.name for layer in layers_of(net) if layer.type == "MemoryData"]
    if fed:
        raise Refusal(
            'layer "%s" is a MemoryData layer, which only a program can feed; put an Input layer '
            "in its place, and give its values with --input" % fed[0]
        )
    return net


def set_seed(caffe, seed):
    """Restart Caffe's random stream; whether this Caffe can (pycaffe of June 2016 or later)."""
    if not hasattr(caffe, "set_random_seed"):
        return False
    caffe.set_random_seed(seed)
    return True


# Inputs


def read_inputs(options):
    """--input NAME=FILE.npy, as arrays by name."""
    inputs = {}
    for option in options:
        name, equals, path = option.partition("=")
        if not equals:
            raise Refusal("--input takes NAME=FILE.npy, got %s" % option)
        if not os.path.isfile(path):
            raise Refusal("--input %s: there is no file %s" % (name, path))
        try:
            inputs[name] = np.asarray(np.load(path), dtype=np.float32)
        except (ValueError, IOError) as error:
            raise Refusal("--input %s: %s is not a .npy file: %s" % (name, path, error))
    return inputs


def put_inputs(net, given, seed):
    """Give every input of the net its values; how each came about, by name."""
    names = list(net.inputs)
    for name in sorted(given):
        if name not in names:
            raise Refusal(
                '"%s" is not an input of the net; it has %s' % (name, ", ".join(names) or "none")
            )
        if tuple(net.blobs[name].data.shape) != given[name].shape:
            net.blobs[name].reshape(*given[name].shape)
    net.reshape()
    missing = [name for name in names if name not in given]
    if len(missing) > 1 and not hasattr(net, "_bottom_ids"):
        raise Refusal(
            "this Caffe does not tell which inputs are labels; give all of them: %s"
            % " ".join("--input %s=%s.npy" % (name, name) for name in missing)
        )
    made = {}
    for name in names:
        blob = net.blobs[name]
        if name in given:
            blob.data[...], made[name] = given[name], "given"
        else:
            random = np.random.RandomState((seed + names.index(name)) % 2**32)
            blob.data[...], made[name] = generated(net, name, blob.data.shape, random)
    return made


def generated(net, name, shape, random):
    """Values for an input that was not given, and what they are in words."""
    limit = label_limit(net, name)
    if limit is None:
        return random.standard_normal(shape), "normal numbers"
    return random.randint(0, limit, shape), "whole numbers below %d" % limit


def label_limit(net, name):
    """Below what the whole numbers on an input must stay; None if it holds no labels."""
    if not hasattr(net, "_bottom_ids"):
        return None
    following = set([list(net._blob_names).index(name)])
    limits = []
    for layer in layers_of(net):
        for position, bottom in enumerate(layer.bottoms):
            if bottom not in following:
                continue
            if layer.type == "Split":
                following.update(layer.tops)
            rule = LABELS.get((layer.type, position))
            if layer.type == "Filter" and position == len(layer.bottoms) - 1:
                rule = 2
            limits.append(limit_of(net, layer, position, rule))
    found = [limit for limit in limits if limit is not None]
    return min(found) if found else None


def limit_of(net, layer, position, rule):
    """The limit that one reader of a label sets."""
    first = net._blobs[layer.bottoms[0]].data
    if rule == "classes":
        return max(first.size // net._blobs[layer.bottoms[position]].data.size, 1)
    if rule == "rows":
        return first.shape[0]
    if rule == "words":
        return layer.blobs[0].data.shape[0]
    return rule


# One pass


def record_params(layers, store, keep):
    """Every parameter blob: checksum, and values if they are to be kept."""
    entries = []
    for layer in layers:
        for index, blob in enumerate(layer.blobs):
            entry = store.keep(blob.data) if keep else described(blob.data)[0]
            entries.append(dict(entry, layer=text(layer.name), index=index))
    return entries


def named(entry, name):
    """An entry with the blob's name."""
    return dict(entry, name=text(name))


def record_forward(net, layers, store):
    """Run layer by layer, and keep every top before a later layer changes it in place."""
    names = list(net._blob_names)
    before = digests(net) if layers and layers[0].tops is None else None
    records, total = [], np.float32(0)
    for layer in layers:
        loss = net._forward(layer.index, layer.index)
        total += np.float32(loss or 0)
        tops = layer.tops
        if tops is None:
            after = digests(net)
            tops = [place for place in range(len(names)) if after[place] != before[place]]
            before = after
        record = {"name": text(layer.name), "type": text(layer.type)}
        record["tops"] = [named(store.keep(net._blobs[top].data), names[top]) for top in tops]
        if layer.bottoms is not None:
            record["bottoms"] = [text(names[bottom]) for bottom in layer.bottoms]
        records.append(record)
    return records, float(total)


def digests(net):
    """Checksums of all blobs, to see which ones a layer changed."""
    return [described(blob.data)[0]["sha256"] for blob in net._blobs]


def record_backward(net, layers, records, store, seed):
    """Run backward layer by layer from random gradients on the outputs; losses keep their own."""
    names = list(net._blob_names)
    for layer in layers:
        for blob in layer.blobs:
            blob.diff[...] = 0
    random = np.random.RandomState(seed)
    top_diffs = []
    for name in net.outputs:
        blob = net.blobs[name]
        if not blob.diff.any():  # a loss carries its weight there
            blob.diff[...] = random.standard_normal(blob.diff.shape)
            top_diffs.append(named(store.keep(blob.diff), name))
    for layer, record in reversed(list(zip(layers, records))):
        net._backward(layer.index, layer.index)
        if layer.bottoms is not None:
            record["bottom_diffs"] = [
                named(store.keep(net._blobs[bottom].diff), names[bottom])
                for bottom in layer.bottoms
            ]
    outputs = set(net.outputs)
    inner = [blob.diff for name, blob in zip(names, net._blobs) if name not in outputs]
    inner += [blob.diff for layer in layers for blob in layer.blobs]
    if not any(diff.any() for diff in inner):
        raise Refusal(
            "the backward pass computed no gradient: the net has no loss (or nothing in it "
            'learns). Add "force_backward: true" to the prototxt, or leave --backward out'
        )
    diffs = [named(store.keep(blob.diff), name) for name, blob in zip(names, net._blobs)]
    return top_diffs, diffs


def record_pass(caffe, args, store):
    """The inputs, parameters, blobs and gradients of one pass."""
    net = build_net(caffe, args, getattr(caffe, args.phase), args.seed)
    layers = layers_of(net)
    made = put_inputs(net, args.given, args.seed)
    for name in net.inputs:
        print("input %s %s: %s" % (name, tuple(net.blobs[name].data.shape), made[name]))
    result = {"inputs": [dict(named(store.keep(net.blobs[n].data), n), made=made[n]) for n in made]}
    result["params"] = record_params(layers, store, not args.no_weights)
    if not hasattr(net, "_top_ids"):
        pairs = zip(net._blob_names, net._blobs)
        result["initial"] = [named(store.keep(blob.data), name) for name, blob in pairs]
    seeded = set_seed(caffe, args.seed)
    result["layers"], result["loss"] = record_forward(net, layers, store)
    for record in result["layers"]:
        if record["type"] in DATA_LAYERS:
            result["inputs"] += [dict(top, made="by the layer") for top in record["tops"]]
    blobs = [blob for layer in layers for blob in layer.blobs]
    for entry, blob in zip(result["params"], blobs):
        if described(blob.data)[0]["sha256"] != entry["sha256"]:
            entry["after"] = store.keep(blob.data)
    if args.backward:
        found = record_backward(net, layers, result["layers"], store, args.seed)
        result["top_diffs"], result["diffs"] = found
        for entry, blob in zip(result["params"], blobs):
            entry["diff"] = store.keep(blob.diff)
    result["seed"] = args.seed if seeded else None
    result["outputs"] = [text(name) for name in net.outputs]
    return result


# A training run


def record_training(caffe, args, store):
    """Losses and parameter checksums after each iteration of a solver."""
    set_seed(caffe, args.seed)
    solver = getattr(caffe, "get_solver", caffe.SGDSolver)(args.solver)
    if args.weights:
        solver.net.copy_from(args.weights)
    known = dict((name, args.given[name]) for name in solver.net.inputs if name in args.given)
    made = put_inputs(solver.net, known, args.seed)
    layers, names = layers_of(solver.net), list(solver.net._blob_names)
    fed = [top for layer in layers if layer.bottoms == [] for top in layer.tops]
    with open(args.solver, "rb") as file:
        result = {"solver": text(file.read())}
    blobs = solver.net.blobs
    result["inputs"] = [dict(named(store.keep(blobs[n].data), n), made=made[n]) for n in made]
    result["params"] = record_params(layers, store, not args.no_weights)
    result["iterations"] = []
    for _ in range(args.iterations):
        solver.step(1)
        outputs = [name for name in solver.net.outputs if blobs[name].data.size == 1]
        record = {"outputs": dict((text(n), float(blobs[n].data.ravel()[0])) for n in outputs)}
        record["params"] = [summary(blob) for layer in layers for blob in layer.blobs]
        tops = [(names[top], solver.net._blobs[top].data) for top in fed]
        record["fed"] = [named(described(values)[0], name) for name, values in tops]
        result["iterations"].append(record)
    result["after"] = record_params(layers, store, not args.no_weights)
    return result


def summary(blob):
    """A checksum, and two sums that say how far apart two runs are."""
    values = np.array(blob.data, dtype=np.float64)
    entry = {"sha256": described(blob.data)[0]["sha256"], "sum": float(values.sum())}
    return dict(entry, square_sum=float(np.square(values).sum()))


# The folder


def versions(caffe, args):
    """What ran, as far as it can be seen from here."""
    found = {"caffe": getattr(caffe, "__version__", "unknown, before 1.0")}
    found["numpy"] = np.__version__
    found["python"] = platform.python_version()
    libc = " ".join(part for part in platform.libc_ver() if part)
    found["platform"] = " ".join([platform.system(), platform.machine(), libc]).strip()
    found["mode"] = "CPU" if args.gpu is None else "GPU %d" % args.gpu
    try:
        with open("/proc/self/maps") as file:
            paths = set(line.split()[-1] for line in file if ".so" in line)
    except IOError:
        paths = set()
    names = set(os.path.basename(os.path.realpath(path)) for path in paths)
    blas = [n for n in names if any(word in n for word in ("blas", "mkl", "atlas", "blis"))]
    found["blas"] = ", ".join(sorted(blas)) or "not visible"
    return dict((name, text(value)) for name, value in found.items())


def write_recording(caffe, args):
    """Write to a temporary folder beside the target, and rename it when all is in it."""
    target = os.path.abspath(args.output)
    folder = "%s.%d.tmp" % (target, os.getpid())
    os.makedirs(folder)
    try:
        index = {"format": "torchcaffe recording", "version": FORMAT, "phase": args.phase}
        index["date"] = datetime.datetime.now().strftime("%Y-%m-%d")
        shutil.copyfile(args.net, os.path.join(folder, "net.prototxt"))
        store = Store(os.path.join(folder, "arrays.npz"))
        try:
            index.update(record_pass(caffe, args, store))
            if args.solver:
                index["training"] = record_training(caffe, args, store)
        finally:
            store.file.close()
        index["versions"] = versions(caffe, args)
        with open(os.path.join(folder, "recording.json"), "w") as file:
            json.dump(index, file, indent=1, sort_keys=True)
        os.rename(folder, target)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    size = sum(os.path.getsize(os.path.join(target, name)) for name in os.listdir(target))
    print(
        "recorded %d layers of %s in %s: %s (%.1f MB)"
        % (len(index["layers"]), args.net, args.phase, args.output, size / 1e6)
    )


def parse(argv):
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="record_caffe.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("net", metavar="NET", help="the prototxt")
    add("weights", metavar="WEIGHTS", nargs="?", help="the caffemodel; without it, seeded fillers")
    add("-o", "--output", metavar="FOLDER", required=True, help="a folder that is not there yet")
    add(
        "--input",
        metavar="NAME=FILE.npy",
        action="append",
        default=[],
        help="values of an input, any shape the net takes; inputs that are not given get seeded "
        "numbers: whole ones where a layer reads labels, else normal ones",
    )
    add("--phase", choices=["TEST", "TRAIN"], default="TEST", help="default: TEST")
    add("--seed", type=int, default=1701, help="of Caffe's random numbers and of inputs; 1701")
    add("--backward", action="store_true", help="record gradients as well")
    add("--no-weights", action="store_true", help="only checksums of the parameters: less to copy")
    add("--solver", metavar="SOLVER", help="also train with this solver, after the pass")
    add("--iterations", type=int, default=10, metavar="N", help="how long to train; 10")
    add("--gpu", type=int, metavar="ID", help="run on this GPU; default: CPU")
    return parser.parse_args(argv)


def check_paths(args):
    """Refuse what cannot work before Caffe starts: Caffe would end the whole process."""
    for path in (args.net, args.weights, args.solver):
        if path and not os.path.isfile(path):
            raise Refusal("there is no file %s" % path)
    if os.path.exists(args.output):
        raise Refusal("%s is there already; choose another folder, or delete it" % args.output)
    if not 0 <= args.seed < 2**32:
        raise Refusal("--seed takes a whole number from 0 to 4294967295, got %d" % args.seed)
    args.given = read_inputs(args.input)


def main(argv=None):
    """Record; the exit status."""
    args = parse(argv)
    try:
        check_paths(args)
        os.environ.setdefault("GLOG_minloglevel", "2")  # errors only
        try:
            import caffe
        except ImportError as error:
            raise Refusal(
                "Python cannot import caffe (%s); run this with the Python of your Caffe, with "
                "PYTHONPATH=CAFFE/python" % error
            )
        if args.gpu is None:
            caffe.set_mode_cpu()
        else:
            caffe.set_device(args.gpu)
            caffe.set_mode_gpu()
        write_recording(caffe, args)
    except Refusal as refusal:
        print("record_caffe.py: %s" % refusal, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
