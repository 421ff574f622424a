from compiler.codegen.c.tables import Pieces, Shares, Table
from compiler.places import Place


def slot(place: Place) -> str:
    return f"{{{place.buffer}, {place.offset}}}"


def test_a_column_of_one_place_is_no_part_of_the_table() -> None:
    rate = Place(9)
    table = Table("t", [[Place(0), rate], [Place(1, 8), rate]], ["w", "rate"])
    assert table.pointer(0) == "AT(t[m][0])"
    assert table.pointer(1) == "rate"
    assert table.lines(slot) == ["static const Slot t[][1] = {", "  {{0, 0}}, {{1, 8}},", "};"]


def test_a_table_of_equal_rows_keeps_one_column() -> None:
    rate = Place(9)
    assert Table("t", [[rate], [rate]], ["rate"]).columns == [0]


def test_pieces_cover_every_element_once() -> None:
    pieces = Pieces(3, [10, 0, 4, 7], 4)
    assert pieces.starts == [0, 3, 3, 4, 6]
    covered = [
        range((p - first) * 4, min((p - first) * 4 + 4, size))
        for first, end, size in zip(pieces.starts, pieces.starts[1:], pieces.sizes, strict=False)
        for p in range(first, end)
    ]
    assert [len(c) for c in covered] == [4, 4, 2, 4, 4, 3]


def test_the_loop_looks_for_the_tensor_of_a_piece() -> None:
    assert Pieces(3, [10, 4], 4).loop(lambda begin, end: f"k({begin}, {end});") == [
        "for (long p = FROM(4, 1), m = 0; p < TO(4, 1); p++) {",
        "  while (p >= first3[m + 1]) m++;",
        "  const long begin = (p - first3[m]) * 4;",
        "  k(begin, LEAST(begin + 4, size3[m]));",
        "}",
    ]


def test_every_thread_has_a_share_of_each_tensor() -> None:
    shares = Shares(3, [100, 40], 16)
    assert shares.arrays() == ["static const long size3[] = {", "  100, 40,", "};"]
    assert shares.loop(lambda begin, end: f"k({begin}, {end});") == [
        "for (long m = 0; m < 2; m++)",
        "  k(FROM(size3[m], 16), TO(size3[m], 16));",
    ]
