/* See wave_new.h. */
#include "federation/wave_new.h"

#include <string.h>

#include "broker/base/id.h"

/* Hosts as they are gathered. */
#define READ_MAX 2000 /* reports of one request, with what providers said: they are not small */

/* An assessment that was read: however often it is named, it is read once. */
struct known {
    struct assessment assessment;
    struct assessment_host *hosts;
    size_t count;
};

struct gathering {
    struct db *db;
    struct arena *arena;
    const struct principal *principal;
    const char *unit; /* NULL: none yet */
    struct wave_member members[WAVE_STORED_HOSTS_MAX];
    size_t count;
    struct known *known;
    size_t known_count, read;
    json_t *left_out;
    const char *clouds[2 * WAVE_STORED_HOSTS_MAX], *systems[WAVE_STORED_HOSTS_MAX];
    size_t cloud_count, system_count;
    struct error *errors;
};

static void add_once(const char **list, size_t *count, const char *text)
{
    for (size_t i = 0; i < *count; i++)
        if (!strcmp(list[i], text))
            return;
    list[(*count)++] = text;
}

static void copy_members(json_t *to, const json_t *from, const char *const *names)
{
    for (; *names; names++) {
        json_t *value = json_object_get(from, *names);
        if (value)
            json_put(to, *names, json_deep_copy(value));
    }
}

/* What planning needs of an assessment, which may be long. */
static json_t *facts_of(struct arena *arena, const struct assessment_host *host)
{
    static const char *const of_report[] = {"movable", "preferred", "disk_bytes", "from",
                                            "to",      "name",      "month",      NULL};
    static const char *const of_method[] = {"method", "possible", "copy_seconds", "downtime_ms", NULL};
    static const char *const of_disk[] = {"ref", "removable", NULL};
    json_t *facts = json_hold(arena, json_object()), *report = json_object(), *answers = json_object(),
           *source = json_object(), *methods = json_array(), *disks = json_array();
    const json_t *told = json_object_get(host->answers, "source"), *item;
    size_t i;
    json_put(facts, "report", report);
    json_put(facts, "answers", answers);
    copy_members(report, host->report, of_report);
    json_array_foreach (json_object_get(host->report, "methods"), i, item) {
        json_t *method = json_object();
        copy_members(method, item, of_method);
        json_push(methods, method);
    }
    json_put(report, "methods", methods);
    json_put_text(source, "host", json_string_value(json_object_get(told, "host")));
    json_array_foreach (json_object_get(told, "disks"), i, item) {
        json_t *disk = json_object();
        copy_members(disk, item, of_disk);
        json_push(disks, disk);
    }
    json_put(source, "disks", disks);
    json_put(answers, "source", source);
    return facts;
}

static const char *name_of(const struct assessment_host *host)
{
    const char *name = json_string_value(json_object_get(host->report, "name"));
    return name ? name : host->resource;
}

static void add_host(struct gathering *g, const struct assessment *assessment,
                     const struct assessment_host *host, const char *pointer)
{
    for (size_t i = 0; i < g->count; i++)
        if (!strcmp(g->members[i].resource, host->resource)) {
            error_collect(&g->errors, pointer, "instance \"%s\" is named twice", name_of(host));
            return;
        }
    if (g->count == WAVE_STORED_HOSTS_MAX) {
        error_collect(&g->errors, pointer, "a wave has at most %d hosts", WAVE_STORED_HOSTS_MAX);
        return;
    }
    json_t *facts = facts_of(g->arena, host);
    g->members[g->count++] = (struct wave_member){
        .resource = host->resource,
        .system = host->system,
        .name = name_of(host),
        .assessment = assessment->id,
        .facts = facts,
        .bytes = json_integer_value(json_object_get(json_object_get(facts, "report"), "disk_bytes"))};
    add_once(g->clouds, &g->cloud_count, host->cloud);
    add_once(g->clouds, &g->cloud_count, assessment->to_cloud);
    add_once(g->systems, &g->system_count, host->system);
}

static struct error *open_assessment(struct gathering *g, const char *id, const char *pointer,
                                     struct assessment *ret_assessment, struct assessment_host **ret_hosts,
                                     size_t *ret_count)
{
    for (size_t i = 0; i < g->known_count; i++)
        if (!strcmp(g->known[i].assessment.id, id)) {
            *ret_assessment = g->known[i].assessment;
            *ret_hosts = g->known[i].hosts;
            *ret_count = g->known[i].count;
            return NULL;
        }
    struct error *error = id_valid(id) ? assessment_get(g->db, g->arena, id, ret_assessment)
                                       : error_new(ERR_NOT_FOUND, "no such assessment");
    if (error && error_code(error) == ERR_NOT_FOUND) {
        error_free(error);
        return error_member(pointer, "names no assessment");
    }
    TRY(error);
    if (strcmp(ret_assessment->kind, "cloud-host") || strcmp(ret_assessment->state, "done"))
        return error_member(pointer, "names no finished assessment of cloud hosts");
    if (g->unit && strcmp(g->unit, ret_assessment->unit))
        return error_member(pointer, "is of another unit than those before it");
    g->unit = ret_assessment->unit;
    TRY(assessment_hosts(g->db, g->arena, ret_assessment, ret_hosts, ret_count));
    g->read += *ret_count;
    if (g->read > READ_MAX)
        return error_member(pointer, "is one too many: those named have more than %d machines together",
                            READ_MAX);
    g->known[g->known_count++] = (struct known){*ret_assessment, *ret_hosts, *ret_count};
    return NULL;
}

