/* The effects of a test boot: made, run and looked at, removed; see migration_test.h and migration_work.h. */
#include "federation/migration_test.h"

#include <string.h>

#include "broker/base/json.h"
#include "federation/migration_work.h"

#define LOOK_LEAST_US (MOMENT_SECOND / 4)
#define LOOK_MOST_US (2 * MOMENT_SECOND)
#define CONSOLE_LOOK (256 * 1024) /* of the console that is searched at each look */
#define TELL_MOST 200             /* bytes of the expected text that are told again */

/* --------------------------------------------------------------------------------------------- the console
 */

/* Bytes of the character that begins there; 0: none that UTF-8 has, or one that is cut off. */
static size_t character(const unsigned char *at, size_t left)
{
    size_t length = at[0] < 0x80   ? 1
                    : at[0] < 0xc2 ? 0
                    : at[0] < 0xe0 ? 2
                    : at[0] < 0xf0 ? 3
                    : at[0] < 0xf5 ? 4
                                   : 0;
    if (!length || length > left)
        return 0;
    for (size_t i = 1; i < length; i++)
        if ((at[i] & 0xc0) != 0x80)
            return 0;
    bool beyond = (at[0] == 0xe0 && at[1] < 0xa0) || (at[0] == 0xed && at[1] > 0x9f) ||
                  (at[0] == 0xf0 && at[1] < 0x90) || (at[0] == 0xf4 && at[1] > 0x8f);
    return beyond ? 0 : length;
}

/* Bytes of the escape sequence after ESC: "[…final" or one more. */
static size_t escape(const unsigned char *at, size_t left)
{
    size_t length = 1;
    if (!left || at[0] != '[')
        return left ? 1 : 0;
    while (length < left && (at[length] < 0x40 || at[length] > 0x7e))
        length++;
    return length < left ? length + 1 : left;
}

/* As UTF-8 without escape sequences and control characters. */
static const char *clean_console(struct arena *arena, const char *text, size_t length, size_t *ret_length)
{
    const unsigned char *bytes = (const unsigned char *)text;
    char *clean = arena_alloc(arena, length + 1);
    size_t used = 0;
    for (size_t i = 0; i < length;) {
        size_t whole = character(bytes + i, length - i);
        if (bytes[i] == 0x1b) {
            i += 1 + escape(bytes + i + 1, length - i - 1);
        } else if (whole == 1 && (bytes[i] >= 0x20 || bytes[i] == '\n' || bytes[i] == '\t') &&
                   bytes[i] != 0x7f) {
            clean[used++] = (char)bytes[i++];
        } else if (whole > 1) {
            memcpy(clean + used, bytes + i, whole);
            used += whole;
            i += whole;
        } else {
            i++; /* a control character, or no character at all */
        }
    }
    clean[used] = '\0';
    *ret_length = used;
    return clean;
}

static const char *last_lines(const char *clean, size_t length)
{
    if (length <= MIGRATION_TEST_CONSOLE_MAX)
        return clean;
    const char *from = clean + length - MIGRATION_TEST_CONSOLE_MAX, *line = strchr(from, '\n');
    while (((unsigned char)*from & 0xc0) == 0x80)
        from++; /* not in the middle of a character */
    return line && line[1] ? line + 1 : from;
}

const char *migration_test_console(struct arena *arena, const char *text, size_t length)
{
    const char *clean = clean_console(arena, text, length, &length);
    return last_lines(clean, length);
}

/* ------------------------------------------------------------------------------------------------- looking
 */

struct look {
    struct migration_work *work;
    bool on, has_console, agent, spoke, said;
    int64_t elapsed_us;
    const char *console; /* cleaned */
};

static void add_check(json_t *checks, const char *check, bool passed, const char *detail)
{
    json_t *json = json_object();
    json_put_text(json, "check", check);
    json_put_bool(json, "passed", passed);
    json_put_text(json, "detail", detail);
    json_push(checks, json);
}

static const char *told(struct arena *arena, const char *text)
{
    size_t length = strlen(text) < TELL_MOST ? strlen(text) : TELL_MOST;
    while (length < strlen(text) && ((unsigned char)text[length] & 0xc0) == 0x80)
        length--;
    return arena_strndup(arena, text, length);
}

/* Which of its conditions hold; *ret_why is what does not, NULL when all do. */
static json_t *check(const struct look *look, const char **ret_why)
{
    struct arena *arena = look->work->arena;
    const struct migration_test_terms *terms = &look->work->test.terms;
    json_t *checks = json_hold(arena, json_array());
    long long seconds = (long long)(look->elapsed_us / MOMENT_SECOND);
    bool stays = look->on && seconds >= terms->stays_seconds;
    const char *why = NULL,
               *detail = arena_printf(
                   arena, look->on ? "it runs, for %lld s so far" : "it was off after %lld s", seconds);
    add_check(checks, "runs", stays, detail);
    if (!stays)
        why = detail;
    if (look->has_console || terms->expect_console) {
        bool good = terms->expect_console ? look->said : look->spoke;
        detail = terms->expect_console
                     ? arena_printf(arena, "its console %s \"%s\"", good ? "showed" : "did not show",
                                    told(arena, terms->expect_console))
                     : arena_printf(arena, "its console showed %s", good ? "something" : "nothing");
        add_check(checks, "console", good, detail);
        if (!good)
            why = why ? arena_printf(arena, "%s; %s", why, detail) : detail;
    }
    if (terms->agent) {
        detail = look->agent ? "its guest agent answered" : "its guest agent did not answer";
        add_check(checks, "agent", look->agent, detail);
        if (!look->agent)
            why = why ? arena_printf(arena, "%s; %s", why, detail) : detail;
    }
    *ret_why = why;
    return checks;
}

