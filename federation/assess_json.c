/* An assessment as JSON: the report, and what the providers said that it rests on; see assess_facts.h. */
#include "broker/base/json.h"
#include "federation/assess_facts.h"

static void put_side(json_t *json, const char *name, const struct assess_side *side)
{
    json_t *object = json_object();
    json_put_text(object, "cloud", side->cloud);
    json_put_text(object, "provider", side->provider);
    json_put_text(object, "site", side->site);
    json_put_text(object, "zone", side->zone);
    json_put_text(object, "zone_kind", side->zone_kind);
    json_put_text(object, "driver", side->driver);
    json_put_text(object, "product", side->product);
    json_put(json, name, object);
}

static json_t *findings_json(const struct assess_report *report)
{
    json_t *list = json_array();
    for (size_t i = 0; i < report->count; i++) {
        const struct assess_finding *finding = &report->findings[i];
        const struct assess_rule_text *text = assess_rule_text(finding->rule);
        json_t *json = json_object();
        json_put_text(json, "id", text->id);
        json_put_text(json, "severity", assess_severity_name(text->severity));
        json_put_text(json, "title", text->title);
        json_put_text(json, "subject", finding->subject);
        json_put_text(json, "evidence", finding->evidence);
        json_put_text(json, "remedy", text->remedy);
        json_put_text(json, "clause", text->clause);
        json_push(list, json);
    }
    return list;
}

static json_t *methods_json(const struct assess_report *report)
{
    json_t *list = json_array();
    for (int i = 0; i < ASSESS_METHOD_COUNT; i++) {
        const struct assess_way *way = &report->ways[i];
        json_t *json = json_object();
        json_put_text(json, "method", assess_method_name((enum assess_method)i));
        json_put_bool(json, "possible", way->possible);
        json_put_text(json, "reason", way->reason);
        if (way->possible) {
            json_put_int(json, "copy_seconds", way->copy_us / MOMENT_SECOND);
            json_put_int(json, "downtime_ms", way->downtime_us / 1000);
        }
        json_push(list, json);
    }
    return list;
}

static json_t *assumptions_json(const struct assess_facts *facts, const struct assess_report *report)
{
    json_t *json = json_object();
    json_put_int(json, "rate_bytes_per_second", report->rate_bytes_s);
    json_put_bool(json, "bandwidth_told", facts->bandwidth_bytes_s > 0);
    json_put_int(json, "change_bytes_per_second", report->change_bytes_s);
    json_put_bool(json, "change_told", facts->change_bytes_s > 0);
    json_put_int(json, "disk_read_bytes_per_second", ASSESS_READ_BYTES_S);
    json_put_int(json, "fixed_downtime_seconds", report->fixed_us / MOMENT_SECOND);
    json_put_int(json, "proof_seconds", report->proof_us / MOMENT_SECOND);
    if (facts->window_us)
        json_put_int(json, "window_seconds", facts->window_us / MOMENT_SECOND);
    return json;
}

static json_t *prices_json(const struct assess_facts *facts)
{
    json_t *json = json_object();
    if (facts->before_fen >= 0)
        json_put_yuan(json, "before_yuan", facts->before_fen);
    if (facts->after_fen >= 0)
        json_put_yuan(json, "after_yuan", facts->after_fen);
    if (facts->before_fen >= 0 && facts->after_fen >= 0)
        json_put_yuan(json, "difference_yuan", facts->after_fen - facts->before_fen);
    json_put_text(json, "missing", facts->price_missing);
    return json;
}

json_t *assess_report_json(const struct assess_facts *facts, const struct assess_report *report)
{
    json_t *json = json_object();
    json_put_text(json, "instance", facts->id);
    json_put_text(json, "name", facts->name);
    json_put_text(json, "unit", facts->unit);
    json_put_text(json, "system", facts->system);
    json_put_text(json, "kind", assess_kind_name(facts->kind));
    json_put_text(json, "architecture", facts->architecture);
    json_put_int(json, "vcpu", facts->vcpu);
    json_put_int(json, "memory_mb", (int64_t)facts->memory_mb);
    json_put_int(json, "disk_bytes", (int64_t)report->disk_bytes);
    put_side(json, "from", &facts->source);
    put_side(json, "to", &facts->target);
    json_put_bool(json, "movable", report->movable);
    if (report->movable)
        json_put_text(json, "preferred", assess_method_name(report->preferred));
    json_put_int(json, "blockers", (int64_t)report->blockers);
    json_put_int(json, "warnings", (int64_t)report->warnings);
    json_put(json, "findings", findings_json(report));
    json_put(json, "methods", methods_json(report));
    json_put(json, "assumptions", assumptions_json(facts, report));
    json_put(json, "month", prices_json(facts));
    json_put_text(json, "consent", facts->consent);
    return json;
}

