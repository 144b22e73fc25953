// What the library forgets and the driver has to see: a clone that leaves its source alone, and disks whose size can be
// read from their file. A virtual disk's descriptor file holds one line here, its capacity in KB.
package main

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"net/http"
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
	"CreateVirtualDisk_Task":         {diskRemembersSize},
	"ReconfigVM_Task":                {machineDisksRememberSize},
	"SearchDatastore_Task":           {searchTellsSize},
	"SearchDatastoreSubFolders_Task": {searchTellsSize},
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
	return func(*simulator.Task) { vm.Config.Hardware.Device = kept }
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

// remember writes the capacity into an existing descriptor.
func remember(name string, capacityKB int64) {
	file := diskFile(name)
	if _, err := os.Stat(file); file == "" || err != nil {
		return
	}
	_ = os.WriteFile(file, []byte(fmt.Sprintf("capacityKb=%d\n", capacityKB)), 0600)
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
			remember(name, kb)
		}
	}
}

func machineDisksRememberSize(body []byte) func(*simulator.Task) {
	vm := machine(body)
	if vm == nil {
		return nil
	}
	return func(*simulator.Task) {
		for _, device := range vm.Config.Hardware.Device {
			disk, ok := device.(*types.VirtualDisk)
			if !ok {
				continue
			}
			if b, ok := disk.Backing.(types.BaseVirtualDeviceFileBackingInfo); ok {
				remember(b.GetVirtualDeviceFileBackingInfo().FileName, disk.CapacityInKB)
			}
		}
	}
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
func extendVirtualDisk(w http.ResponseWriter, body []byte) {
	name := member(body, "name")
	wanted, err := strconv.ParseInt(member(body, "newCapacityKb"), 10, 64)
	manager := simulator.Map.VirtualDiskManager()
	task := simulator.CreateTask(manager, "extendVirtualDisk", func(*simulator.Task) (types.AnyType, types.BaseMethodFault) {
		file := diskFile(name)
		if _, statErr := os.Stat(file); file == "" || statErr != nil {
			return nil, &types.FileNotFound{FileFault: types.FileFault{File: name}}
		}
		if err != nil || wanted < recall(file) {
			return nil, &types.InvalidArgument{InvalidProperty: "newCapacityKb"}
		}
		remember(name, wanted)
		return nil, nil
	})
	ref := task.Run()
	w.Header().Set("Content-Type", "text/xml; charset=utf-8")
	fmt.Fprintf(w, `<?xml version="1.0" encoding="UTF-8"?><soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"><soapenv:Body>`+
		`<ExtendVirtualDisk_TaskResponse xmlns="urn:vim25"><returnval type="Task">%s</returnval></ExtendVirtualDisk_TaskResponse></soapenv:Body></soapenv:Envelope>`, ref.Value)
}
