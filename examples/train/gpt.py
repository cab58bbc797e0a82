"""A character GPT continues a text (Radford et al., *Language models are unsupervised multitask learners*, 2019)."""

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

import tessella as ts
from tessella import nn
from tessella.errors import ArgumentError
from tessella.nn import functional as F


class Block(nn.Module):
    """x + attention(norm(x)), then x + mlp(norm(x)): (N, T, width) -> (N, T, width)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(approximate="tanh"), nn.Linear(4 * width, width)
        )

    def forward(self, x: ts.Tensor) -> ts.Tensor:
        n, t, width = x.shape
        parts = self.qkv(self.norm1(x)).reshape(n, t, 3, self.heads, width // self.heads)
        q, k, v = (parts[:, :, i].permute(0, 2, 1, 3) for i in range(3))  # (N, heads, T, d)
        seen = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(seen.permute(0, 2, 1, 3).reshape(n, t, width))
        return x + self.mlp(self.norm2(x))


class GPT(nn.Module):
    """(N, T) numbers of characters -> (N, T, characters): scores of each next one."""

    def __init__(self, characters: int, context: int, layers: int, width: int, heads: int) -> None:
        super().__init__()
        self.context = context
        self.tokens, self.places = nn.Embedding(characters, width), nn.Embedding(context, width)
        self.blocks = nn.Sequential(*[Block(width, heads) for _ in range(layers)])
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, characters, bias=False)
        self.head.weight = self.tokens.weight
        for name, parameter in self.named_parameters():
            inner = name.endswith(("out.weight", "mlp.2.weight"))
            if parameter.ndim == 2:
                nn.init.normal_(parameter, std=0.02 / ((2 * layers) ** 0.5 if inner else 1.0))

    def forward(self, tokens: ts.Tensor) -> ts.Tensor:
        x = self.tokens(tokens) + self.places(ts.arange(tokens.shape[1]))
        return self.head(self.norm(self.blocks(x)))


def next_token_loss(scores: ts.Tensor, targets: ts.Tensor) -> ts.Tensor:
    """Mean cross-entropy over all places."""
    return F.cross_entropy(scores.reshape(-1, scores.shape[-1]), targets.reshape(-1))


def continued(model: GPT, vocabulary: Any, start: str, length: int, seed: int) -> str:
    """A text that the model draws, character by character."""
    draw = np.random.default_rng(seed)
    scores_of = ts.jit(lambda tokens: model(tokens)[0])
    tokens = [0] * model.context + vocabulary.encode(start).tolist()
    with ts.no_grad():
        for _ in range(length):
            scores = scores_of(ts.asarray([tokens[-model.context :]])).numpy()[-1].astype(float)
            chances = np.exp(scores - scores.max())
            tokens.append(int(draw.choice(len(chances), p=chances / chances.sum())))
    return "".join(vocabulary.decode(tokens[model.context :]))


def main(
    data: Annotated[Path, typer.Option(help="A text file in UTF-8.")],
    out: Annotated[Path, typer.Option(help="Folder of the run: report, metrics, checkpoints.")] = Path("runs/gpt"),
    steps: Annotated[int, typer.Option(help="How many batches.", min=1)] = 2000,
    layers: Annotated[int, typer.Option(min=1)] = 4, width: Annotated[int, typer.Option(min=4)] = 128,
    context: Annotated[int, typer.Option(help="Characters that it sees.", min=2)] = 64,
    batch: Annotated[int, typer.Option(min=1)] = 12,
    seed: Annotated[int, typer.Option(help="Decides the start and the order.", min=0)] = 0,
) -> ts.train.History:  # fmt: skip
    """A character GPT continues a text.

    --data is a text file of at least some 100,000 characters; its last tenth is held out. Shakespeare's plays (1.1
    million characters) reach a loss of 1.8 in nats for each character of it after 2,000 steps, a minute on two cores.
    Stopped at any moment, the same command goes on.
    """
    ts.manual_seed(seed)
    text = data.read_text(encoding="utf8")
    vocabulary = ts.data.texts.Vocabulary.of([text], padding=None, unknown=None)
    numbers = vocabulary.encode(text)
    cut = len(numbers) - len(numbers) // 10
    if len(numbers) - cut <= context:
        raise ArgumentError(
            f"--data: {data} has {len(text):,} characters; expected more than {10 * (context + 1):,}"
        )
    train = np.lib.stride_tricks.sliding_window_view(numbers[:cut], context + 1)
    held_out = np.lib.stride_tricks.sliding_window_view(numbers[cut:], context + 1)[::context]
    model = GPT(len(vocabulary), context, layers, width, heads=max(1, width // 32))
    optimizer = ts.optim.AdamW(model.parameters(), lr=2e-3, betas=(0.9, 0.99), weight_decay=0.1)
    schedule = ts.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=2e-3, total_steps=steps, pct_start=0.05
    )
    sampler = ts.data.RandomSampler(train, replacement=True, num_samples=steps * batch)
    history = ts.train.fit(
        model, ts.data.DataLoader((train[:, :-1], train[:, 1:]), batch, sampler=sampler, drop_last=True), next_token_loss,
        optimizer, steps=steps, every=max(1, steps // 8), scheduler=schedule, clip_norm=1.0, folder=out,
        validation=ts.data.DataLoader((held_out[:, :-1], held_out[:, 1:]), 128),
        callbacks=[ts.train.Report(out, title=f"A GPT reads {data.name}", mistakes=0)],
    )  # fmt: skip
    if history.validations:
        print(continued(model, vocabulary, "\n", 300, seed))
        loss = history.validations[-1]["loss"]
        print(f"\nHeld out: a loss of {loss:.3f} for each character. {out}/report.html")
    return history


if __name__ == "__main__":
    typer.run(main)
