/* The rules of endpoints; see endpoint.h. */
#include "broker/control/endpoint.h"

#include <string.h>
#include <strings.h>

struct error *endpoint_check_url(const char *url)
{
    for (const char *at = url; *at; at++)
        if ((unsigned char)*at <= 0x20 || *at == 0x7f)
            return error_new(ERR_INVALID, "must hold no spaces or control characters");
    const char *colon = strchr(url, ':');
    if (!colon)
        return error_new(ERR_INVALID, "must be a URL, SCHEME:…");
    bool web = !strncasecmp(url, "http", 4);
    const char *who = colon + 1 + strspn(colon + 1, "/\\");
    size_t authority = web ? strlen(who) : strcspn(who, "/?#");
    const char *at = memchr(who, '@', authority);
    if (at && (web || memchr(who, ':', (size_t)(at - who))))
        return error_new(ERR_INVALID,
                         "must hold no user name with a password: they are given as username and, "
                         "by reference, secret");
    return NULL;
}
