"""What things show of themselves: in notebooks as HTML, elsewhere as one line or a table."""

import html.parser

import pytest

import tessella as ts
from tessella import nn, notebooks, optim

MOST = 20_000  # characters


class Reader(html.parser.HTMLParser):
    """Reads a piece: its text, that elements are closed, and what it would fetch or run."""

    def __init__(self, piece):
        super().__init__()
        self.open, self.words, self.from_elsewhere = [], [], []
        self.feed(piece)
        self.close()

    def handle_starttag(self, tag, attributes):
        names = {name for name, _ in attributes}
        if tag in ("script", "link", "iframe", "img") or names & {
            "src",
            "href",
            "onclick",
            "onload",
        }:
            self.from_elsewhere.append(tag)
        if tag != "br":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)

    @property
    def text(self):
        return " ".join(self.words)


class Odd(nn.Module):
    """Says what would be HTML."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(4, 3), nn.Sequential(nn.ReLU(), nn.Dropout(0.5)))

    def extra_repr(self):
        return "<script>alert('x')</script> & more"

    def forward(self, x):
        return self.inner(x)


def explained():
    return ts.jit(lambda x: ts.exp(x @ x).sum(axis=0)).explain(ts.ones((8, 8)))


def profiled():
    with ts.profile() as found:
        for number in range(60):
            ts.ones((3, number)).sum(axis=0)
    return found


def graph():
    return ts.jit(lambda x: ts.exp(x @ x)).graph(ts.ones((4, 4)))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: ts.ones((300, 400)), ["Tensor", "float32, 300×400"]),
        (lambda: nn.Parameter(ts.ones((2, 2))), ["Parameter", "requires_grad=True"]),
        (Odd, ["15 numbers in parameters", "alert('x')", "(inner): Sequential", "weight [3, 4], bias [3]"]),
        (explained, ["of the limit", "product", "in all kernels", "limits of this machine"]),
        (profiled, ["Profile", "shortest", "eager", "float32[3,"]),
        (graph, ["argument", "float32[4,4]"]),
    ],
)  # fmt: skip
def test_pieces(make, words):
    piece = make()._repr_html_()
    found = Reader(piece)
    assert found.open == []
    assert found.from_elsewhere == []
    assert len(piece) < MOST
    for word in words:
        assert word in found.text, word


def test_long_profiles_are_shown_in_part():
    with ts.profile() as found:
        for number in range(1, 90):
            ts.ones((number,)).sum()
    piece = found._repr_html_()
    assert piece.count("<tr>") == 41
    assert f"and {len(found.rows()) - 40} more" in piece
    assert len(str(found).splitlines()) > 90


def test_text_is_escaped():
    assert str(notebooks.Cell("<b> & 'c'")) == "<td>&lt;b&gt; &amp; &#x27;c&#x27;</td>"
    for piece in (notebooks.head("<i>", "<u>"), notebooks.soft("<i>"), notebooks.code("<i>")):
        assert "<i>" not in piece
        assert "<u>" not in piece


def test_colours_are_those_of_the_page():
    """Light or dark: text has the colour of what is around it, all else can be seen on both."""
    piece = notebooks.piece(notebooks.table(("a",), [[notebooks.Cell(1, share=0.5)]]))
    assert "color:inherit" in piece
    assert "#fff" not in piece
    assert "#000" not in piece


# --- one line -----------------------------------------------------------------------------------------


def test_a_compiled_function():
    def step(x):
        return x * 2

    compiled = ts.jit(step)
    name = f"{test_a_compiled_function.__name__}.<locals>.step"
    assert repr(compiled) == f"<jit of {name}: not called yet>"
    compiled(ts.ones(2))
    assert repr(compiled) == f"<jit of {name}: traced 1 time, 1 program; explain() shows them>"
    compiled(ts.ones(3))
    assert repr(compiled) == f"<jit of {name}: traced 2 times, 2 programs; explain() shows them>"


def test_a_compiled_method():
    class Trainer:
        @ts.jit
        def step(self, x):
            return x

    trainer = Trainer()
    trainer.step(ts.ones(2))
    assert "Trainer.step: traced 1 time" in repr(trainer.step)
    assert "Trainer.step: not called yet" in repr(Trainer.step)


def test_a_graph():
    found = ts.make_graph(lambda x, y: (ts.exp(x) + y, x))(ts.ones(2), ts.ones(2))
    assert repr(found) == "<graph of 2 inputs, 2 operations, 2 results; print it to read it>"


def test_an_optimiser():
    net = nn.Linear(4, 3)
    one = optim.SGD(net.parameters(), lr=0.1)
    assert repr(one) == (
        "SGD(lr=0.1, momentum=0.0, dampening=0.0, weight_decay=0.0, nesterov=False, maximize=False; "
        "2 tensors of 15 numbers)"
    )
    one.param_groups[0]["lr"] = 0.01
    assert repr(one).startswith("SGD(lr=0.01,")  # as it is now
    two = optim.Adam([{"params": [net.weight]}, {"params": [net.bias], "lr": 0.5}], lr=0.1)
    lines = repr(two).splitlines()
    assert lines[0] == "Adam("
    assert lines[1].startswith("  group 0: ")
    assert "lr=0.1," in lines[1]
    assert lines[1].endswith("; 1 tensor of 12 numbers")
    assert "lr=0.5," in lines[2]
    assert lines[3] == ")"


@pytest.mark.parametrize("make", [explained, profiled])
def test_tables_are_their_own_repr(make):
    found = make()
    assert repr(found) == str(found)
