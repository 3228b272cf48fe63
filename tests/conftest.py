"""A tiny float64 problem with fresh random inputs in each session.

The session's seed stands in pytest's header; set VALLEYSCOPE_TEST_SEED to it to run the same inputs.
"""

import os
import random
import zlib

import pytest
import torch

from valleyscope.models.model import ModelSettings, Transformer

pytest.register_assert_rewrite("figure_check")

SESSION_SEED = int(os.environ.get("VALLEYSCOPE_TEST_SEED") or random.SystemRandom().randrange(2**31))
# The processes among which `make test` divides the tests take it over.
os.environ["VALLEYSCOPE_TEST_SEED"] = str(SESSION_SEED)
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ["OMP_NUM_THREADS"] = "1"  # for the programs that tests start
    torch.set_num_threads(1)


def pytest_addoption(parser):
    parser.addoption("--device", default="cpu", help="cpu or cuda: where tests/oracle/test_on_device.py runs")


@pytest.fixture
def device(request):
    """The device of `--device`, as torch's and the stages' options name it."""
    return request.config.getoption("--device")


def pytest_report_header():
    return f"random inputs from seed {SESSION_SEED}"


@pytest.fixture
def rng(request):
    """A torch generator, different for each test and each session."""
    return torch.Generator().manual_seed(SESSION_SEED + zlib.crc32(request.node.nodeid.encode()))


@pytest.fixture
def draw_model(rng):
    """A function of settings: a float64 transformer, every weight random and none zero."""

    def draw(settings):
        result = Transformer(settings).double()
        with torch.no_grad():
            for p in result.parameters():
                p.copy_(torch.randn(p.shape, generator=rng, dtype=torch.float64) * 0.4)
        return result

    return draw


@pytest.fixture
def model(draw_model):
    """A transformer with N of about 1,000."""
    return draw_model(ModelSettings(vocab_size=11, context=6, depth=1, width=8, heads=2, kv_heads=1))


@pytest.fixture
def tokens(rng):
    """Seven sequences of 6 + 1 tokens."""
    return torch.randint(11, (7, 7), generator=rng)
