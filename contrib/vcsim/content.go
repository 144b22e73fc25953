// What is on the disks. The content of "NAME.vmdk" is the sparse file "NAME-flat.vmdk" beside it; a snapshot freezes that
// and puts a delta before it, "NAME-000001.vmdk" with its blocks in "NAME-000001-delta.vmdk", as vSphere does. A delta's
// blocks are at their own offsets here and which it has is known in memory, so a delta's file cannot be read as a disk,
// as little as a real one can. All of this runs under the front's lock.
package main

import (
	"fmt"
	"io"
	"os"
	"path"
	"regexp"
	"strings"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
)

const contentBlock = 64 << 10 // bytes; what a delta holds and tracking tells is in these

// deltas: which blocks a delta has, by its data's file.
var deltas = make(map[string]map[int64]bool)

var deltaPattern = regexp.MustCompile(`-[0-9]{6}\.vmdk$`)

// dataFile is where the content of a descriptor lies.
func dataFile(descriptor string) string {
	suffix := "-flat.vmdk"
	if deltaPattern.MatchString(descriptor) {
		suffix = "-delta.vmdk"
	}
	return strings.TrimSuffix(descriptor, ".vmdk") + suffix
}

// layers are the data files of a disk, the newest first; the last is the base.
func layers(backing *types.VirtualDiskFlatVer2BackingInfo) []string {
	var files []string
	for b := backing; b != nil; b = b.Parent {
		files = append(files, dataFile(diskFile(b.FileName)))
	}
	return files
}

func flatBacking(device types.BaseVirtualDevice) (*types.VirtualDisk, *types.VirtualDiskFlatVer2BackingInfo) {
	disk, ok := device.(*types.VirtualDisk)
	if !ok {
		return nil, nil
	}
	backing, ok := disk.Backing.(*types.VirtualDiskFlatVer2BackingInfo)
	if !ok {
		return nil, nil
	}
	return disk, backing
}

// flatDisks calls visit for each disk of a machine or snapshot that has content.
func flatDisks(devices []types.BaseVirtualDevice, visit func(*types.VirtualDisk, *types.VirtualDiskFlatVer2BackingInfo)) {
	for _, device := range devices {
		if disk, backing := flatBacking(device); disk != nil {
			visit(disk, backing)
		}
	}
}

func independent(backing *types.VirtualDiskFlatVer2BackingInfo) bool {
	return strings.HasPrefix(backing.DiskMode, "independent")
}

// sized makes the base of a disk as long as the disk; a longer one, uploaded perhaps, is left.
func sized(descriptor string, capacityKB int64) {
	flat := dataFile(descriptor)
	info, err := os.Stat(flat)
	if err == nil && info.Size() >= capacityKB<<10 {
		return
	}
	if file, err := os.OpenFile(flat, os.O_RDWR|os.O_CREATE, 0600); err == nil {
		_ = file.Truncate(capacityKB << 10)
		_ = file.Close()
	}
}

// readBlock reads one block through the layers; beyond a file's end there are zeros.
func readBlock(files []string, block int64, into []byte) error {
	for i := range into {
		into[i] = 0
	}
	for i, name := range files {
		if i < len(files)-1 && !deltas[name][block] {
			continue
		}
		file, err := os.Open(name)
		if err != nil {
			return err
		}
		defer file.Close()
		if _, err = file.ReadAt(into, block*contentBlock); err != nil && err != io.EOF {
			return err
		}
		return nil
	}
	return nil
}

func readContent(files []string, offset int64, into []byte) error {
	block := make([]byte, contentBlock)
	for done := 0; done < len(into); {
		at := offset + int64(done)
		if err := readBlock(files, at/contentBlock, block); err != nil {
			return err
		}
		done += copy(into[done:], block[at%contentBlock:])
	}
	return nil
}

// writeContent writes into the newest layer; a delta first takes the rest of a block from below.
func writeContent(files []string, offset int64, data []byte) error {
	file, err := os.OpenFile(files[0], os.O_RDWR|os.O_CREATE, 0600)
	if err != nil {
		return err
	}
	defer file.Close()
	if len(files) == 1 {
		_, err = file.WriteAt(data, offset)
		return err
	}
	whole := make([]byte, contentBlock)
	for done := 0; done < len(data); {
		at := offset + int64(done)
		block := at / contentBlock
		if err := readBlock(files, block, whole); err != nil {
			return err
		}
		done += copy(whole[at%contentBlock:], data[done:])
		if _, err := file.WriteAt(whole, block*contentBlock); err != nil {
			return err
		}
		deltas[files[0]][block] = true
	}
	return nil
}

