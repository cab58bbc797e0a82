"""Transforms of batches of images and texts."""

import numpy as np
import pytest

import tessella as ts
from tessella import errors
from tessella.data import (
    CenterCrop,
    ColorJitter,
    Compose,
    Cover,
    DataLoader,
    Normalize,
    PadTruncate,
    RandomCrop,
    RandomHorizontalFlip,
    RandomResizedCrop,
    RandomVerticalFlip,
    Resize,
    RowGenerator,
    ToFloat,
    TransformedDataset,
    Vocabulary,
    characters,
    words,
)

IMAGES = np.random.default_rng(0).integers(0, 256, (6, 3, 8, 10), np.uint8)
RANDOM = [
    RandomCrop(6), RandomCrop((8, 10), padding=2, fill=9), RandomHorizontalFlip(), RandomVerticalFlip(0.3),
    RandomResizedCrop((5, 4)), ColorJitter(0.4, 0.4, 0.4), Compose([RandomHorizontalFlip(), ToFloat(), RandomCrop(7)]),
]  # fmt: skip
SETTLED = [CenterCrop((4, 6)), Resize((5, 7)), Resize(4), Cover((4, 9)), ToFloat()]


def chance(rows=range(6), seed=1):
    return RowGenerator(seed, 0, np.array(rows))


# --- randomness -----------------------------------------------------------------------------------------


def test_random_numbers_of_rows():
    several, alone = chance(), chance([4])
    for shape in ((), (3,), (2, 2)):
        np.testing.assert_array_equal(several.uniform(*shape)[4], alone.uniform(*shape)[0])
    drawn = RowGenerator(3, 1, np.arange(100_000)).uniform()
    assert drawn.min() >= 0 and drawn.max() < 1 and abs(drawn.mean() - 0.5) < 0.005
    assert len(np.unique(drawn)) == 100_000
    counts = np.bincount(RowGenerator(3, 1, np.arange(60_000)).integers(0, 6))
    assert len(counts) == 6 and abs(counts / 10_000 - 1).max() < 0.05
    normal = RowGenerator(3, 1, np.arange(100)).normal(1000)
    assert abs(normal.mean()) < 0.02 and abs(normal.std() - 1) < 0.02
    assert abs(np.corrcoef(normal[:, 0], normal[:, 1])[0, 1]) < 0.4
    for other in (RowGenerator(4, 1, np.arange(9)), RowGenerator(3, 2, np.arange(9))):
        assert not (other.uniform() == drawn[:9]).any()


@pytest.mark.parametrize("transform", RANDOM, ids=lambda one: type(one).__name__)
def test_what_happens_to_a_row_does_not_depend_on_the_others(transform):
    whole = transform(IMAGES, generator=chance())
    part = transform(IMAGES[[4, 1]], generator=chance([4, 1]))
    np.testing.assert_array_equal(part, whole[[4, 1]])
    assert not np.array_equal(transform(IMAGES, generator=chance(seed=2)), whole)


@pytest.mark.parametrize("transform", RANDOM + SETTLED, ids=lambda one: type(one).__name__)
def test_lists_and_tensors_are_batches(transform):
    arguments = [dict(generator=chance()) if transform in RANDOM else {} for _ in range(3)]
    whole = transform(IMAGES, **arguments[0])
    if not isinstance(transform, ColorJitter):
        for one, other in zip(transform(list(IMAGES), **dict(generator=chance()) if transform in RANDOM else {}), whole, strict=True):  # fmt: skip
            np.testing.assert_array_equal(one, other)
    tensor = transform(
        ts.asarray(IMAGES), **(dict(generator=chance()) if transform in RANDOM else {})
    )
    assert isinstance(tensor, ts.Tensor)
    np.testing.assert_array_equal(tensor, whole)


def test_without_a_generator_the_default_one_decides():
    ts.manual_seed(1)
    first = [RANDOM[-1](IMAGES) for _ in range(2)]
    ts.manual_seed(1)
    assert np.array_equal(RANDOM[-1](IMAGES), first[0]) and not np.array_equal(*first)


# --- what each does -------------------------------------------------------------------------------------


def test_crops_are_parts():
    padded = np.pad(IMAGES, [(0, 0), (0, 0), (2, 2), (2, 2)], constant_values=9)
    found = RANDOM[1](IMAGES, generator=chance())
    corners = chance().integers(0, np.array([5, 5]), 2)
    for image, whole, (top, left) in zip(found, padded, corners, strict=True):
        np.testing.assert_array_equal(image, whole[:, top : top + 8, left : left + 10])
    np.testing.assert_array_equal(CenterCrop((4, 6))(IMAGES), IMAGES[:, :, 2:6, 2:8])
    assert RandomCrop(3)(np.zeros((4, 5, 5))).shape == (4, 3, 3)


