/* Secrets by reference; see secret.h. */
#include "broker/base/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/base/arena.h"

static struct error *split(const char *reference, const char **ret_scheme, const char **ret_rest)
{
    static const char *const schemes[] = {"file", "env", "credential"};
    for (size_t i = 0; i < sizeof schemes / sizeof *schemes; i++) {
        size_t length = strlen(schemes[i]);
        if (!strncmp(reference, schemes[i], length) && reference[length] == ':' && reference[length + 1]) {
            *ret_scheme = schemes[i];
            *ret_rest = reference + length + 1;
            return NULL;
        }
    }
    return error_new(ERR_INVALID, "a secret is referred to as file:/path, env:NAME or credential:NAME");
}

struct error *secret_check(const char *reference)
{
    const char *scheme, *rest;
    TRY(split(reference, &scheme, &rest));
    if (!strcmp(scheme, "file") && *rest != '/')
        return error_new(ERR_INVALID, "a secret's file is named by an absolute path");
    if (!strcmp(scheme, "credential") && (strchr(rest, '/') || *rest == '.'))
        return error_new(ERR_INVALID, "a credential's name has no slash and no leading dot");
    return NULL;
}

static struct error *read_file(const char *path, char **ret_secret)
{
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (file < 0)
        return error_new(ERR_IO, "could not open the secret's file: %s", strerror(errno));
    struct error *error = NULL;
    char *text = xmalloc(SECRET_MAX + 1);
    size_t length = 0;
    struct stat about;
    if (fstat(file, &about) || !S_ISREG(about.st_mode))
        error = error_new(ERR_INVALID, "the secret's file is not a regular file");
    else if (about.st_mode & 077)
        error = error_new(ERR_DENIED, "the secret's file may be read by others: make it mode 0600");
    while (!error && length <= SECRET_MAX) {
        ssize_t got = read(file, text + length, SECRET_MAX + 1 - length);
        if (got < 0)
            error = error_new(ERR_IO, "could not read the secret's file: %s", strerror(errno));
        if (got <= 0)
            break;
        length += (size_t)got;
    }
    (void)close(file); /* it was only read */
    if (!error && length > SECRET_MAX)
        error = error_new(ERR_TOO_LARGE, "the secret is longer than %d bytes", SECRET_MAX);
    if (!error && memchr(text, 0, length))
        error = error_new(ERR_INVALID, "the secret holds a NUL byte");
    if (error) {
        OPENSSL_cleanse(text, length < SECRET_MAX ? length : SECRET_MAX);
        free(text);
        return error;
    }
    if (length && text[length - 1] == '\n')
        length--;
    text[length] = '\0';
    *ret_secret = text;
    return NULL;
}

struct error *secret_read(const char *reference, char **ret_secret)
{
    const char *scheme, *rest;
    TRY(secret_check(reference));
    TRY(split(reference, &scheme, &rest));
    if (!strcmp(scheme, "env")) {
        const char *value = getenv(rest);
        if (!value)
            return error_new(ERR_NOT_FOUND, "the secret's environment variable %s is not set", rest);
        *ret_secret = xstrdup(value);
        return NULL;
    }
    if (!strcmp(scheme, "file"))
        return read_file(rest, ret_secret);
    const char *folder = getenv("CREDENTIALS_DIRECTORY");
    if (!folder)
        return error_new(ERR_NOT_FOUND,
                         "no credentials were handed over ($CREDENTIALS_DIRECTORY is not set)");
    char *path = xasprintf("%s/%s", folder, rest);
    struct error *error = read_file(path, ret_secret);
    free(path);
    return error;
}

void secret_free(char *secret)
{
    if (!secret)
        return;
    OPENSSL_cleanse(secret, strlen(secret));
    free(secret);
}
