/* The defaults of limits.h. */
#include "broker/http/limits.h"

#define DEFAULT(member, value)      \
    do {                            \
        if (!limits->member)        \
            limits->member = value; \
    } while (0)

void server_limits_fill(struct server_limits *limits)
{
    DEFAULT(connections, 4096);
    DEFAULT(connections_loop, 4096);
    DEFAULT(streams, 128);
    DEFAULT(body, (size_t)1 << 20);
    DEFAULT(chunk, (size_t)4 << 20);
    DEFAULT(bodies_connection, (size_t)8 << 20);
    DEFAULT(bodies, (size_t)256 << 20);
    DEFAULT(answers_connection, (size_t)32 << 20);
    DEFAULT(queue, 1024);
    DEFAULT(handshake_us, 10 * MOMENT_SECOND);
    DEFAULT(idle_us, 90 * MOMENT_SECOND);
    DEFAULT(header_us, 10 * MOMENT_SECOND);
    DEFAULT(body_us, 30 * MOMENT_SECOND);
    DEFAULT(request_us, 60 * MOMENT_SECOND);
    DEFAULT(stall_us, 20 * MOMENT_SECOND);
    DEFAULT(key_us, 24 * MOMENT_HOUR);
    DEFAULT(denied_audit_second, 50);
    DEFAULT(event_streams, 256);
    DEFAULT(event_queue, (size_t)256 << 10);
    DEFAULT(event_heartbeat_us, 15 * MOMENT_SECOND);
    DEFAULT(event_poll_us, 100 * 1000);
    DEFAULT(event_keep_us, 7 * MOMENT_DAY);
    DEFAULT(exports, 4);
    DEFAULT(exports_principal, 2);
    DEFAULT(export_us, MOMENT_HOUR);
}
