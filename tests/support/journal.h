/* The journal that the tiny guest keeps (contrib/guest) on an ext4 file system of a whole disk: made on a
 * qcow2 file, read from a console, and checked on the file. Each fails the cmocka test with what it found. */
#ifndef TESTS_SUPPORT_JOURNAL_H
#define TESTS_SUPPORT_JOURNAL_H

#include <stdbool.h>
#include <stdint.h>

/* Makes `file` anew: qcow2 of 1 GiB with an empty file system. Nobody has it open. */
void journal_format(const char *file);
/* The highest record that the guest `name` said is on its disk, by what its console shows; 0: none yet. */
unsigned journal_last(const char *console, const char *name);
/* The first one that it holds; 0: none. */
unsigned journal_first(const char *console, const char *name);
/* Of a guest that is off: the file system is clean, the records are 1…n without gap or repeat, every checksum
 * is right, and n is at least `said`. Returns n. `folder` is for what is made meanwhile. */
unsigned journal_verify(const char *file, const char *folder, const char *name, unsigned said);

/* Something that is known to lie between two values; µs. */
struct journal_range {
    int64_t least, most;
};
/* What the guest's own clocks say of the time between record `left_at`, the last that it said in one place,
 * and those that it wrote in another. It has two: the hardware clock goes on while the machine is paused or
 * off, in whole seconds; uptime stands still when it is paused, begins anew with a boot, and is exact to 10
 * ms. Where they stand to each other is the narrower the more records there are, for each is a bound. */
struct journal_gap {
    bool booted; /* the guest began anew */
    /* When the last record before and the first one after were begun, in µs since 1970: the hardware clock's
     * begin of a second is the hypervisor's to choose when it starts, so these are known to 1 s. */
    struct journal_range last, next;
    struct journal_range step;   /* from one to the other */
    int64_t up_us;               /* uptime of the first one after */
    struct journal_range paused; /* by so much the hardware clock went ahead of uptime; not `booted` */
};
/* As journal_verify, and the gap; there have to be records behind `left_at`. */
unsigned journal_verify_gap(const char *file, const char *folder, const char *name, unsigned said,
                            unsigned left_at, struct journal_gap *ret_gap);

#endif
