/* A driver that does what a test tells it: fails a number of times, hangs until released, breaks a promise,
 * reports progress. It counts what it is asked. Thread-safe; one for each process. */
#ifndef TESTS_DRIVERS_SCRIPT_DRIVER_H
#define TESTS_DRIVERS_SCRIPT_DRIVER_H

#include <stdbool.h>

#include "broker/base/error.h"
#include "drivers/driver.h"
#include "drivers/driver_move.h"

/* One promise of the contract that the driver breaks. */
enum script_broken {
    BROKEN_NOTHING,
    BROKEN_NO_SESSION,    /* open succeeds without a session */
    BROKEN_PRODUCT,       /* about without a product */
    BROKEN_STAMP,         /* another instance than was asked for */
    BROKEN_REF,           /* an empty reference */
    BROKEN_TEXT,          /* a name that is not UTF-8 */
    BROKEN_POWER,         /* a power state that is none */
    BROKEN_LIST,          /* an inventory that counts two instances without a list */
    BROKEN_TWICE,         /* two instances under one reference */
    BROKEN_ARCHITECTURES, /* capacity with unknown bits */
    BROKEN_LENGTH,        /* more console text than was asked for */
    BROKEN_CODE,          /* an error code outside the contract */
};

struct script {
    /* set by the test */
    int open_fails, fails; /* the next so many opens or operations fail… */
    enum error_code code;  /* …with this */
    bool hang;             /* operations wait for script_release, whatever their deadline */
    bool hang_close;
    bool ping_fails;
    bool progress; /* an operation reports 0, 50 and 100 */
    enum script_broken broken;
    /* set by the test: what script_mover answers */
    struct driver_detail detail;
    struct driver_export opened;
    struct driver_move_report moved;
    enum driver_side side;
    enum driver_power shell_power;
    /* kept by the driver */
    int opens, closes, pings, asked, running, most_running, sessions, most_sessions;
    bool cancelled;
    char stamp[40], name[80], options[80];
    char move[200];  /* what script_mover was asked besides the stamp, as one line */
    int64_t left_us; /* of the deadline that it was given */
};

/* Without and with the operations of drivers/driver_move.h. */
extern const struct driver script_driver, script_mover;

/* Everything as at the start; no session may be open. */
void script_reset(void);
/* Calls `change` with the script under its lock. */
void script_change(void (*change)(struct script *script));
struct script script_now(void);
/* Ends every hang, present and future. */
void script_release(void);
/* Waits until `reached` says so, at most 10 s; returns whether it did. */
bool script_wait(bool (*reached)(const struct script *script));

#endif
