"""contrib/hmcsim moves partitions as an HMC does: validate, migrate, abort, recover, on one console and between two."""
import json
import re
import time
import unittest

from test_hmcsim import MEMORY, PARTITION, Client, value

MAPPING = """<VirtualSCSIMapping schemaVersion="V1_0"><AssociatedLogicalPartition href="x/LogicalPartition/%s" rel="related"/>
<Storage schemaVersion="V1_0">%s</Storage></VirtualSCSIMapping></VirtualSCSIMappings>"""
UNIT = '<LogicalUnit schemaVersion="V1_0"><UniqueDeviceID>%s</UniqueDeviceID></LogicalUnit>'
DISK = '<VirtualDisk schemaVersion="V1_0"><DiskName>%s</DiskName></VirtualDisk>'
GROUP = """<VolumeGroup:VolumeGroup xmlns:VolumeGroup="%(u)s" xmlns="%(u)s" schemaVersion="V1_0"><VirtualDisks
schemaVersion="V1_0"><VirtualDisk schemaVersion="V1_0"><DiskCapacity>20</DiskCapacity><DiskName>local</DiskName></VirtualDisk>
</VirtualDisks></VolumeGroup:VolumeGroup>"""
ADAPTER = """<ClientNetworkAdapter:ClientNetworkAdapter xmlns:ClientNetworkAdapter="%(u)s" xmlns="%(u)s" schemaVersion="V1_0">
<UseNextAvailableSlotID>true</UseNextAvailableSlotID><PortVLANID>100</PortVLANID><AssociatedVirtualSwitch>
<link href="%(h)s" rel="related"/></AssociatedVirtualSwitch></ClientNetworkAdapter:ClientNetworkAdapter>"""
UOM = "http://www.ibm.com/xmlns/systems/power/firmware/uom/mc/2012_10/"


