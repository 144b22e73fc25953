"""What the simulated HMC manages: plain objects behind one lock, without any XML or HTTP."""
import heapq
import itertools
import random
import string
import threading
import time
import urllib.parse
import uuid

from .xmlout import Refusal

REGION_MB = 256            # MemoryRegionSize
HYPERVISOR_MB = 4096
UNITS_PER_PROCESSOR = 0.05  # MinimumProcessorUnitsPerVirtualProcessor
OFF = ("not activated", "migrating not active")
EVENTS_KEPT = 1000         # of one session; more become MISSING_EVENTS


class Thing:
    """An object with the members it was made with."""

    def __init__(self, **members):
        self.__dict__.update(members)


class Scheduler(threading.Thread):
    """Runs functions at their time, in one thread, under the world's lock."""

    def __init__(self, lock):
        super().__init__(daemon=True)
        self.lock, self.heap, self.count = lock, [], itertools.count()
        self.wake = threading.Condition()

    def after(self, seconds, function):
        with self.wake:
            heapq.heappush(self.heap, (time.monotonic() + seconds, next(self.count), function))
            self.wake.notify()

    def run(self):
        while True:
            with self.wake:
                while not self.heap or self.heap[0][0] > time.monotonic():
                    self.wake.wait(self.heap[0][0] - time.monotonic() if self.heap else None)
                function = heapq.heappop(self.heap)[2]
            with self.lock:
                function()


