"""A device that lies or fails: caught, reported, and the next method of the ladder does it."""

import pytest

from conftest import MIB


def test_a_method_that_does_nothing(wipe, loop):
    run = wipe.clear(loop, "--methods=write-zeroes,overwrite", fault="lie=write-zeroes")
    assert run.status == 0, str(run)
    assert loop.is_zero()
    setback = run.one("setback")
    assert (setback["method"], setback["reason"]) == ("write-zeroes", "lied")
    assert run.certificate["method"] == "overwrite"
    assert run.certificate["passedOver"][0]["method"] == "write-zeroes"
    assert [(s["method"], s["outcome"]) for s in run.certificate["steps"]] == [("write-zeroes", "lied"),
                                                                              ("overwrite", "done")]


def test_a_method_that_does_nothing_to_zeros(wipe, make_loop):
    """There the marks are all that tells."""
    loop = make_loop(1024 * MIB, data=False)
    run = wipe.clear(loop, "--methods=discard,overwrite", fault="lie=discard")
    assert run.status == 0, str(run)
    assert run.one("setback")["reason"] == "lied"
    run = wipe.clear(loop, "--methods=write-zeroes", fault="lie=write-zeroes")
    assert run.status == 71 and run.error["outcome"] == "failed", str(run)


@pytest.mark.parametrize("offset", [0, 20480, 64 * MIB - 4096])
def test_a_residue_anywhere_is_found(wipe, loop, offset):
    run = wipe.clear(loop, "--methods=overwrite", fault=f"residue={offset}")
    assert run.status == 71, str(run)
    assert f"byte {offset} is not zero" in run.one("setback")["message"]


@pytest.mark.parametrize("offset", [512 * 1024, 16 * MIB - 4096, 16 * MIB, 992 * MIB, 1024 * MIB - 4096])
def test_a_sample_always_reads_ends_and_borders(wipe, make_loop, offset):
    loop = make_loop(1024 * MIB, data=False)
    run = wipe.clear(loop, "--methods=write-zeroes", fault=f"residue={offset}")
    assert run.status == 71, str(run)
    assert f"byte {offset} is not zero" in run.one("setback")["message"]


def test_full_finds_a_single_block(wipe, make_loop):
    loop = make_loop(1024 * MIB, data=False)
    offset = 777 * MIB + 12 * 4096
    run = wipe.clear(loop, "--methods=write-zeroes", "--verify=full", fault=f"residue={offset}")
    assert run.status == 71, str(run)


def test_a_method_that_fails(wipe, loop):
    run = wipe.clear(loop, "--methods=write-zeroes,overwrite", fault="fail=write-zeroes")
    assert run.status == 0, str(run)
    assert run.one("setback")["reason"] == "failed"
    assert loop.is_zero()


def test_none_left(wipe, loop):
    run = wipe.clear(loop, "--methods=write-zeroes,overwrite", fault="fail=write-zeroes,fail=overwrite")
    assert run.status == 71, str(run)
    assert run.error["outcome"] == "failed"
    assert [s["method"] for s in run.of("setback")] == ["write-zeroes", "overwrite"]


def test_unreadable_is_not_verified(wipe, loop):
    run = wipe.clear(loop, "--methods=overwrite", fault="unreadable")
    assert run.status == 71, str(run)
    assert run.one("setback")["reason"] == "failed"


def test_a_device_that_keeps_nothing_cannot_prove_anything(wipe, loop):
    run = wipe.clear(loop, "--methods=overwrite", fault="forgetful")
    assert run.status == 71, str(run)
    assert "does not keep" in run.one("setback")["message"]


def test_a_format_that_did_it(wipe, loop):
    run = wipe.clear(loop, fault="format=zeros")
    assert run.status == 0, str(run)
    assert run.certificate["method"] == "nvme-format-crypto"
    assert [s["purpose"] for s in run.certificate["steps"]] == ["clear"]


def test_noise_of_a_cryptographic_erase_is_made_zeros(wipe, loop):
    run = wipe.clear(loop, fault="format=noise")
    assert run.status == 0, str(run)
    assert loop.is_zero()
    assert [(s["purpose"], s["method"]) for s in run.certificate["steps"]] == [("clear", "nvme-format-crypto"),
                                                                              ("zeros", "write-zeroes")]


def test_a_format_that_did_nothing_is_not_hidden_by_zeros(wipe, loop):
    run = wipe.clear(loop, fault="format=nothing")
    assert run.status == 0, str(run)
    setback = run.one("setback")
    assert (setback["method"], setback["reason"]) == ("nvme-format-crypto", "lied")
    assert "marks are still there" in setback["message"]
    assert run.certificate["method"] == "write-zeroes"


def test_a_format_that_did_nothing_and_no_other_way(wipe, loop):
    run = wipe.clear(loop, "--methods=nvme-format-crypto", fault="format=nothing")
    assert run.status == 71, str(run)
    assert not run.of("certificate")


@pytest.mark.parametrize("format", ["zeros", "nothing"])
def test_a_device_that_takes_nothing_but_a_format(wipe, loop, format):
    """Formatted once to come back, and once more with marks on it, which a lying format does not get past."""
    run = wipe.clear(loop, "--methods=nvme-format-crypto", fault=f"unformatted,format={format}")
    assert run.status == (0 if format == "zeros" else 71), str(run)
    if format == "zeros":
        assert loop.is_zero()
        assert [s["purpose"] for s in run.certificate["steps"]] == ["revive", "clear"]
        assert run.certificate["verification"]["canaries"] == 256


def test_a_device_that_takes_nothing_and_has_no_format(wipe, loop):
    run = wipe.clear(loop, fault="unformatted")
    assert run.status == 71, str(run)


def test_a_device_that_becomes_another(wipe, loop):
    run = wipe.clear(loop, "--methods=overwrite", fault="stranger")
    assert run.status == 71, str(run)
    assert run.error["outcome"] == "stopped"
    assert run.error["guard"] == "identity"
    assert "STRANGER" in run.error["message"]
