from hypothesis import given
from hypothesis import strategies as st

from infra.local.demo_proof import RecordedUnit, prove
from infra.local.publisher_stream import PublishedUnit

GOP = 4


def published(count=40):
    """Pictures every 40 ms, each fourth a keyframe; sound every 20 ms, always the same frame."""
    units = [PublishedUnit("video", at * 40, at % GOP == 0, f"v{at}") for at in range(count)]
    units += [PublishedUnit("audio", at * 20, True, "silence") for at in range(count * 2)]
    return sorted(units, key=lambda unit: unit.pts_ms)


def recorded(units, *, origin_ms):
    return [
        RecordedUnit(unit.medium, (unit.pts_ms - origin_ms) * 1000, unit.keyframe, unit.sha)
        for unit in units
    ]


def take(first_ms=320, last_ms=1100):
    sent = published()
    kept = [unit for unit in sent if first_ms <= unit.pts_ms <= last_ms]
    return sent, recorded(kept, origin_ms=first_ms)


def test_prove_when_all_is_there_then_exact():
    sent, kept = take()

    proof = prove(sent, kept)

    assert proof.exact
    assert (proof.pictures, proof.sounds) == (20, 40)


@given(st.data())
def test_prove_when_units_between_keyframes_are_missing_then_counts_them(data):
    sent, kept = take()
    last_key_us = max(unit.pts_us for unit in kept if unit.medium == "video" and unit.keyframe)
    inner = [
        at
        for at, unit in enumerate(kept)
        if 0 < unit.pts_us < last_key_us and not (unit.medium == "video" and unit.keyframe)
    ]
    gone = data.draw(st.sets(st.sampled_from(inner), min_size=1))

    proof = prove(sent, [unit for at, unit in enumerate(kept) if at not in gone])

    assert (proof.lost, proof.doubled, proof.foreign) == (len(gone), 0, 0)
    assert not proof.exact


@given(st.data())
def test_prove_when_units_come_twice_then_counts_them(data):
    sent, kept = take()
    twice = data.draw(st.sets(st.integers(0, len(kept) - 1), min_size=1))
    again = [unit for at, unit in enumerate(kept) for _ in range(2 if at in twice else 1)]

    proof = prove(sent, again)

    assert (proof.lost, proof.doubled, proof.foreign) == (0, len(twice), 0)


def test_prove_when_a_payload_was_changed_then_foreign_and_lost():
    sent, kept = take()
    at = next(at for at, unit in enumerate(kept) if unit.medium == "video" and not unit.keyframe)
    kept[at] = RecordedUnit("video", kept[at].pts_us, False, "other")

    proof = prove(sent, kept)

    assert (proof.lost, proof.doubled, proof.foreign) == (1, 0, 1)


def test_prove_when_a_time_is_wrong_then_foreign():
    sent, kept = take()
    kept[9] = RecordedUnit(kept[9].medium, kept[9].pts_us + 9_000, kept[9].keyframe, kept[9].sha)

    assert prove(sent, kept).foreign == 1


def test_prove_when_times_are_rounded_then_tells_by_how_much():
    sent, kept = take()
    kept = [
        RecordedUnit(
            unit.medium, unit.pts_us + 700 * (unit.medium == "audio"), unit.keyframe, unit.sha
        )
        for unit in kept
    ]

    proof = prove(sent, kept)

    assert proof.exact
    assert 0.69 < proof.skew_ms < 0.71


def test_prove_when_nothing_was_recorded_then_not_exact():
    assert not prove(published(), []).exact


def test_prove_when_another_stream_was_recorded_then_all_is_foreign():
    _, kept = take()
    strange = [PublishedUnit("video", 0, True, "else")]

    assert prove(strange, kept).foreign == len(kept)
