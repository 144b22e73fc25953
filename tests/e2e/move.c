/* See move.h. */
#include "tests/e2e/move.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "broker/base/arena.h"
#include "broker/base/buf.h"
#include "broker/base/moment.h"
#include "tests/e2e/world_check.h"
#include "tests/support/child.h"
#include "tests/support/hub.h"
#include "tests/support/journal.h"
#include "tests/support/process.h"

#define POLL_US 200000
#define WORDS_MAX 40
#define CONFLICT 6 /* the client's exit code */
#define TEXT_MAX (4u << 20)
#define TOKEN_SECONDS 86400
#define RECORDS_AFTER 30 /* enough to tell by how much its clocks went apart */
#define EPOCH(moment) "(extract(epoch FROM " moment ") * 1000000)::bigint"
#define MS 1e3
#define S 1e6

static void post(struct world *w, const char *path, json_t *body)
{
    API_AUTO struct api_reply reply = api_send(w->client, w->admin, "POST", path, body);
    api_expect(&reply, 201);
}

void moves_add_cloud(struct world *w, const char *id, const char *kind, const char *provider,
                     const char *network, json_t *endpoint)
{
    ARENA_AUTO struct arena *arena = arena_new();
    const char *endpoint_id = arena_printf(arena, "%s-1", id);
    post(w, "/v1/clouds",
         json_pack("{s:s, s:s, s:s, s:s}", "id", id, "name", id, "kind", kind, "provider", provider));
    post(w, arena_printf(arena, "/v1/clouds/%s/sites", id),
         json_pack("{s:s, s:s}", "id", "site-1", "name", "一号机房"));
    json_object_update_new(endpoint, json_pack("{s:s, s:s, s:s, s:i}", "id", endpoint_id, "cloud", id, "site",
                                               "site-1", "timeout_ms", 10000));
    post(w, "/v1/endpoints", endpoint);
    post(w, arena_printf(arena, "/v1/clouds/%s/zones", id),
         json_pack("{s:s, s:s, s:s, s:s, s:s}", "id", "extranet", "kind", "extranet", "site", "site-1",
                   "endpoint", endpoint_id, "network", network));
    API_AUTO struct api_reply capacity =
        api_send(w->client, w->admin, "PUT", arena_printf(arena, "/v1/clouds/%s/capacity", id),
                 json_pack("{s:i}", "bandwidth_mbps", 10000));
    api_expect(&capacity, 204);
}

static void add_libvirt(struct world *w, const struct kvmcloud *kvm, const char *id, const char *kind,
                        const char *provider)
{
    struct driver_endpoint endpoint = kvmcloud_endpoint(kvm);
    moves_add_cloud(
        w, id, kind, provider, KVMCLOUD_NETWORK,
        json_pack("{s:s, s:s, s:O}", "driver", "kvm", "url", endpoint.url, "options", endpoint.options));
}

/* Without libvirt when there is none. */
static struct moves *start_with(const struct world_options *options, struct kvmcloud *here,
                                struct kvmcloud *there)
{
    struct moves *moves = xcalloc(1, sizeof *moves);
    moves->here = here;
    moves->there = there;
    struct world *w = moves->world = world_start(options);
    moves->errors = xasprintf("%s/client.errors", w->folder);
    if (here) {
        add_libvirt(w, moves->here, "here", "service", "provider-health");
        add_libvirt(w, moves->there, "there", "office", "provider-education");
    }
    world_principal(w, json_pack("{s:s, s:s, s:s}", "id", "head", "role", "unit-admin", "unit", WORLD_UNIT));
    moves->head = world_token(w, "head", TOKEN_SECONDS);
    world_await(w, "SELECT count(*) FROM endpoint WHERE synced_at IS NULL", "0", MOVE_SECONDS);
    return moves;
}

struct moves *moves_start(void)
{
    return moves_start_in(&(struct world_options){0}, true);
}

struct moves *moves_start_in(const struct world_options *options, bool libvirt)
{
    struct kvmcloud *here = libvirt ? kvmcloud_start() : NULL;
    return start_with(options, here, libvirt ? kvmcloud_start() : NULL);
}

