"""Certificates: shown, handed out, and checked with nothing but the host's public key.

They are signed here by openssl, so that what is checked is the format and not our own code twice."""

import base64
import copy
import hashlib
import json
import os
import shutil
import subprocess

import pytest

from scripted_daemon import (OTHER_ID, REQUEST_ID, STOPCTL, ctl, disk, environment, error, operation,
                             run)

PAYLOAD_TYPE = "application/vnd.stopd.certificate.v1+json"
CONFIDENCE = "All blocks that were read held only zeros."

CERTIFICATE = {
    "certificateVersion": 1,
    "requestId": REQUEST_ID,
    "instanceId": "i-abc",
    "target": "vdb",
    "host": "host-1",
    "operator": "unix:uid=0(root)",
    "device": {
        "maker": "0x144d", "model": "SAMSUNG MZ", "serial": "S4EWNX0B", "firmware": "GDC5602Q",
        "media": "flash", "layout": "512", "size": 960197124096, "kind": "block",
        "path": "/dev/nvme1n1",
        "identity": {"size": "960197124096", "serial": "S4EWNX0B", "eui64": "0025385b71b01234"},
        "identifyController": "00" * 4096,
    },
    "standard": "NIST SP 800-88",
    "level": "clear",
    "method": "write-zeroes",
    "technique": "NVMe Write Zeroes over all blocks",
    "passedOver": [{"method": "nvme-format-crypto", "reason": "not offered (FNA bit 2)"},
                   {"method": "nvme-format-user-data", "reason": "reaches other namespaces"}],
    "steps": [{"purpose": "clear", "method": "write-zeroes"}],
    "tool": {"name": "stopd-wipe", "version": "0.1.0"},
    "verification": {"mode": "sample", "blockSize": 4096, "blocksRead": 138260,
                     "bytesRead": 566312960, "confidence": CONFIDENCE},
    "notCovered": ["Over-provisioned areas of the medium.", "Blocks that were not read."],
    "runs": 2,
    "startedAt": "2026-11-24T10:23:48.200Z",
    "finishedAt": "2026-11-24T10:40:12.000Z",
}

SUMMARY = f"""\
vdb of i-abc
  Device:        /dev/nvme1n1, 894.3 GiB (960197124096 bytes)
  Medium:        maker 0x144d, model SAMSUNG MZ, serial S4EWNX0B, firmware GDC5602Q, media flash, layout 512
  Identity:      serial S4EWNX0B, eui64 0025385b71b01234
  Method:        write-zeroes
  Technique:     NVMe Write Zeroes over all blocks
  Level:         clear (NIST SP 800-88)
  Passed over:   nvme-format-crypto: not offered (FNA bit 2)
                 nvme-format-user-data: reaches other namespaces
  Verification:  sample, 540.1 MiB in 138260 blocks read
                 {CONFIDENCE}
  Not covered:   Over-provisioned areas of the medium.
                 Blocks that were not read.
  Begun:         2026-11-24 10:23:48
  Finished:      2026-11-24 10:40:12
  By:            stopd-wipe 0.1.0 on host-1, in 2 runs
  Commanded by:  unix:uid=0(root)
  RequestId:     {REQUEST_ID}
  Signed by:     KEYID
"""


class Key:
    """An Ed25519 key of openssl's, in a directory."""

    def __init__(self, directory):
        self.directory = directory
        self.private = os.path.join(directory, "key.pem")
        self.public = os.path.join(directory, "key.pub")
        self.openssl("genpkey", "-algorithm", "ed25519", "-out", self.private)
        self.openssl("pkey", "-in", self.private, "-pubout", "-out", self.public)
        der = self.openssl("pkey", "-pubin", "-in", self.public, "-outform", "DER")
        self.id = hashlib.sha256(der).hexdigest()

    def openssl(self, *arguments):
        return subprocess.run(["openssl", *arguments], check=True, capture_output=True).stdout

    def sign(self, payload, payload_type=PAYLOAD_TYPE):
        """DSSE: the bytes that are signed are the type and the payload with their lengths."""
        text = os.path.join(self.directory, "signed")
        with open(text, "wb") as file:
            file.write(b"DSSEv1 %d %s %d %s" % (len(payload_type), payload_type.encode(),
                                                len(payload), payload))
        signature = self.openssl("pkeyutl", "-sign", "-rawin", "-inkey", self.private, "-in", text)
        return {"payloadType": payload_type, "payload": base64.b64encode(payload).decode(),
                "signatures": [{"keyid": self.id, "sig": base64.b64encode(signature).decode()}]}

    def envelope(self, certificate):
        envelope = self.sign(json.dumps(certificate).encode())
        envelope["certificate"] = copy.deepcopy(certificate)
        return envelope


