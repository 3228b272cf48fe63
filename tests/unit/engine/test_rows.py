import pytest
import torch

from valleyscope.engine import rows
from valleyscope.engine.rows import components, subtracted


@pytest.mark.parametrize("numbers", [7, 14, 20, 35], ids="{} numbers in a block".format)
def test_blocks_of_rows_give_the_products_of_the_whole(numbers, rng, monkeypatch):
    V, v = (torch.randn(*shape, generator=rng, dtype=torch.float64) for shape in ((5, 7), (7,)))
    monkeypatch.setattr(rows, "MOST_NUMBERS", numbers)
    assert max(block.numel() for block in rows._blocks(V)) <= numbers
    torch.testing.assert_close(components(V, v), V @ v, rtol=1e-13, atol=1e-13)
    torch.testing.assert_close(subtracted(v, V @ v, V), v - (V @ v) @ V, rtol=1e-13, atol=1e-13)
    torch.testing.assert_close(components(V.T[:, :3].T, v), V[:3] @ v, rtol=1e-13, atol=1e-13)


def test_what_is_short_keeps_its_bytes(rng):
    V, v = torch.randn(5, 700, generator=rng), torch.randn(700, generator=rng)
    assert torch.equal(components(V, v), V @ v)
    assert torch.equal(subtracted(v, V @ v, V), v - (V @ v) @ V)


def test_no_block_of_a_large_matrix_has_more_than_cublas_can_read():
    large = torch.empty(60, 49_250_304, device="meta")
    blocks = rows._blocks(large)
    assert max(block.numel() for block in blocks) < 2**31 < large.numel()
    assert sum(len(block) for block in blocks) == 60
