"""contrib/hmcsim speaks the HMC's protocol: checked from outside, over TLS, with nothing of the simulator imported."""
import hashlib
import http.client
import json
import os
import re
import ssl
import subprocess
import sys
import threading
import time
import unittest
import urllib.parse
import xml.etree.ElementTree as ElementTree

HERE = os.path.dirname(os.path.abspath(__file__))
PROGRAM = os.path.join(HERE, "..", "..", "contrib", "hmcsim")
UOM = "http://www.ibm.com/xmlns/systems/power/firmware/uom/mc/2012_10/"
WEB = "http://www.ibm.com/xmlns/systems/power/firmware/web/mc/2012_10/"
ATOM = "{http://www.w3.org/2005/Atom}"
SHARED = """<SharedProcessorConfiguration schemaVersion="V1_0"><DesiredProcessingUnits>0.5</DesiredProcessingUnits>
<DesiredVirtualProcessors>2</DesiredVirtualProcessors><MaximumProcessingUnits>4</MaximumProcessingUnits>
<MaximumVirtualProcessors>8</MaximumVirtualProcessors><MinimumProcessingUnits>0.05</MinimumProcessingUnits>
<MinimumVirtualProcessors>1</MinimumVirtualProcessors></SharedProcessorConfiguration>"""
MEMORY = """<PartitionMemoryConfiguration schemaVersion="V1_0"><DesiredMemory>%d</DesiredMemory>
<MaximumMemory>131072</MaximumMemory><MinimumMemory>1024</MinimumMemory></PartitionMemoryConfiguration>"""
PARTITION = """<LogicalPartition:LogicalPartition xmlns:LogicalPartition="%s" xmlns="%s" schemaVersion="V1_0">
%%s<PartitionName>%%s</PartitionName><PartitionProcessorConfiguration schemaVersion="V1_0">
<HasDedicatedProcessors>false</HasDedicatedProcessors>%s<SharingMode>uncapped</SharingMode>
</PartitionProcessorConfiguration><PartitionType>AIX/Linux</PartitionType></LogicalPartition:LogicalPartition>""" % (
    UOM, UOM, SHARED)


