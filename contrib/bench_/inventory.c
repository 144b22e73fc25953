/* How long the vmware driver takes for a full inventory of 1000 machines, against a bare libcurl client that
 * asks the same provider for the same properties in the same pages and throws the answers away. Both keep one
 * connection; rounds alternate in one run. Prints `name value unit ratio`; called by
 * contrib/bench_/inventory. */
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "broker/base/buf.h"
#include "broker/base/moment.h"
#include "drivers/driver.h"
#include "drivers/vmware/survey.h"
#include "drivers/vmware/vmware.h"
#include "tests/support/vcsim.h"

#define MACHINES 1000
#define WARM_UP 3
#define ROUNDS 25
#define ANSWER_MAX (64u << 20)

static void check(struct error *error)
{
    if (!error)
        return;
    fprintf(stderr, "inventory: %s\n", error_message(error));
    exit(1);
}

static void need(bool good, const char *what)
{
    if (good)
        return;
    fprintf(stderr, "inventory: %s\n", what);
    exit(1);
}

/* The bare client. */
struct bare {
    CURL *curl;
    struct curl_slist *headers;
    struct buf answer;
    struct moref view;
    struct arena *arena;
};

static size_t take(char *data, size_t size, size_t count, void *context)
{
    buf_append(context, data, size * count);
    return size * count;
}

static const char *post(struct bare *bare, struct xml_request *request)
{
    check(xml_request_end(request));
    buf_clear(&bare->answer);
    curl_easy_setopt(bare->curl, CURLOPT_POSTFIELDS, (const char *)xmlBufferContent(request->buffer));
    curl_easy_setopt(bare->curl, CURLOPT_POSTFIELDSIZE, (long)xmlBufferLength(request->buffer));
    need(curl_easy_perform(bare->curl) == CURLE_OK, "the bare client gets no answer");
    return buf_text(&bare->answer);
}

static char *between(struct arena *arena, const char *text, const char *before, const char *after)
{
    const char *start = strstr(text, before), *end = start ? strstr(start, after) : NULL;
    return end ? arena_strndup(arena, start + strlen(before), (size_t)(end - start) - strlen(before)) : NULL;
}

static void bare_open(struct bare *bare, const struct vcsim *vcsim)
{
    *bare = (struct bare){.curl = curl_easy_init(), .answer = BUF_INIT(ANSWER_MAX), .arena = arena_new()};
    need(bare->curl, "no libcurl");
    bare->headers = curl_slist_append(NULL, "Content-Type: text/xml; charset=utf-8");
    curl_easy_setopt(bare->curl, CURLOPT_URL, vcsim_url(vcsim));
    curl_easy_setopt(bare->curl, CURLOPT_HTTPHEADER, bare->headers);
    curl_easy_setopt(bare->curl, CURLOPT_SSL_VERIFYPEER, 0L); /* our own simulator, on loopback */
    curl_easy_setopt(bare->curl, CURLOPT_SSL_VERIFYHOST, 0L);
    curl_easy_setopt(bare->curl, CURLOPT_COOKIEFILE, "");
    curl_easy_setopt(bare->curl, CURLOPT_WRITEFUNCTION, take);
    curl_easy_setopt(bare->curl, CURLOPT_WRITEDATA, &bare->answer);
    XML_REQUEST_AUTO struct xml_request login, view;
    xml_request_begin(&login, "Login", (struct moref){"SessionManager", "SessionManager"});
    xml_put(&login, "userName", VCSIM_USER);
    xml_put(&login, "password", VCSIM_PASSWORD);
    post(bare, &login);
    xml_request_begin(&view, "CreateContainerView", (struct moref){"ViewManager", "ViewManager"});
    xml_put_ref(&view, "container", (struct moref){"Folder", "group-d1"});
    xml_put(&view, "type", "ManagedEntity");
    xml_put_bool(&view, "recursive", true);
    bare->view = (struct moref){
        "ContainerView", between(bare->arena, post(bare, &view), "type=\"ContainerView\">", "</returnval>")};
    need(bare->view.value, "the bare client gets no view");
}

static void bare_close(struct bare *bare)
{
    curl_easy_cleanup(bare->curl);
    curl_slist_free_all(bare->headers);
    buf_done(&bare->answer);
    arena_free(bare->arena);
}

