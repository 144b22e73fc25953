// Files of datastores over HTTPS, as vCenter serves them: /folder/PATH?dcPath=&dsName=, by a session's cookie; GET with
// ranges, HEAD, PUT. A disk's newest layer is locked while its machine runs. And what a guest would do, for tests, without
// a login:
//
//	POST /__write?vm=&disk=&offset=   the body into the disk, as the guest of that running machine writes it
//	GET  /__read?vm=&disk=&offset=&length=   what the guest would read
//
//	GET  /__file?vm=&disk=   the file that has the whole content of that disk; 409 while a snapshot holds on to it
//	POST /__power-on?vm=   an operator's power-on; answers "" or the type of the fault
//
// vm: the machine's name, reference or instanceUuid; disk: 0 for the first.
package main

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"path"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/types"
)

const guestIOMax = 64 << 20

// folderFile is the file that a request names, "" when there is no such datastore or it leads out of it.
func folderFile(r *http.Request) string {
	query := r.URL.Query()
	name := path.Clean("/" + strings.TrimPrefix(r.URL.Path, "/folder/"))
	for _, entity := range simulator.Map.All("Datastore") {
		ds, ok := entity.(*simulator.Datastore)
		if !ok || ds.Name != query.Get("dsName") {
			continue
		}
		if query.Get("dcPath") != datacenterPath(ds) {
			continue
		}
		return path.Join(ds.Info.GetDatastoreInfo().Url, name)
	}
	return ""
}

// datacenterPath is the datacenter of a datastore with the folders above it, the root left out.
func datacenterPath(ds *simulator.Datastore) string {
	name, inside := "", false
	for parent := ds.Parent; parent != nil; {
		switch p := simulator.Map.Get(*parent).(type) {
		case *simulator.Datacenter:
			name, inside, parent = p.Name, true, p.Parent
		case *simulator.Folder:
			if inside && p.Parent != nil {
				name = p.Name + "/" + name
			}
			parent = p.Parent
		default:
			return name
		}
	}
	return name
}

// locked: whether a running machine writes this file.
func locked(file string) bool {
	found := false
	for _, entity := range simulator.Map.All("VirtualMachine") {
		vm, ok := entity.(*simulator.VirtualMachine)
		if !ok || vm.Runtime.PowerState == types.VirtualMachinePowerStatePoweredOff {
			continue
		}
		flatDisks(vm.Config.Hardware.Device, func(_ *types.VirtualDisk, b *types.VirtualDiskFlatVer2BackingInfo) {
			if dataFile(diskFile(b.FileName)) == file {
				found = true
			}
		})
	}
	return found
}

func (f *front) serveFolder(w http.ResponseWriter, r *http.Request) {
	if !f.authenticated(r) {
		w.Header().Set("WWW-Authenticate", `Basic realm="VMware HTTP server"`)
		http.Error(w, "not authenticated", http.StatusUnauthorized)
		return
	}
	f.calls.RLock()
	file := folderFile(r)
	busy := file != "" && locked(file)
	f.calls.RUnlock()
	switch {
	case file == "":
		http.NotFound(w, r)
	case busy:
		http.Error(w, "Unable to access the file since it is locked", http.StatusInternalServerError)
	case r.Method == http.MethodGet || r.Method == http.MethodHead:
		serveFile(w, r, file)
	case r.Method == http.MethodPut:
		f.takeFile(w, r, file)
	default:
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
	}
}

func serveFile(w http.ResponseWriter, r *http.Request, name string) {
	file, err := os.Open(name)
	if err != nil {
		http.NotFound(w, r)
		return
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil || !info.Mode().IsRegular() {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	http.ServeContent(w, r, "", time.Time{}, file)
}

// takeFile keeps what is sent, in place of what was there, once it is whole. Zeros become holes.
func (f *front) takeFile(w http.ResponseWriter, r *http.Request, name string) {
	_, err := os.Stat(name)
	existed := err == nil
	if _, err := os.Stat(path.Dir(name)); err != nil {
		http.NotFound(w, r)
		return
	}
	part := name + ".part"
	if err := receive(part, r.Body, r.ContentLength); err != nil {
		_ = os.Remove(part)
		http.Error(w, "the upload broke off", http.StatusInternalServerError)
		return
	}
	f.calls.Lock()
	err = os.Rename(part, name)
	trackingForget(name)
	f.calls.Unlock()
	if err != nil {
		http.Error(w, "could not be kept", http.StatusInternalServerError)
	} else if existed {
		w.WriteHeader(http.StatusOK)
	} else {
		w.WriteHeader(http.StatusCreated)
	}
}

func receive(name string, from io.Reader, length int64) error {
	file, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0600)
	if err != nil {
		return err
	}
	defer file.Close()
	data, zeros := make([]byte, contentBlock), make([]byte, contentBlock)
	at := int64(0)
	for {
		n, err := io.ReadFull(from, data)
		if !bytes.Equal(data[:n], zeros[:n]) {
			if _, err := file.WriteAt(data[:n], at); err != nil {
				return err
			}
		}
		at += int64(n)
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			break
		}
		if err != nil {
			return err
		}
	}
	if length >= 0 && at != length {
		return io.ErrUnexpectedEOF
	}
	return file.Truncate(at)
}

