import pytest

from jepa_mpc.journal import line, whole_lines


@pytest.mark.parametrize("rest", [b"", b'{"a": 3', b'{"a": 3}', b"\xff\n", b"[1]\n", b"[" * 100_000 + b"\n"])
def test_what_was_not_written_to_its_end_ends_a_journal(rest):
    whole = line({"a": 1}) + line({"a": 2})
    assert list(whole_lines(whole + rest)) == [({"a": 1}, len(line({"a": 1}))), ({"a": 2}, len(whole))]


def test_nothing_behind_a_damaged_line_is_believed():
    assert list(whole_lines(b"x\n" + line({"a": 1}))) == []
