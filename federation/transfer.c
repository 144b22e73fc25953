/* Names and formats of exports and imports; see transfer.h. */
#include "federation/transfer.h"

#include <string.h>

static const struct {
    const char *name, *qemu, *end;
} formats[] = {
#define X(symbol, name, qemu, end) {name, qemu, end},
    TRANSFER_FORMATS(X)
#undef X
};

const char *transfer_format_name(enum transfer_format format)
{
    return formats[format].name;
}

const char *transfer_format_qemu(enum transfer_format format)
{
    return formats[format].qemu;
}

const char *transfer_format_end(enum transfer_format format)
{
    return formats[format].end;
}

enum transfer_format transfer_format_find(const char *name)
{
    size_t i = 0;
    while (i < TRANSFER_FORMAT_COUNT && strcmp(formats[i].name, name) != 0)
        i++;
    return (enum transfer_format)i;
}

bool transfer_name_valid(const char *name)
{
    static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    size_t length = strlen(name);
    if (!length || length > TRANSFER_NAME_MAX || !strchr(plain, *name))
        return false;
    for (; *name; name++)
        if (!strchr(plain, *name) && !strchr("._-", *name))
            return false;
    return true;
}
