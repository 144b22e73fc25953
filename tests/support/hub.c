/* See hub.h. */
#include "tests/support/hub.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#include "broker/base/moment.h"
#include "tests/support/child.h"

#define LONG_US (30 * MOMENT_SECOND)
#define RUN(...) run((const char *const[]){__VA_ARGS__, NULL})

static void run(const char *const *argv)
{
    if (child_run(argv, LONG_US) == 0)
        return;
    fprintf(stderr, "this did not work:");
    for (size_t i = 0; argv[i]; i++)
        fprintf(stderr, " %s", argv[i]);
    fprintf(stderr, "\n");
    exit(1);
}

void hub_make(void)
{
    if (unshare(CLONE_NEWNET)) {
        perror("could not make a network namespace");
        exit(1);
    }
    RUN("ip", "link", "set", "lo", "up");
    RUN("ip", "link", "add", "yqhub", "type", "bridge");
    RUN("ip", "addr", "add", "10.90.0.1/24", "dev", "yqhub");
    RUN("ip", "link", "set", "yqhub", "up");
}

const char *hub_address(void)
{
    static char text[sizeof "10.90.0.250/24"];
    static unsigned last = 9;
    if (++last > 250) {
        fprintf(stderr, "the hub has no address left\n");
        exit(1);
    }
    (void)snprintf(text, sizeof text, "10.90.0.%u/24", last);
    return text;
}

void hub_plug(const char *cable, bool in)
{
    RUN("ip", "link", "set", cable, in ? "up" : "down");
}

void hub_slow(const char *cable, unsigned long rate)
{
    char text[32];
    (void)snprintf(text, sizeof text, "%lubps", rate);
    if (rate)
        RUN("tc", "qdisc", "replace", "dev", cable, "root", "tbf", "rate", text, "burst", "64k", "latency",
            "200ms");
    else
        RUN("tc", "qdisc", "del", "dev", cable, "root");
}

/* The bridge's own packets do not pass the rules, those of this host do: what the copy engine sends. */
void hub_lose(const char *address, unsigned one_in)
{
    char text[16];
    (void)snprintf(text, sizeof text, "%u", one_in);
    RUN("iptables", "-F", "OUTPUT");
    if (one_in)
        RUN("iptables", "-A", "OUTPUT", "-d", address, "-m", "statistic", "--mode", "nth", "--every", text,
            "--packet", "0", "-j", "DROP");
}
