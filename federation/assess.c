/* The rules of an assessment but for disks and methods; see assess.h. */
#include "federation/assess.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define FINDINGS_FIRST 16

void assess_find(struct assess_work *work, enum assess_rule rule, const char *subject, const char *format,
                 ...)
{
    struct assess_report *report = work->report;
    if (report->count == work->room) {
        size_t room = work->room ? 2 * work->room : FINDINGS_FIRST;
        struct assess_finding *findings = arena_array(work->arena, room, sizeof *findings);
        if (report->count)
            memcpy(findings, report->findings, report->count * sizeof *findings);
        report->findings = findings;
        work->room = room;
    }
    va_list args;
    va_start(args, format);
    report->findings[report->count++] = (struct assess_finding){
        .rule = rule, .subject = subject, .evidence = arena_vprintf(work->arena, format, args)};
    va_end(args);
    enum assess_severity severity = assess_rule_text(rule)->severity;
    report->blockers += severity == ASSESS_BLOCKER;
    report->warnings += severity == ASSESS_WARNING;
}

bool assess_crosses(const struct assess_facts *facts)
{
    return facts->source.driver && facts->target.driver &&
           strcmp(facts->source.driver, facts->target.driver) != 0;
}

static void judge_kind(struct assess_work *work)
{
    const struct assess_facts *f = work->facts;
    bool database = f->kind == ASSESS_SINGLE_DATABASE || f->kind == ASSESS_HA_DATABASE;
    if (f->kind == ASSESS_PHYSICAL_HOST)
        assess_find(work, RULE_PHYSICAL_HOST, NULL, "the move is of a %s", assess_kind_name(f->kind));
    if (database)
        assess_find(work, RULE_DATABASE, f->engine, "the move is of a %s", assess_kind_name(f->kind));
    if (database && f->engine && f->target_engine && strcasecmp(f->engine, f->target_engine) != 0)
        assess_find(work, RULE_DATABASE_ENGINE, f->engine, "from %s to %s", f->engine, f->target_engine);
    if (f->hosting_area)
        assess_find(work, RULE_HOSTING_AREA, NULL, "the target is the hosting area");
}

static void judge_sides(struct assess_work *work)
{
    const struct assess_facts *f = work->facts;
    if (strcmp(f->state, "active") != 0)
        assess_find(work, RULE_NOT_ACTIVE, NULL, "it is %s", f->state);
    if (f->operation)
        assess_find(work, RULE_BUSY, NULL, "operation %s", f->operation);
    if (f->source.endpoint && f->target.endpoint && !strcmp(f->source.endpoint, f->target.endpoint))
        assess_find(work, RULE_SAME_ENDPOINT, f->target.endpoint, "source and target are endpoint %s",
                    f->target.endpoint);
    if (!f->detail)
        assess_find(work, f->detail_unsupported ? RULE_SOURCE_MUTE : RULE_SOURCE_SILENT, f->source.endpoint,
                    "%s", f->detail_error);
    if (!f->inventory)
        assess_find(work, RULE_TARGET_SILENT, f->target.endpoint, "%s", f->target_error);
}

static const struct {
    const char *name;
    unsigned bit;
} architectures[] = {{"x86", DRIVER_X86}, {"ARM", DRIVER_ARM}, {"C86", DRIVER_C86}, {"POWER", DRIVER_POWER}};

static unsigned architecture_bit(const char *name)
{
    for (size_t i = 0; name && i < sizeof architectures / sizeof *architectures; i++)
        if (!strcmp(architectures[i].name, name))
            return architectures[i].bit;
    return 0;
}

static const char *architecture_names(struct arena *arena, unsigned bits)
{
    const char *text = NULL;
    for (size_t i = 0; i < sizeof architectures / sizeof *architectures; i++)
        if (bits & architectures[i].bit)
            text = text ? arena_printf(arena, "%s, %s", text, architectures[i].name) : architectures[i].name;
    return text ? text : "none";
}

/* x86 and C86 run each other's guests, though not while they run; ARM and POWER only their own; between POWER
 * and the rest nothing of the disk is of use (procurement 3.2.3.15). */
