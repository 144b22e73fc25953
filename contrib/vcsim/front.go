// What stands before the library: it breaks on request, forgets sessions on request, and lets one changing call run at a
// time (the library has races that a real vCenter has not).
//
//	POST /__inject?method=PowerOnVM_Task&kind=drop&times=1&after=0   the next call of this method (empty: any), or that
//	after so many good ones, goes wrong; kinds:
//	  refuse          503 without a SOAP body, nothing done
//	  status:NUMBER   that HTTP status, nothing done
//	  drop            the connection closes, nothing done
//	  drop-after      the call is done, then the connection closes without an answer
//	  truncate        the answer ends in the middle
//	  garbage         200 with what is not XML
//	  huge:BYTES      200 with that many bytes of XML comment
//	  delay:MS        the call is done that much later
//	  fault:TYPE      a SOAP fault of that type, nothing done
//	  expire          every session that lives now is over, and then the call is made
//	POST /__reset     forgets injections
//	POST /__expire    every session that lives now is over
//	POST /__extents?max=N&gap=BYTES   extents in one answer of QueryChangedDiskAreas, and what it leaves out, wrongly
//	GET  /__calls     how often each method was called, as JSON
//
// Requests for files are the methods GetFile, HeadFile and PutFile here; folder.go has more control paths.
package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/vmware/govmomi/simulator"
	"github.com/vmware/govmomi/vim25/soap"
)

const requestMax = 4 << 20

type injection struct {
	method, kind string
	times, after int
}

type front struct {
	next     http.Handler
	operator soap.RoundTripper // who works at the vCenter itself
	calls    sync.RWMutex      // write: the call changes something

	mu      sync.Mutex
	planned []injection
	counts  map[string]int
	live    map[string]bool // session cookies: true while good
}

func newFront(next http.Handler, operator soap.RoundTripper) *front {
	return &front{next: next, operator: operator, counts: make(map[string]int), live: make(map[string]bool)}
}

var methodPattern = regexp.MustCompile(`Body[^>]*>\s*<(?:[A-Za-z0-9]+:)?([A-Za-z_0-9]+)`)
var typePattern = regexp.MustCompile(`^[A-Za-z]+$`)

var readingPrefixes = []string{"Retrieve", "ContinueRetrieve", "Find", "Query", "CurrentTime", "SessionIsActive"}

func reads(method string) bool {
	for _, prefix := range readingPrefixes {
		if strings.HasPrefix(method, prefix) {
			return true
		}
	}
	return false
}

func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, "/__") {
		f.control(w, r)
		return
	}
	f.checkCookie(r)
	if strings.HasPrefix(r.URL.Path, "/folder/") {
		method := strings.ToUpper(r.Method[:1]) + strings.ToLower(r.Method[1:]) + "File"
		f.count(method)
		f.call(w, r, method, nil)
		return
	}
	if r.URL.Path != "/sdk" {
		f.calls.Lock()
		defer f.calls.Unlock()
		f.next.ServeHTTP(w, r)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, requestMax))
	if err != nil {
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	method := ""
	if match := methodPattern.FindSubmatch(body); match != nil {
		method = string(match[1])
	}
	f.count(method)
	f.call(w, r, method, body)
}

func (f *front) count(method string) {
	f.mu.Lock()
	f.counts[method]++
	f.mu.Unlock()
}

// authenticated: whether the request has the cookie of a session that lives.
func (f *front) authenticated(r *http.Request) bool {
	cookie, err := r.Cookie(soap.SessionCookieName)
	if err != nil {
		return false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.live[cookie.Value]
}

// expire ends every session.
func (f *front) expire() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for cookie := range f.live {
		f.live[cookie] = false
	}
}

// checkCookie hides a cookie of a session that was ended by /__expire.
func (f *front) checkCookie(r *http.Request) {
	cookie, err := r.Cookie(soap.SessionCookieName)
	if err != nil {
		return
	}
	f.mu.Lock()
	good, known := f.live[cookie.Value]
	f.mu.Unlock()
	if known && !good {
		r.Header.Del("Cookie")
	}
}

