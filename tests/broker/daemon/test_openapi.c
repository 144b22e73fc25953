/* Walks both ways between the route tables of the daemon and the contract it serves: methods, paths, their
 * parameters, query members, permission, keys, conditions and bodies. Every difference is printed; any of
 * them fails the test. Also: the document is one valid YAML text without doubled members, every $ref leads
 * somewhere and every component is used. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <yaml.h>

#include "broker/base/arena.h"
#include "broker/daemon/routes.h"
#include "broker/http/openapi.h"
#include "broker/http/router.h"

#define DEPTH_MAX 8 /* of $ref to $ref */

static yaml_document_t document;
static struct arena *arena;
static int differences;

static void differ(const char *method, const char *path, const char *what, const char *name)
{
    fprintf(stderr, "%s %s: %s%s%s\n", method, path, what, name ? " " : "", name ? name : "");
    differences++;
}

static const char *text_of(const yaml_node_t *node)
{
    return node && node->type == YAML_SCALAR_NODE ? (const char *)node->data.scalar.value : NULL;
}

static yaml_node_t *node_at(int index)
{
    return yaml_document_get_node(&document, index);
}

/* The member as it is written. */
static yaml_node_t *raw_member(const yaml_node_t *map, const char *name)
{
    if (!map || map->type != YAML_MAPPING_NODE)
        return NULL;
    for (yaml_node_pair_t *pair = map->data.mapping.pairs.start; pair < map->data.mapping.pairs.top; pair++)
        if (!strcmp(text_of(node_at(pair->key)), name))
            return node_at(pair->value);
    return NULL;
}

/* "#/components/schemas/Name"; NULL when it leads nowhere. */
static yaml_node_t *find_reference(const char *reference)
{
    yaml_node_t *node = yaml_document_get_root_node(&document);
    char *rest = arena_strdup(arena, reference), *part = strsep(&rest, "/");
    if (strcmp(part, "#"))
        return NULL;
    while (node && (part = strsep(&rest, "/")))
        node = raw_member(node, part);
    return node;
}

static yaml_node_t *resolve(yaml_node_t *node)
{
    const char *reference;
    for (int i = 0; i < DEPTH_MAX && node && (reference = text_of(raw_member(node, "$ref"))); i++)
        node = find_reference(reference);
    return node;
}

static yaml_node_t *member(const yaml_node_t *map, const char *name)
{
    return resolve(raw_member(map, name));
}

/* Of the operation or of its path: the parameter of this place and name. */
static const yaml_node_t *find_parameter(const yaml_node_t *owner, const char *in, const char *name)
{
    const yaml_node_t *list = member(owner, "parameters");
    if (!list)
        return NULL;
    for (yaml_node_item_t *item = list->data.sequence.items.start; item < list->data.sequence.items.top;
         item++) {
        const yaml_node_t *parameter = resolve(node_at(*item));
        const char *place = text_of(member(parameter, "in")), *called = text_of(member(parameter, "name"));
        if (place && called && !strcmp(place, in) && !strcmp(called, name))
            return parameter;
    }
    return NULL;
}

static bool is_true(const yaml_node_t *node)
{
    const char *text = text_of(node);
    return text && !strcmp(text, "true");
}

static const struct http_route *find_route(const char *method, const char *pattern)
{
    size_t count;
    const struct http_table *const *tables = routes_all(&count);
    for (size_t t = 0; t < count; t++)
        for (size_t r = 0; r < tables[t]->count; r++)
            if (!strcmp(tables[t]->routes[r].method, method) &&
                !strcmp(tables[t]->routes[r].pattern, pattern))
                return &tables[t]->routes[r];
    return NULL;
}

static const char *lower(const char *method)
{
    char *text = arena_strdup(arena, method);
    for (char *at = text; *at; at++)
        if (*at >= 'A' && *at <= 'Z')
            *at = (char)(*at + 'a' - 'A');
    return text;
}

