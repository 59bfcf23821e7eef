"""Two processes search while a third adds 10,000 items and saves ten times."""

from test_storage_kills import results_of


def test_readers_see_no_wrong_row():
    found = results_of("benchmarks.reliability.readers")
    assert found["problems"] == []
    assert len(found["searches"]) == 2
    assert min(found["searches"]) > 20
    assert min(found["versions"]) > 5
    assert found["items_left"] == 10_050
