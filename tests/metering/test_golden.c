/* Golden bills: each of the 23 items by itself, ordered as its kind is, used for a part of a month, and
 * billed by a closing in a real PostgreSQL. Every figure below was worked out by hand, as its comment shows:
 *
 *     price × quantity × time used ÷ length of the calendar month, rounded half up to the fen once a line.
 *
 * Times are Beijing time. Prices are the caps of procurement 3.1.3 unless a case says otherwise. A line reads
 * "month item tariff price list amount". */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "broker/base/json.h"
#include "catalog/item.h"
#include "catalog/kind.h"
#include "tests/metering/ledger.h"

#define STEPS_MAX 4

struct step {
    const char *at;   /* "2027-02-08T12:00:00", Beijing time */
    const char *spec; /* what an order or a resize leaves; NULL: released */
};

struct golden {
    const char *name, *kind;
    bool system_disk_included, small_whole; /* settings of the agreement; else its defaults */
    struct step steps[STEPS_MAX];
    const char *reprice; /* month from which every price is a yuan lower; NULL: never */
    const char *last;    /* month up to which is closed */
    const char *lines, *total;
};

static const struct golden goldens[] = {
    /* 4 vCPU and 8 GB for 5 of February's 28 days, the system disk included by agreement.
     * 1001: 14.02 × 4 × 5/28 = 280.40/28 = 10.01428… → 10.01
     * 1002: 41.15 × 8 × 5/28 = 1646.00/28 = 58.78571… → 58.79 */
    {.name = "1001 and 1002: a cloud host",
     .kind = "instance",
     .system_disk_included = true,
     .steps = {{"2027-02-08T00:00:00",
                "{'vcpu':4,'memory_gb':8,'architecture':'x86','image':'i','zone':'z1'}"},
               {"2027-02-13T00:00:00", NULL}},
     .last = "2027-02",
     .lines = "2027-02 1001 standard 14.02 10.01 10.01; 2027-02 1002 standard 41.15 58.79 58.79",
     .total = "68.80"},
    /* The same with its system disk of 40 GB (the default), which is storage of 1011: 28.60 × 0.4 × 5/28 =
     * 57.20/28 = 2.04285… → 2.04 */
    {.name = "1001, 1002 and the system disk",
     .kind = "instance",
     .steps = {{"2027-02-08T00:00:00",
                "{'vcpu':4,'memory_gb':8,'architecture':'x86','image':'i','zone':'z1'}"},
               {"2027-02-13T00:00:00", NULL}},
     .last = "2027-02",
     .lines = "2027-02 1001 standard 14.02 10.01 10.01; 2027-02 1002 standard 41.15 58.79 58.79;"
              " 2027-02 1011 standard 28.60 2.04 2.04",
     .total = "70.84"},
    /* From noon of January 17th on: 14.5 of 31 days. 354.23 × 14.5/31 = 5136.335/31 = 165.68822… → 165.69 */
    {.name = "1003: a server of configuration 1",
     .kind = "server",
     .steps =
         {{"2027-01-17T12:00:00",
           "{'configuration':1,'architecture':'x86','zone':'z1','reason':'a licence bound to hardware'}"}},
     .last = "2027-01",
     .lines = "2027-01 1003 standard 354.23 165.69 165.69",
     .total = "165.69"},
    /* 10 days and 8 hours, 248 of the 696 hours of a February of 29 days.
     * 374.52 × 248/696 = 92880.96/696 = 133.44965… → 133.45 */
    {.name = "1004: a server of configuration 2",
     .kind = "server",
     .steps = {{"2028-02-01T00:00:00", "{'configuration':2,'architecture':'ARM','zone':'z1','reason':'io'}"},
               {"2028-02-11T08:00:00", NULL}},
     .last = "2028-02",
     .lines = "2028-02 1004 standard 374.52 133.45 133.45",
     .total = "133.45"},
    /* 6 of April's 30 days. 1003: 354.23 × 6/30 = 70.846 → 70.85; 1005: 200.60 × 3 × 6/30 = 120.36 */
    {.name = "1005: memory of a server",
     .kind = "server",
     .steps = {{"2027-04-20T00:00:00",
                "{'configuration':1,'architecture':'x86','zone':'z1','reason':'io','memory_32gb':3}"},
               {"2027-04-26T00:00:00", NULL}},
     .last = "2027-04",
     .lines = "2027-04 1003 standard 354.23 70.85 70.85; 2027-04 1005 standard 200.60 120.36 120.36",
     .total = "191.21"},
    /* 11 of May's 31 days. 1004: 374.52 × 11/31 = 4119.72/31 = 132.89419… → 132.89
     * 1006: 122.68 × 2 × 11/31 = 2698.96/31 = 87.06322… → 87.06 */
    {.name = "1006: SSDs of a server",
     .kind = "server",
     .steps = {{"2027-05-21T00:00:00",
                "{'configuration':2,'architecture':'x86','zone':'z1','reason':'io','ssd_480gb':2}"}},
     .last = "2027-05",
     .lines = "2027-05 1004 standard 374.52 132.89 132.89; 2027-05 1006 standard 122.68 87.06 87.06",
     .total = "219.95"},
    /* 6 disks for 10 days, then 8 for 4.5: 6 × 10 + 8 × 4.5 = 96 disk days of 28.
     * 1003: 354.23 × 14.5/28 = 5136.335/28 = 183.44053… → 183.44
     * 1007: 102.83 × 96/28 = 9871.68/28 = 352.56 */
    {.name = "1007: SAS disks of a server, added to",
     .kind = "server",
     .steps = {{"2027-02-01T00:00:00",
                "{'configuration':1,'architecture':'C86','zone':'z1','reason':'io','sas_600gb':6}"},
               {"2027-02-11T00:00:00",
                "{'configuration':1,'architecture':'C86','zone':'z1','reason':'io','sas_600gb':8}"},
               {"2027-02-15T12:00:00", NULL}},
     .last = "2027-02",
     .lines = "2027-02 1003 standard 354.23 183.44 183.44; 2027-02 1007 standard 102.83 352.56 352.56",
     .total = "536.00"},
    /* 13 of 29 days. 1004: 374.52 × 13/29 = 4868.76/29 = 167.88827… → 167.89
     * 1008: 191.73 × 4 × 13/29 = 9969.96/29 = 343.79172… → 343.79 */
    {.name = "1008: SATA disks of a server",
     .kind = "server",
     .steps = {{"2028-02-17T00:00:00",
                "{'configuration':2,'architecture':'x86','zone':'z1','reason':'io','sata_4tb':4}"}},
     .last = "2028-02",
     .lines = "2028-02 1004 standard 374.52 167.89 167.89; 2028-02 1008 standard 191.73 343.79 343.79",
     .total = "511.68"},
    /* Memory and compute are always both: 24 GB and 83 TFLOPS for 222 of April's 720 hours.
     * 1009: 45.00 × 24 × 222/720 = 333.00; 1010: 8.00 × 83 × 222/720 = 147408/720 = 204.73333… → 204.73 */
    {.name = "1009 and 1010: a GPU",
     .kind = "gpu",
     .steps = {{"2027-04-05T12:00:00", "{'memory_gb':24,'tflops':83,'attach_to':'host'}"},
               {"2027-04-14T18:00:00", NULL}},
     .last = "2027-04",
     .lines = "2027-04 1009 standard 45.00 333.00 333.00; 2027-04 1010 standard 8.00 204.73 204.73",
     .total = "537.73"},
    /* 1 GB of 100 for the whole month: 28.60 × 0.01 = 0.286 → 0.29 */
    {.name = "1011: a volume of 1 GB",
     .kind = "volume",
     .steps = {{"2027-04-01T00:00:00", "{'size_gb':1,'performance':'standard'}"},
               {"2027-05-01T00:00:00", NULL}},
     .last = "2027-04",
     .lines = "2027-04 1011 standard 28.60 0.29 0.29",
     .total = "0.29"},
    /* 250 GB for 10 of 31 days: 28.60 × 2.5 × 10/31 = 715.00/31 = 23.06451… → 23.06 */
    {.name = "1011: a volume, in proportion",
     .kind = "volume",
     .steps = {{"2027-01-04T00:00:00", "{'size_gb':250,'performance':'standard'}"},
               {"2027-01-14T00:00:00", NULL}},
     .last = "2027-01",
     .lines = "2027-01 1011 standard 28.60 23.06 23.06",
     .total = "23.06"},
    /* Begun 100 GB count whole by agreement: 28.60 × 3 × 10/31 = 858.00/31 = 27.67741… → 27.68 */
    {.name = "1011: a volume, by whole units",
     .kind = "volume",
     .small_whole = true,
     .steps = {{"2027-01-04T00:00:00", "{'size_gb':250,'performance':'standard'}"},
               {"2027-01-14T00:00:00", NULL}},
     .last = "2027-01",
     .lines = "2027-01 1011 standard 28.60 27.68 27.68",
     .total = "27.68"},
    /* 150 GB for 28 of 29 days: 64.25 × 1.5 × 28/29 = 2698.50/29 = 93.05172… → 93.05 */
    {.name = "1012: a fast volume",
     .kind = "volume",
     .steps = {{"2028-02-02T00:00:00", "{'size_gb':150,'performance':'high'}"}},
     .last = "2028-02",
     .lines = "2028-02 1012 standard 64.25 93.05 93.05",
     .total = "93.05"},
    /* 1500 GB are 1.5 TB, for 9 of 28 days: 72.75 × 1.5 × 9/28 = 982.125/28 = 35.07589… → 35.08 */
    {.name = "1013: static storage, in proportion",
     .kind = "object-store",
     .steps = {{"2027-02-20T00:00:00", "{'size_gb':1500}"}},
     .last = "2027-02",
     .lines = "2027-02 1013 standard 72.75 35.08 35.08",
     .total = "35.08"},
    /* By whole units 2 TB: 72.75 × 2 × 9/28 = 1309.50/28 = 46.76785… → 46.77 */
    {.name = "1013: static storage, by whole units",
     .kind = "object-store",
     .small_whole = true,
     .steps = {{"2027-02-20T00:00:00", "{'size_gb':1500}"}},
     .last = "2027-02",
     .lines = "2027-02 1013 standard 72.75 46.77 46.77",
     .total = "46.77"},
    /* 450 GB protected, 800 GB of space, 20 of 30 days. 1014: 88.45 × 4.5 × 20/30 = 265.35
     * its space, 1011: 28.60 × 8 × 20/30 = 152.53333… → 152.53 */
    {.name = "1014: local backup and its space",
     .kind = "backup-policy",
     .steps = {{"2027-06-11T00:00:00",
                "{'place':'local','protected_gb':450,'space_gb':800,'space_class':'standard'}"}},
     .last = "2027-06",
     .lines = "2027-06 1011 standard 28.60 152.53 152.53; 2027-06 1014 standard 88.45 265.35 265.35",
     .total = "417.88"},
    /* 300 GB protected, 1200 GB of static space, 17 of 31 days. 1015: 138.90 × 3 × 17/31 = 7083.90/31 =
     * 228.51290… → 228.51; its space, 1013: 72.75 × 1.2 × 17/31 = 1484.10/31 = 47.87419… → 47.87 */
    {.name = "1015: off-site backup and its space",
     .kind = "backup-policy",
     .steps = {{"2027-07-15T00:00:00",
                "{'place':'remote','protected_gb':300,'space_gb':1200,'space_class':'static'}"}},
     .last = "2027-07",
     .lines = "2027-07 1013 standard 72.75 47.87 47.87; 2027-07 1015 standard 138.90 228.51 228.51",
     .total = "276.38"},
    /* Backup of a cloud host is in the host's price, its space is not: 120 GB for 3 of 28 days.
     * 1012: 64.25 × 1.2 × 3/28 = 231.30/28 = 8.26071… → 8.26 */
    {.name = "backup of a cloud host: its space alone",
     .kind = "backup-policy",
     .steps = {{"2027-02-10T00:00:00",
                "{'place':'local','covers':'host','attach_to':'host','protected_gb':100,"
                "'space_gb':120,'space_class':'high'}"},
               {"2027-02-13T00:00:00", NULL}},
     .last = "2027-02",
     .lines = "2027-02 1012 standard 64.25 8.26 8.26",
     .total = "8.26"},
    /* 20 Mb for 10 days, then 50 Mb for 5: 450 Mb days of 28. 49.55 × 450/28 = 22297.50/28 = 796.33928…
     * → 796.34 */
    {.name = "1016: bandwidth that grows",
     .kind = "bandwidth",
     .steps = {{"2027-02-01T00:00:00", "{'mbps':20,'zone':'internet'}"},
               {"2027-02-11T00:00:00", "{'mbps':50,'zone':'internet'}"},
               {"2027-02-16T00:00:00", NULL}},
     .last = "2027-02",
     .lines = "2027-02 1016 standard 49.55 796.34 796.34",
     .total = "796.34"},
    /* 15 of 31 days, IPv6 at the one price: 76.05 × 15/31 = 1140.75/31 = 36.79838… → 36.80 */
    {.name = "1017: an address",
     .kind = "address",
     .steps = {{"2027-01-02T09:30:00", "{'zone':'internet','family':6}"}, {"2027-01-17T09:30:00", NULL}},
     .last = "2027-01",
     .lines = "2027-01 1017 standard 76.05 36.80 36.80",
     .total = "36.80"},
    /* 3 internal addresses for 7 of 29 days: 66.47 × 3 × 7/29 = 1395.87/29 = 48.13344… → 48.13 */
    {.name = "1018: a load balancer",
     .kind = "load-balancer",
     .steps = {{"2028-02-01T00:00:00", "{'backends':['10.0.0.1','10.0.0.2','10.0.0.3'],'zone':'z1'}"},
               {"2028-02-08T00:00:00", NULL}},
     .last = "2028-02",
     .lines = "2028-02 1018 standard 66.47 48.13 48.13",
     .total = "48.13"},
    /* The one that is free would have cost 356.37 × 5/28 = 1781.85/28 = 63.6375 → 63.64 */
    {.name = "1019: the free account",
     .kind = "remote-account",
     .steps = {{"2027-02-03T00:00:00", "{'accounts':1}"}, {"2027-02-08T00:00:00", NULL}},
     .last = "2027-02",
     .lines = "2027-02 1019 allowance 356.37 63.64 0.00",
     .total = "0.00"},
    /* 3 accounts for 12 of 30 days: 2 are charged, 356.37 × 2 × 12/30 = 285.096 → 285.10; the free one would
     * have cost 142.548 → 142.55 */
    {.name = "1019: two accounts above the free one",
     .kind = "remote-account",
     .steps = {{"2027-04-03T00:00:00", "{'accounts':3}"}, {"2027-04-15T00:00:00", NULL}},
     .last = "2027-04",
     .lines = "2027-04 1019 standard 356.37 285.10 285.10; 2027-04 1019 allowance 356.37 142.55 0.00",
     .total = "285.10"},
    /* 25 users are 3 sets for 20 days, then 10 users are 1 set for 6: 66 set days of 31.
     * 257.72 × 66/31 = 17009.52/31 = 548.69419… → 548.69 */
    {.name = "1020: SSL VPN by the begun set",
     .kind = "ssl-vpn",
     .steps = {{"2027-12-01T00:00:00", "{'concurrent_users':25}"},
               {"2027-12-21T00:00:00", "{'concurrent_users':10}"},
               {"2027-12-27T00:00:00", NULL}},
     .last = "2027-12",
     .lines = "2027-12 1020 standard 257.72 548.69 548.69",
     .total = "548.69"},
    /* 7 Mb for 4 days, then 12 Mb for 18 hours: 28 + 9 = 37 Mb days of 30. 127.78 × 37/30 = 4727.86/30 =
     * 157.59533… → 157.60 */
    {.name = "1021: a tunnel, adjusted on demand",
     .kind = "ipsec-vpn",
     .steps = {{"2027-09-10T00:00:00", "{'mbps':7}"},
               {"2027-09-14T00:00:00", "{'mbps':12}"},
               {"2027-09-14T18:00:00", NULL}},
     .last = "2027-09",
     .lines = "2027-09 1021 standard 127.78 157.60 157.60",
     .total = "157.60"},
    /* 2 names for 19 of 31 days: 313.69 × 2 × 19/31 = 11920.22/31 = 384.52322… → 384.52 */
    {.name = "1022: certificates by the name",
     .kind = "certificate",
     .steps = {{"2027-10-13T00:00:00", "{'domains':['a.example','b.example']}"}},
     .last = "2027-10",
     .lines = "2027-10 1022 standard 313.69 384.52 384.52",
     .total = "384.52"},
    /* 201 Mbps are 2 sets of 200, for 11 of 28 days: 98.86 × 2 × 11/28 = 2174.92/28 = 77.67571… → 77.68 */
    {.name = "1023: a firewall by the begun set",
     .kind = "waf",
     .steps = {{"2027-02-05T00:00:00", "{'mbps':201}"}, {"2027-02-16T00:00:00", NULL}},
     .last = "2027-02",
     .lines = "2027-02 1023 standard 98.86 77.68 77.68",
     .total = "77.68"},
    /* A later bid's price from March on, in the middle of the use: 8 of 28 days at 76.05, 10 of 31 at 75.05.
     * 76.05 × 8/28 = 608.40/28 = 21.72857… → 21.73; 75.05 × 10/31 = 750.50/31 = 24.20967… → 24.21 */
    {.name = "a price change in mid-term",
     .kind = "address",
     .steps = {{"2027-02-21T00:00:00", "{'zone':'internet'}"}, {"2027-03-11T00:00:00", NULL}},
     .reprice = "2027-03",
     .last = "2027-03",
     .lines = "2027-02 1017 standard 76.05 21.73 21.73; 2027-03 1017 standard 75.05 24.21 24.21",
     .total = "45.94"},
    /* Half of February, to its very end: 76.05 × 14/28 = 38.025 → 38.03 */
    {.name = "to the month's end",
     .kind = "address",
     .steps = {{"2027-02-15T00:00:00", "{'zone':'internet'}"}, {"2027-03-01T00:00:00", NULL}},
     .last = "2027-03",
     .lines = "2027-02 1017 standard 76.05 38.03 38.03",
     .total = "38.03"},
    /* A microsecond less than half is less than 38.025 → 38.02 */
    {.name = "a microsecond before the month's end",
     .kind = "address",
     .steps = {{"2027-02-15T00:00:00", "{'zone':'internet'}"}, {"2027-02-28T23:59:59.999999", NULL}},
     .last = "2027-03",
     .lines = "2027-02 1017 standard 76.05 38.02 38.02",
     .total = "38.02"},
    /* A microsecond of March, at March's price, is a line of 0.00 */
    {.name = "a microsecond after the month's end",
     .kind = "address",
     .steps = {{"2027-02-15T00:00:00", "{'zone':'internet'}"}, {"2027-03-01T00:00:00.000001", NULL}},
     .reprice = "2027-03",
     .last = "2027-03",
     .lines = "2027-02 1017 standard 76.05 38.03 38.03; 2027-03 1017 standard 75.05 0.00 0.00",
     .total = "38.03"},
    /* 1 Mb in the first half of February, 3 Mb from the boundary of the months on, released after a day:
     * 49.55 × 28/28 and 49.55 × 3 × 1/31 = 148.65/31 = 4.79516… → 4.80 */
    {.name = "a resize at the very boundary",
     .kind = "bandwidth",
     .steps = {{"2027-02-01T00:00:00", "{'mbps':1,'zone':'internet'}"},
               {"2027-03-01T00:00:00", "{'mbps':3,'zone':'internet'}"},
               {"2027-03-02T00:00:00", NULL}},
     .last = "2027-03",
     .lines = "2027-02 1016 standard 49.55 49.55 49.55; 2027-03 1016 standard 49.55 4.80 4.80",
     .total = "54.35"},
};
#define GOLDENS (sizeof goldens / sizeof *goldens)