static void bare_round(struct bare *bare)
{
    static const struct moref collector = {"PropertyCollector", "propertyCollector"};
    size_t count, objects = 0;
    const struct property_set *sets = survey_sets(SURVEY_INSTANCES, &count);
    XML_REQUEST_AUTO struct xml_request request;
    xml_request_begin(&request, "RetrievePropertiesEx", collector);
    xml_open(&request, "specSet");
    property_put_view(&request, sets, count, bare->view);
    xml_close(&request);
    xml_open(&request, "options");
    xml_put_number(&request, "maxObjects", PROPERTY_PAGE);
    xml_close(&request);
    const char *answer = post(bare, &request);
    for (;;) {
        objects++;
        char *token = between(bare->arena, answer, "<token>", "</token>");
        if (!token)
            break;
        XML_REQUEST_AUTO struct xml_request next;
        xml_request_begin(&next, "ContinueRetrievePropertiesEx", collector);
        xml_put(&next, "token", token);
        answer = post(bare, &next);
    }
    need(objects == MACHINES / PROPERTY_PAGE + 1, "the bare client gets another number of pages");
}

struct driven {
    struct driver_session *session;
    struct driver_call call;
};

static void driven_open(struct driven *driven, const struct vcsim *vcsim)
{
    struct driver_endpoint endpoint = vcsim_endpoint(vcsim);
    driven->call =
        (struct driver_call){.arena = arena_new(), .deadline_us = moment_monotonic() + 10 * MOMENT_MINUTE};
    check(vmware_driver.open(&endpoint, &driven->call, &driven->session));
}

static void driven_close(struct driven *driven)
{
    vmware_driver.close(driven->session);
    arena_free(driven->call.arena);
}

static void driven_round(struct driven *driven)
{
    struct driver_inventory inventory;
    check(vmware_driver.inventory(driven->session, &driven->call, &inventory));
    need(inventory.instance_count == MACHINES, "the driver finds another number of machines");
    arena_reset(driven->call.arena);
}

static int by_size(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

static double median_ms(int64_t *times)
{
    qsort(times, ROUNDS, sizeof *times, by_size);
    return (double)times[ROUNDS / 2] / 1000;
}

/* Peak resident memory of a process that does a few rounds of one kind, in MB. */
static double peak_mb(const struct vcsim *vcsim, bool driver)
{
    pid_t pid = fork();
    need(pid >= 0, "fork fails");
    if (pid == 0) {
        struct bare bare;
        struct driven driven;
        if (driver)
            driven_open(&driven, vcsim);
        else
            bare_open(&bare, vcsim);
        for (int i = 0; i < WARM_UP; i++)
            if (driver)
                driven_round(&driven);
            else
                bare_round(&bare);
        _exit(0);
    }
    int status;
    struct rusage usage;
    need(wait4(pid, &status, 0, &usage) == pid && status == 0, "a child fails");
    return (double)usage.ru_maxrss / 1024;
}

int main(void)
{
    struct vcsim *vcsim = vcsim_start((const char *const[]){"-vm", "1000", NULL});
    double driver_mb = peak_mb(vcsim, true), bare_mb = peak_mb(vcsim, false);
    struct bare bare;
    struct driven driven;
    bare_open(&bare, vcsim);
    driven_open(&driven, vcsim);
    int64_t bare_times[ROUNDS] = {0}, driver_times[ROUNDS] = {0};
    for (int i = -WARM_UP; i < ROUNDS; i++) {
        int64_t start = moment_monotonic();
        bare_round(&bare);
        int64_t middle = moment_monotonic();
        driven_round(&driven);
        int64_t end = moment_monotonic();
        if (i >= 0) {
            bare_times[i] = middle - start;
            driver_times[i] = end - middle;
        }
    }
    double bare_ms = median_ms(bare_times), driver_ms = median_ms(driver_times);
    printf("inventory.vmware.1000 %.1f ms %.2f\n", driver_ms, driver_ms / bare_ms);
    printf("inventory.vmware.1000.memory %.1f MB %.2f\n", driver_mb, driver_mb / bare_mb);
    driven_close(&driven);
    bare_close(&bare);
    vcsim_stop(vcsim);
    return 0;
}
