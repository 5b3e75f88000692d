"""stopctl as a whole: a daemon that is not reached, usage, help, completion."""

import os
import re
import subprocess

import pytest

from scripted_daemon import INSTANCES, SOURCE, STOPCTL, ctl, environment, run


# --- Not reached --------------------------------------------------------------------------------


def test_no_daemon(daemon):
    path = os.path.join(daemon.directory, "none.sock")
    result = run("stop", "i-a", "i-b", "--socket", path)
    assert result.status == 69
    assert result.err == (f"stopctl: cannot reach stopd at {path}: No such file or directory; "
                          "is it running? (systemctl status stopd)\n")


def test_a_socket_that_nobody_listens_on(daemon):
    daemon.end()
    result = run("status", "--socket", daemon.socket)
    assert result.status == 69
    assert "Connection refused; is it running?" in result.err


def test_a_socket_that_the_caller_may_not_open(daemon):
    os.chmod(daemon.socket, 0o600)
    os.chmod(daemon.directory, 0o755)
    more = {}
    if os.geteuid() == 0:
        more = {"user": 65534, "group": 65534, "extra_groups": []}
        try:
            subprocess.run([STOPCTL, "version"], check=True, capture_output=True, **more)
        except (OSError, subprocess.CalledProcessError) as trouble:
            pytest.skip(f"another user cannot run {STOPCTL}: {trouble}")
    else:
        os.chmod(daemon.socket, 0)
    result = run("status", "--socket", daemon.socket, **more)
    assert result.status == 77
    assert f"cannot open the socket of stopd, {daemon.socket}: Permission denied" in result.err


def test_something_else_on_the_socket(daemon):
    daemon.on("GET /v1/instances", (200, b"<html>"))
    assert ctl(daemon, "status").status == 69
    daemon.on("GET /v1/instances", (502, b"<html>"))
    result = ctl(daemon, "status")
    assert result.status == 69
    assert "does not talk like stopd (HTTP status 502)" in result.err


def test_a_proxy_of_the_environment_is_not_asked(daemon):
    daemon.on("GET /v1/instances", (200, {"instances": []}))
    proxy = {"http_proxy": "http://127.0.0.1:1", "ALL_PROXY": "http://127.0.0.1:1"}
    assert ctl(daemon, "status", env=proxy).status == 0


def test_the_socket_comes_from_the_configuration(daemon):
    daemon.on("GET /v1/instances", (200, {"instances": []}))
    path = os.path.join(daemon.directory, "stopd.conf")
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"[api]\nsocket = {daemon.socket}\n")
    assert run("status", "--config", path).status == 0
    assert run("--config", path, "status").status == 0


def test_a_named_configuration_has_to_be_good(daemon):
    path = os.path.join(daemon.directory, "stopd.conf")
    assert run("status", "--config", path).status == 78
    with open(path, "w", encoding="utf-8") as file:
        file.write("[api]\nsokket = /x\n")
    result = run("status", "--config", path)
    assert result.status == 78
    assert f"{path}:2: unknown key api.sokket" in result.err


# --- Usage --------------------------------------------------------------------------------------

VERBS = ("stop, status, show, watch, cancel, clear, retry, may-start, certificate, events, version, "
         "help")


@pytest.mark.parametrize("arguments, message", [
    ([], f"no verb; there are {VERBS}; see stopctl help"),
    (["plan"], f"unknown verb 'plan'; there are {VERBS}; see stopctl help"),
    (["stop"], "stop: which instance?; see stopctl help stop"),
    (["stop", "i-a", "--forse"], "stop: unknown option --forse; see stopctl help stop"),
    (["stop", "i-a", "--grace"], "stop: --grace needs a value; see stopctl help stop"),
    (["stop", "i-a", "--grace", "0"], "stop: --grace must be a whole number of seconds from 1 to "
                                      "86400, not '0'; see stopctl help stop"),
    (["stop", "i-a", "--on-timeout", "x"], "stop: --on-timeout must be fail or force, not 'x'; "
                                           "see stopctl help stop"),
    (["stop", "i-a", "i-b", "--token", "t"], "stop: --token is for one instance: each command has "
                                             "its own; see stopctl help stop"),
    (["show"], "show: ID|REQUEST is missing; see stopctl help show"),
    (["status", "a", "b"], "status: 'b' is too much; see stopctl help status"),
    (["events", "--after", "x"], "events: --after must be an event's sequence, not 'x'; "
                                 "see stopctl help events"),
    (["clear", "--confirm"], "clear: which instance?; see stopctl help clear"),
    (["clear", "i-a", "i-b", "--confirm"], "clear: 'i-b' is too much; see stopctl help clear"),
    (["clear", "i-a"], "clear: --confirm is missing: it agrees to the loss, for good, of what is on "
                       "the instance's local disks; see stopctl help clear"),
    (["clear", "i-a", "--confirm", "--timeout", "x"],
     "clear: --timeout must be a whole number of seconds from 1 to 86400, not 'x'; "
     "see stopctl help clear"),
    (["retry"], "retry: ID|REQUEST is missing; see stopctl help retry"),
    (["may-start"], "may-start: ID is missing; see stopctl help may-start"),
    (["certificate"], "certificate: ID|REQUEST is missing; see stopctl help certificate"),
    (["certificate", "--key", "i-a"], "certificate: 'i-a' is too much; see stopctl help certificate"),
    (["certificate", "--verify", "f"], "certificate: --verify FILE and --with KEY go together; "
                                       "see stopctl help certificate"),
    (["certificate", "i-a", "--with", "k"], "certificate: --verify FILE and --with KEY go together; "
                                            "see stopctl help certificate"),
    (["certificate", "--key", "--verify", "f", "--with", "k"],
     "certificate: --key and --verify are two things: one at a time; see stopctl help certificate"),
    (["help", "plan"], "help: there is no verb 'plan'; see stopctl help help"),
    (["status", "--socket", "/" + "x" * 200], "status: --socket must be a path of 1 to 107 characters"),
])
def test_usage_errors(daemon, arguments, message):
    result = run(*arguments)
    assert (result.status, result.out) == (64, "")
    assert result.err == f"stopctl: {message}\n"