static json_t *disk_json(const struct driver_disk *disk)
{
    json_t *json = json_object();
    json_put_text(json, "name", disk->name);
    json_put_text(json, "volume", disk->volume_id);
    json_put_text(json, "ref", disk->ref);
    json_put_text(json, "format", disk->format);
    json_put_int(json, "size_bytes", (int64_t)disk->size_bytes);
    json_put_bool(json, "boot", disk->boot);
    json_put_bool(json, "high_performance", disk->high_performance);
    json_put_bool(json, "removable", disk->removable);
    json_put_text(json, "unreadable", disk->unreadable);
    json_put_text(json, "untracked", disk->untracked);
    return json;
}

static json_t *texts_json(const char *const *texts, size_t count)
{
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++)
        json_push(list, json_string(texts[i]));
    return list;
}

static json_t *adapter_json(const struct driver_adapter *adapter)
{
    json_t *json = json_object();
    json_put_text(json, "network", adapter->network);
    json_put_text(json, "mac", adapter->mac);
    json_put_text(json, "model", adapter->model);
    return json;
}

static json_t *source_json(const struct assess_facts *facts)
{
    static const char *const firmware[] = {"unknown", "bios", "uefi", "uefi-secure", "open"};
    const struct driver_detail *d = facts->detail;
    json_t *json = json_object(), *disks = json_array(), *adapters = json_array();
    if (!d) {
        json_put(json, "disks", disks);
        json_decref(adapters);
        json_put_text(json, "error", facts->detail_error);
        return json;
    }
    for (size_t i = 0; i < d->disk_count; i++)
        json_push(disks, disk_json(&d->disks[i]));
    for (size_t i = 0; i < d->adapter_count; i++)
        json_push(adapters, adapter_json(&d->adapters[i]));
    json_put_text(json, "ref", d->instance.ref);
    json_put_text(json, "name", d->instance.name);
    json_put_text(json, "host", d->instance.host);
    json_put_text(json, "address", d->instance.address);
    json_put_text(json, "architecture", d->instance.architecture);
    json_put_int(json, "power", d->instance.power);
    json_put_text(json, "firmware", firmware[d->firmware]);
    json_put_text(json, "machine", d->machine);
    json_put_text(json, "guest_os", d->guest_os);
    json_put(json, "disks", disks);
    json_put(json, "adapters", adapters);
    json_put(json, "snapshots", texts_json(d->snapshots, d->snapshot_count));
    json_put(json, "passthrough", texts_json(d->passthrough, d->passthrough_count));
    json_put_bool(json, "fenced", d->fenced);
    json_put_bool(json, "agent", d->agent);
    return json;
}

static json_t *target_json(const struct assess_facts *facts)
{
    const struct driver_inventory *inventory = facts->inventory;
    json_t *json = json_object(), *hosts = json_array(), *pools = json_array(), *networks = json_array();
    for (size_t i = 0; inventory && i < inventory->host_count; i++) {
        json_t *host = json_object();
        json_put_text(host, "name", inventory->hosts[i].name);
        json_put_text(host, "architecture", inventory->hosts[i].architecture);
        json_put_int(host, "cores", inventory->hosts[i].cores);
        json_put_int(host, "memory_mb", (int64_t)inventory->hosts[i].memory_mb);
        json_put_bool(host, "usable", inventory->hosts[i].usable);
        json_push(hosts, host);
    }
    for (size_t i = 0; inventory && i < inventory->pool_count; i++) {
        json_t *pool = json_object();
        json_put_text(pool, "name", inventory->pools[i].name);
        json_put_bool(pool, "high_performance", inventory->pools[i].high_performance);
        json_put_int(pool, "total_gb", (int64_t)inventory->pools[i].total_gb);
        json_put_int(pool, "free_gb", (int64_t)inventory->pools[i].free_gb);
        json_push(pools, pool);
    }
    for (size_t i = 0; inventory && i < inventory->network_count; i++)
        json_push(networks, json_string(inventory->networks[i].name));
    json_put_text(json, "endpoint", facts->target.endpoint);
    json_put_text(json, "product", facts->target.product);
    json_put_text(json, "error", facts->target_error);
    json_put(json, "hosts", hosts);
    json_put(json, "pools", pools);
    json_put(json, "networks", networks);
    return json;
}

json_t *assess_answers_json(const struct assess_facts *facts)
{
    json_t *json = json_object();
    json_put(json, "source", source_json(facts));
    json_put(json, "target", target_json(facts));
    return json;
}
