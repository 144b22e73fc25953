"""contrib/vcsim's disks: contents, snapshots, changed blocks and files over HTTPS, checked from outside, by SOAP alone."""
import http.client
import json
import os
import re
import ssl
import subprocess
import sys
import tempfile
import unittest
import urllib.parse

PROGRAM = sys.argv.pop(1)
BLOCK = 65536
MACHINE = "DC0_C0_RP0_VM0"


class Client:
    def __init__(self, *options):
        self.folder = tempfile.TemporaryDirectory()
        environment = dict(os.environ, TMPDIR=self.folder.name, VCSIM_PASSWORD="secret")
        self.process = subprocess.Popen([PROGRAM, "-die-with-stdin", "-username", "u", "-vm", "1", *options],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
        self.netloc = urllib.parse.urlsplit(json.loads(self.process.stdout.readline())["url"]).netloc
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        self.connection = http.client.HTTPSConnection(self.netloc, context=context, timeout=20)
        self.cookie = None
        self.login()
        self.vm = self.soap("FindByInventoryPath", "SearchIndex", "SearchIndex",
                            "<inventoryPath>/DC0/vm/%s</inventoryPath>" % MACHINE)
        self.vm = re.search(r'type="VirtualMachine"[^>]*>([^<]+)<', self.vm).group(1)

    def close(self):
        self.connection.close()
        self.process.stdin.close()
        self.process.wait(10)
        self.process.stdout.close()
        self.folder.cleanup()

    def login(self):
        self.cookie = None
        self.soap("Login", "SessionManager", "SessionManager", "<userName>u</userName><password>secret</password>")

    def send(self, method, path, body=None, headers=None):
        headers = dict(headers or {})
        if self.cookie:
            headers["Cookie"] = self.cookie
        self.connection.request(method, path, body, headers)
        answer = self.connection.getresponse()
        data = answer.read()
        if answer.getheader("Set-Cookie"):
            self.cookie = answer.getheader("Set-Cookie").split(";")[0]
        return answer.status, data

    def soap(self, method, kind, ref, members="", status=200):
        body = ('<?xml version="1.0"?><e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/" '
                'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xmlns:xsd="http://www.w3.org/2001/XMLSchema"><e:Body><%s xmlns="urn:vim25">'
                '<_this type="%s">%s</_this>%s</%s></e:Body></e:Envelope>' % (method, kind, ref, members, method))
        got, data = self.send("POST", "/sdk", body, {"Content-Type": "text/xml", "SOAPAction": "urn:vim25/6.5"})
        text = data.decode()
        if got != status:
            raise AssertionError("%s: %d %s" % (method, got, text))
        return text

    def task(self, method, kind, ref, members=""):
        """The result of a task, or the type of its fault."""
        task = re.search(r'type="Task"[^>]*>([^<]+)<', self.soap(method, kind, ref, members)).group(1)
        text = self.get("Task", task, "info")
        fault = re.search(r'<fault [^>]*type="(\w+)"', text)
        return fault.group(1) if fault else re.search(r"<result[^>]*>(.*?)</result>|$", text).group(1)

    def get(self, kind, ref, path):
        return self.soap("RetrievePropertiesEx", "PropertyCollector", "propertyCollector",
                         "<specSet><propSet><type>%s</type><pathSet>%s</pathSet></propSet><objectSet><obj type=\"%s\">%s"
                         "</obj></objectSet></specSet><options/>" % (kind, path, kind, ref))

    def configure(self, spec):
        return self.task("ReconfigVM_Task", "VirtualMachine", self.vm, "<spec>%s</spec>" % spec)

    def snapshot(self, name="s"):
        return self.task("CreateSnapshot_Task", "VirtualMachine", self.vm,
                         "<name>%s</name><memory>false</memory><quiesce>false</quiesce>" % name)

    def disk(self, kind="VirtualMachine", ref=None):
        text = self.get(kind, ref or self.vm, "config.hardware.device")
        text = re.search(r'<VirtualDevice [^>]*type="VirtualDisk">.*?</VirtualDevice>', text, re.S).group(0)
        return {"key": re.search(r"<key>(\d+)<", text).group(1), "file": re.search(r"<fileName>([^<]+)<", text).group(1),
                "change": (re.search(r"<changeId>([^<]+)<", text) or [None, None])[1],
                "capacity": int(re.search(r"<capacityInKB>(\d+)<", text).group(1)) * 1024,
                "parent": "<parent>" in text}

    def changed(self, snapshot, change, start=0, status=200, key=None):
        text = self.soap("QueryChangedDiskAreas", "VirtualMachine", self.vm,
                         '%s<deviceKey>%s</deviceKey><startOffset>%d</startOffset><changeId>%s</changeId>' % (
                             '<snapshot type="VirtualMachineSnapshot">%s</snapshot>' % snapshot if snapshot else "",
                             key or self.disk()["key"], start, change), status)
        if status != 200:
            return re.search(r'type="(\w+)"', text).group(1)
        areas = re.findall(r"<start>(\d+)</start><length>(\d+)</length>", text)
        return [(int(a), int(b)) for a, b in areas], int(re.search(r"<length>(\d+)</length>", text).group(1))

    def write(self, offset, data):
        return self.send("POST", "/__write?vm=%s&disk=0&offset=%d" % (MACHINE, offset), data)[0]

    def read(self, offset, length):
        return self.send("GET", "/__read?vm=%s&disk=0&offset=%d&length=%d" % (MACHINE, offset, length))[1]

    def file(self, name, method="GET", body=None, extent="bytes=0-", dc="DC0"):
        datastore, path = re.match(r"\[(.*)\] (.*)\.vmdk", name).groups()
        query = urllib.parse.urlencode({"dcPath": dc, "dsName": datastore})
        return self.send(method, "/folder/%s-flat.vmdk?%s" % (urllib.parse.quote(path), query), body, {"Range": extent})


class Disks(unittest.TestCase):
    def setUp(self):
        self.client = Client("-extents-max", "4")
        self.addCleanup(self.client.close)
        text = self.client.get("VirtualMachine", self.client.vm, "config.hardware.device")
        text = re.search(r'<VirtualDevice [^>]*type="VirtualDisk">.*?</VirtualDevice>', text, re.S).group(0)
        part = {name: re.search("<%s>([^<]+)<" % name, text).group(1)
                for name in ("key", "fileName", "controllerKey", "unitNumber")}
        self.client.configure(
            '<deviceChange><operation>edit</operation><device xsi:type="VirtualDisk"><key>%(key)s</key><deviceInfo '
            'xsi:type="Description"><label>d</label><summary/></deviceInfo><backing xsi:type="VirtualDiskFlatVer2BackingInfo">'
            '<fileName>%(fileName)s</fileName><diskMode>persistent</diskMode></backing><controllerKey>%(controllerKey)s'
            '</controllerKey><unitNumber>%(unitNumber)s</unitNumber><capacityInKB>8192</capacityInKB></device></deviceChange>'
            % part)

    def test_snapshot_keeps_its_moment(self):
        c = self.client
        base = c.disk()
        self.assertEqual(c.write(BLOCK - 3, b"before"), 200)
        self.assertEqual(c.file(base["file"])[0], 500)  # it runs: locked
        first = c.snapshot()
        self.assertTrue(c.disk()["parent"])
        self.assertEqual(c.write(BLOCK - 3, b"after!"), 200)
        self.assertEqual(c.read(BLOCK - 4, 8), b"\0after!\0")
        self.assertEqual(c.file(base["file"], extent="bytes=%d-%d" % (BLOCK - 4, BLOCK + 3)), (206, b"\0before\0"))
        second = c.snapshot()
        c.write(7 * BLOCK, b"later")
        frozen = c.disk("VirtualMachineSnapshot", second)["file"]
        self.assertRegex(frozen, "-000001.vmdk$")
        self.assertEqual(c.task("RemoveSnapshot_Task", "VirtualMachineSnapshot", first,
                                "<removeChildren>false</removeChildren>"), None)
        self.assertEqual(c.disk("VirtualMachineSnapshot", second)["file"], base["file"])
        self.assertEqual(c.file(base["file"], extent="bytes=%d-%d" % (BLOCK - 4, BLOCK + 3)), (206, b"\0after!\0"))
        self.assertEqual(c.task("RevertToSnapshot_Task", "VirtualMachineSnapshot", second), None)
        self.assertEqual(c.read(7 * BLOCK, 5), bytes(5))
        self.assertEqual(c.read(BLOCK - 4, 8), b"\0after!\0")
        self.assertEqual(c.write(0, b"off"), 409)
        self.assertEqual(c.task("RemoveAllSnapshots_Task", "VirtualMachine", c.vm), None)
        self.assertEqual((c.disk()["file"], c.disk()["parent"]), (base["file"], False))
        self.assertEqual(c.read(BLOCK - 4, 8), b"\0after!\0")
        left = [f for _, _, files in os.walk(c.folder.name) for f in files if re.search(r"-0000\d\d", f)]
        self.assertEqual(left, [])

    def test_changed_blocks(self):
        c = self.client
        key = c.disk()["key"]
        self.assertIsNone(c.disk("VirtualMachineSnapshot", c.snapshot())["change"])
        c.task("RemoveAllSnapshots_Task", "VirtualMachine", c.vm)
        c.configure("<changeTrackingEnabled>true</changeTrackingEnabled>")
        c.write(20 * BLOCK, b"untracked still")
        first = c.snapshot("a")
        one = c.disk("VirtualMachineSnapshot", first)["change"]
        self.assertRegex(one, r"^[0-9a-f ]{23}-[0-9a-f ]{23}/\d+$")
        c.write(BLOCK + 10, b"x")
        c.write(2 * BLOCK, b"y")
        c.task("RemoveSnapshot_Task", "VirtualMachineSnapshot", first, "<removeChildren>false</removeChildren>")
        c.write(9 * BLOCK, b"z")
        second = c.snapshot("b")
        c.write(BLOCK, b"not in b")
        c.write(30 * BLOCK, b"not in b")
        capacity = c.disk()["capacity"]
        self.assertEqual(c.changed(second, one), ([(BLOCK, 2 * BLOCK), (9 * BLOCK, BLOCK)], capacity))
        two = c.disk("VirtualMachineSnapshot", second)["change"]
        self.assertEqual(c.changed(second, two), ([], capacity))
        self.assertEqual(c.changed(second, "*"),
                         ([(BLOCK, 2 * BLOCK), (9 * BLOCK, BLOCK), (20 * BLOCK, BLOCK)], capacity))
        c.task("RemoveAllSnapshots_Task", "VirtualMachine", c.vm)
        for i in range(9):
            c.write((40 + 2 * i) * BLOCK, b"page")
        third, seen, start = c.snapshot("c"), [], 0
        pages = 0
        while start < capacity:
            areas, length = c.changed(third, two, start)
            self.assertLessEqual(len(areas), 4)
            seen += areas
            start += length
            pages += 1
        self.assertEqual(seen, [(BLOCK, BLOCK), (30 * BLOCK, BLOCK)] + [((40 + 2 * i) * BLOCK, BLOCK) for i in range(9)])
        self.assertEqual((pages, start), (3, capacity))
        self.assertEqual(c.changed(third, two, capacity, 500), "InvalidArgument")
        self.assertEqual(c.changed(third, "nonsense", 0, 500), "InvalidArgument")
        self.assertEqual(c.changed(third, "00-00/1", 0, 500), "FileFault")
        self.assertEqual(c.changed("snapshot-99999", two, 0, 500), "ManagedObjectNotFound")
        self.assertEqual(c.changed(third, two, 0, 500, key="77"), "NotFound")
        self.assertEqual(c.changed(None, two, 0, 500, key=key), "InvalidArgument")  # it runs
        c.send("POST", "/__expire")
        self.assertEqual(c.changed(third, two, 0, 500, key=key), "NotAuthenticated")

    def test_what_resets_tracking(self):
        c = self.client
        c.configure("<changeTrackingEnabled>true</changeTrackingEnabled>")
        disk, first = c.disk(), c.snapshot()
        change = c.disk("VirtualMachineSnapshot", first)["change"]
        c.task("RemoveAllSnapshots_Task", "VirtualMachine", c.vm)
        c.task("PowerOffVM_Task", "VirtualMachine", c.vm)
        self.assertEqual(c.changed(None, change)[0], [])
        dc = re.search(r'type="Datacenter"[^>]*>([^<]+)<', c.soap(
            "FindByInventoryPath", "SearchIndex", "SearchIndex", "<inventoryPath>/DC0</inventoryPath>")).group(1)
        c.task("ExtendVirtualDisk_Task", "VirtualDiskManager", "virtualDiskManager",
               '<name>%s</name><datacenter type="Datacenter">%s</datacenter><newCapacityKb>%d</newCapacityKb>' % (
                   disk["file"], dc, disk["capacity"] // 1024 + 1024))
        self.assertEqual(c.changed(None, change, 0, 500), "FileFault")
        c.configure("<changeTrackingEnabled>false</changeTrackingEnabled>")
        c.snapshot()
        self.assertIsNone(c.disk()["change"])

    def test_files(self):
        c = self.client
        name = c.disk()["file"]
        self.assertEqual(c.file(name, "PUT", b"x")[0], 500)
        c.task("PowerOffVM_Task", "VirtualMachine", c.vm)
        self.assertEqual(c.file(name, "PUT", b"hello" + bytes(BLOCK))[0], 200)
        self.assertEqual(c.read(0, 6), b"hello\0")
        self.assertEqual(c.file(name, extent="bytes=1-3"), (206, b"ell"))
        self.assertEqual(c.file(name, extent="bytes=%d-" % (1 << 40))[0], 416)
        self.assertEqual(c.file("[LocalDS_0] none/none.vmdk")[0], 404)
        self.assertEqual(c.file("[LocalDS_0] none/none.vmdk", "PUT", b"x")[0], 404)
        self.assertEqual(c.file(name, dc="DC9")[0], 404)
        self.assertEqual(c.file("[LocalDS_0] ../../etc/x.vmdk")[0], 404)
        c.send("POST", "/__inject?method=GetFile&kind=expire")
        self.assertEqual(c.file(name)[0], 401)
        c.login()
        self.assertEqual(c.file(name, extent="bytes=0-1"), (206, b"he"))

    def test_reservations_are_admitted_or_not(self):
        c = self.client
        c.task("PowerOffVM_Task", "VirtualMachine", c.vm)
        c.configure("<cpuAllocation><reservation>1000000000</reservation></cpuAllocation>")
        self.assertEqual(c.task("PowerOnVM_Task", "VirtualMachine", c.vm), "InsufficientCpuResourcesFault")
        c.configure("<cpuAllocation><reservation>0</reservation></cpuAllocation>")
        self.assertIsNone(c.task("PowerOnVM_Task", "VirtualMachine", c.vm))
        for value, kept in (("one", ["one"]), ("two", ["two"]), ("", [])):
            c.configure('<extraConfig xsi:type="OptionValue"><key>k</key><value xsi:type="xsd:string">%s</value>'
                        '</extraConfig>' % value)
            text = c.get("VirtualMachine", c.vm, "config.extraConfig")
            self.assertEqual(re.findall(r"<key>k</key>\s*<value[^>]*>(\w*)<", text), kept)
            self.assertEqual("<key>k<" in text, bool(kept))


if __name__ == "__main__":
    unittest.main()
