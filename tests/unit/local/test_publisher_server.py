from infra.local.publisher_flv import HEADER, Tag, audio, video
from infra.local.publisher_server import Broadcast

HEADS = (Tag(b"<meta>"), Tag(b"<config>"))
START = HEADER + b"<meta><config>"


def tags(*bodies):
    return [Tag(body.encode(), keyframe=body.startswith("K")) for body in bodies]


def test_newcomer_gets_heads_and_everything_since_the_last_keyframe():
    broadcast = Broadcast(HEADS)
    for tag in tags("K0", "p1", "K2", "p3"):
        broadcast.publish(tag)

    assert broadcast.join().take() == START + b"K2p3"


def test_newcomer_before_the_first_keyframe_gets_heads_only():
    broadcast = Broadcast(HEADS)
    broadcast.publish(Tag(b"a0"))

    assert broadcast.join().take() == START


def test_subscribers_each_get_every_tag_that_follows():
    broadcast = Broadcast(HEADS)
    both = [broadcast.join(), broadcast.join()]
    for tag in tags("K0", "p1"):
        broadcast.publish(tag)

    assert [each.take() for each in both] == [START + b"K0p1"] * 2


def test_slow_subscriber_is_dropped_and_the_others_stay():
    broadcast = Broadcast(HEADS, limit=len(START) + 20)
    slow, quick = broadcast.join(), broadcast.join()
    received = quick.take()
    for tag in tags("K" * 10, "p" * 10, "q" * 10):
        broadcast.publish(tag)
        received += quick.take()

    assert slow.dropped
    assert slow.take() == b""
    assert not quick.dropped
    assert received == START + b"K" * 10 + b"p" * 10 + b"q" * 10
    assert broadcast.subscribers == 1


def test_subscriber_that_left_gets_nothing_more():
    broadcast = Broadcast(HEADS)
    gone = broadcast.join()
    gone.take()
    broadcast.leave(gone)
    broadcast.publish(Tag(b"K0", keyframe=True))
    gone.close()

    assert broadcast.subscribers == 0
    assert gone.take() == b""


def test_end_lets_subscribers_finish_what_is_queued():
    broadcast = Broadcast(HEADS)
    early = broadcast.join()
    broadcast.publish(Tag(b"K0", keyframe=True))
    broadcast.end()
    late = broadcast.join()

    assert [early.take(), early.take()] == [START + b"K0", b""]
    assert [late.take(), late.take()] == [START + b"K0", b""]


def test_tag_with_a_time_beyond_24_bits_keeps_its_upper_byte_behind():
    tag = audio(0x01_02_03_04, b"x")

    assert tag.body[4:8] == b"\x02\x03\x04\x01"
    assert tag.body[-4:] == (11 + 3).to_bytes(4, "big")


def test_picture_shown_later_than_decoded_carries_the_difference():
    tag = video(40, 120, b"nal", keyframe=True)

    assert tag.keyframe
    assert tag.body[11:16] == b"\x17\x01\x00\x00\x50"
