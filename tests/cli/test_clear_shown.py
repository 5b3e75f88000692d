"""How stopctl shows local disks and their clearing: bars, show, status, events, watch."""

import re

import pytest

from clears import CLEARED, STUCK, cleared, half
from scripted_daemon import (OTHER_ID, REQUEST_ID, Stream, clearing, ctl, disk, error, instance,
                             on_terminal, operation, quarantined, without_escapes)


# --- Bars ---------------------------------------------------------------------------------------


def rows(result):
    """The rows that were drawn, without escapes and each once, in order."""
    seen = []
    for row in without_escapes(result.err).replace("\r", "").split("\n"):
        if row not in seen:
            seen.append(row)
    return seen


def test_each_disk_has_a_bar_that_grows(daemon):
    waiting = disk("vdc")
    daemon.accepts(clearing(disk("vdb", "clearing"), waiting),
                   clearing(half(), waiting),
                   clearing(disk("vdb", "verifying", verified=1 << 28, mibPerS=900), waiting,
                            phase="clearing"),
                   clearing(disk("vdb", "cleared"),
                            disk("vdc", "clearing", method="nvme-format-user-data")),
                   operation(storage=CLEARED))
    result = on_terminal(daemon, "stop", "i-abc", columns=100)
    assert result.status == 0
    drawn = rows(result)
    bars = [row for row in drawn if row.startswith("  vd")]
    assert bars == [
        "  vdb  [--------------------]   0%  write-zeroes",
        "  vdc  [--------------------]   0%  waiting",
        "  vdb  [##########----------]  50%  write-zeroes  512 MiB/s  3 min 20 s left",
        "  vdb  [#####---------------]  25%  verifying  900 MiB/s",
        "  vdb  [####################] 100%  cleared by write-zeroes",
        "  vdc  [--------------------]   0%  nvme-format-user-data",
    ]
    phases = [re.sub(r"\d+\.\d s", "T", row) for row in drawn if row.startswith("i-abc  c")]
    assert list(dict.fromkeys(phases)) == ["i-abc  clearing         0%  T", "i-abc  clearing        25%  T",
                                           "i-abc  clearing        50%  T"]
    assert "\x1b[3A" in result.err  # three rows, drawn over themselves
    assert "\x1b[32m[####" in result.err  # what is cleared is green


def test_the_whole_is_told_as_verified_once_all_is_cleared(daemon):
    daemon.accepts(clearing(disk("vdb", "verifying", verified=1 << 28), disk("vdc", "cleared"),
                            phase="verifying"), operation())
    assert re.search(r"i-abc  verifying +62%  \d", without_escapes(on_terminal(
        daemon, "stop", "i-abc").err))


def test_a_disk_that_waits_for_its_next_try_says_why(daemon):
    daemon.accepts(clearing(disk("vdb", tries=2, problem="Input/output error")), operation())
    assert ("  vdb  [----------------]   0%  waiting, 2 tries failed: Input/output error"
            in rows(on_terminal(daemon, "stop", "i-abc")))


def test_there_is_no_bar_before_the_guest_is_off(daemon):
    daemon.accepts(clearing(disk("vdb"), phase="shutting-down"), operation())
    text = without_escapes(on_terminal(daemon, "stop", "i-abc").err)
    assert "shutting-down" in text and "vdb" not in text


def test_bars_are_cut_to_a_narrow_and_low_terminal(daemon):
    many = [half(target=f"vd{c}", problem="x" * 100) for c in "bcdefghi"]
    daemon.accepts(clearing(*many), clearing(*many), operation())
    result = on_terminal(daemon, "stop", "i-abc", rows=6, columns=40)
    drawn = [row for row in rows(result) if row.startswith("  vd")]
    assert len(drawn) == 3 and all(len(row) < 40 for row in drawn)
    assert drawn[0].startswith("  vdb  [#####-----]  50%  write-zer")
    assert "and 5 more" in rows(result)
    assert "\x1b[5A" in result.err and "\x1b[6A" not in result.err


def test_what_a_helper_said_cannot_move_the_cursor(daemon):
    daemon.accepts(clearing(disk("vdb", tries=1, problem="a\x1b[2Jb\nc"), disk("v\x9b1A")),
                   operation())
    result = on_terminal(daemon, "stop", "i-abc")
    assert "1 try failed: a?[2Jb?c" in result.err
    assert "\x1b[2J" not in result.err and "\x9b" not in result.err


def test_bars_without_colours(daemon):
    daemon.accepts(clearing(half()), operation())
    result = on_terminal(daemon, "stop", "i-abc", env={"NO_COLOR": "1"})
    assert not re.search(r"\x1b\[[0-9;]*m", result.err)
    assert "[########--------]  50%" in result.err