// stretches calls visit for the parts of a file that are not holes.
func stretches(name string, visit func(from, to int64) error) error {
	file, err := os.Open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	for at := int64(0); ; {
		from, err := file.Seek(at, 3) // SEEK_DATA
		if err != nil {
			return nil // ENXIO: none is left
		}
		to, err := file.Seek(from, 4) // SEEK_HOLE
		if err != nil {
			return err
		}
		if err := visit(from, to); err != nil {
			return err
		}
		at = to
	}
}

// copyContent makes `to` a base with what the layers hold, holes kept.
func copyContent(files []string, to string, size int64) error {
	target, err := os.OpenFile(to, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0600)
	if err != nil {
		return err
	}
	defer target.Close()
	if err := target.Truncate(size); err != nil {
		return err
	}
	blocks := make(map[int64]bool)
	for i, name := range files {
		if i < len(files)-1 {
			for block := range deltas[name] {
				blocks[block] = true
			}
			continue
		}
		_ = stretches(name, func(from, to int64) error {
			for block := from / contentBlock; block*contentBlock < to; block++ {
				blocks[block] = true
			}
			return nil
		})
	}
	data := make([]byte, contentBlock)
	for block := range blocks {
		at := block * contentBlock
		if at >= size {
			continue
		}
		if err := readBlock(files, block, data); err != nil {
			return err
		}
		part := data
		if size-at < contentBlock {
			part = data[:size-at]
		}
		if _, err := target.WriteAt(part, at); err != nil {
			return err
		}
	}
	return nil
}

// nextDelta is a descriptor's name for a new delta of a disk: NAME-000001.vmdk and so on.
func nextDelta(name string) string {
	stem := deltaPattern.ReplaceAllString(name, "")
	stem = strings.TrimSuffix(stem, ".vmdk")
	for i := 1; ; i++ {
		candidate := fmt.Sprintf("%s-%06d.vmdk", stem, i)
		if _, err := os.Stat(diskFile(candidate)); err != nil {
			return candidate
		}
	}
}

// putDelta puts a new, empty delta before a disk's present top.
func putDelta(disk *types.VirtualDisk, backing *types.VirtualDiskFlatVer2BackingInfo) {
	parent := *backing
	name := nextDelta(backing.FileName)
	descriptor := diskFile(name)
	_ = os.WriteFile(descriptor, []byte(fmt.Sprintf("capacityKb=%d\n", disk.CapacityInKB)), 0600)
	_ = os.WriteFile(dataFile(descriptor), nil, 0600)
	deltas[dataFile(descriptor)] = make(map[int64]bool)
	top := parent
	top.FileName, top.Parent = name, &parent
	disk.Backing = &top
}

// ownDevices copies the disks among the devices, so that two configurations do not share them.
func ownDevices(devices []types.BaseVirtualDevice) []types.BaseVirtualDevice {
	own := make([]types.BaseVirtualDevice, len(devices))
	for i, device := range devices {
		own[i] = device
		if disk, backing := flatBacking(device); disk != nil {
			copied := *disk
			copied.Backing = ownChain(backing)
			own[i] = &copied
		}
	}
	return own
}

func ownChain(backing *types.VirtualDiskFlatVer2BackingInfo) *types.VirtualDiskFlatVer2BackingInfo {
	own := *backing
	if own.Parent != nil {
		own.Parent = ownChain(own.Parent)
	}
	return &own
}

// publish gives the machine these devices, and its layout the files that they stand on.
func publish(vm *simulator.VirtualMachine, devices []types.BaseVirtualDevice) {
	var layout []types.VirtualMachineFileLayoutDiskLayout
	flatDisks(devices, func(disk *types.VirtualDisk, b *types.VirtualDiskFlatVer2BackingInfo) {
		one := types.VirtualMachineFileLayoutDiskLayout{Key: disk.Key}
		for ; b != nil; b = b.Parent {
			one.DiskFile = append(one.DiskFile, b.FileName)
		}
		layout = append(layout, one)
	})
	vm.Layout.Disk = layout
	simulator.Map.Update(vm, []types.PropertyChange{{Name: "config.hardware.device", Val: devices}})
}

func snapshotsOf(vm *simulator.VirtualMachine) []*simulator.VirtualMachineSnapshot {
	var found []*simulator.VirtualMachineSnapshot
	var walk func([]types.VirtualMachineSnapshotTree)
	walk = func(tree []types.VirtualMachineSnapshotTree) {
		for _, node := range tree {
			if s, ok := simulator.Map.Get(node.Snapshot).(*simulator.VirtualMachineSnapshot); ok {
				found = append(found, s)
			}
			walk(node.ChildSnapshotList)
		}
	}
	if vm.Snapshot != nil {
		walk(vm.Snapshot.RootSnapshotList)
	}
	return found
}

