"""contrib/openapi.yaml against the running server: what one has the other has, and answers are as described."""

import copy
import json
import os
import re
import socket
import subprocess

import jsonschema
import pytest
import yaml

from daemon import BUILD, wait_until

TOP = os.path.join(os.path.dirname(__file__), "..", "..")
MIB = 1 << 20
NOBODY = "00000000-0000-4000-8000-00000000FFFF"

with open(os.path.join(TOP, "contrib", "openapi.yaml"), encoding="utf-8") as description:
    API = yaml.safe_load(description)


def resolve(node):
    """What a $ref stands for."""
    while "$ref" in node:
        place = API
        for step in node["$ref"][2:].split("/"):
            place = place[step]
        node = place
    return node


def close(schema):
    """The same schema, in which a member that is not described is an error."""
    if isinstance(schema, list):
        return [close(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: close(value) for key, value in schema.items()}
    if "properties" in schema and schema.get("type") in ("object", ["object", "null"]):
        closed.setdefault("additionalProperties", False)
    return closed


CLOSED = close(copy.deepcopy(API["components"]))


def validate(value, schema):
    jsonschema.Draft202012Validator({**close(schema), "components": CLOSED}).validate(value)


class Described:
    """Asks a stopd, and holds each answer against the description."""

    def __init__(self, stopd):
        self.stopd = stopd
        self.seen = set()

    def ask(self, method, path, status, body=None, headers=None, query="", **values):
        target = path
        for name, value in values.items():
            target = target.replace("{" + name + "}", value)
        answer = self.stopd.ask(method, target + query, body=body, headers=headers)
        assert answer.status == status, f"{method} {target}{query}: {answer}"
        described = resolve(API["paths"][path][method.lower()]["responses"][str(status)])
        media = answer.headers["Content-Type"].split(";")[0]
        schema = described["content"][media]["schema"]
        if media == "application/json":
            validate(answer.json, schema)
        elif media == "application/xml":
            self.check_xml(answer.xml, schema)
        for name in described.get("headers", ()):
            assert name in answer.headers, f"{method} {target}: {answer.headers}"
        self.seen.add((method, path, status))
        return answer

    @staticmethod
    def check_xml(root, schema):
        kinds = [resolve(each) for each in resolve(schema).get("oneOf", [schema])]
        kind, = [each for each in kinds if each["xml"]["name"] == root.tag]
        children = {child.tag for child in root}
        assert set(kind["required"]) <= children <= set(kind["properties"])


# --- The document itself ---

def test_every_reference_leads_somewhere_and_everything_is_used():
    used = set()

    def walk(node):
        if isinstance(node, dict):
            if "$ref" in node:
                used.add(node["$ref"])
                assert resolve(node) is not None
            for value in node.values():
                walk(value)
        elif isinstance(node, list):
            for value in node:
                walk(value)

    walk(API)
    for kind in ("parameters", "responses", "schemas"):
        for name in API["components"][kind]:
            assert f"#/components/{kind}/{name}" in used, f"{name} is used nowhere"
    for schema in API["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)
    assert API["openapi"].startswith("3.1.")


def test_the_version_is_the_programs():
    said = subprocess.run([os.path.join(BUILD, "executor", "stopd"), "--version"], check=True, text=True,
                          stdout=subprocess.PIPE).stdout
    assert said.split()[1] == API["info"]["version"]


def test_routes_and_paths_are_the_same():
    printed = subprocess.run([os.path.join(BUILD, "tests", "unit", "api-routes")], check=True, text=True,
                             stdout=subprocess.PIPE).stdout
    routes = {pattern: set(verbs.split(",")) for verbs, pattern in map(str.split, printed.splitlines())}
    described = {re.sub(r"\{[^}]*\}", "{}", path): {key.upper() for key in item if key in ("get", "post")}
                 for path, item in API["paths"].items()}
    # HEAD is described in words: wherever GET is, but for the cloud's dialect.
    for path, methods in described.items():
        if "GET" in methods and path != "/":
            methods.add("HEAD")
    assert routes == described


def test_codes_are_those_of_the_table():
    """Each HTTP status has the Codes that error-list.h gives it, of those that are a request's."""
    with open(os.path.join(TOP, "include", "stopd", "error-list.h"), encoding="utf-8") as file:
        sections = re.split(r"/\* (.*?) \*/", file.read(), flags=re.DOTALL)
    table = {}
    for title, rows in zip(sections[1::2], sections[2::2]):
        if title not in ("The caller", "Ourselves", "The instance"):
            continue
        for status, code in re.findall(r'ERROR\(\w+,\s*\w+,\s*(\d+),\s*\d+,\s*"([^"]+)"', rows):
            table.setdefault(status, set()).add(code)
    # That a command is too old is for the queue to say.
    table["400"].discard("InvalidTimeStamp.Expired")
    described = {}
    for item in API["paths"].values():
        for operation in (item[method] for method in ("get", "post") if method in item):
            for status, response in operation["responses"].items():
                if status != "200":
                    schema = resolve(response)["content"]["application/json"]["schema"]
                    described[status] = set(schema["allOf"][1]["properties"]["Code"]["enum"])
    assert described == table


# --- The server ---

def domain(name, number, metadata="", disk="", state=1):
    return (f"<domain type='test' xmlns:test='http://libvirt.org/schemas/domain/test/1.0'>"
            f"<name>{name}</name><uuid>00000000-0000-4000-8000-{number:012d}</uuid>"
            f"<metadata><ecs:instance xmlns:ecs='urn:stopd:instance:1' {metadata}</ecs:instance></metadata>"
            f"<memory>1024</memory><os><type>hvm</type></os><devices>{disk}</devices>"
            f"<test:runstate>{state}</test:runstate></domain>")


def local_disk(path):
    with open(path, "wb") as file:
        file.write(os.urandom(MIB))
    return f"<disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='{path}'/><target dev='vdb'/></disk>"


@pytest.fixture
def api(tmp_path, daemon):
    if os.geteuid() != 0:
        pytest.skip("needs root: clearing looks at every process's open files")
    node = tmp_path / "node.xml"
    node.write_text("<node>" + "".join([
        domain("plain", 1, "id='i-plain'>"),
        domain("other", 2, "id='i-other'>"),
        domain("locked", 3, "id='i-locked'><ecs:lock reason='security'/>"),
        domain("twin1", 4, "id='i-twin'>"),
        domain("twin2", 5, "id='i-twin'>"),
        domain("broken", 6, "id='i-broken' network='vcp'>"),
        domain("local", 7, "id='i-local' type='ecs.i1.xlarge'><ecs:local-disk target='vdb'/>", local_disk(tmp_path / "local.img")),
        domain("kept", 8, "id='i-kept' type='ecs.i1.xlarge'><ecs:local-disk target='vdb'/>", local_disk(tmp_path / "kept.img"), state=5),
    ]) + "</node>")
    stopd = daemon(uri=f"test://{node}", local_storage__files=f"{tmp_path}/*.img", api__rate="0",
                   local_storage__helper="spawn:" + os.path.join(BUILD, "executor", "wipe", "stopd-wipe"))
    return Described(stopd.start())


FORM = {"Content-Type": "application/x-www-form-urlencoded"}
XML = {"Accept": "application/xml"}
RAW = {"Content-Type": "application/json"}


def test_answers_are_as_described(api):
    stopd = api.stopd

    def stop(status, instance, **parameters):
        query = "&".join(f"{key}={value}" for key, value in {"InstanceId": instance, **parameters}.items())
        return api.ask("GET", "/", status, query="?" + query)

    # StopInstance, and its refusals.
    plain = stop(200, "i-plain").json["RequestId"]
    api.ask("POST", "/", 200, body="Action=StopInstance&InstanceId=i-other", headers={**FORM, **XML})
    api.ask("POST", "/", 400, body="InstanceId=i-other", headers={"Content-Type": "text/plain"})
    for status, code, instance, parameters in (
            (400, "MissingParameter", "", {}),
            (400, "InvalidParameter", "i-locked", {"ForceStop": "maybe"}),
            (400, "DryRunOperation", "twin1", {"DryRun": "true"}),
            (403, "InstanceLockedForSecurity", "i-locked", {}),
            (403, "InstanceType.ParameterMismatch", "i-local", {}),
            (403, "HibernationConfigured.NotEnabled", "twin1", {"Hibernate": "true"}),
            (403, "InvalidInstanceId.NotSupport", "i-local",
             {"ConfirmStop": "true", "StoppedMode": "StopCharging"}),
            (404, "InvalidInstanceId.NotFound", "nobody", {}),
            (404, "InvalidAction.NotFound", "i-locked", {"Action": "StartInstance"}),
            (409, "OperationConflict", "i-twin", {})):
        assert stop(status, instance, **parameters).code == code
    assert api.ask("GET", "/", 404, query="?InstanceId=nobody", headers=XML).xml.tag == "Error"
    api.ask("GET", "/", 200, query="?Action=DescribeInstanceStatus")
    api.ask("GET", "/", 200, query="?Action=DescribeInstanceStatus", headers=XML)
    api.ask("POST", "/", 413, body="OwnerId=" + "x" * 70000, headers=FORM)

    # Instances and operations.
    stopd.finished(plain)
    api.ask("GET", "/v1/instances", 200)
    for name in ("i-plain", "i-locked", "i-broken", "i-local"):
        api.ask("GET", "/v1/instances/{instance}", 200, instance=name)
    api.ask("GET", "/v1/instances/{instance}", 404, instance="nobody")
    api.ask("GET", "/v1/instances/{instance}", 409, instance="i-twin")
    api.ask("GET", "/v1/operations", 200, query="?state=Stopped&limit=5")
    api.ask("GET", "/v1/operations", 400, query="?state=Sideways")
    api.ask("GET", "/v1/operations/{requestId}", 200, requestId=plain, query="?wait=1")
    api.ask("GET", "/v1/operations/{requestId}", 404, requestId=NOBODY)
    for verb in ("cancel", "retry"):
        api.ask("POST", "/v1/operations/{requestId}/" + verb, 403, requestId=plain)
        api.ask("POST", "/v1/operations/{requestId}/" + verb, 404, requestId=NOBODY)

    # Local disks, and what is certified of them.
    local = stop(200, "i-local", ConfirmStop="true").json["RequestId"]
    assert stopd.finished(local)["outcome"] == "Stopped"
    api.ask("GET", "/v1/operations/{requestId}", 200, requestId=local)
    api.ask("POST", "/v1/instances/{instance}/clear", 400, instance="i-kept", body="{}", headers=RAW)
    cleared = api.ask("POST", "/v1/instances/{instance}/clear", 200, instance="i-kept",
                      body=json.dumps({"confirm": True}), headers=RAW).json["RequestId"]
    assert stopd.finished(cleared)["outcome"] == "Stopped"
    certificates = api.ask("GET", "/v1/certificates/{requestId}", 200, requestId=local).json
    assert len(certificates["certificates"]) == 1
    api.ask("GET", "/v1/certificates/{requestId}", 200, requestId="key")
    api.ask("GET", "/v1/certificates/{requestId}", 404, requestId=NOBODY)

    # Events: those of clears and of transitions.
    wait_until(lambda: "stopd.storage.cleared.v1" in [event["type"] for event in stopd.events("i-kept")],
               "the clear is reported", seen=stopd.log)
    events = api.ask("GET", "/v1/events", 200).json["events"]
    assert {event["type"] for event in events} == {"stopd.instance.state.v1", "stopd.storage.cleared.v1"}
    api.ask("GET", "/v1/events", 200, query=f"?after={len(events)}&limit=1&wait=0")
    api.ask("GET", "/v1/events", 400, query="?after=-1")

    # Sinks, and what they refused.
    api.ask("GET", "/v1/sinks", 200)
    api.ask("POST", "/v1/sinks/{sink}/replay", 200, sink="file", body=json.dumps({"after": 0}), headers=RAW)
    api.ask("POST", "/v1/sinks/{sink}/replay", 400, sink="file", body=json.dumps({"after": 1 << 40}), headers=RAW)
    api.ask("GET", "/v1/sinks/{sink}/dead-letters", 200, sink="file")
    api.ask("GET", "/v1/sinks/{sink}/dead-letters", 404, sink="nobody")
    for verb in ("replay", "drop"):
        path = "/v1/sinks/{sink}/dead-letters/{sequence}/" + verb
        api.ask("POST", path, 200, sink="file", sequence="all")
        api.ask("POST", path, 404, sink="file", sequence="1")

    for path in ("/livez", "/readyz", "/metrics"):
        api.ask("GET", path, 200)

    # Every operation is answered here as it is when all goes well, but for what nothing here can lead to.
    not_here = {("POST", "/v1/operations/{requestId}/cancel"), ("POST", "/v1/operations/{requestId}/retry")}
    well = {(method, path) for method, path, status in api.seen if status == 200}
    described = {(method.upper(), path) for path, item in API["paths"].items()
                 for method in item if method in ("get", "post")}
    assert well | not_here == described


def test_what_every_path_refuses(api):
    values = {"instance": "i-plain", "requestId": NOBODY, "sink": "file", "sequence": "all"}
    for path, item in API["paths"].items():
        method = "GET" if "get" in item else "POST"
        other = "POST" if method == "GET" and "post" not in item else "DELETE"
        target = path.format(**values)
        refused = api.stopd.ask(other, target)
        assert refused.status == 405 and refused.headers["Allow"], f"{other} {target}: {refused}"
        validate(refused.json, resolve(item[method.lower()]["responses"]["405"])
                 ["content"]["application/json"]["schema"])
        api.ask(method, path, 431, headers={"X-Filler": "x" * 17000}, **values)
        api.ask(method, path, 403, headers={"Origin": "https://evil.example"}, **values)
        if method == "POST":
            api.ask(method, path, 413, body="x" * 70000, **values)
        if method == "GET" and path != "/":
            found = api.stopd.ask("HEAD", target)
            assert found.status in (200, 404) and found.text == "", f"HEAD {target}: {found}"


def test_parameters_that_are_described_are_known(api):
    """None of them is one that the server does not know; a misspelt one is."""
    for path, item in API["paths"].items():
        for method in ("get", "post"):
            for parameter in map(resolve, item.get(method, {}).get("parameters", ())):
                if parameter["in"] != "query":
                    continue
                query = f"{parameter['name']}=0"
                if parameter["name"] in ("InstanceId.1", "PageNumber", "PageSize"):
                    query += "&Action=DescribeInstanceStatus"
                elif path == "/" and parameter["name"] != "InstanceId":
                    query += "&InstanceId=nobody"
                target = path.format(instance="nobody", requestId=NOBODY, sink="nobody", sequence="1")
                answer = api.stopd.ask(method.upper(), f"{target}?{query}")
                assert "is not known" not in answer.text, f"{target}?{query}: {answer}"
                answer = api.stopd.ask(method.upper(), f"{target}?x{query}&InstanceId=nobody")
                assert answer.status == 400, f"{target}?x{query}: {answer}"


def test_an_event_stream_is_as_described(api):
    api.stopd.finished(api.stopd.accepted("i-plain"))
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(60)
    sock.connect(api.stopd.socket)
    sock.sendall(b"GET /v1/events HTTP/1.1\r\nHost: stopd\r\nAccept: text/event-stream\r\n\r\n")
    heard = b""
    while heard.count(b"\ndata: ") < 2:
        piece = sock.recv(65536)
        assert piece, heard
        heard += piece
    sock.close()
    assert b"Content-Type: text/event-stream" in heard
    for data in re.findall(rb"\ndata: (.*)\n\n", heard):
        validate(json.loads(data), {"$ref": "#/components/schemas/Event"})
