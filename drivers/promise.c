/* What a driver's results must look like, whatever the provider sent: everything above the gate relies on it
 * (a missing name would end as a crash in a JSON answer, a foreign stamp as one unit's machine under
 * another's bill). A broken promise is a bug of the driver: ERR_INTERNAL. See operation.h. */
#include <stdlib.h>
#include <string.h>

#include "broker/base/id.h"
#include "drivers/operation.h"

#define ITEMS_MAX 1000000 /* objects of one kind in an inventory, or changes in one answer */

bool promise_code(enum error_code code)
{
    switch (code) {
    case ERR_NOT_FOUND:
    case ERR_EXISTS:
    case ERR_BUSY:
    case ERR_DENIED:
    case ERR_UNAVAILABLE:
    case ERR_TIMEOUT:
    case ERR_INVALID:
    case ERR_NO_CAPACITY:
    case ERR_UNSUPPORTED:
    case ERR_CONFLICT:
    case ERR_CANCELLED:
    case ERR_INTERNAL:
        return true;
    default:
        return false;
    }
}

static bool continues(unsigned char byte)
{
    return (byte & 0xc0) == 0x80;
}

/* Well-formed UTF-8 (Unicode 15, table 3-7): no overlong form, no surrogate, nothing past U+10FFFF. */
static bool utf8(const char *text)
{
    for (const unsigned char *at = (const unsigned char *)text; *at;) {
        unsigned char lead = at[0];
        if (lead < 0x80) {
            at++;
        } else if (lead >= 0xc2 && lead <= 0xdf && continues(at[1])) {
            at += 2;
        } else if ((lead & 0xf0) == 0xe0 && continues(at[1]) && continues(at[2]) &&
                   !(lead == 0xe0 && at[1] < 0xa0) && !(lead == 0xed && at[1] > 0x9f)) {
            at += 3;
        } else if (lead >= 0xf0 && lead <= 0xf4 && continues(at[1]) && continues(at[2]) && continues(at[3]) &&
                   !(lead == 0xf0 && at[1] < 0x90) && !(lead == 0xf4 && at[1] > 0x8f)) {
            at += 4;
        } else {
            return false;
        }
    }
    return true;
}

/* Text that must be there, not empty; `what` is "instance", `field` is "name". */
struct error *promise_need(const char *text, const char *what, const char *field)
{
    if (!text || !*text)
        return error_new(ERR_INTERNAL, "%s without a %s", what, field);
    if (!utf8(text))
        return error_new(ERR_INTERNAL, "%s whose %s is not UTF-8", what, field);
    return NULL;
}

struct error *promise_may(const char *text, const char *what, const char *field)
{
    if (text && !utf8(text))
        return error_new(ERR_INTERNAL, "%s whose %s is not UTF-8", what, field);
    return NULL;
}

struct error *promise_stamp(const char *id, const char *what)
{
    if (id && !id_valid(id))
        return error_new(ERR_INTERNAL, "%s whose stamp is no id", what);
    return NULL;
}

struct error *promise_good_instance(const struct driver_instance *instance)
{
    TRY(promise_stamp(instance->id, "instance"));
    TRY(promise_need(instance->ref, "instance", "reference"));
    TRY(promise_need(instance->name, "instance", "name"));
    TRY(promise_may(instance->architecture, "instance", "architecture"));
    TRY(promise_may(instance->host, "instance", "host"));
    TRY(promise_may(instance->address, "instance", "address"));
    TRY(promise_may(instance->detail, "instance", "detail"));
    if ((unsigned)instance->power > DRIVER_POWER_ERROR)
        return error_new(ERR_INTERNAL, "instance \"%s\" with power state %u", instance->ref,
                         (unsigned)instance->power);
    return NULL;
}

static struct error *good_volume(const struct driver_volume *volume)
{
    TRY(promise_stamp(volume->id, "volume"));
    TRY(promise_need(volume->ref, "volume", "reference"));
    TRY(promise_need(volume->name, "volume", "name"));
    TRY(promise_may(volume->instance_ref, "volume", "instance"));
    TRY(promise_may(volume->pool, "volume", "pool"));
    return NULL;
}

struct error *promise_same_stamp(const char *returned, const char *asked, const char *what)
{
    if (!returned || strcmp(returned, asked) != 0)
        return error_new(ERR_INTERNAL, "%s %s where %s was asked for", what,
                         returned ? returned : "(unstamped)", asked);
    return NULL;
}

struct error *promise_about(const struct task *task)
{
    TRY(promise_need(task->about.product, "about", "product"));
    return promise_need(task->about.identity, "about", "identity");
}

struct error *promise_instance_found(const struct task *task)
{
    TRY(promise_good_instance(&task->made_instance));
    return promise_same_stamp(task->made_instance.id, task->instance.id, "instance");
}

struct error *promise_instance_created(const struct task *task)
{
    TRY(promise_good_instance(&task->made_instance));
    return promise_same_stamp(task->made_instance.id, task->instance_spec.id, "instance");
}

