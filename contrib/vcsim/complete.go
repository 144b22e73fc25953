// What the library forgets and the driver has to see: a clone that leaves its source alone, and disks whose size can be
// read from their file. A virtual disk's descriptor file holds one line here, its capacity in KB.
package main

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"os"
	"path"
	"regexp"
	"strconv"
	"strings"

	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
)

var taskPattern = regexp.MustCompile(`type="Task"[^>]*>([^<]+)<`)

// completion is run around one call: before() with the request, then after() with the task that the answer names.
type completion struct {
	before func(body []byte) func(task *simulator.Task)
}

var completions = map[string]completion{
	"CloneVM_Task":                   {cloneKeepsSource},
	"CreateVM_Task":                  {machineMade},
	"CreateVirtualDisk_Task":         {diskRemembersSize},
	"ReconfigVM_Task":                {reconfigurationKeeps},
	"SearchDatastore_Task":           {searchTellsSize},
	"SearchDatastoreSubFolders_Task": {searchTellsSize},
	"CreateSnapshot_Task":            {snapshotFreezes},
	"RemoveSnapshot_Task":            {snapshotThaws},
	"RemoveAllSnapshots_Task":        {snapshotsThaw},
	"RevertToSnapshot_Task":          {snapshotReturns},
	"PowerOnVM_Task":                 {poweredOn},
	"PowerOffVM_Task":                {poweredOff},
}

// ownTasks are done here instead of in the library; nil: the library may.
var ownTasks = map[string]func(body []byte) *simulator.Task{
	"ExtendVirtualDisk_Task":  extendVirtualDisk,
	"CopyVirtualDisk_Task":    copyVirtualDisk,
	"ConsolidateVMDisks_Task": consolidateDisks,
	"PowerOnVM_Task":          admission,
}

// admission refuses to power on what no host could ever give its reservation, as every host does.
func admission(body []byte) *simulator.Task {
	vm := machine(body)
	if vm == nil || vm.Config.CpuAllocation == nil || vm.Config.CpuAllocation.Reservation == nil || vm.Runtime.Host == nil {
		return nil
	}
	host, ok := simulator.Map.Get(*vm.Runtime.Host).(*simulator.HostSystem)
	if !ok || host.Summary.Hardware == nil {
		return nil
	}
	offered := int64(host.Summary.Hardware.CpuMhz) * int64(host.Summary.Hardware.NumCpuCores)
	requested := *vm.Config.CpuAllocation.Reservation
	if requested <= offered {
		return nil
	}
	return simulator.CreateTask(vm, "powerOn", func(*simulator.Task) (types.AnyType, types.BaseMethodFault) {
		return nil, &types.InsufficientCpuResourcesFault{Unreserved: offered, Requested: requested}
	})
}

func consolidateDisks(body []byte) *simulator.Task {
	vm := machine(body)
	if vm == nil {
		return nil
	}
	return simulator.CreateTask(vm, "consolidateDisks", func(*simulator.Task) (types.AnyType, types.BaseMethodFault) {
		consolidates(vm)
		return nil, nil
	})
}

// tagUplinks marks the port groups of the switches' uplinks as vCenter does; they are not for machines.
func tagUplinks() {
	for _, entity := range simulator.Map.All("DistributedVirtualPortgroup") {
		if group, ok := entity.(*simulator.DistributedVirtualPortgroup); ok && strings.Contains(group.Name, "-DVUplinks") {
			group.Tag = []types.Tag{{Key: "SYSTEM/DVS.UPLINKPG"}}
		}
	}
}

func answeredTask(answer []byte) *simulator.Task {
	match := taskPattern.FindSubmatch(answer)
	if match == nil {
		return nil
	}
	task, _ := simulator.Map.Get(types.ManagedObjectReference{Type: "Task", Value: string(match[1])}).(*simulator.Task)
	return task
}

// member is the text of the first element of this local name.
func member(body []byte, name string) string {
	decoder := xml.NewDecoder(bytes.NewReader(body))
	for {
		token, err := decoder.Token()
		if err != nil {
			return ""
		}
		if start, ok := token.(xml.StartElement); ok && start.Name.Local == name {
			var text string
			if decoder.DecodeElement(&text, &start) != nil {
				return ""
			}
			return text
		}
	}
}

func machine(body []byte) *simulator.VirtualMachine {
	vm, _ := simulator.Map.Get(types.ManagedObjectReference{Type: "VirtualMachine", Value: member(body, "_this")}).(*simulator.VirtualMachine)
	return vm
}

// The library hands the source's own device objects to the clone and edits them there.
func cloneKeepsSource(body []byte) func(*simulator.Task) {
	vm := machine(body)
	if vm == nil {
		return nil
	}
	kept := make([]types.BaseVirtualDevice, 0, len(vm.Config.Hardware.Device))
	for _, device := range vm.Config.Hardware.Device {
		switch d := device.(type) {
		case *types.VirtualDisk:
			disk := *d
			if b, ok := disk.Backing.(*types.VirtualDiskFlatVer2BackingInfo); ok {
				backing := *b
				disk.Backing = &backing
			}
			kept = append(kept, &disk)
		case *types.VirtualVmxnet3:
			card := *d
			kept = append(kept, &card)
			d.MacAddress = "" // the clone gets its own
		default:
			kept = append(kept, device)
		}
	}
	return func(task *simulator.Task) {
		vm.Config.Hardware.Device = kept
		if ref, ok := task.Info.Result.(types.ManagedObjectReference); ok {
			if clone, ok := simulator.Map.Get(ref).(*simulator.VirtualMachine); ok {
				disksFill(clone, kept)
			}
		}
	}
}

