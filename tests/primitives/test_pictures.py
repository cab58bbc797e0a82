"""Pictures of graphs: what is shown, and that boxes stay apart."""

import itertools
import re
from xml.etree import ElementTree

import pytest

import tessella as ts
from tessella.primitives.pictures.layout import Size, Spacing, lay_out, layers_of, too_long
from tessella.primitives.pictures.picture import picture
from tessella.primitives.pictures.svg import MOST_ENDS


def network(depth):
    """A graph of some depth: products, and what follows them, with a way around all."""
    weights = [ts.ones((8, 8)) for _ in range(depth)]

    def f(x):
        first = ts.exp(x)
        for weight in weights:
            x = ts.tanh(x @ weight + 1.0).sum(axis=1, keepdims=True) * x
        ts.debug.print('quotes " and <tags> & {}', first.sum())
        return x @ first, ts.argsort(x)

    return ts.jit(f).graph(ts.ones((8, 8)))


@pytest.mark.parametrize("depth", [1, 3, 30])
def test_svg_is_well_formed_and_complete(depth):
    graph = network(depth)
    root = ElementTree.fromstring(graph.to_svg())
    space = "{http://www.w3.org/2000/svg}"
    boxes = [g for g in root.iter(f"{space}g") if g.find(f"{space}title") is not None]
    assert len(boxes) == len(picture(graph, MOST_ENDS).boxes)
    titles = ["".join(t.itertext()) for t in root.iter(f"{space}text") if t.get("class") == "title"]
    assert len([title for title in titles if title.endswith("product")]) == depth + 1
    assert any(title.endswith("ArgSort") for title in titles)
    text = "".join(root.itertext())
    assert "[8,8] × [8,8] → float32[8,8]" in text
    assert "test_pictures.py:" in text
    assert "prefers-color-scheme:dark" in text


@pytest.mark.parametrize("depth", [1, 3, 30])
def test_boxes_do_not_overlap_and_lie_inside(depth):
    text = network(depth).to_svg()
    width, height = map(float, re.search(r'width="(\d+)" height="(\d+)"', text).groups())
    numbers = r'<rect x="([\d.-]+)" y="([\d.-]+)" width="([\d.]+)" height="([\d.]+)" rx="7"'
    boxes = [tuple(map(float, found)) for found in re.findall(numbers, text)]
    assert boxes
    for x, y, w, h in boxes:
        assert x >= -0.1
        assert y >= 0
        assert x + w <= width
        assert y + h <= height
    for (x, y, w, h), (a, b, c, d) in itertools.combinations(boxes, 2):
        assert x + w <= a or a + c <= x or y + h <= b or b + d <= y


def test_large_graphs_tell_long_arrows_in_words():
    text = network(30).to_svg()
    assert "↑ " in text
    assert "↓ " in text
    assert "reads captured_7: float32[8,8]" in text
    assert "↑ " not in network(2).to_svg()


def test_notebooks_are_given_pictures():
    graph = network(1)
    assert graph._repr_svg_() == graph.to_svg()
    assert graph.to_svg() in graph._repr_html_()


def test_dot():
    text = network(2).to_dot()
    lines = text.splitlines()
    assert (lines[0], lines[-1]) == ("digraph {", "}")
    nodes = [line for line in lines if re.match(r"  n\d+ \[label=", line)]
    arrows = [line for line in lines if "->" in line]
    shown = picture(network(2))
    assert (len(nodes), len(arrows)) == (len(shown.boxes), len(shown.arrows))
    for line in lines[2:-1]:
        assert line.replace('\\"', "").count('"') % 2 == 0


def test_mermaid():
    text = network(2).to_mermaid()
    shown = picture(network(2))
    assert text.startswith("flowchart TD\n")
    assert len(re.findall(r'^  n\d+\["[^"]*"\]:::\w+$', text, re.MULTILINE)) == len(shown.boxes)
    used = set(re.findall(r":::(\w+)", text))
    assert used == set(re.findall(r"classDef (\w+)", text))


def test_families():
    shown = picture(network(1))
    families = {box.family for box in shown.boxes}
    assert {"input", "product", "rows", "host", "output"} <= families


def test_arrows_lead_from_what_makes_to_what_uses():
    graph = ts.jit(lambda x: ts.argsort(ts.argsort(x))).graph(ts.ones(3))
    shown = picture(graph)
    titles = [box.title for box in shown.boxes]
    assert titles == ["argument", "ArgSort", "ArgSort", "result 0"]
    ways = [(arrow.source, arrow.target, arrow.label) for arrow in shown.arrows]
    assert ways == [(0, 1, "float32[3]"), (1, 2, "int64[3]"), (2, 3, "int64[3]")]


# --- the layout -------------------------------------------------------------------------------


def test_layers_go_down_along_every_arrow():
    arrows = [(0, 2), (1, 2), (2, 3), (0, 3), (4, 5), (3, 5)]
    layers = layers_of(6, arrows)
    assert all(layers[a] < layers[b] for a, b in arrows)
    assert min(layers) == 0
    assert layers[4] == layers[5] - 1  # what needs nothing stands just above its reader


def test_wide_layers_are_broken():
    layers = layers_of(21, [(0, i) for i in range(1, 21)])
    assert max(layers.count(layer) for layer in set(layers)) <= 4


def test_long_arrows_are_cut_only_in_large_pictures():
    chain = [(i, i + 1) for i in range(60)]
    assert too_long(layers_of(61, chain), [*chain, (0, 60)]) == [(0, 60)]
    assert too_long(layers_of(10, chain[:9]), [*chain[:9], (0, 9)]) == []


def test_a_chain_is_straight_and_an_empty_picture_has_no_size():
    sizes = [Size(100, 40)] * 4
    arrows = [(0, 1), (1, 2), (2, 3)]
    found = lay_out(sizes, layers_of(4, arrows), arrows, Spacing())
    assert len({round(x, 3) for x, _ in found.places}) == 1
    assert [y for _, y in found.places] == [0, 80, 160, 240]
    empty = lay_out([], [], [], Spacing())
    assert (empty.width, empty.height, empty.places) == (0, 0, [])