static struct ledger ledger;

static int open_ledger(void **state)
{
    ledger_open(&ledger);
    return 0;
}

static int close_ledger(void **state)
{
    ledger_close(&ledger);
    return 0;
}

static struct month month_named(const char *text)
{
    struct month month = {0};
    ledger_ok(month_parse(text, &month));
    return month;
}

static moment beijing(struct arena *arena, const char *text)
{
    return at(arena_printf(arena, "%s+08:00", text));
}

struct ordered {
    struct usage_subject subject;
    struct item_quantity items[KIND_ITEMS_MAX];
    size_t count;
    moment at;
};

static struct error *meter(struct db *db, void *context)
{
    const struct ordered *ordered = context;
    return usage_set(db, &ordered->subject, ordered->items, ordered->count, ordered->at);
}

/* JSON with ' for ", which C would make hard to read. */
static json_t *spec_read(struct arena *arena, const char *text)
{
    char *copy = arena_strdup(arena, text);
    for (char *at = copy; *at; at++)
        if (*at == '\'')
            *at = '"';
    json_t *spec = json_loads(copy, 0, NULL);
    assert_non_null(spec);
    return json_hold(arena, spec);
}

/* What the step's spec uses under the agreement, from then on. */
static void take_step(const struct golden *golden, const struct agreement *agreement, const struct step *step)
{
    ARENA_AUTO struct arena *arena = arena_new();
    struct ordered ordered = {.subject = {.unit = "u1",
                                          .system = "u1001",
                                          .cloud = "c1",
                                          .provider = "p1",
                                          .resource = "r1",
                                          .kind = golden->kind,
                                          .industry = "service"},
                              .at = beijing(arena, step->at)};
    const struct kind *kind = kind_find(golden->kind);
    json_t *full;
    if (!step->spec) {
        ledger_ok(ledger_end(&ledger, "u1", "r1", ordered.at));
        return;
    }
    ledger_ok(kind_read(kind, arena, spec_read(arena, step->spec), &full));
    ledger_ok(kind_usage(kind, full, agreement, false, ordered.items, &ordered.count));
    ledger_ok(db_transaction(ledger.db, &db_scope_system, DB_READ_COMMITTED, meter, &ordered));
}