struct moves *moves_start_apart(void)
{
    char authority[] = "/tmp/yunqiao-authority-XXXXXX";
    assert_non_null(mkdtemp(authority));
    struct kvmcloud *here = kvmcloud_start_at(hub_address(), authority);
    struct kvmcloud *there = kvmcloud_start_at(hub_address(), authority);
    assert_int_equal(child_run((const char *const[]){"rm", "-r", authority, NULL}, MOMENT_MINUTE), 0);
    return start_with(&(struct world_options){0}, here, there);
}

void moves_stop(struct moves *moves)
{
    world_stop(moves->world);
    kvmcloud_stop(moves->here);
    kvmcloud_stop(moves->there);
    free(moves->head);
    free(moves->errors);
    free(moves);
}

static void read_file(const char *path, struct buf *ret_text)
{
    FILE *file = fopen(path, "re");
    char piece[4096];
    for (size_t length; file && (length = fread(piece, 1, sizeof piece, file));)
        buf_append(ret_text, piece, length);
    if (file)
        (void)fclose(file); /* read only */
}

char *moves_said(const struct moves *moves)
{
    BUF_AUTO struct buf text = BUF_INIT(TEXT_MAX);
    read_file(moves->errors, &text);
    return xstrdup(buf_text(&text));
}

static struct process *start_client(struct moves *moves, const char *token, const char *const *words)
{
    ARENA_AUTO struct arena *arena = arena_new();
    const char *argv[WORDS_MAX] = {"/bin/sh", "-c", "exec \"$0\" \"$@\" 2>\"$CLIENT_ERRORS\"",
                                   BINARY_DIR "/yunqiao", "--json"};
    const char *const environment[] = {
        arena_printf(arena, "YUNQIAO_URL=https://localhost:%d", moves->world->port),
        arena_printf(arena, "YUNQIAO_CA_FILE=%s/data/server.crt", moves->world->folder),
        arena_printf(arena, "YUNQIAO_TOKEN=%s", token),
        arena_printf(arena, "CLIENT_ERRORS=%s", moves->errors), NULL};
    for (size_t i = 0; words[i]; i++) {
        assert_true(i + 6 < WORDS_MAX);
        argv[i + 5] = words[i];
    }
    return process_start(argv, environment);
}

/* Its wait status. */
static int end_client(struct process *process, struct buf *answer)
{
    for (const char *line; (line = process_line(process, MOVE_SECONDS * MOMENT_SECOND));)
        buf_printf(answer, "%s\n", line);
    return process_stop(process);
}

json_t *moves_client(struct moves *moves, const char *token, int wanted, const char *const *words)
{
    BUF_AUTO struct buf answer = BUF_INIT(TEXT_MAX);
    int status = end_client(start_client(moves, token, words), &answer);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != wanted) {
        char *said = moves_said(moves);
        print_error("yunqiao %s %s %s: wanted %d and got %d (0x%x):\n%s%s\n", words[0], words[1],
                    words[2] ? words[2] : "", wanted, WEXITSTATUS(status), (unsigned)status, said,
                    buf_text(&answer));
        free(said);
        fail();
    }
    return json_loads(buf_text(&answer), 0, NULL);
}

/* ------------------------------------------------------------------------------------------------ machines
 */

char *moves_disk_file(const struct kvmcloud *cloud, const char *id)
{
    char *file = xasprintf("%s/standard/yunqiao-%s.qcow2", kvmcloud_folder(cloud), id);
    if (access(file, F_OK) == 0)
        return file;
    free(file);
    return xasprintf("%s/standard/yunqiao-%s-system.qcow2", kvmcloud_folder(cloud), id);
}

static char *file_of(const struct kvmcloud *cloud, const char *id, const char *suffix)
{
    return xasprintf("%s/standard/yunqiao-%s%s", kvmcloud_folder(cloud), id, suffix);
}

static void instance_verb(struct moves *moves, const struct machine *machine, const char *verb, json_t *body)
{
    struct world *w = moves->world;
    char *path = xasprintf("/v1/instances/%s:%s", machine->id, verb);
    world_succeeds(w, w->operator_, world_begin(w, w->operator_, path, body));
    free(path);
}

void moves_power_on(struct moves *moves, const struct machine *machine)
{
    instance_verb(moves, machine, "start", NULL);
}

void moves_power_off(struct moves *moves, const struct machine *machine)
{
    instance_verb(moves, machine, "stop", json_pack("{s:i}", "grace_seconds", 60));
}

