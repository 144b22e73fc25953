/* See transfer_tar.h. */
#include "federation/transfer_tar.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define OCTAL_MAX UINT64_C(077777777777) /* of the eleven digits of a size */

/* The header of POSIX.1-1988 with the prefix of 1988's ustar. */
struct header {
    char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], checksum[8], type, link[100], magic[6],
        version[2], user[32], group[32], major[8], minor[8], prefix[155], rest[12];
};
_Static_assert(sizeof(struct header) == TAR_BLOCK, "a tar header is one block");

static unsigned sum_of(const struct header *header)
{
    const unsigned char *bytes = (const unsigned char *)header;
    unsigned sum = 0;
    for (size_t i = 0; i < sizeof *header; i++) {
        bool own = i >= offsetof(struct header, checksum) &&
                   i < offsetof(struct header, checksum) + sizeof header->checksum;
        sum += own ? ' ' : bytes[i];
    }
    return sum;
}

static void put_octal(char *field, size_t size, uint64_t value)
{
    for (size_t i = size - 1; i-- > 0; value >>= 3)
        field[i] = (char)('0' + (value & 7));
    field[size - 1] = '\0';
}

static void put_header(struct buf *buf, const char *name, char type, uint64_t size, int64_t mtime_s)
{
    struct header header = {.type = type, .magic = "ustar", .version = {'0', '0'}};
    memcpy(header.name, name, strnlen(name, sizeof header.name));
    put_octal(header.mode, sizeof header.mode, 0644);
    put_octal(header.uid, sizeof header.uid, 0);
    put_octal(header.gid, sizeof header.gid, 0);
    put_octal(header.size, sizeof header.size, size);
    put_octal(header.mtime, sizeof header.mtime, (uint64_t)mtime_s);
    put_octal(header.checksum, 7, sum_of(&header));
    header.checksum[7] = ' ';
    buf_append(buf, &header, sizeof header);
}

/* "LENGTH size=SIZE\n", LENGTH being of all of it. */
static void put_pax_size(struct buf *buf, uint64_t size, int64_t mtime_s)
{
    static const char zeros[TAR_BLOCK];
    char record[64];
    int body = snprintf(NULL, 0, " size=%llu\n", (unsigned long long)size), length = body + 2;
    (void)snprintf(record, sizeof record, "%d size=%llu\n", length, (unsigned long long)size);
    put_header(buf, "pax/size", 'x', (uint64_t)length, mtime_s);
    buf_append(buf, record, (size_t)length);
    buf_append(buf, zeros, transfer_tar_padding((uint64_t)length));
}

void transfer_tar_header(struct buf *buf, const char *name, uint64_t size, int64_t mtime_s)
{
    if (size > OCTAL_MAX)
        put_pax_size(buf, size, mtime_s);
    put_header(buf, name, '0', size > OCTAL_MAX ? 0 : size, mtime_s);
}

/* -------------------------------------------------------------------------------------------------- reading
 */

struct listing {
    transfer_tar_read_fn *read;
    void *data;
    uint64_t size, at;
    struct arena *arena;
    struct transfer_tar_member *list;
    size_t count;
    const char *pax_name; /* of the member that comes; NULL: its header's own */
    uint64_t pax_size;
    bool pax_sized;
};

static struct error *bad(const struct listing *l, const char *what)
{
    return error_new(ERR_INVALID, "the archive is no OVA: %s at byte %llu", what, (unsigned long long)l->at);
}

/* Octal digits with spaces or NULs around, or GNU's base 256. */
static bool read_number(const char *field, size_t size, uint64_t *ret_value)
{
    uint64_t value = 0;
    size_t i = 0, digits = 0;
    if ((unsigned char)field[0] == 0x80) {
        for (i = 1; i < size; i++) {
            if (value >> 55)
                return false;
            value = value << 8 | (unsigned char)field[i];
        }
        *ret_value = value;
        return true;
    }
    while (i < size && field[i] == ' ')
        i++;
    for (; i < size && field[i] >= '0' && field[i] <= '7'; i++, digits++)
        value = value << 3 | (uint64_t)(field[i] - '0');
    for (; i < size; i++)
        if (field[i] && field[i] != ' ')
            return false;
    *ret_value = value;
    return digits > 0;
}

static bool is_name(const char *name)
{
    if (!*name || !strcmp(name, ".") || !strcmp(name, ".."))
        return false;
    for (; *name; name++)
        if (*name == '/' || (unsigned char)*name < 0x20 || *name == 0x7f)
            return false;
    return true;
}

static struct error *read_record(struct listing *l, const char *key, size_t key_length, const char *value,
                                 size_t length)
{
    if (key_length == 4 && !memcmp(key, "path", 4)) {
        if (memchr(value, '\0', length))
            return bad(l, "a name with a zero byte");
        l->pax_name = arena_strndup(l->arena, value, length);
    } else if (key_length == 4 && !memcmp(key, "size", 4)) {
        uint64_t size = 0;
        for (size_t i = 0; i < length; i++) {
            if (value[i] < '0' || value[i] > '9' || size > UINT64_MAX / 100)
                return bad(l, "a size that is no number");
            size = size * 10 + (uint64_t)(value[i] - '0');
        }
        l->pax_size = size;
        l->pax_sized = length > 0;
    } else if (key_length >= 3 && !memcmp(key, "GNU", 3)) {
        return bad(l, "a sparse member"); /* its bytes are not as they lie there */
    }
    return NULL;
}

