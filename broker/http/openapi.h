/* openapi.yaml of this folder, embedded in the program by CMake. */
#ifndef BROKER_HTTP_OPENAPI_H
#define BROKER_HTTP_OPENAPI_H

#include <stddef.h>

#define OPENAPI_TYPE "application/yaml"

extern const unsigned char openapi_yaml[];
extern const size_t openapi_yaml_size;

#endif