static struct error *add_assessment(struct gathering *g, const char *id, const char *pointer)
{
    struct assessment assessment;
    struct assessment_host *hosts;
    size_t count;
    TRY(open_assessment(g, id, pointer, &assessment, &hosts, &count));
    for (size_t i = 0; i < count; i++) {
        if (json_is_true(json_object_get(hosts[i].report, "movable"))) {
            add_host(g, &assessment, &hosts[i], pointer);
            continue;
        }
        json_t *left = json_object();
        json_put_text(left, "instance", hosts[i].resource);
        json_put_text(left, "name", name_of(&hosts[i]));
        json_put_text(left, "assessment", assessment.id);
        json_push(g->left_out, left);
    }
    return NULL;
}

static struct error *add_wished(struct gathering *g, const struct wave_host_wish *wish, const char *pointer)
{
    struct assessment assessment;
    struct assessment_host *hosts;
    size_t count, i = 0;
    TRY(open_assessment(g, wish->assessment, arena_printf(g->arena, "%s/assessment", pointer), &assessment,
                        &hosts, &count));
    while (i < count && strcmp(hosts[i].resource, wish->instance) != 0)
        i++;
    const char *at = arena_printf(g->arena, "%s/instance", pointer);
    if (i == count)
        return error_member(at, "is not in that assessment");
    if (!json_is_true(json_object_get(hosts[i].report, "movable")))
        return error_member(at, "cannot be moved there, as its assessment says");
    add_host(g, &assessment, &hosts[i], at);
    return NULL;
}

static struct error *gather(struct gathering *g, const struct wave_wish *wish)
{
    const struct wave_host_wish *hosts = wish->hosts.items;
    g->left_out = json_hold(g->arena, json_array());
    g->known = arena_array(g->arena, wish->assessments.count + wish->hosts.count + 1, sizeof *g->known);
    for (size_t i = 0; i < wish->assessments.count; i++)
        TRY(add_assessment(g, wish->assessments.items[i], arena_printf(g->arena, "/assessments/%zu", i)));
    for (size_t i = 0; i < wish->hosts.count; i++)
        TRY(add_wished(g, &hosts[i], arena_printf(g->arena, "/hosts/%zu", i)));
    if (g->errors)
        return g->errors;
    if (!g->count)
        return error_member(wish->hosts.count ? "/hosts" : "/assessments", "name no machine that can move");
    for (size_t i = 0; i < g->system_count; i++)
        if (!principal_sees_system(g->principal, g->unit, g->systems[i]))
            return error_new(ERR_NOT_FOUND, "no such system");
    return NULL;
}

/* Those that are named come first, in that order; the others keep theirs. */
static struct error *put_in_order(struct arena *arena, struct wave_member *members, size_t count,
                                  const struct json_texts *order)
{
    struct error *errors = NULL;
    for (size_t i = order->count; i-- > 0;) {
        size_t at = 0;
        while (at < count && strcmp(members[at].resource, order->items[i]) != 0)
            at++;
        if (at == count) {
            error_collect(&errors, arena_printf(arena, "/order/%zu", i), "is no host of the wave");
            continue;
        }
        struct wave_member moved = members[at];
        memmove(members + 1, members, at * sizeof moved);
        members[0] = moved;
    }
    return errors;
}

static bool is_place(const json_t *side, const struct link_place *place)
{
    const char *cloud = json_string_value(json_object_get(side, "cloud")),
               *site = json_string_value(json_object_get(side, "site"));
    return cloud && site && !strcmp(cloud, place->cloud) && !strcmp(site, place->site);
}

/* A limit for a link that no host uses is a mistake. */
static struct error *check_links(struct arena *arena, const struct wave_sight *sight)
{
    const struct wave_link_limit *links = sight->terms.links.items;
    struct error *errors = NULL;
    for (size_t i = 0; i < sight->terms.links.count; i++) {
        bool used = false;
        for (size_t k = 0; k < sight->count && !used; k++) {
            const json_t *report = json_object_get(sight->members[k].facts, "report");
            used = is_place(json_object_get(report, "from"), &links[i].from) &&
                   is_place(json_object_get(report, "to"), &links[i].to);
        }
        if (!used)
            error_collect(&errors, arena_printf(arena, "/links/%zu", i), "no host of the wave goes over it");
    }
    return errors;
}

static struct error *check(struct arena *arena, const struct wave_row *wave, struct wave_member *members,
                           size_t count, moment now)
{
    struct wave_sight sight;
    TRY(wave_see(arena, wave, members, count, now, &sight));
    return check_links(arena, &sight);
}

