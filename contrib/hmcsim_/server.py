"""HTTPS, sessions and faults: what stands between a client and the routes."""
import http.server
import json
import re
import socket
import ssl
import threading
import time
import urllib.parse

from . import schema
from .routes import Answer, Request
from .xmlout import Refusal, document, error_body, leaf, payload

BODY_MAX = 8 * 1024 * 1024
IDLE_SECONDS = 120


class Accounts:
    """One account; three bad passwords lock it, and trying while it is locked locks it anew."""

    def __init__(self, options):
        self.options, self.bad, self.locked_until, self.lock = options, 0, 0.0, threading.Lock()
        self.logons = self.refused = 0

    def check(self, name, password):
        with self.lock:
            self.logons += 1
            now = time.monotonic()
            if now < self.locked_until:
                self.refused += 1
                self.locked_until = now + self.options.lock_seconds
                raise Refusal(401, "REST0013", "The account is locked after too many failed logons.")
            if name == self.options.user and password == self.options.password:
                self.bad = 0
                return
            self.refused += 1
            self.bad += 1
            if self.bad >= 3:
                self.bad, self.locked_until = 0, now + self.options.lock_seconds
            raise Refusal(401, "REST0013", "The user name or password is not valid.")


class Faults:
    """Faults that were asked for, each for so many matching requests."""
    KINDS = {"503", "412", "500", "drop", "drop-after", "truncate", "delay", "garbage", "hang", "huge", "job-fail",
             "session-loss"}

    def __init__(self):
        self.lock, self.list, self.log = threading.Lock(), [], []

    def add(self, wanted):
        fault = {"method": "*", "path": "", "kind": None, "times": 1, "skip": 0, "seconds": 1.0, "code": "HSCL3205",
                 **wanted}
        if fault["kind"] not in self.KINDS or set(fault) - {"method", "path", "kind", "times", "skip", "seconds", "code"}:
            raise ValueError("kind is one of %s" % ", ".join(sorted(self.KINDS)))
        fault["pattern"] = re.compile(fault["path"])
        with self.lock:
            self.list.append(fault)

    def take(self, method, path):
        with self.lock:
            self.log.append(method + " " + path)
            for fault in self.list:
                if fault["method"] in ("*", method) and fault["pattern"].search(path):
                    if fault["skip"] > 0:
                        fault["skip"] -= 1
                        continue
                    fault["times"] -= 1
                    if fault["times"] <= 0:
                        self.list.remove(fault)
                    return fault
        return None


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = IDLE_SECONDS
    server_version, sys_version = "hmcsim", ""

    def setup(self):
        self.request.settimeout(10)
        try:
            self.request.do_handshake()
        except (ssl.SSLError, OSError):
            self.request.close()
            raise ConnectionAbortedError("no TLS handshake") from None
        super().setup()

    def log_message(self, *_):
        pass

    def any_method(self):
        length = self.headers.get("Content-Length", "0")
        if not length.isdigit() or int(length) > BODY_MAX or "Transfer-Encoding" in self.headers:
            self.close_connection = True
            return self.reply(Answer(413, error_body(413, self.path, "REST0001", "The body is too large.")))
        body = self.rfile.read(int(length))
        if self.path.startswith("/__"):
            return self.control(body)
        fault = self.server.faults.take(self.command, self.path)
        if fault and self.misbehave(fault):
            return None
        try:
            answer = self.route(body)
        except Refusal as refusal:
            answer = Answer(refusal.status, error_body(refusal.status, self.path, refusal.code, refusal.message))
        return self.reply(answer, fault["kind"] if fault else None)

    do_GET = do_PUT = do_POST = do_DELETE = do_PATCH = do_HEAD = any_method

    # faults

    def misbehave(self, fault):
        """True when the fault was the whole answer; some only change what follows."""
        kind, world = fault["kind"], self.server.world
        if kind in ("412", "503", "500"):
            code = {"412": "REST0137", "503": "REST0096", "500": "REST0126"}[kind]
            self.reply(Answer(int(kind), error_body(int(kind), self.path, code, fault["code"] + " A fault was asked for.")))
            return True
        if kind == "drop":
            self.close_connection = True
            return True
        if kind == "hang":
            self.server.stopping.wait(fault["seconds"])
            self.close_connection = True
            return True
        if kind == "garbage":
            self.reply(Answer(200, b"<entry><unclosed>\x01\x02 not xml"))
            return True
        if kind == "huge":
            self.reply(Answer(200, b"<entry>" + b" " * (80 * 1024 * 1024) + b"</entry>"))
            return True
        if kind == "delay":
            self.server.stopping.wait(fault["seconds"])
        if kind == "job-fail":
            with world.lock:
                world.failing_jobs += 1
        if kind == "session-loss":
            self.end_sessions()
        return False

    def end_sessions(self):
        world = self.server.world
        with world.lock:
            for session in world.sessions.values():
                session.lost = True
            world.sessions.clear()
            world.news.notify_all()

    def reply(self, answer, fault=None):
        if fault == "drop-after":
            self.close_connection = True
            return
        try:
            self.send_response(answer.status)
            self.send_header("X-Transaction-ID", "XT10000001")
            if answer.etag is not None:
                self.send_header("ETag", answer.etag)
            if answer.status not in (204, 304):
                self.send_header("Content-Type", answer.content_type)
                self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            body = answer.body
            if fault == "truncate":
                body, self.close_connection = body[:len(body) // 2], True
            if answer.status not in (204, 304) and self.command != "HEAD":
                self.wfile.write(body)
            self.wfile.flush()
        except OSError:
            self.close_connection = True  # the client is gone

    # the web and uom parts

    def route(self, body):
        world, url = self.server.world, urllib.parse.urlsplit(self.path)
        if url.path == "/rest/api/web/Logon" and self.command == "PUT":
            return self.logon(body)
        token = self.headers.get("X-API-Session")
        with world.lock:
            if token not in world.sessions:
                raise Refusal(401, "REST0011", "There is no session, or it has ended.")
            if url.path == "/rest/api/web/Logon" and self.command == "DELETE":
                world.sessions.pop(token).lost = True
                world.news.notify_all()
                return Answer(204)
            if not url.path.startswith("/rest/api/uom/"):
                raise Refusal(404, "REST0005", "There is nothing at this address.")
            self.check_type(url.path)
            request = Request(self.command, url.path, urllib.parse.parse_qs(url.query), self.headers, body, token)
            return self.server.routes.dispatch(request)

    def check_type(self, path):
        """A write names what it carries: uom+xml; type=T, or a JobRequest under /do/."""
        if self.command not in ("PUT", "POST") or path.endswith("/cancel"):
            return
        given = self.headers.get("Content-Type", "").replace(" ", "")
        names = [n for n in path.split("/") if n and n[0].isupper() and "-" not in n]
        kind, space = ("JobRequest", "web") if "/do/" in path else (names[-1], "uom")
        if given != "application/vnd.ibm.powervm.%s+xml;type=%s" % (space, kind):
            raise Refusal(415, "REST0004", "The Content-Type of this request must name the type %s." % kind)

    def logon(self, body):
        given = self.headers.get("Content-Type", "").replace(" ", "")
        if given != "application/vnd.ibm.powervm.web+xml;type=LogonRequest":
            raise Refusal(415, "REST0004", "The Content-Type must name the type LogonRequest.")
        read = schema.read_document(body, "LogonRequest", "web")
        self.server.accounts.check(schema.text_of(read, "UserID"), schema.text_of(read, "Password"))
        with self.server.world.lock:
            token = self.server.world.open_session()
        name, attributes, children = payload("LogonResponse", [leaf("X-API-Session", token)], space="web")
        attributes = {k: v for k, v in attributes.items() if k != "xmlns:LogonResponse"}
        return Answer(200, document(("LogonResponse", attributes, children)),
                      "application/vnd.ibm.powervm.web+xml; type=LogonResponse")

    # the tester's own door

    def control(self, body):
        world, path = self.server.world, self.path
        try:
            wanted = json.loads(body) if body else {}
            if self.command == "POST" and path == "/__inject":
                self.server.faults.add(wanted)
            elif self.command == "POST" and path == "/__clear":
                with self.server.faults.lock:
                    self.server.faults.list.clear()
                    self.server.faults.log.clear()
            elif self.command == "POST" and path == "/__set":
                self.set(wanted)
            elif self.command == "POST" and path == "/__migrate":
                self.plan_migration(wanted)
            elif self.command == "POST" and path == "/__forget":
                with world.lock:
                    partition = next(p for p in world.partitions.values() if p.name == wanted["partition"])
                    partition.state = "not activated"
                    world.delete_partition(partition)
            elif self.command == "GET" and path == "/__state":
                with world.lock:
                    return self.reply(self.as_json(self.state()))
            else:
                return self.reply(self.as_json({"error": "no such control"}, 404))
        except (ValueError, KeyError, TypeError, StopIteration, re.error) as error:
            return self.reply(self.as_json({"error": str(error)}, 400))
        return self.reply(self.as_json({}))

    def as_json(self, value, status=200):
        return Answer(status, json.dumps(value).encode(), "application/json")

    def set(self, wanted):
        """What happens without the HMC's help to a partition, a managed system or a Virtual I/O Server."""
        world = self.server.world
        if "partition" in wanted:
            return self.set_partition(wanted)
        with world.lock:
            kind, members = ("system", {"state", "link", "modes", "region", "migrations", "memory", "processors"})
            things = world.systems.values()
            if "server" in wanted:
                kind, members, things = "server", {"mover"}, world.servers.values()
            unknown = set(wanted) - members - {kind}
            if unknown:
                raise ValueError("not a member of a %s: %s" % (kind, ", ".join(sorted(unknown))))
            thing = next(t for t in things if wanted[kind] in (t.uuid, t.name))
            thing.__dict__.update({k: v for k, v in wanted.items() if k != kind})
            return None

    def plan_migration(self, wanted):
        """{"partition": name, "at": percent, "how": "fail", "lost" or "hold"} for its next migration; {"partition": name,
        "resume": true} for one that is held."""
        world, name = self.server.world, wanted["partition"]
        with world.lock:
            if wanted.get("resume"):
                self.server.routes.jobs.migrations.resume(next(p for p in world.everywhere() if p.name == name))
            elif wanted["how"] in ("fail", "lost", "hold"):
                world.plans[name] = {"at": int(wanted["at"]), "how": wanted["how"]}
            else:
                raise ValueError("how is fail, lost or hold")

    def set_partition(self, wanted):
        """What happens to a partition without the HMC's help: {"partition": name, "state": …, "rmc": …}."""
        world = self.server.world
        with world.lock:
            partition = next(p for p in world.partitions.values() if p.name == wanted["partition"])
            if "state" in wanted:
                world.set_state(partition, wanted["state"], "B2000000")
            partition.__dict__.update({k: wanted[k] for k in ("mode", "autostart", "physical") if k in wanted})
            if "rmc" in wanted:
                partition.rmc = wanted["rmc"]
                world.tell("MODIFY_URI", partition, "RMCState,Other")

    def state(self):
        world = self.server.world
        return {
            "sessions": len(world.sessions), "logons": self.server.accounts.logons,
            "refused_logons": self.server.accounts.refused, "jobs": len(world.jobs),
            "requests": list(self.server.faults.log),
            "partitions": [{"name": p.name, "uuid": p.uuid, "state": p.state, "rmc": p.rmc, "memory": p.memory,
                            "processors": p.processors, "units": p.units, "description": p.description,
                            "autostart": p.autostart,
                            "adapters": len(p.adapters), "system": p.system.name, "boots": p.boots,
                            "migration": p.migration_state, "percent": p.migration.percent if p.migration else None}
                           for p in world.everywhere()],
            "servers": list(world.servers),
            "systems": [{"name": s.name, "uuid": s.uuid, "shells": len(s.shells)} for s in world.systems.values()],
            "units": [{"name": u.name, "udid": u.udid, "size": u.size, "kind": u.kind, "pool": u.pool.name,
                       "thin": u.thin, "cloned_from": u.cloned_from, "used": len(world.users_of(u))}
                      for p in world.pools.values() for u in p.units],
            "mappings": [{"server": s.uuid, "system": s.system.name, "partition": m.partition.name if m.partition else None,
                          "storage": m.storage.name if m.storage else None}
                         for s in world.servers.values() for m in s.mappings]}


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, address, context):
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        super().__init__(address, Handler)
        self.context, self.faults, self.stopping = context, Faults(), threading.Event()
        self.world = self.routes = self.accounts = None

    def get_request(self):
        connection, address = super().get_request()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return self.context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False), address

    def handle_error(self, request, client_address):
        """Connections break all the time in tests; a bug of the simulator itself must be seen."""
        import sys
        import traceback
        if not isinstance(sys.exc_info()[1], (OSError, ssl.SSLError)):
            traceback.print_exc()
