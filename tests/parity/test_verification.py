"""What a verification says, in sentences and in JSON."""

import json

import numpy as np
import pytest

from torchcaffe.layers._exactness import accumulated, bitwise
from torchcaffe.parity.compare import Difference, compare
from torchcaffe.parity.verification import Row, Verification

BASE = np.linspace(1, 2, 24, dtype=np.float32).reshape(2, 12)
EQUAL = compare("x", BASE, BASE, bitwise())
NEAR = compare("x", BASE * np.float32(1 + 2**-22), BASE, accumulated(8))
FAR = compare("x", BASE * np.float32(1 + 2**-12), BASE, accumulated(8))
OTHER_BITS = compare("x", BASE * np.float32(1 + 2**-22), BASE, bitwise())
ODD = compare("x", np.full_like(BASE, np.nan), BASE, accumulated(8))


def row(
    kind: str, layer: str, local: Difference | None, chained: Difference | None, depth: int = 1
) -> Row:
    name = f"{layer}/0" if "parameter" in kind or kind == "statistic" else layer
    return Row(kind, layer, "Convolution", name, BASE.shape, depth, local, chained)


def verification(*rows: Row, net: str = "Net") -> Verification:
    return Verification(net, "TEST", rows, ("A note.",), {"caffe": "1.0.0"}, {"torch": "2.13.0"})


SAME = row("blob", "conv", EQUAL, EQUAL)


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ((), "Nothing was compared: the recording holds no blob that this net computes."),
        ((row("parameter", "conv", None, EQUAL),), "Nothing was compared: "),
        (
            (SAME,),
            '"Net" is the same network: 1 blob compared with Caffe, first difference: none. All '
            "blobs are equal to the last bit.",
        ),
        (
            (SAME, row("blob", "fc", EQUAL, NEAR)),
            '"Net" is the same network: 2 blobs compared with Caffe, first difference: none. 1 ',
        ),
        (
            (SAME, row("blob", "fc", NEAR, NEAR), row("gradient", "fc", NEAR, NEAR)),
            "2 blobs and 1 gradient",
        ),
        (
            (SAME, row("blob", "fc", FAR, FAR), row("blob", "prob", EQUAL, FAR)),
            '"Net" is not the same network: 2 of 3 blobs differ. The first is blob "fc" of layer '
            '"fc" (Convolution): given Caffe\'s own input, this layer alone gives other numbers. '
            "At [",
        ),
        (
            (row("parameter", "conv", None, OTHER_BITS), SAME),
            '"Net" has other weights than the recorded net: 1 of 1 parameter blobs differs, the '
            'first is parameter blob 0 of layer "conv" (Convolution). Give the weights file that '
            "was recorded.",
        ),
        (
            (SAME, row("blob", "fc", NEAR, FAR)),
            '"Net" does not give Caffe\'s numbers: 1 of 2 blobs differs. The first is blob "fc" of '
            'layer "fc" (Convolution). Each layer alone agrees with Caffe, but what they round '
            "adds up to more than they declare. At [",
        ),
        (
            (SAME, row("blob", "fc", None, FAR)),
            '"Net" is not the same network: 1 of 2 blobs differs. The first is blob "fc"',
        ),
        (
            (SAME, row("gradient", "fc", FAR, FAR)),
            '"Net" is not the same network: 1 of 1 gradients differs. The first is the gradient of '
            'blob "fc" of layer "fc" (Convolution)',
        ),
        (
            (SAME, row("parameter gradient", "fc", FAR, FAR)),
            'The first is the gradient of parameter blob 0 of layer "fc" (Convolution)',
        ),
        (
            (SAME, row("statistic", "bn", FAR, FAR)),
            'The first is statistic blob 0 of layer "bn" (Convolution)',
        ),
        ((SAME, row("blob", "fc", ODD, ODD)), "Ours is nan at (0, 0), theirs 1.0: the patterns of"),
        ((SAME, row("blob", "fc", OTHER_BITS, FAR)), "; it must be equal to the last bit."),
        ((SAME, row("blob", "fc", FAR, FAR)), " times what its class, accumulated(8), allows."),
        ((SAME, row("blob", "fc", None, None)), "It was not compared."),
    ],
)
def test_verdict(rows: tuple[Row, ...], words: str) -> None:
    assert words in verification(*rows).verdict


def test_a_net_without_a_name_has_a_verdict_too() -> None:
    assert verification(SAME, net="").verdict.startswith("The net is the same network: ")


def test_passed_asks_for_blobs_and_for_every_row() -> None:
    assert verification(SAME).passed
    assert not verification().passed
    assert not verification(row("parameter", "conv", None, EQUAL)).passed
    assert not verification(SAME, row("blob", "fc", None, None)).passed
    assert not verification(SAME, row("blob", "fc", EQUAL, FAR)).passed
    assert not verification(SAME, row("gradient", "fc", FAR, EQUAL)).passed


def test_the_first_difference_is_the_first_row() -> None:
    bad = row("blob", "fc", EQUAL, FAR)
    assert verification(SAME, bad, row("blob", "prob", FAR, FAR)).first_difference is bad
    assert verification(SAME).first_difference is None


def test_json() -> None:
    found = verification(SAME, row("blob", "fc", ODD, FAR))
    text = found.to_json()
    values = json.loads(text, parse_constant=lambda word: pytest.fail(f"not JSON: {word}"))
    assert values["passed"] is False
    assert values["verdict"] == found.verdict
    assert values["first_difference"] == 1
    assert [each["passed"] for each in values["rows"]] == [True, False]
    assert values["rows"][0]["local"]["meets"] == "bitwise"
    assert values["rows"][1]["local"]["meets"] is None
    chained = values["rows"][1]["chained"]
    assert chained["held_to"] == "accumulated(8)"
    assert chained["max_abs"] == pytest.approx(2 * 2**-12, rel=0.1)
    assert values["caffe"] == {"caffe": "1.0.0"}
    assert text == found.to_json()


def test_json_of_infinite_differences() -> None:
    zero = compare("x", np.ones(3, np.float32), np.zeros(3, np.float32), accumulated(8))
    values = json.loads(verification(row("blob", "fc", zero, zero)).to_json())
    assert values["rows"][0]["chained"]["max_rel"] == "inf"
