/* A configuration file of any bytes: read as a whole or refused, nothing in between. */
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "broker/base/config.h"
#include "tests/fuzz/fuzz.h"

struct values {
    const char *name;
    int64_t port, wait, body;
    bool verbose;
};
#define AT(field) .name = #field, .offset = offsetof(struct values, field)
static const struct config_option options[] = {
    {AT(name), .type = CONFIG_TEXT, .fallback = "x"},
    {AT(port), .type = CONFIG_INT, .fallback = "8443", .min = 1, .max = 65535},
    {AT(wait), .type = CONFIG_DURATION, .fallback = "30s", .min = 1000, .max = 86400000000,
     .reloadable = true},
    {AT(body), .type = CONFIG_SIZE, .fallback = "64k"},
    {AT(verbose), .type = CONFIG_BOOL, .fallback = "no"}};
static const struct config_table table = {"fuzz", "fuzz", options, 5, sizeof(struct values)};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int file = memfd_create("config", MFD_CLOEXEC);
    char path[64], program[] = "fuzz", *argv[] = {program, NULL}, **rest;
    struct values values = {.port = -1};
    struct config *config = NULL;
    enum config_action action;
    PROMISE(file >= 0 && write(file, data, size) == (ssize_t)size);
    (void)snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    struct error *error = config_load(&table, 1, argv, path, &values, &config, &action, &rest);
    PROMISE(error ? values.port == -1 : values.port >= 1 && values.port <= 65535);
    if (!error) {
        PROMISE(values.wait >= 1000 && values.wait <= INT64_C(86400000000) && values.name);
        error = config_reload(config, &values);
        PROMISE(!error);
    }
    error_free(error);
    config_free(config);
    (void)close(file);
    return 0;
}
