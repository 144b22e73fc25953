// vcsim: a vCenter (or ESXi) to run the vmware driver against. It serves the simulator library of govmomi over TLS and adds
// what that library leaves out and a real vCenter does: paging, tasks that take time, sessions that expire, disks that
// have content, snapshots that keep it, changed block tracking, files over HTTPS, clones that leave their source alone.
// It also breaks on request (front.go). See README.md.
package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/vmware/govmomi/find"
	"github.com/vmware/govmomi/object"
	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/types"
)

type settings struct {
	listen, cert, key            string
	username, password           string
	esx                          bool
	datacenters, clusters, hosts int
	standalone, datastores, vms  int
	portgroups, folders          int
	templates                    string
	sessionTimeout, taskLatency  time.Duration
	pageMax                      int
	instanceUUID                 string
	extentsMax                   int
	tools                        bool
	dieWithStdin, verbose        bool
}

func parseFlags() *settings {
	s := &settings{}
	flag.StringVar(&s.listen, "l", "127.0.0.1:0", "address and port; port 0 picks a free one")
	flag.StringVar(&s.cert, "tlscert", "", "certificate (PEM); none: one is made at start")
	flag.StringVar(&s.key, "tlskey", "", "its key (PEM)")
	flag.StringVar(&s.username, "username", "broker@vsphere.local", "the one user who may log in")
	flag.StringVar(&s.password, "password", "", "the user's password; empty: $VCSIM_PASSWORD")
	flag.BoolVar(&s.esx, "esx", false, "be a single ESXi host instead of a vCenter")
	flag.IntVar(&s.datacenters, "dc", 1, "datacenters")
	flag.IntVar(&s.clusters, "cluster", 1, "clusters in each datacenter")
	flag.IntVar(&s.hosts, "host", 3, "hosts in each cluster")
	flag.IntVar(&s.standalone, "standalone-host", 0, "hosts outside clusters in each datacenter")
	flag.IntVar(&s.datastores, "ds", 2, "datastores in each datacenter")
	flag.IntVar(&s.portgroups, "pg", 1, "distributed port groups in each datacenter")
	flag.IntVar(&s.folders, "dc-folder", 0, "datacenters that lie in a folder, with folders inside")
	flag.IntVar(&s.vms, "vm", 0, "virtual machines in each cluster and on each standalone host")
	flag.StringVar(&s.templates, "template", "", "templates to make in the first datacenter, comma-separated: NAME or NAME:DISK_GB")
	flag.DurationVar(&s.sessionTimeout, "session-timeout", 0, "end sessions idle for this long; 0: never")
	flag.DurationVar(&s.taskLatency, "task-latency", 0, "show every task as running for this long")
	flag.IntVar(&s.pageMax, "page-max", 0, "objects in a page of properties, at most; 0: as many as the client asks")
	flag.IntVar(&s.extentsMax, "extents-max", extentsDefault, "extents in one answer of QueryChangedDiskAreas")
	flag.BoolVar(&s.tools, "tools", false, "guests have VMware Tools, which run while the machine does")
	flag.StringVar(&s.instanceUUID, "instance-uuid", "", "about.instanceUuid; empty: the library's, the same in every simulator")
	flag.BoolVar(&s.dieWithStdin, "die-with-stdin", false, "end when standard input closes")
	flag.BoolVar(&s.verbose, "verbose", false, "log what the library logs to standard error")
	flag.Parse()
	if flag.NArg() != 0 {
		fmt.Fprintf(os.Stderr, "vcsim: unexpected argument %q\n", flag.Arg(0))
		os.Exit(2)
	}
	if s.password == "" {
		s.password = os.Getenv("VCSIM_PASSWORD")
	}
	if s.password == "" {
		fmt.Fprintln(os.Stderr, "vcsim: a password is needed: -password or $VCSIM_PASSWORD")
		os.Exit(2)
	}
	return s
}

// ownCertificate makes a self-signed one for loopback names, as an appliance does at installation.
func ownCertificate() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: "vcsim"},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(30 * 24 * time.Hour),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames:     []string{"localhost"},
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}

func (s *settings) certificate() (tls.Certificate, error) {
	if s.cert == "" {
		return ownCertificate()
	}
	return tls.LoadX509KeyPair(s.cert, s.key)
}

func (s *settings) model() *simulator.Model {
	if s.esx {
		m := simulator.ESX()
		m.Machine, m.Datastore = s.vms, s.datastores
		return m
	}
	m := simulator.VPX()
	m.Datacenter, m.Cluster, m.ClusterHost, m.Host = s.datacenters, s.clusters, s.hosts, s.standalone
	m.Datastore, m.Machine, m.Portgroup, m.Folder = s.datastores, s.vms, s.portgroups, s.folders
	return m
}