func namedMachine(wanted string) *simulator.VirtualMachine {
	for _, entity := range simulator.Map.All("VirtualMachine") {
		vm, ok := entity.(*simulator.VirtualMachine)
		if ok && (vm.Name == wanted || vm.Self.Value == wanted || vm.Config.InstanceUuid == wanted) {
			return vm
		}
	}
	return nil
}

// powerOn is /__power-on.
func (f *front) powerOn(w http.ResponseWriter, r *http.Request) {
	f.calls.Lock()
	defer f.calls.Unlock()
	vm := namedMachine(r.URL.Query().Get("vm"))
	if vm == nil {
		http.Error(w, "there is no such machine", http.StatusBadRequest)
		return
	}
	task := admission([]byte("<a><_this>" + vm.Self.Value + "</_this></a>"))
	if task == nil {
		res, err := methods.PowerOnVM_Task(r.Context(), f.operator, &types.PowerOnVM_Task{This: vm.Self})
		if err != nil {
			_, _ = io.WriteString(w, err.Error())
			return
		}
		task, _ = simulator.Map.Get(res.Returnval).(*simulator.Task)
	} else {
		task.Run()
	}
	if task != nil && task.Info.Error != nil {
		_, _ = io.WriteString(w, reflect.TypeOf(task.Info.Error.Fault).Elem().Name())
		return
	}
	trackingSettles(vm)
}

// guestDisk is the disk that a control request means, with its layers.
func guestDisk(r *http.Request) (*simulator.VirtualMachine, *types.VirtualDisk, *types.VirtualDiskFlatVer2BackingInfo) {
	wanted := r.URL.Query().Get("vm")
	number, err := strconv.Atoi(r.URL.Query().Get("disk"))
	if err != nil || wanted == "" {
		return nil, nil, nil
	}
	vm := namedMachine(wanted)
	if vm == nil {
		return nil, nil, nil
	}
	var disk *types.VirtualDisk
	var backing *types.VirtualDiskFlatVer2BackingInfo
	flatDisks(vm.Config.Hardware.Device, func(d *types.VirtualDisk, b *types.VirtualDiskFlatVer2BackingInfo) {
		if number == 0 {
			disk, backing = d, b
		}
		number--
	})
	return vm, disk, backing
}

// wholeFile is /__file.
func (f *front) wholeFile(w http.ResponseWriter, r *http.Request) {
	f.calls.RLock()
	defer f.calls.RUnlock()
	_, disk, backing := guestDisk(r)
	if disk == nil {
		http.Error(w, "vm and disk name no disk", http.StatusBadRequest)
		return
	}
	files := layers(backing)
	if len(files) != 1 {
		http.Error(w, "its content is in more than one file", http.StatusConflict)
		return
	}
	_, _ = io.WriteString(w, files[0])
}

// guestIO is /__write and /__read.
func (f *front) guestIO(w http.ResponseWriter, r *http.Request) {
	f.calls.Lock()
	defer f.calls.Unlock()
	vm, disk, backing := guestDisk(r)
	offset, err := strconv.ParseInt(r.URL.Query().Get("offset"), 10, 64)
	if disk == nil || err != nil || offset < 0 {
		http.Error(w, "vm, disk and offset name no place", http.StatusBadRequest)
		return
	}
	capacity := disk.CapacityInKB << 10
	if r.URL.Path == "/__read" {
		length, err := strconv.ParseInt(r.URL.Query().Get("length"), 10, 64)
		if err != nil || length < 0 || length > guestIOMax || offset+length > capacity {
			http.Error(w, "length is no number or too large", http.StatusBadRequest)
			return
		}
		data := make([]byte, length)
		if err := readContent(layers(backing), offset, data); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		_, _ = w.Write(data)
		return
	}
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, guestIOMax))
	if err != nil || offset+int64(len(data)) > capacity {
		http.Error(w, "beyond the disk", http.StatusBadRequest)
		return
	}
	if vm.Runtime.PowerState != types.VirtualMachinePowerStatePoweredOn {
		http.Error(w, "the machine does not run", http.StatusConflict)
		return
	}
	if err := writeContent(layers(backing), offset, data); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	if !independent(backing) {
		tracks[baseOf(backing)].note(offset, len(data))
	}
}