class Client:
    def __init__(self, *options):
        self.process = subprocess.Popen(
            [sys.executable, PROGRAM, "--port", "0", "--die-with-stdin", "--event-wait", "0.3", "--job-seconds", "0.1",
             "--rmc-seconds", "0.05", *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.ready = json.loads(self.process.stdout.readline())
        self.netloc = urllib.parse.urlsplit(self.ready["url"]).netloc
        self.token, self.connection = None, self.connect()

    def connect(self):
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        return http.client.HTTPSConnection(self.netloc, context=context, timeout=20)

    def close(self):
        self.connection.close()
        self.process.stdin.close()
        code = self.process.wait(10)
        self.process.stdout.close()
        return code

    def send(self, method, path, body=None, headers=None, connection=None):
        headers = dict(headers or {})
        if self.token:
            headers["X-API-Session"] = self.token
        connection = connection or self.connection
        connection.request(method, path if path.startswith("/") else "/rest/api/uom/" + path, body, headers)
        answer = connection.getresponse()
        answer.text = answer.read().decode()
        return answer

    def logon(self, password="abc123"):
        body = '<LogonRequest xmlns="%s" schemaVersion="V1_0"><UserID>hscroot</UserID><Password>%s</Password></LogonRequest>'
        answer = self.send("PUT", "/rest/api/web/Logon", body % (WEB, password),
                           {"Content-Type": "application/vnd.ibm.powervm.web+xml; type=LogonRequest"})
        if answer.status == 200:
            self.token = ElementTree.fromstring(answer.text).find("{%s}X-API-Session" % WEB).text
        return answer.status

    def write(self, method, path, kind, body, etag=None):
        headers = {"Content-Type": "application/vnd.ibm.powervm.uom+xml; type=" + kind}
        if etag:
            headers["If-Match"] = etag
        return self.send(method, path, body, headers)

    def job(self, path, kind, parameters):
        operation = path.rpartition("/")[2]
        items = "".join('<JobParameter schemaVersion="V1_0"><ParameterName>%s</ParameterName><ParameterValue>%s'
                        "</ParameterValue></JobParameter>" % p for p in parameters.items())
        body = """<JobRequest:JobRequest xmlns:JobRequest="%s" xmlns="%s" schemaVersion="V1_0"><RequestedOperation
            schemaVersion="V1_0"><OperationName>%s</OperationName><GroupName>%s</GroupName></RequestedOperation>
            <JobParameters schemaVersion="V1_0">%s</JobParameters></JobRequest:JobRequest>""" % (WEB, WEB, operation, kind, items)
        answer = self.send("PUT", path, body, {"Content-Type": "application/vnd.ibm.powervm.web+xml; type=JobRequest"})
        return value(answer.text, "JobID"), value(answer.text, "Status")

    def wait(self, job):
        end = time.monotonic() + 10
        while time.monotonic() < end:
            answer = self.send("GET", "jobs/" + job)
            if value(answer.text, "Status") not in ("NOT_STARTED", "RUNNING"):
                return answer.text
        raise AssertionError("the job %s does not end" % job)

    def control(self, path, wanted=None):
        answer = self.send("POST" if wanted is not None else "GET", path, json.dumps(wanted) if wanted is not None else None)
        assert answer.status == 200, answer.text
        return json.loads(answer.text)


def value(text, name):
    found = re.search(r"<%s[^>]*>([^<]*)</%s>" % (name, name), text)
    return found.group(1) if found else None


class HmcSim(unittest.TestCase):
    def setUp(self):
        self.hmc = Client()
        self.assertEqual(self.hmc.logon(), 200)
        self.system = ElementTree.fromstring(self.hmc.send("GET", "ManagedSystem").text).find(ATOM + "entry/" + ATOM + "id").text

    def tearDown(self):
        self.assertEqual(self.hmc.close(), 0)

    def create(self, name="one", memory=2048):
        answer = self.hmc.write("PUT", "ManagedSystem/%s/LogicalPartition" % self.system, "LogicalPartition",
                                PARTITION % (MEMORY % memory, name))
        self.assertEqual(answer.status, 200, answer.text)
        return value(answer.text, "PartitionUUID"), answer

    def error(self, answer, status, code):
        self.assertEqual((answer.status, value(answer.text, "ReasonCode")), (status, code), answer.text)
        self.assertIn("HttpErrorResponse:HttpErrorResponse", answer.text)
        self.assertEqual(value(answer.text, "HTTPStatus"), str(status))

    def test_certificate_is_the_one_announced(self):
        der = ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate(tuple(self.hmc.netloc.rsplit(":", 1))))
        self.assertEqual(hashlib.sha256(der).hexdigest(), self.hmc.ready["fingerprint"])

    def test_sessions(self):
        kept, self.hmc.token = self.hmc.token, "nobody"
        self.error(self.hmc.send("GET", "ManagedSystem"), 401, "REST0011")
        self.hmc.token = kept
        self.assertEqual(self.hmc.send("DELETE", "/rest/api/web/Logon").status, 204)
        self.error(self.hmc.send("GET", "ManagedSystem"), 401, "REST0011")

    def test_three_bad_logons_lock(self):
        for _ in range(3):
            self.assertEqual(self.hmc.logon("wrong"), 401)
        self.assertEqual(self.hmc.logon(), 401)

    def test_atom_shape_and_etags(self):
        answer = self.hmc.send("GET", "ManagedSystem/" + self.system)
        self.assertTrue(answer.text.startswith("\n<entry"))
        entry = ElementTree.fromstring(answer.text)
        etag = entry.find("{%s}etag" % UOM).text
        self.assertRegex(etag, r"^-?\d+$")
        self.assertEqual(answer.headers["ETag"], etag)
        self.assertIn("<ManagedSystem:ManagedSystem ", answer.text)
        self.assertEqual(self.hmc.send("GET", "ManagedSystem/" + self.system, headers={"If-None-Match": etag}).status, 304)
        self.assertEqual(self.hmc.send("GET", "LogicalPartition").status, 204)
        self.error(self.hmc.send("GET", "ManagedSystem/" + "0" * 36), 404, "REST0005")
        self.assertEqual(self.hmc.send("PUT", "Event").status, 415)

    def test_create_checks_order_and_meaning(self):
        path = "ManagedSystem/%s/LogicalPartition" % self.system
        good = PARTITION % (MEMORY % 2048, "one")
        wrong_order = re.sub(r"(?s)(<PartitionMemory.*</PartitionMemoryConfiguration>)(<PartitionName>.*</PartitionName>)",
                             r"\2\1", good)
        self.assertNotEqual(good, wrong_order)
        self.error(self.hmc.write("PUT", path, "LogicalPartition", wrong_order), 400, "REST0001")
        self.error(self.hmc.write("PUT", path, "LogicalPartition", good.replace("PartitionName", "PartitionNick")), 400,
                   "REST0001")
        self.error(self.hmc.write("PUT", path, "LogicalPartition", good.replace(
            '<PartitionMemoryConfiguration schemaVersion="V1_0">', "<PartitionMemoryConfiguration>")), 400, "REST0001")
        self.error(self.hmc.write("PUT", path, "LogicalPartition", PARTITION % ("", "one")), 500, "REST0126")
        self.error(self.hmc.write("PUT", path, "LogicalPartition", PARTITION % (MEMORY % 2000, "one")), 500, "REST0126")
        self.error(self.hmc.write("PUT", path, "LogicalPartition", good.replace("AIX/Linux", "Virtual IO Server")), 500,
                   "REST0140")
        self.create()
        answer = self.hmc.write("PUT", path, "LogicalPartition", good)
        self.error(answer, 500, "REST0126")
        self.assertIn("HSCL05DE", answer.text)

    def test_change_with_etag_and_dlpar(self):
        ident, made = self.create()
        path = "LogicalPartition/" + ident
        body = re.search(r"(?s)<LogicalPartition:LogicalPartition.*</LogicalPartition:LogicalPartition>", made.text).group()
        bigger = body.replace(">2048</DesiredMemory>", ">4096</DesiredMemory>")
        self.error(self.hmc.write("POST", path, "LogicalPartition", bigger, "12345"), 412, "REST0137")
        answer = self.hmc.write("POST", path, "LogicalPartition", bigger, made.headers["ETag"])
        self.assertEqual((answer.status, value(answer.text, "CurrentMemory")), (200, "4096"))
        self.error(self.hmc.write("POST", path, "LogicalPartition", body, made.headers["ETag"]), 412, "REST0137")
        job, status = self.hmc.job(path + "/do/PowerOn", "LogicalPartition", {"force": "false"})
        self.assertEqual(status, "NOT_STARTED")
        self.assertEqual(value(self.hmc.wait(job), "Status"), "COMPLETED_OK")
        self.assertEqual(self.hmc.send("GET", path + "/quick/PartitionState").text, '"open firmware"')  # it has no disk
        answer = self.hmc.write("POST", path, "LogicalPartition", body)
        self.assertIn("HSCL2957", answer.text)
        self.error(self.hmc.send("DELETE", path), 500, "REST0126")
        again = self.hmc.wait(self.hmc.job(path + "/do/PowerOn", "LogicalPartition", {})[0])
        self.assertEqual(value(again, "Status"), "COMPLETED_WITH_ERROR")
        self.assertIn("HSCL3681", again)
        self.hmc.wait(self.hmc.job(path + "/do/PowerOff", "LogicalPartition", {"operation": "shutdown", "immediate": "true"})[0])
        self.assertEqual(self.hmc.send("DELETE", path).status, 204)
        self.error(self.hmc.send("GET", path), 404, "REST0005")

    def test_memory_runs_out_at_power_on(self):
        jobs = [self.hmc.job("LogicalPartition/%s/do/PowerOn" % self.create("p%d" % i, 131072)[0], "LogicalPartition", {})[0]
                for i in range(2)]
        texts = [self.hmc.wait(job) for job in jobs]
        self.assertEqual([value(t, "Status") for t in texts], ["COMPLETED_OK", "COMPLETED_WITH_ERROR"])
        self.assertIn("HSCL03EC", texts[1])

    def test_job_cancel_and_delete(self):
        job, _ = self.hmc.job("LogicalPartition/%s/do/PowerOn" % self.create()[0], "LogicalPartition", {})
        self.assertEqual(self.hmc.send("POST", "jobs/%s/cancel" % job).status, 204)
        self.assertTrue(value(self.hmc.wait(job), "Status").startswith("CANCELED_"))
        self.assertEqual(self.hmc.send("DELETE", "jobs/" + job).status, 204)
        self.error(self.hmc.send("GET", "jobs/" + job), 404, "REST0005")

    def test_clone_map_and_grow(self):
        ident, _ = self.create()
        cluster = re.search(r"/Cluster/([0-9a-f-]{36})", self.hmc.send("GET", "Cluster").text).group(1)
        state = self.hmc.control("/__state")
        image = next(u for u in state["units"] if u["pool"] == "standard" and u["name"] == "rhel-9.4")
        made = self.hmc.wait(self.hmc.job("Cluster/%s/do/CreateLogicalUnit" % cluster, "Cluster", {
            "TierUDID": "", "LUName": "boot", "LUSize": "5", "LUType": "THIN", "DeviceType": "VirtualIO_Disk",
            "ClonedFrom": image["udid"]})[0])
        self.assertEqual(value(made, "Status"), "COMPLETED_OK", made)
        unit = next(u for u in self.hmc.control("/__state")["units"] if u["name"] == "boot")
        self.assertEqual((unit["size"], unit["cloned_from"]), (10, image["udid"]))
        server = next(s for s in json.loads(self.hmc.send("GET", "ManagedSystem/%s/VirtualIOServer/quick/All" % self.system).text)
                      if s["PartitionName"] == "vios1")["UUID"]
        path = "VirtualIOServer/%s?group=ViosSCSIMapping" % server
        seen = self.hmc.send("GET", path)
        body = re.search(r"(?s)<VirtualIOServer:VirtualIOServer.*</VirtualIOServer:VirtualIOServer>", seen.text).group()
        mapping = """<VirtualSCSIMapping schemaVersion="V1_0"><AssociatedLogicalPartition rel="related"
            href="https://hmc/rest/api/uom/ManagedSystem/%s/LogicalPartition/%s"/><Storage><LogicalUnit
            schemaVersion="V1_0"><UniqueDeviceID>%s</UniqueDeviceID></LogicalUnit></Storage></VirtualSCSIMapping>"""
        added = body.replace("</VirtualSCSIMappings>", mapping % (self.system, ident, unit["udid"]) + "</VirtualSCSIMappings>")
        answer = self.hmc.write("POST", path, "VirtualIOServer", added, seen.headers["ETag"])
        self.assertEqual(answer.status, 200, answer.text)
        self.assertIn("<VirtualSlotNumber", answer.text)
        self.assertEqual(self.hmc.write("POST", path, "VirtualIOServer", added, seen.headers["ETag"]).status, 412)
        used = self.hmc.wait(self.hmc.job("Cluster/%s/do/DeleteLogicalUnit" % cluster, "Cluster", {"LogicalUnitUDID": unit["udid"]})[0])
        self.assertEqual(value(used, "Status"), "COMPLETED_WITH_ERROR")
        self.hmc.wait(self.hmc.job("Cluster/%s/do/GrowLogicalUnit" % cluster, "Cluster",
                                   {"LogicalUnitUDID": unit["udid"], "Capacity": "15"})[0])
        self.hmc.wait(self.hmc.job("LogicalPartition/%s/do/PowerOn" % ident, "LogicalPartition", {})[0])
        self.assertEqual(self.hmc.send("GET", "LogicalPartition/%s/quick/PartitionState" % ident).text, '"running"')
        state = self.hmc.control("/__state")
        self.assertEqual(next(u for u in state["units"] if u["name"] == "boot")["size"], 15)
        self.assertEqual(state["mappings"], [{"server": server, "system": state["systems"][0]["name"], "partition": "one",
                                              "storage": "boot"}])

    def test_volume_group_disks(self):
        server = json.loads(self.hmc.send("GET", "VirtualIOServer/quick/All").text)[0]["UUID"]
        seen = self.hmc.send("GET", "VirtualIOServer/%s/VolumeGroup" % server)
        group = ElementTree.fromstring(seen.text).find(ATOM + "entry/" + ATOM + "id").text
        path = "VirtualIOServer/%s/VolumeGroup/%s" % (server, group)
        body = """<VolumeGroup:VolumeGroup xmlns:VolumeGroup="%s" xmlns="%s" schemaVersion="V1_0"><VirtualDisks
            schemaVersion="V1_0"><VirtualDisk schemaVersion="V1_0"><DiskCapacity>%d</DiskCapacity><DiskName>%s</DiskName>
            </VirtualDisk></VirtualDisks></VolumeGroup:VolumeGroup>"""
        self.assertEqual(self.hmc.write("POST", path, "VolumeGroup", body % (UOM, UOM, 20, "disk1")).status, 200)
        self.assertEqual(value(self.hmc.send("GET", path).text, "FreeSpace"), "380")
        self.error(self.hmc.write("POST", path, "VolumeGroup", body % (UOM, UOM, 20, "x" * 16)), 500, "REST0126")
        self.error(self.hmc.write("POST", path, "VolumeGroup", body % (UOM, UOM, 500, "disk1")), 500, "REST0126")

    def test_search(self):
        self.create("find-me")
        self.assertEqual(self.hmc.send("GET", "LogicalPartition/search/(PartitionName==find-me)").status, 200)
        self.assertEqual(self.hmc.send("GET", "LogicalPartition/search/(PartitionName==other)").status, 204)
        self.assertEqual(self.hmc.send("GET", "LogicalPartition/search/(PartitionName==two%20words)").status, 500)
        self.error(self.hmc.send("GET", "LogicalPartition/%s/quick/All" % self.create("two")[0]), 404, "REST0003")

    def test_events(self):
        self.assertIn("NEW_CLIENT", self.hmc.send("GET", "Event").text)
        self.assertEqual(self.hmc.send("GET", "Event").status, 204)
        got = []
        other = self.hmc.connect()
        waiter = threading.Thread(target=lambda: got.append(self.hmc.send("GET", "Event", connection=other).text))
        waiter.start()
        ident, _ = self.create()
        waiter.join()
        other.close()
        text = got[0] or self.hmc.send("GET", "Event").text
        self.assertIn("ADD_URI", text)
        self.assertIn("/LogicalPartition/" + ident, text)

    def test_faults(self):
        self.hmc.control("/__inject", {"path": "ManagedSystem$", "kind": "503", "times": 2})
        self.assertEqual([self.hmc.send("GET", "ManagedSystem").status for _ in range(3)], [503, 503, 200])
        self.hmc.control("/__inject", {"method": "GET", "path": "ManagedSystem$", "kind": "drop"})
        with self.assertRaises((http.client.RemoteDisconnected, ssl.SSLError, ConnectionError)):
            self.hmc.send("GET", "ManagedSystem")
        self.hmc.connection.close()
        self.hmc.control("/__inject", {"path": "ManagedSystem$", "kind": "truncate"})
        with self.assertRaises(http.client.IncompleteRead):
            self.hmc.send("GET", "ManagedSystem")
        self.hmc.connection.close()
        self.hmc.control("/__inject", {"path": "ManagedSystem$", "kind": "session-loss"})
        self.assertEqual(self.hmc.send("GET", "ManagedSystem").status, 401)
        self.hmc.logon()
        self.hmc.control("/__inject", {"path": "PowerOn$", "kind": "job-fail"})
        job, _ = self.hmc.job("LogicalPartition/%s/do/PowerOn" % self.create()[0], "LogicalPartition", {})
        self.assertEqual(value(self.hmc.wait(job), "Status"), "COMPLETED_WITH_ERROR")
        self.assertEqual(self.hmc.send("POST", "/__inject", json.dumps({"kind": "no such"})).status, 400)


class Limits(unittest.TestCase):
    def test_leaked_sessions_run_out(self):
        hmc = Client("--max-sessions", "2")
        self.assertEqual([hmc.logon() for _ in range(3)], [200, 200, 503])
        self.assertEqual(hmc.close(), 0)

    def test_sigterm_stops_cleanly(self):
        hmc = Client()
        hmc.process.terminate()
        self.assertEqual(hmc.process.wait(10), 0)
        hmc.close()


if __name__ == "__main__":
    unittest.main()