static void no_price_is_above_its_cap(void)
{
    for (size_t i = 0; i < item_count(); i++) {
        ARENA_AUTO struct arena *arena = arena_new();
        assert_int_equal(
            pg_number(ledger.pg,
                      arena_printf(arena,
                                   "SELECT count(*) FROM bill_line WHERE item = '%s' AND (price_fen <= 0 OR"
                                   " price_fen > %lld)",
                                   item_at(i)->code, (long long)item_at(i)->cap_fen)),
            0);
    }
}

static void is(const char *sql, const char *wanted)
{
    char *found = pg_value(ledger.pg, sql);
    assert_string_equal(found, wanted);
    free(found);
}

static void lines_are(const char *lines, const char *total)
{
    is("SELECT string_agg(concat_ws(' ', month, item, tariff, to_char(price_fen / 100.0, 'FM9999990.00'),"
       " to_char(list_fen / 100.0, 'FM9999990.00'), to_char(amount_fen / 100.0, 'FM9999990.00')), '; '"
       " ORDER BY month, line_no) FROM bill_line",
       lines);
    is("SELECT to_char(sum(total_fen) / 100.0, 'FM9999990.00') FROM bill", total);
    is("SELECT to_char(sum(total_fen) / 100.0, 'FM9999990.00') FROM billing_month", total);
    no_price_is_above_its_cap();
}

