"""The decoder-only transformer of this study, whole in one file.

The core of nanochat's architecture at any size: rotary positions, QK-norm, RMSNorm without
parameters, ReLU² MLP, untied head, no biases, optional grouped-query attention. Three of these can be
exchanged for nanoGPT's: learned positions, GELU, LayerNorm with learnable scale and shift.
Attention is written out (no fused kernel), so it can be differentiated twice and mapped over weights.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

EXCHANGED = {
    "positions": ("rotary", "learned"),
    "activation": ("relu2", "gelu"),
    "norm": ("rms", "layer"),
}


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
    positions: str = "rotary"  # or "learned"
    activation: str = "relu2"  # or "gelu"
    norm: str = "rms"  # without parameters, or "layer", with

    def __post_init__(self):
        for name, known in EXCHANGED.items():
            if getattr(self, name) not in known:
                raise ValueError(f"model.{name}: {getattr(self, name)!r} is neither {' nor '.join(known)}")
        if self.width % (2 * self.heads):
            raise ValueError(f"model.width: {self.width} is not a multiple of 2 x heads = {2 * self.heads}")
        if self.heads % self.kv_heads:
            raise ValueError(f"model.kv_heads: {self.kv_heads} does not divide heads = {self.heads}")


def rms_norm(x: Tensor) -> Tensor:
    """x / rms(x) over the last axis (Zhang & Sennrich 2019), without a learnable scale."""
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + 1e-6)


class RMSNorm(nn.Module):
    """`rms_norm` as a layer."""

    def forward(self, x: Tensor) -> Tensor:
        return rms_norm(x)


def new_norm(s: ModelSettings) -> nn.Module:
    """The normalisation of a residual stream of width C."""
    return RMSNorm() if s.norm == "rms" else nn.LayerNorm(s.width)


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

    def forward(self, x: Tensor, rotation: tuple[Tensor, Tensor] | None) -> Tensor:
        B, T, C = x.shape
        d = self.head_width
        q = self.query(x).view(B, T, self.heads, d).transpose(1, 2)  # (B, H, T, d)
        k = self.key(x).view(B, T, self.kv_heads, d).transpose(1, 2)  # (B, G, T, d)
        v = self.value(x).view(B, T, self.kv_heads, d).transpose(1, 2)
        if rotation is not None:
            q, k = rotate(q, *rotation), rotate(k, *rotation)
        q, k = rms_norm(q), rms_norm(k)
        if self.kv_heads < self.heads:
            repeats = self.heads // self.kv_heads
            k, v = k.repeat_interleave(repeats, dim=1), v.repeat_interleave(repeats, dim=1)
        scores = q @ k.transpose(-2, -1) * d**-0.5  # (B, H, T, T)
        future = torch.ones(T, T, dtype=torch.bool, device=x.device).triu(1)
        weights = scores.masked_fill(future, float("-inf")).softmax(dim=-1)
        return self.output((weights @ v).transpose(1, 2).reshape(B, T, C))


class MLP(nn.Module):
    """Two linear maps around ReLU² (So et al. 2021) or GELU (Hendrycks & Gimpel 2016)."""

    def __init__(self, s: ModelSettings):
        super().__init__()
        self.up = nn.Linear(s.width, s.mlp_ratio * s.width, bias=False)
        self.down = nn.Linear(s.mlp_ratio * s.width, s.width, bias=False)
        self.gelu = s.activation == "gelu"

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.up(x)
        return self.down(F.gelu(hidden) if self.gelu else F.relu(hidden).square())


class Block(nn.Module):
    """Pre-norm residual block."""

    def __init__(self, s: ModelSettings):
        super().__init__()
        self.attention = Attention(s)
        self.mlp = MLP(s)
        self.attention_norm, self.mlp_norm = new_norm(s), new_norm(s)

    def forward(self, x: Tensor, rotation: tuple[Tensor, Tensor] | None) -> Tensor:
        x = x + self.attention(self.attention_norm(x), rotation)
        return x + self.mlp(self.mlp_norm(x))


class Transformer(nn.Module):
    """Tokens (B, T) -> logits (B, T, V); weights drawn from `seed` (unless on the meta device)."""

    def __init__(self, settings: ModelSettings, seed: int = 0):
        super().__init__()
        self.settings = settings
        self.embedding = nn.Embedding(settings.vocab_size, settings.width)
        self.blocks = nn.ModuleList(Block(settings) for _ in range(settings.depth))
        self.head = nn.Linear(settings.width, settings.vocab_size, bias=False)
        self.embedding_norm, self.head_norm = new_norm(settings), new_norm(settings)
        self.rotary = settings.positions == "rotary"
        if not self.rotary:
            self.positions = nn.Embedding(settings.context, settings.width)
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
        if not self.rotary:
            self.positions.weight.normal_(std=0.02, generator=generator)

    def forward(self, tokens: Tensor) -> Tensor:
        T = tokens.shape[1]
        if self.settings.context < T:
            raise ValueError(f"input of {T} tokens is longer than context = {self.settings.context}")
        x = self.embedding(tokens)
        if not self.rotary:
            x = x + self.positions.weight[:T]
        x = self.embedding_norm(x)
        rotation = (self.cos[:T], self.sin[:T]) if self.rotary else None
        for block in self.blocks:
            x = block(x, rotation)
        return self.head(self.head_norm(x))


def sequence_losses(model: nn.Module, batch: Tensor) -> Tensor:
    """Mean next-token cross-entropy (nats) of each sequence: tokens (n, T + 1) -> losses (n,)."""
    logits = model(batch[:, :-1])
    losses = F.cross_entropy(logits.flatten(0, 1), batch[:, 1:].flatten(), reduction="none")
    return losses.view(len(batch), -1).mean(dim=1)