def test_a_terminal_that_cannot_move_gets_a_line_for_each_change_of_a_disk(daemon):
    daemon.accepts(clearing(half(), disk("vdc")), clearing(half(done=1 << 28), disk("vdc")),
                   clearing(disk("vdb", "cleared"), disk("vdc")), quarantined())
    result = on_terminal(daemon, "stop", "i-abc", env={"TERM": "dumb"}, columns=300)
    assert result.err.replace("\r\n", "\n") == (
        "i-abc: clearing\ni-abc: vdb: write-zeroes\ni-abc: vdc: waiting\n"
        f"i-abc: vdb: cleared by write-zeroes\nstopctl: stop {STUCK}")


def test_without_a_terminal_there_are_only_results(daemon):
    daemon.accepts(clearing(half()), clearing(half()), operation(storage=CLEARED))
    result = ctl(daemon, "stop", "i-abc")
    assert result.err == "" and result.out.count("\n") == 1


# --- show, status -------------------------------------------------------------------------------

STORAGE = f"""\
Storage:
  vdb  /dev/nvmebn1, 1.0 GiB (1073741824 bytes)
       serial S4EWNX0B
       cleared by write-zeroes: 1.0 GiB cleared (100%) and verified
  vdc  /dev/nvmecn1, 894.3 GiB (960197124096 bytes)
       model SAMSUNG MZ, serial S4EWNX0C, eui64 0025385b71b01234
       clearing by overwrite: 411.4 GiB cleared (46%), 0% verified, 512 MiB/s, 16 min 05 s left
       2 tries failed: write-zeroes: Input/output error
  vdd  /dev/nvmedn1, 1.0 GiB (1073741824 bytes)
       serial S4EWNX0D
       waiting: 0 B cleared (0%), 0% verified
Certificate:  stopctl certificate {REQUEST_ID}
"""


def test_show_tells_of_each_disk(daemon):
    large = disk("vdc", "clearing", bytes=960197124096, done=441737000000, method="overwrite",
                 mibPerS=512, secondsLeft=965, tries=2, problem="write-zeroes: Input/output error",
                 identity={"model": "SAMSUNG MZ", "serial": "S4EWNX0C", "eui64": "0025385b71b01234",
                           "size": "960197124096"})
    document = clearing(disk("vdb", "cleared", verified=540 << 20), large, disk("vdd"))
    daemon.on(f"GET /v1/operations/{REQUEST_ID}", (200, document))
    result = ctl(daemon, "show", REQUEST_ID)
    assert result.status == 0
    assert STORAGE + "Timeline:\n" in result.out
    assert "Phase:        clearing 46%\n" in result.out
    assert "retry" not in result.out


def test_show_of_a_quarantined_disk_says_how_to_go_on(daemon):
    daemon.on(f"GET /v1/operations/{REQUEST_ID}", (200, quarantined(detail="It is so.")))
    text = ctl(daemon, "show", REQUEST_ID).out
    assert "       quarantined, after write-zeroes: 0 B cleared (0%), 0% verified\n" in text
    assert "       8 tries failed: write-zeroes: Input/output error\n" in text
    assert f"To go on:     stopctl retry {REQUEST_ID}\n" in text
    assert "Waits for:    It is so.\n" in text


def test_show_of_a_clear_has_nothing_of_a_stop(daemon):
    daemon.on(f"GET /v1/operations/{REQUEST_ID}", (200, cleared()))
    text = ctl(daemon, "show", REQUEST_ID).out
    assert "Action:       ClearLocalDisks\n" in text
    assert "Power cut" not in text and "StoppedMode" not in text


def test_status_tells_phases_and_sorts_by_nature(daemon):
    third = "33333333-2222-4333-8444-555555555555"
    daemon.on("GET /v1/instances", (200, {"instances": [
        instance("web10", underway=third), instance("web2", owed=REQUEST_ID), instance("web1"),
        instance("web9", owed=OTHER_ID)]}))
    daemon.on("GET /v1/operations", (200, {"operations": [
        clearing(half(), instance="web2"), clearing(phase="shutting-down", request=third)]}))
    # A clear of kept disks is none of those that are Stopping.
    daemon.on(f"GET /v1/operations/{OTHER_ID}",
              (200, quarantined(instance="web9", requestId=OTHER_ID)))
    result = ctl(daemon, "status")
    table = [line.split() for line in result.out.splitlines()]
    assert [row[0] for row in table] == ["ID", "web1", "web2", "web9", "web10"]
    assert table[0][3:] == ["DETAIL", "PHASE", "OPERATION"]
    assert [row[4:] for row in table[1:]] == [
        ["-", "-"], ["clearing", "50%", REQUEST_ID], ["quarantined", OTHER_ID],
        ["shutting-down", third]]
    assert [r.query for r in daemon.requests if r.path == "/v1/operations"] == [
        {"state": "Stopping", "limit": "1000"}]


