import io

import pytest

from infra.local.demo import wish_of
from infra.local.demo_screen import Screen, bar, clock, size
from infra.local.demo_take import Take, why_not


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_wish_without_anything_then_a_minute_of_our_own_stream():
    wish = wish_of([], {})

    assert (wish.seconds, wish.source, wish.keep) == (60.0, "", False)
    assert wish.out.parts[-2:] == (".demo", "out")


def test_wish_from_the_environment_as_make_sets_it():
    wish = wish_of([], {"DEMO_SECONDS": "20", "SOURCE": "rtmp://host/app/name"})

    assert (wish.seconds, wish.source) == (20.0, "rtmp://host/app/name")


def test_wish_with_empty_variables_then_as_without():
    wish = wish_of([], {"DEMO_SECONDS": "", "SOURCE": ""})

    assert (wish.seconds, wish.source) == (60.0, "")


@pytest.mark.parametrize("seconds", ["1", "100000", "abc", "nan"])
def test_wish_with_a_length_that_cannot_be_then_refused(seconds, capsys):
    with pytest.raises(SystemExit) as ended:
        wish_of([], {"DEMO_SECONDS": seconds})

    assert ended.value.code == 2
    assert seconds[:3] in capsys.readouterr().err


def test_screen_for_a_log_then_plain_lines_and_nothing_that_moves():
    out = io.StringIO()
    screen = Screen(out)
    screen.moving("half")
    with screen.step("engine", "starting") as step:
        step.text = "up"
    screen.note("watch it", "here")
    screen.mark(False, "chain", "breaks")

    lines = out.getvalue().splitlines()
    assert [line.split() for line in lines] == [
        ["✓", "engine", "up", "0.0", "s"],
        ["▶", "watch", "it", "here"],
        ["✗", "chain", "breaks"],
    ]
    assert "\x1b" not in out.getvalue()


def test_screen_for_a_terminal_then_the_moving_line_is_wiped(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    out = Terminal()
    screen = Screen(out)
    screen.moving("half")
    screen.line("done")

    assert out.getvalue() == "\r\x1b[2Khalf\r\x1b[2Kdone\n"


def test_words_for_time_size_and_progress():
    assert clock(61.9) == "01:01"
    assert [size(512_000), size(5_400_000), size(2.5e9)] == ["512 kB", "5.4 MB", "2.50 GB"]
    assert (bar(0).count("█"), bar(0.5).count("█"), bar(7).count("█")) == (0, 12, 24)


def test_why_not_tells_the_error_the_recording_carries():
    take = Take("sid", 0.0)
    take.state = {
        "status": 20,
        "error": {"code": "source_unreachable", "message": "no answer", "blame": "source"},
    }

    assert why_not(take) == "no answer (source_unreachable, blame: source)"


def test_why_not_when_nothing_was_stored_then_says_so():
    take = Take("sid", 0.0)
    take.state = {"status": 8, "error": None, "reason": "idle", "note": "waiting"}

    assert why_not(take) == "nothing was recorded (idle): waiting"


def test_why_not_when_all_is_well_then_empty():
    take = Take("sid", 0.0)
    take.state = {"status": 8, "error": None, "reason": "stopped", "note": ""}
    take.segments = [{"k": 0}]

    assert why_not(take) == ""
