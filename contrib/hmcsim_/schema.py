"""The order of elements that an HMC's XML schema demands, and the reading of what a client writes.

A client's document is turned into nested dicts of lists only after its elements were checked against the tables below:
unknown elements and a wrong order are answered as a real HMC does, with 400 REST0001.
"""
import re
import xml.etree.ElementTree as ElementTree

from .xmlout import FIRMWARE, Refusal

# name -> (child names in schema order; a trailing * may repeat)
SHARED = ("DesiredProcessingUnits DesiredVirtualProcessors MaximumProcessingUnits MaximumVirtualProcessors "
          "MinimumProcessingUnits MinimumVirtualProcessors SharedProcessorPoolID UncappedWeight")
DEDICATED = "DesiredProcessors MaximumProcessors MinimumProcessors"
ADAPTER = ("AdapterType DynamicReconfigurationConnectorName LocationCode LocalPartitionID RequiredAdapter VariedOn "
           "UseNextAvailableSlotID UseNextAvailableHighSlotID VirtualSlotNumber Enabled ")
SCSI_ADAPTER = ADAPTER + ("AdapterName BackingDeviceName RemoteBackingDeviceName RemoteLogicalPartitionID "
                          "RemoteSlotNumber ServerLocationCode UniqueDeviceID")
LOGICAL_UNIT = "ThinDevice UniqueDeviceID UnitCapacity LogicalUnitType ClonedFrom InUse UnitName"
VIRTUAL_DISK = "DiskCapacity DiskLabel DiskName MaxLogicalVolumes PartitionSize VolumeGroup UniqueDeviceID"
PARTITION = (
    "AllowPerformanceDataCollection AssociatedPartitionProfile AvailabilityPriority CurrentProcessorCompatibilityMode "
    "CurrentProfileSync IsBootable IsConnectionMonitoringEnabled IsOperationInProgress "
    "IsRedundantErrorPathReportingEnabled IsTimeReferencePartition IsVirtualServiceAttentionLEDOn "
    "IsVirtualTrustedPlatformModuleEnabled KeylockPosition LogicalSerialNumber OperatingSystemVersion "
    "PartitionCapabilities PartitionID PartitionIOConfiguration PartitionMemoryConfiguration PartitionName "
    "PartitionProcessorConfiguration PartitionProfiles PartitionState PartitionType PartitionUUID "
    "PendingProcessorCompatibilityMode ProcessorPool ProgressPartitionDataRemaining ProgressPartitionDataTotal "
    "ProgressState ResourceMonitoringControlState ResourceMonitoringIPAddress AssociatedManagedSystem "
    "ClientNetworkAdapters HostEthernetAdapterLogicalPorts MACAddressPrefix IsServicePartition "
    "PowerVMManagementCapable ReferenceCode AssignAllResources HardwareAcceleratorQoS LastActivatedProfile "
    "HasPhysicalIO OperatingSystemType PendingSecureBoot CurrentSecureBoot BootMode PowerOnWithHypervisor Description ")
