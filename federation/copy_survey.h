/* Asks a connection what is where: the extents of base:allocation, and those of the bitmap when it was opened
 * with one. What it hands out covers the disk, or it is an error. */
#ifndef FEDERATION_COPY_SURVEY_H
#define FEDERATION_COPY_SURVEY_H

#include "federation/copy_connection.h"
#include "federation/copy_extent.h"

/* Without base:allocation everything counts as data. CHANGED is on extents that are dirty in the bitmap. */
struct error *copy_survey(struct copy_connection *connection, const struct copy_wait *wait,
                          struct copy_extents *ret_extents) ERROR_MUST_USE;

#endif
