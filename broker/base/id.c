/* Ids, names and random bytes; see id.h. */
#include "broker/base/id.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

void random_bytes(void *bytes, size_t length)
{
    unsigned char *at = bytes;
    while (length) {
        ssize_t got = getrandom(at, length, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0) {
            fprintf(stderr, "the kernel gives no random bytes\n");
            abort();
        }
        at += got;
        length -= (size_t)got;
    }
}

/* RFC 9562, version 7: 48 bits of milliseconds, 12 + 62 random bits. */
void id_new(char id[ID_TEXT])
{
    unsigned char bytes[16];
    random_bytes(bytes, sizeof bytes);
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now); /* cannot fail with this clock */
    uint64_t ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
    for (int i = 0; i < 6; i++)
        bytes[i] = (unsigned char)(ms >> (40 - 8 * i));
    bytes[6] = (unsigned char)(0x70 | (bytes[6] & 0x0f));
    bytes[8] = (unsigned char)(0x80 | (bytes[8] & 0x3f));
    static const char hex[] = "0123456789abcdef";
    for (int i = 0, at = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            id[at++] = '-';
        id[at++] = hex[bytes[i] >> 4];
        id[at++] = hex[bytes[i] & 15];
    }
    id[36] = '\0';
}

const char *id_new_in(struct arena *arena)
{
    char *id = arena_alloc(arena, ID_TEXT);
    id_new(id);
    return id;
}

bool id_valid(const char *text)
{
    if (strlen(text) != 36)
        return false;
    for (int i = 0; i < 36; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        char c = text[i];
        if (dash ? c != '-' : !((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
            return false;
    }
    return true;
}

bool name_valid(const char *text, size_t most)
{
    size_t length = strlen(text);
    if (!length || length > most || text[0] == '-' || text[length - 1] == '-')
        return false;
    for (const char *at = text; *at; at++)
        if (!((*at >= 'a' && *at <= 'z') || (*at >= '0' && *at <= '9') || *at == '-'))
            return false;
    return true;
}
