"""Training from the command line, in processes of their own where signals matter."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from torchcaffe.cli import main

NET = """
name: "small"
layer { name: "data" type: "DummyData" top: "data" top: "target" dummy_data_param {
  shape { dim: 4 dim: 3 } shape { dim: 4 dim: 2 }
  data_filler { type: "gaussian" } data_filler { type: "gaussian" } } }
layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip"
        inner_product_param { num_output: 2 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "EuclideanLoss" bottom: "ip" bottom: "target" top: "loss" }
"""

SOLVER = """
net: "net.prototxt" base_lr: 0.01 lr_policy: "fixed" random_seed: 1
display: 2 max_iter: 6 snapshot: 3 snapshot_prefix: "s" test_iter: 2 test_interval: 3
"""

Outcome = tuple[int, str, str]
Run = Callable[..., Outcome]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Run a command line in a folder with a solver: status, standard output, standard error."""
    monkeypatch.chdir(tmp_path)
    Path("net.prototxt").write_text(NET)
    Path("solver.prototxt").write_text(SOLVER)

    def call(*args: str) -> Outcome:
        try:
            main(list(args))
            status = 0
        except SystemExit as stop:
            status = int(stop.code or 0)
        found = capsys.readouterr()
        return status, found.out, found.err

    return call


def messages(log: str) -> list[str]:
    """The messages of a log, without prefixes and without dumps of parameters."""
    return [line.split("] ", 1)[1] for line in log.splitlines() if line[:1] == "I"]


@pytest.mark.parametrize(
    "flags",
    [["--solver", "solver.prototxt"], ["-solver", "solver.prototxt"], ["-solver=solver.prototxt"]],
    ids=" ".join,
)
def test_a_run_with_caffe_s_flags(run: Run, flags: list[str]) -> None:
    status, out, err = run("train", *flags, "-gpu=", "--logtostderr=1")
    assert (status, out) == (0, "")
    said = messages(err)
    assert said[0] == "Use CPU." and said[-2:] == ["Optimization Done.", "Optimization Done."]
    assert "Starting Optimization" in said and "Iteration 4, lr = 0.01" in said
    assert Path("s_iter_6.solverstate").is_file()


def test_a_snapshot_is_resumed_and_the_log_goes_on(run: Run) -> None:
    assert run("train", "--solver", "solver.prototxt", "--log-dir", "logs")[0] == 0
    assert run("train", "--solver", "solver.prototxt", "--log-dir", "logs")[0] == 1
    flags = ["--snapshot", "s_iter_3.solverstate", "--log-dir", "logs"]
    status, _, err = run("train", "--solver", "solver.prototxt", *flags)
    assert status == 0
    assert "Resuming from s_iter_3.solverstate" in messages(err)
    assert "SGDSolver: restoring history" in messages(err)
    rows = [json.loads(line) for line in Path("logs/rows.jsonl").read_text().splitlines()]
    trained = [row["iter"] for row in rows if row["phase"] == "train"]
    assert trained == [0, 2, 4, 6, 4, 6]
    assert [row["seconds"] for row in rows] == sorted(row["seconds"] for row in rows)


def test_resume_takes_the_newest_snapshot_or_begins(run: Run) -> None:
    flags = ["--solver", "solver.prototxt", "--resume", "--log-dir", "logs"]
    status, _, err = run("train", *flags)
    assert status == 0 and "Resuming" not in err
    Path("s_iter_6.caffemodel").write_bytes(b"cut")
    status, _, err = run("train", *flags)
    assert status == 0 and "Resuming from s_iter_3.solverstate" in messages(err)


def test_resume_does_not_begin_anew_over_states_that_it_cannot_read(run: Run) -> None:
    run("train", "--solver", "solver.prototxt")
    for file in Path().glob("*.caffemodel"):
        file.rename(f"moved_{file}")
    status, _, err = run("train", "--solver", "solver.prototxt", "--resume")
    assert status == 1 and "s_iter_3.solverstate is there, but neither it nor another" in err
    status, _, err = run("train", "--solver", "solver.prototxt", "--snapshot=s_iter_3.solverstate")
    assert status == 1 and 'its weights are in "s_iter_3.caffemodel"' in err


