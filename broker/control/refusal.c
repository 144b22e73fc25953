/* See refusal.h. */
#include "broker/control/refusal.h"

struct error *refusal_of_insert(struct error *error, const char *what, const char *id, const char *pointer,
                                const char *parent)
{
    if (!error)
        return NULL;
    if (error_code(error) == ERR_EXISTS) {
        error_free(error);
        return error_new(ERR_EXISTS, "%s \"%s\" exists already", what, id);
    }
    if (error_code(error) == ERR_CONFLICT) {
        error_free(error);
        return error_member(pointer, "names no %s", parent);
    }
    return error_wrap(error, "could not register %s \"%s\"", what, id);
}
