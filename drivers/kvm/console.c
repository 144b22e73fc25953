/* The console: QEMU writes what the guest says on its first serial port to a file beside the system disk, and
 * the tail of that file is read through the storage pool, so that it works over any connection. */
#include "drivers/kvm/instance.h"
#include "drivers/kvm/storage.h"
#include "drivers/kvm/stream.h"

struct error *kvm_instance_console(struct driver_session *session, const struct driver_call *call,
                                   const struct driver_key *key, size_t limit, const char **ret_text,
                                   size_t *ret_length)
{
    TRY(kvm_step(call, 0, "look up the instance"));
    virDomainPtr domain;
    struct kvm_domain definition;
    TRY(kvm_instance_get(session, call, key, &domain, &definition));
    struct kvm_place log;
    TRY(kvm_storage_find(session, call->arena, definition.uuid, KVM_FILE_CONSOLE, &log));
    if (!log.volume)
        return error_new(ERR_UNSUPPORTED, "instance %s keeps no console log", definition.uuid);
    TRY(kvm_step(call, 50, "read the console's log"));
    size_t length = log.bytes < limit ? (size_t)log.bytes : limit;
    char *text = arena_alloc(call->arena, length + 1);
    size_t got = 0;
    if (length > 0)
        TRY(kvm_stream_download(session, log.volume, log.bytes - length, length, text, &got));
    text[got] = '\0';
    *ret_text = text;
    *ret_length = got;
    return NULL;
}