func (f *front) take(method string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range f.planned {
		p := &f.planned[i]
		if p.times > 0 && (p.method == "" || p.method == method) {
			if p.after > 0 {
				p.after--
				continue
			}
			p.times--
			return p.kind
		}
	}
	return ""
}

func (f *front) call(w http.ResponseWriter, r *http.Request, method string, body []byte) {
	kind, detail := f.take(method), ""
	if i := strings.IndexByte(kind, ':'); i >= 0 {
		kind, detail = kind[:i], kind[i+1:]
	}
	switch kind {
	case "refuse":
		http.Error(w, "service unavailable", http.StatusServiceUnavailable)
	case "status":
		if status, err := strconv.Atoi(detail); err == nil && status >= 200 && status < 600 {
			http.Error(w, "as asked for", status)
		}
	case "drop":
		panic(http.ErrAbortHandler)
	case "drop-after":
		f.perform(&answer{header: make(http.Header)}, r, method, body)
		panic(http.ErrAbortHandler)
	case "truncate":
		a := &answer{header: make(http.Header)}
		f.perform(a, r, method, body)
		w.Header().Set("Content-Length", strconv.Itoa(a.body.Len()))
		_, _ = w.Write(a.body.Bytes()[:a.body.Len()/2])
		panic(http.ErrAbortHandler)
	case "garbage":
		_, _ = w.Write([]byte("\x00\xff<<<{]not xml&"))
	case "huge":
		huge(w, detail)
	case "fault":
		fault(w, detail)
	case "expire":
		f.expire()
		f.checkCookie(r)
		f.perform(w, r, method, body)
	case "delay":
		if ms, err := strconv.Atoi(detail); err == nil {
			select {
			case <-time.After(time.Duration(ms) * time.Millisecond):
			case <-r.Context().Done():
				return
			}
		}
		f.perform(w, r, method, body)
	default:
		f.perform(w, r, method, body)
	}
}

// perform runs the call in the library, with its completion when it has one.
func (f *front) perform(w http.ResponseWriter, r *http.Request, method string, body []byte) {
	if method == "WaitForUpdatesEx" || method == "CancelWaitForUpdates" {
		f.next.ServeHTTP(w, r)
		return
	}
	if strings.HasSuffix(method, "File") && body == nil {
		f.serveFolder(w, r)
		return
	}
	if method == "QueryChangedDiskAreas" {
		if !f.authenticated(r) {
			fault(w, "NotAuthenticated")
			return
		}
		f.calls.RLock()
		defer f.calls.RUnlock()
		queryChangedDiskAreas(w, body)
		return
	}
	if reads(method) {
		f.calls.RLock()
		defer f.calls.RUnlock()
		f.next.ServeHTTP(w, r)
		return
	}
	f.calls.Lock()
	defer f.calls.Unlock()
	if own, ok := ownTasks[method]; ok {
		if !f.authenticated(r) {
			fault(w, "NotAuthenticated")
			return
		}
		if task := own(body); task != nil {
			taskAnswer(w, method, task)
			return
		}
	}
	a := &answer{header: make(http.Header)}
	var after func()
	if completion, ok := completions[method]; ok {
		if done := completion.before(body); done != nil {
			after = func() {
				if task := answeredTask(a.body.Bytes()); task != nil {
					done(task)
				}
			}
		}
	}
	f.next.ServeHTTP(a, r)
	if after != nil {
		after()
	}
	f.rememberSession(a.header)
	if cookie, err := r.Cookie(soap.SessionCookieName); err == nil && method == "Logout" {
		f.mu.Lock()
		f.live[cookie.Value] = false
		f.mu.Unlock()
	}
	a.copyTo(w)
}

func (f *front) rememberSession(header http.Header) {
	for _, cookie := range (&http.Response{Header: header}).Cookies() {
		if cookie.Name == soap.SessionCookieName {
			f.mu.Lock()
			f.live[cookie.Value] = true
			f.mu.Unlock()
		}
	}
}

