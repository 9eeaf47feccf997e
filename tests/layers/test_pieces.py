import pytest
import torch
from torch import Tensor

from torchcaffe.layers._pieces import in_pieces


def halved_difference(a: Tensor, b: Tensor) -> Tensor:
    return (a.double() - b).div_(2).to(a.dtype)


@pytest.mark.parametrize("shape", [(), (0, 3), (5,), (2, 32768), (3, 5, 17, 331)])
def test_pieces_give_what_the_whole_gives(shape: tuple[int, ...]) -> None:
    a, b = torch.randn(shape), torch.randn(shape)
    y = in_pieces(halved_difference, a, b)
    assert y.dtype == torch.float32
    assert torch.equal(y, halved_difference(a, b))


def test_pieces_are_small() -> None:
    sizes: list[int] = []

    def note(x: Tensor) -> Tensor:
        sizes.append(x.numel())
        return x

    piece = 32768 * torch.get_num_threads()
    in_pieces(note, torch.zeros(2, piece + 1))
    assert sizes == [piece, piece, 2]


def test_inputs_may_lie_otherwise_in_memory() -> None:
    a, b = torch.randn(2, 40000), torch.randn(40000, 2)
    expanded = torch.ones(()).expand(2, 40000)
    assert torch.equal(in_pieces(halved_difference, a, b.t()), halved_difference(a, b.t()))
    assert torch.equal(in_pieces(halved_difference, b.t(), a), halved_difference(b.t(), a))
    assert torch.equal(in_pieces(halved_difference, a, expanded), halved_difference(a, expanded))


def test_compiled_there_are_no_pieces() -> None:
    whole = torch.compile(
        lambda a, b: in_pieces(halved_difference, a, b), fullgraph=True, backend="eager"
    )
    a, b = torch.randn(2, 40000), torch.randn(2, 40000)
    assert torch.equal(whole(a, b), halved_difference(a, b))
