/* --help and the manual page, both made from the table of options; see config.h. */
#include "broker/base/config.h"

#include <string.h>

#define HELP_WIDTH 78
#define HELP_INDENT 8

static void print_flag(const char *name, FILE *out)
{
    (void)fputs("--", out);
    for (; *name; name++)
        (void)fputc(*name == '_' ? '-' : *name, out);
}

/* Words filled into lines of HELP_WIDTH, indented. */
static void print_filled(const char *text, FILE *out)
{
    int column = 0;
    while (*text) {
        size_t length = strcspn(text, " ");
        if (column && column + 1 + (int)length > HELP_WIDTH) {
            (void)fputc('\n', out);
            column = 0;
        }
        if (!column)
            column = fprintf(out, "%*s", HELP_INDENT, "");
        else
            column += fprintf(out, " ");
        column += fprintf(out, "%.*s", (int)length, text);
        text += length + strspn(text + length, " ");
    }
    (void)fputc('\n', out);
}

void config_print_help(const struct config_table *table, FILE *out)
{
    (void)fprintf(out, "%s: %s\n\n", table->program, table->summary);
    (void)fprintf(
        out, "Options come from --config FILE (name = value lines), then the environment (YUNQIAO_NAME),\n"
             "then flags. Options marked * are read again on SIGHUP.\n\n");
    for (size_t i = 0; i < table->count; i++) {
        const struct config_option *option = &table->options[i];
        (void)fputs(option->reloadable ? "  * " : "    ", out);
        print_flag(option->name, out);
        if (option->argument)
            (void)fprintf(out, " %s", option->argument);
        if (option->fallback)
            (void)fprintf(out, "  (default: %s)", option->fallback);
        (void)fputc('\n', out);
        print_filled(option->help, out);
    }
    (void)fprintf(out,
                  "    --config FILE\n        The configuration file.\n    --help, --manual, --version\n");
}

/* roff treats a leading dot or apostrophe and backslashes as its own. */
static void print_roff(const char *text, FILE *out)
{
    if (*text == '.' || *text == '\'')
        (void)fputs("\\&", out);
    for (; *text; text++) {
        if (*text == '\\' || *text == '-')
            (void)fputc('\\', out);
        (void)fputc(*text, out);
    }
}

void config_print_manual(const struct config_table *table, FILE *out)
{
    (void)fprintf(out, ".TH %s 8\n.SH NAME\n%s \\- %s\n.SH SYNOPSIS\n.B %s\n[options]\n.SH OPTIONS\n",
                  table->program, table->program, table->summary, table->program);
    for (size_t i = 0; i < table->count; i++) {
        const struct config_option *option = &table->options[i];
        (void)fputs(".TP\n.B \\-\\-", out);
        for (const char *at = option->name; *at; at++)
            (void)fputs(*at == '_' ? "\\-" : (const char[]){*at, '\0'}, out);
        (void)fprintf(out, " %s\n", option->argument ? option->argument : "");
        print_roff(option->help, out);
        if (option->fallback) {
            (void)fputs(" The default is ", out);
            print_roff(option->fallback, out);
            (void)fputc('.', out);
        }
        (void)fputs(option->reloadable ? " Read again on SIGHUP.\n" : "\n", out);
    }
    (void)fprintf(
        out, ".SH ENVIRONMENT\nEvery option is also read from YUNQIAO_ and its name in capitals, dashes as "
             "underscores.\n");
}
