"""The operator at the command line, stopd as it is started and ended, and who may do what."""

import json
import os
import socket
import subprocess

import pytest

import kit
from daemon import STOPD, stopctl, wait_until


def test_stop_several_and_see_the_timeline(daemon, guest):
    names, stopd = guest("obey", "slow:1"), daemon().start()

    done = stopctl(stopd, "stop", *names)

    assert done.returncode == 0, done
    for name in names:
        assert f"{name}: stopped in" in done.stdout, done
        assert kit.is_off(name)
        shown = stopctl(stopd, "show", name).stdout
        assert "button" in shown and "guest shut down" in shown, shown
    status = stopctl(stopd, "status").stdout
    assert all(name in status for name in names) and "Stopped" in status
    documents = json.loads(stopctl(stopd, "status", "--json", names[0]).stdout)
    assert "Stopped" in json.dumps(documents)


def test_exit_codes(daemon, guest):
    name, stopd = guest("ignore"), daemon().start()
    assert stopctl(stopd, "stop", "i-nobody").returncode == 66
    assert stopctl(stopd, "stop").returncode == 64
    assert stopctl(stopd, "dance").returncode == 64
    late = stopctl(stopd, "stop", name, "--timeout", "1")
    assert late.returncode == 124, late
    refused = stopctl(stopd, "stop", name)
    assert refused.returncode == 76 and "IncorrectInstanceStatus" in refused.stderr, refused
    assert stopctl(stopd, "cancel", name).returncode == 0
    failed = stopctl(stopd, "stop", name, "--grace", "1")
    assert failed.returncode == 70 and "GracePeriodOver" in failed.stdout + failed.stderr, failed
    assert stopctl(stopd, "stop", name, "--force", "--yes").returncode == 0
    stopd.stop()
    away = stopctl(stopd, "status")
    assert away.returncode == 69 and stopd.socket in away.stderr, away


def test_no_wait_and_watch(daemon, guest):
    name, stopd = guest("slow:1"), daemon().start()
    events = stopctl(stopd, "stop", "--no-wait", name)
    assert events.returncode == 0, events
    stopd.reported(name, "Running→Stopping", "Stopping→Stopped")
    listed = stopctl(stopd, "events", "--json")
    assert [json.loads(line)["sequence"] for line in listed.stdout.splitlines()] == [
        event["sequence"] for event in stopd.events()]


def test_only_one_stopd_on_a_journal(daemon):
    stopd = daemon(uri="test:///default").start()
    second = subprocess.run(
        [STOPD, "--config", "/dev/null", "--set", "hypervisor.uri=test:///default", "--set",
         f"journal.path={stopd.path('stopd.db')}", "--set", f"api.socket={stopd.path('other.sock')}"],
        stderr=subprocess.PIPE, text=True, timeout=30)
    assert second.returncode == 75 and str(stopd.process.pid) in second.stderr, second


@pytest.mark.parametrize("setting,status,word", [
    ("stop.gracee=1", 78, "stop.gracee"), ("stop.grace=forever", 78, "stop.grace"),
    ("nonsense", 78, "nonsense")])
def test_a_wrong_setting_is_one_line(setting, status, word):
    done = subprocess.run([STOPD, "--config", "/dev/null", "--set", setting], text=True,
                          stderr=subprocess.PIPE, timeout=30)
    assert done.returncode == status and word in done.stderr, done
    assert done.stderr.count("\n") == 1, done


def test_check_config_names_file_and_line(tmp_path):
    good = tmp_path / "good.conf"
    good.write_text("[stop]\ngrace = 30s\n[upstream.log]\ntype = file\nurl = /tmp/x\n")
    done = subprocess.run([STOPD, "--config", good, "--check-config"], text=True,
                          stdout=subprocess.PIPE, timeout=30)
    assert done.returncode == 0 and "grace" in done.stdout
    bad = tmp_path / "bad.conf"
    bad.write_text("[stop]\n\ngrase = 30s\n")
    done = subprocess.run([STOPD, "--config", bad, "--check-config"], text=True,
                          stderr=subprocess.PIPE, timeout=30)
    assert done.returncode == 78 and f"{bad}:3" in done.stderr and "grase" in done.stderr, done


def test_sighup_reloads_what_it_can_and_says_what_not(daemon, tmp_path):
    stopd = daemon(uri="test:///default")
    config = tmp_path / "stopd.conf"
    config.write_text("[stop]\ngrace = 77s\n")
    stopd.config = str(config)
    stopd.start()
    config.write_text("[stop]\ngrace = 33s\n[hypervisor]\nworkers = 3\n")
    stopd.process.send_signal(1)
    wait_until(lambda: "configuration reloaded" in stopd.log(), "it is reloaded", seen=stopd.log)
    assert "hypervisor.workers has changed" in stopd.log()
    request = stopd.accepted("test")
    assert "33 s" in json.dumps(stopd.finished(request)["timeline"])
    config.write_text("[stop]\ngrace = never\n")
    stopd.process.send_signal(1)
    wait_until(lambda: "the former one stands" in stopd.log(), "it is refused", seen=stopd.log)


def run_as_nobody(function):
    """The function's result as an unprivileged user, by a child that gives its rights away."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
            os.write(write, json.dumps(function()).encode())
        finally:
            os._exit(0)
    os.close(write)
    with open(read, encoding="utf-8") as file:
        result = json.loads(file.read())
    os.waitpid(child, 0)
    return result


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to give it away")
def test_who_may_only_read_changes_nothing(daemon, tmp_path):
    for folder in (tmp_path, *tmp_path.parents[:3]):
        os.chmod(folder, 0o755)
    stopd = daemon(uri="test:///default", api__socket_mode="0666").start()
    os.chmod(stopd.folder, 0o755)

    def ask():
        stop = stopd.stop_instance("test")
        return [stopd.get("/v1/instances").status, stop.status, stop.code,
                stopd.stop_instance("test", Override="lock").status]

    assert run_as_nobody(ask) == [200, 403, "Forbidden", 403]
    assert stopd.instance("test")["state"] == "Running"


def test_a_client_that_says_nothing_holds_nobody_up(daemon):
    stopd = daemon(uri="test:///default").start()
    idle = []
    for _ in range(200):
        each = socket.socket(socket.AF_UNIX)
        each.connect(stopd.socket)
        each.send(b"GET /v1/inst")
        idle.append(each)
    assert stopd.finished(stopd.accepted("test"))["outcome"] == "Stopped"
    for each in idle:
        each.close()