func (f *front) control(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/__write", "/__read":
		f.guestIO(w, r)
		return
	case "/__file":
		f.wholeFile(w, r)
		return
	case "/__power-on":
		f.powerOn(w, r)
		return
	case "/__expire":
		f.expire()
		return
	case "/__extents":
		max, err := strconv.Atoi(r.URL.Query().Get("max"))
		if err != nil || max < 1 {
			http.Error(w, "max is not a positive number", http.StatusBadRequest)
			return
		}
		gap, err := strconv.ParseInt(r.URL.Query().Get("gap"), 10, 64)
		if err != nil {
			gap = 0
		}
		f.calls.Lock()
		extentsMax, extentsGap = max, gap
		f.calls.Unlock()
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	query := r.URL.Query()
	switch r.URL.Path {
	case "/__inject":
		times, after := 1, 0
		for name, number := range map[string]*int{"times": &times, "after": &after} {
			text := query.Get(name)
			if text == "" {
				continue
			}
			n, err := strconv.Atoi(text)
			if err != nil || n < 1 {
				http.Error(w, name+" is not a positive number", http.StatusBadRequest)
				return
			}
			*number = n
		}
		if query.Get("kind") == "" {
			http.Error(w, "kind is missing", http.StatusBadRequest)
			return
		}
		f.planned = append(f.planned, injection{query.Get("method"), query.Get("kind"), times, after})
	case "/__reset":
		f.planned = nil
	case "/__calls":
		_ = json.NewEncoder(w).Encode(f.counts)
	default:
		http.NotFound(w, r)
	}
}

func huge(w http.ResponseWriter, detail string) {
	size, err := strconv.Atoi(detail)
	if err != nil {
		return
	}
	_, _ = w.Write([]byte("<?xml version=\"1.0\"?><!--"))
	block := bytes.Repeat([]byte("x"), 64<<10)
	for size > 0 {
		if _, err := w.Write(block); err != nil {
			return
		}
		size -= len(block)
	}
	_, _ = w.Write([]byte("--><a/>"))
}

func fault(w http.ResponseWriter, kind string) {
	if !typePattern.MatchString(kind) {
		kind = "SystemError"
	}
	faultWith(w, kind, "injected "+kind, "")
}

// faultWith: `inner` is XML, what is in the fault.
func faultWith(w http.ResponseWriter, kind, message, inner string) {
	w.Header().Set("Content-Type", "text/xml; charset=utf-8")
	w.WriteHeader(http.StatusInternalServerError)
	fmt.Fprintf(w, `<?xml version="1.0" encoding="UTF-8"?><soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" `+
		`xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><soapenv:Body><soapenv:Fault><faultcode>ServerFaultCode</faultcode>`+
		`<faultstring>%[2]s</faultstring><detail><%[1]sFault xmlns="urn:vim25" xsi:type="%[1]s">%[3]s</%[1]sFault></detail></soapenv:Fault></soapenv:Body></soapenv:Envelope>`,
		kind, message, inner)
}

func taskAnswer(w http.ResponseWriter, method string, task *simulator.Task) {
	w.Header().Set("Content-Type", "text/xml; charset=utf-8")
	fmt.Fprintf(w, `<?xml version="1.0" encoding="UTF-8"?><soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"><soapenv:Body>`+
		`<%[1]sResponse xmlns="urn:vim25"><returnval type="Task">%[2]s</returnval></%[1]sResponse></soapenv:Body></soapenv:Envelope>`, method, task.Run().Value)
}

// answer holds what the library answers until it is sent.
type answer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (a *answer) Header() http.Header { return a.header }

func (a *answer) WriteHeader(status int) { a.status = status }

func (a *answer) Write(data []byte) (int, error) { return a.body.Write(data) }

func (a *answer) copyTo(w http.ResponseWriter) {
	for name, values := range a.header {
		w.Header()[name] = values
	}
	if a.status != 0 {
		w.WriteHeader(a.status)
	}
	_, _ = w.Write(a.body.Bytes())
}
