from itertools import pairwise

import numpy as np
import pytest

from infra.local.publisher_picture import FLASH_US, HEIGHT, WIDTH, Picture, flash_is_on

FPS = 25
FRAME_US = 1_000_000 // FPS
NOON_US = 1_767_268_800_000_000


@pytest.fixture(scope="module")
def picture():
    return Picture(FPS)


def drawn(picture, number):
    return picture.draw(number, NOON_US + number * FRAME_US).copy()


def test_flash_lasts_its_time_at_the_start_of_each_second_and_no_longer(picture):
    on = [flash_is_on(drawn(picture, number)[:HEIGHT]) for number in range(2 * FPS)]

    lit = FLASH_US // FRAME_US
    assert on == ([True] * lit + [False] * (FPS - lit)) * 2


def test_each_picture_differs_from_the_one_before_in_a_small_part(picture):
    frames = [drawn(picture, number) for number in range(4, 14)]

    for before, after in pairwise(frames):
        part = np.count_nonzero(before != after) / before.size
        assert 0 < part < 0.03


def test_same_frame_drawn_again_after_others_is_the_same(picture):
    first = drawn(picture, 7)
    drawn(picture, 31)

    assert np.array_equal(drawn(picture, 7), first)


def test_flash_seen_in_a_smaller_picture_as_well(picture):
    bright = drawn(picture, 0)[:HEIGHT:4, :WIDTH:4]
    dark = drawn(picture, 10)[:HEIGHT:4, :WIDTH:4]

    assert flash_is_on(bright)
    assert not flash_is_on(dark)