// snapshotFreezes: the snapshot keeps the disks as they are, the machine goes on in deltas.
func snapshotFreezes(body []byte) func(*simulator.Task) {
	vm := machine(body)
	if vm == nil {
		return nil
	}
	return func(task *simulator.Task) {
		ref, ok := task.Info.Result.(types.ManagedObjectReference)
		if !ok {
			return
		}
		snapshot, ok := simulator.Map.Get(ref).(*simulator.VirtualMachineSnapshot)
		if !ok {
			return
		}
		trackingSettles(vm)
		flatDisks(vm.Config.Hardware.Device, trackingMark)
		snapshot.Config.Hardware.Device = ownDevices(vm.Config.Hardware.Device)
		live := ownDevices(vm.Config.Hardware.Device)
		flatDisks(live, func(disk *types.VirtualDisk, backing *types.VirtualDiskFlatVer2BackingInfo) {
			if !independent(backing) {
				putDelta(disk, backing)
			}
		})
		publish(vm, live)
	}
}

// consolidates: what no snapshot needs any more is merged, a delta into what lies below it.
func consolidates(vm *simulator.VirtualMachine) {
	live := ownDevices(vm.Config.Hardware.Device)
	snapshots := snapshotsOf(vm)
	flatDisks(live, func(disk *types.VirtualDisk, top *types.VirtualDiskFlatVer2BackingInfo) {
		for child := top; child.Parent != nil; {
			if needed(snapshots, disk.Key, child.Parent.FileName, child.FileName) {
				child = child.Parent
				continue
			}
			merge(child)
			replaced, changeID := child.FileName, child.ChangeId
			*child = *child.Parent
			child.ChangeId = changeID
			for _, snapshot := range snapshots {
				flatDisks(snapshot.Config.Hardware.Device, func(_ *types.VirtualDisk, b *types.VirtualDiskFlatVer2BackingInfo) {
					for ; b != nil; b = b.Parent {
						if b.FileName == replaced {
							own := b.ChangeId
							*b = *ownChain(child)
							b.ChangeId = own
						}
					}
				})
			}
		}
	})
	publish(vm, live)
	vm.Runtime.ConsolidationNeeded = types.NewBool(false)
	trackingSettles(vm)
}

// needed: whether a snapshot's own disk is this file, or stands on it by another delta than `child`.
func needed(snapshots []*simulator.VirtualMachineSnapshot, key int32, name, child string) bool {
	found := false
	for _, snapshot := range snapshots {
		flatDisks(snapshot.Config.Hardware.Device, func(disk *types.VirtualDisk, b *types.VirtualDiskFlatVer2BackingInfo) {
			for above := ""; disk.Key == key && b != nil; above, b = b.FileName, b.Parent {
				if b.FileName == name && above != child {
					found = true
				}
			}
		})
	}
	return found
}

func merge(child *types.VirtualDiskFlatVer2BackingInfo) {
	below := layers(child.Parent)
	from := dataFile(diskFile(child.FileName))
	data := make([]byte, contentBlock)
	limit := recall(diskFile(child.FileName)) << 10
	for block := range deltas[from] {
		if readBlock([]string{from, from}, block, data) != nil {
			continue
		}
		part := data
		if at := block * contentBlock; limit-at < contentBlock {
			part = data[:limit-at]
		}
		_ = writeContent(below, block*contentBlock, part)
	}
	forgetDelta(child.FileName)
}

func forgetDelta(name string) {
	descriptor := diskFile(name)
	delete(deltas, dataFile(descriptor))
	_ = os.Remove(dataFile(descriptor))
	_ = os.Remove(descriptor)
}

// snapshotThaws: after a snapshot's removal its deltas are merged, unless the caller wants to do that later.
func snapshotThaws(body []byte) func(*simulator.Task) {
	ref := types.ManagedObjectReference{Type: "VirtualMachineSnapshot", Value: member(body, "_this")}
	snapshot, ok := simulator.Map.Get(ref).(*simulator.VirtualMachineSnapshot)
	if !ok {
		return nil
	}
	vm, ok := simulator.Map.Get(snapshot.Vm).(*simulator.VirtualMachine)
	if !ok {
		return nil
	}
	later := member(body, "consolidate") == "false"
	return func(task *simulator.Task) {
		if task.Info.Error != nil {
			return
		}
		if later {
			vm.Runtime.ConsolidationNeeded = types.NewBool(true)
			return
		}
		consolidates(vm)
	}
}

func snapshotsThaw(body []byte) func(*simulator.Task) {
	vm := machine(body)
	if vm == nil {
		return nil
	}
	return func(*simulator.Task) { consolidates(vm) }
}

