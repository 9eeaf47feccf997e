"""goturn/regressor.py: the source that torchcaffe prints for the published net."""

import importlib.util
from pathlib import Path

import torch

from goturn import regressor
from goturn.network import PUBLISHED, deploy_net
from torchcaffe import CaffeNet
from torchcaffe.codegen import print_net
from torchcaffe.proto import read_net

SCRIPT = Path(__file__).parents[2] / "scripts" / "regressor.py"


def test_it_is_what_is_printed() -> None:
    spec = importlib.util.spec_from_file_location("write_regressor", SCRIPT)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    assert Path(regressor.__file__).read_text() == script.source()


def test_it_gives_the_net_s_bits() -> None:
    param = deploy_net(read_net(PUBLISHED), "published")
    net = CaffeNet(param, "TEST", unfilled=[layer.name for layer in param.layer])
    generator = torch.Generator().manual_seed(1701)
    with torch.no_grad():
        for blobs in net.params.values():
            for blob in blobs:
                # Spread so that no layer's answers die out.
                blob.normal_(0, blob[0].numel() ** -0.5, generator=generator)
    module = regressor.GOTURN().eval()
    module.load_state_dict(print_net(net, None).state.tensors)
    crops = torch.randn(2, 3, 227, 227, generator=generator) * 50
    with torch.inference_mode():
        expected = net(target=crops, image=crops.flip(0))["fc8"]
        assert torch.equal(module(crops, crops.flip(0)), expected)
    assert expected.abs().min() > 0
