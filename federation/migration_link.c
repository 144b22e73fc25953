/* What a move may send a second: its own limit, and those of the link between its sites, which it shares with
 * all that goes there (link.h). See migration_work.h. */
#include "federation/consent.h"
#include "federation/link_store.h"
#include "federation/migration_work.h"
#include "federation/wave_store.h"
#include "federation/wave_terms.h"

/* *ret_wave (in the arena; NULL: it is of none): whose part of the link it has. */
static struct error *find_rates(struct db *db, struct arena *arena, const struct migration_row *row,
                                struct link_rates *ret_rates, const char **ret_wave)
{
    const struct link_place from = {row->source.cloud, row->source.site},
                            to = {row->target.cloud, row->target.site};
    json_t *terms;
    *ret_rates = (struct link_rates){.move = (uint64_t)row->bandwidth};
    TRY(wave_of_move(db, arena, row->unit, row->id, ret_wave, &terms));
    ret_rates->wave = wave_terms_rate(terms, &from, &to);
    return link_get(db, &from, &to, &ret_rates->link);
}

struct error *migration_rates(struct db *db, const struct migration_work *work, struct link_rates *ret_rates)
{
    ARENA_AUTO struct arena *arena = arena_new(); /* it is asked again and again while a pass runs */
    const char *wave;
    return find_rates(db, arena, &work->row, ret_rates, &wave);
}

struct rates_asked {
    const struct migration_work *work;
    struct link_rates rates;
    const char *wave;
};

static struct error *rates_body(struct db *db, void *context)
{
    struct rates_asked *asked = context;
    return find_rates(db, asked->work->arena, &asked->work->row, &asked->rates, &asked->wave);
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
    const char *wave = asked.wave ? arena_printf(work->arena, "%s %s", asked.wave, link) : NULL;
    *ret_way = link_way_open(services->links, link, wave, &asked.rates, moment_monotonic());
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
