/* The one place that turns what PostgreSQL says into an error; the table is in db.h. */
#include <string.h>

#include "broker/base/buf.h"
#include "broker/base/log.h"
#include "broker/db/session.h"

enum error_code db_code_of(const char *sqlstate)
{
    static const struct {
        const char *prefix; /* of the SQLSTATE; the first that fits counts */
        enum error_code code;
    } table[] = {
        {"40001", ERR_SERIALIZATION}, {"40P01", ERR_SERIALIZATION}, {"23505", ERR_EXISTS},
        {"23P01", ERR_EXISTS},        {"23503", ERR_CONFLICT},      {"23514", ERR_CONFLICT},
        {"57014", ERR_TIMEOUT},       {"55P03", ERR_BUSY},          {"08", ERR_UNAVAILABLE},
        {"57P0", ERR_UNAVAILABLE},    {"53", ERR_UNAVAILABLE},      {"25006", ERR_UNAVAILABLE},
        {"25P03", ERR_UNAVAILABLE},   {"42501", ERR_DENIED},
    };
    for (size_t i = 0; sqlstate && i < sizeof table / sizeof *table; i++) {
        if (strncmp(sqlstate, table[i].prefix, strlen(table[i].prefix)) == 0)
            return table[i].code;
    }
    return ERR_INTERNAL;
}

struct error *db_error(struct db *db, const PGresult *result, const struct db_statement *statement)
{
    const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    const char *constraint = PQresultErrorField(result, PG_DIAG_CONSTRAINT_NAME);
    const char *name = statement ? statement->name : "the database";
    if (!sqlstate) /* libpq's own: the connection */
        return db_lost(db->conn, "the database connection was lost");
    enum error_code code = db_code_of(sqlstate);
    if (code == ERR_SERIALIZATION)
        db->serialization = true;
    if (code == ERR_DENIED) { /* names of tables and policies are not for a caller */
        log_warning("db.denied", LOG_TEXT("statement", name), LOG_TEXT("why", message));
        return error_new(code, "it lies outside the caller's scope");
    }
    if (constraint && (code == ERR_EXISTS || code == ERR_CONFLICT))
        return error_new(code, "%s: %s (constraint %s)", name, message, constraint);
    return error_new(code, "%s: %s (SQLSTATE %s)", name, message ? message : "no message", sqlstate);
}

struct error *db_lost(const PGconn *conn, const char *doing)
{
    const char *message = conn ? PQerrorMessage(conn) : "out of memory";
    BUF_AUTO struct buf line = BUF_INIT(4096);
    for (const char *at = message; *at; at++) /* libpq's messages have several lines */
        buf_putc(&line, *at == '\n' || *at == '\t' ? ' ' : *at);
    while (line.length && line.data[line.length - 1] == ' ')
        line.data[--line.length] = '\0';
    return error_new(ERR_UNAVAILABLE, "%s: %s", doing, line.length ? buf_text(&line) : "no reason given");
}