def test_status_of_one_has_its_phase(daemon):
    daemon.on("GET /v1/instances/i-abc", (200, instance(owed=REQUEST_ID)))
    daemon.on(f"GET /v1/operations/{REQUEST_ID}",
              (200, clearing(disk("vdb", "verifying", verified=1 << 29), phase="verifying")))
    assert "verifying 50%" in ctl(daemon, "status", "i-abc").out


# --- events, watch ------------------------------------------------------------------------------


def storage_event(kind, sequence=1, **data):
    return {"specversion": "1.0", "type": f"stopd.storage.{kind}.v1", "subject": "i-abc",
            "time": "2026-11-24T10:23:45.123Z", "sequence": f"{sequence:020}",
            "data": {"instanceId": "i-abc", "requestId": REQUEST_ID, "target": "vdb",
                     "device": "/dev/nvme1n1", "identity": {"serial": "S4EWNX0B"}, **data}}


def test_events_of_disks_are_lines(daemon):
    daemon.on("GET /v1/events", (200, {"events": [
        storage_event("failed", 1, message="Input/output error", tries=1, quarantined=False),
        storage_event("failed", 2, message="No method is left", tries=8, quarantined=True),
        storage_event("cleared", 3, certificate={"certificate": {"method": "overwrite"}}),
        storage_event("cleared", 4, identity={}, certificate={})]}), (200, {"events": []}))
    place = "i-abc: vdb (/dev/nvme1n1, serial S4EWNX0B)"
    assert [line[28:] for line in ctl(daemon, "events").out.splitlines()] == [
        f"{place} not cleared, 1 try failed: Input/output error (RequestId {REQUEST_ID})",
        f"{place} not cleared, 8 tries failed, quarantined: No method is left "
        f"(RequestId {REQUEST_ID})",
        f"{place} cleared by overwrite (RequestId {REQUEST_ID})",
        f"i-abc: vdb (/dev/nvme1n1) cleared (RequestId {REQUEST_ID})"]


def test_an_end_that_keeps_the_disks_says_so(daemon):
    event = storage_event("cleared")
    event["type"] = "stopd.instance.state.v1"
    event["data"] = {"from": "Running", "to": "Stopped", "reason": "guest shut down",
                     "localStorage": "kept"}
    daemon.on("GET /v1/events", (200, {"events": [event]}), (200, {"events": []}))
    assert ctl(daemon, "events").out.endswith(
        "i-abc: Running -> Stopped, guest shut down, local disks kept\n")


def test_watch_has_the_bars_of_stops_and_of_clears(daemon):
    # The stream ends, and then stopctl is told to go away.
    daemon.on("GET /v1/events", Stream(lambda file: daemon.ended.wait(3)), (403, error("Forbidden")))
    daemon.on("GET /v1/instances", (200, {"instances": [instance("i-abc", owed=REQUEST_ID),
                                                        instance("i-b", owed=OTHER_ID)]}))
    daemon.on("GET /v1/operations", (200, {"operations": [clearing(half())]}))
    daemon.on(f"GET /v1/operations/{OTHER_ID}",
              (200, clearing(half(target="vdx"), instance="i-b", requestId=OTHER_ID)))
    result = on_terminal(daemon, "watch")
    assert result.status == 77
    text = without_escapes(result.err)
    assert re.search(r"i-abc  clearing +50%", text) and re.search(r"i-b    clearing +50%", text)
    assert "  vdb  [########--------]  50%" in text and "  vdx  [########--------]  50%" in text


# --- Documents of another kind ------------------------------------------------------------------


@pytest.mark.parametrize("storage", [
    None, 7, {}, [None], [7, "x", []], [{"target": 7, "bytes": -1, "identity": [], "tries": "x"}],
    [{"state": "clearing", "done": 1 << 63, "bytes": 1, "identity": {"serial": None, "nsid": 1}}],
    [{"state": "something-new", "method": "x" * 4000, "secondsLeft": (1 << 63) - 1}],
])
def test_storage_of_another_kind_does_no_harm(daemon, storage):
    odd = clearing(phase="verifying")
    odd["storage"] = storage
    daemon.accepts(odd, dict(odd, phase="clearing"), dict(odd, phase="quarantined"))
    assert on_terminal(daemon, "stop", "i-abc").status == 71
    daemon.on("GET /v1/instances/i-abc", (200, instance(owed=REQUEST_ID)))
    assert ctl(daemon, "may-start", "i-abc").status == 76
    assert ctl(daemon, "show", REQUEST_ID).status == 0
    assert ctl(daemon, "status", "i-abc").status == 0
