/* See fault.h. */
#include "drivers/vmware/fault.h"

#include <string.h>

#include "broker/base/arena.h"
#include "drivers/vmware/xml.h"

static const struct fault_row {
    const char *type;
    enum error_code code;
    enum fault fault;
} fault_table[] = {
    {"InvalidLogin", ERR_DENIED, FAULT_OTHER},
    {"NoPermission", ERR_DENIED, FAULT_OTHER},
    {"NotAuthenticated", ERR_DENIED, FAULT_NOT_AUTHENTICATED},
    {"PasswordExpired", ERR_DENIED, FAULT_OTHER},
    {"RestrictedVersion", ERR_DENIED, FAULT_OTHER},
    {"ManagedObjectNotFound", ERR_NOT_FOUND, FAULT_OBJECT_NOT_FOUND},
    {"NotFound", ERR_NOT_FOUND, FAULT_NOT_FOUND},
    {"FileNotFound", ERR_NOT_FOUND, FAULT_FILE_NOT_FOUND},
    {"InvalidDatastore", ERR_NOT_FOUND, FAULT_OTHER},
    {"DuplicateName", ERR_EXISTS, FAULT_DUPLICATE_NAME},
    {"AlreadyExists", ERR_EXISTS, FAULT_OTHER},
    {"FileAlreadyExists", ERR_EXISTS, FAULT_FILE_EXISTS},
    {"TaskInProgress", ERR_BUSY, FAULT_OTHER},
    {"ConcurrentAccess", ERR_BUSY, FAULT_OTHER},
    {"ResourceInUse", ERR_BUSY, FAULT_OTHER},
    {"FileLocked", ERR_BUSY, FAULT_OTHER},
    {"HostConfigFault", ERR_UNAVAILABLE, FAULT_OTHER},
    {"InvalidPowerState", ERR_CONFLICT, FAULT_OTHER},
    {"InvalidState", ERR_CONFLICT, FAULT_OTHER},
    {"InvalidHostState", ERR_UNAVAILABLE, FAULT_OTHER},
    {"VmConfigFault", ERR_CONFLICT, FAULT_OTHER},
    {"MethodDisabled", ERR_CONFLICT, FAULT_OTHER},
    {"CpuHotPlugNotSupported", ERR_CONFLICT, FAULT_OTHER},
    {"MemoryHotPlugNotSupported", ERR_CONFLICT, FAULT_OTHER},
    {"ToolsUnavailable", ERR_CONFLICT, FAULT_TOOLS},
    {"ApplicationQuiesceFault", ERR_CONFLICT, FAULT_QUIESCE},
    {"FilesystemQuiesceFault", ERR_CONFLICT, FAULT_QUIESCE},
    {"SnapshotFault", ERR_CONFLICT, FAULT_OTHER},
    {"TooManySnapshotLevels", ERR_CONFLICT, FAULT_OTHER},
    {"SnapshotIncompatibleDeviceInVm", ERR_CONFLICT, FAULT_OTHER},
    {"FileFault", ERR_CONFLICT, FAULT_FILE},
    {"CannotAccessFile", ERR_UNAVAILABLE, FAULT_OTHER},
    {"InsufficientResourcesFault", ERR_NO_CAPACITY, FAULT_OTHER},
    {"InsufficientCpuResourcesFault", ERR_NO_CAPACITY, FAULT_OTHER},
    {"InsufficientMemoryResourcesFault", ERR_NO_CAPACITY, FAULT_OTHER},
    {"InsufficientHostCapacityFault", ERR_NO_CAPACITY, FAULT_OTHER},
    {"InsufficientHostCpuCapacityFault", ERR_NO_CAPACITY, FAULT_OTHER},
    {"InsufficientHostMemoryCapacityFault", ERR_NO_CAPACITY, FAULT_OTHER},
    {"InsufficientFailoverResourcesFault", ERR_NO_CAPACITY, FAULT_OTHER},
    {"NoCompatibleHost", ERR_NO_CAPACITY, FAULT_OTHER},
    {"NumVirtualCpusExceedsLimit", ERR_NO_CAPACITY, FAULT_OTHER},
    {"MemorySizeNotSupported", ERR_INVALID, FAULT_OTHER},
    {"NoDiskSpace", ERR_NO_CAPACITY, FAULT_OTHER},
    {"InvalidArgument", ERR_INVALID, FAULT_ARGUMENT},
    {"InvalidRequest", ERR_INVALID, FAULT_OTHER},
    {"InvalidProperty", ERR_INVALID, FAULT_OTHER},
    {"InvalidType", ERR_INVALID, FAULT_OTHER},
    {"InvalidName", ERR_INVALID, FAULT_OTHER},
    {"InvalidDeviceSpec", ERR_INVALID, FAULT_OTHER},
    {"InvalidVmConfig", ERR_INVALID, FAULT_OTHER},
    {"InvalidDatastorePath", ERR_INVALID, FAULT_OTHER},
    {"InvalidController", ERR_INVALID, FAULT_OTHER},
    {"DatacenterMismatch", ERR_INVALID, FAULT_OTHER},
    {"MethodNotFound", ERR_UNSUPPORTED, FAULT_METHOD_NOT_FOUND},
    {"NotSupported", ERR_UNSUPPORTED, FAULT_OTHER},
    {"NotImplemented", ERR_UNSUPPORTED, FAULT_OTHER},
    {"LicenseMissing", ERR_UNSUPPORTED, FAULT_OTHER},
    {"RequestCanceled", ERR_CANCELLED, FAULT_OTHER},
    {"Timedout", ERR_TIMEOUT, FAULT_OTHER},
    {"HostNotConnected", ERR_UNAVAILABLE, FAULT_OTHER},
    {"HostNotReachable", ERR_UNAVAILABLE, FAULT_OTHER},
    {"HostCommunication", ERR_UNAVAILABLE, FAULT_OTHER},
    {"SystemError", ERR_UNAVAILABLE, FAULT_OTHER},
};

struct error *fault_error(const char *type, const char *message, enum fault *ret_fault)
{
    enum error_code code = ERR_INTERNAL;
    *ret_fault = FAULT_OTHER;
    for (size_t i = 0; type && i < sizeof fault_table / sizeof *fault_table; i++) {
        if (strcmp(fault_table[i].type, type) != 0)
            continue;
        code = fault_table[i].code;
        *ret_fault = fault_table[i].fault;
        break;
    }
    if (!type)
        type = "a fault without a type";
    if (!message || !*message)
        return error_new(code, "the provider answers %.100s", type);
    return error_new(code, "the provider answers %.100s: %.500s", type, message);
}

struct error *fault_localized(const xmlNode *node, enum fault *ret_fault)
{
    ARENA_AUTO struct arena *arena = arena_new();
    return fault_error(xml_xsi_type(arena, xml_child(node, "fault")),
                       xml_child_text(node, "localizedMessage"), ret_fault);
}
