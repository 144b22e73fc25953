/* A move in a few lines, for people: where it is, what stands in the way, and whose word it waits for. All of
 * it is `migrate show`. */
#include <stdio.h>
#include <string.h>

#include "broker/cli/commands.h"

#define REASON_MOST 100 /* columns */

static const char *text_of(const json_t *json, const char *member)
{
    const char *text = json_string_value(json_object_get(json, member));
    return text ? text : "";
}

static int64_t number_of(const json_t *json, const char *member)
{
    return json_integer_value(json_object_get(json, member));
}

static void line(struct arena *arena, const char *title, const char *text)
{
    if (*text)
        (void)printf("  %-10s %s\n", title, cli_safe(arena, text, false));
}

static const char *place(struct arena *arena, const json_t *migration, const char *end)
{
    const json_t *side = json_object_get(migration, end);
    return arena_printf(arena, "%s/%s", text_of(side, "cloud"), text_of(side, "zone"));
}

static bool has_approved(const json_t *migration, const char *part)
{
    size_t i;
    json_t *one;
    json_array_foreach (json_object_get(migration, "approved"), i, one)
        if (!strcmp(text_of(one, "part"), part))
            return true;
    return false;
}

/* Whose word comes next. */
static const char *next_word(struct arena *arena, const json_t *migration)
{
    const char *state = text_of(migration, "state"), *policy = text_of(migration, "approvals");
    if (!strcmp(state, "assessed"))
        return "the unit's administrator consents: yunqiao consent give";
    if (!strcmp(state, "consented")) {
        bool unit = strstr(policy, "unit") && !has_approved(migration, "unit");
        bool platform = strstr(policy, "platform") && !has_approved(migration, "platform");
        return arena_printf(arena, "%s%s%s: yunqiao migrate approve", unit ? "the unit" : "",
                            unit && platform ? " and " : "", platform ? "the platform" : "");
    }
    if (!strcmp(state, "approved"))
        return "yunqiao migrate start";
    if (!strcmp(state, "synced"))
        return "yunqiao migrate test, then cutover";
    if (!strcmp(state, "holding"))
        return "accept and commit, or rollback";
    if (!strcmp(state, "failed"))
        return arena_printf(arena, "it failed in %s: look, then say the same word again",
                            text_of(migration, "failed_in"));
    return "";
}

static const char *downtime(struct arena *arena, const json_t *migration)
{
    const json_t *seen = json_object_get(migration, "downtime");
    const json_t *predicted = json_object_get(seen, "predicted_ms"),
                 *measured = json_object_get(seen, "measured_ms");
    int64_t agreed = number_of(migration, "downtime_seconds");
    const char *text = "";
    if (json_is_integer(measured))
        text = arena_printf(arena, "%lld ms", (long long)json_integer_value(measured));
    else if (json_is_integer(predicted))
        text = arena_printf(arena, "about %lld ms", (long long)json_integer_value(predicted));
    return agreed && *text ? arena_printf(arena, "%s, %lld s are agreed", text, (long long)agreed) : text;
}

bool cli_migration_copies(const json_t *migration)
{
    const char *state = text_of(migration, "state");
    return !strcmp(state, "copying") || !strcmp(state, "testing") || !strcmp(state, "cutting-over");
}

static const char *progress(struct arena *arena, const json_t *migration)
{
    const json_t *seen = json_object_get(migration, "progress");
    if (!seen)
        return "";
    const char *text = arena_printf(arena, "pass %lld, %s of %s", (long long)number_of(seen, "pass"),
                                    cli_size(arena, number_of(seen, "done_bytes")),
                                    cli_size(arena, number_of(seen, "bytes")));
    return cli_migration_copies(migration)
               ? arena_printf(arena, "%s, %s/s", text, cli_size(arena, number_of(seen, "bytes_per_second")))
               : text;
}

/* What was made for it and is still there. */
static const char *ledger(struct arena *arena, const json_t *migration)
{
    size_t i, open = 0;
    json_t *one;
    const json_t *all = json_object_get(migration, "ledger");
    json_array_foreach (all, i, one)
        open += !json_object_get(one, "removed_at");
    return json_array_size(all) ? arena_printf(arena, "%zu of %zu things that were made for it are there",
                                               open, json_array_size(all))
                                : "";
}

static const char *last(struct arena *arena, const json_t *migration)
{
    const json_t *all = json_object_get(migration, "history");
    const json_t *one = json_array_get(all, json_array_size(all) - 1);
    const char *reason = text_of(one, "reason");
    if (!one)
        return "";
    return arena_printf(arena, "%s %s%s%s%s", cli_short_moment(arena, text_of(one, "at")),
                        text_of(one, "event"), *text_of(one, "principal") ? " by " : "",
                        text_of(one, "principal"), *reason ? arena_printf(arena, ": %s", reason) : "");
}

/* Why the way that it went was gone: of the last event that had a reason. */
static const char *reason(struct arena *arena, const json_t *migration)
{
    const json_t *all = json_object_get(migration, "history");
    for (size_t i = json_array_size(all); i-- > 0;) {
        const json_t *one = json_array_get(all, i);
        if (*text_of(one, "reason"))
            return arena_printf(arena, "%s: %s", text_of(one, "event"), text_of(one, "reason"));
    }
    return "";
}

void cli_print_migration(const struct cli *cli, const json_t *migration)
{
    ARENA_AUTO struct arena *arena = arena_new();
    if (cli->json) {
        cli_print(cli, migration);
        return;
    }
    (void)printf("%s: %s\n", cli_safe(arena, text_of(migration, "name"), false),
                 cli_safe(arena, text_of(migration, "state"), false));
    line(arena, "migration", text_of(migration, "id"));
    line(arena, "move",
         arena_printf(arena, "%s, %s to %s", text_of(migration, "method"), place(arena, migration, "source"),
                      place(arena, migration, "target")));
    line(arena, "progress", progress(arena, migration));
    line(arena, "downtime", downtime(arena, migration));
    line(arena, "trouble", cli_cut(arena, text_of(migration, "error"), REASON_MOST));
    line(arena, "made", ledger(arena, migration));
    line(arena, "last", last(arena, migration));
    line(arena, "because", reason(arena, migration));
    line(arena, "next", next_word(arena, migration));
}
