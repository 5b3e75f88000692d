"""Every row of the contract's section 3, over the socket, on libvirt's test driver."""

import urllib.parse

import pytest

from daemon import wait_until

I1 = {"type": "ecs.i1.xlarge"}

# name → (attributes of <ecs:instance>, children, libvirt's run state: 1 running, 3 paused, 5 shut off)
DOMAINS = {
    "plain": (None, "", 1),
    "keepme": ({"id": "i-instanceid1"}, "", 1),
    "locked": ({"id": "i-locked"}, "<ecs:lock reason='security'/>", 1),
    "recycling": ({"id": "i-recycling"}, "<ecs:lock reason='recycling'/>", 1),
    "expired": ({"id": "i-expired", "status": "expired"}, "", 1),
    "arrears": ({"id": "i-arrears", "status": "arrears"}, "", 1),
    "classic": ({"id": "i-classic", "network": "classic"}, "", 1),
    "prepaid": ({"id": "i-prepaid", "charge": "PrePaid"}, "", 1),
    "classicprepaid": ({"id": "i-classicprepaid", "network": "classic", "charge": "PrePaid"}, "", 1),
    "spot": ({"id": "i-spot", "spot": "yes"}, "", 1),
    "economical": ({"id": "i-economical", "economical": "yes", "public-ip": "203.0.113.7"}, "", 1),
    "i1": ({"id": "i-i1", **I1}, "<ecs:local-disk target='vdb'/>", 1),
    "twin1": ({"id": "i-twin"}, "", 1),
    "twin2": ({"id": "i-twin"}, "", 1),
    "paused": ({"id": "i-paused"}, "", 3),
    "off": ({"id": "i-off"}, "", 5),
    "broken": ({"id": "i-broken", "network": "vcp"}, "", 1),
    "everything": ({"id": "i-everything", "status": "arrears", "network": "classic", **I1},
                   "<ecs:lock reason='security'/>", 5),
}


def domain_xml(name, number, attributes, children, state):
    metadata = ""
    if attributes is not None:
        words = " ".join(f"{key}='{value}'" for key, value in attributes.items())
        metadata = (f"<metadata><ecs:instance xmlns:ecs='urn:stopd:instance:1' {words}>"
                    f"{children}</ecs:instance></metadata>")
    return (f"<domain type='test' xmlns:test='http://libvirt.org/schemas/domain/test/1.0'>"
            f"<name>{name}</name><uuid>00000000-0000-4000-8000-{number:012d}</uuid>{metadata}"
            f"<memory>1024</memory><os><type>hvm</type></os>"
            f"<test:runstate>{state}</test:runstate></domain>")


@pytest.fixture
def stopd(tmp_path, daemon):
    node = tmp_path / "node.xml"
    domains = "".join(domain_xml(name, number, *of) for number, (name, of)
                      in enumerate(DOMAINS.items(), 1))
    node.write_text(f"<node>{domains}</node>")
    return daemon(uri=f"test://{node}").start()


def refused(stopd, instance, status, code, **parameters):
    answer = stopd.stop_instance(instance, **parameters)
    body = answer.json
    assert (answer.status, body["Code"]) == (status, code), answer
    assert body["RequestId"] and body["HostId"] and body["Message"], answer
    return body["Message"]


# --- The API reference's own example, and both its answers ---

EXAMPLE = ("/?Action=StopInstance&InstanceId=i-instanceid1&ConfirmStop=true&ForceStop=false"
           "&StoppedMode=keepcharging")


def test_the_reference_example_in_json(stopd):
    answer = stopd.get(EXAMPLE)
    assert answer.status == 200
    assert list(answer.json) == ["RequestId"]
    assert answer.json["RequestId"] == answer.json["RequestId"].upper()
    assert stopd.operation(answer.json["RequestId"])["stoppedMode"] == "KeepCharging"


@pytest.mark.parametrize("how", [{"target": EXAMPLE + "&Format=xml"},
                                 {"target": EXAMPLE, "headers": {"Accept": "application/xml"}}])
def test_the_reference_example_in_xml(stopd, how):
    answer = stopd.ask("GET", **how)
    assert answer.status == 200
    assert answer.xml.tag == "StopInstanceResponse"
    assert [child.tag for child in answer.xml] == ["RequestId"]


def test_an_error_in_xml(stopd):
    answer = stopd.get("/?InstanceId=nobody&Format=XML")
    assert answer.status == 404 and answer.xml.tag == "Error"
    assert {child.tag for child in answer.xml} == {"RequestId", "HostId", "Code", "Message"}


