import pytest
import torch

from valleyscope.connectivity.branching import BranchSettings, train_family
from valleyscope.engine.weights import at_weights, flat_weights
from valleyscope.errors import InputError
from valleyscope.models.model import ModelSettings, sequence_losses
from valleyscope.models.training import cosine_schedule

STEPS, BRANCHES = 7, [0, 2, 5]


def settings(**changes):
    common = {"steps": STEPS, "batch": 3, "learning_rate": 0.02, "warmup": 2, "weight_decay": 0.3}
    return BranchSettings(**common | {"branches": BRANCHES} | changes)


@pytest.fixture
def small(draw_model):
    return draw_model(ModelSettings(vocab_size=11, context=6, depth=1, width=4, heads=1, kv_heads=1))


@pytest.fixture
def initial(small):
    return flat_weights(small)


def minibatches(count, seed, s):
    """What every row of the batch of replicas draws at each step: the parent, then two a branch so far."""
    generator = torch.Generator().manual_seed(seed)
    rows = [1 + 2 * sum(branch <= step for branch in s.branches) for step in range(s.steps)]
    return [torch.randint(count, (r, s.batch), generator=generator) for r in rows]


def alone(model, initial, batches, s):
    """Weights before each step and after the last of one training with torch's own AdamW."""
    with at_weights(model, initial):
        optimiser = torch.optim.AdamW(model.parameters(), betas=(0.9, 0.95), weight_decay=s.weight_decay)
        seen = [flat_weights(model)]
        for step, batch in enumerate(batches):
            for group in optimiser.param_groups:
                group["lr"] = s.learning_rate * cosine_schedule(step, s.steps, s.warmup)
            optimiser.zero_grad()
            sequence_losses(model, batch).mean().backward()
            optimiser.step()
            seen.append(flat_weights(model))
    return torch.stack(seen)


def test_parent_and_children_equal_trainings_of_their_own(small, initial, tokens):
    s, seen = settings(), []
    before = initial.clone()
    family = train_family(
        small, sequence_losses, tokens, initial, s, seed=8, on_step=lambda n, loss: seen.append((n, loss))
    )
    assert torch.equal(initial, before)
    assert family.children.shape == (3, 2, len(initial))
    drawn = minibatches(len(tokens), 8, s)
    parent = alone(small, initial, [tokens[rows[0]] for rows in drawn], s)
    torch.testing.assert_close(family.checkpoints, parent[[*BRANCHES, STEPS]], rtol=1e-8, atol=1e-10)
    for i, branch in enumerate(BRANCHES):
        for copy in range(2):
            row = 1 + 2 * i + copy
            own = [tokens[rows[0 if step < branch else row]] for step, rows in enumerate(drawn)]
            truth = alone(small, initial, own, s)[-1]
            torch.testing.assert_close(family.children[i, copy], truth, rtol=1e-8, atol=1e-10)
    assert [n for n, _ in seen] == [3, 3, 5, 5, 5, 7, 7]
    with at_weights(small, initial):
        assert seen[0][1] == pytest.approx(sequence_losses(small, tokens[drawn[0][0]]).mean().item())


def test_copies_part_from_each_other_and_from_their_parent(small, initial, tokens):
    family = train_family(small, sequence_losses, tokens, initial, settings(), seed=1)
    ends = torch.cat([family.children.flatten(0, 1), family.checkpoints[-1:]])
    apart = torch.cdist(ends, ends) + torch.eye(len(ends), dtype=torch.float64)
    assert apart.min() > 1e-4


def test_without_noise_every_child_is_its_parent(small, initial, tokens):
    """One sample, so one minibatch: weights, moments and step count must all have come along."""
    s = settings()
    family = train_family(small, sequence_losses, tokens[:1], initial, s, seed=0)
    truth = alone(small, initial, [tokens[[0, 0, 0]]] * STEPS, s)[-1]
    torch.testing.assert_close(family.checkpoints[-1], truth, rtol=1e-8, atol=1e-10)
    torch.testing.assert_close(family.children, truth.expand(3, 2, -1), rtol=1e-8, atol=1e-10)
    torch.testing.assert_close(family.checkpoints[0], initial)


def test_same_seed_same_family(small, initial, tokens):
    runs = [train_family(small, sequence_losses, tokens, initial, settings(), seed=s) for s in (4, 4, 5)]
    assert torch.equal(runs[0].children, runs[1].children)
    assert torch.equal(runs[0].checkpoints, runs[1].checkpoints)
    assert not torch.equal(runs[0].children, runs[2].children)


@pytest.mark.parametrize("branches", [[3, 1], [1, 1], [-1, 2], []])
def test_branches_that_do_not_ascend_are_refused(branches):
    with pytest.raises(ValueError, match="must ascend from 0"):
        settings(branches=branches)


def test_a_branch_after_the_end_and_a_bad_start_are_named(small, initial, tokens):
    with pytest.raises(InputError, match="branches: 7 is not below steps = 7"):
        settings(branches=[2, 7])
    with pytest.raises(FloatingPointError, match="family at step 0"):
        train_family(small, sequence_losses, tokens, initial * float("nan"), settings(), seed=0)