static const char *upper(const char *method)
{
    char *text = arena_strdup(arena, method);
    for (char *at = text; *at; at++)
        if (*at >= 'a' && *at <= 'z')
            *at = (char)(*at + 'A' - 'a');
    return text;
}

/* Header parameters that a flag of the route asks for, and no others. */
static void check_header(const struct http_route *route, const yaml_node_t *operation, const char *header,
                         unsigned flag)
{
    const yaml_node_t *parameter = find_parameter(operation, "header", header);
    if ((route->flags & flag) && !(parameter && is_true(member(parameter, "required"))))
        differ(route->method, route->pattern, "the document does not require the header", header);
    if (!(route->flags & flag) && parameter)
        differ(route->method, route->pattern, "the route does not take the header", header);
}

static void check_rights(const struct http_route *route, const yaml_node_t *operation)
{
    const char *permission = text_of(member(operation, "x-permission"));
    const yaml_node_t *security = member(operation, "security");
    bool is_public = security && security->type == YAML_SEQUENCE_NODE &&
                     security->data.sequence.items.start == security->data.sequence.items.top;
    if (is_public != ((route->flags & HTTP_PUBLIC) != 0))
        differ(route->method, route->pattern, "is public on one side alone", NULL);
    if (!permission != !route->permission ||
        (permission && route->permission && strcmp(permission, route->permission) != 0))
        differ(route->method, route->pattern, "x-permission is not the route's", route->permission);
}

/* A method that makes or changes has a body unless the route refuses one; GET and DELETE have none. */
static void check_body(const struct http_route *route, const yaml_node_t *operation)
{
    bool takes =
        strcmp(route->method, "GET") && strcmp(route->method, "DELETE") && !(route->flags & HTTP_NO_BODY);
    const yaml_node_t *body = member(operation, "requestBody");
    if (takes != (body != NULL))
        differ(route->method, route->pattern, takes ? "has no requestBody" : "takes no requestBody", NULL);
    static const char *const json[] = {"application/json", NULL}, *const events[] = {
                                                                      "application/cloudevents+json",
                                                                      "application/cloudevents-batch+json",
                                                                      "application/x-ndjson", NULL};
    static const char *const bytes[] = {"application/octet-stream", NULL};
    const char *const *types = route->flags & HTTP_EVENTS ? events : route->flags & HTTP_BYTES ? bytes : json;
    for (const char *const *type = types; body && *type; type++)
        if (!member(member(member(body, "content"), *type), "schema"))
            differ(route->method, route->pattern, "requestBody has no schema of", *type);
}

/* Query members and path parameters that the document has and the route does not. */
static void check_extra_parameters(const struct http_route *route, const yaml_node_t *owner)
{
    const yaml_node_t *list = member(owner, "parameters");
    for (yaml_node_item_t *item = list ? list->data.sequence.items.start : NULL;
         item && item < list->data.sequence.items.top; item++) {
        const yaml_node_t *parameter = resolve(node_at(*item));
        const char *in = text_of(member(parameter, "in")), *name = text_of(member(parameter, "name"));
        if (!in || !name || !member(parameter, "schema"))
            differ(route->method, route->pattern, "a parameter without in, name or schema", name);
        else if (!strcmp(in, "query") && !router_takes(route, name))
            differ(route->method, route->pattern, "the route does not take the query member", name);
        else if (!strcmp(in, "path") && !strstr(route->pattern, arena_printf(arena, "{%s}", name)))
            differ(route->method, route->pattern, "the pattern lacks the parameter", name);
    }
}