static void bill_is(void **state)
{
    const struct golden *golden = *(const struct golden *const *)*state;
    ARENA_AUTO struct arena *arena = arena_new();
    struct month first = month_of(beijing(arena, golden->steps[0].at));
    struct agreement agreement = agreement_default;
    if (golden->system_disk_included)
        agreement.system_disk = SYSTEM_DISK_INCLUDED;
    if (golden->small_whole)
        agreement.small_quantity = SMALL_WHOLE;
    ledger_clear(&ledger);
    ledger_provider(&ledger, "p1", &agreement, first, 0);
    if (golden->reprice)
        ledger_reprice(&ledger, "p1", month_named(golden->reprice), 100);
    for (size_t i = 0; i < STEPS_MAX && golden->steps[i].at; i++)
        take_step(golden, &agreement, &golden->steps[i]);
    for (struct month m = first; month_compare(m, month_named(golden->last)) <= 0; m = month_next(m))
        ledger_ok(ledger_close_month(&ledger, m, month_end(m), NULL));
    lines_are(golden->lines, golden->total);
}

/* 4 vCPU all April, a fifth for 15 of 30 days as a free expansion: 14.02 × 4 = 56.08 is owed; the fifth would
 * have cost 14.02 × 15/30 = 7.01. */
static void a_free_expansion_costs_nothing(void **state)
{
    const struct month april = {2027, 4};
    ledger_clear(&ledger);
    ledger_provider(&ledger, "p1", &agreement_default, april, 0);
    ledger_ok(
        ledger_set(&ledger, "u1", "u1001", "c1", "p1", "r1", "1001=4", at("2027-04-01T00:00:00+08:00")));
    ledger_ok(ledger_set(&ledger, "u1", "u1001", "c1", "p1", "r1", "1001=4,1001+=1",
                         at("2027-04-11T00:00:00+08:00")));
    ledger_ok(
        ledger_set(&ledger, "u1", "u1001", "c1", "p1", "r1", "1001=4", at("2027-04-26T00:00:00+08:00")));
    ledger_ok(ledger_close_month(&ledger, april, month_end(april), NULL));
    lines_are("2027-04 1001 standard 14.02 56.08 56.08; 2027-04 1001 expansion 14.02 7.01 0.00", "56.08");
}

