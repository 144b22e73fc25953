// The property collector of a real vCenter on top of the library's: answers in pages, and tasks that take their time.
// One is made for each session by the library (which copies the type, not the value), so settings are the package's.
package main

import (
	"strconv"
	"sync"
	"time"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25"
	"github.com/vmware/govmomi/vim25/methods"
	"github.com/vmware/govmomi/vim25/soap"
	"github.com/vmware/govmomi/vim25/types"
)

var collectorPageMax int
var collectorTaskLatency time.Duration

type collector struct {
	simulator.PropertyCollector

	mu      sync.Mutex
	rest    map[string]remainder
	tokens  int
	pending []pendingTask // shown as running to a waiter; the truth comes later
}

// remainder is what a token stands for: the objects not yet told, and how many the client wants at once.
type remainder struct {
	objects []types.ObjectContent
	max     int
}

type pendingTask struct {
	filter types.ManagedObjectReference
	task   types.ManagedObjectReference
	until  time.Time
}

// installCollector puts the paging collector in the library's place.
func installCollector(pageMax int, taskLatency time.Duration) {
	collectorPageMax, collectorTaskLatency = pageMax, taskLatency
	c := &collector{}
	root := simulator.Map.Get(vim25.ServiceInstance).(*simulator.ServiceInstance)
	c.Self = root.Content.PropertyCollector
	simulator.Map.Put(c)
}

// page keeps what exceeds the page and names it by a token that works once, in this session.
func (c *collector) page(objects []types.ObjectContent, max int) ([]types.ObjectContent, string) {
	if max <= 0 || (collectorPageMax > 0 && collectorPageMax < max) {
		max = collectorPageMax
	}
	if max <= 0 || len(objects) <= max {
		return objects, ""
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.rest == nil {
		c.rest = make(map[string]remainder)
	}
	c.tokens++
	token := strconv.Itoa(c.tokens)
	c.rest[token] = remainder{objects[max:], max}
	return objects[:max], token
}

func (c *collector) RetrievePropertiesEx(ctx *simulator.Context, r *types.RetrievePropertiesEx) soap.HasFault {
	res := c.PropertyCollector.RetrievePropertiesEx(ctx, r)
	body, ok := res.(*methods.RetrievePropertiesExBody)
	if !ok || body.Res == nil || body.Res.Returnval == nil {
		return res
	}
	for i := range body.Res.Returnval.Objects {
		object := &body.Res.Returnval.Objects[i]
		for j := range object.PropSet {
			object.PropSet[j].Val, _ = veil(object.Obj, object.PropSet[j].Name, object.PropSet[j].Val)
		}
	}
	body.Res.Returnval.Objects, body.Res.Returnval.Token = c.page(body.Res.Returnval.Objects, int(r.Options.MaxObjects))
	return res
}

func (c *collector) ContinueRetrievePropertiesEx(ctx *simulator.Context, r *types.ContinueRetrievePropertiesEx) soap.HasFault {
	body := &methods.ContinueRetrievePropertiesExBody{}
	c.mu.Lock()
	rest, ok := c.rest[r.Token]
	delete(c.rest, r.Token)
	c.mu.Unlock()
	if !ok {
		body.Fault_ = simulator.Fault("the token is not known", &types.InvalidArgument{InvalidProperty: "token"})
		return body
	}
	body.Res = &types.ContinueRetrievePropertiesExResponse{}
	body.Res.Returnval.Objects, body.Res.Returnval.Token = c.page(rest.objects, rest.max)
	return body
}

func (c *collector) CancelRetrievePropertiesEx(ctx *simulator.Context, r *types.CancelRetrievePropertiesEx) soap.HasFault {
	c.mu.Lock()
	delete(c.rest, r.Token)
	c.mu.Unlock()
	return &methods.CancelRetrievePropertiesExBody{Res: &types.CancelRetrievePropertiesExResponse{}}
}

func (c *collector) CreatePropertyCollector(ctx *simulator.Context, r *types.CreatePropertyCollector) soap.HasFault {
	own := &collector{}
	own.Self.Type = "PropertyCollector"
	return &methods.CreatePropertyCollectorBody{
		Res: &types.CreatePropertyCollectorResponse{Returnval: ctx.Session.Put(own).Reference()},
	}
}

// WaitForUpdatesEx shows a task as running first and comes back with the truth when its time is up.
func (c *collector) WaitForUpdatesEx(ctx *simulator.Context, r *types.WaitForUpdatesEx) soap.HasFault {
	if set := c.unveil(r); set != nil {
		return &methods.WaitForUpdatesExBody{Res: &types.WaitForUpdatesExResponse{Returnval: set}}
	}
	res := c.PropertyCollector.WaitForUpdatesEx(ctx, r)
	body, ok := res.(*methods.WaitForUpdatesExBody)
	if !ok || body.Res == nil || body.Res.Returnval == nil {
		return res
	}
	for _, filter := range body.Res.Returnval.FilterSet {
		for _, object := range filter.ObjectSet {
			for i := range object.ChangeSet {
				val, until := veil(object.Obj, object.ChangeSet[i].Name, object.ChangeSet[i].Val)
				object.ChangeSet[i].Val = val
				if !until.IsZero() {
					c.mu.Lock()
					c.pending = append(c.pending, pendingTask{filter.Filter, object.Obj, until})
					c.mu.Unlock()
				}
			}
		}
	}
	return res
}

// unveil waits for the first pending task, at most as long as the caller would; nil when none is pending.
func (c *collector) unveil(r *types.WaitForUpdatesEx) *types.UpdateSet {
	c.mu.Lock()
	if r.Version == "" || len(c.pending) == 0 {
		c.mu.Unlock()
		return nil
	}
	next := c.pending[0]
	c.pending = c.pending[1:]
	c.mu.Unlock()
	time.Sleep(time.Until(next.until))
	task, ok := simulator.Map.Get(next.task).(*simulator.Task)
	if !ok {
		return nil
	}
	return &types.UpdateSet{Version: r.Version, FilterSet: []types.PropertyFilterUpdate{{
		Filter: next.filter,
		ObjectSet: []types.ObjectUpdate{{
			Kind: types.ObjectUpdateKindModify,
			Obj:  next.task,
			ChangeSet: []types.PropertyChange{{
				Op: types.PropertyChangeOpAssign, Name: "info", Val: task.Info,
			}},
		}},
	}}}
}

// veil makes a finished task look as it did before: running, half done, without a result.
func veil(ref types.ManagedObjectReference, name string, val types.AnyType) (types.AnyType, time.Time) {
	info, ok := val.(types.TaskInfo)
	if !ok || ref.Type != "Task" || name != "info" || info.CompleteTime == nil {
		return val, time.Time{}
	}
	until := info.CompleteTime.Add(collectorTaskLatency)
	left := time.Until(until)
	if left <= 0 {
		return val, time.Time{}
	}
	done := collectorTaskLatency - left
	info.State, info.Result, info.Error, info.CompleteTime = types.TaskInfoStateRunning, nil, nil, nil
	info.Cancelable = false
	info.Progress = int32(100 * done / collectorTaskLatency)
	return info, until
}
