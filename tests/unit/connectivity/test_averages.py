import math

import pytest
import torch
import torch.nn.functional as F

from valleyscope.connectivity.averages import best_temperature, held_out_scores, stochastic_average
from valleyscope.dynamics import SgdSettings
from valleyscope.engine.weights import at_weights, flat_weights
from valleyscope.models.model import ModelSettings, sequence_losses


def drawn(rng, sequences, scale):
    """Logits `scale` times too loud (or too quiet, below 1) for the labels: (n, 5, 7), (n, 5)."""
    logits = 1.5 * torch.randn(sequences, 5, 7, generator=rng, dtype=torch.float64)
    labels = torch.multinomial(logits.flatten(0, 1).softmax(-1), 1, generator=rng)
    return scale * logits, labels.view(sequences, 5)


def searched(logits, labels):
    """The best temperature on a grid, then on a finer one around it."""
    low, high = -5.0, 5.0
    for _ in range(4):
        grid = torch.linspace(low, high, 101, dtype=torch.float64)
        best = grid[torch.stack([F.cross_entropy(logits / t.exp(), labels) for t in grid]).argmin()].item()
        low, high = best - (high - low) / 50, best + (high - low) / 50
    return math.exp(best)


@pytest.mark.parametrize("scale", [0.2, 1.0, 4.0])
def test_best_temperature_equals_a_dense_search(rng, scale):
    logits, labels = drawn(rng, 30, scale)
    logits, labels = logits.flatten(0, 1), labels.flatten()
    assert best_temperature(logits, labels) == pytest.approx(searched(logits, labels), rel=1e-4)


@pytest.mark.parametrize("scale", [0.3, 3.0])
def test_temperature_undoes_how_loud_the_logits_are(rng, scale):
    """Labels are drawn at temperature 1 of the logits before scaling, so that the best one is the scale."""
    logits, labels = drawn(rng, 1500, scale)
    found = held_out_scores(logits, labels)
    assert found["temperature"] == pytest.approx(scale, rel=0.15)
    assert (found["temperature"] > 1) == (scale > 1)
    assert found["scaled_loss"] < found["held_out_loss"] - 0.02
    calibrated = F.cross_entropy((logits / scale).flatten(0, 1), labels.flatten()).item()
    assert found["scaled_loss"] == pytest.approx(calibrated, rel=0.01)


def test_each_half_is_scored_at_the_temperature_of_the_other(rng):
    """Even sequences too loud, odd ones too quiet: their own temperature would hide it."""
    loud, quiet = drawn(rng, 20, 4.0), drawn(rng, 19, 0.5)
    logits = torch.empty(39, 5, 7, dtype=torch.float64)
    labels = torch.empty(39, 5, dtype=torch.int64)
    for (z, y), first in ((loud, 0), (quiet, 1)):
        logits[first::2], labels[first::2] = z, y
    found = held_out_scores(logits, labels)
    temperatures = [searched(z.flatten(0, 1), y.flatten()) for z, y in (loud, quiet)]
    assert temperatures[0] > 2 * temperatures[1]
    totals = [
        F.cross_entropy(z.flatten(0, 1) / t, y.flatten(), reduction="sum").item()
        for (z, y), t in zip((loud, quiet), temperatures[::-1], strict=True)
    ]
    assert found["scaled_loss"] == pytest.approx(sum(totals) / (39 * 5), rel=1e-4)
    assert found["temperature"] == pytest.approx(sum(temperatures) / 2, rel=1e-4)
    log_p = logits.log_softmax(-1)
    each = [-log_p[i, j, labels[i, j]].item() for i in range(39) for j in range(5)]
    assert found["held_out_loss"] == pytest.approx(sum(each) / len(each), rel=1e-12)
    hits = [
        max(range(7), key=lambda c, i=i, j=j: logits[i, j, c].item()) == labels[i, j]
        for i in range(39)
        for j in range(5)
    ]
    assert found["accuracy"] == pytest.approx(sum(hits).item() / len(hits), rel=1e-12)
    single = held_out_scores(logits.float(), labels)
    assert single["scaled_loss"] == pytest.approx(found["scaled_loss"], rel=1e-4)


@pytest.fixture
def small(draw_model):
    return draw_model(ModelSettings(vocab_size=11, context=6, depth=1, width=4, heads=1, kv_heads=1))


@pytest.mark.parametrize("batch", [0, 2])
def test_the_average_is_that_of_a_loop_over_torchs_sgd(small, tokens, batch):
    start, seen = flat_weights(small), []
    before = start.clone()
    settings = SgdSettings(learning_rate=0.05, batch=batch, steps=6, period=2, momentum=0.7, weight_decay=0.1)
    last, average = stochastic_average(
        small, sequence_losses, tokens, start, settings, seed=3, on_step=seen.append
    )
    assert torch.equal(start, before)
    assert seen == [1, 2, 3, 4, 5, 6]
    generator, kept = torch.Generator().manual_seed(3), []
    with at_weights(small, start):
        optimiser = torch.optim.SGD(small.parameters(), 0.05, momentum=0.7, weight_decay=0.1)
        for _ in range(6):
            rows = torch.randint(len(tokens), (1, batch), generator=generator)[0] if batch else slice(None)
            optimiser.zero_grad()
            sequence_losses(small, tokens[rows]).mean().backward()
            optimiser.step()
            kept.append(flat_weights(small))
    torch.testing.assert_close(last, kept[5], rtol=1e-9, atol=1e-11)
    torch.testing.assert_close(average, (kept[1] + kept[3] + kept[5]) / 3, rtol=1e-9, atol=1e-11)
    again = stochastic_average(small, sequence_losses, tokens, start, settings, seed=3)
    assert torch.equal(again[1], average)


def test_divergence_is_named(small, tokens):
    settings = SgdSettings(learning_rate=1e150, batch=2, steps=9, period=3)
    with pytest.raises(FloatingPointError, match=r"diverged at step \d: learning rate 1e\+150"):
        stochastic_average(small, sequence_losses, tokens, flat_weights(small), settings, seed=0)