struct machine moves_machine_start(struct moves *moves, const char *name)
{
    return moves_machine_start_of(moves, WORLD_SYSTEM, name);
}

struct machine moves_machine_start_of(struct moves *moves, const char *system, const char *name)
{
    struct world *w = moves->world;
    struct machine machine = {.name = name, .from = "here", .to = "there"};
    char *journal = xasprintf("%s-journal", name);
    json_t *items = json_array();
    json_array_append_new(
        items,
        world_item("instance", name,
                   json_pack("{s:i, s:i, s:s, s:s, s:s, s:i}", "vcpu", 1, "memory_gb", 1, "architecture",
                             "x86", "image", KVMCLOUD_IMAGE, "zone", "extranet", "system_disk_gb", 10)));
    json_array_append_new(items, world_volume(journal, 1, name));
    world_succeeds(w, w->operator_, world_order(w, w->operator_, system, "here", items));
    machine.id = world_id(w, "instance", name);
    machine.volume = world_id(w, "volume", journal);
    /* The guest looks for its journal while it starts: the disk gets its file system while it is off. */
    instance_verb(moves, &machine, "stop", json_pack("{s:i}", "grace_seconds", 0));
    char *file = file_of(moves->here, machine.volume, ".qcow2");
    journal_format(file);
    instance_verb(moves, &machine, "start", NULL);
    (void)moves_journal_writes(moves, moves->here, &machine, 3);
    free(file);
    free(journal);
    return machine;
}

void moves_machine_end(struct moves *moves, struct machine *machine)
{
    struct world *w = moves->world;
    char *paths[] = {xasprintf("/v1/instances/%s", machine->id),
                     xasprintf("/v1/volumes/%s", machine->volume)};
    for (size_t i = 0; i < 2; i++) {
        world_succeeds(w, w->operator_, world_delete(w, w->operator_, paths[i]));
        free(paths[i]);
    }
    free(machine->id);
    free(machine->volume);
    free(machine->migration);
    *machine = (struct machine){0};
}

unsigned moves_journal_said(const struct moves *moves, const struct kvmcloud *cloud,
                            const struct machine *machine)
{
    BUF_AUTO struct buf text = BUF_INIT(TEXT_MAX);
    char *file = file_of(cloud, machine->id, "-console.log");
    (void)moves; /* one form for all that looks at a machine */
    read_file(file, &text);
    free(file);
    return journal_last(buf_text(&text), machine->name);
}

unsigned moves_journal_writes(const struct moves *moves, const struct kvmcloud *cloud,
                              const struct machine *machine, unsigned least)
{
    int64_t until = moment_monotonic() + MOVE_SECONDS * MOMENT_SECOND;
    for (;;) {
        unsigned said = moves_journal_said(moves, cloud, machine);
        if (said > least)
            return said;
        if (moment_monotonic() > until)
            fail_msg("the journal of %s ends at %u, which is not above %u", machine->name, said, least);
        (void)usleep(POLL_US); /* a file tells nobody that it grew */
    }
}

void moves_journal_goes_on(const struct moves *moves, const struct kvmcloud *cloud,
                           const struct machine *machine, unsigned said)
{
    (void)moves_journal_writes(moves, cloud, machine, said);
    BUF_AUTO struct buf text = BUF_INIT(TEXT_MAX);
    char *file = file_of(cloud, machine->id, "-console.log");
    read_file(file, &text);
    free(file);
    unsigned first = journal_first(buf_text(&text), machine->name);
    if (first <= said)
        fail_msg("%s goes on with record %u, and had said %u before", machine->name, first, said);
}

void moves_journal_check(struct moves *moves, const struct kvmcloud *cloud, const struct machine *machine,
                         unsigned said)
{
    moves_power_off(moves, machine);
    unsigned last = moves_journal_said(moves, cloud, machine);
    char *file = file_of(cloud, machine->volume, ".qcow2");
    unsigned count = journal_verify(file, kvmcloud_folder(cloud), machine->name, last > said ? last : said);
    print_message("%s: %u records, in order, each once\n", machine->name, count);
    free(file);
}

/* What the broker knows of a cut-over: durations and moments in µs; −1: not measured. */
struct cutover {
    long long measured, stop, start; /* down, until it was off, from the word to start it */
    long long begun, down_at, live_at;
};

