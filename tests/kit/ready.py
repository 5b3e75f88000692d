"""Guests that are ready at once: restored, and not booted, wherever that is the same to a test.

Theory of operation. Without KVM a boot takes seconds of a processor, a restore a fraction of one. So the first guest
of a kind is booted until it would hear the power button, and saved; that image, under another name, is every
guest of the kind. A kind is all of a definition but name, uuid, metadata and console. libvirt would not restore an image as
another domain, so the definition that stands in front of it is written anew.
"""

import collections
import concurrent.futures
import hashlib
import os
import re
import shutil
import struct
import threading
import uuid as uuids
from xml.etree import ElementTree

import libvirt

import kit

# What stands at the beginning of a saved guest: magic, version, the size of what is between this and the
# guest itself, was it running, how is it compressed, where in there is the cookie.
HEADER = struct.Struct("=16s5I56x")

_kinds = collections.defaultdict(threading.Lock)


def _definition(name):
    return ElementTree.fromstring(kit.domain(name).XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE))


def _become(tree, name, uuid, metadata=()):
    """Makes of a guest's definition that of another one of its kind."""
    for each in tree.findall("metadata"):
        tree.remove(each)
    tree.extend(metadata)
    tree.find("name").text = name
    tree.find("uuid").text = uuid
    for source in tree.findall("devices/serial/source") + tree.findall("devices/console/source"):
        source.set("path", kit.console_path(name))
    return ElementTree.tostring(tree)


def _can_be_restored(definition):
    """A disk's content and an agent's connection are not in the image; and what does something by itself counts from
    its boot."""
    behaviour = re.search(r"stopd\.guest=(\S+)", definition.findtext("os/cmdline")).group(1)
    return (definition.find("devices/disk") is None and definition.find("devices/channel") is None
            and not re.match("(poweroff|reboot|crash):", behaviour))


def _image(definition):
    """A guest of this kind that is ready, as it was saved."""
    nobody = "00000000-0000-4000-8000-000000000000"
    name = "kind-" + hashlib.sha256(_become(definition, "", nobody)).hexdigest()[:12]
    with _kinds[name]:
        if not os.path.exists(kit.saved_path(name)):
            kit.connect().defineXML(_become(definition, name, str(uuids.uuid4())).decode())
            kit.start(name)
            kit.wait_ready(name)
            kit.save(name)
            kit.domain(name).undefine()
    return kit.saved_path(name)


def _restore(name, definition, image):
    with open(image, "rb") as kept, open(kit.saved_path(name), "wb") as saved:
        magic, version, size, running, compressed, cookie = HEADER.unpack(kept.read(HEADER.size))
        before = kept.read(size)
        tree = ElementTree.fromstring(before[:before.index(0)])
        written = _become(tree, name, definition.findtext("uuid"), definition.findall("metadata")) + b"\0"
        rest = before[cookie:] if cookie else b""
        saved.write(HEADER.pack(magic, version, len(written + rest), running, compressed,
                                len(written) if cookie else 0))
        saved.write(written + rest)
        shutil.copyfileobj(kept, saved, 1 << 20)
    kit.restore(name)
    kit.said_before[name] = "stopd-guest: ready\n"
    os.unlink(kit.saved_path(name))


def _make(name):
    definition = _definition(name)
    if _can_be_restored(definition):
        _restore(name, _definition(name), _image(definition))
    else:
        kit.start(name)
        kit.wait_ready(name)


def make(*names):
    """Starts guests, several at once, and waits until each would hear the power button."""
    with concurrent.futures.ThreadPoolExecutor(max_workers=8) as pool:
        list(pool.map(_make, names))
