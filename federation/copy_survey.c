/* See copy_survey.h. A server may answer for less than was asked, and for one context further than for the
 * other: each has its own list and what is asked next begins where the shorter one ends. */
#include "federation/copy_survey.h"

#include <errno.h>
#include <string.h>

#define WINDOW (UINT64_C(1) << 30) /* servers differ about requests of 2 GiB and more */
#define STATE_ZERO 2U /* base:allocation: reads as zeros (1 alone, a hole, may read as anything) */
#define STATE_DIRTY 1U

struct survey {
    struct copy_connection *connection;
    struct copy_extents content, changes;
    uint64_t asked; /* where the question began */
    struct error *error;
    bool done;
    int number;
};

/* Adds what an answer says beyond what is known; earlier parts of it were said before. */
static struct error *add(struct copy_extents *extents, uint64_t start, uint64_t length, unsigned flags)
{
    if (!length)
        return error_new(ERR_INVALID, "an extent without length");
    if (length > extents->size - start)
        return error_new(ERR_INVALID, "an extent beyond the end");
    if (start + length <= extents->covered)
        return NULL;
    return copy_extents_add(extents, extents->covered, start + length - extents->covered, flags);
}

static int on_extents(void *data, const char *context, uint64_t offset, uint32_t *entries, size_t count,
                      int *number)
{
    struct survey *survey = data;
    bool content = !strcmp(context, LIBNBD_CONTEXT_BASE_ALLOCATION);
    struct copy_extents *extents = content ? &survey->content : &survey->changes;
    if (!survey->error && (offset != survey->asked || (!content && !survey->connection->changes)))
        survey->error = error_new(ERR_INVALID, "an answer to another question");
    for (size_t i = 0; i + 1 < count && !survey->error; i += 2) {
        unsigned flags = content                        ? entries[i + 1] & STATE_ZERO ? COPY_EXTENT_ZERO : 0
                         : entries[i + 1] & STATE_DIRTY ? COPY_EXTENT_CHANGED
                                                        : 0;
        survey->error = add(extents, offset, entries[i], flags);
        offset += entries[i];
    }
    if (survey->error)
        *number = EPROTO;
    return survey->error ? -1 : 0;
}

static int on_done(void *data, int *number)
{
    struct survey *survey = data;
    survey->number = *number;
    survey->done = true;
    return 1;
}

static struct error *ask(struct survey *survey, uint64_t length, const struct copy_wait *wait)
{
    struct copy_connection *connection = survey->connection;
    nbd_extent_callback extents = {.callback = on_extents, .user_data = survey};
    nbd_completion_callback completion = {.callback = on_done, .user_data = survey};
    survey->done = false;
    if (nbd_aio_block_status(connection->nbd, length, survey->asked, extents, completion, 0) < 0)
        return copy_connection_failed(connection, nbd_get_errno(), "tell its extents", survey->asked);
    struct error *error = copy_connection_await(connection, &survey->done, "a question about extents", wait);
    if (!survey->done) { /* the answer must not outlive its place */
        nbd_close(connection->nbd);
        connection->nbd = NULL;
    }
    if (survey->error) {
        error_free(error);
        error = survey->error;
        survey->error = NULL;
        return error_recode(error, ERR_UNAVAILABLE, "the %s tells its extents wrongly near byte %llu",
                            copy_side_name(connection->side), (unsigned long long)survey->asked);
    }
    if (!error && survey->number)
        error = copy_connection_failed(connection, survey->number, "tell its extents", survey->asked);
    return error;
}

static struct error *run(struct survey *survey, const struct copy_wait *wait)
{
    uint64_t size = survey->connection->size;
    while (survey->asked < size) {
        uint64_t length = size - survey->asked < WINDOW ? size - survey->asked : WINDOW,
                 before = survey->asked;
        TRY(ask(survey, length, wait));
        survey->asked = survey->content.covered;
        if (survey->connection->changes && survey->changes.covered < survey->asked)
            survey->asked = survey->changes.covered;
        if (survey->asked == before)
            return error_new(ERR_UNAVAILABLE, "the %s tells no extents at byte %llu",
                             copy_side_name(survey->connection->side), (unsigned long long)before);
    }
    return NULL;
}

struct error *copy_survey(struct copy_connection *connection, const struct copy_wait *wait,
                          struct copy_extents *ret_extents)
{
    struct survey survey = {.connection = connection};
    copy_extents_init(&survey.content, connection->size, 0);
    copy_extents_init(&survey.changes, connection->size, 0);
    struct error *error = NULL;
    if (connection->content)
        error = run(&survey, wait);
    else if (!connection->changes)
        error = copy_extents_add(&survey.content, 0, connection->size, 0);
    else
        error = error_new(ERR_UNSUPPORTED, "the %s tells changes and no extents",
                          copy_side_name(connection->side));
    if (!error && connection->changes)
        error = copy_extents_overlay(&survey.content, &survey.changes, ret_extents);
    else if (!error)
        error = copy_extents_check(&survey.content);
    if (error || connection->changes)
        copy_extents_done(&survey.content);
    else
        *ret_extents = survey.content;
    copy_extents_done(&survey.changes);
    return error;
}
