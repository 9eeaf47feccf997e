"""Numbers moved by one part in many: which ones, how far, and what stays."""

import torch

from torchcaffe.parity.nudge import POOL, Nudge

STEP = 2.0**-12
FRACTIONS = torch.linspace(0.1, 0.9, 40)


def moved(result: torch.Tensor, exact: torch.Tensor) -> torch.Tensor:
    """How far each element is off, in steps."""
    return (result / exact - 1) / STEP


def test_every_element_is_off_by_the_step_up_or_down() -> None:
    found = moved(Nudge(1701, STEP).move(FRACTIONS), FRACTIONS)
    assert torch.allclose(found.abs(), torch.ones(40), atol=1e-3)
    assert 5 < (found > 0).sum() < 35


def test_what_operators_compute_is_moved() -> None:
    with Nudge(1701, STEP):
        result = FRACTIONS * 0.7
    assert torch.allclose(moved(result, FRACTIONS * 0.7).abs(), torch.ones(40), atol=1e-3)


def test_what_operators_write_in_place_is_moved() -> None:
    values = FRACTIONS.clone()
    with Nudge(1701, STEP):
        values.mul_(0.7)
        written = torch.empty(40)
        torch.add(FRACTIONS, 0.05, out=written)
    assert torch.allclose(moved(values, FRACTIONS * 0.7).abs(), torch.ones(40), atol=1e-3)
    assert torch.allclose(moved(written, FRACTIONS + 0.05).abs(), torch.ones(40), atol=1e-3)


def test_copies_views_and_whole_numbers_stay() -> None:
    labels = torch.tensor([3.0, 0.0, 17.0])
    with Nudge(1701, STEP):
        target = torch.empty(40)
        target.copy_(FRACTIONS)
        view = FRACTIONS.view(8, 5)
        counted = labels + 1
        indices = labels.long() + 1
    assert torch.equal(target, FRACTIONS)
    assert torch.equal(view, FRACTIONS.view(8, 5))
    assert torch.equal(counted, labels + 1)
    assert torch.equal(indices, torch.tensor([4, 1, 18]))


def test_gradients_are_moved_too() -> None:
    x = FRACTIONS.clone().requires_grad_()
    with Nudge(1701, STEP):
        (grad,) = torch.autograd.grad((x * 0.7 * 0.3).sum(), [x])
    off = moved(grad, torch.full((40,), 0.21)).abs()
    assert off.max() > 0.5
    assert off.max() < 6


def test_it_is_the_same_every_time() -> None:
    first, second = (Nudge(7, STEP).move(FRACTIONS) for _ in range(2))
    assert torch.equal(first, second)
    assert not torch.equal(first, Nudge(8, STEP).move(FRACTIONS))


def test_more_elements_than_signs_were_drawn() -> None:
    nudge = Nudge(1701, STEP)
    signs = nudge.signs(torch.empty(POOL * 2 + 5, dtype=torch.float64))
    assert torch.equal(signs.sub(1).abs(), torch.full_like(signs, STEP))
    assert abs(float((signs > 1).double().mean()) - 0.5) < 0.01