/* Records "LENGTH KEY=VALUE\n". */
static struct error *read_pax(struct listing *l, const char *text, size_t length)
{
    while (length) {
        size_t total = 0, i = 0;
        for (; i < length && i < 6 && text[i] >= '0' && text[i] <= '9'; i++)
            total = total * 10 + (size_t)(text[i] - '0');
        if (!i || i >= length || text[i] != ' ' || total > length || total < i + 3 || text[total - 1] != '\n')
            return bad(l, "a broken extended header");
        const char *key = text + i + 1, *equals = memchr(key, '=', total - i - 2);
        if (!equals)
            return bad(l, "a broken extended header");
        TRY(read_record(l, key, (size_t)(equals - key), equals + 1, (size_t)(text + total - 1 - equals - 1)));
        text += total;
        length -= total;
    }
    return NULL;
}

static struct error *take_pax(struct listing *l, uint64_t size)
{
    if (size > TAR_PAX_MAX || size > l->size - l->at)
        return bad(l, "an extended header that is too long");
    char *text = arena_alloc(l->arena, (size_t)size + 1);
    TRY(l->read(l->data, l->at, text, (size_t)size));
    return read_pax(l, text, (size_t)size);
}

static struct error *take_member(struct listing *l, const struct header *header, uint64_t size)
{
    const char *name = l->pax_name;
    if (l->pax_sized)
        size = l->pax_size;
    if (!name && header->prefix[0] && !memcmp(header->magic, "ustar", 6))
        return bad(l, "a member in a folder");
    if (!name)
        name = arena_strndup(l->arena, header->name, strnlen(header->name, sizeof header->name));
    if (!strncmp(name, "./", 2))
        name += 2;
    if (!is_name(name))
        return bad(l, "a member in a folder, or without a name");
    if (size > l->size - l->at)
        return bad(l, "a member that is longer than the archive");
    for (size_t i = 0; i < l->count; i++)
        if (!strcmp(l->list[i].name, name))
            return bad(l, "a name that is there twice");
    if (l->count == TAR_MEMBERS_MAX)
        return bad(l, "too many members");
    l->list[l->count++] = (struct transfer_tar_member){name, l->at, size};
    l->pax_name = NULL;
    l->pax_sized = false;
    uint64_t padded = size + transfer_tar_padding(size);
    l->at = padded > l->size - l->at ? l->size : l->at + padded; /* the last padding may be missing */
    return NULL;
}

/* *ret_end: it was the end of the archive. */
static struct error *take_block(struct listing *l, bool *ret_end)
{
    static const char zeros[TAR_BLOCK];
    struct header header;
    uint64_t size, checksum;
    TRY(l->read(l->data, l->at, &header, sizeof header));
    *ret_end = !memcmp(&header, zeros, sizeof header);
    if (*ret_end)
        return NULL;
    if (memcmp(header.magic, "ustar", 5) != 0)
        return bad(l, "no header of a member");
    if (!read_number(header.checksum, sizeof header.checksum, &checksum) || checksum != sum_of(&header))
        return bad(l, "a header with a wrong checksum");
    if (!read_number(header.size, sizeof header.size, &size))
        return bad(l, "a size that is no number");
    l->at += TAR_BLOCK;
    if (header.type == '0' || header.type == '\0')
        return take_member(l, &header, size);
    if (header.type != 'x' && header.type != 'g')
        return bad(l, "something that is no regular file");
    TRY(take_pax(l, size));
    if (header.type == 'g' && (l->pax_name || l->pax_sized))
        return bad(l, "a name or size for all members");
    uint64_t padded = size + transfer_tar_padding(size);
    l->at = padded > l->size - l->at ? l->size : l->at + padded;
    return NULL;
}

struct error *transfer_tar_list(transfer_tar_read_fn *read, void *data, uint64_t size, struct arena *arena,
                                struct transfer_tar_member **ret_list, size_t *ret_count)
{
    struct listing l = {.read = read,
                        .data = data,
                        .size = size,
                        .arena = arena,
                        .list = arena_array(arena, TAR_MEMBERS_MAX, sizeof *l.list)};
    bool end = false;
    size_t blocks = 0;
    while (!end && l.size - l.at >= TAR_BLOCK) {
        if (++blocks > 4 * TAR_MEMBERS_MAX)
            return bad(&l, "too many headers");
        TRY(take_block(&l, &end));
    }
    if (!l.count || !end)
        return bad(&l, l.count ? "an end that is missing" : "no member");
    *ret_list = l.list;
    *ret_count = l.count;
    return NULL;
}
