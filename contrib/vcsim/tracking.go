// Changed block tracking. Time is counted in epochs, which a snapshot ends: its changeId is "the disk's uuid/the epoch that
// it ended". For each epoch it is known which blocks were written in it, so what changed between a changeId and a snapshot
// is what was written in the epochs between. Tracking is switched by a reconfiguration and begins or ends when the
// machine is next stunned: powered on, or a snapshot made or removed. It does not begin while the machine has snapshots.
package main

import (
	"encoding/xml"
	"fmt"
	"net/http"
	"os"
	"sort"
	"strconv"
	"strings"

	"github.com/google/uuid"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/types"
)

const extentsDefault = 2000 // in one answer, as vSphere

var extentsMax = extentsDefault
var guestTools bool // whether guests answer once they run
var extentsGap int64 // what answers leave out at their start, in bytes: a peer that cannot be trusted

type track struct {
	uuid  string
	epoch int64
	wrote map[int64]map[int64]bool // by epoch: blocks
}

// tracks by the file of the disk's base; a disk that is not tracked has none.
var tracks = make(map[string]*track)

func newTrack() *track {
	id := uuid.New()
	var text []string
	for _, b := range id {
		text = append(text, fmt.Sprintf("%02x", b))
	}
	return &track{
		uuid:  strings.Join(text[:8], " ") + "-" + strings.Join(text[8:], " "),
		epoch: 1,
		wrote: make(map[int64]map[int64]bool),
	}
}

func (t *track) note(offset int64, length int) {
	if t == nil {
		return
	}
	if t.wrote[t.epoch] == nil {
		t.wrote[t.epoch] = make(map[int64]bool)
	}
	for block := offset / contentBlock; block*contentBlock < offset+int64(length); block++ {
		t.wrote[t.epoch][block] = true
	}
}

func baseOf(backing *types.VirtualDiskFlatVer2BackingInfo) string {
	files := layers(backing)
	return files[len(files)-1]
}

// trackingSettles brings tracking to what the configuration says, where the disk allows.
func trackingSettles(vm *simulator.VirtualMachine) {
	wanted := vm.Config.ChangeTrackingEnabled != nil && *vm.Config.ChangeTrackingEnabled
	flatDisks(vm.Config.Hardware.Device, func(_ *types.VirtualDisk, b *types.VirtualDiskFlatVer2BackingInfo) {
		base := baseOf(b)
		switch {
		case !wanted:
			delete(tracks, base)
			b.ChangeId = ""
		case tracks[base] == nil && b.Parent == nil && !independent(b):
			tracks[base] = newTrack()
		}
	})
}

// trackingMark ends the epoch and writes the changeId into the backing.
func trackingMark(_ *types.VirtualDisk, b *types.VirtualDiskFlatVer2BackingInfo) {
	b.ChangeId = ""
	if t := tracks[baseOf(b)]; t != nil && !independent(b) {
		b.ChangeId = fmt.Sprintf("%s/%d", t.uuid, t.epoch)
		t.epoch++
	}
}

func trackingReset(b *types.VirtualDiskFlatVer2BackingInfo) { trackingForget(baseOf(b)) }

// trackingForget: what was known of the disk is worth nothing; a disk that is tracked is so from now on.
func trackingForget(base string) {
	if tracks[base] != nil {
		tracks[base] = newTrack()
	}
}

func poweredOn(body []byte) func(*simulator.Task) {
	vm := machine(body)
	if vm == nil {
		return nil
	}
	return func(task *simulator.Task) {
		if task.Info.Error == nil {
			trackingSettles(vm)
			toolsSay(vm, types.VirtualMachineToolsRunningStatusGuestToolsRunning)
		}
	}
}

func poweredOff(body []byte) func(*simulator.Task) {
	vm := machine(body)
	if vm == nil {
		return nil
	}
	return func(*simulator.Task) {
		toolsSay(vm, types.VirtualMachineToolsRunningStatusGuestToolsNotRunning)
	}
}