static struct cutover find_cutover(const struct moves *moves, const struct machine *machine)
{
    struct cutover found;
    char *sql = xasprintf(
        "SELECT concat_ws(' ', coalesce(measured_us, -1), coalesce(stop_us, -1), coalesce(start_us, -1),"
        " (SELECT " EPOCH("min(at)") " FROM migration_history h WHERE h.migration_id = m.id AND to_state ="
                                     " 'cutting-over'), coalesce(" EPOCH("down_at") ", -1), " EPOCH(
                                         "live_at") ") FROM migration m WHERE id"
                                                    " = '%s'",
        machine->migration);
    char *text = world_value(moves->world, sql);
    if (sscanf(text, "%lld %lld %lld %lld %lld %lld", &found.measured, &found.stop, &found.start,
               &found.begun, &found.down_at, &found.live_at) != 6)
        fail_msg("%s: \"%s\" is no cut-over", sql, text);
    free(text);
    free(sql);
    return found;
}

/* Paused for no longer than the whole cut-over took, in the guest's eyes as in the broker's. */
static void check_paused(const char *name, const struct journal_gap *gap, const struct cutover *cut)
{
    print_message(
        "%s: %.0f to %.0f ms down in the guest's own clock, %.0f ms measured by the broker, within a"
        " cut-over of %.0f ms\n",
        name, gap->paused.least / MS, gap->paused.most / MS, cut->measured / MS,
        (cut->live_at - cut->begun) / MS);
    assert_true(gap->paused.least <= cut->live_at - cut->begun);
    assert_true(cut->measured > 0 && cut->measured <= cut->live_at - cut->begun);
    assert_true(gap->last.least <= cut->live_at && gap->next.most >= cut->begun);
}

/* No record was begun between the moment when it was known to be off and the word to start it. */
static void check_booted(const char *name, const struct journal_gap *gap, const struct cutover *cut)
{
    int64_t off = cut->begun, on = cut->live_at; /* of one that was off before and is started later */
    print_message(
        "%s: %.1f to %.1f s down in the guest's own clock, %.1f s of them from its kernel's start to"
        " its first record, ",
        name, gap->step.least / S, gap->step.most / S, gap->up_us / S);
    if (cut->measured < 0) {
        print_message("off before and not measured by the broker\n");
    } else {
        print_message("%.1f s measured by the broker, %.1f s of them to stop it and %.1f s to start it\n",
                      cut->measured / S, cut->stop / S, cut->start / S);
        assert_true(cut->stop >= 0 && cut->start >= 0);
        off = cut->down_at + cut->stop;
        on -= cut->start;
    }
    assert_true(gap->last.least <= off && gap->next.most >= on);
    if (cut->measured >= 0)
        assert_true(gap->step.most >= cut->measured - cut->stop - cut->start);
}

void moves_journal_gap(struct moves *moves, const struct kvmcloud *cloud, const struct machine *machine,
                       unsigned left_at)
{
    (void)moves_journal_writes(moves, cloud, machine, left_at + RECORDS_AFTER);
    moves_power_off(moves, machine);
    struct journal_gap gap;
    struct cutover cut = find_cutover(moves, machine);
    char *file = file_of(cloud, machine->volume, ".qcow2");
    unsigned said = moves_journal_said(moves, cloud, machine);
    unsigned count = journal_verify_gap(file, kvmcloud_folder(cloud), machine->name, said, left_at, &gap);
    print_message("%s: %u records, in order, each once\n", machine->name, count);
    (gap.booted ? check_booted : check_paused)(machine->name, &gap, &cut);
    free(file);
}

const char *moves_power(const struct kvmcloud *cloud, const struct machine *machine)
{
    static char text[64];
    if (kvmcloud_virsh(cloud, text, sizeof text, (const char *const[]){"domstate", machine->id, NULL}) != 0)
        return "";
    text[strcspn(text, "\n")] = '\0';
    return text;
}

