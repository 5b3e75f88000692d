"""Webhooks over HTTPS: whom stopd trusts, and how it shows who it is."""

import pytest

from authority import Authority, SERVER, write
from daemon import wait_until
from receiver import tls_context
from webhooks import (is_failing, letters, post, receiver, sequences,  # noqa: F401
                      settled, sink, stop, stopd)

HOST = ("IP:127.0.0.1", "DNS:localhost")


def test_another_certificate_of_the_same_ca_is_as_good(stopd, receiver, tmp_path):
    ca = Authority(tmp_path)
    hook = receiver(tls=tls_context(ca.issue("one", *HOST, purposes=(SERVER,))))
    daemon = stopd(hook, tls_ca=ca.cert)
    stop(daemon, 1)
    settled(daemon, 2)
    hook.tls = tls_context(ca.issue("two", *HOST, purposes=(SERVER,)))
    hook.disconnect()
    stop(daemon, 2)
    settled(daemon, 4)
    assert sequences(hook.taken()) == [1, 2, 3, 4]
    assert sink(daemon)["error"] is None, "it was not even noticed"


@pytest.mark.parametrize("wrong", ["another CA", "another name", "expired"])
def test_a_certificate_that_is_not_to_be_trusted_gets_nothing(stopd, receiver, tmp_path, wrong):
    ca, other = Authority(tmp_path), Authority(tmp_path, "other")
    certificate = {"another CA": lambda: other.issue("bad", *HOST, purposes=(SERVER,)),
                   "another name": lambda: ca.issue("bad", "DNS:elsewhere.test", purposes=(SERVER,)),
                   "expired": lambda: ca.issue("bad", *HOST, purposes=(SERVER,), since=-2, until=-1)}
    good = tls_context(ca.issue("good", *HOST, purposes=(SERVER,)))
    hook = receiver(tls=good)
    daemon = stopd(hook, tls_ca=ca.cert)
    stop(daemon, 1)
    settled(daemon, 2)
    hook.tls = tls_context(certificate[wrong]())
    hook.disconnect()
    stop(daemon, 2)
    is_failing(daemon, "certificate is not to be trusted")
    assert sequences(hook.posts) == [1, 2]
    hook.tls = good
    settled(daemon, 4)
    assert sequences(hook.posts) == [1, 2, 3, 4]
    assert letters(daemon) == []


def test_the_receiver_may_want_a_certificate_of_ours(stopd, receiver, tmp_path):
    ca = Authority(tmp_path)
    ours = ca.issue("host", "URI:spiffe://cloud/stopd/host")
    hook = receiver(tls=tls_context(ca.issue("one", *HOST, purposes=(SERVER,)), client_ca=ca.cert))
    daemon = stopd(hook, tls_ca=ca.cert, tls_cert=ours.cert, tls_key=ours.key)
    stop(daemon, 1)
    settled(daemon, 2)
    assert {dict(post.certificate["subjectAltName"])["URI"] for post in hook.posts} == {
        "spiffe://cloud/stopd/host"}

    daemon.stop()
    for key in ("tls_cert", "tls_key"):
        del daemon.settings["upstream.hook." + key]
    daemon.begin(off=[1])
    stop(daemon, 2)
    is_failing(daemon, "")
    assert sequences(hook.posts) == [1, 2]


def test_a_token_is_read_again(stopd, receiver, tmp_path):
    token = str(tmp_path / "token")
    write(token, b"wrong")
    hook = receiver()
    hook.answer = lambda post: 204 if post.headers["Authorization"] == "Bearer right" else 401
    daemon = stopd(hook, token_file=token)
    stop(daemon, 1)
    settled(daemon, 2)
    assert [each["sequence"] for each in letters(daemon)] == [1, 2]
    write(token, b"right\n")
    stop(daemon, 2)
    settled(daemon, 4)
    assert len(letters(daemon)) == 2
    assert post(daemon, "hook/dead-letters/all/replay").json["deadLetters"] == 2
    wait_until(lambda: not letters(daemon), "they are delivered", seen=daemon.log)
    assert sorted(sequences(hook.taken())) == [1, 2, 3, 4]


def test_a_token_that_was_changed_meanwhile_loses_nothing(stopd, receiver, tmp_path):
    token = str(tmp_path / "token")
    write(token, b"old")
    hook = receiver()

    def answer(post):
        if post.headers["Authorization"] == "Bearer new":
            return 204
        write(token, b"new")
        return 401

    hook.answer = answer
    daemon = stopd(hook, token_file=token)
    stop(daemon, 1)
    settled(daemon, 2)
    assert [post.status for post in hook.posts] == [401, 204, 204]
    assert letters(daemon) == []


def test_without_a_token_file_nothing_is_sent(stopd, receiver, tmp_path):
    token = str(tmp_path / "token")
    hook = receiver()
    daemon = stopd(hook, token_file=token)
    stop(daemon, 1)
    is_failing(daemon, "token")
    assert hook.posts == []
    write(token, b"here")
    settled(daemon, 2)
    assert sequences(hook.posts) == [1, 2]