def test_flips_turn_about_as_many_as_is_said():
    images = np.tile(np.arange(4), (10_000, 1, 1))
    turned = RandomHorizontalFlip(0.3)(images, generator=chance(range(10_000)))[:, 0, 0] == 3
    assert abs(turned.mean() - 0.3) < 0.02
    np.testing.assert_array_equal(RandomVerticalFlip(1.0)(IMAGES), IMAGES[:, :, ::-1])
    np.testing.assert_array_equal(RandomHorizontalFlip(0.0)(IMAGES), IMAGES)


def test_numbers():
    np.testing.assert_allclose(ToFloat()(IMAGES), IMAGES / 255, rtol=1e-6)
    found = Normalize([0.5, 0.4, 0.3], (0.2, 0.1, 1.0))(ToFloat()(IMAGES))
    assert found.dtype == np.float32
    wanted = (IMAGES / 255 - np.reshape([0.5, 0.4, 0.3], (3, 1, 1))) / np.reshape(
        [0.2, 0.1, 1.0], (3, 1, 1)
    )
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(ColorJitter()(IMAGES), IMAGES)
    bright = ColorJitter(brightness=0.5)(np.full((4, 3, 2, 2), 0.4), generator=chance(range(4)))
    np.testing.assert_allclose(
        bright[:, 0, 0, 0], 0.4 * (0.5 + chance(range(4)).uniform()), rtol=1e-5
    )


def test_random_parts_lie_in_the_image_and_have_their_share():
    sizes = np.tile([[60, 80]], (5000, 1))
    boxes = RandomResizedCrop(4)._boxes(sizes, chance(range(5000)))
    top, left, height, width = boxes.T
    assert (boxes >= 0).all() and (top + height <= 60).all() and (left + width <= 80).all()
    share = height * width / 4800
    assert share.min() > 0.07 and share.max() <= 1 and 0.4 < share.mean() < 0.6
    assert (width / height).min() > 0.7 and (width / height).max() < 1.4
    narrow = RandomResizedCrop(4, (1.0, 1.0), (1.0, 1.0))._boxes(np.array([[10, 100]]), chance([0]))
    assert narrow.tolist() == [[0, 45, 10, 10]]


@pytest.mark.parametrize(
    ("call", "kind", "text"),
    [
        (lambda: CenterCrop(9)(IMAGES), errors.ShapeError, "image 0 of the batch is of (8, 10), smaller than (9, 9)"),
        (lambda: CenterCrop(0), errors.ArgumentError, "size is 0; expected a whole number of at least 1, or two"),
        (lambda: Resize((1, 2, 3)), errors.ArgumentError, "size is (1, 2, 3)"),
        (lambda: ToFloat()(3), errors.ArgumentTypeError, "images is 3; expected an array of (B, C, H, W)"),
        (lambda: ToFloat()(np.zeros((2, 2), bool)), errors.ArgumentTypeError, "images[None] makes a batch"),
        (lambda: ToFloat()(np.zeros((2, 2, 2), bool)), errors.DTypeError, "the images are of bool"),
        (lambda: Normalize([1, 2], 1)(IMAGES), errors.ShapeError, "2 numbers were given for images of 3 channels"),
        (lambda: Normalize(0, 0), errors.ArgumentError, "std is 0; expected no zeros"),
        (lambda: Normalize("a", 1), errors.ArgumentTypeError, "mean is 'a'"),
        (lambda: RandomResizedCrop(4, (0.5, 0.1)), errors.ArgumentError, "the smaller one first"),
        (lambda: ColorJitter()([IMAGES[0], IMAGES[0, :, 1:]]), errors.ShapeError, "the images are of different sizes"),
        (lambda: TransformedDataset([1], 3), errors.ArgumentTypeError, "a transform is 3"),
    ],
)  # fmt: skip
def test_mistakes(call, kind, text):
    with pytest.raises(kind) as caught:
        call()
    assert text in str(caught.value)


@pytest.mark.peers
@pytest.mark.parametrize("size", [(5, 7), (4, 4), (20, 13), (8, 10)])
@pytest.mark.parametrize("antialias", [False, True])
def test_resizing_is_that_of_pytorch(size, antialias):
    import torch

    images = IMAGES.astype(np.float32)
    wanted = torch.nn.functional.interpolate(
        torch.tensor(images), size, mode="bilinear", antialias=antialias
    )
    np.testing.assert_allclose(Resize(size, antialias)(images), wanted, atol=1e-2)