/* 4 vCPU move from c1 to c2: from the 11th there is a shell on c2, from the 14th the machine runs there and
 * the source is kept until the 21st. 14.02 × 4 = 56.08 is owed, 13/30 on c1 and 17/30 on c2; the shell's
 * three days would have cost 5.61, the source's seven 13.09. */
static void a_move_between_clouds_is_paid_once(void **state)
{
    const struct month april = {2027, 4};
    moment shell = at("2027-04-11T00:00:00+08:00"), over = at("2027-04-14T00:00:00+08:00");
    ledger_clear(&ledger);
    ledger_provider(&ledger, "p1", &agreement_default, april, 0);
    ledger_ok(ledger_set(&ledger, "u1", "u1001", "c1", "p1", "r1", "1001=4", month_start(april)));
    ledger_ok(ledger_set(&ledger, "u1", "u1001", "c2", "p1", "m1", "1001~=4", shell));
    ledger_ok(ledger_set(&ledger, "u1", "u1001", "c2", "p1", "r1", "1001=4", over));
    ledger_ok(ledger_set(&ledger, "u1", "u1001", "c1", "p1", "m1", "1001~=4", over));
    ledger_ok(ledger_end(&ledger, "u1", "m1", at("2027-04-21T00:00:00+08:00")));
    ledger_ok(ledger_close_month(&ledger, april, month_end(april), NULL));
    lines_are("2027-04 1001 standard 14.02 24.30 24.30; 2027-04 1001 migration 14.02 13.09 0.00;"
              " 2027-04 1001 standard 14.02 31.78 31.78; 2027-04 1001 migration 14.02 5.61 0.00",
              "56.08");
}