// snapshotReturns: the machine goes on from the snapshot, off; what was written since is gone.
func snapshotReturns(body []byte) func(*simulator.Task) {
	ref := types.ManagedObjectReference{Type: "VirtualMachineSnapshot", Value: member(body, "_this")}
	snapshot, ok := simulator.Map.Get(ref).(*simulator.VirtualMachineSnapshot)
	if !ok {
		return nil
	}
	vm, ok := simulator.Map.Get(snapshot.Vm).(*simulator.VirtualMachine)
	if !ok {
		return nil
	}
	return func(*simulator.Task) {
		snapshots := snapshotsOf(vm)
		flatDisks(vm.Config.Hardware.Device, func(disk *types.VirtualDisk, b *types.VirtualDiskFlatVer2BackingInfo) {
			if b.Parent != nil && !needed(snapshots, disk.Key, b.FileName, "") {
				forgetDelta(b.FileName)
			}
		})
		live := ownDevices(snapshot.Config.Hardware.Device)
		flatDisks(live, func(disk *types.VirtualDisk, b *types.VirtualDiskFlatVer2BackingInfo) {
			if !independent(b) {
				putDelta(disk, b)
				trackingReset(b)
			}
		})
		publish(vm, live)
		simulator.Map.Update(vm, []types.PropertyChange{
			{Name: "runtime.powerState", Val: types.VirtualMachinePowerStatePoweredOff},
			{Name: "summary.runtime.powerState", Val: types.VirtualMachinePowerStatePoweredOff},
		})
	}
}

// copyVirtualDisk answers CopyVirtualDisk_Task: the library's would fill holes and forget what deltas hold.
func copyVirtualDisk(body []byte) *simulator.Task {
	from, to, force := member(body, "sourceName"), member(body, "destName"), member(body, "force") == "true"
	return simulator.CreateTask(simulator.Map.VirtualDiskManager(), "copyVirtualDisk", func(*simulator.Task) (types.AnyType, types.BaseMethodFault) {
		source, target := diskFile(from), diskFile(to)
		if _, err := os.Stat(source); source == "" || err != nil {
			return nil, &types.FileNotFound{FileFault: types.FileFault{File: from}}
		}
		if _, err := os.Stat(path.Dir(target)); target == "" || err != nil {
			return nil, &types.FileNotFound{FileFault: types.FileFault{File: to}}
		}
		if _, err := os.Stat(target); err == nil && !force {
			return nil, &types.FileAlreadyExists{FileFault: types.FileFault{File: to}}
		}
		capacity := recall(source)
		if err := copyContent(layersOfFile(from), dataFile(target), capacity<<10); err != nil {
			return nil, &types.CannotCreateFile{FileFault: types.FileFault{File: to}}
		}
		_ = os.WriteFile(target, []byte(fmt.Sprintf("capacityKb=%d\n", capacity)), 0600)
		trackingForget(dataFile(target))
		return to, nil
	})
}

// layersOfFile finds the layers of a descriptor by its name, whoever uses it.
func layersOfFile(name string) []string {
	found := []string{dataFile(diskFile(name))}
	look := func(_ *types.VirtualDisk, b *types.VirtualDiskFlatVer2BackingInfo) {
		for ; b != nil; b = b.Parent {
			if b.FileName == name {
				found = layers(b)
			}
		}
	}
	for _, entity := range simulator.Map.All("VirtualMachine") {
		if vm, ok := entity.(*simulator.VirtualMachine); ok {
			flatDisks(vm.Config.Hardware.Device, look)
		}
	}
	return found
}

// disksFill sizes the disks of a machine that was just made, and gives a clone what its source holds.
func disksFill(vm *simulator.VirtualMachine, source []types.BaseVirtualDevice) {
	var from []*types.VirtualDiskFlatVer2BackingInfo
	flatDisks(source, func(_ *types.VirtualDisk, b *types.VirtualDiskFlatVer2BackingInfo) { from = append(from, b) })
	index := 0
	flatDisks(vm.Config.Hardware.Device, func(disk *types.VirtualDisk, b *types.VirtualDiskFlatVer2BackingInfo) {
		descriptor := diskFile(b.FileName)
		if disk.CapacityInKB == 0 {
			disk.CapacityInKB = recall(descriptor)
		}
		delete(tracks, dataFile(descriptor)) // of a disk that had this name before
		remember(b.FileName, disk.CapacityInKB)
		if index < len(from) {
			_ = copyContent(layers(from[index]), dataFile(descriptor), disk.CapacityInKB<<10)
		}
		index++
	})
}

func machineMade(body []byte) func(*simulator.Task) {
	return func(task *simulator.Task) {
		if ref, ok := task.Info.Result.(types.ManagedObjectReference); ok {
			if vm, ok := simulator.Map.Get(ref).(*simulator.VirtualMachine); ok {
				disksFill(vm, nil)
			}
		}
	}
}
