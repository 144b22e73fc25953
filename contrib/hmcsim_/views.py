"""How each object of the world looks in XML: payload, its own paths, and its entry for a group."""
from . import world as model
from .xmlout import entry, etag_of, leaf, links, part, payload, ref


class Views:
    def __init__(self, world):
        self.world, self.uom = world, world.base + "/rest/api/uom/"
        self.console = self.uom + "ManagementConsole/" + world.uuid

    def entry(self, kind, thing, group="", alone=True):
        """The Atom entry of a thing and its ETag."""
        root, selves = getattr(self, kind)(thing, group)
        etag = etag_of(root, group)
        query = "?group=" + group if group else ""
        node = entry(kind, getattr(thing, "id", None) or thing.uuid, [self.uom + s + query for s in selves], root, etag,
                     self.console, namespaces=alone)
        return node, etag

    def ManagementConsole(self, thing, group):
        root = payload("ManagementConsole", [
            part("MachineTypeModelAndSerialNumber", [leaf("MachineType", "7063"), leaf("Model", "CR1"),
                                                     leaf("SerialNumber", "SIM0001")], kb="ROR"),
            links("ManagedSystems", ["%s/ManagedSystem/%s" % (self.console, u) for u in self.world.systems]),
            leaf("ManagementConsoleName", self.world.name, "CUR"),
            part("VersionInfo", [leaf("BuildLevel", "2011270432"), leaf("Maintenance", "0"), leaf("Minor", "0"),
                                 leaf("Release", "1"), leaf("ServicePackName", "942"), leaf("Version", "9")], kb="ROR"),
            leaf("BaseVersion", "V9R1", ksv="V1_2_0")], thing.uuid)
        return root, ["ManagementConsole/" + thing.uuid]

    def ManagedSystem(self, system, group):
        world, path = self.world, self.uom + "ManagedSystem/" + system.uuid
        moves = [p.migration for p in world.on(system) if p.migration]
        memory = part("AssociatedSystemMemoryConfiguration", [
            leaf("ConfigurableSystemMemory", system.memory),
            leaf("CurrentAvailableSystemMemory", world.memory_free(system)),
            leaf("CurrentLogicalMemoryBlockSize", system.region), leaf("InstalledSystemMemory", system.memory),
            leaf("MemoryRegionSize", system.region), leaf("MemoryUsedByHypervisor", model.HYPERVISOR_MB),
            leaf("PendingAvailableSystemMemory", world.memory_free(system))])
        processors = part("AssociatedSystemProcessorConfiguration", [
            leaf("ConfigurableSystemProcessorUnits", plain(system.processors)),
            leaf("CurrentAvailableSystemProcessorUnits", plain(world.units_free(system))),
            leaf("CurrentMaximumVirtualProcessorsPerAIXOrLinuxPartition", 64),
            leaf("InstalledSystemProcessorUnits", plain(system.processors)),
            leaf("MinimumProcessorUnitsPerVirtualProcessor", model.UNITS_PER_PROCESSOR),
            leaf("SharedProcessorPoolCount", 64),
            *[leaf("SupportedPartitionProcessorCompatibilityModes", m) for m in system.modes]])
        root = payload("ManagedSystem", [
            links("AssociatedLogicalPartitions", [path + "/LogicalPartition/" + p.uuid for p in world.on(system)]),
            memory, processors,
            links("AssociatedVirtualIOServers", [path + "/VirtualIOServer/" + s.uuid for s in world.servers.values()
                                                 if s.system is system]),
            leaf("DetailedState", "None"),
            part("MachineTypeModelAndSerialNumber", [leaf("MachineType", "9009"), leaf("Model", "42A"),
                                                     leaf("SerialNumber", system.serial)]),
            leaf("MaximumPartitions", 1000), leaf("State", system.state), leaf("SystemName", system.name, "CUR"),
            part("SystemMigrationInformation", [
                leaf("MaximumInactiveMigrations", system.migrations), leaf("MaximumActiveMigrations", system.migrations),
                leaf("NumberOfInactiveMigrationsInProgress", sum(1 for m in moves if not m.active)),
                leaf("NumberOfActiveMigrationsInProgress", sum(1 for m in moves if m.active))])], system.uuid)
        return root, ["ManagedSystem/" + system.uuid]

    def memory(self, p):
        live = p.memory if p.state not in model.OFF else 0
        return part("PartitionMemoryConfiguration", [
            leaf("ActiveMemoryExpansionEnabled", "false", "CUD"), leaf("DesiredMemory", p.memory, "CUD"),
            leaf("MaximumMemory", p.maximum_memory, "CUD"), leaf("MinimumMemory", p.minimum_memory, "CUD"),
            leaf("CurrentMaximumMemory", p.maximum_memory), leaf("CurrentMemory", p.memory),
            leaf("CurrentMinimumMemory", p.minimum_memory), leaf("RuntimeMemory", live),
            leaf("RuntimeMinimumMemory", p.minimum_memory if live else 0)])

    def processors(self, p):
        if p.dedicated:
            children = [part("DedicatedProcessorConfiguration", [
                leaf("DesiredProcessors", p.processors, "CUD"), leaf("MaximumProcessors", p.maximum_processors, "CUD"),
                leaf("MinimumProcessors", p.minimum_processors, "CUD")]),
                leaf("HasDedicatedProcessors", "true", "CUD"), leaf("SharingMode", "sre idle proces", "CUD")]
        else:
            children = [leaf("HasDedicatedProcessors", "false", "CUD"), part("SharedProcessorConfiguration", [
                leaf("DesiredProcessingUnits", plain(p.units), "CUD"),
                leaf("DesiredVirtualProcessors", p.processors, "CUD"),
                leaf("MaximumProcessingUnits", plain(p.maximum_units), "CUD"),
                leaf("MaximumVirtualProcessors", p.maximum_processors, "CUD"),
                leaf("MinimumProcessingUnits", plain(p.minimum_units), "CUD"),
                leaf("MinimumVirtualProcessors", p.minimum_processors, "CUD"),
                leaf("SharedProcessorPoolID", 0, "CUD"), leaf("UncappedWeight", p.weight, "CUD")]),
                leaf("SharingMode", p.sharing, "CUD")]
        # a real HMC reports one current processor for shared partitions, too
        children += [leaf("CurrentHasDedicatedProcessors", word(p.dedicated)),
                     leaf("CurrentSharingMode", "sre idle proces" if p.dedicated else p.sharing),
                     leaf("RuntimeHasDedicatedProcessors", word(p.dedicated)),
                     part("CurrentDedicatedProcessorConfiguration",
                          [leaf("CurrentProcessors", p.processors if p.dedicated else 1)], kb="ROR")]
        if not p.dedicated:
            live = p.state not in model.OFF
            children.append(part("CurrentSharedProcessorConfiguration", [
                leaf("AllocatedVirtualProcessors", p.processors),
                leaf("CurrentMaximumProcessingUnits", plain(p.maximum_units)),
                leaf("CurrentMinimumProcessingUnits", plain(p.minimum_units)),
                leaf("CurrentProcessingUnits", plain(p.units)), leaf("CurrentSharedProcessorPoolID", 0),
                leaf("CurrentUncappedWeight", p.weight), leaf("CurrentMinimumVirtualProcessors", p.minimum_processors),
                leaf("CurrentMaximumVirtualProcessors", p.maximum_processors),
                leaf("RuntimeProcessingUnits", plain(p.units if live else 0.0)),
                leaf("RuntimeUncappedWeight", p.weight if live else 0)], kb="ROR"))
        return part("PartitionProcessorConfiguration", children)

    def LogicalPartition(self, p, group):
        capable = word(p.rmc == "active")
        path = self.uom + "LogicalPartition/" + p.uuid
        system = self.uom + "ManagedSystem/" + p.system.uuid
        clients = [m for s in self.world.servers.values() for m in s.mappings if m.partition is p]
        root = payload("LogicalPartition", [
            leaf("AllowPerformanceDataCollection", "false", "CUD"), leaf("AvailabilityPriority", 127, "UOD"),
            leaf("CurrentProcessorCompatibilityMode", p.mode), leaf("CurrentProfileSync", "Disabled", "CUD"),
            leaf("IsOperationInProgress", "false"), leaf("LogicalSerialNumber", p.system.serial + str(p.number)),
            leaf("OperatingSystemVersion", "Linux/Simulated 1.0" if p.rmc == "active" else "Unknown"),
            part("PartitionCapabilities", [
                leaf("DynamicLogicalPartitionIOCapable", capable), leaf("DynamicLogicalPartitionMemoryCapable", capable),
                leaf("DynamicLogicalPartitionProcessorCapable", capable),
                leaf("ResourceMonitoringControlOperatingSystemShutdownCapable", capable, "CUD")], kb="ROR"),
            leaf("PartitionID", p.number, "COD"),
            part("PartitionIOConfiguration", [leaf("MaximumVirtualIOSlots", 64, "CUD")]),
            self.memory(p), leaf("PartitionName", p.name, "CUR"), self.processors(p),
            leaf("PartitionState", p.state, "ROO"), leaf("PartitionType", p.kind, "COD"),
            leaf("PartitionUUID", p.uuid, "ROO"), leaf("PendingProcessorCompatibilityMode", "default", "CUD"),
            ref("ProcessorPool", system + "/SharedProcessorPool/" + p.system.processor_pool),
            leaf("ProgressPartitionDataRemaining", p.memory * (100 - p.migration.percent) // 100 if p.migration else 0),
            leaf("ProgressPartitionDataTotal", p.memory if p.migration else 0),
            leaf("ResourceMonitoringControlState", p.rmc), leaf("ResourceMonitoringIPAddress", p.address, "CUD"),
            ref("AssociatedManagedSystem", system),
            links("ClientNetworkAdapters", [path + "/ClientNetworkAdapter/" + a for a in p.adapters], "CUR"),
            leaf("ReferenceCode", p.reference, "ROO"), leaf("HasPhysicalIO", word(p.physical)),
            leaf("OperatingSystemType", "Linux", ksv="V1_8_0"),
            leaf("PowerOnWithHypervisor", word(p.autostart), "CUD", ksv="V1_2_0"),
            leaf("Description", p.description, "CUD", ksv="V1_2_0"), leaf("MigrationState", p.migration_state),
            links("VirtualSCSIClientAdapters",
                  ["%s/VirtualSCSIClientAdapter/%d" % (path, m.client_slot) for m in clients], "CUR")], p.uuid)
        return root, ["LogicalPartition/" + p.uuid, "ManagedSystem/%s/LogicalPartition/%s" % (p.system.uuid, p.uuid)]

    def VirtualIOServer(self, server, group):
        system = self.uom + "ManagedSystem/" + server.system.uuid
        groups = group.split(",") if group else ["ViosSCSIMapping", "ViosStorage"]
        children = [
            leaf("PartitionID", server.number, "COD"), leaf("PartitionName", server.name, "CUR"),
            leaf("PartitionState", "running", "ROO"), leaf("PartitionType", "Virtual IO Server", "COD"),
            leaf("PartitionUUID", server.uuid, "ROO"), leaf("ResourceMonitoringControlState", "active"),
            ref("AssociatedManagedSystem", system)]
        children[1:1] = [part("PartitionMemoryConfiguration", [leaf("CurrentMemory", server.memory)])]
        children[3:3] = [part("PartitionProcessorConfiguration", [
            leaf("CurrentHasDedicatedProcessors", "false"), part("CurrentSharedProcessorConfiguration", [
                leaf("AllocatedVirtualProcessors", server.processors),
                leaf("CurrentProcessingUnits", plain(server.units))])])]
        children.append(leaf("MoverServicePartition", word(server.mover), "CUD"))
        if "ViosStorage" in groups:
            children.append(links("StoragePools", ["%sVirtualIOServer/%s/VolumeGroup/%s" % (self.uom, server.uuid, u)
                                                   for u in server.groups]))
        if "ViosSCSIMapping" in groups:
            children.append(part("VirtualSCSIMappings", [self.mapping(server, m) for m in server.mappings],
                                 group="ViosSCSIMapping"))
        root = payload("VirtualIOServer", children, server.uuid)
        return root, ["VirtualIOServer/" + server.uuid,
                      "ManagedSystem/%s/VirtualIOServer/%s" % (server.system.uuid, server.uuid)]

    def mapping(self, server, m):
        location = "U9009.42A.%s-V%d-C%d"
        serial, children = server.system.serial, []
        if m.partition:  # both are absent once the client partition is gone
            children.append(ref("AssociatedLogicalPartition", self.world.href(m.partition), "CUR"))
            children.append(part("ClientAdapter", [
                leaf("AdapterType", "Client"), leaf("LocationCode", location % (serial, m.partition.number, m.client_slot)),
                leaf("LocalPartitionID", m.partition.number, "CUR"), leaf("VirtualSlotNumber", m.client_slot, "COD"),
                leaf("RemoteLogicalPartitionID", server.number, "CUR"), leaf("RemoteSlotNumber", m.server_slot, "CUA")],
                kb="CUR"))
        children.append(part("ServerAdapter", [
            leaf("AdapterType", "Server"), leaf("LocationCode", location % (serial, server.number, m.server_slot)),
            leaf("LocalPartitionID", server.number, "CUR"), leaf("VirtualSlotNumber", m.server_slot, "COD"),
            leaf("AdapterName", m.host, "CUR"),
            leaf("UniqueDeviceID", "1e" + location % (serial, server.number, m.server_slot))], kb="CUR"))
        if m.storage is not None:
            is_unit = hasattr(m.storage, "udid")
            children.append(part("Storage", [self.unit(m.storage) if is_unit else self.disk(m.storage)], kb="CUR"))
            children.append(part("TargetDevice", [part(
                "SharedStoragePoolLogicalUnitVirtualTargetDevice" if is_unit else "LogicalVolumeVirtualTargetDevice",
                [leaf("LogicalUnitAddress", "0x8100000000000000", "CUR"), leaf("TargetName", "vt" + m.host, "CUR")],
                kb=None)], kb="CUR"))
        return part("VirtualSCSIMapping", children, kb=None)

    def unit(self, u):
        children = [leaf("ThinDevice", word(u.thin), "CUR"), leaf("UniqueDeviceID", u.udid),
                    leaf("UnitCapacity", plain(u.size), "COR"), leaf("LogicalUnitType", u.kind, "COD")]
        if u.cloned_from:
            children.append(leaf("ClonedFrom", u.cloned_from, "COD"))
        return part("LogicalUnit", children + [leaf("InUse", word(bool(self.world.users_of(u)))),
                                               leaf("UnitName", u.name, "CUR")], kb=None)

    def disk(self, d):
        return part("VirtualDisk", [leaf("DiskCapacity", plain(d.size), "CUR"), leaf("DiskName", d.name, "CUR")], kb=None)

    def VolumeGroup(self, g, group):
        free = g.capacity - sum(d.size for d in g.disks)
        root = payload("VolumeGroup", [
            leaf("FreeSpace", plain(free)), leaf("GroupCapacity", plain(g.capacity), "CUR"), leaf("GroupName", g.name, "CUR"),
            leaf("GroupState", "active"), part("VirtualDisks", [self.disk(d) for d in g.disks])], g.uuid)
        return root, ["VirtualIOServer/%s/VolumeGroup/%s" % (g.server.uuid, g.uuid)]

    def SharedStoragePool(self, pool, group):
        used = sum(u.size if not u.thin else u.size / 10 for u in pool.units)
        root = payload("SharedStoragePool", [
            part("LogicalUnits", [self.unit(u) for u in pool.units]), leaf("Capacity", plain(pool.capacity), "CUR"),
            leaf("FreeSpace", plain(max(0.0, pool.capacity - used)), "CUR"),
            leaf("TotalLogicalUnitSize", plain(sum(u.size for u in pool.units)), "CUR"),
            leaf("StoragePoolName", pool.name, "CUR"), leaf("UniqueDeviceID", "24" + pool.uuid.replace("-", ""))], pool.uuid)
        return root, ["SharedStoragePool/" + pool.uuid]

    def Cluster(self, pool, group):
        nodes = [part("Node", [
            leaf("HostName", "%s.%s.example" % (s.name, s.system.serial.lower()), "CUD"),
            leaf("PartitionID", s.number, "CUD"),
            *[ref("VirtualIOServer", "%sManagedSystem/%s/VirtualIOServer/%s" % (self.uom, s.system.uuid, s.uuid))
              for _ in range(s.system.world is self.world)],  # one of another console's has no address here
            leaf("State", "Up", ksv="V1_3_0")], kb=None) for s in pool.nodes]
        root = payload("Cluster", [
            leaf("ClusterName", "cluster-" + pool.name, "COR"), leaf("ClusterID", "22" + pool.cluster.replace("-", ""), "CUD"),
            ref("ClusterSharedStoragePool", self.uom + "SharedStoragePool/" + pool.uuid), part("Node", nodes)], pool.cluster)
        return root, ["Cluster/" + pool.cluster]

    def VirtualNetwork(self, pair, group):
        system, network = pair.system, pair.network
        path = "ManagedSystem/%s/" % system.uuid
        root = payload("VirtualNetwork", [
            ref("AssociatedSwitch", "%s%sVirtualSwitch/%s" % (self.uom, path, network.switch.uuid), "CUR"),
            leaf("NetworkName", network.name, "CUR"), leaf("NetworkVLANID", network.vlan, "CUR"),
            leaf("VswitchID", network.switch.number), leaf("TaggedNetwork", word(network.tagged), "CUR")], network.uuid)
        return root, [path + "VirtualNetwork/" + network.uuid]

    def VirtualSwitch(self, pair, group):
        system, switch = pair.system, pair.system.switch
        path = "ManagedSystem/%s/" % system.uuid
        root = payload("VirtualSwitch", [
            leaf("SwitchID", switch.number), leaf("SwitchMode", "VEB", "CUD"), leaf("SwitchName", switch.name, "CUR"),
            links("VirtualNetworks", [self.uom + path + "VirtualNetwork/" + n for n in system.networks])], switch.uuid)
        return root, [path + "VirtualSwitch/" + switch.uuid]

    def SharedProcessorPool(self, pair, group):
        system = pair.system
        path = "ManagedSystem/%s/" % system.uuid
        root = payload("SharedProcessorPool", [
            links("AssignedPartitions", [self.uom + path + "LogicalPartition/" + p.uuid for p in self.world.on(system)
                                         if not p.dedicated]),
            leaf("AvailableProcUnits", plain(self.world.units_free(system))), leaf("PoolID", 0),
            leaf("PoolName", "DefaultPool", "CUD")], system.processor_pool)
        return root, [path + "SharedProcessorPool/" + system.processor_pool]

    def ClientNetworkAdapter(self, pair, group):
        partition, a = pair.partition, pair.adapter
        root = payload("ClientNetworkAdapter", [
            leaf("AdapterType", "Client"), leaf("LocalPartitionID", partition.number, "CUR"),
            leaf("VirtualSlotNumber", a.slot, "COD"), leaf("MACAddress", a.mac, "CUR"), leaf("PortVLANID", a.vlan, "CUR"),
            leaf("TaggedVLANSupported", "false", "CUD"),
            links("AssociatedVirtualSwitch", ["%sManagedSystem/%s/VirtualSwitch/%s" %
                                              (self.uom, partition.system.uuid, a.switch.uuid)])], a.uuid)
        return root, ["LogicalPartition/%s/ClientNetworkAdapter/%s" % (partition.uuid, a.uuid)]

    def quick(self, thing):
        """The members of a quick/All answer."""
        world = self.world
        if thing.uuid in world.systems:
            return {"UUID": thing.uuid, "SystemName": thing.name, "State": thing.state, "MTMS": "9009-42A*" + thing.serial,
                    "InstalledSystemMemory": thing.memory, "CurrentAvailableSystemMemory": world.memory_free(thing),
                    "InstalledSystemProcessorUnits": thing.processors,
                    "CurrentAvailableSystemProcessorUnits": world.units_free(thing)}
        if thing.uuid in world.servers:
            return {"UUID": thing.uuid, "PartitionName": thing.name, "PartitionState": "running",
                    "PartitionID": thing.number, "RMCState": "active", "SystemName": thing.system.name}
        return {"UUID": thing.uuid, "PartitionName": thing.name, "PartitionState": thing.state, "PartitionID": thing.number,
                "RMCState": thing.rmc, "SystemName": thing.system.name, "CurrentMemory": thing.memory,
                "AllocatedVirtualProcessors": None if thing.dedicated else thing.processors,
                "CurrentProcessingUnits": None if thing.dedicated else thing.units,
                "CurrentProcessors": thing.processors if thing.dedicated else 1}


def plain(number):
    """12.0 as 12, 0.25 as 0.25."""
    return ("%.6f" % number).rstrip("0").rstrip(".")


def word(flag):
    return "true" if flag else "false"
