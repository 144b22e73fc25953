/* Maps libvirt's errors to the codes of drivers/driver.h; the only place that reads a virError. */
#include "drivers/kvm/fault.h"

#include <errno.h>
#include <string.h>

#include "broker/base/arena.h"

struct mapping {
    int number;
    enum error_code code;
};

static const struct mapping mappings[] = {
    {VIR_ERR_NO_MEMORY, ERR_NO_CAPACITY},
    {VIR_ERR_NO_SUPPORT, ERR_UNSUPPORTED},
    {VIR_ERR_UNKNOWN_HOST, ERR_UNAVAILABLE},
    {VIR_ERR_NO_CONNECT, ERR_UNAVAILABLE},
    {VIR_ERR_INVALID_CONN, ERR_UNAVAILABLE},
    {VIR_ERR_INVALID_ARG, ERR_INVALID},
    {VIR_ERR_OS_TYPE, ERR_UNSUPPORTED},
    {VIR_ERR_XML_ERROR, ERR_INVALID},
    {VIR_ERR_XML_DETAIL, ERR_INVALID},
    {VIR_ERR_XML_INVALID_SCHEMA, ERR_INVALID},
    {VIR_ERR_DOM_EXIST, ERR_EXISTS},
    {VIR_ERR_OPERATION_DENIED, ERR_DENIED},
    {VIR_ERR_RPC, ERR_UNAVAILABLE},
    {VIR_ERR_GNUTLS_ERROR, ERR_UNAVAILABLE},
    {VIR_ERR_NO_DOMAIN, ERR_NOT_FOUND},
    {VIR_ERR_NO_NETWORK, ERR_NOT_FOUND},
    {VIR_ERR_NO_STORAGE_POOL, ERR_NOT_FOUND},
    {VIR_ERR_NO_STORAGE_VOL, ERR_NOT_FOUND},
    {VIR_ERR_DEVICE_MISSING, ERR_NOT_FOUND},
    {VIR_ERR_AUTH_FAILED, ERR_DENIED},
    {VIR_ERR_AUTH_CANCELLED, ERR_DENIED},
    {VIR_ERR_AUTH_UNAVAILABLE, ERR_DENIED},
    {VIR_ERR_ACCESS_DENIED, ERR_DENIED},
    {VIR_ERR_OPERATION_INVALID, ERR_CONFLICT},
    {VIR_ERR_CONFIG_UNSUPPORTED, ERR_UNSUPPORTED},
    {VIR_ERR_OPERATION_UNSUPPORTED, ERR_UNSUPPORTED},
    {VIR_ERR_ARGUMENT_UNSUPPORTED, ERR_UNSUPPORTED},
    {VIR_ERR_OPERATION_TIMEOUT, ERR_BUSY}, /* a lock of the domain was not had in time: nothing was done */
    {VIR_ERR_OPERATION_ABORTED, ERR_CANCELLED},
    {VIR_ERR_OVERFLOW, ERR_INVALID},
    {VIR_ERR_BLOCK_COPY_ACTIVE, ERR_CONFLICT},
    {VIR_ERR_SSH, ERR_UNAVAILABLE},
    {VIR_ERR_LIBSSH, ERR_UNAVAILABLE},
    {VIR_ERR_RESOURCE_BUSY, ERR_BUSY},
    {VIR_ERR_STORAGE_VOL_EXIST, ERR_EXISTS},
    {VIR_ERR_CPU_INCOMPATIBLE, ERR_UNSUPPORTED},
    {VIR_ERR_NO_SERVER, ERR_UNAVAILABLE},
    {VIR_ERR_NO_DOMAIN_SNAPSHOT, ERR_NOT_FOUND},
    {VIR_ERR_NO_DOMAIN_CHECKPOINT, ERR_NOT_FOUND},
    {VIR_ERR_NO_DOMAIN_BACKUP, ERR_NOT_FOUND},
    {VIR_ERR_CHECKPOINT_INCONSISTENT, ERR_CONFLICT},
    {VIR_ERR_MIGRATE_UNSAFE, ERR_CONFLICT},
};

static enum error_code code_of_errno(int number, int domain)
{
    switch (number) {
    case ENOSPC:
    case EDQUOT:
    case ENOMEM:
        return ERR_NO_CAPACITY;
    case EACCES:
    case EPERM:
        return ERR_DENIED;
    case EBUSY:
    case EAGAIN:
        return ERR_BUSY;
    case ECONNREFUSED:
    case ECONNRESET:
    case EPIPE:
    case EHOSTUNREACH:
    case ENETUNREACH:
    case ETIMEDOUT:
        return ERR_UNAVAILABLE;
    default:
        return domain == VIR_FROM_RPC ? ERR_UNAVAILABLE : ERR_INTERNAL;
    }
}

/* QEMU and qemu-img report what ran out only as text, inside an error of a general kind. */
static bool says_full(const char *message)
{
    return message &&
           (strstr(message, "No space left on device") || strstr(message, "Cannot allocate memory") ||
            strstr(message, "cannot set up guest memory"));
}

/* A peer's certificate that does not verify has no number of its own either. */
static bool says_certificate(const virError *error)
{
    return (error->domain == VIR_FROM_RPC || error->code == VIR_ERR_GNUTLS_ERROR) && error->message &&
           strstr(error->message, "ertificate") != NULL;
}

enum error_code kvm_fault_code(const virError *error)
{
    if (says_certificate(error))
        return ERR_DENIED;
    if (error->code == VIR_ERR_SYSTEM_ERROR)
        return code_of_errno(error->int1, error->domain);
    for (size_t i = 0; i < sizeof mappings / sizeof *mappings; i++)
        if (mappings[i].number == error->code)
            return mappings[i].code;
    if (says_full(error->message))
        return ERR_NO_CAPACITY;
    return error->domain == VIR_FROM_RPC ? ERR_UNAVAILABLE : ERR_INTERNAL;
}

bool kvm_fault_is(virErrorNumber number)
{
    const virError *last = virGetLastError();
    return last && last->code == (int)number;
}

struct error *kvm_fault(virConnectPtr connection, const char *format, ...)
{
    const virError *last = virGetLastError();
    enum error_code code = last ? kvm_fault_code(last) : ERR_INTERNAL;
    struct error *error;
    if (!last || !last->message)
        error = error_new(code, "libvirt gave no reason");
    else
        error = error_new(code, "%s (libvirt error %d of part %d)", last->message, last->code, last->domain);
    /* virConnectIsAlive asks nobody: it only looks whether the client's side was closed. */
    if (code != ERR_UNAVAILABLE && connection && virConnectIsAlive(connection) != 1)
        error = error_recode(error, ERR_UNAVAILABLE, "the connection was lost");
    va_list args;
    va_start(args, format);
    struct error *what = error_new_v(ERR_INTERNAL, format, args);
    va_end(args);
    error = error_wrap(error, "%s", error_message(what));
    error_free(what);
    return error;
}

bool kvm_fault_heals(const struct error *error)
{
    switch (error_code(error)) {
    case ERR_UNAVAILABLE:
    case ERR_TIMEOUT:
    case ERR_BUSY:
    case ERR_CANCELLED:
        return true;
    default:
        return false;
    }
}
