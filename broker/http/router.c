/* See router.h. Patterns of the same shape make one resource; resources are grouped by their number of
 * segments and kept in order of how literal they are, so the first that matches is the right one. */
#include "broker/http/router.h"

#include <stdlib.h>
#include <string.h>

#define METHODS_MAX 5
#define PATTERN_MAX 255

struct part {
    const char *text; /* literal, or the parameter's name */
    size_t length;
    bool param;
};

struct resource {
    struct resource *next; /* of the same number of segments */
    struct part parts[HTTP_SEGMENTS_MAX];
    size_t part_count;
    const char *verb; /* of the last part, without ":"; NULL: none */
    uint32_t literal; /* bit 31 - i set when part i is literal: greater is more literal, from the left */
    const struct http_route *routes[METHODS_MAX];
    size_t route_count;
    const char *allow;
};

struct router {
    struct arena *arena;
    struct resource *by_count[HTTP_SEGMENTS_MAX + 1];
};

static bool name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
}

static bool part_parse(struct arena *arena, const char *text, size_t length, struct part *ret_part)
{
    struct part part = {.param = length > 2 && text[0] == '{' && text[length - 1] == '}'};
    part.length = part.param ? length - 2 : length;
    part.text = arena_strndup(arena, part.param ? text + 1 : text, part.length);
    if (!part.length)
        return false;
    for (size_t i = 0; i < part.length; i++)
        if (!(name_char(part.text[i]) || (!part.param && strchr("-.:", part.text[i]))))
            return false;
    *ret_part = part;
    return true;
}

static bool pattern_parse(struct arena *arena, const char *pattern, struct resource *resource)
{
    if (pattern[0] != '/' || strlen(pattern) > PATTERN_MAX)
        return false;
    size_t params = 0;
    for (const char *at = pattern + 1; *at;) {
        size_t length = strcspn(at, "/");
        const char *next = at + length;
        if (!length || resource->part_count == HTTP_SEGMENTS_MAX || (*next && !next[1]))
            return false;
        const char *close = memchr(at, '}', length);
        if (!*next && close && close[1] == ':') {
            resource->verb = arena_strdup(arena, close + 2);
            if (!*resource->verb)
                return false;
            length = (size_t)(close + 1 - at);
        }
        struct part *part = &resource->parts[resource->part_count];
        if (!part_parse(arena, at, length, part))
            return false;
        if (part->param && ++params > HTTP_PARAMS_MAX)
            return false;
        if (!part->param)
            resource->literal |= UINT32_C(1) << (31 - resource->part_count);
        resource->part_count++;
        at = *next ? next + 1 : next;
    }
    return true;
}

static bool same_shape(const struct resource *a, const struct resource *b)
{
    if (a->part_count != b->part_count || a->literal != b->literal || !a->verb != !b->verb ||
        (a->verb && strcmp(a->verb, b->verb) != 0))
        return false;
    for (size_t i = 0; i < a->part_count; i++) {
        if (strcmp(a->parts[i].text, b->parts[i].text) != 0)
            return false; /* parameters of one resource must have the same names */
    }
    return true;
}

/* The same paths, whatever the parameters are called. */
static bool collides(const struct resource *a, const struct resource *b)
{
    if (a->part_count != b->part_count || a->literal != b->literal || !a->verb != !b->verb ||
        (a->verb && strcmp(a->verb, b->verb) != 0))
        return false;
    for (size_t i = 0; i < a->part_count; i++)
        if (!a->parts[i].param && strcmp(a->parts[i].text, b->parts[i].text) != 0)
            return false;
    return true;
}

static struct error *route_check(const struct http_route *route)
{
    static const char *const methods[] = {"GET", "POST", "PUT", "PATCH", "DELETE", NULL};
    const char *const *method = methods;
    while (*method && (!route->method || strcmp(*method, route->method) != 0))
        method++;
    if (!*method || !route->pattern || !route->handler)
        return error_new(ERR_INVALID, "a route lacks a known method, a pattern or a handler");
    bool writes = strcmp(route->method, "GET") != 0;
    if (!route->permission && !(route->flags & HTTP_PUBLIC))
        return error_new(ERR_INVALID, "it names no permission and is not public");
    if (writes && (route->flags & HTTP_STREAM))
        return error_new(ERR_INVALID, "only GET may stream its answer: %s %s", route->method, route->pattern);
    if (writes && (route->flags & HTTP_NO_DB))
        return error_new(ERR_INVALID, "a write needs the database");
    if ((route->flags & HTTP_KEYED) && strcmp(route->method, "POST") != 0)
        return error_new(ERR_INVALID, "only POST takes an Idempotency-Key");
    if ((route->flags & (HTTP_EVENTS | HTTP_BYTES)) &&
        ((route->flags & (HTTP_KEYED | HTTP_NO_BODY)) || !writes))
        return error_new(ERR_INVALID, "events come in a body, and have keys of their own");
    return NULL;
}

