"""Tables as arrays: what is learnt from which rows, and what becomes of what is missing or was never seen."""

import numpy as np
import pytest

from tessella import errors
from tessella.data import CSV, TableEncoder

TABLE = """city,rooms,sold,same,id,target
Oslo,1,true,4,a,0
Bonn,,false,4,b,1
Oslo,5,true,,c,0
,3,false,4,d,1
Bonn,inf,true,4,e,0
Rome,7,false,4,f,1
"""


@pytest.fixture
def write(tmp_path):
    def write(text, name="a.csv"):
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


def test_columns_become_arrays(write):
    table = CSV(write(TABLE), target="target")
    encoder = TableEncoder(table)
    assert (encoder.width, encoder.sizes) == (3, [3])
    found = encoder(table)
    rooms = np.array([1, 5, 3, 7])
    expected = np.zeros(6)
    expected[[0, 2, 3, 5]] = (rooms - rooms.mean()) / rooms.std()
    np.testing.assert_allclose(found["numbers"][:, 0], expected, rtol=1e-6)
    assert found["numbers"][:, 1].tolist() == [0, 1, 0, 0, 1, 0]
    assert found["numbers"][:, 2].tolist() == [1, -1] * 3
    assert found["categories"].tolist() == [[2], [1], [2], [0], [1], [0]]
    assert found["numbers"].dtype == np.float32
    assert found["categories"].dtype == np.int64
    told = str(encoder).splitlines()
    assert told[0] == "city  text    2 categories; 1 missing"
    assert told[3] == "same  number  left out: nothing differs; 1 missing"
    assert told[4] == "id    text    left out: no text comes 2 times"


def test_it_learns_from_the_rows_it_is_given(write):
    table = CSV(write(TABLE), target=-1)
    encoder = TableEncoder(table, rows=[0, 2, 3], least=1)
    assert encoder.columns["rooms"].mean == 3
    assert not encoder.columns["rooms"].has_flag
    assert encoder.columns["city"].texts == ("Oslo",)
    other = CSV(write("rooms,city,sold,id,same\n3,Rome,true,a,1\n9,Oslo,false,c,1\n", "b.csv"))
    found = encoder(other)
    assert found["categories"].tolist() == [[0, 1], [1, 2]]
    assert found["numbers"].shape == (2, 2)
    assert found["numbers"][0, 0] == 0


def test_tables_that_do_not_fit(write):
    table = CSV(write(TABLE))
    encoder = TableEncoder(table)
    with pytest.raises(errors.UnknownKeyError, match="has no column 'city'; it has 'a'"):
        encoder(CSV(write("a\n1\n", "b.csv")))
    words = TABLE.replace(",5,", ",many,")
    with pytest.raises(
        errors.ArgumentTypeError,
        match="'rooms' has texts; it had numbers when the encoder was made",
    ):
        encoder(CSV(write(words, "c.csv")))
    with pytest.raises(errors.ArgumentTypeError, match=r"table is .*; expected a ts\.data\.CSV"):
        TableEncoder([1, 2])
    alike = CSV(write("a,b\n1,x\n1,y\n", "d.csv"))
    assert TableEncoder(alike)(alike)["numbers"].shape == (2, 0)