# --- in a loader ----------------------------------------------------------------------------------------


def test_transforms_in_a_loader_are_the_same_whoever_makes_the_batches():
    data = TransformedDataset(
        (IMAGES, np.arange(6)), Compose([RandomCrop(6), ToFloat()]), lambda y: y + 1
    )

    def made(size, **arguments):
        loader = DataLoader(data, size, generator=2, **arguments)
        return [np.concatenate([batch[part] for batch in loader]) for part in (0, 1)]

    images, labels = made(4)
    assert images.shape == (6, 3, 6, 6) and labels.tolist() == [1, 2, 3, 4, 5, 6]
    for other in (made(4, num_workers=2), made(2), made(3, num_workers=1)):
        np.testing.assert_array_equal(other[0], images)
    loader = DataLoader(data, 6, generator=2)
    assert not np.array_equal(
        *(next(iter(loader))[0] for _ in range(2))
    )  # another epoch, another part
    assert data[3][0].shape == (3, 6, 6) and data[3][1].item() == 4


# --- texts ----------------------------------------------------------------------------------------------


def test_tokens():
    assert words("Don't stop, Élan 42!") == ["don't", "stop", ",", "élan", "42", "!"]
    assert characters("añ") == ["a", "ñ"]


def test_vocabularies():
    vocabulary = Vocabulary.of(["b a b", "c b a"], words, least=2)
    assert vocabulary.tokens == ["<pad>", "<unk>", "b", "a"]
    assert [numbers.tolist() for numbers in vocabulary(["a b", "z"])] == [[3, 2], [1]]
    assert vocabulary.decode([3, 1]) == ["a", "<unk>"] and len(vocabulary) == 4
    assert Vocabulary.of(["hello"], most=3).tokens == ["<pad>", "<unk>", "l"]
    plain = Vocabulary([*"abc"])
    with pytest.raises(errors.UnknownKeyError, match="'d' is none of the 3 tokens; give unknown="):
        plain.encode("ad")
    with pytest.raises(errors.ArgumentError, match="the token 'a' comes twice"):
        Vocabulary([*"aba"])
    with pytest.raises(errors.ArgumentError, match="unknown is '\\?'"):
        Vocabulary([*"ab"], unknown="?")
    with pytest.raises(errors.ArgumentTypeError, match="3 was given; expected a text"):
        plain.encode(3)


def test_padding_and_cutting():
    sequences = [np.array([1, 2, 3]), np.array([], int), [4]]
    assert PadTruncate()(sequences).tolist() == [[1, 2, 3], [0, 0, 0], [4, 0, 0]]
    assert PadTruncate(2, -1, left=True)(sequences).tolist() == [[2, 3], [-1, -1], [-1, 4]]
    batch = Compose([Vocabulary([*"ab"]), PadTruncate(3, 9)])(["a", "bab"])
    assert batch.tolist() == [[0, 9, 9], [1, 0, 1]] and batch.dtype == np.int64
    loader = DataLoader(
        TransformedDataset(["a", "bab", "b"], Compose([Vocabulary([*"ab"]), PadTruncate()])), 2
    )
    assert next(iter(loader)).shape == (2, 3)


def test_transforms_of_users_have_seeds_and_ours_need_none():
    """What draws from the generators of everybody is the same in each epoch that is begun alike; ours draw elsewhere."""

    class Noise(ts.data.transforms.Transform):
        def _apply(self, images, chance):
            return images + np.random.default_rng(np.random.randint(1 << 30)).random(images.shape)

    def epoch(transform):
        data = ts.data.TransformedDataset(np.zeros((6, 1, 4, 4), np.float32), transform)
        return [batch.numpy() for batch in ts.data.DataLoader(data, 3, generator=7)]

    for transform in (Noise(), ts.data.transforms.Compose([ts.data.transforms.ToFloat(), Noise()])):
        before = np.random.get_state()[1].copy()
        np.testing.assert_array_equal(epoch(transform), epoch(transform))
        np.testing.assert_array_equal(np.random.get_state()[1], before)
    moved = ts.data.transforms.Compose(
        [ts.data.transforms.RandomCrop(4, padding=2), ts.data.transforms.ToFloat()]
    )
    np.testing.assert_array_equal(epoch(moved), epoch(moved))
