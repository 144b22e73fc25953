/* TLS is required or it is an error: no server without it, none that another authority vouches for, none
 * under another name; with certificates over TCP and with keys over either. */
#include "federation/copy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "broker/base/arena.h"
#include "tests/federation/copy/exports.h"

#define SIZE (8 * MIB + 512)
#define KEY "0a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f60718293a4b5c6d7e8f9"

static const char *source_file, *target_file;

/* FOLDER/name/{ca-cert,server-cert,server-key,client-cert,client-key}.pem by an authority of its own. */
static const char *authority(const char *name)
{
    const char *folder = in_folder(name);
    char *script = xasprintf(
        "set -e; mkdir %s; cd %s;"
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=ca-%s"
        " -keyout ca-key.pem -out ca-cert.pem -addext basicConstraints=critical,CA:TRUE"
        " -addext keyUsage=critical,keyCertSign;"
        "for who in server client; do"
        " openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=localhost -keyout "
        "$who-key.pem"
        " -out $who.csr;"
        " printf 'subjectAltName=DNS:localhost\\nextendedKeyUsage=serverAuth,clientAuth\\n' >$who.ext;"
        " openssl x509 -req -in $who.csr -CA ca-cert.pem -CAkey ca-key.pem -CAcreateserial -days 2 -extfile "
        "$who.ext"
        " -out $who-cert.pem; done",
        folder, folder, name);
    COMMAND("sh", "-c", script);
    free(script);
    return folder;
}

static const char *key_file(const char *name, const char *user, const char *key)
{
    const char *path = in_folder(name);
    FILE *file = fopen(path, "we");
    fprintf(file, "%s:%s\n", user, key);
    assert_int_equal(fclose(file), 0);
    return path;
}

static void certificates(void **state)
{
    const char *ours = authority("ours"), *theirs = authority("theirs"), *bare = in_folder("bare");
    char port[16], plain_port[16];
    char *server_certificates = xasprintf("--tls-certificates=%s", ours);
    disk_make(source_file, SIZE, 50, 1);
    disk_fill(target_file, SIZE, 0xee);
    struct export *source =
        export_start_tcp((const char *const[]){"nbdkit", "--tls=require", server_certificates,
                                               "--tls-verify-peer", "file", source_file, NULL},
                         port);
    struct export *plain =
        export_start_tcp((const char *const[]){"nbdkit", "file", source_file, NULL}, plain_port);
    struct export *target = EXPORT("nbdkit", "file", target_file);
    struct copy_pass pass = pass_between(target, target);
    pass.source = (struct copy_end){.host = "localhost", .port = port, .tls = true, .certificates = ours};
    pass_run(&pass);
    assert_same(source_file, target_file);

    disk_fill(target_file, SIZE, 0xee);
    pass.source.certificates = theirs;
    pass_fails(&pass, ERR_DENIED, "source");
    pass.source.certificates = ours;
    pass.source.host = "127.0.0.1"; /* the certificate is localhost's */
    pass_fails(&pass, ERR_DENIED, "source");
    pass.source.host = "localhost";
    pass.source.port = plain_port; /* no TLS there */
    pass_fails(&pass, ERR_DENIED, "source");
    pass.source.port = port;
    pass.source.tls = false; /* and none here */
    pass_fails(&pass, ERR_DENIED, "source");
    pass.source.tls = true;
    COMMAND("mkdir", bare);
    char *copied = xasprintf("%s/ca-cert.pem", ours);
    COMMAND("cp", copied, bare);
    pass.source.certificates = bare; /* who are we? */
    pass_fails(&pass, ERR_DENIED, "source");
    pass.source.certificates = in_folder("nothing");
    pass_fails(&pass, ERR_DENIED, "source");
    pass.source = (struct copy_end){.socket = in_folder("any"), .tls = true, .certificates = ours};
    pass_fails(&pass, ERR_INVALID, "needs a key");
    pass.source = (struct copy_end){.host = "localhost", .port = port, .tls = true};
    pass_fails(&pass, ERR_INVALID, "TLS needs");
    export_stop(source);
    export_stop(plain);
    export_stop(target);
    disk_fill(in_folder("stale"), SIZE, 0xee);
    assert_true(file_same(in_folder("stale"), target_file)); /* none of those got a byte through */
    free(copied);
    free(server_certificates);
}

static void keys(void **state)
{
    const char *good = key_file("good.psk", "mover", KEY), *bad = key_file("bad.psk", "mover", "00" KEY),
               *other = key_file("other.psk", "stranger", KEY);
    char *server_keys = xasprintf("--tls-psk=%s", good);
    disk_make(source_file, SIZE, 50, 2);
    disk_fill(target_file, SIZE, 0xee);
    struct export *source = EXPORT("nbdkit", "file", source_file),
                  *target = EXPORT("nbdkit", "--tls=require", server_keys, "file", target_file),
                  *plain = EXPORT("nbdkit", "file", target_file);
    struct copy_pass pass = pass_between(source, target);
    pass.target.tls = true;
    pass.target.psk_user = "mover";
    pass.target.psk_file = bad;
    pass_fails(&pass, ERR_DENIED, "target");
    pass.target.psk_file = other;
    pass.target.psk_user = "stranger";
    pass_fails(&pass, ERR_DENIED, "target");
    pass.target.psk_file = good;
    pass.target.psk_user = "mover";
    const char *socket = pass.target.socket;
    pass.target.socket = export_end(plain).socket;
    pass_fails(&pass, ERR_DENIED, "target");
    pass.target.socket = socket;
    pass_run(&pass);
    struct copy_manifest *manifest = manifest_of(&pass);
    struct copy_check check = {.target = pass.target, .manifest = manifest};
    struct copy_check_result result;
    assert_null(copy_verify(&check, &result));
    check.target.psk_file = bad;
    struct error *error = copy_verify(&check, &result);
    assert_int_equal(error_code(error), ERR_DENIED);
    error_free(error);
    copy_manifest_free(manifest);
    export_stop(source);
    export_stop(target);
    export_stop(plain);
    assert_same(source_file, target_file);
    free(server_keys);
}

static int begin(void **state)
{
    if (exports_begin(state))
        return -1;
    source_file = in_folder("source");
    target_file = in_folder("target");
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(certificates), cmocka_unit_test(keys)};
    return cmocka_run_group_tests(tests, begin, exports_end);
}