@pytest.fixture
def key(daemon):
    if not shutil.which("openssl"):
        pytest.skip("no openssl, which signs the certificates here")
    return Key(daemon.directory)


def document(*envelopes):
    return {"requestId": REQUEST_ID,
            "certificates": [{"target": e["certificate"]["target"], "certificate": e}
                             for e in envelopes]}


def holds(daemon, answer):
    daemon.on(f"GET /v1/operations/{REQUEST_ID}",
              (200, operation(storage=[disk("vdb", "cleared")])))
    daemon.on(f"GET /v1/certificates/{REQUEST_ID}", (200, answer))


def save(key, text):
    path = os.path.join(key.directory, "saved.json")
    with open(path, "w", encoding="utf-8") as file:
        file.write(text if isinstance(text, str) else json.dumps(text))
    return path


def verify(key, text, *more):
    return run("certificate", "--verify", save(key, text), "--with", key.public, *more)


# --- From the daemon ----------------------------------------------------------------------------


def test_a_certificate_is_summed_up(daemon, key):
    second = dict(copy.deepcopy(CERTIFICATE), target="vdc")
    holds(daemon, document(key.envelope(CERTIFICATE), key.envelope(second)))
    result = ctl(daemon, "certificate", REQUEST_ID)
    assert (result.status, result.err) == (0, "")
    summary = SUMMARY.replace("KEYID", key.id)
    assert result.out == summary + "\n" + summary.replace("vdb of", "vdc of")


def test_a_certificate_of_an_instance_is_that_of_its_newest_clear(daemon, key):
    holds(daemon, document(key.envelope(CERTIFICATE)))
    daemon.on("GET /v1/operations", (200, {"operations": [
        operation(request=OTHER_ID, outcome="Failed", storage=[disk("vdb")]),
        operation(storage=[disk("vdb", "cleared")])]}))
    result = ctl(daemon, "certificate", "i-abc")
    assert result.status == 0
    assert result.out.startswith("vdb of i-abc\n")


def test_what_is_handed_out_is_valid(daemon, key):
    holds(daemon, document(key.envelope(CERTIFICATE)))
    daemon.on("GET /v1/certificates/key", (200, {"key": open(key.public, encoding="ascii").read()}))
    saved = ctl(daemon, "certificate", REQUEST_ID, "--json")
    assert json.loads(saved.out) == document(key.envelope(CERTIFICATE))
    public = ctl(daemon, "certificate", "--key")
    assert public.out == open(key.public, encoding="ascii").read()
    key.public = os.path.join(key.directory, "fetched.pub")
    with open(key.public, "w", encoding="ascii") as file:
        file.write(public.out)
    result = verify(key, saved.out)
    assert (result.status, result.err) == (0, "")
    assert result.out == (f"vdb of i-abc (serial S4EWNX0B): valid, cleared 2026-11-24 10:40:12 by "
                          f"write-zeroes, RequestId {REQUEST_ID}, signed by the key {key.id}\n")


def test_there_is_no_certificate(daemon):
    holds(daemon, document())
    result = ctl(daemon, "certificate", REQUEST_ID)
    assert result.status == 66
    assert result.err.startswith(
        f"stopctl: certificate of {REQUEST_ID}: no disk has been cleared by it")
    daemon.on("GET /v1/operations", (200, {"operations": [operation()]}))
    daemon.on("GET /v1/instances/i-abc", (200, {"instanceId": "i-abc"}))
    result = ctl(daemon, "certificate", "i-abc")
    assert result.status == 66
    assert "certificate of i-abc: no clear of its local disks is known" in result.err
    daemon.on("GET /v1/certificates/key", (503, error("ServiceUnavailable", "There is no key.")))
    assert ctl(daemon, "certificate", "--key").status == 75


def test_the_key_as_json(daemon):
    daemon.on("GET /v1/certificates/key", (200, {"key": "PEM"}))
    assert ctl(daemon, "certificate", "--key", "--json").json == {"key": "PEM"}