// addTemplate makes a powered-off machine with one disk and one network card, and marks it a template.
func addTemplate(client *vim25.Client, name string, diskGB int64) error {
	ctx := context.Background()
	finder := find.NewFinder(client, false)
	dcs, err := finder.DatacenterList(ctx, "*")
	if err != nil {
		return err
	}
	finder.SetDatacenter(dcs[0])
	folders, err := dcs[0].Folders(ctx)
	if err != nil {
		return err
	}
	pools, err := finder.ResourcePoolList(ctx, "*")
	if err != nil {
		return err
	}
	networks, err := finder.NetworkList(ctx, "*")
	if err != nil {
		return err
	}
	backing, err := networks[0].EthernetCardBackingInfo(ctx)
	if err != nil {
		return err
	}
	var devices object.VirtualDeviceList
	scsi, err := devices.CreateSCSIController("pvscsi")
	if err != nil {
		return err
	}
	disk := devices.CreateDisk(scsi.(types.BaseVirtualController), types.ManagedObjectReference{}, "[LocalDS_0] "+name+"/"+name+".vmdk")
	disk.CapacityInKB = diskGB << 20
	nic, err := object.EthernetCardTypes().CreateEthernetCard("vmxnet3", backing)
	if err != nil {
		return err
	}
	devices = append(devices, scsi, disk, nic)
	config := types.VirtualMachineConfigSpec{
		Name:     name,
		GuestId:  string(types.VirtualMachineGuestOsIdentifierDebian10_64Guest),
		NumCPUs:  1,
		MemoryMB: 1024,
		Files:    &types.VirtualMachineFileInfo{VmPathName: "[LocalDS_0] " + name},
	}
	if config.DeviceChange, err = devices.ConfigSpec(types.VirtualDeviceConfigSpecOperationAdd); err != nil {
		return err
	}
	task, err := folders.VmFolder.CreateVM(ctx, config, pools[0], nil)
	if err != nil {
		return err
	}
	info, err := task.WaitForResult(ctx, nil)
	if err != nil {
		return err
	}
	return object.NewVirtualMachine(client, info.Result.(types.ManagedObjectReference)).MarkAsTemplate(ctx)
}

func (s *settings) addTemplates(client *vim25.Client) error {
	for _, item := range strings.Split(s.templates, ",") {
		if item == "" {
			continue
		}
		name, size := item, int64(1)
		if i := strings.LastIndexByte(item, ':'); i >= 0 {
			name = item[:i]
			if _, err := fmt.Sscanf(item[i+1:], "%d", &size); err != nil || size < 1 {
				return fmt.Errorf("template %q: the disk size is not a number of GB", item)
			}
		}
		if err := addTemplate(client, name, size); err != nil {
			return fmt.Errorf("template %q: %w", name, err)
		}
	}
	return nil
}

func run(s *settings) error {
	if !s.verbose {
		log.SetOutput(io.Discard)
	}
	simulator.SessionIdleTimeout = s.sessionTimeout
	model := s.model()
	defer model.Remove()
	if err := model.Create(); err != nil {
		return err
	}
	service := model.Service
	client, err := vim25.NewClient(context.Background(), service)
	if err != nil {
		return err
	}
	if err := s.addTemplates(client); err != nil {
		return err
	}
	if s.instanceUUID != "" {
		root := simulator.Map.Get(vim25.ServiceInstance).(*simulator.ServiceInstance)
		root.Content.About.InstanceUuid = s.instanceUUID
	}
	for _, entity := range simulator.Map.All("VirtualMachine") {
		if vm, ok := entity.(*simulator.VirtualMachine); ok {
			disksFill(vm, nil)
		}
	}
	extentsMax, guestTools = s.extentsMax, s.tools
	tagUplinks()
	installCollector(s.pageMax, s.taskLatency)

	certificate, err := s.certificate()
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", s.listen)
	if err != nil {
		return err
	}
	service.Listen = &url.URL{Scheme: "https", Host: listener.Addr().String(), User: url.UserPassword(s.username, s.password)}
	service.RegisterSDK(simulator.Map)
	service.ServeMux.HandleFunc("/nfc/", simulator.ServeNFC)
	simulator.Map.SessionManager().ServiceHostName = service.Listen.Host

	server := &http.Server{
		Handler:           newFront(service.ServeMux, client),
		TLSConfig:         &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12},
		TLSNextProto:      map[string]func(*http.Server, *tls.Conn, http.Handler){}, // HTTP/1.1, as vCenter's SOAP port
		ReadHeaderTimeout: 30 * time.Second,
		ErrorLog:          log.Default(),
	}
	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGTERM, syscall.SIGINT)
	if s.dieWithStdin {
		go func() {
			_, _ = io.Copy(io.Discard, os.Stdin)
			end <- syscall.SIGTERM
		}()
	}
	failed := make(chan error, 1)
	go func() { failed <- server.ServeTLS(listener, "", "") }()

	digest := sha256.Sum256(certificate.Certificate[0])
	ready := map[string]string{
		"url":         "https://" + listener.Addr().String() + "/sdk",
		"fingerprint": hex.EncodeToString(digest[:]),
	}
	if err := json.NewEncoder(os.Stdout).Encode(ready); err != nil {
		return err
	}
	select {
	case <-end:
		return server.Close()
	case err := <-failed:
		return err
	}
}

func main() {
	if err := run(parseFlags()); err != nil {
		fmt.Fprintf(os.Stderr, "vcsim: %s\n", err)
		os.Exit(1)
	}
}
