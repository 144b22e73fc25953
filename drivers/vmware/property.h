/* Reading properties of managed objects: many at once through the session's view, in pages; or of one object.
 */
#ifndef DRIVERS_VMWARE_PROPERTY_H
#define DRIVERS_VMWARE_PROPERTY_H

#include "drivers/vmware/session.h"

#define PROPERTY_PAGE 500 /* objects in an answer */

/* Which properties of which kind. `paths` ends in NULL. */
struct property_set {
    const char *type;
    const char *const *paths;
};

/* Called for each object with its <propSet> elements' parent (ObjectContent); see property_value. */
typedef void property_visitor(void *context, struct moref ref, const xmlNode *object);

/* Everything in the view. References live in call->arena. Expired sessions and views are renewed before the
 * first page; later, ERR_UNAVAILABLE. */
struct error *property_walk(struct driver_session *session, const struct driver_call *call,
                            const struct property_set *sets, size_t count, property_visitor *visit,
                            void *context) ERROR_MUST_USE;

/* One object, and with `through` (a path of its properties, e.g. "runtime.host") also the one that this
 * refers to. ERR_NOT_FOUND when `ref` is gone. */
struct error *property_read(struct driver_session *session, const struct driver_call *call, struct moref ref,
                            const char *through, const struct property_set *sets, size_t count,
                            property_visitor *visit, void *context) ERROR_MUST_USE;

/* Same, the answer as it came (RetrieveResult in its `returnval`), which the caller ends. */
struct error *property_ask(struct driver_session *session, const struct driver_call *call, struct moref ref,
                           const char *through, const struct property_set *sets, size_t count,
                           struct session_answer *answer) ERROR_MUST_USE;

/* Iterates over the properties of an object: `*at` starts as NULL. False at the end. */
bool property_next(const xmlNode *object, const xmlNode **at, const char **ret_name,
                   const xmlNode **ret_value);

/* Writes a PropertyFilterSpec's content, for a filter of changes over the view or one object. */
void property_put_view(struct xml_request *request, const struct property_set *sets, size_t count,
                       struct moref view);
void property_put_object(struct xml_request *request, const struct property_set *sets, size_t count,
                         struct moref ref, const char *through);

#endif