class World:
    """The inventory of one console. Every public method is called with `lock` held.

    Consoles of one process (`first` is the first of them) share the lock, the clock and the storage pools, for a pool is a
    cluster of Virtual I/O Servers whoever manages them."""

    def __init__(self, options, base, first=None):
        self.options, self.base, self.address = options, base, urllib.parse.urlsplit(base).hostname
        self.consoles = first.consoles if first else []
        self.consoles.append(self)
        self.lock = first.lock if first else threading.RLock()
        self.news = threading.Condition(self.lock)
        self.scheduler = first.scheduler if first else Scheduler(self.lock)
        self.plans = {}  # partition name -> what its next migration is to meet
        self.end_job = None  # of jobs.py: how a migration ends its job
        self.uuid, self.name = str(uuid.uuid4()), "hmcsim" + (str(len(self.consoles)) if first else "")
        self.systems, self.partitions, self.servers, self.pools, self.jobs = {}, {}, {}, {}, {}
        self.sessions = {}
        self.job_numbers = itertools.count(1700000000001)
        self.failing_jobs = 0
        before = sum(len(c.systems) for c in self.consoles)
        for number in range(before + 1, before + options.systems + 1):
            self.make_system(number)
        for place, name in enumerate(options.pools):
            self.make_pool(place, name)
        with self.lock:
            for number in range(1, options.foreign + 1):
                self.make_foreign(number)
        if not first:
            self.scheduler.start()

    # what exists from the start

    def make_system(self, number):
        system = Thing(uuid=str(uuid.uuid4()), name="Server-9009-42A-SN%05d" % number, serial="SN%05d" % number,
                       processors=options_number(self.options.processors), memory=self.options.memory,
                       next_id=1, switch=None, networks={}, processor_pool=str(uuid.uuid4()), world=self, shells=[],
                       state="operating", link=True, region=REGION_MB, migrations=self.options.migrations,
                       modes=["default", "POWER8", "POWER9_Base", "POWER9"])
        system.switch = Thing(uuid=str(uuid.uuid4()), name="ETHERNET0", number=0)
        self.systems[system.uuid] = system
        for place, name in enumerate(self.options.networks):
            self.make_network(system, name, 100 + place)
        for place in range(len(self.options.pools) * self.options.paths):
            server = Thing(uuid=str(uuid.uuid4()).upper(), name="vios%d" % (place + 1), system=system,
                           place=place // self.options.paths,
                           number=self.take_id(system), memory=4096, units=0.5, processors=2, mappings=[], next_slot=10,
                           groups={}, mover=True)
            group = Thing(uuid=str(uuid.uuid4()), name="rootvg", server=server, capacity=400.0, disks=[])
            server.groups[group.uuid] = group
            self.servers[server.uuid] = server

    def make_network(self, system, name, vlan):
        network = Thing(uuid=str(uuid.uuid4()), name=name, vlan=vlan, tagged=vlan != 1, switch=system.switch)
        system.networks[network.uuid] = network
        return network

    def make_pool(self, place, name):
        nodes = [s for s in self.servers.values() if s.place == place]
        shared = [p for p in self.consoles[0].pools.values() if p.name == name and name not in self.options.private_pools]
        if shared:
            shared[0].nodes += nodes
            self.pools[shared[0].uuid] = shared[0]
            return
        pool = Thing(uuid=str(uuid.uuid4()), name=name, cluster=str(uuid.uuid4()), capacity=float(self.options.pool_gb),
                     units=[], nodes=nodes)
        self.pools[pool.uuid] = pool
        for text in self.options.images:
            image, _, size = text.partition(":")
            self.make_unit(pool, image, float(size or 10), "VirtualIO_Image", True, None)

    def make_foreign(self, number):
        """A running partition that somebody made by other means, with a disk of its own."""
        system = next(iter(self.systems.values()))
        server = next(s for s in self.servers.values() if s.system is system)
        pool = next(p for p in self.pools.values() if server in p.nodes)
        shape = {"dedicated": False, "sharing": "uncapped", "weight": 128, "memory": 2048, "minimum_memory": 1024,
                 "maximum_memory": 4096, "processors": 1, "minimum_processors": 1, "maximum_processors": 2,
                 "units": 0.5, "minimum_units": 0.1, "maximum_units": 1.0}
        partition = self.create_partition(system, "legacy-%d" % number, "AIX/Linux", None, shape)
        self.map_storage(server, partition, self.make_unit(pool, "legacy-%d-root" % number, 10.0, "VirtualIO_Disk", True, None))
        partition.state, partition.reference = "running", ""

    def take_id(self, system):
        system.next_id += 1
        return system.next_id - 1

    # processors and memory

    def memory_free(self, system):
        used = sum(s.memory for s in self.servers.values() if s.system is system)
        used += sum(p.memory for p in self.on(system) if p.state not in OFF)
        return system.memory - HYPERVISOR_MB - used

    def units_free(self, system):
        used = sum(s.units for s in self.servers.values() if s.system is system)
        used += sum(p.units if not p.dedicated else p.processors for p in self.on(system) if p.state not in OFF)
        return round(system.processors - used, 2)

    def on(self, system):
        """With the shells of those that are on their way to it."""
        return [p for p in self.partitions.values() if p.system is system] + system.shells

    def incoming(self, system, ident):
        return next((p for p in system.shells if p.uuid.lower() == ident.lower()), None)

    def everywhere(self):
        """All partitions and shells of this console."""
        return [p for s in self.systems.values() for p in self.on(s)]

    def check_room(self, system, memory, units):
        if memory > self.memory_free(system):
            raise Refusal(500, "REST0126", "HSCL03EC There is not enough memory: Obtained:  %d, Required: %d. Check that "
                          "there is enough memory available to activate the partition." %
                          (max(self.memory_free(system), 0), memory))
        if units > self.units_free(system):
            raise Refusal(500, "REST0126", "HSCL03F4 There are not enough processors: Obtained : %s , Required : %s. "
                          "Check that there are enough processors available to activate the partition." %
                          (self.units_free(system), units))

    # partitions

    def check_shape(self, shape):
        """`shape`: desired, minimum and maximum memory, processors and units, as a create or change asks for."""
        memory = (shape["minimum_memory"], shape["memory"], shape["maximum_memory"])
        if not memory[0] <= memory[1] <= memory[2] or memory[0] <= 0:
            raise Refusal(500, "REST0126", "HSCL0521 The memory must be between its minimum and its maximum.")
        if any(m % REGION_MB for m in memory):
            raise Refusal(500, "REST0126", "HSCL02F4 The memory must be a multiple of the %d MB region." % REGION_MB)
        if not shape["minimum_processors"] <= shape["processors"] <= shape["maximum_processors"]:
            raise Refusal(500, "REST0126", "HSCL0522 The processors must be between their minimum and their maximum.")
        if shape["dedicated"]:
            return
        if not shape["minimum_units"] <= shape["units"] <= shape["maximum_units"]:
            raise Refusal(500, "REST0126", "HSCL0523 The units must be between their minimum and their maximum.")
        for units, processors in (("units", "processors"), ("minimum_units", "minimum_processors")):
            if shape[units] > shape[processors] or shape[units] + 1e-9 < UNITS_PER_PROCESSOR * shape[processors]:
                raise Refusal(500, "REST0126", "HSCL1458 %s processing units do not fit %s virtual processors." %
                              (shape[units], shape[processors]))

    def create_partition(self, system, name, kind, description, shape):
        if not name or len(name) > 31 or any(c in name for c in '()<>*$&?|[]\'"`\\'):
            raise Refusal(500, "REST0126", "HSCL050F The partition name is not valid.")
        taken = [p.name for p in self.on(system)] + [s.name for s in self.servers.values() if s.system is system]
        if name in taken:
            raise Refusal(500, "REST0126", "HSCL05DE The logical partition name %s already exists." % name)
        self.check_shape(shape)
        partition = Thing(uuid=str(uuid.uuid4()).upper(), name=name, system=system, kind=kind, number=self.take_id(system),
                          description=description, state="not activated", rmc="inactive", address=None, adapters={},
                          next_slot=2, reference="00000000", boots=0, mode="POWER9_Base", migration=None, autostart=False,
                          physical=False,
                          migration_state="Not_Migrating", **shape)
        self.partitions[partition.uuid] = partition
        self.tell("ADD_URI", partition)
        return partition

    def change_partition(self, partition, name, description, shape, autostart):
        before = {k: getattr(partition, k) for k in shape}
        changed = {k for k in shape if shape[k] != before[k]}
        self.check_shape(shape)
        if partition.migration:
            raise Refusal(500, "REST0126", "HSCLA210 The partition %s is being migrated." % partition.name)
        active = partition.state != "not activated"
        if active and changed - {"memory", "processors", "units"}:
            raise Refusal(500, "REST0264", "HSCL294D The minimum, maximum and mode of an active partition cannot be changed.")
        if active and changed:
            self.need_rmc(partition)
            self.check_room(partition.system, max(0, shape["memory"] - partition.memory),
                            max(0, round(shape["units"] - partition.units, 2)))
        if name != partition.name and any(p.name == name for p in self.on(partition.system)):
            raise Refusal(500, "REST0126", "HSCL05DE The logical partition name %s already exists." % name)
        partition.__dict__.update(shape, name=name, description=description, autostart=autostart)
        self.tell("MODIFY_URI", partition, "Other")

    def need_rmc(self, partition):
        if partition.rmc != "active":
            raise Refusal(500, "REST0126", "HSCL2957 Either there is currently no RMC connection between the management "
                          "console and the partition %s or the partition does not support dynamic partitioning "
                          "operations." % partition.name)

    def delete_partition(self, partition):
        if partition.state != "not activated":
            raise Refusal(500, "REST0126", "HSCL0508 The partition %s cannot be removed in its state %s." %
                          (partition.name, partition.state))
        del self.partitions[partition.uuid]
        for server in self.servers.values():
            for mapping in server.mappings:
                if mapping.partition is partition:  # what a real VIOS is left with
                    mapping.partition = mapping.client_slot = None
        self.tell("DELETE_URI", partition)

    def set_state(self, partition, state, reference):
        partition.state, partition.reference = state, reference
        if state != "running":
            partition.rmc, partition.address = "inactive", None
        self.tell("MODIFY_URI", partition, "PartitionState,Other")

    def power_on(self, partition):
        if partition.state != "not activated":
            raise Refusal(500, "REST0126", "HSCL3681 The partition %s is already powered on." % partition.name)
        self.check_room(partition.system, partition.memory, partition.processors if partition.dedicated else partition.units)
        self.set_state(partition, "starting", "C2004102")

    def booted(self, partition):
        disks = any(m.partition is partition and m.storage for s in self.servers.values() for m in s.mappings)
        if not disks:
            return self.set_state(partition, "open firmware", "AA00E1A9")
        self.set_state(partition, "running", "Linux ppc64le")
        partition.boots += 1
        boot = partition.boots
        if partition.adapters:
            self.scheduler.after(self.options.rmc_seconds, lambda: self.connect(partition, boot))
        return None

    def connect(self, partition, boot):
        if partition.state == "running" and partition.boots == boot and partition.uuid in self.partitions:
            partition.rmc, partition.address = "active", "192.0.2.%d" % (partition.number % 250 + 1)
            self.tell("MODIFY_URI", partition, "RMCState,Other")

    # adapters and storage

    def make_adapter(self, partition, vlan, switch, slot, mac):
        if partition.state != "not activated":
            self.need_rmc(partition)
        if not any(n.vlan == vlan and n.switch is switch for n in partition.system.networks.values()):
            raise Refusal(500, "REST0126", "HSCL2A5B No virtual network of the switch %s has the VLAN %d." %
                          (switch.name, vlan))
        if slot is None:
            slot = partition.next_slot
            partition.next_slot += 1
        elif any(a.slot == slot for a in partition.adapters.values()):
            raise Refusal(500, "REST0126", "HSCL2A00 The virtual slot %d is in use." % slot)
        mac = mac or "FA" + "".join(random.choice("0123456789ABCDEF") for _ in range(10))
        adapter = Thing(uuid=str(uuid.uuid4()), vlan=vlan, switch=switch, slot=slot, mac=mac)
        partition.adapters[adapter.uuid] = adapter
        self.tell("MODIFY_URI", partition, "Other")
        return adapter

    def make_unit(self, pool, name, size, kind, thin, cloned_from):
        used = sum(u.size for u in pool.units if not u.thin)
        if not thin and used + size > pool.capacity:
            raise Refusal(500, "REST0126", "VIOS01010430-0101 The pool %s has no room for %s GB." % (pool.name, size))
        udid = "27" + "".join(random.choice("0123456789abcdef") for _ in range(64))
        unit = Thing(udid=udid, name=name, size=size, kind=kind, thin=thin, cloned_from=cloned_from, pool=pool)
        pool.units.append(unit)
        return unit

    def users_of(self, storage):
        servers = storage.pool.nodes if hasattr(storage, "pool") else self.servers.values()
        return [m for s in servers for m in s.mappings if m.storage is storage]

    def map_storage(self, server, partition, storage):
        if partition.migration:
            raise Refusal(500, "REST0126", "HSCLA210 The partition %s is being migrated." % partition.name)
        if partition.state != "not activated":
            self.need_rmc(partition)
        mapping = Thing(partition=partition, client_slot=partition.next_slot, server_slot=server.next_slot,
                        host="vhost%d" % server.next_slot, storage=storage)
        partition.next_slot += 1
        server.next_slot += 1
        server.mappings.append(mapping)

    def unmap_storage(self, server, mapping):
        if mapping.partition and mapping.partition.migration:
            raise Refusal(500, "REST0126", "HSCLA210 The partition %s is being migrated." % mapping.partition.name)
        if mapping.partition and mapping.partition.state != "not activated":
            self.need_rmc(mapping.partition)
        server.mappings.remove(mapping)

    # sessions and their events

    def open_session(self):
        if len(self.sessions) >= self.options.max_sessions:
            raise Refusal(503, "REST0012", "The maximum number of sessions is reached.")
        token = "".join(random.choice(string.ascii_letters + string.digits + "-_") for _ in range(120)) + "="
        self.sessions[token] = Thing(events=None, lost=False)
        return token

    def href(self, partition):
        return "%s/rest/api/uom/ManagedSystem/%s/LogicalPartition/%s" % (self.base, partition.system.uuid, partition.uuid)

    def tell(self, kind, partition, detail=""):
        for session in self.sessions.values():
            if session.events is None:
                continue
            if len(session.events) >= EVENTS_KEPT:
                session.events[:] = [("MISSING_EVENTS", "", "")]
            session.events.append((kind, self.href(partition), detail))
        self.news.notify_all()


def options_number(text):
    return float(text)
