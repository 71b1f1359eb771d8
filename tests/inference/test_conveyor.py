"""Steps in threads: order, limits, errors and interrupts."""

import threading

import pytest

from gracile.inference.conveyor import Conveyor, HoldingStep


def test_items_come_out_in_order_through_all_steps():
    with Conveyor[int](range(50), [lambda n: n + 1, lambda n: n * 2]) as line:
        assert list(line) == [(n + 1) * 2 for n in range(50)]


def test_each_step_has_a_thread_of_its_own():
    names = [set(), set()]

    def noting(number):
        return lambda item: names[number].add(threading.get_ident()) or item

    with Conveyor[int](range(10), [noting(0), noting(1)]) as line:
        assert len(list(line)) == 10
    assert [len(seen) for seen in names] == [1, 1]
    assert not names[0] & names[1]


def test_no_more_items_are_under_way_than_the_limit_allows():
    taken = 0
    full = threading.Event()
    limit, steps = 2, 3
    most = (steps + 1) * (limit + 1)

    def source():
        nonlocal taken
        for item in range(1000):
            taken += 1
            if taken == most:
                full.set()
            yield item

    with Conveyor[int](source(), [lambda n: n] * steps, limit) as line:
        assert full.wait(30)  # nobody takes any: the line fills up to its limit
        for out in range(100):
            assert next(line) == out
            assert taken <= out + 1 + most


def test_an_error_of_a_step_comes_out_after_the_items_before_it_and_ends_all_threads():
    def step(item):
        if item == 5:
            raise ValueError("five")
        return item

    def go_through():
        with Conveyor[int](range(10**9), [step, lambda n: n]) as line:
            for item in line:
                seen.append(item)

    before = threading.active_count()
    seen = []
    with pytest.raises(ValueError, match="five"):
        go_through()
    assert seen == [0, 1, 2, 3, 4]
    assert threading.active_count() <= before


def test_an_error_of_the_source_comes_out():
    def source():
        yield 1
        raise OSError("gone")

    with Conveyor[int](source(), [lambda n: n]) as line:
        assert next(line) == 1
        with pytest.raises(OSError, match="gone"):
            next(line)


def test_leaving_in_the_middle_ends_all_threads():
    def go_through():
        with Conveyor[int](iter(int, 1), [lambda n: n] * 3) as line:
            next(line)
            raise KeyboardInterrupt

    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        go_through()
    assert threading.active_count() <= before


def test_ending_the_source_lets_what_is_under_way_come_out():
    with Conveyor[int](range(10**9), [lambda n: n]) as line:
        first = [next(line) for _ in range(3)]
        line.end()
        rest = list(line)
    assert first + rest == list(range(3 + len(rest)))
    assert len(rest) < 100


class Pairs(HoldingStep):
    """Gives items on two at a time."""

    def __init__(self) -> None:
        self.held: list[int] = []

    def __call__(self, item: int) -> list[int]:
        self.held.append(item)
        return self.rest() if len(self.held) == 2 else []

    def rest(self) -> list[int]:
        held, self.held = self.held, []
        return held


def test_a_step_may_hold_items_back_and_gives_the_rest_at_the_end():
    with Conveyor[int](range(7), [Pairs(), lambda n: n * 2]) as line:
        assert list(line) == [0, 2, 4, 6, 8, 10, 12]


def test_what_was_held_when_a_source_fails_comes_out_before_the_error():
    def source():
        yield from range(3)
        raise OSError("cut off")

    with Conveyor[int](source(), [Pairs()]) as line:
        assert [next(line) for _ in range(3)] == [0, 1, 2]
        with pytest.raises(OSError, match="cut off"):
            next(line)


def test_leaving_while_a_step_holds_items_ends_it():
    with Conveyor[int](range(10**9), [Pairs()], limit=1) as line:
        assert next(line) == 0
    assert not any(thread.is_alive() for thread in line._threads[1:])