void moves_expect_empty(const struct kvmcloud *cloud)
{
    static const char *const pools[] = {"standard", "high"};
    char names[256];
    for (size_t i = 0; i < 2; i++) {
        char *path = xasprintf("%s/%s", kvmcloud_folder(cloud), pools[i]);
        DIR *folder = opendir(path);
        assert_non_null(folder);
        for (struct dirent *entry; (entry = readdir(folder));)
            if (entry->d_name[0] != '.')
                fail_msg("%s/%s was left behind", path, entry->d_name);
        (void)closedir(folder);
        free(path);
    }
    assert_int_equal(
        kvmcloud_virsh(cloud, names, sizeof names, (const char *const[]){"list", "--all", "--name", NULL}),
        0);
    assert_string_equal(names + strspn(names, "\n"), "");
}

/* --------------------------------------------------------------------------------------------------- moves
 */

#define CLIENT(moves, token, ...) moves_client(moves, token, 0, (const char *const[]){__VA_ARGS__, NULL})

static char *id_in(json_t *answer)
{
    const char *id = json_string_value(json_object_get(answer, "id"));
    if (!id)
        fail_msg("the client's answer has no id");
    char *copy = xstrdup(id);
    json_decref(answer);
    return copy;
}

void move_plan(struct moves *moves, struct machine *machine, const char *method)
{
    struct world *w = moves->world;
    char *assessment = id_in(
        CLIENT(moves, w->admin, "migrate", "assess", machine->id, "--to", machine->to, "--zone", "extranet"));
    free(machine->migration);
    machine->migration = NULL;
    machine->migration = id_in(
        CLIENT(moves, w->admin, "migrate", "plan", "--instance", machine->id, "--assessment", assessment,
               "--proof", machine->sampled ? "sampled" : "full", method ? "--method" : NULL, method));
    free(assessment);
    move_expect(
        moves, machine,
        "SELECT (state = 'consented') = EXISTS (SELECT FROM consent c WHERE c.unit_id = m.unit_id AND"
        " m.resource_id::text = ANY (c.instances::text[]) AND c.withdrawn_at IS NULL) FROM migration m"
        " WHERE id = '%s' AND state IN ('assessed', 'consented')",
        "t");
}

char *move_consent(struct moves *moves, const struct machine *machine)
{
    char *document = xasprintf("%s/yunqiaod.conf", moves->world->folder), until[MOMENT_TEXT];
    moment_format((moment)time(NULL) * MOMENT_SECOND + 30 * MOMENT_DAY, until);
    char *consent = id_in(CLIENT(moves, moves->head, "consent", "give", "--unit", WORLD_UNIT, "--document",
                                 document, "--reference", "京政数函〔2026〕7号", "--signer", "张三", "--post",
                                 "处长", "--instances", machine->id, "--from", machine->from, "--to",
                                 machine->to, "--valid-until", until));
    free(document);
    move_say(moves, machine, "approve");
    move_expect(moves, machine, "SELECT state FROM migration WHERE id = '%s'", "approved");
    return consent;
}

void move_say(struct moves *moves, const struct machine *machine, const char *word)
{
    bool of_unit = !strcmp(word, "approve") || !strcmp(word, "accept");
    json_decref(
        CLIENT(moves, of_unit ? moves->head : moves->world->admin, "migrate", word, machine->migration));
}

const char *move_both(struct moves *moves, const struct machine *machine, const char *one, const char *other)
{
    const char *const words[] = {one, other};
    struct process *clients[2];
    int statuses[2];
    char *sql = xasprintf("SELECT version FROM migration WHERE id = '%s'", machine->migration);
    char *version = world_value(moves->world, sql);
    for (size_t i = 0; i < 2; i++)
        clients[i] = start_client(
            moves, moves->world->admin,
            (const char *const[]){"migrate", words[i], machine->migration, "--at-version", version, NULL});
    for (size_t i = 0; i < 2; i++) {
        BUF_AUTO struct buf answer = BUF_INIT(TEXT_MAX);
        statuses[i] = end_client(clients[i], &answer);
    }
    if (!WIFEXITED(statuses[0]) || !WIFEXITED(statuses[1]) ||
        WEXITSTATUS(statuses[0]) + WEXITSTATUS(statuses[1]) != CONFLICT)
        fail_msg("of %s and %s at once one is to be taken and one to be told: 0x%x, 0x%x", one, other,
                 (unsigned)statuses[0], (unsigned)statuses[1]);
    free(version);
    free(sql);
    return words[statuses[0] != 0];
}

void move_limit(struct moves *moves, const struct machine *machine, int64_t bandwidth)
{
    char *number = xasprintf("%lld", (long long)bandwidth);
    json_decref(
        CLIENT(moves, moves->world->admin, "migrate", "terms", machine->migration, "--bandwidth", number));
    free(number);
}

