"""Builds the XML that an HMC answers with: Atom around payloads whose root carries its own name as prefix.

A node is (name, attributes, content); content is a text, None, or a list of nodes. Nothing is ever formatted by hand.
"""
import uuid
import zlib
from datetime import datetime, timezone
from xml.sax.saxutils import escape, quoteattr

ATOM = "http://www.w3.org/2005/Atom"
FIRMWARE = "http://www.ibm.com/xmlns/systems/power/firmware/%s/mc/2012_10/"
K2 = "http://www.w3.org/XML/1998/namespace/k2"
VENDOR = "IBM Power Systems Management Console"


def leaf(name, value, kb="ROR", **more):
    """A simple element with the attributes that a real HMC puts on each."""
    return (name, {"kb": kb, "kxe": "false", **more}, None if value is None else str(value))


def ref(name, href, kb="CUD"):
    return (name, {"kb": kb, "kxe": "false", "href": href, "rel": "related"}, None)


def links(name, hrefs, kb="CUD"):
    return (name, {"kb": kb, "kxe": "false"}, [("link", {"href": h, "rel": "related"}, None) for h in hrefs])


def part(name, children, kb="CUD", **more):
    """A complex element: has its own schemaVersion and Metadata."""
    attributes = {"kb": kb, "kxe": "false"} if kb else {}
    return (name, {**attributes, **more, "schemaVersion": "V1_0"}, [METADATA, *children])


METADATA = ("Metadata", {}, [("Atom", {}, None)])


def render(node, depth=0):
    name, attributes, content = node
    pad = "    " * depth
    head = pad + "<" + name + "".join(" %s=%s" % (k, quoteattr(str(v))) for k, v in attributes.items())
    if content is None or content == []:
        return head + "/>\n"
    if isinstance(content, str):
        return "%s>%s</%s>\n" % (head, escape(content), name)
    return "%s>\n%s%s</%s>\n" % (head, "".join(render(n, depth + 1) for n in content), pad, name)


def payload(kind, children, ident=None, space="uom"):
    """The typed root inside <content>: prefixed by its own name, children in the default namespace."""
    space = FIRMWARE % space
    atom = [("AtomID", {}, ident), ("AtomCreated", {}, "1700000000000")] if ident else None
    return (kind + ":" + kind, {"xmlns:" + kind: space, "xmlns": space, "xmlns:ns2": K2, "schemaVersion": "V1_0"},
            [("Metadata", {}, [("Atom", {}, atom)]), *children])


def etag_of(root, group):
    """Unquoted signed 32-bit number; depends on the group that was asked for, as on a real HMC."""
    value = zlib.crc32((render(root) + "|" + group).encode())
    return str(value - (1 << 32) if value & (1 << 31) else value)


def stamp():
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds")


def entry(kind, ident, selves, root, etag, console=None, space="uom", namespaces=True):
    atom = {"xmlns": ATOM, "xmlns:ns2": "http://a9.com/-/spec/opensearch/1.1/",
            "xmlns:ns3": "http://www.w3.org/1999/xhtml"} if namespaces else {}
    uom = FIRMWARE % "uom"
    children = [("id", {}, ident), ("title", {}, kind), ("published", {}, stamp())]
    children += [("link", {"rel": "SELF", "href": href}, None) for href in selves]
    if console:
        children.append(("link", {"rel": "MANAGEMENT_CONSOLE", "href": console}, None))
    children.append(("author", {}, [("name", {}, VENDOR)]))
    if etag is not None:
        children.append(("etag:etag", {"xmlns:etag": uom, "xmlns": uom}, etag))
    children.append(("content", {"type": "application/vnd.ibm.powervm.%s+xml; type=%s" % (space, kind)}, [root]))
    return ("entry", atom, children)


def feed(self_href, entries, console=None):
    children = [("id", {}, str(uuid.uuid4())), ("updated", {}, stamp()),
                ("link", {"rel": "SELF", "href": self_href}, None)]
    if console:
        children.append(("link", {"rel": "MANAGEMENT_CONSOLE", "href": console}, None))
    children.append(("generator", {}, VENDOR))
    return ("feed", {"xmlns": ATOM, "xmlns:ns2": "http://a9.com/-/spec/opensearch/1.1/",
                     "xmlns:ns3": "http://www.w3.org/1999/xhtml"}, children + entries)


def document(node):
    """Real bodies start with a line end and have no XML declaration."""
    return ("\n" + render(node)).encode()


def error_body(status, uri, code, message):
    root = payload("HttpErrorResponse", [
        leaf("HTTPStatus", status), leaf("RequestURI", uri), leaf("ReasonCode", code), leaf("Message", message),
        leaf("RequestBody", None), leaf("RequestHeaders", None)], space="web")
    return document(entry("HttpErrorResponse", str(uuid.uuid4()), [], root, None, space="web"))


class Refusal(Exception):
    """An answer that is an error: HTTP status, the HMC's reason code, its text."""

    def __init__(self, status, code, message):
        super().__init__(message)
        self.status, self.code, self.message = status, code, message
