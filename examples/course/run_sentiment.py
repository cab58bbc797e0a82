"""Module 4: a convolutional network tells good reviews from bad ones (Kim, 2014).

The sentences are two text files, one sentence a line: bad ones and good ones. Word vectors begin as those of
a file in the text format of GloVe (a word and its numbers, a line each), or at random; they are learnt
with the rest, unless --freeze.

Source: Kim, *Convolutional Neural Networks for Sentence Classification* (2014).
"""

import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

import tessella as ts
import tessella.minitorch as minitorch
from tessella.cli.course import check, seeded
from tessella.cli.guard import run
from tessella.cli.views import SentimentView
from tessella.errors import ArgumentError

BACKEND = minitorch.TensorBackend(minitorch.FastOps)
PADDING, UNKNOWN = 0, 1  # the first two words
SPREAD = 0.5  # of random word vectors


def RParam(*shape: int, spread: float = 0.1) -> minitorch.Parameter:
    return minitorch.Parameter(spread * (minitorch.rand(shape, backend=BACKEND) - 0.5))


class Look(minitorch.tensor_functions.Composed):
    """The rows of a table at the numbers of words; its backward pass adds up for each word."""

    @staticmethod
    def compute(table: ts.Tensor, words: ts.Tensor) -> ts.Tensor:
        return table[words]


class Conv1d(minitorch.Module):
    """A bank of kernels over sentences, and a bias for each."""

    def __init__(self, in_channels: int, out_channels: int, width: int) -> None:
        super().__init__()
        self.weights = RParam(out_channels, in_channels, width)
        self.bias = RParam(1, out_channels, 1)

    def forward(self, x: minitorch.Tensor) -> minitorch.Tensor:
        return minitorch.conv1d(x, self.weights.value) + self.bias.value


class CNNSentimentKim(minitorch.Module):
    """Word vectors, kernels of several widths, the largest answer of each, a linear layer, a sigmoid."""

    def __init__(
        self, vectors: minitorch.Tensor, learn_vectors: bool, feature_map_size: int,
        filter_sizes: tuple[int, ...] = (3, 4, 5), dropout: float = 0.25,
    ) -> None:  # fmt: skip
        super().__init__()
        self.vectors = minitorch.Parameter(vectors) if learn_vectors else vectors
        self.convs = [Conv1d(vectors.shape[1], feature_map_size, n) for n in filter_sizes]
        for number, conv in enumerate(self.convs):
            self.add_module(f"conv{number}", conv)
        self.weights = RParam(feature_map_size, 1)
        self.bias = RParam(1)
        self.dropout = dropout

    def forward(self, words: ts.Tensor) -> minitorch.Tensor:
        table = getattr(self.vectors, "value", self.vectors)
        x = Look.apply(table, words).permute(0, 2, 1)  # (batch, vector, word)
        pooled = [minitorch.max(conv(x).relu(), 2) for conv in self.convs]
        total = pooled[0] + pooled[1] + pooled[2]
        features = total.view(total.shape[0], total.shape[1])
        if self.training:
            features = minitorch.dropout(features, self.dropout) / (1.0 - self.dropout)
        out = features @ self.weights.value + self.bias.value
        return out.sigmoid().view(out.shape[0])


class SentenceSentimentTrain:
    """Trains the network in batches of sentences; after each epoch it judges those held out."""

    def __init__(self, model: CNNSentimentKim, jit: bool = True) -> None:
        self.model = model
        self.jit = ts.jit if jit else lambda function: function

    def train(
        self, data_train, learning_rate: float, batch_size: int, max_epochs: int, data_val,
        log_fn: Callable[..., None],
    ) -> None:  # fmt: skip
        model = self.model
        optim = minitorch.SGD(model.parameters(), learning_rate)

        @self.jit
        def step(words: ts.Tensor, y: minitorch.Tensor) -> tuple:
            optim.zero_grad()
            out = model(words)
            probability = (out * y) + (out - 1.0) * (y - 1.0)
            loss = -(probability.log() / y.shape[0]).sum()
            loss.backward()
            optim.step()
            return loss, ((out.detach() > 0.5) == y).sum()

        judge = self.jit(lambda words: model(words))
        (X_train, y_train), (X_val, y_val) = data_train, data_val
        order = np.arange(len(X_train))
        for epoch in range(1, max_epochs + 1):
            random.shuffle(order)  # type: ignore[arg-type]  # it takes arrays, too
            total_loss, correct, seen = 0.0, 0, 0
            for first in range(0, len(order) - batch_size + 1, batch_size):
                chosen = order[first : first + batch_size]
                y = minitorch.tensor(y_train[chosen], backend=BACKEND)
                loss, right = step(ts.asarray(X_train[chosen]), y)
                total_loss += loss.item()
                correct, seen = correct + int(right.item()), seen + batch_size
                log_fn(epoch, total_loss, correct / seen, None)
            model.eval()
            found = judge(ts.asarray(X_val)).to_numpy() > 0.5
            model.train()
            log_fn(epoch, total_loss, correct / seen, float((found == y_val).mean()))


def read_sentences(path: Path) -> list[list[str]]:
    """The words of each line."""
    lines = read_text(path).splitlines()
    return [line.lower().split() for line in lines if line.strip()]