static void judge_architecture(struct assess_work *work)
{
    const struct assess_facts *f = work->facts;
    const unsigned intel = DRIVER_X86 | DRIVER_C86, there = f->target.architectures;
    const char *name =
        f->detail && f->detail->instance.architecture ? f->detail->instance.architecture : f->architecture;
    unsigned here = architecture_bit(name);
    if (!here || !there) {
        assess_find(work, RULE_ARCHITECTURE_UNKNOWN, NULL, "the machine is %s, hosts of the target: %s",
                    here ? name : "not known", there ? architecture_names(work->arena, there) : "not known");
        return;
    }
    if (there & here)
        return;
    enum assess_rule rule = RULE_ARCHITECTURE_DIFFERS;
    if ((here & intel) && (there & intel))
        rule = RULE_ARCHITECTURE_VENDOR;
    else if (here == DRIVER_POWER || there == DRIVER_POWER)
        rule = RULE_ARCHITECTURE_REBUILD;
    assess_find(work, rule, NULL, "the machine is %s, hosts of the target: %s", name,
                architecture_names(work->arena, there));
}

static void judge_machine(struct assess_work *work)
{
    const struct driver_detail *d = work->facts->detail;
    if (d->fenced)
        assess_find(work, RULE_FENCED, NULL, "the provider holds it fenced");
    for (size_t i = 0; i < d->snapshot_count; i++)
        assess_find(work, RULE_SNAPSHOTS, d->snapshots[i], "snapshot %s", d->snapshots[i]);
    for (size_t i = 0; i < d->passthrough_count; i++)
        assess_find(work, RULE_PASSTHROUGH, d->passthrough[i], "device %s", d->passthrough[i]);
    if (d->firmware == DRIVER_FIRMWARE_UNKNOWN)
        assess_find(work, RULE_FIRMWARE_UNKNOWN, NULL, "the provider does not tell it");
    if (d->firmware == DRIVER_FIRMWARE_UEFI)
        assess_find(work, RULE_FIRMWARE_UEFI, NULL, "UEFI%s%s", d->machine ? ", machine " : "",
                    d->machine ? d->machine : "");
    if (d->firmware == DRIVER_FIRMWARE_UEFI_SECURE)
        assess_find(work, RULE_SECURE_BOOT, NULL, "UEFI with secure boot%s%s", d->machine ? ", machine " : "",
                    d->machine ? d->machine : "");
}

static bool has_any(const char *text, const char *const *words)
{
    for (; *words; words++)
        if (strcasestr(text, *words))
            return true;
    return false;
}

/* Words of providers for a guest's system (vSphere's guest ids, libosinfo's ids): kernels before virtio and
 * vmxnet, and systems whose makers gave no such drivers. */
static const char *const old_systems[] = {"winNet",       "win2000",    "winxp",    "win2k3", "win2003",
                                          "Windows 2003", "Windows XP", "rhel3",    "rhel4",  "centos4",
                                          "sles9",        "debian4",    "solaris8", NULL};
static const char *const windows[] = {"windows", "winNet", "winLonghorn", "win2k",
                                      "win1",    "win7",   "win8",        NULL};
static const char *const licensed[] = {"windows", "win", "rhel", "sles", "oracle", "kylin", "uos", NULL};

/* Only a move to another hypervisor wants other drivers. */
static void judge_guest(struct assess_work *work)
{
    const struct assess_facts *f = work->facts;
    const struct driver_detail *d = f->detail;
    bool crosses = assess_crosses(f);
    const char *then = f->conversion ? "; " : "", *conversion = f->conversion ? f->conversion : "";
    if (!d->guest_os) {
        if (crosses)
            assess_find(work, RULE_GUEST_UNKNOWN, NULL, "the provider does not tell it%s%s", then,
                        conversion);
    } else {
        bool old = has_any(d->guest_os, old_systems), is_windows = has_any(d->guest_os, windows);
        if (crosses && old)
            assess_find(work, RULE_GUEST_OLD, NULL, "%s, from %s to %s", d->guest_os, f->source.driver,
                        f->target.driver);
        else if (crosses)
            assess_find(work, is_windows ? RULE_GUEST_WINDOWS : RULE_GUEST_LINUX, NULL,
                        "%s, from %s to %s%s%s", d->guest_os, f->source.driver, f->target.driver, then,
                        conversion);
        if (has_any(d->guest_os, licensed))
            assess_find(work, RULE_LICENCE, NULL, "%s", d->guest_os);
    }
    if (!d->agent)
        assess_find(work, RULE_AGENT, NULL, "no guest agent or tools");
}