static struct error *add_route(struct router *router, const struct http_route *route)
{
    TRY(route_check(route));
    struct resource *made = arena_alloc(router->arena, sizeof *made);
    if (!pattern_parse(router->arena, route->pattern, made))
        return error_new(ERR_INVALID, "the pattern is malformed");
    struct resource **at = &router->by_count[made->part_count];
    while (*at && (*at)->literal >= made->literal && !collides(*at, made))
        at = &(*at)->next;
    if (*at && collides(*at, made)) {
        if (!same_shape(*at, made))
            return error_new(ERR_INVALID, "the parameters of one path have two names");
        made = *at;
    } else {
        made->next = *at;
        *at = made;
    }
    for (size_t i = 0; i < made->route_count; i++)
        if (strcmp(made->routes[i]->method, route->method) == 0)
            return error_new(ERR_INVALID, "the route is there twice");
    made->routes[made->route_count++] = route;
    return NULL;
}

static void name_allowed(struct router *router, struct resource *resource)
{
    char text[64] = "";
    size_t used = 0;
    static const char *const order[] = {"DELETE", "GET", "PATCH", "POST", "PUT"};
    for (size_t m = 0; m < sizeof order / sizeof *order; m++)
        for (size_t i = 0; i < resource->route_count; i++) {
            if (strcmp(resource->routes[i]->method, order[m]) != 0)
                continue;
            const char *shown = m == 1 ? "GET, HEAD" : order[m];
            memcpy(text + used, shown, strlen(shown));
            used += strlen(shown);
            memcpy(text + used, ", ", 2);
            used += 2;
        }
    resource->allow = arena_printf(router->arena, "%.*sOPTIONS", (int)used, text);
}

struct error *router_new(const struct http_table *const *tables, size_t count, struct router **ret_router)
{
    struct router *router = xcalloc(1, sizeof *router);
    router->arena = arena_new();
    for (size_t t = 0; t < count; t++)
        for (size_t i = 0; i < tables[t]->count; i++) {
            const struct http_route *route = &tables[t]->routes[i];
            struct error *error = add_route(router, route);
            if (error) {
                router_free(router);
                return error_wrap(error, "route %s %s", route->method ? route->method : "?",
                                  route->pattern ? route->pattern : "?");
            }
        }
    for (size_t n = 0; n <= HTTP_SEGMENTS_MAX; n++)
        for (struct resource *resource = router->by_count[n]; resource; resource = resource->next)
            name_allowed(router, resource);
    *ret_router = router;
    return NULL;
}

void router_free(struct router *router)
{
    if (!router)
        return;
    arena_free(router->arena);
    free(router);
}

/* The last segment without the verb; false when verb and pattern disagree. */
static bool cut_verb(const struct resource *resource, struct target_segment *segment)
{
    if (resource->verb) {
        size_t length = strlen(resource->verb);
        if (segment->length < length + 2 || segment->raw[segment->length - length - 1] != ':' ||
            memcmp(segment->raw + segment->length - length, resource->verb, length) != 0)
            return false;
        segment->length -= length + 1;
    }
    return true;
}

static bool resource_matches(const struct resource *resource, const struct target *target)
{
    for (size_t i = 0; i < resource->part_count; i++) {
        const struct part *part = &resource->parts[i];
        struct target_segment segment = target->segments[i];
        bool last = i + 1 == resource->part_count;
        if (last && !cut_verb(resource, &segment))
            return false;
        if (part->param
                ? last && memchr(segment.raw, ':', segment.length) != NULL
                : segment.length != part->length || memcmp(segment.raw, part->text, part->length) != 0)
            return false;
    }
    return true;
}

static struct error *read_params(const struct resource *resource, struct arena *arena,
                                 const struct target *target, struct router_match *match)
{
    for (size_t i = 0; i < resource->part_count; i++) {
        const struct part *part = &resource->parts[i];
        if (!part->param)
            continue;
        struct target_segment segment = target->segments[i];
        if (i + 1 == resource->part_count && !cut_verb(resource, &segment))
            return error_new(ERR_INTERNAL, "the verb is gone");
        const char *value;
        TRY_DOING(target_decode(arena, segment.raw, segment.length, false, HTTP_SEGMENT_MAX, &value),
                  "the path's {%s} is malformed", part->text);
        if (strchr(value, '/'))
            return error_new(ERR_INVALID, "the path's {%s} is malformed: it holds a slash", part->text);
        match->names[match->param_count] = part->text;
        match->values[match->param_count++] = value;
    }
    return NULL;
}

struct error *router_find(const struct router *router, struct arena *arena, const char *method,
                          const struct target *target, struct router_match *ret_match)
{
    const struct resource *resource = target->odd ? NULL : router->by_count[target->segment_count];
    while (resource && !resource_matches(resource, target))
        resource = resource->next;
    if (!resource)
        return error_new(ERR_NOT_FOUND, "there is no such resource");
    struct router_match match = {.allow = resource->allow};
    TRY(read_params(resource, arena, target, &match));
    const char *wanted = strcmp(method, "HEAD") == 0 ? "GET" : method;
    for (size_t i = 0; i < resource->route_count; i++)
        if (strcmp(resource->routes[i]->method, wanted) == 0)
            match.route = resource->routes[i];
    *ret_match = match;
    return NULL;
}

bool router_takes(const struct http_route *route, const char *name)
{
    size_t length = strlen(name);
    for (const char *at = route->query; at && *at;) {
        size_t size = strcspn(at, ",");
        if (size == length && memcmp(at, name, length) == 0)
            return true;
        at += size + (at[size] == ',');
    }
    return false;
}
