/* Arena: memory that is freed all at once, with a request, a job step or a driver call. Never returns NULL:
 * running out of memory ends the process (a broker that limps on without memory cannot keep its promises).
 * Not thread-safe. */
#ifndef BROKER_BASE_ARENA_H
#define BROKER_BASE_ARENA_H

#include <stdarg.h>
#include <stddef.h>

struct arena;

struct arena *arena_new(void);
void arena_free(struct arena *arena);
/* Forgets everything but keeps one block, for reuse. */
void arena_reset(struct arena *arena);

/* Zeroed, aligned for any type. */
void *arena_alloc(struct arena *arena, size_t size);
/* Zeroed array; ends the process on overflow of count × size. */
void *arena_array(struct arena *arena, size_t count, size_t size);
/* Copies; NULL gives NULL. */
char *arena_strdup(struct arena *arena, const char *text);
char *arena_strndup(struct arena *arena, const char *text, size_t length);
char *arena_printf(struct arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));
char *arena_vprintf(struct arena *arena, const char *format, va_list args);
/* Runs `release(object)` when the arena is freed or reset: ties e.g. a json_t to the request. Latest first.
 */
void arena_defer(struct arena *arena, void (*release)(void *object), void *object);
size_t arena_used(const struct arena *arena);

/* The malloc family that ends the process when memory is out, for owned objects. */
void *xmalloc(size_t size);
void *xcalloc(size_t count, size_t size);
void *xrealloc(void *old, size_t count, size_t size);
char *xstrdup(const char *text);
char *xasprintf(const char *format, ...) __attribute__((format(printf, 1, 2)));

static inline void arena_cleanup(struct arena **arena)
{
    arena_free(*arena);
}
#define ARENA_AUTO __attribute__((cleanup(arena_cleanup)))

#endif