// toolsSay: what the guest's tools are, when guests have them (-tools).
func toolsSay(vm *simulator.VirtualMachine, status types.VirtualMachineToolsRunningStatus) {
	if guestTools {
		simulator.Map.Update(vm, []types.PropertyChange{{Name: "guest.toolsRunningStatus", Val: string(status)}})
	}
}

// question is a QueryChangedDiskAreas as it was asked.
type question struct {
	vm       *simulator.VirtualMachine
	snapshot string
	key      int32
	start    int64
	changeID string
}

// area is the disk asked about, as the snapshot has it or, without one, as it is.
func (q *question) area() (*types.VirtualDisk, *types.VirtualDiskFlatVer2BackingInfo, int64, types.BaseMethodFault) {
	devices := q.vm.Config.Hardware.Device
	if q.snapshot != "" {
		ref := types.ManagedObjectReference{Type: "VirtualMachineSnapshot", Value: q.snapshot}
		snapshot, ok := simulator.Map.Get(ref).(*simulator.VirtualMachineSnapshot)
		if !ok || snapshot.Vm != q.vm.Self {
			return nil, nil, 0, &types.ManagedObjectNotFound{Obj: ref}
		}
		devices = snapshot.Config.Hardware.Device
	} else if q.vm.Runtime.PowerState != types.VirtualMachinePowerStatePoweredOff {
		return nil, nil, 0, &types.InvalidArgument{InvalidProperty: "snapshot"}
	}
	var disk *types.VirtualDisk
	var backing *types.VirtualDiskFlatVer2BackingInfo
	flatDisks(devices, func(d *types.VirtualDisk, b *types.VirtualDiskFlatVer2BackingInfo) {
		if d.Key == q.key {
			disk, backing = d, b
		}
	})
	if disk == nil {
		return nil, nil, 0, &types.NotFound{}
	}
	if q.start < 0 || q.start >= disk.CapacityInKB<<10 {
		return nil, nil, 0, &types.InvalidArgument{InvalidProperty: "startOffset"}
	}
	until := int64(-1)
	if t := tracks[baseOf(backing)]; t != nil {
		until = t.epoch
		if q.snapshot != "" {
			_, until = splitChangeID(backing.ChangeId)
		}
	}
	return disk, backing, until, nil
}

func splitChangeID(text string) (string, int64) {
	i := strings.LastIndexByte(text, '/')
	if i < 0 {
		return "", -1
	}
	epoch, err := strconv.ParseInt(text[i+1:], 10, 64)
	if err != nil {
		return "", -1
	}
	return text[:i], epoch
}

func (q *question) blocks() (map[int64]bool, int64, types.BaseMethodFault) {
	disk, backing, until, fault := q.area()
	if fault != nil {
		return nil, 0, fault
	}
	capacity := disk.CapacityInKB << 10
	file := &types.FileFault{File: backing.FileName}
	t := tracks[baseOf(backing)]
	if q.changeID == "*" {
		if t == nil {
			return nil, 0, file
		}
		return allocated(layers(backing)), capacity, nil
	}
	id, since := splitChangeID(q.changeID)
	if id == "" || since < 0 {
		return nil, 0, &types.InvalidArgument{InvalidProperty: "changeId"}
	}
	if t == nil || id != t.uuid || since > until {
		return nil, 0, file
	}
	if q.snapshot != "" {
		if own, _ := splitChangeID(backing.ChangeId); own != t.uuid {
			return nil, 0, file
		}
	}
	found := make(map[int64]bool)
	for epoch := since + 1; epoch <= until; epoch++ {
		for block := range t.wrote[epoch] {
			found[block] = true
		}
	}
	return found, capacity, nil
}

func allocated(files []string) map[int64]bool {
	found := make(map[int64]bool)
	for i, name := range files {
		if i < len(files)-1 {
			for block := range deltas[name] {
				found[block] = true
			}
			continue
		}
		_ = stretches(name, func(from, to int64) error {
			for block := from / contentBlock; block*contentBlock < to; block++ {
				found[block] = true
			}
			return nil
		})
	}
	return found
}