def test_weights_replace_the_solver_s_and_a_snapshot_both(run: Run) -> None:
    run("train", "--solver", "solver.prototxt")
    with Path("solver.prototxt").open("a") as file:
        file.write('weights: "gone.caffemodel"')
    status, _, err = run("train", "--solver", "solver.prototxt")
    assert status == 1 and "torchcaffe: gone.caffemodel does not exist" in err
    flags = ["--weights", "s_iter_3.caffemodel,s_iter_6.caffemodel"]
    status, _, err = run("train", "--solver", "solver.prototxt", *flags)
    said = [line for line in messages(err) if line.startswith("Finetuning")]
    assert status == 0
    assert said == 2 * [f"Finetuning from s_iter_{at}.caffemodel" for at in (3, 6)]
    flags = ["--snapshot", "s_iter_3.solverstate"]
    status, _, err = run("train", "--solver", "solver.prototxt", *flags)
    assert status == 0 and "Finetuning" not in err


def test_levels_and_stages_choose_the_train_net_s_layers(run: Run) -> None:
    Path("net.prototxt").write_text(
        NET
        + 'layer { name: "more" type: "Reduction" bottom: "ip" top: "more" '
        + 'include { stage: "x" stage: "y" min_level: 2 phase: TRAIN } }'
    )
    for flags, there in ([], False), (["--stage", "y,x", "--level=2"], True):
        _, _, err = run("train", "--solver", "solver.prototxt", *flags)
        assert ("Train net output #1: more = " in err) == there


def test_a_loss_that_is_not_finite_stops_unless_told_otherwise(run: Run) -> None:
    Path("solver.prototxt").write_text(SOLVER.replace("0.01", "1e38"))
    status, _, err = run("train", "--solver", "solver.prototxt")
    assert status == 1
    assert 'layer "ip" (InnerProduct)' in err or 'layer "loss" (EuclideanLoss)' in err
    assert "is the first that is not finite" in err and "--keep-going" in err
    status, _, err = run("train", "--solver", "solver.prototxt", "--keep-going")
    assert status == 0 and ("loss = nan" in err or "loss = inf" in err)


def test_the_prefix_that_caffe_would_change(run: Run) -> None:
    Path("solver.prototxt").write_text(SOLVER.replace('snapshot_prefix: "s"', ""))
    _, _, err = run("train", "--solver", "solver.prototxt")
    assert messages(err)[0] == "snapshot_prefix was not specified and is set to solver"
    Path("folder").mkdir()
    Path("solver.prototxt").write_text(SOLVER.replace('"s"', '"folder"'))
    _, _, err = run("train", "--solver", "solver.prototxt")
    expected = "snapshot_prefix was a directory and is replaced to folder/solver"
    assert messages(err)[0] == expected


