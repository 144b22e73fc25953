"""From method and path to the world and back: which addresses there are and what each answers."""
import json
import re
import urllib.parse
import uuid

from . import schema
from .jobs import Jobs
from .views import Views
from .world import Thing
from .xmlout import Refusal, document, entry, etag_of, feed, leaf, payload

NOT_FOUND = (404, "REST0005", "The element named by the address was not found.")
UUID = r"[0-9A-Za-z-]{36}"


class Answer:
    def __init__(self, status=200, body=b"", content_type="application/atom+xml", etag=None):
        self.status, self.body, self.content_type, self.etag = status, body, content_type, etag


class Request:
    def __init__(self, method, path, query, headers, body, token):
        self.method, self.path, self.query, self.headers, self.body, self.token = method, path, query, headers, body, token
        self.group = (query.get("group") or [""])[0]


class Routes:
    def __init__(self, world):
        self.world, self.views, self.jobs = world, Views(world), Jobs(world)
        ms, lp = r"(?:ManagedSystem/(%s)/)?" % UUID, r"LogicalPartition/(%s)" % UUID
        table = [
            ("GET", r"ManagementConsole", self.consoles), ("GET", r"ManagementConsole/(%s)" % UUID, self.console),
            ("GET", r"ManagedSystem", self.systems), ("GET", r"ManagedSystem/(%s)" % UUID, self.system),
            ("GET", r"ManagedSystem/search/\((\w+)==(.*)\)", self.search_systems),
            ("GET", r"(ManagedSystem)/quick/All", self.quick_list),
            ("GET", ms + r"(LogicalPartition|VirtualIOServer)/quick/All", self.quick_list_under),
            ("GET", r"(ManagedSystem|LogicalPartition|VirtualIOServer)/(%s)/quick/(\w+)" % UUID, self.quick_one),
            ("GET", ms + r"(LogicalPartition)", self.members), ("GET", ms + r"(VirtualIOServer)", self.members),
            ("GET", ms + r"LogicalPartition/search/\((\w+)==(.*)\)", self.search_partitions),
            ("PUT", r"ManagedSystem/(%s)/LogicalPartition" % UUID, self.create_partition),
            ("GET", ms + lp, self.partition), ("POST", ms + lp, self.change_partition),
            ("DELETE", ms + lp, self.delete_partition),
            ("GET", lp + r"/ClientNetworkAdapter", self.adapters), ("PUT", lp + r"/ClientNetworkAdapter", self.add_adapter),
            ("GET", lp + r"/ClientNetworkAdapter/(%s)" % UUID, self.adapter),
            ("DELETE", lp + r"/ClientNetworkAdapter/(%s)" % UUID, self.remove_adapter),
            ("GET", ms + r"VirtualIOServer/(%s)" % UUID, self.server),
            ("POST", ms + r"VirtualIOServer/(%s)" % UUID, self.change_server),
            ("GET", r"VirtualIOServer/(%s)/VolumeGroup" % UUID, self.volume_groups),
            ("GET", r"VirtualIOServer/(%s)/VolumeGroup/(%s)" % (UUID, UUID), self.volume_group),
            ("POST", r"VirtualIOServer/(%s)/VolumeGroup/(%s)" % (UUID, UUID), self.change_volume_group),
            ("GET", r"ManagedSystem/(%s)/(VirtualNetwork|VirtualSwitch|SharedProcessorPool)" % UUID, self.network_list),
            ("GET", r"ManagedSystem/(%s)/(VirtualNetwork|VirtualSwitch|SharedProcessorPool)/(%s)" % (UUID, UUID),
             self.network_one),
            ("PUT", r"ManagedSystem/(%s)/VirtualNetwork" % UUID, self.add_network),
            ("DELETE", r"ManagedSystem/(%s)/VirtualNetwork/(%s)" % (UUID, UUID), self.remove_network),
            ("GET", r"(SharedStoragePool|Cluster)", self.pools), ("GET", r"(SharedStoragePool|Cluster)/(%s)" % UUID, self.pool),
            ("GET", r"(LogicalPartition|Cluster)/(%s)/do/(\w+)" % UUID, self.job_template),
            ("PUT", r"(LogicalPartition|Cluster)/(%s)/do/(\w+)" % UUID, self.job_start),
            ("GET", r"jobs/(\d+)", self.job), ("POST", r"jobs/(\d+)/cancel", self.job_cancel),
            ("DELETE", r"jobs/(\d+)", self.job_delete), ("GET", r"Event", self.events)]
        self.table = [(method, re.compile(pattern), function) for method, pattern, function in table]

    def dispatch(self, request):
        """Finds and runs the route; the world's lock is held."""
        path = urllib.parse.unquote(request.path[len("/rest/api/uom/"):])
        seen = False
        for method, pattern, function in self.table:
            match = pattern.fullmatch(path)
            if match and method == request.method:
                return function(request, *match.groups())
            seen = seen or match is not None
        raise Refusal(405, "REST0002", "The method is not allowed here.") if seen else Refusal(*NOT_FOUND)

    # helpers

    def find(self, things, ident):
        for key, thing in things.items():
            if key.lower() == ident.lower():
                return thing
        raise Refusal(*NOT_FOUND)

    def one(self, request, kind, thing):
        node, etag = self.views.entry(kind, thing, request.group)
        if request.headers.get("If-None-Match") == etag:
            return Answer(304, etag=etag)
        return Answer(body=document(node), etag=etag)

    def many(self, request, kind, things):
        if not things:
            return Answer(204)
        entries = [self.views.entry(kind, t, request.group, alone=False)[0] for t in things]
        return Answer(body=document(feed(self.world.base + request.path, entries, self.views.console)))

    def check_etag(self, request, kind, thing):
        wanted = request.headers.get("If-Match")
        if wanted is not None and wanted != self.views.entry(kind, thing, request.group)[1]:
            raise Refusal(412, "REST0137", "The ETag of If-Match is not that of the present representation.")

    def partition_of(self, ident, system=None):
        shells = {p.uuid: p for s in self.world.systems.values() for p in s.shells}
        listed = {**shells, **self.world.partitions}
        if system:
            listed = {p.uuid: p for p in self.world.on(self.find(self.world.systems, system))}
        partition = self.find(listed, ident)
        if system and partition.system.uuid.lower() != system.lower():
            raise Refusal(*NOT_FOUND)
        return partition

    # the console and its systems

    def consoles(self, request):
        return self.many(request, "ManagementConsole", [self.world])

    def console(self, request, ident):
        return self.one(request, "ManagementConsole", self.find({self.world.uuid: self.world}, ident))

    def systems(self, request):
        return self.many(request, "ManagedSystem", list(self.world.systems.values()))

    def system(self, request, ident):
        return self.one(request, "ManagedSystem", self.find(self.world.systems, ident))

    def search(self, request, kind, things, key, value, member):
        if " " in value:
            raise Refusal(500, "REST0001", "Unable to parse expression")
        if key != member:
            raise Refusal(400, "REST0051", "The property %s cannot be searched." % key)
        return self.many(request, kind, [t for t in things if t.name == value])

    def search_systems(self, request, key, value):
        return self.search(request, "ManagedSystem", self.world.systems.values(), key, value, "SystemName")

    def search_partitions(self, request, system, key, value):
        things = self.world.on(self.find(self.world.systems, system)) if system else self.world.everywhere()
        return self.search(request, "LogicalPartition", things, key, value, "PartitionName")

    def under(self, system, kind):
        things = self.world.everywhere() if kind == "LogicalPartition" else list(self.world.servers.values())
        if not system:
            return things
        chosen = self.find(self.world.systems, system)
        return [t for t in things if t.system is chosen]

    def members(self, request, system, kind):
        return self.many(request, kind, self.under(system, kind))

    def quick_list(self, request, kind):
        return self.as_json([self.views.quick(s) for s in self.world.systems.values()])

    def quick_list_under(self, request, system, kind):
        return self.as_json([self.views.quick(t) for t in self.under(system, kind)])

    def quick_one(self, request, kind, ident, name):
        things = {"ManagedSystem": self.world.systems, "LogicalPartition": self.world.partitions,
                  "VirtualIOServer": self.world.servers}[kind]
        members = self.views.quick(self.find(things, ident))
        if name == "All" and kind == "ManagedSystem":
            return self.as_json(members)
        if name not in members:  # LogicalPartition/{id}/quick/All, too
            raise Refusal(404, "REST0003", "There is no quick property %s." % name)
        return self.as_json(str(members[name]))

    def as_json(self, value):
        if value == []:
            return Answer(204)
        return Answer(body=json.dumps(value).encode(), content_type="application/json")

    # partitions

    def shape(self, read, old=None):
        """Memory and processors of a document; where it is silent, those of `old`."""
        def of(default, *path):
            value = schema.number_of(read, *path)
            return value if value is not None else default
        memory, processor = "PartitionMemoryConfiguration", "PartitionProcessorConfiguration"
        shared, own = "SharedProcessorConfiguration", "DedicatedProcessorConfiguration"
        dedicated = (schema.text_of(read, processor, "HasDedicatedProcessors") or "false") == "true"
        what = (own, "%sProcessors") if dedicated else (shared, "%sVirtualProcessors")
        shape = {"dedicated": dedicated, "sharing": schema.text_of(read, processor, "SharingMode") or "capped",
                 "weight": int(of(128, processor, shared, "UncappedWeight"))}
        for prefix, word in (("", "Desired"), ("minimum_", "Minimum"), ("maximum_", "Maximum")):
            was = (lambda key: getattr(old, key)) if old else (lambda key: None)
            shape[prefix + "memory"] = of(was(prefix + "memory"), memory, word + "Memory")
            shape[prefix + "processors"] = of(was(prefix + "processors"), processor, what[0], what[1] % word)
            shape[prefix + "units"] = 0.0 if dedicated else of(was(prefix + "units"), processor, shared,
                                                                word + "ProcessingUnits")
        missing = [k for k, v in shape.items() if v is None]
        if missing:
            raise Refusal(500, "REST0126", "The request lacks what the partition needs: " + ", ".join(missing))
        for key in shape:
            if key.endswith("memory") or key.endswith("processors"):
                shape[key] = int(shape[key])
        return shape

    def create_partition(self, request, system):
        read = schema.read_document(request.body, "LogicalPartition")
        kind = schema.text_of(read, "PartitionType")
        if kind == "Virtual IO Server":
            raise Refusal(500, "REST0140", "A Virtual IO Server is not created here.")
        if kind not in ("AIX/Linux", "OS400"):
            raise Refusal(500, "REST0126", "PartitionType is missing or not known.")
        partition = self.world.create_partition(self.find(self.world.systems, system), schema.text_of(read, "PartitionName"),
                                                kind, schema.text_of(read, "Description") or None, self.shape(read))
        return self.one(request, "LogicalPartition", partition)

    def partition(self, request, system, ident):
        return self.one(request, "LogicalPartition", self.partition_of(ident, system))

    def change_partition(self, request, system, ident):
        partition = self.partition_of(ident, system)
        self.check_etag(request, "LogicalPartition", partition)
        read = schema.read_document(request.body, "LogicalPartition")
        description = schema.text_of(read, "Description") if "Description" in read else partition.description
        self.world.change_partition(partition, schema.text_of(read, "PartitionName") or partition.name, description or None,
                                    self.shape(read, partition),
                                    schema.text_of(read, "PowerOnWithHypervisor") == "true")
        return self.one(request, "LogicalPartition", partition)

    def delete_partition(self, request, system, ident):
        partition = self.partition_of(ident, system)
        self.check_etag(request, "LogicalPartition", partition)
        self.world.delete_partition(partition)
        return Answer(204)

    # network

    def adapters(self, request, ident):
        partition = self.partition_of(ident)
        return self.many(request, "ClientNetworkAdapter", [self.pair(partition, a) for a in partition.adapters.values()])

    def pair(self, partition, adapter):
        return Thing(partition=partition, adapter=adapter, id=adapter.uuid)

    def adapter(self, request, ident, adapter):
        partition = self.partition_of(ident)
        return self.one(request, "ClientNetworkAdapter", self.pair(partition, self.find(partition.adapters, adapter)))

    def add_adapter(self, request, ident):
        partition = self.partition_of(ident)
        read = schema.read_document(request.body, "ClientNetworkAdapter")
        vlan, slot = schema.number_of(read, "PortVLANID"), schema.number_of(read, "VirtualSlotNumber")
        hrefs = [l["@"].get("href", "") for l in (read.get("AssociatedVirtualSwitch") or [{}])[0].get("link", [])]
        switch = partition.system.switch
        if vlan is None or not hrefs or not hrefs[0].endswith("/VirtualSwitch/" + switch.uuid):
            raise Refusal(500, "REST0126", "The adapter needs a PortVLANID and an AssociatedVirtualSwitch of this system.")
        if slot is None and schema.text_of(read, "UseNextAvailableSlotID") != "true":
            raise Refusal(500, "REST0126", "The adapter needs a VirtualSlotNumber or UseNextAvailableSlotID.")
        adapter = self.world.make_adapter(partition, int(vlan), switch, slot and int(slot), schema.text_of(read, "MACAddress"))
        return self.one(request, "ClientNetworkAdapter", self.pair(partition, adapter))

    def remove_adapter(self, request, ident, adapter):
        partition = self.partition_of(ident)
        found = self.find(partition.adapters, adapter)
        if partition.state != "not activated":
            self.world.need_rmc(partition)
        del partition.adapters[found.uuid]
        return Answer(204)

    def under_system(self, system, kind):
        chosen = self.find(self.world.systems, system)
        if kind == "VirtualNetwork":
            return [Thing(system=chosen, network=n, id=n.uuid) for n in chosen.networks.values()]
        ident = chosen.switch.uuid if kind == "VirtualSwitch" else chosen.processor_pool
        return [Thing(system=chosen, id=ident)]

    def network_list(self, request, system, kind):
        return self.many(request, kind, self.under_system(system, kind))

    def network_one(self, request, system, kind, ident):
        return self.one(request, kind, self.find({t.id: t for t in self.under_system(system, kind)}, ident))

    def add_network(self, request, system):
        chosen = self.find(self.world.systems, system)
        read = schema.read_document(request.body, "VirtualNetwork")
        name, vlan = schema.text_of(read, "NetworkName"), schema.number_of(read, "NetworkVLANID")
        if not name or not vlan or not 1 <= vlan <= 4094:
            raise Refusal(500, "REST0126", "The network needs a name and a VLAN from 1 to 4094.")
        if any(n.name == name or n.vlan == vlan for n in chosen.networks.values()):
            raise Refusal(500, "REST0126", "HSCL2A5C The name or VLAN of the virtual network is in use.")
        network = self.world.make_network(chosen, name, int(vlan))
        return self.one(request, "VirtualNetwork", Thing(system=chosen, network=network, id=network.uuid))

    def remove_network(self, request, system, ident):
        chosen = self.find(self.world.systems, system)
        del chosen.networks[self.find(chosen.networks, ident).uuid]
        return Answer(204)

    # storage

    def server(self, request, system, ident):
        return self.one(request, "VirtualIOServer", self.find(self.world.servers, ident))

    def change_server(self, request, system, ident):
        server = self.find(self.world.servers, ident)
        self.check_etag(request, "VirtualIOServer", server)
        read = schema.read_document(request.body, "VirtualIOServer")
        if "VirtualSCSIMappings" in read and ("ViosSCSIMapping" in request.group or not request.group):
            self.change_mappings(server, read["VirtualSCSIMappings"][0].get("VirtualSCSIMapping", []))
        return self.one(request, "VirtualIOServer", server)

    def change_mappings(self, server, wanted):
        """The list of the document is the list that is to be: what is not in it goes, what has no slot is new."""
        fresh, kept = [], set()
        for mapping in wanted:
            slot = schema.number_of(mapping, "ServerAdapter", "VirtualSlotNumber")
            if slot is None:
                fresh.append(self.read_mapping(server, mapping))
            else:
                kept.add(int(slot))
        if kept - {m.server_slot for m in server.mappings}:
            raise Refusal(500, "REST0126", "A mapping names a server slot that does not exist.")
        for mapping in [m for m in server.mappings if m.server_slot not in kept]:
            self.world.unmap_storage(server, mapping)
        for partition, storage in fresh:
            self.world.map_storage(server, partition, storage)

    def read_mapping(self, server, mapping):
        href = (mapping.get("AssociatedLogicalPartition") or [{"@": {}}])[0]["@"].get("href", "")
        partition = self.partition_of(href.rpartition("/")[2])
        if partition.system is not server.system:
            raise Refusal(500, "REST0126", "The partition is on another system than the Virtual I/O Server.")
        udid = schema.text_of(mapping, "Storage", "LogicalUnit", "UniqueDeviceID")
        disk = schema.text_of(mapping, "Storage", "VirtualDisk", "DiskName")
        pools = [p for p in self.world.pools.values() if server in p.nodes]
        found = [u for p in pools for u in p.units if udid and u.udid == udid]
        found += [d for g in server.groups.values() for d in g.disks if disk and d.name == disk]
        if not found:
            raise Refusal(500, "REST0126", "The storage %s cannot be reached by %s." % (udid or disk, server.name))
        return partition, found[0]

    def volume_groups(self, request, ident):
        return self.many(request, "VolumeGroup", list(self.find(self.world.servers, ident).groups.values()))

    def volume_group(self, request, ident, group):
        return self.one(request, "VolumeGroup", self.find(self.find(self.world.servers, ident).groups, group))

    def change_volume_group(self, request, ident, ident_group):
        group = self.find(self.find(self.world.servers, ident).groups, ident_group)
        self.check_etag(request, "VolumeGroup", group)
        read = schema.read_document(request.body, "VolumeGroup")
        old, disks = {d.name: d for d in group.disks}, []
        for disk in (read.get("VirtualDisks") or [{}])[0].get("VirtualDisk", []):
            name, size = schema.text_of(disk, "DiskName"), schema.number_of(disk, "DiskCapacity")
            if not name or len(name) > 15 or not size:
                raise Refusal(500, "REST0126", "A virtual disk needs a name of at most 15 characters and a capacity.")
            kept = old.pop(name, None) or Thing(uuid=str(uuid.uuid4()), name=name, size=size)
            kept.size = max(kept.size, size)
            disks.append(kept)
        if any(self.world.users_of(d) for d in old.values()):
            raise Refusal(500, "REST0126", "VIOS01010190-0001 A virtual disk that is to go is in use.")
        if sum(d.size for d in disks) > group.capacity:
            raise Refusal(500, "REST0126", "VIOS01010190-0002 There is not enough space in the volume group.")
        group.disks = disks
        return self.one(request, "VolumeGroup", group)

    def pools(self, request, kind):
        return self.many(request, kind, [self.pool_as(kind, p) for p in self.world.pools.values()])

    def pool_as(self, kind, pool):
        return Thing(**{**pool.__dict__, "id": pool.cluster if kind == "Cluster" else pool.uuid})

    def pool(self, request, kind, ident):
        things = {(p.cluster if kind == "Cluster" else p.uuid): p for p in self.world.pools.values()}
        return self.one(request, kind, self.pool_as(kind, self.find(things, ident)))

    # jobs

    def job_target(self, kind, ident):
        if kind == "LogicalPartition":
            return self.partition_of(ident)
        return self.find({p.cluster: p for p in self.world.pools.values()}, ident).cluster

    def job_template(self, request, kind, ident, operation):
        self.job_target(kind, ident)
        return Answer(body=document(self.jobs.template(kind, operation)))

    def job_start(self, request, kind, ident, operation):
        target = self.job_target(kind, ident)
        read = schema.read_document(request.body, "JobRequest", "web")
        return Answer(body=document(self.jobs.view(self.jobs.start(kind, target, ident, operation, read))))

    def job(self, request, ident):
        return Answer(body=document(self.jobs.view(self.find(self.world.jobs, ident))))

    def job_cancel(self, request, ident):
        self.jobs.cancel(self.find(self.world.jobs, ident))
        return Answer(204)

    def job_delete(self, request, ident):
        del self.world.jobs[self.find(self.world.jobs, ident).id]
        return Answer(204)

    # events

    def events(self, request):
        """Blocks until there is something for this session, or for --event-wait seconds: 204."""
        session = self.world.sessions[request.token]
        if session.events is None:
            session.events = [("NEW_CLIENT", "", "")]
        self.world.news.wait_for(lambda: session.events or session.lost, self.world.options.event_wait)
        if session.lost:
            raise Refusal(401, "REST0011", "The session has ended.")
        taken, session.events = session.events, []
        entries = []
        for kind, data, detail in taken:
            ident = str(uuid.uuid4())
            root = payload("Event", [leaf("EventType", kind), leaf("EventID", next(self.world.job_numbers)),
                                     leaf("EventData", data or None), leaf("EventDetail", detail or None)], ident)
            entries.append(entry("Event", ident, [self.views.uom + "Event/" + ident], root, etag_of(root, ""),
                                 namespaces=False))
        return Answer(body=document(feed(self.views.uom + "Event", entries))) if entries else Answer(204)