static struct error *read_console(struct look *look, struct gate *gate, const struct driver_call *call,
                                  const struct driver_key *key)
{
    const char *text, *wanted = look->work->test.terms.expect_console;
    size_t length;
    look->has_console = gate_can(gate, DRIVER_CAN_CONSOLE);
    if (!look->has_console)
        return NULL;
    struct error *error = gate_instance_console(gate, call, key, CONSOLE_LOOK, &text, &length);
    if (error && error_code(error) == ERR_UNSUPPORTED) { /* this one keeps none */
        error_free(error);
        look->has_console = false;
        return NULL;
    }
    TRY(error);
    text = clean_console(look->work->arena, text, length, &length);
    look->spoke = length > 0;
    look->said = wanted && strstr(text, wanted);
    look->console = last_lines(text, length);
    return NULL;
}

static struct error *look_at(struct look *look, struct gate *gate, const struct driver_call *call,
                             const struct driver_key *key)
{
    struct driver_detail detail;
    TRY(read_console(look, gate, call, key)); /* before its power: what it said last is there then */
    TRY(gate_instance_detail(gate, call, key, &detail));
    look->on = detail.instance.power == DRIVER_POWER_ON;
    look->agent = detail.agent;
    look->elapsed_us = clock_now(look->work->job->clock) - look->work->test.booted_at;
    return NULL;
}

static struct error *booted_body(struct db *db, void *context)
{
    struct migration_work *work = context;
    TRY(migration_still(db, &work->row));
    return migration_test_booted(db, &work->row, &work->test, clock_now(work->job->clock));
}

/* A short test is looked at more often. */
static int64_t look_again_us(const struct migration_test_terms *terms)
{
    int64_t part = terms->stays_seconds * MOMENT_SECOND / 4;
    return part < LOOK_LEAST_US ? LOOK_LEAST_US : part > LOOK_MOST_US ? LOOK_MOST_US : part;
}

/* Started once: a guest that turned itself off is not started again, and that is what came out. */
static struct error *run_at(struct migration_work *work, struct migration_call *at,
                            const struct driver_key *key)
{
    struct gate *gate = provider_gate(&at->call);
    const struct driver_call *call = &at->call.call;
    struct look look = {.work = work};
    const char *why;
    if (!work->test.booted_at) {
        TRY(gate_instance_start(gate, call, key));
        TRY(job_transaction(work->job, DB_READ_COMMITTED, booted_body, work));
        work->wait_us = look_again_us(&work->test.terms);
        return NULL;
    }
    TRY(look_at(&look, gate, call, key));
    json_t *checks = check(&look, &why);
    if (why && look.on && look.elapsed_us < work->test.terms.seconds * MOMENT_SECOND) {
        work->wait_us = look_again_us(&work->test.terms);
        return NULL;
    }
    work->tested = (struct migration_test_result){
        .outcome = why ? "failed" : "passed", .why = why, .checks = checks, .console = look.console};
    return NULL;
}

static struct error *run(struct migration_work *work)
{
    struct migration_call call;
    const struct driver_key key = {.id = work->test.id};
    TRY(migration_call_open(work, &work->row.target, &call));
    struct error *error = run_at(work, &call, &key);
    migration_call_close(&call);
    return error;
}

/* --------------------------------------------------------------------------------------- making, removing */

static struct error *make(struct migration_work *work)
{
    struct migration_call call;
    struct driver_instance made;
    struct driver_key original = migration_key(work, &work->row.target);
    const struct driver_test_spec spec = {.id = work->test.id, .name = "migration-test"};
    TRY(migration_call_open(work, &work->row.target, &call));
    struct error *error =
        gate_test_create(provider_gate(&call.call), &call.call.call, &original, &spec, &made);
    migration_call_close(&call);
    return error;
}

struct entries {
    struct migration_work *work;
    const char **list;
    size_t count;
};

static struct error *list_body(struct db *db, void *context)
{
    struct entries *entries = context;
    return migration_open_entries(db, entries->work->arena, &entries->work->row, "target", "test",
                                  &entries->list, &entries->count);
}

/* By the ledger, whatever the rows of tests say. */
static struct error *clear(struct migration_work *work)
{
    struct entries entries = {.work = work};
    struct migration_call call;
    struct error *error = NULL;
    TRY(job_transaction(work->job, DB_READ_COMMITTED, list_body, &entries));
    if (!entries.count)
        return NULL;
    TRY(migration_call_open(work, &work->row.target, &call));
    for (size_t i = 0; !error && i < entries.count; i++)
        error = gate_instance_delete(provider_gate(&call.call), &call.call.call,
                                     &(const struct driver_key){.id = entries.list[i]});
    migration_call_close(&call);
    if (error && error_code(error) == ERR_NOT_FOUND) {
        error_free(error);
        error = NULL;
    }
    return error;
}

struct error *migration_perform_test(struct migration_work *work, enum migration_effect effect)
{
    if (effect == MIGRATION_TEST_REMOVE)
        return clear(work);
    if (!work->test.id || work->test.outcome)
        return NULL; /* it is over already */
    return effect == MIGRATION_TEST_MAKE ? make(work) : run(work);
}