def read_text(path: Path) -> str:
    """A file of text; signs that are no UTF-8 are replaced.

    Raises:
        ArgumentError: it cannot be read, or is no text.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ArgumentError(f"{path} cannot be read ({error.strerror or error})") from None
    if data[:2] == b"\x1f\x8b":
        raise ArgumentError(
            f"{path} is compressed by gzip; expected text; unpack it first: gunzip < {path} > reviews.txt"
        )
    if b"\0" in data:
        raise ArgumentError(
            f"{path} is no text (it has zero bytes); expected a sentence on each line"
        )
    return data.decode("utf8", errors="replace")


def read_vectors(path: Path) -> dict[str, np.ndarray]:
    """Word vectors in the text format of GloVe; a first line of two counts, as word2vec writes, too."""
    try:
        lines = read_text(path).splitlines()
    except ArgumentError as error:
        raise ArgumentError(f"--vectors: {error}") from None
    rows = [line.rstrip().split(" ") for line in lines if line.strip()]
    if rows and len(rows[0]) == 2 and len(rows) > 1 and len(rows[1]) > 2:
        rows = rows[1:]
    try:
        found = {row[0]: np.array(row[1:], np.float64) for row in rows}
    except ValueError:
        found = {}
    if not found or len({len(vector) for vector in found.values()}) != 1:
        raise ArgumentError(
            f"--vectors: {path}: expected lines of a word and its numbers, as many on each line"
        )
    return found


def encode(sentences: list[list[str]], words: dict[str, int], length: int) -> np.ndarray:
    """Sentences as numbers of words, padded (or cut) to one length."""
    numbers = np.full((len(sentences), length), PADDING, np.int64)
    for row, sentence in zip(numbers, sentences, strict=True):
        found = [words.get(word, UNKNOWN) for word in sentence[:length]]
        row[: len(found)] = found
    return numbers


def table_of(
    words: dict[str, int], known: dict[str, np.ndarray] | None, size: int
) -> minitorch.Tensor:
    """The vectors of all words; random ones for what is not known, zeros for the padding."""
    size = size if known is None else len(next(iter(known.values())))
    table = SPREAD * (minitorch.rand((len(words) + 2, size)).to_numpy() - 0.5)
    found = [] if known is None else [word for word in words if word in known]
    if known is not None and found:
        rows = np.stack([known[word] for word in found])
        # vectors of all sources on one scale, so that one learning rate does for all
        rows *= table.std() / max(rows.std(), 1e-12)
        table[[words[word] for word in found]] = rows
    table[PADDING] = 0.0
    return minitorch.tensor(table, backend=BACKEND)


def main(
    negative: Annotated[Path, typer.Argument(help="Bad reviews, one a line.")],
    positive: Annotated[Path, typer.Argument(help="Good reviews, one a line.")],
    vectors: Annotated[
        Path | None, typer.Option(help="Word vectors, in GloVe's text format.")
    ] = None,
    freeze: Annotated[
        bool, typer.Option("--freeze", help="Leave the word vectors as they are.")
    ] = False,
    train: Annotated[int, typer.Option(help="How many sentences to learn from.")] = 9600,
    validate: Annotated[int, typer.Option(help="How many to hold out.")] = 1000,
    rate: Annotated[float, typer.Option(help="Learning rate.")] = 0.5,
    epochs: Annotated[int, typer.Option(help="How often to go through the sentences.")] = 6,
    batch: Annotated[int, typer.Option(help="Sentences in a step.")] = 10,
    features: Annotated[int, typer.Option(help="Kernels of each width.")] = 100,
    size: Annotated[int, typer.Option(help="Numbers in a word vector, without --vectors.")] = 50,
    jit: Annotated[bool, typer.Option(help="Compile whole steps.")] = True,
    seed: Annotated[int, typer.Option(help="Decides the split, the start and the order.")] = 0,
) -> None:
    """Train a convolutional network to judge reviews (Module 4)."""
    check(train=train, validate=validate, epochs=epochs, rate=rate)
    check(batch=batch, features=features, size=size)
    bad, good = read_sentences(negative), read_sentences(positive)
    known = None if vectors is None else read_vectors(vectors)
    labelled = [(sentence, 0.0) for sentence in bad] + [(sentence, 1.0) for sentence in good]
    if train + validate > len(labelled) or train < batch:
        raise ArgumentError(
            f"--train {train} and --validate {validate}: there are {len(labelled)} sentences, and a "
            f"step takes {batch}"
        )
    seeded(seed)
    random.shuffle(labelled)
    sentences, labels = zip(*labelled, strict=True)
    learnt = sentences[:train]
    counts = Counter(word for sentence in learnt for word in sentence)
    chosen = [word for word, count in counts.items() if count > 1 or (known and word in known)]
    words = {word: number for number, word in enumerate(chosen, start=2)}
    length = max(len(sentence) for sentence in learnt)
    y = np.array(labels)
    last = slice(train, train + validate)
    model = CNNSentimentKim(table_of(words, known, size), not freeze, features)
    data_train = encode(list(learnt), words, length), y[:train]
    data_val = encode(list(sentences[last]), words, length), y[last]
    with SentimentView(epochs, train // batch, len(words), vectors) as view:
        SentenceSentimentTrain(model, jit).train(data_train, rate, batch, epochs, data_val, view)


if __name__ == "__main__":
    run(main)