// answer makes the page that begins at q.start: neighbours joined, at most extentsMax of them, and how far it tells.
func (q *question) answer() (*types.DiskChangeInfo, types.BaseMethodFault) {
	blocks, capacity, fault := q.blocks()
	if fault != nil {
		return nil, fault
	}
	var order []int64
	for block := range blocks {
		order = append(order, block)
	}
	sort.Slice(order, func(i, j int) bool { return order[i] < order[j] })
	info := &types.DiskChangeInfo{StartOffset: q.start, Length: capacity - q.start}
	for _, block := range order {
		from, to := block*contentBlock, (block+1)*contentBlock
		if from < q.start {
			from = q.start
		}
		if to > capacity {
			to = capacity
		}
		if from >= to {
			continue
		}
		last := len(info.ChangedArea) - 1
		if last >= 0 && info.ChangedArea[last].Start+info.ChangedArea[last].Length == from {
			info.ChangedArea[last].Length += to - from
			continue
		}
		if last+1 == extentsMax {
			info.Length = info.ChangedArea[last].Start + info.ChangedArea[last].Length - q.start
			break
		}
		info.ChangedArea = append(info.ChangedArea, types.DiskChangeExtent{Start: from, Length: to - from})
	}
	return info, nil
}

// queryChangedDiskAreas answers QueryChangedDiskAreas, which the library lacks.
func queryChangedDiskAreas(w http.ResponseWriter, body []byte) {
	q := &question{vm: machine(body), snapshot: member(body, "snapshot"), changeID: member(body, "changeId")}
	key, keyErr := strconv.ParseInt(member(body, "deviceKey"), 10, 32)
	start, startErr := strconv.ParseInt(member(body, "startOffset"), 10, 64)
	if keyErr != nil || startErr != nil {
		fault(w, "InvalidRequest")
		return
	}
	q.key, q.start = int32(key), start
	if q.vm == nil {
		fault(w, "ManagedObjectNotFound")
		return
	}
	info, wrong := q.answer()
	if wrong != nil {
		faultOf(w, wrong)
		return
	}
	if extentsGap > 0 && info.Length > extentsGap {
		info.StartOffset += extentsGap
		info.Length -= extentsGap
	}
	w.Header().Set("Content-Type", "text/xml; charset=utf-8")
	inner, err := xml.Marshal(struct {
		XMLName xml.Name `xml:"returnval"`
		types.DiskChangeInfo
	}{DiskChangeInfo: *info})
	if err != nil {
		fault(w, "SystemError")
		return
	}
	fmt.Fprintf(w, `<?xml version="1.0" encoding="UTF-8"?><soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"><soapenv:Body>`+
		`<QueryChangedDiskAreasResponse xmlns="urn:vim25">%s</QueryChangedDiskAreasResponse></soapenv:Body></soapenv:Envelope>`, inner)
}

// faultOf writes a fault with what the driver may want to read in it.
func faultOf(w http.ResponseWriter, wrong types.BaseMethodFault) {
	switch f := wrong.(type) {
	case *types.InvalidArgument:
		faultWith(w, "InvalidArgument", "A specified parameter was not correct: "+f.InvalidProperty, "<invalidProperty>"+f.InvalidProperty+"</invalidProperty>")
	case *types.FileFault:
		var name strings.Builder
		_ = xml.EscapeText(&name, []byte(f.File))
		faultWith(w, "FileFault", "Error caused by file "+name.String(), "<file>"+name.String()+"</file>")
	case *types.ManagedObjectNotFound:
		faultWith(w, "ManagedObjectNotFound", "The object has already been deleted or has not been completely created", "")
	case *types.NotFound:
		faultWith(w, "NotFound", "The object or item referred to could not be found.", "")
	default:
		fault(w, "SystemError")
	}
}

// extended: a disk of another size; what was known of its changes is void.
func extended(name string) {
	flat := dataFile(diskFile(name))
	if _, err := os.Stat(flat); err == nil {
		sized(diskFile(name), recall(diskFile(name)))
	}
	trackingForget(flat)
}
