from __future__ import annotations

import pytest
import torch

from pocketrec.native import binding
from pocketrec.native.binding import use_backend
from pocketrec.native.norms import norms


@pytest.mark.parametrize("dim", [1, 4, 15, 16, 17, 32, 100])
def test_backends_agree_to_the_last_bit(compiled: None, dim: int) -> None:
    vectors = torch.randn(7, 9, dim, generator=torch.Generator().manual_seed(dim))
    for some in (vectors, vectors.transpose(0, 1), vectors[0, 0], vectors[:, :0]):
        with use_backend("compiled"):
            found = norms(some)
        with use_backend("reference"):
            assert torch.equal(found, norms(some))
        torch.testing.assert_close(found, some.norm(dim=-1))


def test_large_and_small(backend: str) -> None:
    assert norms(torch.tensor([[3e19, 0.0], [1e-30, 0.0], [-2.0, 0.0]])).tolist() == [float("inf"), 0.0, 2.0]


def test_what_is_no_float32_vector_is_refused(backend: str) -> None:
    for wrong in (torch.ones(2, 3).double(), torch.tensor(1.0)):
        with pytest.raises(TypeError, match=r"vectors must be float32 \[\.\.\., dim\]"):
            norms(wrong)


def test_it_is_an_op(backend: str) -> None:
    torch.library.opcheck(torch.ops.pocketrec.norms.default, (torch.ones(3, 2),))


def test_the_kernel_is_there_where_kernels_are() -> None:
    assert binding._built is None or hasattr(binding._built, "norms")
