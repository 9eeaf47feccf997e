"""Writes src/goturn/regressor.py: the published GOTURN, as torchcaffe prints it."""

from pathlib import Path

from goturn.network import PUBLISHED, deploy_net
from torchcaffe import CaffeNet
from torchcaffe.codegen import print_net
from torchcaffe.proto import read_net

TARGET = Path(__file__).parent.parent / "src" / "goturn" / "regressor.py"


def source() -> str:
    """The text of the file."""
    param = deploy_net(read_net(PUBLISHED), PUBLISHED.name)
    net = CaffeNet(param, "TEST", unfilled=[layer.name for layer in param.layer])
    return print_net(net, None).source


if __name__ == "__main__":
    TARGET.write_text(source())