static const struct db_statement providers_of = {
    "wave_providers", "SELECT array_agg(DISTINCT provider_id) FROM cloud WHERE id = ANY ($1::text[])"};

static struct error *find_providers(struct db *db, struct arena *arena, struct wave_row *wave)
{
    struct db_rows *rows;
    TRY(db_query_one(db, &providers_of, DB_VALUES(db_texts(wave->clouds.items, wave->clouds.count)), "cloud",
                     &rows));
    (void)db_hold(arena, rows);
    wave->providers.items = db_get_texts(rows, 0, 0, arena, &wave->providers.count);
    return NULL;
}

struct error *wave_new(struct db *db, struct arena *arena, const struct principal *principal,
                       const struct wave_wish *wish, const json_t *body, moment now,
                       struct wave_row *ret_wave)
{
    struct gathering *g = arena_alloc(arena, sizeof *g);
    *g = (struct gathering){.db = db, .arena = arena, .principal = principal};
    TRY(gather(g, wish));
    struct wave_row wave = {.unit = g->unit,
                            .id = id_new_in(arena),
                            .name = wish->name,
                            .programme = wish->programme,
                            .terms = wave_terms_merge(arena, NULL, body),
                            .left_out = g->left_out,
                            .principal = principal_id(principal),
                            .systems = {g->systems, g->system_count},
                            .clouds = {g->clouds, g->cloud_count}};
    TRY(put_in_order(arena, g->members, g->count, &wish->terms.ask.order));
    TRY(check(arena, &wave, g->members, g->count, now));
    TRY(find_providers(db, arena, &wave));
    TRY(wave_insert(db, arena, &wave, g->members, g->count, now));
    *ret_wave = wave;
    return NULL;
}

/* ------------------------------------------------------------------------------------------------ changes */

static struct wave_member *member_of(struct wave_member *members, size_t count, const char *resource)
{
    for (size_t i = 0; i < count; i++)
        if (!strcmp(members[i].resource, resource))
            return &members[i];
    return NULL;
}

static struct error *check_hosts(struct arena *arena, const struct wave_changes *changes,
                                 struct wave_member *members, size_t count)
{
    struct error *errors = NULL;
    for (size_t i = 0; i < changes->take_out.count; i++) {
        struct wave_member *member = member_of(members, count, changes->take_out.items[i]);
        if (!member)
            error_collect(&errors, arena_printf(arena, "/take_out/%zu", i), "is no host of the wave");
        else
            member->class = WAVE_CLASS_OUT;
    }
    for (size_t i = 0; i < changes->again.count; i++) {
        struct wave_member *member = member_of(members, count, changes->again.items[i]);
        bool ended = member && member->state &&
                     (!strcmp(member->state, "cancelled") || !strcmp(member->state, "rolled-back"));
        if (!ended || member->class == WAVE_CLASS_OUT)
            error_collect(&errors, arena_printf(arena, "/again/%zu", i),
                          "is no host whose move was cancelled or rolled back");
    }
    return errors;
}

static struct error *write_hosts(struct db *db, const struct wave_row *wave,
                                 const struct wave_changes *changes, const char *principal, moment now)
{
    for (size_t i = 0; i < changes->take_out.count; i++) {
        TRY(wave_take_out(db, wave, changes->take_out.items[i], now));
        TRY(wave_note_history(db, wave, "taken-out", changes->take_out.items[i], principal, changes->reason,
                              now));
    }
    for (size_t i = 0; i < changes->again.count; i++) {
        TRY(wave_again(db, wave, changes->again.items[i]));
        TRY(wave_note_history(db, wave, "again", changes->again.items[i], principal, changes->reason, now));
    }
    return NULL;
}

struct error *wave_alter(struct db *db, struct arena *arena, struct wave_row *wave,
                         const struct wave_changes *changes, const json_t *body, const char *principal,
                         moment now)
{
    struct wave_member *members;
    size_t count;
    if (wave_life_ended(wave->life))
        return error_new(ERR_CONFLICT, "the wave has ended: it is %s", wave_life_name(wave->life));
    TRY(wave_members(db, arena, wave, &members, &count));
    wave->name = changes->name ? changes->name : wave->name;
    wave->programme = json_is_null(json_object_get(body, "programme")) ? NULL
                      : changes->programme                             ? changes->programme
                                                                       : wave->programme;
    wave->terms = wave_terms_merge(arena, wave->terms, body);
    TRY(put_in_order(arena, members, count, &changes->terms.ask.order));
    TRY(check_hosts(arena, changes, members, count));
    TRY(check(arena, wave, members, count, now));
    TRY(wave_change(db, wave, principal, changes->reason, now));
    if (changes->terms.ask.order.count) {
        const char **order = arena_array(arena, count, sizeof *order);
        for (size_t i = 0; i < count; i++)
            order[i] = members[i].resource;
        TRY(wave_set_order(db, wave, order, count));
    }
    return write_hosts(db, wave, changes, principal, now);
}