def test_query_form_and_both(stopd):
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert stopd.ask("POST", "/", body="Action=StopInstance&InstanceId=plain", headers=form).status == 200
    assert stopd.ask("POST", "/?Action=StopInstance", body="InstanceId=i-spot", headers=form).status == 200
    twice = stopd.ask("POST", "/?InstanceId=keepme", body="InstanceId=keepme", headers=form)
    assert (twice.status, twice.code) == (400, "InvalidParameter")


# --- The table's rows, in its order ---

def test_too_large(stopd):
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = stopd.ask("POST", "/", body="InstanceId=plain&OwnerId=" + "x" * 66000, headers=form)
    assert (answer.status, answer.code) == (413, "RequestTooLarge")
    answer = stopd.get("/?InstanceId=plain", headers={"X-Filler": "x" * 17000})
    assert (answer.status, answer.code) == (431, "RequestTooLarge")
    assert stopd.instance("plain")["state"] == "Running"


def test_another_method(stopd):
    answer = stopd.ask("DELETE", "/?InstanceId=plain")
    assert (answer.status, answer.code) == (405, "InvalidMethod")


def test_cross_site(stopd):
    for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        answer = stopd.get("/?InstanceId=plain", headers=headers)
        assert (answer.status, answer.code) == (403, "Forbidden")
    assert stopd.instance("plain")["state"] == "Running"


def test_throttling(tmp_path, daemon):
    stopd = daemon(uri="test:///default", api__rate="2").start()
    answers = [stopd.stop_instance("nobody") for _ in range(10)]
    throttled = [answer for answer in answers if answer.status == 429]
    assert throttled and all(answer.code == "Throttling.User" for answer in throttled)
    assert int(throttled[0].headers["Retry-After"]) >= 1
    assert int(throttled[0].headers["x-acs-retry-after"]) >= 1
    assert answers[0].status == 404


def test_another_action_is_never_a_stop(stopd):
    for target, headers in (("/?Action=StartInstance&InstanceId=plain", {}),
                            ("/?Action=stopinstance&InstanceId=plain", {}),
                            ("/?InstanceId=plain", {"x-acs-action": "RebootInstance"}),
                            ("/nowhere", {})):
        answer = stopd.get(target, headers=headers)
        assert (answer.status, answer.code) == (404, "InvalidAction.NotFound"), answer
    disagree = stopd.get("/?Action=StopInstance&InstanceId=plain",
                         headers={"x-acs-action": "DescribeInstanceStatus"})
    assert disagree.status in (400, 404)
    assert stopd.instance("plain")["state"] == "Running"


@pytest.mark.parametrize("name", ["a" * 63 + "é", "\ufffe\uffff", "\x01\x1f", "a\U0010ffff"])
def test_an_error_can_be_read_whatever_a_parameter_is_called(stopd, name):
    """In both forms; what is told of it is cut short as well."""
    target = "/?InstanceId=plain&" + urllib.parse.urlencode({name: 1})
    assert stopd.get(target).code == "InvalidParameter"
    assert stopd.get(target + "&Format=XML").xml.find("Code").text == "InvalidParameter"


def test_missing_parameter(stopd):
    message = refused(stopd, "", 400, "MissingParameter")
    assert message == ("The input parameter InstanceId that is mandatory for processing this "
                       "request is not supplied.")


@pytest.mark.parametrize("name,value", [
    ("ForceStop", "yes"), ("ForceStop", "1"), ("forcestop", "true"), ("ForceStopp", "true"),
    ("DryRun", "maybe"), ("Hibernate", "x"), ("StoppedMode", "Later"), ("GracePeriod", "0"),
    ("GracePeriod", "86401"), ("GracePeriod", "1.5"), ("GracePeriod", "-1"),
    ("OnGraceTimeout", "Wait"), ("ClientToken", "x" * 65), ("ClientToken", "tökén"),
    ("Override", "everything")])
def test_invalid_parameter_is_named(stopd, name, value):
    assert name in refused(stopd, "plain", 400, "InvalidParameter", **{name: value})
    assert stopd.instance("plain")["state"] == "Running"


def test_common_parameters_are_ignored(stopd):
    common = ("Version Timestamp AccessKeyId Signature SignatureMethod SignatureVersion "
              "SignatureNonce SignatureType SecurityToken BearerToken RegionId ResourceGroupId "
              "OwnerId OwnerAccount ResourceOwnerId ResourceOwnerAccount").split()
    assert stopd.stop_instance("plain", **{name: "x" for name in common}).status == 200


def test_an_empty_value_counts_as_absent_and_booleans_in_any_case(stopd):
    assert stopd.stop_instance("plain", StoppedMode="", ForceStop="FALSE", DryRun="False",
                               ConfirmStop="banana").status == 200


