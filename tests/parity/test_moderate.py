"""Estimates from a few draws, against variances that are known."""

import pytest
import torch

from torchcaffe.parity.moderate import moderated

DRAWS = 4


def estimates(true: torch.Tensor) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1701)
    draws = torch.randn(DRAWS, *true.shape, generator=generator)
    return draws.square().mean(0) * true


@pytest.mark.parametrize("shape", [(2, 4, 30, 30), (2, 4000), (4000,), (20, 50, 1, 1)])
def test_equal_variances_are_found_nearly_exactly(shape: tuple[int, ...]) -> None:
    found = moderated(estimates(torch.full(shape, 9.0)), DRAWS)
    assert found.shape == shape
    assert 0.8 * 9 < float(found.min()) <= float(found.max()) < 1.6 * 9


def test_channels_keep_their_own_level() -> None:
    levels = 10.0 ** torch.arange(4).view(1, 4, 1, 1)
    found = moderated(estimates(levels.expand(1, 4, 40, 40)), DRAWS)
    assert ((found / levels).log().abs() < 0.5).all()


def test_elements_that_are_truly_unlike_are_left_alone() -> None:
    generator = torch.Generator().manual_seed(7)
    given = estimates(torch.exp(12 * torch.randn(1, 5000, generator=generator)))
    found = moderated(given, DRAWS)
    assert ((found / given).log().abs() < 1.5).float().mean() > 0.9


def test_what_never_moved_counts_for_a_part_of_its_channel() -> None:
    given = estimates(torch.full((1, 2, 20, 20), 4.0))
    given[0, 0, :10] = 0
    given[0, 1] = 0
    found = moderated(given, DRAWS)
    assert torch.allclose(found[0, 0, :10], torch.tensor(4 / 16), rtol=0.2)
    assert torch.allclose(found[0, 1], torch.tensor(4 / 16), rtol=0.2)
    assert (found[0, 0, 10:] > 3).all()


@pytest.mark.parametrize("shape", [(), (3,), (2, 5), (1, 3, 2, 2)])
def test_a_few_elements_say_nothing_of_one_another(shape: tuple[int, ...]) -> None:
    given = estimates(torch.ones(shape))
    assert torch.equal(moderated(given, DRAWS), given)


def test_a_still_blob_stays_still() -> None:
    assert not moderated(torch.zeros(1, 2, 8, 8), DRAWS).any()
