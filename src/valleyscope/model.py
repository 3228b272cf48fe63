"""The decoder-only transformer of this study, whole in one file.

The core of nanochat's architecture at any size: rotary positions, QK-norm, RMSNorm without
parameters, ReLU² MLP, untied head, no biases, optional grouped-query attention.
Attention is written out (no fused kernel), so it can be differentiated twice and mapped over weights.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class ModelSettings:
    """Hyper-parameters; `width` must be a multiple of `2 * heads`, `heads` of `kv_heads`."""

    vocab_size: int  # V
    context: int  # T, longest input in tokens
    depth: int
    width: int  # C
    heads: int  # H
    kv_heads: int  # G ≤ H; G < H is grouped-query attention
    mlp_ratio: int = 4

    def __post_init__(self):
        if self.width % (2 * self.heads):
            raise ValueError(f"model.width: {self.width} is not a multiple of 2 x heads = {2 * self.heads}")
        if self.heads % self.kv_heads:
            raise ValueError(f"model.kv_heads: {self.kv_heads} does not divide heads = {self.heads}")


def rms_norm(x: Tensor) -> Tensor:
    """x / rms(x) over the last axis (Zhang & Sennrich 2019), without a learnable scale."""
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-6)


def rotary_tables(context: int, head_width: int, base: float = 10_000.0) -> tuple[Tensor, Tensor]:
    """cos and sin of position x frequency, each (T, head_width / 2) (Su et al. 2021)."""
    frequency = base ** (-torch.arange(0, head_width, 2, dtype=torch.float64) / head_width)
    angle = torch.arange(context, dtype=torch.float64)[:, None] * frequency
    return angle.cos(), angle.sin()


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate each pair (x_i, x_{i + d/2}) of x (..., T, d) by its position's angle."""
    first, second = x.chunk(2, dim=-1)
    return torch.cat([first * cos + second * sin, second * cos - first * sin], dim=-1)


class Attention(nn.Module):
    """Causal self-attention with rotary positions, QK-norm and G ≤ H key-value heads."""

    def __init__(self, s: ModelSettings):
        super().__init__()
        self.heads, self.kv_heads, self.head_width = s.heads, s.kv_heads, s.width // s.heads
        self.query = nn.Linear(s.width, s.heads * self.head_width, bias=False)
        self.key = nn.Linear(s.width, s.kv_heads * self.head_width, bias=False)
        self.value = nn.Linear(s.width, s.kv_heads * self.head_width, bias=False)
        self.output = nn.Linear(s.width, s.width, bias=False)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        B, T, C = x.shape
        d = self.head_width
        q = self.query(x).view(B, T, self.heads, d).transpose(1, 2)  # (B, H, T, d)
        k = self.key(x).view(B, T, self.kv_heads, d).transpose(1, 2)  # (B, G, T, d)
        v = self.value(x).view(B, T, self.kv_heads, d).transpose(1, 2)
        q, k = rms_norm(rotate(q, cos, sin)), rms_norm(rotate(k, cos, sin))
        if self.kv_heads < self.heads:
            repeats = self.heads // self.kv_heads
            k, v = k.repeat_interleave(repeats, dim=1), v.repeat_interleave(repeats, dim=1)
        scores = q @ k.transpose(-2, -1) * d**-0.5  # (B, H, T, T)
        future = torch.ones(T, T, dtype=torch.bool, device=x.device).triu(1)
        weights = scores.masked_fill(future, float("-inf")).softmax(dim=-1)
        return self.output((weights @ v).transpose(1, 2).reshape(B, T, C))


class MLP(nn.Module):
    """Two linear maps around ReLU² (So et al. 2021)."""

    def __init__(self, s: ModelSettings):
        super().__init__()
        self.up = nn.Linear(s.width, s.mlp_ratio * s.width, bias=False)
        self.down = nn.Linear(s.mlp_ratio * s.width, s.width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.down(F.relu(self.up(x)).square())


class Block(nn.Module):
    """Pre-norm residual block."""

    def __init__(self, s: ModelSettings):
        super().__init__()
        self.attention = Attention(s)
        self.mlp = MLP(s)

    def forward(self, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        x = x + self.attention(rms_norm(x), cos, sin)
        return x + self.mlp(rms_norm(x))


class Transformer(nn.Module):
    """Tokens (B, T) -> logits (B, T, V); weights drawn from `seed` (unless on the meta device)."""

    def __init__(self, settings: ModelSettings, seed: int = 0):
        super().__init__()
        self.settings = settings
        self.embedding = nn.Embedding(settings.vocab_size, settings.width)
        self.blocks = nn.ModuleList(Block(settings) for _ in range(settings.depth))
        self.head = nn.Linear(settings.width, settings.vocab_size, bias=False)
        cos, sin = rotary_tables(settings.context, settings.width // settings.heads)
        self.register_buffer("cos", cos.to(self.head.weight.dtype), persistent=False)
        self.register_buffer("sin", sin.to(self.head.weight.dtype), persistent=False)
        if self.head.weight.device.type != "meta":
            self._initialise(seed)

    @torch.no_grad()
    def _initialise(self, seed: int) -> None:
        """nanochat's scheme (tiny head, zero outputs of blocks), with the embedding at nanoGPT's 0.02.

        The embedding is normalised at once, so its scale only sets how fast it is learned.
        """
        generator = torch.Generator(self.head.weight.device).manual_seed(seed)
        self.embedding.weight.normal_(std=0.02, generator=generator)
        self.head.weight.normal_(std=1e-3, generator=generator)
        for block in self.blocks:
            bound = (3 / self.settings.width) ** 0.5
            attention, mlp = block.attention, block.mlp
            for layer in (attention.query, attention.key, attention.value, mlp.up):
                layer.weight.uniform_(-bound, bound, generator=generator)
            attention.output.weight.zero_()
            mlp.down.weight.zero_()

    def forward(self, tokens: Tensor) -> Tensor:
        T = tokens.shape[1]
        if self.settings.context < T:
            raise ValueError(f"input of {T} tokens is longer than context = {self.settings.context}")
        cos, sin = self.cos[:T], self.sin[:T]
        x = rms_norm(self.embedding(tokens))
        for block in self.blocks:
            x = block(x, cos, sin)
        return self.head(rms_norm(x))


def sequence_losses(model: nn.Module, batch: Tensor) -> Tensor:
    """Mean next-token cross-entropy (nats) of each sequence: tokens (n, T + 1) -> losses (n,)."""
    logits = model(batch[:, :-1])
    losses = F.cross_entropy(logits.flatten(0, 1), batch[:, 1:].flatten(), reduction="none")
    return losses.view(len(batch), -1).mean(dim=1)