func diskFile(name string) string {
	var p object.DatastorePath
	if !p.FromString(name) {
		return ""
	}
	for _, entity := range simulator.Map.All("Datastore") {
		if ds, ok := entity.(*simulator.Datastore); ok && ds.Name == p.Datastore {
			return path.Join(ds.Info.GetDatastoreInfo().Url, p.Path)
		}
	}
	return ""
}

// remember writes the capacity into an existing descriptor and gives the content that size.
func remember(name string, capacityKB int64) {
	file := diskFile(name)
	if _, err := os.Stat(file); file == "" || err != nil {
		return
	}
	_ = os.WriteFile(file, []byte(fmt.Sprintf("capacityKb=%d\n", capacityKB)), 0600)
	if !deltaPattern.MatchString(file) {
		sized(file, capacityKB)
	}
}

func recall(file string) int64 {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0
	}
	capacity, err := strconv.ParseInt(strings.TrimSpace(strings.TrimPrefix(string(text), "capacityKb=")), 10, 64)
	if err != nil {
		return 0
	}
	return capacity
}

func diskRemembersSize(body []byte) func(*simulator.Task) {
	name, capacity := member(body, "name"), member(body, "capacityKb")
	return func(task *simulator.Task) {
		if kb, err := strconv.ParseInt(capacity, 10, 64); err == nil && task.Info.Error == nil {
			delete(tracks, dataFile(diskFile(name)))
			remember(name, kb)
		}
	}
}

// reconfigurationKeeps: what a reconfiguration does not name stays, a key of extraConfig has one value, an edited disk its
// snapshots' chain, and a disk of another size is tracked anew.
func reconfigurationKeeps(body []byte) func(*simulator.Task) {
	vm := machine(body)
	if vm == nil {
		return nil
	}
	chains := make(map[int32]*types.VirtualDiskFlatVer2BackingInfo)
	flatDisks(vm.Config.Hardware.Device, func(disk *types.VirtualDisk, b *types.VirtualDiskFlatVer2BackingInfo) {
		chains[disk.Key] = b
	})
	allocation, boot := vm.Config.CpuAllocation, vm.Config.BootOptions
	return func(*simulator.Task) {
		if now := vm.Config.CpuAllocation; now != nil && allocation != nil {
			if now.Limit == nil {
				now.Limit = allocation.Limit
			}
			if now.Shares == nil {
				now.Shares = allocation.Shares
			}
		}
		if now := vm.Config.BootOptions; now != nil && boot != nil {
			if now.EfiSecureBootEnabled == nil {
				now.EfiSecureBootEnabled = boot.EfiSecureBootEnabled
			}
			if now.BootOrder == nil {
				now.BootOrder = boot.BootOrder
			}
		}
		vm.Config.ExtraConfig = oneValueEach(vm.Config.ExtraConfig)
		flatDisks(vm.Config.Hardware.Device, func(disk *types.VirtualDisk, b *types.VirtualDiskFlatVer2BackingInfo) {
			if was := chains[disk.Key]; was != nil && was.FileName == b.FileName && b.Parent == nil {
				b.Parent, b.ChangeId = was.Parent, was.ChangeId
			}
			before := recall(diskFile(b.FileName))
			if disk.CapacityInKB == 0 {
				disk.CapacityInKB = before
			}
			remember(b.FileName, disk.CapacityInKB)
			if before != 0 && before != disk.CapacityInKB {
				trackingReset(b)
			}
		})
	}
}

// oneValueEach: the last value of each key counts, and an empty one removes the key.
func oneValueEach(options []types.BaseOptionValue) []types.BaseOptionValue {
	last := make(map[string]int)
	for i, option := range options {
		last[option.GetOptionValue().Key] = i
	}
	var kept []types.BaseOptionValue
	for i, option := range options {
		value := option.GetOptionValue()
		if last[value.Key] == i && value.Value != nil && value.Value != "" {
			kept = append(kept, option)
		}
	}
	return kept
}

func searchTellsSize([]byte) func(*simulator.Task) {
	return func(task *simulator.Task) {
		tell := func(result *types.HostDatastoreBrowserSearchResults) {
			for _, file := range result.File {
				if disk, ok := file.(*types.VmDiskFileInfo); ok {
					folder := strings.TrimSuffix(result.FolderPath, "/")
					if strings.HasSuffix(folder, "]") {
						folder += " "
					} else {
						folder += "/"
					}
					disk.CapacityKb = recall(diskFile(folder + disk.Path))
				}
			}
		}
		switch result := task.Info.Result.(type) {
		case types.HostDatastoreBrowserSearchResults:
			tell(&result)
		case types.ArrayOfHostDatastoreBrowserSearchResults:
			for i := range result.HostDatastoreBrowserSearchResults {
				tell(&result.HostDatastoreBrowserSearchResults[i])
			}
		}
	}
}

// extendVirtualDisk answers ExtendVirtualDisk_Task, which the library lacks.
func extendVirtualDisk(body []byte) *simulator.Task {
	name := member(body, "name")
	wanted, err := strconv.ParseInt(member(body, "newCapacityKb"), 10, 64)
	manager := simulator.Map.VirtualDiskManager()
	return simulator.CreateTask(manager, "extendVirtualDisk", func(*simulator.Task) (types.AnyType, types.BaseMethodFault) {
		file := diskFile(name)
		if _, statErr := os.Stat(file); file == "" || statErr != nil {
			return nil, &types.FileNotFound{FileFault: types.FileFault{File: name}}
		}
		if err != nil || wanted < recall(file) {
			return nil, &types.InvalidArgument{InvalidProperty: "newCapacityKb"}
		}
		remember(name, wanted)
		extended(name)
		return nil, nil
	})
}
