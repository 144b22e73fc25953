/* Sizes, times and bars of things that go on; see cli.h. */
#include <stdio.h>

#include "broker/cli/cli.h"

const char *cli_size(struct arena *arena, int64_t bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    size_t unit = 0;
    int64_t tenths = bytes * 10;
    for (; tenths >= 10240 && unit + 1 < sizeof units / sizeof *units; unit++)
        tenths /= 1024;
    return arena_printf(arena, "%lld.%lld %s", (long long)(tenths / 10), (long long)(tenths % 10),
                        units[unit]);
}

const char *cli_span(struct arena *arena, int64_t seconds)
{
    if (seconds < 120)
        return arena_printf(arena, "%lld s", (long long)seconds);
    if (seconds < 7200)
        return arena_printf(arena, "%lld min", (long long)(seconds / 60));
    if (seconds < 2 * 86400)
        return arena_printf(arena, "%lld h %02lld min", (long long)(seconds / 3600),
                            (long long)(seconds / 60 % 60));
    return arena_printf(arena, "%lld d %02lld h", (long long)(seconds / 86400),
                        (long long)(seconds / 3600 % 24));
}

const char *cli_bar(struct arena *arena, int64_t done, int64_t all, int cells)
{
    char *bar = arena_alloc(arena, (size_t)cells + 3);
    int full = all > 0 ? (int)((double)done * cells / (double)all) : 0;
    bar[0] = '[';
    for (int i = 0; i < cells; i++)
        bar[i + 1] = i < full ? '#' : '.';
    bar[cells + 1] = ']';
    bar[cells + 2] = '\0';
    return bar;
}