HELP = """\
Usage: stopctl VERB [ARGUMENT...] [OPTION...]

Stop virtual machines properly, and see how it goes.

  stop        ID...         Stop instances.
  status      [ID]          The instances of this host, or one, and their states.
  show        ID|REQUEST    One stop, its local disks and its timeline.
  watch                     What happens on this host, as it happens.
  cancel      ID|REQUEST    Call a stop off before its guest is off.
  clear       ID --confirm  Clear the local disks that an instance kept.
  retry       ID|REQUEST    Try a clear again that could not be done.
  may-start   ID            Whether no clear of its local disks is owed.
  certificate ID|REQUEST    The proof that local disks were cleared.
  events                    The events that were reported.
  version                   The version of stopctl.
  help        [VERB]        What the verbs are, and each one's options.

      --json            machine-readable output: one document, or one a line
      --socket PATH     the daemon's socket (default: api.socket of the configuration)
      --config FILE     read this configuration instead of /etc/stopd
  -h, --help            this text
      --version         the same as the verb

stopctl help VERB tells a verb's options; stopctl(1) what the exit statuses mean.
"""


def test_help(daemon):
    for arguments in (["help"], ["--help"], ["-h"]):
        result = run(*arguments)
        assert (result.status, result.out, result.err) == (0, HELP, "")


def test_each_verb_has_help_and_stands_in_the_manual_and_the_completion(daemon):
    with open(os.path.join(SOURCE, "contrib/man/stopctl.1"), encoding="utf-8") as file:
        manual = file.read()
    with open(os.path.join(SOURCE, "contrib/completion/stopctl.bash"), encoding="utf-8") as file:
        completion = file.read()
    for verb in run("help", "--json").json["verbs"]:
        text = run("help", verb["name"]).out
        assert text.startswith(f"Usage: stopctl {verb['name']}")
        assert run(verb["name"], "--help").out == text
        assert f".It Cm {verb['name']}" in manual
        assert re.search(rf"\b{verb['name']}\b", completion)
        for option in re.findall(r"^ +(?:-h, )?--([a-z-]+)", text, re.M):
            assert f"Fl Fl {option}" in manual, option
            assert f"--{option}" in completion, option


def test_version(daemon):
    result = run("version")
    assert result.status == 0
    assert re.fullmatch(r"stopctl \d+\.\d+\.\d+\n", result.out)
    assert run("--version").out == result.out
    assert f"stopctl {run('version', '--json').json['version']}\n" == result.out


def test_what_cannot_be_written_is_an_error(daemon):
    with open("/dev/full", "w", encoding="utf-8") as full:
        done = subprocess.run([STOPCTL, "version"], stdout=full, stderr=subprocess.PIPE, text=True,
                              env=environment(), check=False)
    assert done.returncode == 74
    assert done.stderr == "stopctl: cannot write standard output: No space left on device\n"


# --- Completion ---------------------------------------------------------------------------------


def complete(daemon, *words):
    """What bash offers for the last of these words."""
    script = (f"source {SOURCE}/contrib/completion/stopctl.bash; compopt() {{ :; }}; "
              'COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _stopctl; printf "%s\\n" "${COMPREPLY[@]}"')
    env = environment(PATH=f"{os.path.dirname(STOPCTL)}:/usr/bin:/bin")
    done = subprocess.run(["bash", "-c", script, "bash", "stopctl", *words], env=env, text=True,
                          capture_output=True, check=True)
    assert done.stderr == ""
    return done.stdout.split()


def test_completion_knows_verbs_options_and_instances(daemon):
    daemon.on("GET /v1/instances", (200, INSTANCES))
    assert complete(daemon, "s") == ["stop", "status", "show"]
    assert complete(daemon, "c") == ["cancel", "clear", "certificate"]
    assert complete(daemon, "certificate", "--k") == ["--key"]
    assert complete(daemon, "--socket", daemon.socket, "clear", "i-abcd") == ["i-abcdef"]
    assert complete(daemon, "events", "--") == ["--json", "--socket", "--config", "--help",
                                                "--after", "--follow", "--dead-letters", "--replay",
                                                "--drop", "--all"]
    assert complete(daemon, "--socket", daemon.socket, "stop", "i-abcd") == ["i-abcdef"]
    assert complete(daemon, "stop", "--on-timeout", "f") == ["fail", "force"]
    assert complete(daemon, "--socket", "/nowhere/s", "stop", "") == []
    daemon.on("GET /v1/sinks", (200, {"sinks": [{"name": "hook", "deadLetters": 2}]}))
    daemon.on("GET /v1/sinks/hook/dead-letters",
              (200, {"deadLetters": [{"sequence": 1}, {"sequence": 2}]}), (200, {"deadLetters": []}))
    assert complete(daemon, "--socket", daemon.socket, "events", "--replay", "h") == ["hook"]
