"""Training steps of networks of every family, compiled and eagerly, against PyTorch and `torch.compile`."""

from __future__ import annotations

from typing import Any

from report import Table
from timer import compare

WORKS = {
    # function in works/training.py: (what it is, what must be reached)
    "lstm": ("LSTM language model 256, T 64, batch 32", "≤ 0.85 × best"),
    "gru": ("bidirectional GRU, 2 layers of 256, lengths 8 to 64, batch 32", "≤ 0.85 × best"),
    "unet": ("U-Net with ConvTranspose2d, 64², batch 16", "≤ 0.8 × best"),
    "group_resnet": ("ResNet-18 with GroupNorm, 32², batch 64", "≤ 0.8 × best"),
    "resnet": ("ResNet-18, 32², batch 64", "≤ 0.7 × best"),
    "encoder": ("Transformer encoder with padding masks, 4×256, T 128, batch 16", "≤ 0.7 × best"),
    "ctc": ("CTC, 200 frames, batch 32, 64 classes", "≤ 0.8 × best"),
    "handwriting": ("`train handwriting`: CNN 28², batch 64", "≤ 0.65 × best"),
    "sentences": ("`train sentiment`: CNN over 56 words, batch 50", "≤ 0.65 × best"),
    "characters": ("`train gpt`: 4 layers, 128 wide, context 64, batch 12", "≤ 0.65 × best"),
    "adamw": ("AdamW on 50 M numbers", "90 % of the memory's bandwidth"),
}
SLOW = ("group_resnet", "resnet")


def training(names: list[str] | None = None) -> Table:
    """A training step: forward, backward, optimiser."""
    columns = ["work", "Tessella", "eager", "PyTorch", "torch.compile", "limits of the machine", "ratio to the best", "must reach"]  # fmt: skip
    table = Table("training", columns)
    for name in names or WORKS:
        title, target = WORKS[name]
        contenders, limit = _contenders(name)
        found = compare(contenders, rounds=5 if name in SLOW else 9)
        table.add(title, found, target, ["PyTorch", "torch.compile"], note=limit)
    return table


def _contenders(name: str) -> tuple[dict[str, Any], str]:
    """The work as functions of no arguments, and what the machine needs at least."""
    import torch
    from compiled import limits_of
    from works import training as works

    import tessella as ts

    work = getattr(works, name)
    own, peer = works.Framework("tessella"), works.Framework("torch")
    step, data = work(own)
    compiled = ts.jit(step)
    compiled(*data)
    eager_step, eager_data = work(own)
    torch_step, torch_data = work(peer)
    other_step, other_data = work(peer)
    faster = torch.compile(other_step)
    found = {
        "Tessella": lambda: compiled(*data),
        "eager": lambda: eager_step(*eager_data),
        "PyTorch": lambda: torch_step(*torch_data),
        "torch.compile": lambda: faster(*other_data),
    }
    return found, limits_of(compiled, data)