struct error *promise_volume_found(const struct task *task)
{
    TRY(good_volume(&task->made_volume));
    return promise_same_stamp(task->made_volume.id, task->volume.id, "volume");
}

struct error *promise_volume_created(const struct task *task)
{
    TRY(good_volume(&task->made_volume));
    if (task->made_volume.size_gb < task->volume_spec.size_gb)
        return error_new(ERR_INTERNAL, "volume of %u GB where %u were asked for", task->made_volume.size_gb,
                         task->volume_spec.size_gb);
    return promise_same_stamp(task->made_volume.id, task->volume_spec.id, "volume");
}

struct error *promise_console(const struct task *task)
{
    if (task->length > task->limit)
        return error_new(ERR_INTERNAL, "console text of %zu bytes where at most %zu were asked for",
                         task->length, task->limit);
    return task->text ? NULL : error_new(ERR_INTERNAL, "console without text");
}

struct error *promise_capacity(const struct task *task)
{
    const unsigned known = DRIVER_X86 | DRIVER_ARM | DRIVER_C86 | DRIVER_POWER;
    if (task->capacity.architectures & ~known)
        return error_new(ERR_INTERNAL, "capacity with unknown architectures 0x%x",
                         task->capacity.architectures & ~known);
    return NULL;
}

struct error *promise_watch(const struct task *task)
{
    if (task->change_count > ITEMS_MAX || (task->change_count && !task->changes))
        return error_new(ERR_INTERNAL, "%zu changes, more than there may be or without a list",
                         task->change_count);
    for (size_t i = 0; i < task->change_count; i++) {
        TRY(promise_stamp(task->changes[i].id, "change"));
        TRY(promise_need(task->changes[i].ref, "change", "reference"));
        if ((unsigned)task->changes[i].power > DRIVER_POWER_ERROR)
            return error_new(ERR_INTERNAL, "change with power state %u", (unsigned)task->changes[i].power);
    }
    return NULL;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* No two objects of a kind under one reference. `refs` is sorted in place. */
static struct error *distinct(const char **refs, size_t count, const char *what)
{
    if (count)
        qsort(refs, count, sizeof *refs, by_text);
    for (size_t i = 1; i < count; i++)
        if (strcmp(refs[i - 1], refs[i]) == 0)
            return error_new(ERR_INTERNAL, "inventory with two of %s \"%s\"", what, refs[i]);
    return NULL;
}

static struct error *countable(const void *items, size_t count, const char *what)
{
    if (count > ITEMS_MAX || (count && !items))
        return error_new(ERR_INTERNAL, "inventory with %zu of %s, more than there may be or without a list",
                         count, what);
    return NULL;
}

static struct error *good_places(const struct driver_inventory *all)
{
    for (size_t i = 0; i < all->host_count; i++) {
        TRY(promise_need(all->hosts[i].ref, "host", "reference"));
        TRY(promise_need(all->hosts[i].name, "host", "name"));
        TRY(promise_may(all->hosts[i].architecture, "host", "architecture"));
    }
    for (size_t i = 0; i < all->pool_count; i++) {
        TRY(promise_need(all->pools[i].ref, "pool", "reference"));
        TRY(promise_need(all->pools[i].name, "pool", "name"));
        if (all->pools[i].free_gb > all->pools[i].total_gb)
            return error_new(ERR_INTERNAL, "pool \"%s\" with more free than there is", all->pools[i].name);
    }
    for (size_t i = 0; i < all->network_count; i++) {
        TRY(promise_need(all->networks[i].ref, "network", "reference"));
        TRY(promise_need(all->networks[i].name, "network", "name"));
    }
    for (size_t i = 0; i < all->image_count; i++) {
        TRY(promise_need(all->images[i].ref, "image", "reference"));
        TRY(promise_need(all->images[i].name, "image", "name"));
        TRY(promise_may(all->images[i].architecture, "image", "architecture"));
    }
    return NULL;
}

struct error *promise_inventory(const struct task *task)
{
    const struct driver_inventory *all = &task->inventory;
    TRY(countable(all->hosts, all->host_count, "hosts"));
    TRY(countable(all->pools, all->pool_count, "pools"));
    TRY(countable(all->networks, all->network_count, "networks"));
    TRY(countable(all->images, all->image_count, "images"));
    TRY(countable(all->instances, all->instance_count, "instances"));
    TRY(countable(all->volumes, all->volume_count, "volumes"));
    TRY(good_places(all));
    const char **refs = arena_array(task->arena, all->instance_count, sizeof *refs);
    for (size_t i = 0; i < all->instance_count; i++) {
        TRY(promise_good_instance(&all->instances[i]));
        refs[i] = all->instances[i].ref;
    }
    TRY(distinct(refs, all->instance_count, "instance"));
    refs = arena_array(task->arena, all->volume_count, sizeof *refs);
    for (size_t i = 0; i < all->volume_count; i++) {
        TRY(good_volume(&all->volumes[i]));
        refs[i] = all->volumes[i].ref;
    }
    return distinct(refs, all->volume_count, "volume");
}
