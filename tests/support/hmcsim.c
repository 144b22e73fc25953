/* See hmcsim.h. */
#include "tests/support/hmcsim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/base/moment.h"
#include "drivers/https.h"
#include "tests/support/process.h"

#define START_US (60 * MOMENT_SECOND)
#define ARGUMENTS_MAX 40
#define ANSWER_MAX (8u << 20)

struct hmcsim {
    struct process *process;
    struct https *https;
    char *url, *fingerprint;
    json_t *state;
    json_t *consoles; /* URLs; NULL: one console */
};

static void stop_test(const char *what, const char *detail)
{
    fprintf(stderr, "hmcsim: %s: %s\n", what, detail);
    abort();
}

static void connect_to(struct hmcsim *sim)
{
    struct https_options options = {.fingerprint = sim->fingerprint, .timeout_us = 20 * MOMENT_SECOND};
    struct error *error = https_open(&options, &sim->https);
    if (error)
        stop_test("https_open", error_message(error));
}

struct hmcsim *hmcsim_start(const char *const *arguments)
{
    struct hmcsim *sim = xcalloc(1, sizeof *sim);
    const char *argv[ARGUMENTS_MAX] = {SOURCE_DIR "/contrib/hmcsim",
                                       "--port",
                                       "0",
                                       "--die-with-stdin",
                                       "--job-seconds",
                                       "0.05",
                                       "--rmc-seconds",
                                       "0.05",
                                       "--event-wait",
                                       "0.5"};
    for (size_t i = 0; arguments && arguments[i]; i++)
        if (i + 11 < ARGUMENTS_MAX)
            argv[i + 10] = arguments[i];
    sim->process = process_start(argv, NULL);
    const char *line = process_line(sim->process, START_US);
    json_t *ready = line ? json_loads(line, 0, NULL) : NULL;
    const char *url = json_string_value(json_object_get(ready, "url"));
    const char *fingerprint = json_string_value(json_object_get(ready, "fingerprint"));
    if (!url || !fingerprint)
        stop_test("no ready line", line ? line : "(nothing)");
    sim->url = xstrdup(url);
    sim->fingerprint = xstrdup(fingerprint);
    sim->consoles = json_incref(json_object_get(ready, "consoles"));
    json_decref(ready);
    connect_to(sim);
    return sim;
}

struct hmcsim *hmcsim_console(const struct hmcsim *sim, size_t number)
{
    struct hmcsim *other = xcalloc(1, sizeof *other);
    const char *url = sim->consoles ? json_string_value(json_array_get(sim->consoles, number)) : sim->url;
    if (!url)
        stop_test("no such console", sim->url);
    other->url = xstrdup(url);
    other->fingerprint = xstrdup(sim->fingerprint);
    connect_to(other);
    return other;
}

void hmcsim_stop(struct hmcsim *sim)
{
    if (!sim)
        return;
    https_close(sim->https);
    if (sim->process && process_stop(sim->process) != 0)
        stop_test("ended badly", sim->url);
    json_decref(sim->state);
    json_decref(sim->consoles);
    free(sim->url);
    free(sim->fingerprint);
    free(sim);
}

const char *hmcsim_fingerprint(const struct hmcsim *sim)
{
    return sim->fingerprint;
}

struct driver_endpoint hmcsim_endpoint(const struct hmcsim *sim)
{
    return (struct driver_endpoint){.id = "hmc",
                                    .url = sim->url,
                                    .username = HMCSIM_USER,
                                    .password = HMCSIM_PASSWORD,
                                    .fingerprint = sim->fingerprint,
                                    .timeout_us = 10 * MOMENT_SECOND};
}

static const char *ask(struct hmcsim *sim, const char *method, const char *path, const char *body)
{
    ARENA_AUTO struct arena *arena = arena_new();
    struct https_request request = {.method = method,
                                    .url = arena_printf(arena, "%s%s", sim->url, path),
                                    .body = body,
                                    .body_length = body ? strlen(body) : 0,
                                    .limit = ANSWER_MAX,
                                    .deadline_us = moment_monotonic() + 20 * MOMENT_SECOND};
    struct https_answer answer;
    struct error *error = https_send(sim->https, &request, &answer);
    if (error)
        stop_test(path, error_message(error));
    if (answer.status != 200)
        stop_test(path, answer.body);
    return answer.body;
}

void hmcsim_control(struct hmcsim *sim, const char *path, const char *json)
{
    (void)ask(sim, "POST", path, json); /* the answer is {} */
}

const json_t *hmcsim_state(struct hmcsim *sim)
{
    json_decref(sim->state);
    sim->state = json_loads(ask(sim, "GET", "/__state", NULL), 0, NULL);
    if (!sim->state)
        stop_test("/__state", "no JSON");
    return sim->state;
}

static bool is(const json_t *item, const char *member, const char *text)
{
    const char *value = json_string_value(json_object_get(item, member));
    return value && strcmp(value, text) == 0;
}

size_t hmcsim_count(struct hmcsim *sim, const char *list, const char *member, const char *text)
{
    size_t index, count = 0;
    json_t *item;
    json_array_foreach (json_object_get(hmcsim_state(sim), list), index, item) {
        count += is(item, member, text);
    }
    return count;
}

const json_t *hmcsim_item(struct hmcsim *sim, const char *list, const char *member, const char *text)
{
    size_t index;
    json_t *item;
    json_array_foreach (json_object_get(hmcsim_state(sim), list), index, item) {
        if (is(item, member, text))
            return item;
    }
    return NULL;
}

size_t hmcsim_requests(struct hmcsim *sim, const char *text)
{
    size_t index, count = 0;
    json_t *item;
    json_array_foreach (json_object_get(hmcsim_state(sim), "requests"), index, item) {
        count += strstr(json_string_value(item), text) != NULL;
    }
    return count;
}
