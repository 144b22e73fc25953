/* Arena and the malloc family that ends the process; see arena.h. Blocks double up to a cap; big objects get
 * their own. */
#include "broker/base/arena.h"

#include <stdalign.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_BLOCK ((size_t)4096)
#define LARGEST_BLOCK ((size_t)256 * 1024)

struct block {
    struct block *older;
    size_t size, used;
    alignas(max_align_t) char data[];
};

struct deferred {
    struct deferred *older;
    void (*release)(void *object);
    void *object;
};

struct arena {
    struct block *newest;
    struct deferred *deferred;
    size_t total;
};

static void die_without_memory(size_t size)
{
    fprintf(stderr, "out of memory: %zu bytes wanted\n", size);
    abort();
}

void *xmalloc(size_t size)
{
    void *memory = malloc(size ? size : 1);
    if (!memory)
        die_without_memory(size);
    return memory;
}

void *xcalloc(size_t count, size_t size)
{
    void *memory = calloc(count ? count : 1, size ? size : 1);
    if (!memory)
        die_without_memory(size);
    return memory;
}

void *xrealloc(void *old, size_t count, size_t size)
{
    void *memory = reallocarray(old, count ? count : 1, size ? size : 1);
    if (!memory)
        die_without_memory(size);
    return memory;
}

char *xstrdup(const char *text)
{
    char *copy = strdup(text);
    if (!copy)
        die_without_memory(strlen(text));
    return copy;
}

char *xasprintf(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *text;
    if (vasprintf(&text, format, args) < 0)
        die_without_memory(0);
    va_end(args);
    return text;
}

struct arena *arena_new(void)
{
    return xcalloc(1, sizeof(struct arena));
}

static void run_deferred(struct arena *arena)
{
    struct deferred *next = arena->deferred;
    arena->deferred = NULL;
    for (; next; next = next->older)
        next->release(next->object);
}

void arena_reset(struct arena *arena)
{
    run_deferred(arena);
    struct block *keep = NULL;
    for (struct block *block = arena->newest, *older; block; block = older) {
        older = block->older;
        if (!older && block->size <= LARGEST_BLOCK)
            keep = block;
        else
            free(block);
    }
    if (keep)
        keep->used = 0;
    arena->newest = keep;
    arena->total = 0;
}

void arena_free(struct arena *arena)
{
    if (!arena)
        return;
    run_deferred(arena);
    for (struct block *block = arena->newest, *older; block; block = older) {
        older = block->older;
        free(block);
    }
    free(arena);
}

static struct block *add_block(struct arena *arena, size_t need)
{
    size_t size = arena->newest ? arena->newest->size * 2 : FIRST_BLOCK;
    if (size > LARGEST_BLOCK)
        size = LARGEST_BLOCK;
    if (size < need)
        size = need;
    struct block *block = xmalloc(sizeof *block + size);
    *block = (struct block){.older = arena->newest, .size = size};
    arena->newest = block;
    return block;
}

void *arena_alloc(struct arena *arena, size_t size)
{
    const size_t align = alignof(max_align_t);
    if (size > SIZE_MAX / 2)
        die_without_memory(size);
    size_t need = (size + align - 1) / align * align;
    struct block *block = arena->newest;
    if (!block || block->size - block->used < need)
        block = add_block(arena, need);
    void *memory = block->data + block->used;
    block->used += need;
    arena->total += need;
    return memset(memory, 0, need);
}

void *arena_array(struct arena *arena, size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes))
        die_without_memory(SIZE_MAX);
    return arena_alloc(arena, bytes);
}

char *arena_strndup(struct arena *arena, const char *text, size_t length)
{
    if (!text)
        return NULL;
    length = strnlen(text, length);
    char *copy = arena_alloc(arena, length + 1);
    memcpy(copy, text, length);
    return copy;
}

char *arena_strdup(struct arena *arena, const char *text)
{
    return text ? arena_strndup(arena, text, strlen(text)) : NULL;
}

char *arena_vprintf(struct arena *arena, const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, format, again);
    va_end(again);
    if (length < 0)
        die_without_memory(0);
    char *text = arena_alloc(arena, (size_t)length + 1);
    (void)vsnprintf(text, (size_t)length + 1, format, args); /* the length was just measured */
    return text;
}

char *arena_printf(struct arena *arena, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *text = arena_vprintf(arena, format, args);
    va_end(args);
    return text;
}

void arena_defer(struct arena *arena, void (*release)(void *object), void *object)
{
    struct deferred *deferred = arena_alloc(arena, sizeof *deferred);
    *deferred = (struct deferred){.older = arena->deferred, .release = release, .object = object};
    arena->deferred = deferred;
}

size_t arena_used(const struct arena *arena)
{
    return arena->total;
}
