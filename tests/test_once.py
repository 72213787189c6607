"""Values that threads make once."""

import threading
import time

import pytest

from nabi._once import cached_property


class Slow:
    def __init__(self) -> None:
        self.made = 0

    @cached_property
    def value(self) -> list[int]:
        """Something new."""
        time.sleep(0.05)
        self.made += 1
        return [self.made]

    @cached_property
    def of_another(self) -> list[int]:
        return [*self.value, 2]


def test_it_is_made_once_however_many_threads_ask() -> None:
    slow, found = Slow(), []
    threads = [threading.Thread(target=lambda: found.append(slow.value)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert slow.made == 1
    assert len(found) == 4
    assert all(value is slow.value for value in found)


def test_one_may_need_another() -> None:
    assert Slow().of_another == [1, 2]


def test_objects_have_values_of_their_own() -> None:
    one, other = Slow(), Slow()
    assert one.value is not other.value
    assert Slow.value.__doc__ == "Something new."


def test_what_failed_is_tried_again() -> None:
    class Failing:
        tries = 0

        @cached_property
        def value(self) -> int:
            self.tries += 1
            if self.tries == 1:
                raise KeyboardInterrupt
            return self.tries

    failing = Failing()
    with pytest.raises(KeyboardInterrupt):
        _ = failing.value
    assert failing.value == 2
