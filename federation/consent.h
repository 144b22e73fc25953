/* Consents: a unit's recorded permission for its data to leave a site (procurement 2.1.1, 2.5). Without one
 * that covers the system or the machine, where it stands and where it is to go, nothing is copied, whatever
 * the caller's role. A consent rests on a mail or letter of the unit: its digest and reference are kept here,
 * the document itself stays with the unit. It is never changed, only withdrawn, at any time, with a reason.
 *
 * A place is "CLOUD/SITE", or in a consent also "CLOUD": every site of that cloud. Ids have no slash. Where
 * data goes to may also be CONSENT_EXPORT: files that leave all clouds (transfer.h). */
#ifndef FEDERATION_CONSENT_H
#define FEDERATION_CONSENT_H

#include <stdbool.h>
#include <stddef.h>

#include "broker/base/arena.h"
#include "broker/base/error.h"
#include "broker/base/json.h"
#include "broker/base/moment.h"
#include "broker/db/db.h"

#define CONSENT_SYSTEMS_MAX 200
#define CONSENT_INSTANCES_MAX 1000
#define CONSENT_PLACES_MAX 50     /* on either side */
#define CONSENT_REFERENCE_MAX 255 /* code points */
#define CONSENT_SIGNER_MAX 100    /* code points, of name and post each */
#define CONSENT_REASON_MAX 1000   /* code points */
#define CONSENT_EXPORT "@export"  /* no cloud can have that id */

struct consent {
    const char *id, *unit;
    const char *algorithm; /* "sha256" or "sm3" */
    const char *digest;    /* of the document, 64 lower-case hex digits */
    const char *reference; /* number of the mail or letter */
    const char *signer_name, *signer_post;
    struct json_texts systems;      /* whole systems of the unit */
    struct json_texts instances;    /* single machines of the unit: instances and servers */
    struct json_texts from, to;     /* places */
    moment valid_from, valid_until; /* half-open */
    const char *given_by;           /* the principal */
    moment given_at;
    moment withdrawn_at; /* 0: it is not */
    const char *withdrawn_by, *withdrawal_reason;
    int64_t version;
};

/* Data of what would go from where to where. */
struct consent_ask {
    const char *unit, *system;
    const char *resource; /* id of the machine; NULL: the system as a whole */
    const char *from, *to;
};

enum consent_verdict {
    CONSENT_COVERS,
    CONSENT_ELSEWHERE, /* speaks of something else */
    CONSENT_EARLY,
    CONSENT_EXPIRED,
    CONSENT_WITHDRAWN
};
/* A place of a consent covers a site: the same, or its whole cloud. */
bool consent_place_covers(const char *place, const char *site);
enum consent_verdict consent_weigh(const struct consent *consent, const struct consent_ask *ask, moment now);

/* NULL, and which of the list covers it; else ERR_DENIED that says why: withdrawn, expired or not yet in
 * force of the one that would have covered it (in this order, the latest of them), or that there is none. */
struct error *consent_judge(const struct consent *list, size_t count, const struct consent_ask *ask,
                            moment now, size_t *ret_which) ERROR_MUST_USE;

/* What a new consent must be in itself; every violation with its pointer into the request
 * ("/document/digest"). Brings the digest to lower case. */
struct error *consent_check_new(struct arena *arena, struct consent *consent, moment now) ERROR_MUST_USE;

/* In the caller's transaction. ERR_INVALID for systems, machines and places that there are not, or not of the
 * unit. Event "consent.given". */
struct error *consent_give(struct db *db, struct arena *arena, const struct consent *consent) ERROR_MUST_USE;
struct error *consent_get(struct db *db, struct arena *arena, const char *id,
                          struct consent *ret_consent) ERROR_MUST_USE;
/* ERR_CONFLICT when it is withdrawn already; ERR_STALE when the version is another. Waits for the
 * transactions that rest on the consent at this moment (consent_check). Event "consent.withdrawn". */
struct error *consent_withdraw(struct db *db, struct arena *arena, const struct consent *consent,
                               const char *by, const char *reason, moment now) ERROR_MUST_USE;

/* What everything that moves data asks, in the transaction that lets it begin or go on, under the broker's
 * own scope: NULL, or ERR_DENIED with the reason. The consent is held (FOR SHARE) until that transaction
 * ends, so a withdrawal comes before or after it, never in the middle; so the transaction is short and may
 * write. `resource` may be NULL: only consents for the whole system count. Within one site no data leaves it:
 * NULL, and no consent. `to_site` may be CONSENT_EXPORT. *ret_consent (ret_consent may be NULL) is the id of
 * the one that covers it, in the arena, or NULL.
 */
struct error *consent_check(struct db *db, struct arena *arena, const char *unit, const char *system,
                            const char *resource, const char *from_site, const char *to_site, moment now,
                            const char **ret_consent) ERROR_MUST_USE;

/* The one cloud that the data leaves, for events and audit rows; NULL: several. */
const char *consent_cloud(struct arena *arena, const struct consent *consent);
/* "CLOUD/SITE"; in the arena. */
const char *consent_site(struct arena *arena, const char *cloud, const char *site);

/* $1 id, $2 now. */
extern const struct db_statement consent_select_one;
/* $1 cursor, $2 size, $3 unit, $4 system, $5 cloud, $6 state, $7 now. */
extern const struct db_statement consent_select_list;

#endif