/* Two systems of a unit have a free account each; two resources of one system share one: 1 + 1 and 2 accounts
 * all March, so 1 of the first and 1 of the second are charged, 356.37 each. */
static void each_system_has_its_own_free_account(void **state)
{
    const struct month march = {2027, 3};
    moment start = month_start(march);
    ledger_clear(&ledger);
    ledger_provider(&ledger, "p1", &agreement_default, march, 0);
    ledger_ok(ledger_set(&ledger, "u1", "u1001", "c1", "p1", "r1", "1019=1", start));
    ledger_ok(ledger_set(&ledger, "u1", "u1001", "c1", "p1", "r2", "1019=1", start));
    ledger_ok(ledger_set(&ledger, "u1", "u1002", "c1", "p1", "r3", "1019=2", start));
    ledger_ok(ledger_close_month(&ledger, march, month_end(march), NULL));
    lines_are("2027-03 1019 standard 356.37 356.37 356.37; 2027-03 1019 allowance 356.37 356.37 0.00;"
              " 2027-03 1019 standard 356.37 356.37 356.37; 2027-03 1019 allowance 356.37 356.37 0.00",
              "712.74");
}

/* Every item has its line in a case above, and months of each length are there. */
static void every_item_and_length_of_month_is_here(void **state)
{
    bool lengths[32] = {false};
    for (size_t i = 0; i < item_count(); i++) {
        ARENA_AUTO struct arena *arena = arena_new();
        const char *charged = arena_printf(arena, " %s standard ", item_at(i)->code);
        bool found = false;
        for (size_t g = 0; g < GOLDENS && !found; g++)
            found = strstr(goldens[g].lines, charged) != NULL;
        if (!found)
            fail_msg("no bill of item %s", item_at(i)->code);
    }
    for (size_t g = 0; g < GOLDENS; g++)
        lengths[month_days(month_named(goldens[g].last))] = true;
    assert_true(lengths[28] && lengths[29] && lengths[30] && lengths[31]);
}

int main(void)
{
    const struct golden *picks[GOLDENS];
    struct CMUnitTest tests[GOLDENS + 4];
    for (size_t i = 0; i < GOLDENS; i++) {
        picks[i] = &goldens[i];
        tests[i] =
            (struct CMUnitTest){.name = goldens[i].name, .test_func = bill_is, .initial_state = &picks[i]};
    }
    tests[GOLDENS] = (struct CMUnitTest)cmocka_unit_test(a_free_expansion_costs_nothing);
    tests[GOLDENS + 1] = (struct CMUnitTest)cmocka_unit_test(each_system_has_its_own_free_account);
    tests[GOLDENS + 2] = (struct CMUnitTest)cmocka_unit_test(every_item_and_length_of_month_is_here);
    tests[GOLDENS + 3] = (struct CMUnitTest)cmocka_unit_test(a_move_between_clouds_is_paid_once);
    return cmocka_run_group_tests(tests, open_ledger, close_ledger);
}