static bool has_network(const struct driver_inventory *inventory, const char *name)
{
    for (size_t i = 0; i < inventory->network_count; i++)
        if (!strcmp(inventory->networks[i].name, name))
            return true;
    return false;
}

static void judge_network(struct assess_work *work)
{
    const struct assess_facts *f = work->facts;
    const struct driver_detail *d = f->detail;
    if (!f->target.network)
        assess_find(work, RULE_NETWORK, f->target.zone, "the zone has no network");
    else if (f->inventory && !has_network(f->inventory, f->target.network))
        assess_find(work, RULE_NETWORK, f->target.network, "not among the %zu networks of endpoint %s",
                    f->inventory->network_count, f->target.endpoint);
    if (d && !d->adapter_count)
        assess_find(work, RULE_ADAPTER_NONE, NULL, "no adapter");
    if (d && d->adapter_count > 1)
        assess_find(work, RULE_ADAPTERS, NULL, "%zu adapters; the first is on %s", d->adapter_count,
                    d->adapters[0].network ? d->adapters[0].network : "no network");
    if (d && d->adapter_count && d->adapters[0].mac)
        assess_find(work, RULE_MAC, d->adapters[0].mac, "%s%s%s", d->adapters[0].mac,
                    d->adapters[0].model ? ", " : "", d->adapters[0].model ? d->adapters[0].model : "");
    if (d && d->instance.address)
        assess_find(work, RULE_ADDRESS, d->instance.address, "%s in zone %s of %s", d->instance.address,
                    f->source.zone ? f->source.zone : "–", f->source.cloud);
    for (size_t i = 0; i < f->internet_address_count; i++)
        assess_find(work, RULE_ADDRESS_INTERNET, f->internet_addresses[i], "%s of %s",
                    f->internet_addresses[i], f->source.cloud);
}

static void judge_place(struct assess_work *work)
{
    const struct assess_facts *f = work->facts;
    for (size_t i = 0; i < f->placement_count; i++)
        assess_find(work, RULE_PLACEMENT, NULL, "%s", f->placement[i]);
    if (f->source.zone_kind && f->target.zone_kind && strcmp(f->source.zone_kind, f->target.zone_kind) != 0)
        assess_find(work, RULE_ZONE_KIND, NULL, "from %s to %s", f->source.zone_kind, f->target.zone_kind);
}

static void judge_papers(struct assess_work *work)
{
    const struct assess_facts *f = work->facts;
    char before[MONEY_TEXT], after[MONEY_TEXT];
    if (f->consent)
        assess_find(work, RULE_CONSENT_IN_FORCE, f->consent, "consent %s", f->consent);
    else if (f->consent_missing)
        assess_find(work, RULE_CONSENT, NULL, "%s", f->consent_missing);
    if (f->before_fen < 0 || f->after_fen < 0)
        assess_find(work, RULE_PRICE_UNKNOWN, NULL, "%s", f->price_missing);
    else if (f->before_fen != f->after_fen)
        assess_find(work, RULE_PRICE, NULL, "%s yuan a month, %s before", money_format(f->after_fen, after),
                    money_format(f->before_fen, before));
}

/* Findings of one rule keep their order. */
static void sort_findings(struct assess_report *report)
{
    for (size_t i = 1; i < report->count; i++) {
        struct assess_finding finding = report->findings[i];
        size_t k = i;
        for (; k && report->findings[k - 1].rule > finding.rule; k--)
            report->findings[k] = report->findings[k - 1];
        report->findings[k] = finding;
    }
}

void assess_judge(struct arena *arena, const struct assess_facts *facts, struct assess_report *ret_report)
{
    struct assess_report report = {0};
    struct assess_work work = {.arena = arena, .facts = facts, .report = &report};
    judge_kind(&work);
    judge_sides(&work);
    if (facts->detail) {
        assess_disks_first(&work);
        judge_machine(&work);
        assess_disks(&work);
        judge_guest(&work);
    }
    judge_architecture(&work);
    assess_room(&work);
    judge_place(&work);
    judge_network(&work);
    judge_papers(&work);
    assess_ways(&work);
    sort_findings(&report);
    *ret_report = report;
}