@pytest.mark.parametrize(
    ("flags", "status", "words"),
    [
        (["train"], 2, "Missing option '--solver'"),
        (["train", "--solver", "gone"], 1, "gone does not exist; a text SolverParameter"),
        (
            ["train", "--solver", "solver.prototxt", "--snapshot=a", "--weights=b"],
            2,
            "give --snaps",
        ),
        (["train", "--solver", "solver.prototxt", "--sigint_effect=go"], 2, "'go' is not one of"),
        (["train", "--solver", "solver.prototxt", "--gpu", "7"], 1, "--gpu 7: torch sees no GPU"),
        (["train", "--solver", "solver.prototxt", "--gpu", "a"], 1, 'takes "all", "none" or numb'),
        (["train", "--solver", "solver.prototxt", "-gpu=all"], 1, "none computes on the CPU"),
        (["test", "--model", "net.prototxt"], 2, "Missing option '--weights'"),
        (["test", "--model", "net.prototxt", "--weights", "gone"], 1, "gone does not exist"),
        (
            ["test", "--model=net.prototxt", "--weights=w", "--iterations=0"],
            2,
            "is at least 1, got",
        ),
        (["time"], 2, "Missing option '--model'"),
        (["time", "--model", "gone"], 1, "gone does not exist; a text NetParameter"),
        (["time", "--model=net.prototxt", "--phase", "BOTH"], 2, "'BOTH' is not one of"),
        (["device_query", "--gpu", "all"], 1, "--gpu all: torch sees no GPU"),
        (["plot", "gone", "-o", "a.png"], 1, "gone does not exist; a log of Caffe's"),
        (["plot", "gone"], 2, "give -o IMAGE, --csv FOLDER or --json"),
    ],
)
def test_refusals(
    run: Run, flags: list[str], status: int, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    found, _, err = run(*flags)
    assert (found, words in err) == (status, True), err


def test_a_solver_that_wants_a_gpu_says_where(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    Path("solver.prototxt").write_text(SOLVER + "solver_mode: GPU device_id: 3")
    status, _, err = run("train", "--solver", "solver.prototxt")
    assert status == 1
    assert "solver.prototxt:4:1: solver_mode: GPU means --gpu 3: torch sees no GPU" in err
    assert run("train", "--solver", "solver.prototxt", "--gpu", "none")[0] == 0


def test_several_gpus_take_a_process_each(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    status, _, err = run("train", "--solver", "solver.prototxt", "--gpu", "all")
    assert status == 1 and "torchrun --nproc-per-node 2 -m torchcaffe train" in err


def test_scores(run: Run) -> None:
    run("train", "--solver", "solver.prototxt")
    flags = ["-model", "net.prototxt", "-weights", "s_iter_6.caffemodel", "-iterations", "3"]
    status, out, err = run("test", *flags)
    said = messages(err)
    assert (status, out) == (0, "")
    assert said[:2] == ["Use CPU.", "Running for 3 iterations."]
    batches = [float(line.split(" = ")[1]) for line in said if line.startswith("Batch")]
    assert len(batches) == 3 and said[2].startswith("Batch 0, loss = ")
    mean = sum(batches) / 3
    assert float(said[5].removeprefix("Loss: ")) == pytest.approx(mean, rel=1e-5)
    assert said[6].startswith(said[5].replace("Loss: ", "loss = ") + " (* 1 = ")


def give_inputs() -> None:
    """Put inputs in place of the net's data layer."""
    data = NET[NET.index("dummy_data_param") : NET.index('layer { name: "ip"')]
    inputs = "input_param { shape { dim: 4 dim: 3 } shape { dim: 4 dim: 2 } } }\n"
    Path("net.prototxt").write_text(NET.replace('"DummyData"', '"Input"').replace(data, inputs))


def test_a_net_with_inputs_has_no_data_to_be_scored_on(run: Run) -> None:
    run("train", "--solver", "solver.prototxt")
    give_inputs()
    status, _, err = run("test", "--model=net.prototxt", "--weights=s_iter_6.caffemodel")
    assert status == 1
    assert "net.prototxt: the net takes data, target as inputs, and a net is scored on data" in err


def test_times(run: Run) -> None:
    give_inputs()
    status, _, err = run("time", "--model=net.prototxt", "--iterations=2", "--weights=")
    said = messages(err)
    assert status == 0
    assert said[:4] == ["Use CPU.", "Performing Forward", "Initial loss: 0", "Performing Backward"]
    assert said[4:6] == ["*** Benchmark begins ***", "Testing for 2 iterations."]
    assert said[8] == "Average time per layer: " and said[9].startswith("      data\tforward: ")
    assert said[12].startswith("        ip\tbackward: ") and said[12].endswith(" ms.")
    assert [line.partition(":")[0] for line in said[-5:-1]] == [
        "Average Forward pass",
        "Average Backward pass",
        "Average Forward-Backward",
        "Total Time",
    ]


def test_no_gpus_are_queried_unless_asked_for(run: Run) -> None:
    status, _, err = run("device_query")
    assert (status, messages(err)) == (0, ["Querying GPUs "])


def test_curves_and_tables(run: Run) -> None:
    run("train", "--solver", "solver.prototxt", "--log-dir", "logs")
    status, out, _ = run("plot", "logs", "logs/train.log", "-o", "curves.png", "--csv", "tables")
    assert status == 0
    files = [f"tables/{log}.{part}" for log in ("logs", "train.log") for part in ("train", "test")]
    assert out.splitlines() == ["curves.png", *files]
    assert all(Path(file).is_file() for file in out.splitlines())
    _, out, _ = run("plot", "logs", "--json")
    assert [row["iteration"] for row in json.loads(out)[0]["train"]] == [0, 2, 4, 6]
