"""Each method clears what it is for, and the certificate says what was done."""

import os

import pytest

from conftest import MIB


def assert_cleared(run, device, method):
    assert run.status == 0, str(run)
    assert device.is_zero(), f"{method} left something"
    assert run.certificate["method"] == method
    return run.certificate


@pytest.mark.parametrize("method", ["write-zeroes", "overwrite", "discard"])
def test_loop(wipe, loop, method):
    certificate = assert_cleared(wipe.clear(loop, f"--methods={method}"), loop, method)
    assert certificate["device"]["size"] == loop.size
    assert certificate["verification"]["everything"]
    assert certificate["verification"]["canaries"] == 256
    assert certificate["verification"]["noSignature"]


@pytest.mark.parametrize("method", ["punch-hole", "overwrite"])
def test_file(wipe, make_file, method):
    image = make_file()
    certificate = assert_cleared(wipe.clear(image, f"--methods={method}"), image, method)
    assert os.stat(image.path).st_size == image.size
    assert "snapshots" in certificate["notCovered"][0]


def test_punch_hole_gives_the_space_back(wipe, make_file):
    image = make_file()
    assert_cleared(wipe.clear(image, "--methods=punch-hole"), image, "punch-hole")
    assert os.stat(image.path).st_blocks * 512 < MIB


def test_overwrite_leaves_holes_alone(wipe, make_file):
    image = make_file(8 * 1024 * MIB, data=False)
    with open(image.path, "r+b") as f:
        f.seek(5000 * MIB + 123)
        f.write(b"secret" * 100000)
    before = os.stat(image.path).st_blocks
    run = wipe.clear(image, "--methods=overwrite")
    assert run.status == 0, str(run)
    assert os.stat(image.path).st_blocks <= before + 8
    with open(image.path, "rb") as f:
        f.seek(5000 * MIB)
        assert not any(f.read(2 * MIB))


def test_the_default_ladder_passes_over_what_is_not_there(wipe, loop):
    run = wipe.clear(loop)
    assert_cleared(run, loop, "write-zeroes")
    assert [p["method"] for p in run.one("method")["passedOver"]] == ["nvme-format-crypto", "nvme-format-user-data"]


def test_a_file_passes_over_write_zeroes(wipe, make_file):
    image = make_file()
    run = wipe.clear(image)
    assert_cleared(run, image, "overwrite")
    assert "unwritten" in run.one("method")["passedOver"][-1]["reason"]


def test_a_sample_is_a_sample(wipe, make_loop):
    loop = make_loop(1024 * MIB, data=False)
    run = wipe.clear(loop, "--methods=write-zeroes")
    assert run.status == 0, str(run)
    verification = run.certificate["verification"]
    assert not verification["everything"]
    assert verification["randomBlocks"] == 138149
    assert verification["blocksRead"] == 138149 + 512 + 2 * 255 + 256
    assert "1 in 1,000,000" in verification["confidence"]


def test_full_reads_everything(wipe, make_loop):
    loop = make_loop(1024 * MIB, data=False)
    run = wipe.clear(loop, "--methods=write-zeroes", "--verify=full")
    assert run.certificate["verification"]["bytesRead"] == loop.size
    assert run.certificate["verification"]["everything"]


def test_none_says_that_nothing_was_verified(wipe, loop):
    run = wipe.clear(loop, "--methods=overwrite", "--verify=none")
    certificate = assert_cleared(run, loop, "overwrite")
    assert not run.of("verified")
    assert certificate["verification"]["bytesRead"] == 0
    assert any("nothing was read back" in text for text in certificate["notCovered"])


def test_a_discard_is_always_verified_in_full(wipe, make_loop):
    loop = make_loop(1024 * MIB, data=False)
    run = wipe.clear(loop, "--methods=discard", "--verify=sample")
    assert run.certificate["verification"]["bytesRead"] == loop.size
    run = wipe.clear(loop, "--methods=discard", "--verify=none")
    assert run.status == 76 and run.error["guard"] == "ladder", str(run)


def test_purge_is_never_met_by_less(wipe, loop):
    before = loop.content()
    run = wipe.clear(loop, "--methods=write-zeroes,overwrite", "--level=purge")
    assert run.status == 76, str(run)
    assert run.error["guard"] == "ladder"
    assert loop.content() == before


def test_the_pace_is_kept(wipe, make_loop):
    loop = make_loop(32 * MIB)
    run = wipe.clear(loop, "--methods=overwrite", "--verify=none", "--max-mib-per-s=16")
    assert run.status == 0, str(run)
    assert run.one("cleared")["milliseconds"] >= 1500
    assert len(run.of("progress")) >= 3


def test_odd_sizes(wipe, make_loop, make_file):
    for size in (4096, 4096 + 512, 3 * MIB + 512):
        loop = make_loop(size)
        assert_cleared(wipe.clear(loop, "--methods=overwrite", "--verify=full"), loop, "overwrite")
    for size in (1, 511, 4097, 16 * MIB + 1):
        image = make_file(size)
        assert_cleared(wipe.clear(image, "--methods=overwrite", "--verify=full"), image, "overwrite")


def test_the_certificate_names_what_an_auditor_asks_for(wipe, loop):
    labels = {"requestId": "473469C7-AA6F-4DC5-B3DB-A3DC0DE3C83E", "instanceId": "i-bp67acfmxazb4ph", "target": "vdb",
              "operator": "alice", "host": "node-7"}
    run = wipe.ask(wipe.request(loop, **labels))
    assert run.status == 0, str(run)
    certificate = run.certificate
    for key, value in labels.items():
        assert certificate[key] == value
    assert certificate["tool"]["name"] == "stopd-wipe"
    assert certificate["startedAt"] <= certificate["finishedAt"]
    for key in ("maker", "model", "serial", "firmware", "media"):
        assert key in certificate["device"]
    step = certificate["steps"][-1]
    assert step["outcome"] == "done"
    assert step["commands"][0]["length"] == loop.size


def test_by_the_protocol_and_by_hand_are_the_same(wipe, make_loop):
    first, second = make_loop(), make_loop()
    events = [[line["event"] for line in run.lines if line["event"] != "progress"]
              for run in (wipe.clear(first, "--methods=overwrite"), wipe.ask(wipe.request(second)))]
    assert events[0] == events[1] == ["claimed", "method", "cleared", "verified", "certificate"]


def test_identify_may_be_asked_of_a_device_in_use(wipe, loop):
    with open(loop.path, "rb"):
        run = wipe.ask({"version": 1, "verb": "identify", "device": str(loop.path)})
    assert run.status == 0, str(run)
    assert run.one("identity")["identity"]["size"] == loop.size


def test_a_plan_changes_nothing(wipe, loop):
    before = loop.content()
    run = wipe.run("--plan", loop.path, f"--allow={loop.path}")
    assert run.status == 0, str(run)
    assert run.one("plan")["method"] == "write-zeroes"
    assert all(guard["outcome"] == "passed" for guard in run.one("plan")["guards"])
    assert loop.content() == before