def test_client_token(stopd):
    first = stopd.stop_instance("plain", ClientToken="t1")
    assert first.status == 200
    stopd.finished(first.json["RequestId"])
    assert stopd.stop_instance("plain", ClientToken="t1").json == first.json
    assert stopd.get("/?InstanceId=plain", headers={"Idempotency-Key": "t1"}).json == first.json
    refused(stopd, "plain", 400, "IdempotentParameterMismatch", ClientToken="t1", ForceStop="true")
    # Only accepted commands are replayed.
    refused(stopd, "i-off", 403, "IncorrectInstanceStatus", ClientToken="t2")
    assert stopd.stop_instance("keepme", ClientToken="t2").status == 200


def test_no_such_instance(stopd):
    assert refused(stopd, "i-nobody", 404, "InvalidInstanceId.NotFound") == (
        "The specified InstanceId does not exist.")


def test_two_claim_one_id(stopd):
    message = refused(stopd, "i-twin", 409, "OperationConflict")
    assert "twin1" in message and "twin2" in message
    assert stopd.stop_instance("twin1").status == 200


def test_by_id_then_name_then_uuid(stopd):
    assert stopd.instance("i-instanceid1")["name"] == "keepme"
    assert stopd.instance("keepme")["instanceId"] == "i-instanceid1"
    uuid = stopd.instance("keepme")["uuid"]
    assert stopd.stop_instance(uuid).status == 200


def test_metadata_that_cannot_be_understood_is_never_guessed(stopd):
    assert "broken" in refused(stopd, "i-broken", 409, "OperationConflict", ForceStop="true")


def test_security_lock(stopd):
    refused(stopd, "i-locked", 403, "InstanceLockedForSecurity", ForceStop="true")
    refused(stopd, "i-everything", 403, "InstanceLockedForSecurity")
    assert stopd.stop_instance("i-recycling").status == 200


@pytest.mark.parametrize("instance", ["i-expired", "i-arrears"])
def test_expired_or_in_arrears(stopd, instance):
    refused(stopd, instance, 403, "InstanceExpiredOrInArrears")


def test_root_overrides_locks_and_arrears_and_the_journal_says_so(stopd):
    for instance, word in (("i-locked", "lock"), ("i-arrears", "arrears")):
        request = stopd.accepted(instance, Override=word)
        assert "overriding" in stopd.operation(request)["timeline"][0]["detail"]
    refused(stopd, "i-expired", 403, "InstanceExpiredOrInArrears", Override="lock")


@pytest.mark.parametrize("instance,sentence", [
    ("i-classic", "Classic network Instance does not support this operation."),
    ("i-classicprepaid", "Classic network Instance does not support this operation."),
    ("i-prepaid", "Pre pay instance does not support this operation."),
    ("i-i1", "Local disk instance does not support this operation."),
    ("i-spot", "Spot instance does not support this operation.")])
def test_stop_charging_is_not_for_every_instance(stopd, instance, sentence):
    assert refused(stopd, instance, 403, "InvalidInstanceId.NotSupport",
                   StoppedMode="StopCharging") == sentence
    assert stopd.instance(instance)["state"] == "Running"


def test_stopped_mode_where_it_is_not_explicit(stopd, daemon):
    for mode in ({}, {"StoppedMode": "Not-applicable"}):
        assert stopd.operation(stopd.accepted("plain" if mode else "i-classic", **mode))[
            "stoppedMode"] == "KeepCharging"
    assert stopd.operation(stopd.accepted("i-economical"))["stoppedMode"] == "StopCharging"
    for instance, mode, address in (("i-economical", "StopCharging", "203.0.113.7"), ("plain", "KeepCharging", None)):
        stopd.reported(instance, "Running→Stopping", "Stopping→Stopped")
        begun, ended = [event["data"] for event in stopd.events(instance)]
        assert begun["stoppedMode"] == ended["stoppedMode"] == mode
        assert begun["resources"] == {"vcpus": 1, "memoryKiB": 1024, "publicIp": address, "released": False}
        assert ended["resources"] == {**begun["resources"], "released": mode == "StopCharging"}
    economical = daemon(uri=stopd.settings["hypervisor.uri"],
                        stop__stopped_mode="StopCharging").start()
    assert economical.operation(economical.accepted("i-spot"))["stoppedMode"] == "KeepCharging"
    assert economical.operation(economical.accepted("plain"))["stoppedMode"] == "StopCharging"


def test_hibernate(stopd):
    refused(stopd, "plain", 403, "HibernationConfigured.NotEnabled", Hibernate="true")
    assert stopd.stop_instance("plain", Hibernate="false").status == 200


