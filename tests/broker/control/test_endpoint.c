/* The rules of endpoints. */
#include "broker/control/endpoint.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>

static void urls_hold_no_passwords(void **state)
{
    static const char *const good[] = {
        "https://vc.example:443/sdk",
        "https://[2001:db8::1]:12443",
        "qemu:///system",
        "qemu+unix:///system?socket=/run/libvirt/libvirt-sock",
        "qemu+ssh://admin@host:22/system?keyfile=/etc/yunqiao/key",
        "memory://ext",
    };
    static const char *const bad[] = {
        "https://root:hunter2@vc.example/sdk",
        "https://hunter2@vc.example/sdk",
        "HTTPS:\\\\root:hunter2@vc.example/sdk",
        "https:///root:hunter2@vc.example/sdk",
        "https:root:hunter2@vc.example/sdk",
        "https://root:hunt/er2@vc.example/sdk",
        "http://root:hunter2@vc.example/sdk",
        "qemu+ssh://root:hunter2@host/system",
        "https://vc.example/ hunter2",
        "https://vc.example/\r\nhunter2: 1",
        "hunter2",
        "",
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct error *error = endpoint_check_url(good[i]);
        if (error)
            fail_msg("%s: %s", good[i], error_message(error));
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct error *error = endpoint_check_url(bad[i]);
        if (!error)
            fail_msg("%s is accepted", bad[i]);
        assert_null(strstr(error_message(error), "hunter2"));
        error_free(error);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(urls_hold_no_passwords)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