static void check_parameters(const struct http_route *route, const yaml_node_t *path,
                             const yaml_node_t *operation)
{
    char *rest = arena_strdup(arena, route->query ? route->query : ""), *name;
    while ((name = strsep(&rest, ",")))
        if (*name && !find_parameter(operation, "query", name))
            differ(route->method, route->pattern, "the document lacks the query member", name);
    const char *at = route->pattern;
    while ((at = strchr(at, '{'))) {
        name = arena_strndup(arena, at + 1, strcspn(at, "}") - 1);
        const yaml_node_t *parameter = find_parameter(path, "path", name);
        if (!(parameter && is_true(member(parameter, "required"))))
            differ(route->method, route->pattern, "the document lacks the path parameter", name);
        at++;
    }
    check_extra_parameters(route, path);
    check_extra_parameters(route, operation);
}

static bool has_conditional_answers(const yaml_node_t *responses)
{
    return member(responses, "412") && member(responses, "428");
}

/* A success with its schema where it has a body, and the problems for everything else. */
static void check_answers(const struct http_route *route, const yaml_node_t *operation)
{
    const yaml_node_t *responses = member(operation, "responses");
    size_t successes = 0;
    if (!responses || responses->type != YAML_MAPPING_NODE) {
        differ(route->method, route->pattern, "has no responses", NULL);
        return;
    }
    for (yaml_node_pair_t *pair = responses->data.mapping.pairs.start;
         pair < responses->data.mapping.pairs.top; pair++) {
        const char *status = text_of(node_at(pair->key));
        const yaml_node_t *answer = resolve(node_at(pair->value));
        if (!text_of(member(answer, "description")))
            differ(route->method, route->pattern, "has no description for", status);
        bool bodyless = !strcmp(status, "204") || !strcmp(status, "304");
        if (!bodyless && !member(answer, "content"))
            differ(route->method, route->pattern, "has no content for", status);
        if (status[0] == '2' && strcmp(status, "206") != 0) /* a part of what 200 is the whole of */
            successes++;
        if (!strcmp(status, "202") && !member(member(answer, "headers"), "Retry-After"))
            differ(route->method, route->pattern, "lacks Retry-After of", status);
    }
    if (successes != 1)
        differ(route->method, route->pattern, "must have one successful answer", NULL);
    if (!member(responses, "default"))
        differ(route->method, route->pattern, "lacks the problem answer", NULL);
    if ((route->flags & HTTP_CONDITIONAL) && !has_conditional_answers(responses))
        differ(route->method, route->pattern, "lacks the answers 412 and 428", NULL);
    if (!text_of(member(operation, "summary")))
        differ(route->method, route->pattern, "has no summary", NULL);
}

static void test_every_route_is_told(void **state)
{
    size_t count;
    const struct http_table *const *tables = routes_all(&count);
    const yaml_node_t *paths = member(yaml_document_get_root_node(&document), "paths");
    (void)state;
    differences = 0;
    for (size_t t = 0; t < count; t++) {
        for (size_t r = 0; r < tables[t]->count; r++) {
            const struct http_route *route = &tables[t]->routes[r];
            const yaml_node_t *path = member(paths, route->pattern);
            const yaml_node_t *operation = member(path, lower(route->method));
            if (!operation) {
                differ(route->method, route->pattern, "is not in the document", NULL);
                continue;
            }
            check_rights(route, operation);
            check_header(route, operation, "Idempotency-Key", HTTP_KEYED);
            check_header(route, operation, "If-Match", HTTP_CONDITIONAL);
            check_body(route, operation);
            check_parameters(route, path, operation);
            check_answers(route, operation);
        }
    }
    assert_int_equal(differences, 0);
}

static void test_everything_told_is_a_route(void **state)
{
    const yaml_node_t *paths = member(yaml_document_get_root_node(&document), "paths");
    size_t operations = 0;
    (void)state;
    differences = 0;
    assert_non_null(paths);
    for (yaml_node_pair_t *p = paths->data.mapping.pairs.start; p < paths->data.mapping.pairs.top; p++) {
        const char *pattern = text_of(node_at(p->key));
        const yaml_node_t *path = node_at(p->value);
        for (yaml_node_pair_t *m = path->data.mapping.pairs.start; m < path->data.mapping.pairs.top; m++) {
            const char *method = text_of(node_at(m->key));
            if (!strcmp(method, "parameters"))
                continue;
            operations++;
            if (!find_route(upper(method), pattern))
                differ(upper(method), pattern, "is not a route", NULL);
        }
    }
    assert_int_equal(differences, 0);
    assert_true(operations > 90); /* the walk saw the whole document */
}