def test_local_storage_has_to_be_confirmed(stopd):
    for parameters in ({}, {"ConfirmStop": "false"}, {"ConfirmStop": "banana"}):
        assert refused(stopd, "i-i1", 403, "InstanceType.ParameterMismatch", **parameters) == (
            "The input parameter ConfirmStop must be true when an instance have localstorage.")


def test_local_disks_that_cannot_be_cleared(stopd):
    assert "i-i1" in refused(stopd, "i-i1", 403, "IncorrectDiskStatus", ConfirmStop="true")
    assert stopd.instance("i-i1")["state"] == "Running"


PCI = "<address domain='0x0000' bus='0x01' slot='0x00' function='0x0'/>"


@pytest.mark.parametrize("device", [
    f"<hostdev mode='subsystem' type='pci' managed='yes'><source>{PCI}</source></hostdev>",
    "<disk type='nvme' device='disk'><driver name='qemu' type='raw'/><source type='pci' managed='yes' namespace='1'>"
    f"{PCI}</source><target dev='vdb' bus='virtio'/></disk>"])
def test_nvme_that_is_passed_through(daemon, tmp_path, device):
    node = tmp_path / "node.xml"
    node.write_text("<node>" + domain_xml("i1", 1, {"id": "i-i1", **I1}, "", 1).replace(
        "<test:runstate>", f"<devices>{device}</devices><test:runstate>") + "</node>")
    stopd = daemon(uri=f"test://{node}").start()
    for parameters in ({}, {"ForceStop": "true"}):
        assert "passed through" in refused(stopd, "i-i1", 403, "IncorrectDiskStatus", ConfirmStop="true", **parameters)
    assert stopd.instance("i-i1")["state"] == "Running"


def test_not_running(stopd):
    assert refused(stopd, "i-off", 403, "IncorrectInstanceStatus") == (
        "The current status of the resource does not support this operation.")
    assert "paused" in refused(stopd, "i-paused", 403, "IncorrectInstanceStatus")
    assert stopd.finished(stopd.accepted("i-paused", ForceStop="true"))["outcome"] == "Stopped"


def test_dry_run_changes_nothing(stopd):
    assert refused(stopd, "plain", 400, "DryRunOperation", DryRun="true") == (
        "Request validation has been passed with DryRun flag set.")
    refused(stopd, "i-off", 403, "IncorrectInstanceStatus", DryRun="true")
    assert stopd.instance("plain")["state"] == "Running"
    assert stopd.events() == []


def test_libvirt_not_at_hand(daemon, tmp_path):
    stopd = daemon(uri="test:///nowhere/at/all.xml")
    stopd.start(wait=False)
    wait_until(lambda: stopd.process.poll() is None and _answers(stopd, "/livez"), "it is alive",
               seen=stopd.log)
    assert "libvirt" in refused(stopd, "plain", 503, "ServiceUnavailable")
    assert stopd.get("/readyz").status == 503


def _answers(stopd, target):
    try:
        return stopd.get(target).status == 200
    except OSError:
        return False


def test_describe_instance_status(stopd):
    answer = stopd.get("/?Action=DescribeInstanceStatus&PageSize=5&PageNumber=2&RegionId=x&ZoneId=y")
    body = answer.json
    assert answer.status == 200
    assert (body["TotalCount"], body["PageNumber"], body["PageSize"]) == (len(DOMAINS), 2, 5)
    assert len(body["InstanceStatuses"]["InstanceStatus"]) == 5
    query = urllib.parse.urlencode({"Action": "DescribeInstanceStatus", "InstanceId.1": "i-off",
                                    "InstanceId.2": "plain", "Format": "XML"})
    root = stopd.get("/?" + query).xml
    assert root.tag == "DescribeInstanceStatusResponse"
    assert {(each.findtext("InstanceId"), each.findtext("Status"))
            for each in root.find("InstanceStatuses")} == {("i-off", "Stopped"), ("plain", "Running")}
    assert stopd.get("/?Action=DescribeInstanceStatus&PageSize=51").code == "InvalidParameter"


def test_the_event_stream_brings_what_the_sink_gets(stopd):
    request = stopd.accepted("plain")
    stopd.finished(request)
    events = stopd.get("/v1/events?after=0&limit=10").json["events"]
    stopd.reported("plain", "Running→Stopping", "Stopping→Stopped")
    assert events == stopd.events()
    later = stopd.get(f"/v1/events?after={int(events[-1]['sequence'])}&wait=1").json["events"]
    assert later == []


def test_trace_context_is_on_the_events(stopd):
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    answer = stopd.get("/?InstanceId=plain", headers={"traceparent": parent})
    stopd.finished(answer.json["RequestId"])
    stopd.reported("plain", "Running→Stopping", "Stopping→Stopped")
    assert {event["traceparent"] for event in stopd.events("plain")} == {parent}
