import itertools
import threading

import pytest

from muybridge.inference import map_ahead


def test_work_ahead_keeps_the_order_and_passes_errors_on():
    assert list(map_ahead(str, range(20), 3)) == [str(number) for number in range(20)]
    assert list(map_ahead(str, range(20), 0)) == [str(number) for number in range(20)]
    results = map_ahead(lambda number: 1 / number, [1, 2, 0, 4], 2)
    assert [next(results), next(results)] == [1, 0.5]
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_what_was_begun_before_the_items_failed_comes_first():
    def items():
        yield 1
        yield 2
        raise OSError("no more")

    for num_threads in (0, 1, 2, 5):
        results = map_ahead(str, items(), num_threads)
        assert [next(results), next(results)] == ["1", "2"]
        with pytest.raises(OSError, match="no more"):
            next(results)


def test_work_that_is_not_wanted_any_more_is_not_begun():
    done = []
    results = map_ahead(lambda number: done.append(number) or number, itertools.count(), 2)
    assert next(results) == 0
    results.close()
    assert len(done) <= 3
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("muybridge-decode")]
