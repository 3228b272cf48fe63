"""Batches in every form: a tensor, a tuple, a dict, a list of batches and a loader."""

import pytest
import torch

from valleyscope.engine import batches
from valleyscope.errors import InputError

FORMS = ["tensor", "tuple", "dict"]


def make(form, x, y):
    return {"tensor": x, "tuple": (x, y), "dict": {"x": x, "y": y}}[form]


@pytest.fixture
def parts(rng):
    """Seven samples of 2 x 3 numbers each, and their labels."""
    return torch.randn(7, 2, 3, generator=rng), torch.randint(9, (7,), generator=rng)


def same(batch, form, x, y):
    """Whether `batch` is the batch of that form with these tensors, kinds and types included."""
    wanted = make(form, x, y)
    assert type(batch) is type(wanted)
    if form == "dict":
        assert list(batch) == ["x", "y"]
    for got, want in zip(batches.tensors(batch), batches.tensors(wanted), strict=True):
        assert got.dtype == want.dtype
        assert torch.equal(got, want)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("count", [1, 3, 5, 7, 99])
def test_the_first_samples_are_the_same_however_the_data_comes(form, count, parts):
    x, y = parts
    cut = [make(form, x[a:b], y[a:b]) for a, b in ((0, 3), (3, 4), (4, 7))]
    lists = [list(part) if form == "tuple" else part for part in cut]  # as torch's loaders collate
    for data in (make(form, x, y), cut, lists):
        same(batches.first(data, count), form, x[:count], y[:count])


def test_the_first_samples_are_read_from_no_more_batches_than_they_need(parts):
    x, _ = parts
    read = set()

    class Loader:
        def __iter__(self):
            for number, part in enumerate(x.split(2)):
                read.add(number)
                yield part

    assert torch.equal(batches.first(Loader(), 4), x[:4])
    assert read == {0, 1}


def test_a_loader_that_shuffles_is_refused(parts):
    x, _ = parts

    class Turning:
        turn = 0

        def __iter__(self):
            Turning.turn += 1
            return iter(x.roll(Turning.turn, 0).split(3))

    for read in (batches.whole, lambda data: batches.first(data, 5)):
        with pytest.raises(InputError, match="second pass over the data gives other samples"):
            read(Turning())


def test_a_loader_without_a_batch_is_refused():
    for read in (batches.whole, lambda data: batches.first(data, 5)):
        with pytest.raises(InputError) as caught:
            read(torch.utils.data.DataLoader([]))
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("form", FORMS)
def test_whole_and_joined_put_the_parts_back_in_order(form, parts):
    x, y = parts
    pieces = batches.split(make(form, x, y), 3)
    assert [batches.size(piece) for piece in pieces] == [3, 3, 1]
    same(pieces[1], form, x[3:6], y[3:6])
    same(batches.joined(pieces), form, x, y)
    same(batches.whole(pieces), form, x, y)
    same(batches.whole(make(form, x, y), "cpu"), form, x, y)


def test_a_loader_is_whole_and_leaves_torchs_stream_alone(parts):
    x, y = parts
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, y), batch_size=3)
    before = torch.get_rng_state()
    same(batches.whole(loader), "tuple", x, y)
    same(batches.first(loader, 5), "tuple", x[:5], y[:5])  # and again
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("form", FORMS)
def test_a_cast_changes_floating_point_numbers_only(form, parts):
    x, y = parts
    same(batches.cast(make(form, x, y), torch.float64), form, x.double(), y)
    same(batches.cast(make(form, x, y), torch.bfloat16), form, x.bfloat16(), y)


@pytest.mark.parametrize(("form", "each"), [("tensor", 6), ("tuple", 7), ("dict", 7)])
def test_numbers_are_those_of_one_sample(form, each, parts):
    x, y = parts
    assert batches.numbers(make(form, x, y)) == each
    assert batches.numbers(make(form, x[:2], y[:2])) == each


@pytest.mark.parametrize("form", FORMS)
def test_samples_are_taken_by_number_by_slice_and_with_an_axis_in_front(form, parts, rng):
    x, y = parts
    index = torch.randint(7, (4,), generator=rng)
    same(batches.taken(make(form, x, y), index), form, x[index], y[index])
    same(batches.taken(make(form, x, y), slice(2, 5)), form, x[2:5], y[2:5])
    same(batches.taken(make(form, x, y), None), form, x[None], y[None])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([], "the data is an empty list"),
        (3, "data is a int"),
        (iter([torch.zeros(2)]), r"read only once \(an iterator\)"),
        ((torch.zeros(2), torch.zeros(3)), r"lengths \[2, 3\]"),
        ({"x": torch.zeros(2), "y": [0, 1]}, r"holds \['Tensor', 'list'\]"),
        ((), "must be a tensor or a tuple or dict of tensors"),
        (torch.tensor(1.0), r"lengths \[0\]"),
        (torch.zeros(0, 3), r"lengths \[0\]"),
    ],
)
def test_data_that_are_no_batches_are_refused_in_one_line(data, message):
    with pytest.raises(InputError, match=message) as caught:
        for batch in batches.batch_list(data):
            batches.size(batch)
    assert "\n" not in str(caught.value)
