/* See refusal.h. HMCs answer failed validation with 500 and failed jobs with 200: the code in the text says
 * more than the status. Source of the codes: IBM's HMC documentation and the clients pypowervm and
 * ibm_power_hmc_sdk_ruby. */
#include "drivers/powervm/refusal.h"

#include <stddef.h>
#include <string.h>

static const struct {
    const char *code;
    enum error_code means;
} known[] = {
    {"HSCL05DE", ERR_EXISTS},               /* partition name taken */
    {"HSCL03EC", ERR_NO_CAPACITY},          /* not enough memory */
    {"HSCL03F0", ERR_NO_CAPACITY},          /* not enough processors, dedicated */
    {"HSCL03F4", ERR_NO_CAPACITY},          /* not enough processors, shared */
    {"VIOS01010430-0101", ERR_NO_CAPACITY}, /* pool full */
    {"HSCL2957", ERR_CONFLICT},             /* no RMC connection: no dynamic change */
    {"HSCL294D", ERR_CONFLICT},             /* not while active */
    {"HSCL0DB4", ERR_CONFLICT},             /* no RMC connection: the guest cannot be asked */
    {"HSCL3681", ERR_CONFLICT},             /* already on */
    {"HSCL1558", ERR_CONFLICT},             /* already off */
    {"HSCLA246", ERR_CONFLICT},             /* no RMC connection: no migration */
    {"HSCLA24E", ERR_UNSUPPORTED},          /* no server of the target reaches the disk */
    {"HSCL3205", ERR_BUSY},                 /* the managed system is busy */
    {"VIOS0014", ERR_BUSY},                 /* the Virtual I/O Server is busy */
    {"REST0264", ERR_CONFLICT},             /* refused while active */
    {"REST0001", ERR_INVALID},              /* schema */
    {"REST0126", ERR_INVALID},              /* meaning */
    {"REST012A", ERR_INVALID},
};

enum error_code refusal_code(int status, const char *reason, const char *text)
{
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if ((text && strstr(text, known[i].code)) ||
            (status >= 500 && reason && strcmp(reason, known[i].code) == 0))
            return known[i].means;
    }
    switch (status) {
    case 0:
        return ERR_INTERNAL;
    case 400:
        return ERR_INVALID;
    case 401:
    case 403:
        return ERR_DENIED;
    case 404:
        return ERR_NOT_FOUND;
    case 405:
    case 406:
    case 415:
        return ERR_UNSUPPORTED;
    case 409:
        return ERR_CONFLICT;
    case 412:
    case 429:
    case 503:
        return ERR_BUSY;
    default:
        return ERR_UNAVAILABLE;
    }
}
