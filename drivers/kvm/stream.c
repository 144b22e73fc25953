/* Streams of volumes, see stream.h. */
#include "drivers/kvm/stream.h"

#include "drivers/kvm/fault.h"

struct error *kvm_stream_upload(struct driver_session *session, virStorageVolPtr volume,
                                const unsigned char *bytes, size_t length)
{
    virStreamPtr stream = virStreamNew(session->connection, 0);
    if (!stream)
        return kvm_fault(session->connection, "could not open a stream");
    struct error *error = NULL;
    if (virStorageVolUpload(volume, stream, 0, length, 0) < 0)
        error = kvm_fault(session->connection, "could not upload");
    for (size_t sent = 0; !error && sent < length;) {
        int n = virStreamSend(stream, (const char *)bytes + sent, length - sent);
        if (n < 0)
            error = kvm_fault(session->connection, "could not upload");
        else
            sent += (size_t)n;
    }
    if (!error && virStreamFinish(stream) < 0)
        error = kvm_fault(session->connection, "could not finish an upload");
    else if (error)
        (void)virStreamAbort(stream); /* of no consequence: the upload has failed */
    (void)virStreamFree(stream);
    return error;
}

struct error *kvm_stream_download(struct driver_session *session, virStorageVolPtr volume, uint64_t from,
                                  size_t length, char *bytes, size_t *ret_length)
{
    virStreamPtr stream = virStreamNew(session->connection, 0);
    if (!stream)
        return kvm_fault(session->connection, "could not open a stream");
    struct error *error = NULL;
    size_t got = 0;
    if (virStorageVolDownload(volume, stream, from, length, 0) < 0)
        error = kvm_fault(session->connection, "could not download");
    while (!error && got < length) {
        int n = virStreamRecv(stream, bytes + got, length - got);
        if (n < 0)
            error = kvm_fault(session->connection, "could not download");
        if (n <= 0)
            break;
        got += (size_t)n;
    }
    if (!error && virStreamFinish(stream) < 0)
        error = kvm_fault(session->connection, "could not finish a download");
    else if (error)
        (void)virStreamAbort(stream); /* of no consequence: the download has failed */
    (void)virStreamFree(stream);
    if (!error)
        *ret_length = got;
    return error;
}