class Migrations(unittest.TestCase):
    def start(self, *options):
        self.hmc = Client("--job-seconds", "0.05", "--migrate-seconds", "0.2", *options)
        self.addCleanup(lambda: self.assertEqual(self.hmc.close(), 0))
        self.assertEqual(self.hmc.logon(), 200)
        self.source, self.target = [s["name"] for s in self.hmc.control("/__state")["systems"][:2]]
        self.system = self.hmc.control("/__state")["systems"][0]["uuid"]

    def second(self):
        """A client of the process's other console."""
        other = object.__new__(Client)
        other.process, other.netloc, other.token = self.hmc.process, self.hmc.ready["consoles"][1][len("https://"):], None
        other.connection = other.connect()
        self.addCleanup(other.connection.close)
        self.assertEqual(other.logon(), 200)
        return other

    def make(self, name="one", run=True, disk=True):
        answer = self.hmc.write("PUT", "ManagedSystem/%s/LogicalPartition" % self.system, "LogicalPartition",
                                PARTITION % (MEMORY % 2048, name))
        ident = value(answer.text, "PartitionUUID")
        switch = self.hmc.send("GET", "ManagedSystem/%s/VirtualSwitch" % self.system).text
        href = re.search(r'"([^"]*/VirtualSwitch/[0-9a-f-]{36})"', switch).group(1)
        added = self.hmc.write("PUT", "LogicalPartition/%s/ClientNetworkAdapter" % ident, "ClientNetworkAdapter",
                               ADAPTER % {"u": UOM, "h": href})
        self.assertEqual(added.status, 200, added.text)
        if disk:
            self.map(ident, UNIT % self.unit(name + "-boot"))
        if run:
            job, _ = self.hmc.job("LogicalPartition/%s/do/PowerOn" % ident, "LogicalPartition", {})
            self.assertEqual(value(self.hmc.wait(job), "Status"), "COMPLETED_OK")
            self.until(lambda: self.item(name)["rmc"] == "active")
        return ident

    def unit(self, name):
        cluster = value(self.hmc.send("GET", "Cluster").text.split("<entry")[1], "id")
        job, _ = self.hmc.job("Cluster/%s/do/CreateLogicalUnit" % cluster, "Cluster",
                              {"LUName": name, "LUSize": "10", "LUType": "THIN", "DeviceType": "VirtualIO_Disk"})
        self.assertEqual(value(self.hmc.wait(job), "Status"), "COMPLETED_OK")
        return next(u["udid"] for u in self.hmc.control("/__state")["units"] if u["name"] == name)

    def server(self):
        return value(self.hmc.send("GET", "ManagedSystem/%s/VirtualIOServer?group=None" % self.system).text.split("<entry")[1],
                     "id")

    def map(self, ident, storage):
        address = "VirtualIOServer/%s?group=ViosSCSIMapping" % self.server()
        body = re.search(r"(?s)<VirtualIOServer:VirtualIOServer.*</VirtualIOServer:VirtualIOServer>",
                         self.hmc.send("GET", address).text).group()
        written = self.hmc.write("POST", address, "VirtualIOServer",
                                 body.replace("</VirtualSCSIMappings>", MAPPING % (ident, storage)))
        self.assertEqual(written.status, 200, written.text)

    def item(self, name="one", hmc=None):
        return next((p for p in (hmc or self.hmc).control("/__state")["partitions"] if p["name"] == name), None)

    def until(self, done):
        end = time.monotonic() + 20
        while not done():
            self.assertLess(time.monotonic(), end, "it does not come")
            time.sleep(0.01)

    def ask(self, ident, what, hmc=None, **parameters):
        """Runs one of the jobs to its end: status and text."""
        client = hmc or self.hmc
        job, _ = client.job("LogicalPartition/%s/do/%s" % (ident, what), "LogicalPartition", parameters)
        text = client.wait(job)
        return value(text, "Status"), text

    def refused(self, code, ident, **parameters):
        parameters.setdefault("TargetManagedSystemName", self.target)
        for operation in ("MigrateValidate", "Migrate"):
            status, text = self.ask(ident, operation, **parameters)
            self.assertEqual(status, "COMPLETED_WITH_ERROR")
            self.assertIn(code, text)
        state = self.hmc.control("/__state")
        self.assertEqual([s["shells"] for s in state["systems"]], [0] * len(state["systems"]))

    def migrate(self, ident, target=None, hmc=None, **parameters):
        return self.ask(ident, "Migrate", hmc, TargetManagedSystemName=target or self.target, **parameters)

    def at(self, how, percent, name="one"):
        self.hmc.control("/__migrate", {"partition": name, "at": percent, "how": how})

    def begin(self, ident, **parameters):
        job, _ = self.hmc.job("LogicalPartition/%s/do/Migrate" % ident, "LogicalPartition",
                              {"TargetManagedSystemName": self.target, **parameters})
        return job

    def test_moves_a_running_partition(self):
        self.start()
        ident = self.make()
        before = self.item()
        self.assertEqual(self.ask(ident, "MigrateValidate", TargetManagedSystemName=self.target)[0], "COMPLETED_OK")
        self.assertEqual(self.item(), before)
        self.assertEqual(self.migrate(ident)[0], "COMPLETED_OK")
        after = self.item()
        self.assertEqual((after["system"], after["state"], after["boots"], after["uuid"]), (self.target, "running", 1, ident))
        state = self.hmc.control("/__state")
        self.assertEqual([p["name"] for p in state["partitions"]], ["one"])
        self.assertEqual([(m["system"], m["partition"], m["storage"]) for m in state["mappings"]],
                         [(self.target, "one", "one-boot")])
        self.assertEqual(self.hmc.send("GET", "ManagedSystem/%s/LogicalPartition" % self.system).status, 204)

    def test_moves_one_that_is_off(self):
        self.start()
        ident = self.make(run=False)
        self.at("hold", 50)
        job = self.begin(ident)
        self.until(lambda: self.item()["percent"] == 50)
        self.assertEqual(self.item()["state"], "migrating not active")
        self.hmc.control("/__migrate", {"partition": "one", "resume": True})
        self.assertEqual(value(self.hmc.wait(job), "Status"), "COMPLETED_OK")
        self.assertEqual((self.item()["system"], self.item()["state"]), (self.target, "not activated"))

    def test_shows_its_progress(self):
        self.start()
        ident = self.make()
        self.at("hold", 50)
        job = self.begin(ident)
        self.until(lambda: self.item()["percent"] == 50)
        text = self.hmc.send("GET", "LogicalPartition/" + ident).text
        self.assertEqual([value(text, n) for n in ("PartitionState", "MigrationState", "ProgressPartitionDataRemaining",
                                                   "ProgressPartitionDataTotal")],
                         ["migrating running", "Migration_In_Progress", "1024", "2048"])
        systems = self.hmc.send("GET", "ManagedSystem").text
        self.assertEqual(systems.count("<NumberOfActiveMigrationsInProgress kb=\"ROR\" kxe=\"false\">1<"), 2)
        found = self.hmc.send("GET", "LogicalPartition/search/(PartitionName==one)").text
        self.assertEqual(found.count("<entry"), 2)  # the partition and its shell
        for operation, parameters in (("PowerOff", {"operation": "shutdown", "immediate": "true"}),
                                      ("Migrate", {"TargetManagedSystemName": self.target})):
            self.assertIn("HSCLA210", self.ask(ident, operation, **parameters)[1])
        self.hmc.control("/__migrate", {"partition": "one", "resume": True})
        self.assertEqual(value(self.hmc.wait(job), "Status"), "COMPLETED_OK")
        self.assertEqual(self.hmc.send("GET", "LogicalPartition/search/(PartitionName==one)").text.count("<entry"), 1)

    def test_refuses_what_cannot_be(self):
        self.start()
        ident = self.make()
        self.refused("HSCLA209", ident, TargetManagedSystemName="nowhere")
        self.refused("HSCLA20A", ident, TargetManagedSystemName=self.source)
        self.refused("HSCLA207", ident, TargetRemoteHMCIPAddress="192.0.2.1", TargetRemoteHMCUserID="hscroot")
        self.refused("HSCLA200", ident, Nonsense="1")
        group = value(self.hmc.send("GET", "VirtualIOServer/%s/VolumeGroup" % self.server()).text.split("<entry")[1], "id")
        self.hmc.write("POST", "VirtualIOServer/%s/VolumeGroup/%s" % (self.server(), group), "VolumeGroup", GROUP % {"u": UOM})
        second = self.make("two", disk=False, run=False)
        self.map(second, DISK % "local")
        self.refused("HSCLA24E", second)
        for code, wrong, right in (("HSCLA216", {"modes": ["default", "POWER8"]}, {"modes": ["default", "POWER9_Base"]}),
                                   ("HSCLA215", {"region": 128}, {"region": 256}),
                                   ("HSCLA214", {"state": "standby"}, {"state": "operating"}),
                                   ("HSCL03EC", {"memory": 8192}, {"memory": 262144}),
                                   ("HSCL03F4", {"processors": 1}, {"processors": 32}),
                                   ("HSCLA213", {"migrations": 0}, {"migrations": 16}),
                                   ("HSCLA212", {"link": False}, {"link": True})):
            self.hmc.control("/__set", {"system": self.target, **wrong})
            self.refused(code, ident)
            self.hmc.control("/__set", {"system": self.target, **right})
        self.hmc.control("/__set", {"partition": "one", "rmc": "inactive"})
        self.refused("HSCLA246", ident)
        self.hmc.control("/__set", {"partition": "one", "rmc": "active"})
        self.assertEqual(self.migrate(ident)[0], "COMPLETED_OK")

    def test_refuses_by_name_and_mover(self):
        self.start()
        ident = self.make()
        targets = [s["uuid"] for s in self.hmc.control("/__state")["systems"]]
        answer = self.hmc.write("PUT", "ManagedSystem/%s/LogicalPartition" % targets[1], "LogicalPartition",
                                PARTITION % (MEMORY % 2048, "one"))
        self.refused("HSCL05DE", ident)
        self.hmc.send("DELETE", "LogicalPartition/" + value(answer.text, "PartitionUUID"))
        for uuid in (value(e, "id") for e in self.hmc.send("GET", "VirtualIOServer?group=None").text.split("<entry")[1:]):
            self.hmc.control("/__set", {"server": uuid, "mover": False})
        self.refused("HSCLA217", ident)

    def test_fails_in_the_middle_and_goes_back(self):
        self.start()
        ident = self.make()
        self.at("fail", 40)
        status, text = self.migrate(ident)
        self.assertEqual(status, "COMPLETED_WITH_ERROR")
        self.assertIn("HSCLA2CF", text)
        item = self.item()
        self.assertEqual((item["system"], item["state"], item["migration"], item["boots"]),
                         (self.source, "running", "Not_Migrating", 1))
        self.assertEqual(len(self.hmc.control("/__state")["mappings"]), 1)
        self.assertEqual(self.migrate(ident)[0], "COMPLETED_OK")

    def test_aborts_until_the_switch(self):
        self.start()
        ident = self.make()
        self.assertIn("HSCLA220", self.ask(ident, "MigrateAbort")[1])
        self.at("hold", 50)
        job = self.begin(ident)
        self.until(lambda: self.item()["percent"] == 50)
        self.assertEqual(self.ask(ident, "MigrateAbort")[0], "COMPLETED_OK")
        self.assertIn("HSCLA222", self.hmc.wait(job))
        self.assertEqual((self.item()["system"], self.item()["state"]), (self.source, "running"))
        self.at("hold", 90)
        job = self.begin(ident)
        self.until(lambda: self.item()["percent"] == 90)
        self.assertIn("HSCLA221", self.ask(ident, "MigrateAbort")[1])
        self.hmc.control("/__migrate", {"partition": "one", "resume": True})
        self.assertEqual(value(self.hmc.wait(job), "Status"), "COMPLETED_OK")

    def lose(self, ident, percent):
        self.at("lost", percent)
        self.assertIn("HSCLA27F", self.migrate(ident)[1])
        states = [(p["system"], p["state"], p["migration"]) for p in self.hmc.control("/__state")["partitions"]]
        self.assertEqual(sorted(states), sorted((s, "migrating running", "Migration_Failed") for s in (self.source, self.target)))
        self.assertIn("HSCLA231", self.ask(ident, "MigrateRecover")[1])
        self.hmc.control("/__set", {"system": self.source, "link": True})

    def test_a_lost_connection_waits_for_recovery(self):
        self.start()
        ident = self.make()
        self.assertIn("HSCLA230", self.ask(ident, "MigrateRecover")[1])
        for percent, place in ((30, self.source), (90, self.target)):
            self.lose(ident, percent)
            self.assertEqual(self.ask(ident, "MigrateRecover")[0], "COMPLETED_OK")
            state = self.hmc.control("/__state")
            self.assertEqual([(p["system"], p["state"], p["boots"]) for p in state["partitions"]], [(place, "running", 1)])
            self.assertEqual([m["system"] for m in state["mappings"]], [place])

    def test_moves_between_two_consoles(self):
        self.start("--consoles", "2")
        other, ident = self.second(), self.make()
        there = other.control("/__state")["systems"][0]["name"]
        remote = {"TargetRemoteHMCIPAddress": "127.0.0.2", "TargetRemoteHMCUserID": "hscroot"}
        self.assertEqual({s["name"] for s in other.control("/__state")["systems"]} & {self.source, self.target}, set())
        self.assertIn("HSCLA209", self.migrate(ident, there)[1])
        self.assertIn("HSCLA208", self.migrate(ident, there, **{**remote, "TargetRemoteHMCUserID": "nobody"})[1])
        self.assertEqual(self.migrate(ident, there, **remote)[0], "COMPLETED_OK")
        self.assertIsNone(self.item())
        self.until(lambda: self.item(hmc=other)["rmc"] == "active")
        item = self.item(hmc=other)
        self.assertEqual((item["system"], item["state"], item["boots"]), (there, "running", 1))
        self.assertEqual(len(self.hmc.control("/__state")["mappings"]), 0)
        unit = next(u for u in self.hmc.control("/__state")["units"] if u["name"] == "one-boot")
        self.assertEqual(unit["used"], 1)  # seen from here, too: the pool is one
        back = {"TargetRemoteHMCIPAddress": "127.0.0.1", "TargetRemoteHMCUserID": "hscroot"}
        self.assertEqual(self.migrate(ident, self.source, other, **back)[0], "COMPLETED_OK")
        self.assertEqual(self.item()["system"], self.source)

    def test_recovers_from_either_console(self):
        self.start("--consoles", "2")
        other, ident = self.second(), self.make()
        there = other.control("/__state")["systems"][0]["name"]
        remote = {"TargetRemoteHMCIPAddress": "127.0.0.2", "TargetRemoteHMCUserID": "hscroot"}
        back = {**remote, "TargetRemoteHMCIPAddress": "127.0.0.1"}
        self.at("lost", 50)
        self.assertIn("HSCLA27F", self.migrate(ident, there, **remote)[1])
        self.assertEqual(self.ask(ident, "MigrateRecover", Force="true")[0], "COMPLETED_OK")  # without the other side
        self.assertEqual((self.item()["state"], self.item(hmc=other)["migration"]), ("running", "Migration_Failed"))
        self.hmc.control("/__set", {"system": self.source, "link": True})
        self.assertIn("HSCLA232", self.ask(ident, "MigrateRecover", other)[1])
        self.assertEqual(self.ask(ident, "MigrateRecover", other, **back)[0], "COMPLETED_OK")
        self.assertIsNone(self.item(hmc=other))
        self.at("lost", 90)
        self.assertIn("HSCLA27F", self.migrate(ident, there, **remote)[1])
        self.hmc.control("/__set", {"system": self.source, "link": True})
        self.assertEqual(self.ask(ident, "MigrateRecover", other, **back)[0], "COMPLETED_OK")
        self.assertIsNone(self.item())
        self.assertEqual(self.item(hmc=other)["state"], "running")

    def test_needs_the_pool_on_both_sides(self):
        self.start("--consoles", "2", "--private-pools", "standard")
        other, ident = self.second(), self.make()
        self.assertIn("HSCLA24E", self.migrate(ident, other.control("/__state")["systems"][0]["name"],
                                                TargetRemoteHMCIPAddress="127.0.0.2", TargetRemoteHMCUserID="hscroot")[1])

    def test_controls_refuse_nonsense(self):
        self.start()
        for path, wanted in (("/__set", {"system": self.source, "colour": 1}), ("/__set", {"system": "nowhere"}),
                             ("/__migrate", {"partition": "one", "at": 1, "how": "soon"}),
                             ("/__migrate", {"partition": "one", "resume": True})):
            self.assertEqual(self.hmc.send("POST", path, json.dumps(wanted)).status, 400)


if __name__ == "__main__":
    unittest.main()