# --- From a file --------------------------------------------------------------------------------


def test_an_envelope_alone_is_checked_too(key):
    assert verify(key, key.envelope(CERTIFICATE)).status == 0


def test_no_daemon_is_asked(daemon, key):
    assert verify(key, key.envelope(CERTIFICATE), "--socket", daemon.socket).status == 0
    assert not daemon.requests


def test_a_pipe_is_read_as_well(key):
    done = subprocess.run([STOPCTL, "certificate", "--verify", "/dev/stdin", "--with", key.public],
                          input=json.dumps(document(key.envelope(CERTIFICATE))), text=True,
                          capture_output=True, env=environment(), check=False)
    assert done.returncode == 0, done


def another_serial(envelope):
    envelope["certificate"]["device"]["serial"] = "OTHER"


def another_payload(envelope):
    text = base64.b64decode(envelope["payload"]).replace(b"S4EWNX0B", b"S4EWNX0C")
    envelope["payload"] = base64.b64encode(text).decode()
    envelope["certificate"] = json.loads(text)


def no_signature(envelope):
    envelope["signatures"] = []


def another_type(envelope):
    envelope["payloadType"] = "application/json"


def one_more_member(envelope):
    envelope["note"] = "purge"


@pytest.mark.parametrize("change", [another_serial, another_payload, no_signature, another_type,
                                    one_more_member])
def test_what_was_changed_is_not_valid(key, change):
    good, bad = key.envelope(CERTIFICATE), key.envelope(CERTIFICATE)
    change(bad)
    result = verify(key, document(good, bad))
    assert result.status == 71
    assert "vdb of i-abc (serial S4EWNX0B): valid" in result.out
    assert result.err.startswith(f"stopctl: certificate {key.directory}/saved.json: number 2 is not "
                                 "valid: ")
    assert result.err.count("\n") == 1


@pytest.mark.parametrize("member, value", [("requestId", OTHER_ID), ("target", "vdc")])
def test_what_stands_around_an_envelope_has_to_agree_with_it(key, member, value):
    saved = document(key.envelope(CERTIFICATE))
    (saved if member == "requestId" else saved["certificates"][0])[member] = value
    result = verify(key, saved)
    assert (result.status, result.out) == (71, "")
    assert f"the document says {member} {value}, and the certificate" in result.err


def test_another_key_does_not_do(key):
    envelope = key.envelope(CERTIFICATE)
    other = os.path.join(key.directory, "other")
    os.mkdir(other)
    result = verify(Key(other), envelope)
    assert (result.status, result.out) == (71, "")
    assert f"signed with the key {key.id}" in result.err


@pytest.mark.parametrize("text", [
    "", "no JSON", "{}{}", "/* */ {}", "[]", "null", "{}", '{"certificates": []}', '{"certificates": 7}',
    '{"certificates": [7]}', '{"certificates": [{"target": "vdb", "certificate": null}]}',
])
def test_what_is_no_certificate_is_not_valid(key, text):
    result = verify(key, text)
    assert (result.status, result.out) == (71, "")
    assert result.err.startswith("stopctl: certificate ") and result.err.count("\n") == 1


def test_validity_as_json(key):
    bad = key.envelope(CERTIFICATE)
    another_serial(bad)
    result = verify(key, document(key.envelope(CERTIFICATE), bad), "--json")
    assert result.status == 71
    assert result.json["valid"] is False
    assert [(c["target"], c["valid"]) for c in result.json["certificates"]] == [("vdb", True),
                                                                                (None, False)]
    assert result.json["certificates"][0]["problem"] is None
    assert "not the one that was signed" in result.json["certificates"][1]["problem"]
    assert verify(key, key.envelope(CERTIFICATE), "--json").json["valid"] is True


def test_files_that_cannot_be_read_are_another_matter(key):
    path = save(key, document(key.envelope(CERTIFICATE)))
    result = run("certificate", "--verify", "/nowhere/c", "--with", key.public)
    assert result.status == 64
    assert result.err == ("stopctl: certificate: cannot read /nowhere/c: No such file or directory\n")
    assert run("certificate", "--verify", path, "--with", "/nowhere/k").status == 64
    assert run("certificate", "--verify", key.directory, "--with", key.public).status == 64
    result = run("certificate", "--verify", path, "--with", path)
    assert result.status == 64
    assert "this is no public key in PEM" in result.err
