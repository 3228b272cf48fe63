from dataclasses import replace

import pytest
import torch

from valleyscope.engine.weights import flat_weights
from valleyscope.models.model import ModelSettings, Transformer, sequence_losses
from valleyscope.models.training import TrainingSettings, cosine_schedule, mean_loss, train

SIZE = ModelSettings(vocab_size=16, context=8, depth=1, width=8, heads=2, kv_heads=2)
SETTINGS = TrainingSettings(
    epochs=3, batch=4, learning_rate=1e-2, warmup=2, weight_decay=0.01, record_every=4
)


@pytest.fixture
def data(rng):
    return torch.randint(16, (16, 9), generator=rng)


def run(data, seed=0, settings=SETTINGS):
    model = Transformer(SIZE, seed)
    records = train(model, sequence_losses, data, data[:4], settings, seed=seed)
    return flat_weights(model), records


def test_same_seed_same_bits_and_another_seed_other_weights(data):
    first, records = run(data)
    second, again = run(data)
    assert torch.equal(first, second)
    assert records == again
    assert not torch.equal(first, run(data, seed=1)[0])


def test_loss_falls_and_records_stand_where_they_should(data):
    _, records = run(data)
    assert [r.step for r in records] == [0, 4, 8, 12]
    assert [r.samples for r in records] == [0, 16, 32, 48]
    assert records[-1].train_loss < records[0].train_loss


def test_first_pass_keeps_the_order_and_later_ones_do_not(data):
    seen = []

    def spy(model, batch):
        if torch.is_grad_enabled():
            seen.append(batch)
        return sequence_losses(model, batch)

    train(Transformer(SIZE), spy, data, data[:4], SETTINGS, seed=0)
    assert torch.equal(torch.cat(seen[:4]), data)
    assert not torch.equal(torch.cat(seen[4:8]), data)
    assert torch.equal(torch.cat(seen[4:8]).sort(dim=0).values, data.sort(dim=0).values)


def test_cosine_schedule():
    factors = [cosine_schedule(step, 10, 4) for step in range(10)]
    assert factors[:5] == [0.25, 0.5, 0.75, 1.0, 1.0]
    assert factors[7] == pytest.approx(0.5)
    assert 0 < factors[-1] < 0.1


def test_mean_loss_weighs_every_sample_alike(data):
    model = Transformer(SIZE, 5).double()
    truth = sequence_losses(model, data).mean().item()
    assert mean_loss(model, sequence_losses, data, chunk=5) == pytest.approx(truth, rel=1e-12)


def test_a_loss_that_is_not_finite_stops_with_its_step(data):
    def loss(model, batch):
        losses = sequence_losses(model, batch)
        return losses * float("nan") if torch.is_grad_enabled() else losses

    with pytest.raises(FloatingPointError, match="training loss at step 0"):
        train(Transformer(SIZE), loss, data, data[:4], SETTINGS, seed=0)


def test_a_batch_larger_than_the_data_is_refused(data):
    with pytest.raises(ValueError, match="batch = 4 is larger"):
        train(Transformer(SIZE), sequence_losses, data[:3], data[:3], SETTINGS, seed=0)


def test_the_weights_can_be_kept_after_any_step(data):
    kept, model = {}, Transformer(SIZE)

    def keep(step):
        kept[step] = flat_weights(model)

    train(model, sequence_losses, data, data[:4], SETTINGS, seed=0, on_step=keep)
    assert sorted(kept) == list(range(1, 13))
    assert torch.equal(kept[12], flat_weights(model))
    assert not torch.equal(kept[1], kept[2])


@pytest.mark.parametrize("optimiser", ["adamw", "sgd"])
def test_a_pass_equals_a_loop_with_torchs_own_optimiser(data, optimiser):
    settings = replace(SETTINGS, epochs=1, weight_decay=0.3, optimiser=optimiser, momentum=0.7)
    model, truth = Transformer(SIZE, 3).double(), Transformer(SIZE, 3).double()
    train(model, sequence_losses, data, data[:4], settings, seed=0)
    if optimiser == "sgd":
        own = torch.optim.SGD(truth.parameters(), 1e-2, momentum=0.7, weight_decay=0.3)
    else:
        own = torch.optim.AdamW(truth.parameters(), 1e-2, (0.9, 0.95), weight_decay=0.3)
    for step, batch in enumerate(data.split(4)):
        own.param_groups[0]["lr"] = 1e-2 * cosine_schedule(step, 4, 2)
        own.zero_grad()
        sequence_losses(truth, batch).mean().backward()
        own.step()
    torch.testing.assert_close(flat_weights(model), flat_weights(truth), rtol=1e-10, atol=1e-13)
    assert not torch.equal(flat_weights(truth), flat_weights(Transformer(SIZE, 3).double()))


def test_an_unknown_optimiser_is_refused():
    with pytest.raises(ValueError, match="'adam' is neither adamw nor sgd"):
        replace(SETTINGS, optimiser="adam")
