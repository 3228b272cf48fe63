"""Streams of their own for tuples of seeds."""

import torch

from valleyscope.engine.seeding import generator


def drawn(*seeds):
    return torch.randn(4, generator=generator(*seeds)).tolist()


def test_a_tuple_of_seeds_gives_the_same_stream_again():
    assert drawn(3, 1) == drawn(3, 1)


def test_streams_of_other_tuples_differ():
    tuples = [(0, 0), (0, 1), (1, 0), (1, 1), (0, 2**32 - 1), (2**32 - 1, 0)]
    assert len({tuple(drawn(*seeds)) for seeds in tuples}) == len(tuples)


def test_torch_s_own_stream_stays_as_it_is():
    before = torch.get_rng_state()
    drawn(5)
    assert torch.equal(torch.get_rng_state(), before)
