"""The lab's judge of recordings finds every fault that can happen to a run of units."""

import pytest

from tests.lab.compare import compare
from tests.lab.digests import Medium, UnitDigest, digest

ROUND_US = 10 * 40_000


def sent(count: int = 10, medium: Medium = "video", step_us: int = 40_000) -> list[UnitDigest]:
    return [digest(medium, n * step_us, n % 5 == 0, b"%s %d" % (medium.encode(), n))
            for n in range(count)]  # fmt: skip


def later(units: list[UnitDigest], by_us: int) -> list[UnitDigest]:
    return [UnitDigest(u.medium, u.pts_us + by_us, u.keyframe, u.sha, u.size) for u in units]


def rounds(count: int) -> list[UnitDigest]:
    return [u for turn in range(count) for u in later(sent(), turn * ROUND_US)]


def test_compare_when_a_run_is_whole_then_it_is_exact_and_placed():
    verdict = compare(sent(), later(sent()[3:8], 1_000_000))

    assert verdict.exact
    assert verdict.first == {"video": 3}
    assert verdict.last == {"video": 7}
    run = verdict.runs["video"]
    assert (run.offset_min_us, run.offset_max_us) == (1_000_000, 1_000_000)


@pytest.mark.parametrize("missing", [1, 4, 8])
def test_compare_when_a_unit_is_missing_inside_then_it_is_lost(missing: int):
    recorded = [u for n, u in enumerate(sent()) if n != missing]

    verdict = compare(sent(), recorded)

    assert verdict.lost == [("video", missing)]
    assert verdict.doubled + verdict.reordered + verdict.foreign == []
    assert not verdict.exact


def test_compare_when_the_ends_are_missing_then_nothing_is_lost():
    assert compare(sent(), sent()[2:-2]).exact


@pytest.mark.parametrize("later_by", [1, 3])
def test_compare_when_a_unit_comes_twice_then_it_is_doubled(later_by: int):
    recorded = sent()
    recorded.insert(4 + later_by, recorded[4])

    verdict = compare(sent(), recorded)

    assert verdict.doubled == [("video", 4)]
    assert verdict.lost + verdict.reordered == []


def test_compare_when_a_whole_stretch_comes_twice_then_all_of_it_is_doubled():
    recorded = [*sent()[:7], *sent()[4:]]

    verdict = compare(sent(), recorded, looped_every_us=ROUND_US)

    assert verdict.doubled == [("video", 4), ("video", 5), ("video", 6)]
    assert not verdict.lost


def test_compare_when_two_units_are_swapped_then_the_late_one_is_reordered_and_not_lost():
    recorded = sent()
    recorded[4], recorded[5] = recorded[5], recorded[4]

    verdict = compare(sent(), recorded)

    assert verdict.reordered == [("video", 4)]
    assert verdict.lost + verdict.doubled == []


def test_compare_when_a_payload_was_never_published_then_it_is_foreign_and_its_place_lost():
    recorded = sent()
    recorded[6] = digest("video", recorded[6].pts_us, False, b"damaged")

    verdict = compare(sent(), recorded)

    assert verdict.foreign == [("video", 6)]
    assert verdict.lost == [("video", 6)]


def test_compare_when_the_source_goes_round_then_positions_go_on():
    verdict = compare(sent(), rounds(3)[7:25], looped_every_us=ROUND_US)

    assert verdict.exact
    assert (verdict.first["video"], verdict.last["video"]) == (7, 24)
    assert verdict.runs["video"].offset_max_us == 0


@pytest.mark.parametrize("missing", [9, 10, 11, 19])
def test_compare_when_a_unit_is_lost_near_the_turn_then_it_is_named(missing: int):
    recorded = [u for n, u in enumerate(rounds(3)) if n != missing]

    assert compare(sent(), recorded, looped_every_us=ROUND_US).lost == [("video", missing)]


def test_compare_when_a_stretch_over_the_turn_is_lost_then_every_unit_is_named():
    recorded = [*rounds(2)[:8], *rounds(2)[12:]]

    verdict = compare(sent(), recorded, looped_every_us=ROUND_US)

    assert verdict.lost == [("video", at) for at in range(8, 12)]


def test_compare_when_the_source_is_sent_once_then_a_second_round_is_doubled():
    assert len(compare(sent(), rounds(2)).doubled) == 10


def test_compare_when_payloads_repeat_then_the_run_is_placed_by_its_followers():
    silence = digest("audio", 0, True, b"silence")
    published = [*sent(3, "audio"), silence, *sent(6, "audio")[3:], silence, silence]

    verdict = compare(published, published[3:])

    assert verdict.exact
    assert verdict.first == {"audio": 3}


def test_compare_when_timestamps_drift_then_the_spread_tells():
    recorded = [UnitDigest(u.medium, u.pts_us + n * 100, u.keyframe, u.sha, u.size)
                for n, u in enumerate(sent())]  # fmt: skip

    run = compare(sent(), recorded).runs["video"]

    assert run.exact
    assert (run.offset_min_us, run.offset_max_us) == (0, 900)


def test_compare_when_media_are_mixed_then_each_is_judged_by_itself():
    published = [*sent(), *sent(8, "audio", 21_333)]

    verdict = compare(published, [*published[:4], *published[12:], *published[4:10]])

    assert verdict.exact
    assert verdict.first == {"video": 0, "audio": 2}


def test_compare_when_a_medium_was_never_published_then_it_says_so():
    with pytest.raises(ValueError, match="audio was recorded but never published"):
        compare(sent(), sent(2, "audio"))


def test_compare_when_nothing_is_recorded_then_it_is_not_exact():
    verdict = compare(sent(), [])

    assert not verdict.exact
    assert str(verdict) == "nothing recorded"


def test_comparison_when_shown_then_it_names_the_faults():
    recorded = [u for n, u in enumerate(sent()) if n != 4]

    assert "lost 1: [4]" in str(compare(sent(), recorded))
