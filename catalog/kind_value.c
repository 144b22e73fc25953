/* Checks one member's value against its row; see kind_table.h. */
#include <arpa/inet.h>
#include <ctype.h>
#include <string.h>

#include "broker/base/id.h"
#include "broker/base/json.h"
#include "catalog/kind_table.h"
#include "catalog/pointer.h"

#define DOMAIN_MAX 253      /* bytes of a name, RFC 1035 */
#define DOMAIN_LABEL_MAX 63 /* bytes of one of its labels */

static bool is_choice(const struct kind_member *member, const json_t *value)
{
    for (const char *const *choice = member->choices; *choice; choice++)
        if (json_is_string(value) && !strcmp(*choice, json_string_value(value)))
            return true;
    return false;
}

static const char *choices_text(struct arena *arena, const struct kind_member *member)
{
    const char *text = member->choices[0];
    for (const char *const *choice = member->choices + 1; *choice; choice++)
        text = arena_printf(arena, "%s%s%s", text, choice[1] ? ", " : " or ", *choice);
    return text;
}

static void check_int(struct error **errors, const struct kind_member *member, const char *pointer,
                      const json_t *value)
{
    int64_t step = member->step ? member->step : 1;
    if (!json_is_integer(value))
        error_collect(errors, pointer, "must be a whole number (procurement %s)", member->clause);
    else if (json_integer_value(value) < member->min || json_integer_value(value) > member->max ||
             (json_integer_value(value) - member->min) % step)
        error_collect(errors, pointer,
                      step == 1 ? "must be %lld to %lld (procurement %s)"
                                : "must be %lld or %lld (procurement %s)",
                      (long long)member->min, (long long)member->max, member->clause);
}

/* An address that one host can have, and one way to write it: `ret_bytes` is the same for the same host. */
static bool is_host_address(const char *text, unsigned char ret_bytes[16])
{
    struct in6_addr *six = (struct in6_addr *)(void *)ret_bytes;
    memset(ret_bytes, 0, 16);
    if (inet_pton(AF_INET, text, ret_bytes) == 1)
        return ret_bytes[0] != 0 && ret_bytes[0] != 127 && ret_bytes[0] < 224;
    return inet_pton(AF_INET6, text, ret_bytes) == 1 && !IN6_IS_ADDR_UNSPECIFIED(six) &&
           !IN6_IS_ADDR_LOOPBACK(six) && !IN6_IS_ADDR_MULTICAST(six) && !IN6_IS_ADDR_V4MAPPED(six) &&
           !IN6_IS_ADDR_V4COMPAT(six);
}

/* Two labels at least, of lower-case letters, digits and inner hyphens; the last is not a number. No
 * wildcard: the price is for one name. */
static bool is_domain(const char *text)
{
    size_t length = strlen(text), labels = 0;
    const char *label = text;
    if (!length || length > DOMAIN_MAX)
        return false;
    for (;; label++) {
        size_t size = strspn(label, "abcdefghijklmnopqrstuvwxyz0123456789-");
        if (!size || size > DOMAIN_LABEL_MAX || label[0] == '-' || label[size - 1] == '-')
            return false;
        labels++;
        if (!label[size])
            return labels > 1 && strspn(label, "0123456789") < size;
        label += size;
        if (*label != '.')
            return false;
    }
}

/* Whether an entry of the list is one, and what it is compared by. */
static bool read_entry(const struct kind_member *member, const json_t *entry, unsigned char ret_bytes[16])
{
    const char *text = json_string_value(entry);
    if (!text || strlen(text) != json_string_length(entry))
        return false;
    return member->want == MEMBER_ADDRESSES ? is_host_address(text, ret_bytes) : is_domain(text);
}

static bool same_entry(const struct kind_member *member, const json_t *left, const json_t *right)
{
    unsigned char bytes[2][16];
    if (!read_entry(member, left, bytes[0]) || !read_entry(member, right, bytes[1]))
        return false;
    return member->want == MEMBER_ADDRESSES ? !memcmp(bytes[0], bytes[1], sizeof bytes[0])
                                            : !strcmp(json_string_value(left), json_string_value(right));
}

static void check_list(struct error **errors, struct arena *arena, const struct kind_member *member,
                       const char *pointer, const json_t *value)
{
    bool addresses = member->want == MEMBER_ADDRESSES;
    unsigned char bytes[16];
    size_t count = json_array_size(value);
    if (!json_is_array(value) || count < (size_t)member->min || count > (size_t)member->max) {
        error_collect(errors, pointer, "must be a list of %lld to %lld %s (procurement %s)",
                      (long long)member->min, (long long)member->max,
                      addresses ? "addresses" : "domain names", member->clause);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        const json_t *entry = json_array_get(value, i);
        const char *at = arena_printf(arena, "%s/%zu", pointer, i);
        if (!read_entry(member, entry, bytes)) {
            error_collect(errors, at,
                          addresses ? "must be the IPv4 or IPv6 address of a host (procurement %s)"
                                    : "must be a domain name in lower case, without a wildcard; names in "
                                      "other scripts in their xn-- form (procurement %s)",
                          member->clause);
            continue;
        }
        for (size_t k = 0; k < i; k++)
            if (same_entry(member, json_array_get(value, k), entry))
                error_collect(errors, at, "is %s/%zu once more: each counts once (procurement %s)", pointer,
                              k, member->clause);
    }
}

void kind_check_value(struct error **errors, struct arena *arena, const struct kind_member *member,
                      const char *pointer, const json_t *value)
{
    switch (member->want) {
    case MEMBER_INT:
        check_int(errors, member, pointer, value);
        return;
    case MEMBER_CHOICE:
        if (!is_choice(member, value))
            error_collect(errors, pointer, "must be %s (procurement %s)", choices_text(arena, member),
                          member->clause);
        return;
    case MEMBER_NAME:
        if (!json_is_string(value) || strlen(json_string_value(value)) != json_string_length(value) ||
            !name_valid(json_string_value(value), MEMBER_NAME_MAX))
            error_collect(
                errors, pointer,
                "must be a name of lower-case letters, digits and inner hyphens, at most %d (procurement %s)",
                MEMBER_NAME_MAX, member->clause);
        return;
    case MEMBER_TEXT:
        if (!json_is_string(value) || strlen(json_string_value(value)) != json_string_length(value) ||
            json_string_length(value) < (size_t)member->min ||
            json_string_length(value) > (size_t)member->max)
            error_collect(errors, pointer, "must be text without NUL of %lld to %lld bytes",
                          (long long)member->min, (long long)member->max);
        return;
    case MEMBER_ADDRESSES:
    case MEMBER_DOMAINS:
        check_list(errors, arena, member, pointer, value);
        return;
    case MEMBER_UNPRICED:
        error_collect(errors, pointer,
                      "cannot be ordered: %s has no priced code in the catalog (procurement %s)",
                      member->what, member->clause);
        return;
    }
}