static void check_doubles(const yaml_node_t *map)
{
    for (yaml_node_pair_t *a = map->data.mapping.pairs.start; a < map->data.mapping.pairs.top; a++)
        for (yaml_node_pair_t *b = a + 1; b < map->data.mapping.pairs.top; b++)
            if (!strcmp(text_of(node_at(a->key)), text_of(node_at(b->key))))
                differ("line", arena_printf(arena, "%zu", node_at(b->key)->start_mark.line + 1),
                       "double member", text_of(node_at(b->key)));
}

static void test_one_whole_document(void **state)
{
    (void)state;
    differences = 0;
    assert_string_equal(text_of(member(yaml_document_get_root_node(&document), "openapi")), "3.1.0");
    for (int i = 1; node_at(i); i++) {
        const yaml_node_t *node = node_at(i);
        if (node->type != YAML_MAPPING_NODE)
            continue;
        check_doubles(node);
        const char *reference = text_of(raw_member(node, "$ref"));
        if (reference && !find_reference(reference))
            differ("line", arena_printf(arena, "%zu", node->start_mark.line + 1),
                   "leads nowhere:", reference);
    }
    assert_int_equal(differences, 0);
}

static bool is_referred(const char *reference)
{
    for (int i = 1; node_at(i); i++) {
        const char *text = text_of(raw_member(node_at(i), "$ref"));
        if (text && !strcmp(text, reference))
            return true;
    }
    return false;
}

static void test_every_component_is_used(void **state)
{
    static const char *const rooms[] = {"parameters", "headers", "responses", "schemas"};
    const yaml_node_t *components = member(yaml_document_get_root_node(&document), "components");
    (void)state;
    differences = 0;
    for (size_t i = 0; i < sizeof rooms / sizeof *rooms; i++) {
        const yaml_node_t *room = member(components, rooms[i]);
        assert_non_null(room);
        for (yaml_node_pair_t *p = room->data.mapping.pairs.start; p < room->data.mapping.pairs.top; p++) {
            const char *reference =
                arena_printf(arena, "#/components/%s/%s", rooms[i], text_of(node_at(p->key)));
            if (!is_referred(reference))
                differ("component", reference, "is not used", NULL);
        }
    }
    assert_int_equal(differences, 0);
}

static int load(void **state)
{
    yaml_parser_t parser;
    (void)state;
    arena = arena_new();
    if (!yaml_parser_initialize(&parser))
        return -1;
    yaml_parser_set_input_string(&parser, openapi_yaml, openapi_yaml_size);
    int good = yaml_parser_load(&parser, &document);
    if (!good)
        fprintf(stderr, "line %zu: %s\n", parser.problem_mark.line + 1,
                parser.problem ? parser.problem : "?");
    yaml_document_t next; /* a second document would be a fragment begun with --- */
    if (good && yaml_parser_load(&parser, &next)) {
        good = yaml_document_get_root_node(&next) == NULL;
        yaml_document_delete(&next);
    }
    yaml_parser_delete(&parser);
    return good ? 0 : -1;
}

static int unload(void **state)
{
    (void)state;
    yaml_document_delete(&document);
    arena_free(arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_whole_document),
        cmocka_unit_test(test_every_route_is_told),
        cmocka_unit_test(test_everything_told_is_a_route),
        cmocka_unit_test(test_every_component_is_used),
    };
    return cmocka_run_group_tests(tests, load, unload);
}
