/* broker/base/secret: the three ways to name one, and who may read its file. */
#include "broker/base/secret.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[] = "/tmp/yunqiao-secret-XXXXXX";
static char path[64], reference[80];

static int setup(void **state)
{
    if (!mkdtemp(folder))
        return -1;
    (void)snprintf(path, sizeof path, "%s/one", folder);
    (void)snprintf(reference, sizeof reference, "file:%s", path);
    return 0;
}

static int teardown(void **state)
{
    return unlink(path) || rmdir(folder);
}

static void put(const char *bytes, size_t length, mode_t mode)
{
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(file >= 0);
    assert_int_equal(fchmod(file, mode), 0);
    assert_int_equal(write(file, bytes, length), length);
    assert_int_equal(close(file), 0);
}

static void refused(const char *what, enum error_code code)
{
    char *secret = NULL;
    struct error *error = secret_read(what, &secret);
    if (!error || error_code(error) != code)
        fail_msg("%s: %s", what, error ? error_message(error) : "taken");
    assert_null(strstr(error_message(error), "hunter2"));
    error_free(error);
    assert_null(secret);
}

static void expect(const char *what, const char *text)
{
    char *secret;
    assert_null(secret_check(what));
    assert_null(secret_read(what, &secret));
    assert_string_equal(secret, text);
    secret_free(secret);
}

static void test_file(void **state)
{
    put("hunter2\n\n", 9, 0600);
    expect(reference, "hunter2\n"); /* one newline is cut */
    put("", 0, 0400);
    expect(reference, "");
    put("hunter2", 7, 0640);
    refused(reference, ERR_DENIED);
    put("hunter2", 7, 0604);
    refused(reference, ERR_DENIED);
    put("hunter2\0x", 9, 0600);
    refused(reference, ERR_INVALID);
    char *big = calloc(1, SECRET_MAX + 1);
    assert_non_null(big);
    memset(big, 'x', SECRET_MAX + 1);
    put(big, SECRET_MAX, 0600);
    char *secret;
    assert_null(secret_read(reference, &secret));
    assert_int_equal(strlen(secret), SECRET_MAX);
    secret_free(secret);
    put(big, SECRET_MAX + 1, 0600);
    refused(reference, ERR_TOO_LARGE);
    free(big);
    refused("file:/tmp", ERR_INVALID);
    refused("file:/nonexistent/secret", ERR_IO);
}

static void test_environment_and_credentials(void **state)
{
    setenv("YUNQIAO_TEST_SECRET", "hunter2", 1);
    expect("env:YUNQIAO_TEST_SECRET", "hunter2");
    setenv("CREDENTIALS_DIRECTORY", folder, 1);
    put("hunter2", 7, 0400);
    expect("credential:one", "hunter2");
    refused("credential:../one", ERR_INVALID);
    refused("credential:.one", ERR_INVALID);
    char *secret = NULL;
    struct error *error = secret_read("env:YUNQIAO_NO_SUCH_SECRET", &secret);
    assert_non_null(error);
    error_free(error);
}

static void test_forms(void **state)
{
    static const char *const bad[] = {"",        "hunter2", "file:",       "file:relative",
                                      "FILE:/x", "env:",    "credential:", "vault:x"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct error *error = secret_check(bad[i]);
        if (!error)
            fail_msg("taken: %s", bad[i]);
        assert_null(strstr(error_message(error), "hunter2"));
        error_free(error);
    }
    secret_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_file),
                                       cmocka_unit_test(test_environment_and_credentials),
                                       cmocka_unit_test(test_forms)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
