/* What a move may send a second: its own limit, and those of the link between its sites, which it shares with
 * all that goes there (link.h). See migration_work.h. */
#include "federation/consent.h"
#include "federation/link_store.h"
#include "federation/migration_work.h"

struct error *migration_rates(struct db *db, const struct migration_work *work, struct link_rates *ret_rates)
{
    const struct migration_end *source = &work->row.source, *target = &work->row.target;
    *ret_rates = (struct link_rates){.move = (uint64_t)work->row.bandwidth};
    return link_get(db, &(struct link_place){source->cloud, source->site},
                    &(struct link_place){target->cloud, target->site}, &ret_rates->link);
}

struct rates_asked {
    const struct migration_work *work;
    struct link_rates rates;
};

static struct error *rates_body(struct db *db, void *context)
{
    struct rates_asked *asked = context;
    return migration_rates(db, asked->work, &asked->rates);
}

struct error *migration_way_open(struct migration_work *work, struct link_way **ret_way)
{
    const struct federation_services *services = work->job->context;
    const struct migration_row *row = &work->row;
    struct rates_asked asked = {.work = work};
    TRY(db_transaction(work->job->db, &db_scope_system, DB_READ_COMMITTED, rates_body, &asked));
    const char *link =
        arena_printf(work->arena, "%s %s", consent_site(work->arena, row->source.cloud, row->source.site),
                     consent_site(work->arena, row->target.cloud, row->target.site));
    *ret_way = link_way_open(services->links, link, NULL, &asked.rates, moment_monotonic());
    return NULL;
}

/* Hypervisors that copy by themselves cannot share: none of them goes beyond the least limit. */
struct error *migration_bandwidth(struct migration_work *work, uint64_t *ret_bandwidth)
{
    struct rates_asked asked = {.work = work};
    TRY(db_transaction(work->job->db, &db_scope_system, DB_READ_COMMITTED, rates_body, &asked));
    const uint64_t rates[] = {asked.rates.move, asked.rates.wave, asked.rates.link};
    *ret_bandwidth = asked.rates.move;
    if (work->row.method == MIGRATION_MOBILITY)
        return NULL; /* no manager keeps a limit, and one that nobody asked for is not refused */
    for (size_t i = 1; i < sizeof rates / sizeof *rates; i++)
        if (rates[i] && (!*ret_bandwidth || rates[i] < *ret_bandwidth))
            *ret_bandwidth = rates[i];
    return NULL;
}