void move_await(struct moves *moves, const struct machine *machine, const char *state)
{
    json_decref(CLIENT(moves, moves->world->admin, "migrate", "watch", machine->migration, "--until", state));
    char *said = moves_said(moves);
    print_message("%s", said);
    assert_null(strpbrk(said, "\r\033")); /* plain lines */
    assert_non_null(strstr(said, state));
    free(said);
}

void move_expect(const struct moves *moves, const struct machine *machine, const char *sql,
                 const char *wanted)
{
    const char *at = strstr(sql, "%s");
    assert_non_null(at);
    char *whole = xasprintf("%.*s%s%s", (int)(at - sql), sql, machine->migration, at + 2);
    char *got = world_value(moves->world, whole);
    if (strcmp(got, wanted))
        fail_msg("%s: \"%s\", wanted \"%s\"", whole, got, wanted);
    free(got);
    free(whole);
}

void move_expect_passes(const struct moves *moves, const struct machine *machine, const char *wanted)
{
    move_expect(
        moves, machine,
        "SELECT string_agg(kind, ' ' ORDER BY disk, pass) FROM migration_pass WHERE migration_id = '%s'",
        wanted);
}

/* ------------------------------------------------------------------------------------ what must hold then */

void move_expect_rows(struct moves *moves, const struct machine *machine, const char *cloud)
{
    char *wanted = xasprintf("2 %s %s-1", cloud, cloud);
    move_expect(moves, machine,
                "SELECT concat_ws(' ', count(*), min(r.cloud_id), max(r.endpoint_id)) FROM resource r JOIN"
                " migration m ON m.id = '%s' WHERE r.id = m.resource_id OR r.attached_to = m.resource_id",
                wanted);
    free(wanted);
}

void move_expect_fenced(const struct kvmcloud *cloud, const struct machine *machine)
{
    assert_string_equal(moves_power(cloud, machine), "shut off");
    assert_int_not_equal(kvmcloud_virsh(cloud, NULL, 0, (const char *const[]){"start", machine->id, NULL}),
                         0);
    assert_string_equal(moves_power(cloud, machine), "shut off");
}

void move_expect_closed(struct moves *moves, const struct machine *machine)
{
    move_expect(moves, machine,
                "SELECT count(*) FROM migration_ledger WHERE migration_id = '%s' AND removed_at IS NULL",
                "0");
    move_expect(moves, machine, "SELECT count(*) FROM resource WHERE operation_id = '%s'", "0");
    check_settled(moves->world, MOVE_SECONDS);
    check_counters(moves->world);
    check_usage(moves->world);
}

void move_expect_usage(struct moves *moves, const struct machine *machine)
{
    move_expect(moves, machine,
                "SELECT count(*) || ' ' || bool_and(b.provider_id = m.target_provider_id AND b.cloud_id ="
                " m.target_cloud_id AND b.start_at = m.live_at) FROM migration m JOIN usage_interval a ON"
                " a.unit_id = m.unit_id AND a.cloud_id = m.source_cloud_id AND a.end_at = m.live_at LEFT JOIN"
                " usage_interval b ON b.unit_id = a.unit_id AND b.resource_id = a.resource_id AND b.item ="
                " a.item AND b.start_at = a.end_at WHERE m.id = '%s'",
                "4 true"); /* processors, memory, the system disk; the volume */
    move_expect(
        moves, machine,
        "SELECT count(*) FROM migration m JOIN usage_interval i ON i.resource_id ="
        " m.resource_id::text WHERE m.id = '%s' AND i.cloud_id = m.source_cloud_id AND i.end_at > m.live_at",
        "0");
}

void move_expect_show(struct moves *moves, const struct machine *machine, const char *state)
{
    json_t *shown = moves_client(moves, moves->head, 0,
                                 (const char *const[]){"migrate", "show", machine->migration, NULL});
    assert_string_equal(json_string_value(json_object_get(shown, "state")), state);
    int64_t measured = json_integer_value(json_object_get(json_object_get(shown, "downtime"), "measured_ms"));
    assert_true(measured > 0);
    print_message("%s, down for %lld ms\n", state, (long long)measured);
    json_decref(shown);
}
