/* See datastore.h. */
#include "drivers/vmware/datastore.h"

#include "drivers/vmware/task.h"

struct error *datastore_folder(struct driver_session *session, const struct driver_call *call,
                               const char *path)
{
    XML_REQUEST_AUTO struct xml_request request;
    xml_request_begin(&request, "MakeDirectory", session->file_manager);
    xml_put(&request, "name", path);
    xml_put_ref(&request, "datacenter", session->datacenter);
    xml_put_bool(&request, "createParentDirectories", true);
    struct error *error = session_do(session, call, &request);
    if (error && session->fault == FAULT_FILE_EXISTS) {
        error_free(error); /* the usual case */
        error = NULL;
    }
    return error_wrap(error, "could not make the folder %s", path);
}

struct error *datastore_copy_disk(struct driver_session *session, const struct driver_call *call,
                                  const char *from, const char *to)
{
    XML_REQUEST_AUTO struct xml_request request;
    xml_request_begin(&request, "CopyVirtualDisk_Task", session->disk_manager);
    xml_put(&request, "sourceName", from);
    xml_put_ref(&request, "sourceDatacenter", session->datacenter);
    xml_put(&request, "destName", to);
    xml_put_ref(&request, "destDatacenter", session->datacenter);
    xml_put_bool(&request, "force", true); /* over what an earlier attempt left */
    return task_do(session, call, &request, "copy the disk");
}

struct error *datastore_delete_disk(struct driver_session *session, const struct driver_call *call,
                                    const char *file)
{
    for (int attempt = 1;;) {
        XML_REQUEST_AUTO struct xml_request request;
        xml_request_begin(&request, "DeleteVirtualDisk_Task", session->disk_manager);
        xml_put(&request, "name", file);
        xml_put_ref(&request, "datacenter", session->datacenter);
        struct error *error = task_do(session, call, &request, "remove the disk's file");
        if (error && session->fault == FAULT_FILE_NOT_FOUND) {
            error_free(error); /* gone already */
            return NULL;
        }
        if (!session_again(session, &error, &attempt))
            return error;
    }
}
