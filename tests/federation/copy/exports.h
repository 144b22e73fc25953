/* What the tests of the copy engine share: real NBD servers on unix sockets in a temporary folder, disks with
 * known content, passes with usual arguments. */
#ifndef TESTS_FEDERATION_COPY_EXPORTS_H
#define TESTS_FEDERATION_COPY_EXPORTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "federation/copy.h"
#include "federation/copy_check.h"

#define MIB (UINT64_C(1) << 20)

/* A temporary folder for the test program; exports_end removes it with all that is in it and stops every
 * server that is left. For cmocka's group. */
int exports_begin(void **state);
int exports_end(void **state);
/* FOLDER/name; lives until exports_end. */
const char *in_folder(const char *name);

struct export;
/* Starts argv (nbdkit or qemu-nbd: the socket is put after argv[0]) and waits until it answers. */
struct export *export_start(const char *const *argv);
#define EXPORT(...) export_start((const char *const[]){__VA_ARGS__, NULL})
/* nbdkit on a free port of 127.0.0.1 instead. */
struct export *export_start_tcp(const char *const *argv, char ret_port[16]);
struct copy_end export_end(const struct export *export);
/* Ends it, waits for its end. NULL is fine. */
void export_stop(struct export *export);
void export_signal(struct export *export, int number);
/* Runs to success, or fails the test. */
void command(const char *const *argv);
#define COMMAND(...) command((const char *const[]){__VA_ARGS__, NULL})

/* A raw file: of each 64 KiB, `percent` of 100 are random bytes by `seed`, the others a hole. */
void disk_make(const char *path, uint64_t size, unsigned percent, uint64_t seed);
/* Random bytes over [start, start + length). */
void disk_write(const char *path, uint64_t start, uint64_t length, uint64_t seed);
void disk_fill(const char *path, uint64_t size, uint8_t byte);
/* The first size bytes are the same, and what `two` has beyond them is zero. */
bool disk_same(const char *one, const char *two);
void assert_same(const char *one, const char *two);
/* The same bytes, no tail. */
bool file_same(const char *one, const char *two);

/* COPY_ALL with SHA-256 in blocks of 1 MiB, its manifest at in_folder("manifest"), nothing left of an earlier
 * one. */
struct copy_pass pass_between(const struct export *source, const struct export *target);
/* Runs it, fails the test when it fails. */
struct copy_result pass_run(const struct copy_pass *pass);
/* Runs it, which must fail so; `says` is in the text. */
void pass_fails(const struct copy_pass *pass, enum error_code code, const char *says);
struct copy_manifest *manifest_of(const struct copy_pass *pass);
/* Reads all of the target back against the manifest. */
void verify(const struct export *target, const struct copy_manifest *manifest);
/* The digests of the manifest are those of the file's blocks. */
void assert_describes(const struct copy_manifest *manifest, const char *path);

#endif