TABLES = {
    "LogicalPartition": PARTITION + (
        "MigrationStorageViosDataStatus MigrationStorageViosDataTimestamp RemoteRestartCapable "
        "SimplifiedRemoteRestartCapable HasDedicatedProcessorsForMigration SuspendCapable MigrationDisable "
        "MigrationState RemoteRestartState VirtualFibreChannelClientAdapters VirtualSCSIClientAdapters "
        "BootListInformation"),
    "VirtualIOServer": PARTITION + (
        "APICapable IsVNICCapable VNICFailOverCapable ManagerPassthroughCapable MediaRepositories "
        "MoverServicePartition PhysicalVolumes SharedEthernetAdapters StoragePools TrunkAdapters "
        "VirtualIOServerLicenseAccepted VirtualFibreChannelMappings VirtualSCSIMappings "
        "FreeIOAdaptersForLinkAggregation FreeEthenetBackingDevicesForSEA VirtualNICBackingDevices "
        "VirtualIOServerCapabilities"),
    "PartitionCapabilities": (
        "DynamicLogicalPartitionIOCapable DynamicLogicalPartitionMemoryCapable DynamicLogicalPartitionVIOSCapable "
        "DynamicLogicalPartitionProcessorCapable InternalAndExternalIntrusionDetectionCapable "
        "ResourceMonitoringControlOperatingSystemShutdownCapable"),
    "PartitionIOConfiguration": "MaximumVirtualIOSlots ProfileIOSlots CurrentMaximumVirtualIOSlots",
    "PartitionMemoryConfiguration": (
        "ActiveMemoryExpansionEnabled ActiveMemorySharingEnabled DesiredHugePageCount DesiredMemory ExpansionFactor "
        "HardwarePageTableRatio MaximumHugePageCount MaximumMemory MinimumHugePageCount MinimumMemory "
        "CurrentMaximumMemory CurrentMemory CurrentMinimumMemory RuntimeMemory RuntimeMinimumMemory"),
    "PartitionProcessorConfiguration": (
        "DedicatedProcessorConfiguration HasDedicatedProcessors SharedProcessorConfiguration SharingMode "
        "CurrentHasDedicatedProcessors CurrentSharingMode RuntimeHasDedicatedProcessors "
        "CurrentDedicatedProcessorConfiguration CurrentSharedProcessorConfiguration"),
    "SharedProcessorConfiguration": SHARED,
    "DedicatedProcessorConfiguration": DEDICATED,
    "CurrentDedicatedProcessorConfiguration": (
        "CurrentMaximumProcessors CurrentMinimumProcessors CurrentProcessors RunProcessors"),
    "CurrentSharedProcessorConfiguration": (
        "AllocatedVirtualProcessors CurrentMaximumProcessingUnits CurrentMinimumProcessingUnits "
        "CurrentProcessingUnits CurrentSharedProcessorPoolID CurrentUncappedWeight CurrentMinimumVirtualProcessors "
        "CurrentMaximumVirtualProcessors RuntimeProcessingUnits RuntimeUncappedWeight"),
    "ClientNetworkAdapters": "link*",
    "VirtualSCSIClientAdapters": "link*",
    "StoragePools": "link*",
    "ClientNetworkAdapter": ADAPTER + (
        "AllowedOperatingSystemMACAddresses InterfaceName MACAddress PortVLANID QualityOfServicePriority "
        "QualityOfServicePriorityEnabled TaggedVLANIDs TaggedVLANSupported VirtualSwitchID AssociatedVirtualSwitch"),
    "AssociatedVirtualSwitch": "link*",
    "VirtualNetwork": "AssociatedSwitch NetworkName NetworkVLANID VswitchID TaggedNetwork",
    "VirtualSCSIMappings": "VirtualSCSIMapping*",
    "VirtualSCSIMapping": "AssociatedLogicalPartition ClientAdapter ServerAdapter Storage TargetDevice",
    "ClientAdapter": SCSI_ADAPTER,
    "ServerAdapter": SCSI_ADAPTER,
    "Storage": "LogicalUnit PhysicalVolume VirtualDisk",
    "TargetDevice": "SharedStoragePoolLogicalUnitVirtualTargetDevice LogicalVolumeVirtualTargetDevice",
    "SharedStoragePoolLogicalUnitVirtualTargetDevice": "LogicalUnitAddress TargetName UniqueDeviceID",
    "LogicalVolumeVirtualTargetDevice": "LogicalUnitAddress TargetName UniqueDeviceID",
    "LogicalUnit": LOGICAL_UNIT,
    "VirtualDisk": VIRTUAL_DISK,
    "VolumeGroup": (
        "AvailableSize BackingDeviceCount FreeSpace GroupCapacity GroupName GroupSerialID GroupState "
        "MaximumLogicalVolumes MediaRepositories MinimumAllocationSize PhysicalVolumes UniqueDeviceID VirtualDisks"),
    "VirtualDisks": "VirtualDisk*",
    "PhysicalVolumes": "PhysicalVolume*",
    "JobRequest": "RequestedOperation JobParameters",
    "RequestedOperation": "OperationName GroupName ProgressType",
    "JobParameters": "JobParameter*",
    "JobParameter": "ParameterName ParameterValue",
    "LogonRequest": "UserID Password",
}
LEAVES = {"PhysicalVolume", "link"}  # read without looking inside
ORDER = {kind: {name.rstrip("*"): (i, name.endswith("*")) for i, name in enumerate(text.split())}
         for kind, text in TABLES.items()}
NEED_SCHEMA_VERSION = {"PartitionIOConfiguration", "PartitionMemoryConfiguration", "PartitionProcessorConfiguration",
                       "SharedProcessorConfiguration", "VirtualSCSIMapping", "ClientAdapter", "ServerAdapter",
                       "LogicalUnit", "VirtualDisk", "RequestedOperation", "JobParameters", "JobParameter"}


def invalid(text):
    return Refusal(400, "REST0001", "Unmarshalling of the request failed: " + text)


def read_document(body, kind, space="uom"):
    """The client's document of this kind as {"#": text, "@": attributes, child: [...]}; Refusal when it breaks a rule."""
    if b"<!DOCTYPE" in body:
        raise invalid("a document type is not allowed")
    try:
        root = ElementTree.fromstring(body)
    except ElementTree.ParseError as error:
        raise invalid(str(error)) from None
    if root.tag != "{%s}%s" % (FIRMWARE % space, kind):
        raise invalid("the root is %s, not %s" % (root.tag, kind))
    if not root.get("schemaVersion"):
        raise invalid("%s needs a schemaVersion" % kind)
    return read_element(root, kind, FIRMWARE % space)


def read_element(element, kind, space):
    read = {"#": (element.text or "").strip(), "@": dict(element.attrib)}
    order = ORDER.get(kind)
    if kind in LEAVES or (order is None and len(element) == 0):
        return read
    last = -1
    for child in element:
        uri, _, name = child.tag.rpartition("}")
        if uri.lstrip("{") not in (space, "http://www.w3.org/2005/Atom"):
            raise invalid("element %s is of the namespace %s" % (name, uri.lstrip("{")))
        if name == "Metadata":
            continue
        if order is None or name not in order:
            raise invalid("cvc-complex-type.2.4.a: invalid content starting with element '%s' in %s" % (name, kind))
        place, repeats = order[name]
        if place < last or (place == last and not repeats):
            raise invalid("cvc-complex-type.2.4.a: element '%s' is out of order in %s" % (name, kind))
        if name in NEED_SCHEMA_VERSION and not child.get("schemaVersion"):
            raise invalid("cvc-complex-type.4: attribute 'schemaVersion' must appear on element '%s'" % name)
        last = place
        read.setdefault(name, []).append(read_element(child, name, space))
    return read


def text_of(read, *path):
    """The text at this path, or None."""
    for name in path:
        if name not in read:
            return None
        read = read[name][0]
    return read["#"]


def number_of(read, *path):
    """The decimal number at this path, or None; Refusal when it is no number."""
    text = text_of(read, *path)
    if text is None:
        return None
    if not re.fullmatch(r"\d{1,9}(\.\d{1,6})?", text):
        raise invalid("cvc-datatype-valid.1.2.1: '%s' is not a valid value of %s" % (text, path[-1]))
    return float(text)
